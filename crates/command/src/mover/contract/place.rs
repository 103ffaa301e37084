//! Where a repository is, as far as a Job can say it.

use std::fmt;
use std::path::Path;

use kopia_rs::connection::{Connection, storage::Kind};

/// Where a repository is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Somewhere that a connection leads to.
    Known(Box<Connection>),
    /// In storage that is not known here, by its name. It is the original script's.
    Unknown(String),
}

impl Place {
    /// Returns the directory, if it is one.
    pub(crate) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Known(connection) => connection.storage.directory(),
            Self::Unknown(_) => None,
        }
    }

    /// Returns what kind of storage it is.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Known(connection) => Some(connection.storage.kind()),
            Self::Unknown(_) => None,
        }
    }

    /// Returns whether two settings do not contradict each other: they name one directory, or storage of one
    /// kind, of which one of them says more.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.directory() == other.directory() && self.kind() == other.kind()
    }
}

impl From<Connection> for Place {
    fn from(connection: Connection) -> Self {
        Self::Known(Box::new(connection))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(connection) => connection.fmt(f),
            Self::Unknown(name) => f.write_str(name),
        }
    }
}
