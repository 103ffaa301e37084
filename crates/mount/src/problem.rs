//! What cannot be shown, or not be read.

use std::fmt;
use std::sync::Arc;

use kopia_format::directory::Refused;

/// Takes what cannot be shown or read, from any thread; it must not read the mounted files.
pub type Tell = Arc<dyn Fn(&Problem) + Send + Sync>;

/// Something that cannot be shown or read. Each is told once.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// An entry has no place in its folder, and is left out.
    LeftOut {
        /// Where its folder is, below the mount point.
        folder: String,
        /// Which one, and why.
        refused: Refused,
    },
    /// An entry has a longer name than files can have, and is left out.
    NameTooLong {
        /// Where its folder is, below the mount point.
        folder: String,
        /// The beginning of its name.
        name: String,
    },
    /// A folder lies in itself, and is not shown there once more.
    Cycle {
        /// Where it would be, below the mount point.
        path: String,
    },
    /// A folder has more entries than are kept in memory; the others are not shown.
    TooMany {
        /// Where the folder is, below the mount point.
        path: String,
        /// How many are shown.
        shown: usize,
    },
    /// A link leads nowhere that the system could follow.
    Target {
        /// Where it is, below the mount point.
        path: String,
    },
    /// A folder, file or link cannot be read.
    Unreadable {
        /// Where it is, below the mount point.
        path: String,
        /// Why.
        error: kopia_repository::Error,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut { folder, refused } => {
                write!(f, "{}: {}", joined(folder, &refused.name), refused.reason())
            }
            Self::NameTooLong { folder, name } => {
                write!(
                    f,
                    "{}…: the name has more than {} bytes",
                    joined(folder, name),
                    crate::listings::MAX_NAME
                )
            }
            Self::Cycle { path } => write!(f, "{path}: the folder lies in itself"),
            Self::TooMany { path, shown } => {
                write!(f, "{path}: the folder has more than {shown} entries; the others are not shown")
            }
            Self::Target { path } => {
                write!(f, "{path}: the link has no target, or one that no path can be")
            }
            Self::Unreadable { path, error } => {
                write!(f, "{path}: {error}")?;
                let mut error: &dyn std::error::Error = error;
                while let Some(source) = error.source() {
                    write!(f, ": {source}")?;
                    error = source;
                }
                Ok(())
            }
        }
    }
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
