//! `repository.config`, which kopia writes when it connects. Authority: Kopia's `repo/local_config.go`.
//!
//! It is JSON as Go reads it. What it says of caches, actions and writing means nothing to a reader.

use std::path::Path;

use kopia_format::go_json::{self, Object};

use crate::storage::Storage;
use crate::storage::json::{self, Flaw};
use crate::{Connection, Error, Limits, Result, file, stored_password};

/// What a configuration says.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Configuration {
    /// Where the repository is; a configuration may say only how it is used.
    pub storage: Option<Storage>,
    /// The user's name, without the host's.
    pub username: Option<String>,
    /// The host's name.
    pub hostname: Option<String>,
    /// What the user wrote about it.
    pub description: Option<String>,
    /// How much may be asked of the server.
    pub limits: Limits,
}

impl Configuration {
    /// Parses the text of a configuration. `what` names it in errors, which quote nothing of it.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::UnknownStorage`].
    pub fn parse(text: &str, what: &str) -> Result<Self> {
        configuration(text).map_err(|flaw| match flaw {
            Flaw::Malformed(why) => Error::Config { what: what.into(), why },
            Flaw::UnknownType(name) => {
                Error::UnknownStorage { name: format!("storage of the type {name:?}") }
            }
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`Self::parse`]; [`Error::Read`].
    pub fn read(file: &Path) -> Result<Self> {
        Self::parse(&file::read(file)?, &file.display().to_string())
    }

    /// Returns the connection, if there is one.
    pub fn connection(self) -> Option<Connection> {
        let Self { storage, username, hostname, description, limits } = self;
        Some(Connection { username, hostname, description, limits, ..Connection::new(storage?) })
    }
}

/// Reads the connection that a file holds, and the password that kopia stored beside it.
///
/// # Errors
/// [`Error::Config`], also where it names no storage; [`Error::UnknownStorage`]; [`Error::Read`].
pub fn read(file: &Path) -> Result<Connection> {
    let none = || Error::Config {
        what: file.display().to_string(),
        why: "it names no storage and no server; is it a configuration that kopia wrote?".into(),
    };
    let mut connection = Configuration::read(file)?.connection().ok_or_else(none)?;
    connection.password = stored_password::of_config(file)?;
    Ok(connection)
}

/// Returns the JSON of the storage that a configuration or a token holds, as it stands.
pub(crate) fn storage_text(text: &str) -> Option<&str> {
    Object::parse(text).ok()?.text("storage")
}

fn configuration(text: &str) -> Result<Configuration, Flaw> {
    let object = Object::parse(text)?;
    let mut configuration = Configuration {
        username: name(&object, "username")?,
        hostname: name(&object, "hostname")?,
        description: name(&object, "description")?,
        ..Configuration::default()
    };
    if let Some(storage) = object.pointer("storage")? {
        let (storage, limits) = json::storage(&storage)?;
        (configuration.storage, configuration.limits) = (Some(storage), limits);
    }
    // Kopia asks for the server first.
    if let Some(server) = object.pointer("apiServer")? {
        configuration.storage = Some(Storage::Server(json::server(server)?));
        configuration.limits = Limits::default();
    }
    if let Some(limits) = object.pointer("throttlingLimits")? {
        configuration.limits = json::limits(&limits)?;
    }
    Ok(configuration)
}

fn name(object: &Object<'_>, name: &'static str) -> Result<Option<String>, go_json::Error> {
    Ok(object.value::<String>(name)?.filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests;
