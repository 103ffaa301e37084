//! The two JSON documents that a Job may carry.
//!
//! KOPIA_STRUCTURED_REPOSITORY_CONFIG is what kopia keeps about a connection (`repo/local_config.go`): only
//! the place and the identity in it matter here. One without a place is what `policyConfig` is also used for,
//! and changes no place. KOPIA_MANUAL_CONFIG says how a repository is created and cached, which a restore
//! does neither.

use kopia_rs::storage::Location;
use kopia_rs::storage::location::Backend;
use serde_json::{Map, Value};

use super::environment::{Environment, Variable};
use crate::mover::account::line::SetupError;

/// What a structured configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Structured {
    /// `None` where it says nothing of it, but only how a connection behaves.
    pub(crate) location: Option<Location>,
    /// The identity of the connection, which counts where the environment gives none.
    pub(crate) username: Option<String>,
    pub(crate) hostname: Option<String>,
}

/// The variable, and the field of a ReplicationDestination that sets it.
pub(crate) const NAME: &str = "KOPIA_STRUCTURED_REPOSITORY_CONFIG";

/// Reads the structured configuration, if there is one.
pub(crate) fn structured(environment: &Environment) -> Result<Option<Structured>, SetupError> {
    let Some(text) = environment.text(Variable::StructuredConfig)? else { return Ok(None) };
    // What serde says may quote the document, and that may hold keys.
    let bad = || SetupError::setting(NAME, "is not the JSON of a kopia configuration");
    let config: Value = serde_json::from_str(text).map_err(|_| bad())?;
    let config = config.as_object().ok_or_else(bad)?;
    let identity = |name: &str| match field(config, name) {
        None => Ok(None),
        Some(value) => {
            value.as_str().map(|text| Some(text.to_owned()).filter(|text| !text.is_empty())).ok_or_else(bad)
        }
    };
    let (username, hostname) = (identity("username")?, identity("hostname")?);
    let storage = match field(config, "storage") {
        None => None,
        Some(storage) => Some(storage.as_object().ok_or_else(bad)?),
    };
    // A server of kopia's own is connected to by `apiServer`, which goes before `storage`, as in kopia.
    let location = if field(config, "apiServer").is_some() {
        Some(Location::Unsupported(Backend::Server))
    } else {
        storage.map(location).transpose()?
    };
    Ok(Some(Structured { location, username, hostname }))
}

/// Reads `storage`: a type and what that needs.
fn location(storage: &Map<String, Value>) -> Result<Location, SetupError> {
    let kind = field(storage, "type").and_then(Value::as_str);
    let kind = kind.ok_or_else(|| SetupError::setting(NAME, "has a storage without type"))?;
    if kind != "filesystem" {
        let unknown = || Location::Unknown(format!("storage of the type {kind:?}"));
        return Ok(Backend::of_type(kind).map_or_else(unknown, Location::Unsupported));
    }
    let config = field(storage, "config").and_then(Value::as_object);
    match config.and_then(|config| field(config, "path")).and_then(Value::as_str) {
        Some(path) => Location::parse(format!("filesystem://{path}")).map_err(|_| {
            SetupError::setting(NAME, format!("has the path {path:?}, which is not absolute or holds .."))
        }),
        None => Err(SetupError::setting(NAME, "has a storage without path")),
    }
}

/// Returns the value of a key as Go finds it: in any case, where no key is written exactly so. `null` is no
/// value.
fn field<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let folded = || object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    object.get(name).or_else(folded).filter(|value| !value.is_null())
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
    use super::*;

    fn read(json: &str) -> Result<Option<Structured>, SetupError> {
        structured(&[(NAME.into(), json.into())].into_iter().collect())
    }

    #[test]
    fn place_and_identity() {
        let json = r#"{"storage":{"type":"filesystem","config":{"path":"/repository","dirShards":null}},
            "caching":{"maxCacheSize":5},"hostname":"media","username":"app","enableActions":false}"#;
        let read_config = read(json).unwrap().unwrap();
        assert_eq!(read_config.location, Some(Location::filesystem("/repository")));
        assert_eq!(
            (read_config.username.as_deref(), read_config.hostname.as_deref()),
            (Some("app"), Some("media"))
        );
        let s3 = read(r#"{"storage":{"type":"s3","config":{"bucket":"b"}}}"#).unwrap().unwrap();
        assert_eq!(s3.username, None);
        assert_eq!(structured(&std::iter::empty().collect()).unwrap(), None);
    }

    #[test]
    fn every_kind_of_storage_is_named() {
        let name = |json: &str| read(json).unwrap().unwrap().location.unwrap().to_string();
        for (kind, expected) in [
            ("s3", "S3"),
            ("azureBlob", "Azure Blob Storage"),
            ("gcs", "Google Cloud Storage"),
            ("b2", "Backblaze B2"),
            ("webdav", "WebDAV"),
            ("sftp", "SFTP"),
            ("rclone", "rclone"),
            ("gdrive", "Google Drive"),
            ("flux", "storage of the type \"flux\""),
            ("Filesystem", "storage of the type \"Filesystem\""),
        ] {
            let json = format!(r#"{{"storage":{{"type":"{kind}","config":{{"path":"/repository"}}}}}}"#);
            assert_eq!(name(&json), expected);
        }
        let server = r#""apiServer":{"url":"https://kopia:51515","serverCertFingerprint":"ab"}"#;
        assert_eq!(name(&format!("{{{server}}}")), "a Kopia repository server");
        let both = format!(r#"{{"storage":{{"type":"filesystem","config":{{"path":"/r"}}}},{server}}}"#);
        assert_eq!(name(&both), "a Kopia repository server", "the server goes first");
    }

    #[test]
    fn keys_are_gos() {
        let json = r#"{"Storage":{"TYPE":"filesystem","Config":{"Path":"/repository"}},"apiserver":null,"userName":"app"}"#;
        let read_config = read(json).unwrap().unwrap();
        assert_eq!(read_config.location, Some(Location::filesystem("/repository")));
        assert_eq!(read_config.username.as_deref(), Some("app"));
    }

    #[test]
    fn one_without_a_place_changes_none() {
        for json in ["{}", r#"{"storage":null}"#, r#"{"enableActions":true,"uploadLimits":{}}"#] {
            assert_eq!(read(json).unwrap().unwrap().location, None, "{json}");
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
