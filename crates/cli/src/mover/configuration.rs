//! The two JSON documents that a Job may carry.
//!
//! KOPIA_STRUCTURED_REPOSITORY_CONFIG is what kopia keeps about a connection (`repo/local_config.go`): only the place and
//! the identity in it matter here. KOPIA_MANUAL_CONFIG says how a repository is created and cached, which a restore does neither.

use std::path::{Component, Path};

use serde::Deserialize;

use super::backend::{Backend, Place};
use super::environment::{Environment, Variable};
use super::sentence::Trouble;

/// What a structured configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Structured {
    pub(crate) place: Place,
    /// The identity of the connection, which counts where the environment gives none.
    pub(crate) username: Option<String>,
    pub(crate) hostname: Option<String>,
}

#[derive(Deserialize)]
struct LocalConfig {
    storage: Option<Storage>,
    #[serde(default)]
    username: String,
    #[serde(default)]
    hostname: String,
}

#[derive(Deserialize)]
struct Storage {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    config: Folder,
}

#[derive(Default, Deserialize)]
struct Folder {
    path: Option<String>,
}

const NAME: &str = "KOPIA_STRUCTURED_REPOSITORY_CONFIG";

/// Reads the structured configuration, if there is one.
pub(crate) fn structured(environment: &Environment) -> Result<Option<Structured>, Trouble> {
    let Some(text) = environment.text(Variable::StructuredConfig)? else { return Ok(None) };
    // What serde says may quote the document, and that may hold keys.
    let bad = |_| Trouble::setting(NAME, "is not the JSON of a kopia configuration");
    let config: LocalConfig = serde_json::from_str(text).map_err(bad)?;
    let Some(storage) = config.storage else { return Err(Trouble::setting(NAME, "has no storage")) };
    let place = match (&*storage.kind, storage.config.path) {
        ("filesystem", Some(path)) if is_plain(&path) => Place::Folder(path.into()),
        ("filesystem", Some(path)) => {
            let why = format!("has the path {path:?}, which is not absolute or holds ..");
            return Err(Trouble::setting(NAME, why));
        }
        ("filesystem", None) => return Err(Trouble::setting(NAME, "has a storage without path")),
        (kind, _) => {
            let name = match Backend::of_type(kind) {
                Backend::Other => kind.into(),
                backend => backend.to_string(),
            };
            Place::Network { name, by: NAME }
        }
    };
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Some(Structured { place, username: given(config.username), hostname: given(config.hostname) }))
}

fn is_plain(path: &str) -> bool {
    let path = Path::new(path);
    path.is_absolute() && !path.components().any(|component| component == Component::ParentDir)
}

/// Says what is wrong with the manual configuration. Nothing in it matters to a restore.
pub(crate) fn manual(environment: &Environment) -> Option<String> {
    let text = environment.raw(Variable::ManualConfig)?;
    let json = text.to_str().and_then(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).ok());
    json.is_none()
        .then(|| "KOPIA_MANUAL_CONFIG is no JSON; a restore does not need it, but backups do".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Option<Structured>, Trouble> {
        structured(&[(NAME.into(), json.into())].into_iter().collect())
    }

    #[test]
    fn place_and_identity() {
        let json = r#"{"storage":{"type":"filesystem","config":{"path":"/repository","dirShards":null}},
            "caching":{"maxCacheSize":5},"hostname":"media","username":"app","enableActions":false}"#;
        let read_config = read(json).unwrap().unwrap();
        assert_eq!(read_config.place, Place::Folder("/repository".into()));
        assert_eq!(
            (read_config.username.as_deref(), read_config.hostname.as_deref()),
            (Some("app"), Some("media"))
        );
        let s3 = read(r#"{"storage":{"type":"s3","config":{"bucket":"b"}}}"#).unwrap().unwrap();
        assert_eq!(s3.place, Place::Network { name: "S3".into(), by: NAME });
        assert_eq!(s3.username, None);
        assert_eq!(structured(&std::iter::empty().collect()).unwrap(), None);
    }

    #[test]
    fn bad_ones_are_refused_without_quoting_them() {
        for json in [
            "{",
            "[]",
            "{}",
            r#"{"storage":{"type":"filesystem","config":{}}}"#,
            r#"{"storage":{"type":"filesystem","config":{"path":"rel"}}}"#,
            r#"{"storage":{"type":"filesystem","config":{"path":"/a/../b"}}}"#,
            r#"{"storage":{"type":"s3","config":{"secretAccessKey":"hush"}}, hush"#,
        ] {
            let said = read(json).unwrap_err().to_string();
            assert!(said.contains(NAME) && !said.contains("hush"), "{said}");
        }
    }
}
