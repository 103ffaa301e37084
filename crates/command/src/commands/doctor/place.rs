//! What lies around the repository: directories of this machine, or a bucket or server.

use std::path::PathBuf;

use kopia_rs::connect::survey;
use kopia_rs::connection::Environment;
use kopia_rs::diagnosis::password::PasswordSource;
use kopia_rs::diagnosis::{
    Effort, Finding, LocalPath, OpenFailure, Remote, RemoteFailure, clock, explain, explain_remote,
};
use kopia_rs::storage::{BlobStore, Surroundings};
use kopia_rs::{Error, Password};

use crate::args::Global;
use crate::session::{Choice, options};
use crate::wording::remote::remote;

/// Where the repository should be.
pub(super) enum Place {
    Local(LocalPath),
    Remote(Remote, Option<Box<dyn Surroundings>>),
}

impl Place {
    pub(super) fn of(choice: &Choice, global: &Global, environment: &Environment) -> Self {
        let connection = &choice.connection;
        match (connection.storage.directory(), remote(connection)) {
            (None, Some(remote)) => {
                // What keeps it from being looked at keeps the repository from being opened, and is told
                // there.
                let around = survey(connection, &options(global, environment.clone())).ok().flatten();
                Self::Remote(remote, around)
            }
            (directory, _) => Self::Local(LocalPath::look(directory.unwrap_or_else(|| "".as_ref()))),
        }
    }

    pub(super) fn location(&self) -> PathBuf {
        match self {
            Self::Local(path) => path.given.clone(),
            Self::Remote(remote, _) => remote.location.clone().into(),
        }
    }

    /// Returns the directory, if it is one of this machine.
    pub(super) fn local(&self) -> Option<&LocalPath> {
        if let Self::Local(path) = self { Some(path) } else { None }
    }

    /// Returns why the repository cannot be opened or listed.
    pub(super) fn explain(
        &self,
        error: &Error,
        store: Option<&dyn BlobStore>,
        password: Option<(&Password, &PasswordSource)>,
    ) -> Vec<Finding> {
        let source = password.map(|(_, source)| source);
        let password = password.map(|(password, _)| password);
        match self {
            Self::Local(path) => {
                let failure = OpenFailure { store, password, source, ..OpenFailure::new(path, error) };
                explain(failure, Effort::Doctor)
            }
            Self::Remote(remote, around) => {
                let around = around.as_deref();
                let failure = RemoteFailure::new(remote, error);
                explain_remote(RemoteFailure { store, around, password, source, ..failure }, Effort::Doctor)
            }
        }
    }

    /// Compares the clock of this machine with the server's.
    pub(super) fn clock(&self) -> Option<Finding> {
        let Self::Remote(remote, around) = self else { return None };
        // Something must have been asked before.
        let around = around.as_deref()?;
        let _ = around.look(&format!("{}kopia.repository", around.root()));
        clock(remote, around)
    }
}
