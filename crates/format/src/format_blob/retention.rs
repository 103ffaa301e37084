//! How long a store keeps blobs: what the repository asked it for.

use serde::{Deserialize, Serialize};

use crate::{Result, json};

/// The name of the blob that says so. It is sealed as the inside of the format blob is.
pub const RETENTION_ID: &str = "kopia.blobcfg";

/// How long a store is asked to keep blobs. Authority: Kopia's `repo/format/blobcfg_blob.go`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlobRetention {
    /// `GOVERNANCE`, `COMPLIANCE` or the store's own word; empty for none.
    #[serde(
        rename = "retentionMode",
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub mode: String,
    /// For how many nanoseconds; 0 for none.
    #[serde(
        rename = "retentionPeriod",
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "is_zero"
    )]
    pub period: i64,
}

impl BlobRetention {
    /// Parses the blob, once it is opened.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if it is not the JSON that kopia writes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        json::parse("blob retention", bytes)
    }

    /// Returns whether blobs are kept at all.
    pub fn is_enabled(&self) -> bool {
        !self.mode.is_empty() && self.period != 0
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_some() {
        let none = BlobRetention::parse(b"{}").unwrap();
        assert!(!none.is_enabled());
        assert_eq!(serde_json::to_string(&none).unwrap(), "{}");
        let text = r#"{"retentionMode":"GOVERNANCE","retentionPeriod":86400000000000}"#;
        let some = BlobRetention::parse(text.as_bytes()).unwrap();
        assert!(some.is_enabled());
        assert_eq!(serde_json::to_string(&some).unwrap(), text);
        assert!(BlobRetention::parse(b"[").is_err());
    }
}
