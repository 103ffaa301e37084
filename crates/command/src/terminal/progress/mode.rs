//! For whom progress is shown, and how.

use std::str::FromStr;

/// How somebody wants to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Wanted {
    /// A bar on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// Lines.
    Lines,
    /// Lines of JSON.
    Json,
    /// None.
    None,
}

impl Wanted {
    /// All of them, with their names.
    pub(crate) const NAMES: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("lines", Self::Lines), ("json", Self::Json), ("none", Self::None)];
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::NAMES.into_iter().find(|(known, _)| *known == name);
        known.map(|(_, wanted)| wanted).ok_or_else(|| format!("{name:?} is none of them"))
    }
}

/// For whom progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProgressMode {
    /// For nobody; problems are told all the same.
    Quiet,
    /// As [`Self::Quiet`], but notes are told as well.
    Hidden,
    /// For people: a bar where it can be drawn.
    Person,
    /// For people, in lines.
    Lines,
    /// For programs.
    Json,
    /// For a log whose lines begin with their level.
    Log,
}

impl ProgressMode {
    /// Shows it as it is wanted. Of those who want to hear nothing, nobody is told unless they ask for it.
    pub(crate) fn of(wanted: Option<Wanted>, quiet: bool) -> Self {
        match (wanted, quiet) {
            (Some(Wanted::Json), _) => Self::Json,
            (Some(Wanted::Lines), _) => Self::Lines,
            (_, true) => Self::Quiet,
            (Some(Wanted::None), false) => Self::Hidden,
            (None | Some(Wanted::Auto), false) => Self::Person,
        }
    }

    /// Returns whether it is shown unasked.
    pub(super) fn is_shown(self) -> bool {
        !matches!(self, Self::Quiet | Self::Hidden)
    }

    /// Returns whether notes are told.
    pub(super) fn has_notes(self) -> bool {
        !matches!(self, Self::Quiet | Self::Log)
    }

    pub(super) fn line(self) -> &'static str {
        if self == Self::Log { "INFO: " } else { "" }
    }

    pub(super) fn problem(self) -> &'static str {
        if self == Self::Log { "ERROR: " } else { "error: " }
    }
}
