//! The format blob, `kopia.repository`: plain JSON outside, the repository's format sealed inside.
//!
//! Anybody can read the [`Envelope`]; only the password opens the [`RepositoryFormat`]. Authority:
//! `repo/format/format_blob.go`, `repo/format/repository_config.go`, `repo/format/upgrade_lock.go`.

mod feature;
mod lock;
mod replica;
mod retention;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

pub use feature::{RequiredFeature, Understanding};
pub use lock::UpgradeLock;
pub use replica::find_replica;
pub use retention::{BlobRetention, RETENTION_ID};

use crate::{Error, Result, json};

/// The name of the format blob.
pub const BLOB_ID: &str = "kopia.repository";

const WHAT: &str = "format blob";

/// The only cipher of the format blob.
const ENCRYPTION: &str = "AES256_GCM";

/// The pack size of repositories that state none, in bytes.
const DEFAULT_MAX_PACK_SIZE: u64 = 20 << 20;

/// The outside of the format blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The program that wrote it, for people.
    pub tool: String,
    /// The version of that program, for people; empty for builds without one.
    pub build_version: String,
    /// The salt of the password, unique to the repository.
    pub unique_id: Vec<u8>,
    /// The name of the key derivation.
    pub key_algorithm: String,
    /// The sealed [`RepositoryFormat`].
    pub sealed_format: Vec<u8>,
}

impl Envelope {
    /// Parses the blob.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is not the JSON that kopia writes; [`Error::Unsupported`] for another
    /// encryption.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            #[serde(default)]
            tool: String,
            #[serde(default)]
            build_version: String,
            #[serde(rename = "uniqueID", deserialize_with = "base64")]
            unique_id: Zeroizing<Vec<u8>>,
            #[serde(rename = "keyAlgo")]
            key_algorithm: String,
            encryption: String,
            #[serde(deserialize_with = "base64")]
            encrypted_block_format: Zeroizing<Vec<u8>>,
        }
        let raw: Raw = json::parse(WHAT, bytes)?;
        if raw.encryption != ENCRYPTION {
            return Err(Error::unsupported("encryption of the format blob", raw.encryption));
        }
        Ok(Self {
            tool: raw.tool,
            build_version: raw.build_version,
            unique_id: raw.unique_id.to_vec(),
            key_algorithm: raw.key_algorithm,
            sealed_format: raw.encrypted_block_format.to_vec(),
        })
    }
}

/// The inside of the format blob: how everything else is named, sealed and laid out.
///
/// The two keys are wiped when it is dropped, and `Debug` does not show them.
#[derive(Clone)]
pub struct RepositoryFormat {
    /// The name of the hash that contents are named by.
    pub hash: String,
    /// The name of the encryption of contents and index blobs.
    pub encryption: String,
    /// The name of the error correction, empty for none.
    pub ecc: String,
    /// The share of error correction, in percent of the bytes; 0 for none.
    pub ecc_overhead_percent: u32,
    /// The key of the hash.
    pub secret: Zeroizing<Vec<u8>>,
    /// The key that the encryption's keys are made from.
    pub master_key: Zeroizing<Vec<u8>>,
    /// The format version: 1, 2 or 3.
    pub version: u32,
    /// The size at which kopia finishes a pack, in bytes.
    pub max_pack_size: u64,
    /// The version of the index blobs that kopia writes now; older blobs remain.
    pub index_version: u32,
    /// Whether index blobs are managed in epochs.
    pub epochs: bool,
    /// How kopia manages them.
    pub epoch_parameters: EpochParameters,
    /// The name of the splitter, for people.
    pub splitter: String,
    /// Whether the password can be changed; if not, packs hold replicas of the format blob.
    pub password_change: bool,
    /// The upgrade that is announced or under way, if any.
    pub upgrade_lock: Option<UpgradeLock>,
    /// What a reader must understand.
    pub required_features: Vec<RequiredFeature>,
}

/// How kopia manages index blobs in epochs. Durations are in nanoseconds. Authority: Kopia's
/// `internal/epoch/epoch_manager.go`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EpochParameters {
    /// Whether it does so at all.
    pub enabled: bool,
    /// How often it looks for a new epoch.
    pub epoch_refresh_frequency: i64,
    /// After how many epochs it writes a full checkpoint.
    pub full_checkpoint_frequency: i64,
    /// How long it leaves what nothing needs any more.
    pub cleanup_safety_margin: i64,
    /// How long an epoch lasts at least.
    pub min_epoch_duration: i64,
    /// With how many index blobs the next epoch begins.
    pub epoch_advance_on_count_threshold: i64,
    /// With how many bytes of them it begins.
    pub epoch_advance_on_total_size_bytes_threshold: i64,
    /// How many blobs it deletes at once.
    pub delete_parallelism: i64,
}

impl RepositoryFormat {
    /// Parses the inside of the blob, once it is decrypted.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is not the JSON that kopia writes, without quoting any of it;
    /// [`Error::Unsupported`] for a format version that this crate does not know.
    pub fn parse(plain: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Outer {
            format: Raw,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            #[serde(default)]
            hash: String,
            #[serde(default)]
            encryption: String,
            #[serde(default)]
            ecc: String,
            #[serde(default)]
            ecc_overhead_percent: u32,
            #[serde(default, deserialize_with = "base64")]
            secret: Zeroizing<Vec<u8>>,
            #[serde(default, deserialize_with = "base64")]
            master_key: Zeroizing<Vec<u8>>,
            #[serde(default)]
            version: u32,
            #[serde(default)]
            max_pack_size: u64,
            #[serde(default)]
            index_version: u32,
            #[serde(default)]
            epoch_parameters: Option<EpochParameters>,
            #[serde(default)]
            splitter: String,
            #[serde(default)]
            enable_password_change: bool,
            #[serde(default)]
            upgrade_lock: Option<UpgradeLock>,
            #[serde(default)]
            required_features: Option<Vec<RequiredFeature>>,
        }
        let Outer { format: raw } = json::parse_secret("repository format", plain)?;
        if !(1..=3).contains(&raw.version) {
            return Err(Error::unsupported("format version", raw.version));
        }
        let epochs = raw.epoch_parameters.unwrap_or_default();
        Ok(Self {
            hash: raw.hash,
            encryption: raw.encryption,
            ecc: raw.ecc,
            ecc_overhead_percent: raw.ecc_overhead_percent,
            secret: raw.secret,
            master_key: raw.master_key,
            version: raw.version,
            max_pack_size: if raw.max_pack_size == 0 { DEFAULT_MAX_PACK_SIZE } else { raw.max_pack_size },
            index_version: raw.index_version.max(1),
            epochs: epochs.enabled,
            epoch_parameters: epochs,
            splitter: raw.splitter,
            password_change: raw.enable_password_change,
            upgrade_lock: raw.upgrade_lock.filter(|lock| !lock.owner_id.is_empty()),
            required_features: raw.required_features.unwrap_or_default(),
        })
    }

    /// Wipes both keys, once ciphers and hashes were made of them.
    pub fn forget_keys(&mut self) {
        self.secret.zeroize();
        self.master_key.zeroize();
    }
}

impl fmt::Debug for RepositoryFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepositoryFormat")
            .field("version", &self.version)
            .field("hash", &self.hash)
            .field("encryption", &self.encryption)
            .finish_non_exhaustive()
    }
}

/// Decodes standard base64, or `null` for nothing, straight into memory that is wiped when dropped.
fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Zeroizing<Vec<u8>>, D::Error> {
    struct Text;

    impl serde::de::Visitor<'_> for Text {
        type Value = Zeroizing<Vec<u8>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("base64")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Self::Value, E> {
            // Large enough from the start: memory that a vector outgrows is not wiped.
            let mut bytes = Zeroizing::new(Vec::with_capacity(base64::decoded_len_estimate(text.len())));
            // The decoder's own error would show bytes of the text.
            STANDARD.decode_vec(text, &mut bytes).map_err(|_| E::custom("no base64"))?;
            Ok(bytes)
        }

        fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
            Ok(Zeroizing::default())
        }
    }

    deserializer.deserialize_any(Text)
}

#[cfg(test)]
mod tests;
