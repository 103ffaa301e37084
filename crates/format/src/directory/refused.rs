//! Entries that cannot be restored, and why: as data for programs, and as the sentences that people read.

use std::fmt;

use crate::ObjectId;

/// How many characters of a refused text are kept: reports hold thousands of them.
const SHOWN: usize = 256;

/// An entry that cannot be restored as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its name, for people: it may be invalid. A longer one is cut after 256 characters.
    pub name: String,
    /// What is wrong with it.
    pub why: Refusal,
    /// The object that holds its bytes, if it names one.
    pub object: Option<ObjectId>,
}

/// Why an entry is refused. Displayed, each reads as what is wrong with "the entry".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its name is empty, or only of slashes and single dots.
    #[error("has no name")]
    NoName,
    /// Its name is `.`, the directory itself.
    #[error("would leave its folder")]
    Dot,
    /// A component of its name is `..`, which leads out of the directory.
    #[error("would leave its folder")]
    DotDot,
    /// Its name contains a NUL byte.
    #[error("has NUL in its name")]
    Nul,
    /// Its name is longer than any file system takes.
    #[error("has a name of more than {limit} bytes")]
    NameTooLong {
        /// The longest name that is accepted, in bytes.
        limit: usize,
    },
    /// It is neither a file nor a directory nor a symbolic link.
    #[error("has the unknown type {found:?}")]
    UnknownType {
        /// The type as it is written, at most 256 characters of it.
        found: Box<str>,
    },
    /// Its size is negative.
    #[error("has the size {found}")]
    Size {
        /// The size as it is written.
        found: i64,
    },
    /// Its mode is not an octal number of 32 bits.
    #[error("has the mode {found:?}")]
    Mode {
        /// The mode as it is written, at most 256 characters of it.
        found: Box<str>,
    },
    /// It names no object.
    #[error("has no object")]
    NoObject,
    /// Its object is not an object id.
    #[error("{0}")]
    Object(Box<crate::Error>),
    /// Its modification time is not a time.
    #[error("{0}")]
    Time(Box<crate::Error>),
    /// The snapshot has no root entry.
    #[error("the snapshot has no root")]
    NoRoot,
    /// An earlier entry of the directory has the same name.
    #[error("another entry of the folder has this name; only one of them is restored")]
    Doubled,
    /// Its name leads through an entry that is a file or a symbolic link.
    #[error("its name leads through {through:?}, which is no folder")]
    NotADirectory {
        /// The component of the name that is no directory.
        through: Box<str>,
    },
    /// Too many names of its directory contain `/`.
    #[error("its folder has more than {limit} names with `/`")]
    TooManyPaths {
        /// How many such names one directory may have.
        limit: usize,
    },
    /// The names of its directory lead into too many directories.
    #[error("its folder has names that lead into more than {limit} folders")]
    TooManyComponents {
        /// How many components such names may have together.
        limit: usize,
    },
    /// Its directory has too many subdirectories.
    #[error("its folder has more than {limit} folders")]
    TooManyDirectories {
        /// How many subdirectories one directory may have.
        limit: usize,
    },
    /// Its directory has too many names to tell those apart that are one where upper and lower case are.
    #[error("the names of its folder take more than {limit} bytes where upper and lower case are one")]
    TooManyNames {
        /// How many bytes of memory names may take.
        limit: usize,
    },
    /// The names of its directory's subdirectories are too long together.
    #[error("its folder has folders whose names have more than {limit} bytes")]
    LongDirectories {
        /// How many bytes the names of subdirectories may have together.
        limit: usize,
    },
}

impl Refused {
    /// Returns what is wrong with the entry, and which object still holds its bytes.
    pub fn reason(&self) -> String {
        let Self { why, object, .. } = self;
        match object {
            Some(object) if object.is_directory() => format!("{why}; what is in it is in object {object}"),
            Some(object) => format!("{why}; its bytes are in object {object}"),
            None => why.to_string(),
        }
    }

    /// Returns whether its name may go on: of a longer one no more than 256 characters are known.
    pub fn is_cut(&self) -> bool {
        self.name.chars().count() == SHOWN
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {:?}: {}", self.name, self.reason())
    }
}

impl Refusal {
    /// Returns the word that stands for this reason in machine-readable output.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoName => "name_empty",
            Self::Dot => "name_dot",
            Self::DotDot => "name_dot_dot",
            Self::Nul => "name_nul",
            Self::NameTooLong { .. } => "name_too_long",
            Self::UnknownType { .. } => "unknown_type",
            Self::Size { .. } => "bad_size",
            Self::Mode { .. } => "bad_mode",
            Self::NoObject => "no_object",
            Self::Object(_) => "bad_object",
            Self::Time(_) => "bad_time",
            Self::NoRoot => "no_root",
            Self::Doubled => "doubled",
            Self::NotADirectory { .. } => "name_through_file",
            Self::TooManyPaths { .. } => "too_many_paths",
            Self::TooManyComponents { .. } => "too_many_components",
            Self::TooManyNames { .. } => "too_many_names",
            Self::TooManyDirectories { .. } | Self::LongDirectories { .. } => "too_many_directories",
        }
    }
}

/// Copies the beginning of a text.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests;
