//! What must not be seen of a repository: its password, and every key on the way from it to the contents.
//!
//! ```
//! use kopia_testkit::{damage, golden, secrets};
//!
//! let copy = damage::copy_repository(&golden::case("kdf-pbkdf2"));
//! secrets::change_password(&copy.path(), "golden", "correct horse");
//! let secrets = secrets::of(&copy.path(), "correct horse");
//! assert_eq!(secrets::found(&secrets, b"Password: correct horse"), ["password"]);
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use kopia_codec::key::{FormatKey, KeyDerivation, Password};
use memchr::memmem;
use serde_json::{Value, json};
use sha2::Sha256;

/// A secret with its name.
#[derive(Clone)]
pub struct Secret {
    /// What it is, such as `master key`.
    pub name: String,
    /// The secret itself.
    pub bytes: Vec<u8>,
}

/// Derives everything secret of the repository in `directory`.
///
/// | name | what |
/// |---|---|
/// | `password` | what was given |
/// | `derived key` | what scrypt or PBKDF2 makes of it |
/// | `format key`, `format data` | what opens the format blob, made of the derived key |
/// | `master key`, `hash secret` | what the format blob holds |
/// | `content secret` | what the keys of contents are made with, made of the master key |
///
/// # Panics
///
/// When the password does not open it.
pub fn of(directory: &Path, password: &str) -> Vec<Secret> {
    let blob = Blob::read(directory);
    let mut derived = [0; 32];
    match blob.derivation {
        KeyDerivation::Scrypt65536 => {
            let params = scrypt::Params::new(16, 8, 1).expect("kopia's parameters");
            scrypt::scrypt(password.as_bytes(), &blob.unique_id, &params, &mut derived).expect("32 bytes");
        }
        KeyDerivation::Pbkdf2Sha256 => {
            pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &blob.unique_id, 600_000, &mut derived);
        }
        other => panic!("{other:?}"),
    }
    let format = blob.open(&blob.key(blob.derivation, password));
    let in_format = |field: &str| decode(&format["format"], field);
    let master_key = in_format("masterKey");
    let format_key = |purpose: &[u8]| expand(&blob.unique_id, &derived, purpose);
    let secrets = [
        ("password", password.into()),
        ("derived key", derived.into()),
        ("format key", format_key(b"AES")),
        ("format data", format_key(b"CHECKSUM")),
        ("content secret", expand(b"encryption", &master_key, b"")),
        ("hash secret", in_format("secret")),
        ("master key", master_key),
    ];
    secrets.map(|(name, bytes)| Secret { name: name.into(), bytes }).into()
}

/// Changes the password of the repository in `directory`, and nothing else.
///
/// # Panics
///
/// When the old password does not open it.
pub fn change_password(directory: &Path, old: &str, new: &str) {
    rewrite(directory, old, new, |_| ());
}

/// Changes what the format blob holds.
///
/// # Panics
///
/// When the password does not open it.
pub fn change_format(directory: &Path, password: &str, change: impl FnOnce(&mut Value)) {
    rewrite(directory, password, password, |json| change(&mut json["format"]));
}

fn rewrite(directory: &Path, old: &str, new: &str, change: impl FnOnce(&mut Value)) {
    let mut blob = Blob::read(directory);
    let mut format = blob.open(&blob.key(blob.derivation, old));
    change(&mut format);
    let new = blob.key(blob.derivation, new);
    let sealed = new.seal(&blob.unique_id, [5; 12], format.to_string().as_bytes());
    blob.outside["encryptedBlockFormat"] = json!(STANDARD.encode(sealed));
    fs::write(path(directory), blob.outside.to_string()).expect("the format blob can be written");
}

/// Returns the names of those secrets that `text` shows: as they are, in hexadecimal digits, in base64, or as
/// the numbers that `Debug` writes. Half a key is as good as one.
pub fn found<'a>(secrets: &'a [Secret], text: &[u8]) -> Vec<&'a str> {
    let shown = |secret: &&Secret| {
        spellings(&secret.bytes).iter().any(|spelling| memmem::find(text, spelling).is_some())
    };
    secrets.iter().filter(shown).map(|secret| &*secret.name).collect()
}

fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let halves = match secret.len() {
        32.. => secret.chunks(secret.len().div_ceil(2)).collect(),
        _ => vec![secret],
    };
    let mut spellings = Vec::new();
    for half in halves {
        let hex: String = half.iter().map(|byte| format!("{byte:02x}")).collect();
        let numbers = format!("{half:?}");
        spellings.push(hex.to_uppercase().into_bytes());
        spellings.push(hex.into_bytes());
        spellings.push(numbers.trim_matches(['[', ']']).as_bytes().to_vec());
        spellings.push(half.to_vec());
    }
    // Whole: where the second half begins depends on the first one. The last letter depends on what follows.
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        let mut text = engine.encode(secret).into_bytes();
        text.pop();
        spellings.push(text);
    }
    spellings
}

/// The outside of a format blob.
struct Blob {
    outside: Value,
    unique_id: Vec<u8>,
    sealed: Vec<u8>,
    derivation: KeyDerivation,
}

impl Blob {
    fn read(directory: &Path) -> Self {
        let bytes = fs::read(path(directory)).expect("the repository has a format blob");
        let outside: Value = serde_json::from_slice(&bytes).expect("a format blob is JSON");
        let algorithm = outside["keyAlgo"].as_str().expect("a format blob names its derivation");
        Self {
            unique_id: decode(&outside, "uniqueID"),
            sealed: decode(&outside, "encryptedBlockFormat"),
            derivation: KeyDerivation::from_name(algorithm).expect("kopia's derivations are known"),
            outside,
        }
    }

    fn key(&self, derivation: KeyDerivation, password: &str) -> FormatKey {
        derivation.derive(&Password::from(password), &self.unique_id).expect("the salt is long enough")
    }

    fn open(&self, key: &FormatKey) -> Value {
        let plain = key.open(&self.unique_id, &self.sealed).expect("the password is that of the repository");
        serde_json::from_slice(&plain).expect("the format is JSON")
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("kopia.repository.f")
}

fn decode(json: &Value, field: &str) -> Vec<u8> {
    STANDARD.decode(json[field].as_str().expect("the field is text")).expect("bytes are in base64")
}

fn expand(salt: &[u8], key: &[u8], purpose: &[u8]) -> Vec<u8> {
    let mut expanded = vec![0; 32];
    Hkdf::<Sha256>::new(Some(salt), key).expand(purpose, &mut expanded).expect("HKDF can give 32 bytes");
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{damage, golden};

    #[test]
    fn every_spelling_is_found() {
        let bytes: Vec<u8> = (200..232).collect();
        let secrets = [Secret { name: "key".into(), bytes: bytes.clone() }];
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        for text in [
            hex.clone(),
            hex[32..].to_lowercase(),
            format!("{:?}", &bytes[..16]),
            format!("\"{}\"", STANDARD.encode(&bytes)),
        ] {
            assert_eq!(found(&secrets, format!("before {text} after").as_bytes()), ["key"], "{text}");
        }
        assert_eq!(found(&secrets, &[&[0; 9], &bytes[16..], &[0; 9]].concat()), ["key"]);
        assert!(found(&secrets, &bytes[1..31]).is_empty());
    }

    /// Opening the format blob with the codec proves the derived key; the rest is held against the one known
    /// blob.
    #[test]
    fn the_keys_are_those_of_the_repository() {
        let copy = damage::copy_repository(&golden::case("kdf-pbkdf2"));
        let before = of(&copy.path(), "golden");
        change_password(&copy.path(), "golden", "new");
        let after = of(&copy.path(), "new");
        let names = |same: bool| -> Vec<_> {
            let pairs = std::iter::zip(&before, &after);
            pairs.filter(|(a, b)| (a.bytes == b.bytes) == same).map(|(a, _)| &*a.name).collect()
        };
        assert_eq!(names(true), ["content secret", "hash secret", "master key"]);
        assert_eq!(names(false), ["password", "derived key", "format key", "format data"]);
        assert!(before.iter().all(|secret| secret.name == "password" || secret.bytes.len() == 32));
    }
}
