//! What a configuration says beside the place: who uses it, and what is kept of it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::Place;

/// Who uses a repository, and how.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Client {
    /// The host's name.
    pub hostname: String,
    /// The user's name.
    pub username: String,
    /// What the user writes about it; the place if it is empty.
    pub description: String,
    /// Whether kopia may only read.
    pub read_only: bool,
    /// Whether kopia goes on without caches of indexes that it cannot read.
    pub permissive_cache_loading: bool,
    /// Whether kopia runs commands of policies.
    pub enable_actions: bool,
    /// How long kopia keeps the format blob, in nanoseconds; 15 minutes if it is 0, never if it is negative.
    pub format_blob_cache: i64,
}

/// What kopia keeps of a repository on the local disk. Durations are in seconds, sizes in bytes; what is 0 is left
/// out.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "camelCase")]
pub struct Caching {
    /// The directory; kopia takes it from the configuration's own directory if it is relative.
    #[serde(rename = "cacheDirectory", skip_serializing_if = "is_empty")]
    pub directory: PathBuf,
    /// How large contents may become.
    #[serde(rename = "maxCacheSize", skip_serializing_if = "is_zero")]
    pub contents: i64,
    /// How large they may become at the very most.
    #[serde(rename = "contentCacheSizeLimitBytes", skip_serializing_if = "is_zero")]
    pub contents_limit: i64,
    /// How large indexes and directories may become.
    #[serde(rename = "maxMetadataCacheSize", skip_serializing_if = "is_zero")]
    pub metadata: i64,
    /// How large they may become at the very most.
    #[serde(rename = "metadataCacheSizeLimitBytes", skip_serializing_if = "is_zero")]
    pub metadata_limit: i64,
    /// How long lists of blobs are kept.
    #[serde(rename = "maxListCacheDuration", skip_serializing_if = "is_zero")]
    pub lists: i64,
    /// How long metadata are kept at least.
    #[serde(rename = "minMetadataSweepAge", skip_serializing_if = "is_zero")]
    pub metadata_age: i64,
    /// How long contents are kept at least.
    #[serde(rename = "minContentSweepAge", skip_serializing_if = "is_zero")]
    pub contents_age: i64,
    /// How long indexes are kept at least.
    #[serde(rename = "minIndexSweepAge", skip_serializing_if = "is_zero")]
    pub indexes_age: i64,
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// How long kopia keeps the format blob, in nanoseconds.
const FORMAT_BLOB_CACHE: i64 = 15 * 60 * 1_000_000_000;

/// Writes the configuration of a repository, as kopia does when it connects.
pub fn configuration(place: &Place, caching: &Caching, client: &Client) -> Zeroizing<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Fields<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        api_server: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        storage: Option<&'a RawValue>,
        caching: &'a Caching,
        hostname: &'a str,
        username: &'a str,
        #[serde(rename = "readonly", skip_serializing_if = "std::ops::Not::not")]
        read_only: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        permissive_cache_loading: bool,
        description: &'a str,
        enable_actions: bool,
        format_blob_cache_duration: i64,
    }
    let json: Option<&RawValue> = serde_json::from_str(&place.json).ok();
    let description = place.description();
    let fields = Fields {
        api_server: json.filter(|_| place.field == "apiServer"),
        storage: json.filter(|_| place.field == "storage"),
        caching,
        hostname: &client.hostname,
        username: &client.username,
        read_only: client.read_only,
        permissive_cache_loading: client.permissive_cache_loading,
        description: if client.description.is_empty() { &description } else { &client.description },
        enable_actions: client.enable_actions,
        format_blob_cache_duration: match client.format_blob_cache {
            0 => FORMAT_BLOB_CACHE,
            other => other,
        },
    };
    Zeroizing::new(serde_json::to_string_pretty(&fields).expect("plain values"))
}

/// Fields that may hold secrets. Kopia shows the last two.
pub(super) const SECRET: [&str; 13] = [
    "secretAccessKey",
    "sessionToken",
    "webIdentityToken",
    "storageKey",
    "sasToken",
    "ClientSecret",
    "clientCertificate",
    "key",
    "credentials",
    "password",
    "keyData",
    "rcloneEnv",
    "embeddedConfig",
];

/// Replaces what may be secret.
pub(super) fn scrub(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        match value {
            Value::String(text) if SECRET.contains(&&**name) => *text = "*".repeat(text.len()),
            value if SECRET.contains(&&**name) => *value = Value::Null,
            value => scrub(value),
        }
    }
}
