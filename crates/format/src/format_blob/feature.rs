//! Features that a reader must understand before it may read. Authority: `internal/feature/feature.go`.

use serde::Deserialize;

/// A feature that a repository uses and a reader must understand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RequiredFeature {
    /// Its name.
    pub feature: String,
    /// What to do if the reader does not understand it.
    #[serde(rename = "ifNotUnderstood", default)]
    pub if_not_understood: Understanding,
}

/// What a reader should do that does not understand a feature.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Understanding {
    /// Whether a warning is enough.
    pub warn: bool,
    /// What to tell the user.
    pub message: String,
    /// Where the user can read more.
    pub url: String,
    /// The version of kopia that knows the feature.
    pub upgrade_to_version: String,
}
