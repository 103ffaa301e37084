//! The two JSON documents that a Job may carry.
//!
//! KOPIA_STRUCTURED_REPOSITORY_CONFIG is what kopia keeps about a connection (`repo/local_config.go`): only
//! the place and the identity in it matter here. One without a place is what `policyConfig` is also used for,
//! and changes no place. KOPIA_MANUAL_CONFIG says how a repository is created and cached, which a restore
//! does neither.

use std::path::Component;

use kopia_rs::connection::config_file::Configuration;
use kopia_rs::connection::{self, Connection};

use super::environment::{Environment, Variable};
use super::place::Place;
use crate::mover::account::line::SetupError;

/// What a structured configuration says.
#[derive(Debug, Clone)]
pub(crate) struct Structured {
    /// `None` where it says nothing of it, but only how a connection behaves.
    pub(crate) place: Option<Place>,
    /// The identity of the connection, which counts where the environment gives none.
    pub(crate) username: Option<String>,
    pub(crate) hostname: Option<String>,
}

/// The variable, and the field of a ReplicationDestination that sets it.
pub(crate) const NAME: &str = "KOPIA_STRUCTURED_REPOSITORY_CONFIG";

/// Reads the structured configuration, if there is one.
pub(crate) fn structured(environment: &Environment) -> Result<Option<Structured>, SetupError> {
    let Some(text) = environment.text(Variable::StructuredConfig)? else { return Ok(None) };
    let configuration = match Configuration::parse(text, NAME) {
        Ok(configuration) => configuration,
        // Whatever else kopia may come to know is the original script's.
        Err(connection::Error::UnknownStorage { name }) => {
            return Ok(Some(Structured {
                place: Some(Place::Unknown(name)),
                username: None,
                hostname: None,
            }));
        }
        Err(error) => return Err(SetupError::new(error.to_string(), "")),
    };
    let (username, hostname) = (configuration.username.clone(), configuration.hostname.clone());
    let place = configuration.connection().map(checked).transpose()?.map(Box::new).map(Place::Known);
    Ok(Some(Structured { place, username, hostname }))
}

/// Refuses a directory that is not the same one wherever this process is.
fn checked(connection: Connection) -> Result<Connection, SetupError> {
    let is_upward = |component| component == Component::ParentDir;
    match connection.storage.directory() {
        Some(path) if !path.is_absolute() || path.components().any(is_upward) => {
            let why = format!("has the path {path:?}, which is not absolute or holds ..");
            Err(SetupError::setting(NAME, why))
        }
        _ => Ok(connection),
    }
}

/// Returns what is wrong with the manual configuration. Nothing in it matters to a restore.
pub(crate) fn manual(environment: &Environment) -> Option<String> {
    let text = environment.raw(Variable::ManualConfig)?;
    let json = text.to_str().and_then(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).ok());
    json.is_none()
        .then(|| "KOPIA_MANUAL_CONFIG is no JSON; a restore does not need it, but backups do".into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(json: &str) -> Result<Option<Structured>, SetupError> {
        structured(&[(NAME.into(), json.into())].into_iter().collect())
    }

    #[test]
    fn place_and_identity() {
        let json = r#"{"storage":{"type":"filesystem","config":{"path":"/repository","dirShards":null}},
            "caching":{"maxCacheSize":5},"hostname":"media","username":"app","enableActions":false}"#;
        let read_config = read(json).unwrap().unwrap();
        assert_eq!(read_config.place.unwrap().directory(), Some(Path::new("/repository")));
        assert_eq!(
            (read_config.username.as_deref(), read_config.hostname.as_deref()),
            (Some("app"), Some("media"))
        );
        let s3 = read(r#"{"storage":{"type":"s3","config":{"bucket":"b"}}}"#).unwrap().unwrap();
        assert_eq!((s3.username, s3.place.unwrap().to_string()), (None, "s3://b".into()));
        assert!(structured(&std::iter::empty().collect()).unwrap().is_none());
    }

    #[test]
    fn a_server_goes_first_and_unknown_storage_is_named() {
        let name = |json: &str| read(json).unwrap().unwrap().place.unwrap().to_string();
        let new = r#"{"storage":{"type":"flux","config":{"path":"/repository"}}}"#;
        assert_eq!(name(new), "storage of the type \"flux\"");
        let server = r#""apiServer":{"url":"https://kopia:51515","serverCertFingerprint":"ab"}"#;
        assert_eq!(name(&format!("{{{server}}}")), "https://kopia:51515");
        let both = format!(r#"{{"storage":{{"type":"filesystem","config":{{"path":"/r"}}}},{server}}}"#);
        assert_eq!(name(&both), "https://kopia:51515");
    }

    #[test]
    fn one_without_a_place_changes_none() {
        for json in ["{}", r#"{"storage":null}"#, r#"{"enableActions":true,"uploadLimits":{}}"#] {
            assert!(read(json).unwrap().unwrap().place.is_none(), "{json}");
        }
    }

    #[test]
    fn bad_ones_are_refused_without_quoting_them() {
        for json in [
            "{",
            "[]",
            r#"{"storage":"hush"}"#,
            r#"{"storage":{"config":{"path":"/r"}}}"#,
            r#"{"username":5}"#,
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
