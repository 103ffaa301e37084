//! The private key of the connection.

use std::sync::Arc;

use kopia_connection::storage::SshKey;
use kopia_storage::Failure;
use russh::keys::{self, PrivateKey, decode_secret_key};
use zeroize::Zeroizing;

use crate::sftp::fault::shortened;
use crate::sftp::key_file;
use crate::sftp::place::Place;

/// The longest key that is read, in bytes. One of RSA with 16,384 bits has some 13,000.
const MAX_LENGTH: u64 = 1 << 20;

/// A private key, and what to call it in messages.
pub(super) struct Key {
    pub(super) key: Arc<PrivateKey>,
    pub(super) name: String,
}

impl Key {
    /// Reads the key that the connection names, if it does.
    pub(super) fn read(place: &Place) -> Result<Option<Self>, Failure> {
        let Some(key) = &place.sftp.key else { return Ok(None) };
        let (text, name) = match key {
            SshKey::Text(text) => {
                (Zeroizing::new(text.reveal().to_owned()), "the key of the connection".to_owned())
            }
            SshKey::File(file) => {
                let name = format!("the key {}", file.display());
                let failed = |why: String| Failure::Credentials { source_of: name.clone(), why };
                let bytes = key_file::read(file, MAX_LENGTH).map_err(|error| failed(error.to_string()))?;
                let text = str::from_utf8(&bytes).map_err(|_| failed("it is no private key".into()))?;
                (Zeroizing::new(text.to_owned()), name)
            }
            _ => return Ok(None),
        };
        let passphrase = place.sftp.passphrase.as_ref().map(|passphrase| passphrase.reveal());
        match decode(&text, passphrase) {
            Ok(key) => Ok(Some(Self { key: Arc::new(key), name })),
            Err(why) => Err(Failure::Credentials { source_of: name, why }),
        }
    }
}

/// Reads the text of a key, or why it cannot be used.
fn decode(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, String> {
    // Keys that were pasted have blanks at the ends of lines, and none may follow a line's end.
    let lines: Vec<&str> = text.trim().lines().map(str::trim).collect();
    let text = Zeroizing::new(lines.join("\n"));
    if text.starts_with("ssh-") || text.starts_with("ecdsa-") {
        return Err("it is the public key, not the private one".into());
    }
    decode_secret_key(&text, passphrase.filter(|passphrase| !passphrase.is_empty())).map_err(|error| {
        match (error, passphrase) {
            (keys::Error::KeyIsEncrypted, _) => {
                "it has a passphrase: give that, too, or add the key to an agent".into()
            }
            (keys::Error::CouldNotReadKey, _) => "it is no private key of OpenSSH, PEM or PKCS#8".into(),
            // A wrong passphrase shows as one of many errors of ciphers and formats.
            (error, Some(_)) => {
                format!(
                    "the passphrase does not open it, or it is damaged ({})",
                    shortened(&error.to_string())
                )
            }
            (error, None) => shortened(&error.to_string()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by ssh-keygen for this test; the passphrase is "example".
    const SEALED: &str = include_str!("key/sealed");
    const PLAIN: &str = include_str!("key/plain");

    #[test]
    fn keys_open_with_their_passphrases() {
        assert!(decode(PLAIN, None).is_ok());
        assert!(decode(&PLAIN.replace('\n', " \r\n  "), None).is_ok(), "pasted");
        assert!(decode(SEALED, Some("example")).is_ok());
        assert!(decode(SEALED, None).unwrap_err().contains("has a passphrase"));
        assert!(decode(SEALED, Some("")).unwrap_err().contains("has a passphrase"));
        assert!(decode(SEALED, Some("wrong")).unwrap_err().contains("passphrase does not open it"));
    }

    #[test]
    fn what_is_no_key_is_told() {
        assert!(decode("", None).unwrap_err().contains("no private key"));
        assert!(decode("hello", None).unwrap_err().contains("no private key"));
        assert!(decode("ssh-ed25519 AAAA me", None).unwrap_err().contains("public key"));
    }
}
