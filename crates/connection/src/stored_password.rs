//! Passwords that kopia stored when it connected. Authority: Kopia's `internal/passwordpersist`.
//!
//! Kopia keeps one in a file beside the configuration, unless it was told to use the key ring of the system.
//! Here is what it is called in one; `kopia-remote` asks for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kopia_codec::key::Password;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{Error, Result, file};

/// Returns the file that kopia stores the password of a configuration in.
pub fn file(config: &Path) -> PathBuf {
    let mut name = OsString::from(config);
    name.push(".kopia-password");
    name.into()
}

/// Returns what kopia calls the password of a configuration in a key ring. It is another one if the same file
/// is named in another way.
///
/// ```
/// # use kopia_connection::stored_password::key_ring_name;
/// let name = key_ring_name("/home/me/.config/kopia/repository.config".as_ref());
/// // As `printf %s /home/me/.config/kopia/repository.config | sha256sum` has it.
/// assert_eq!(name, "repository.config-9d6b393445cff035");
/// ```
pub fn key_ring_name(config: &Path) -> String {
    let name = config.file_name().unwrap_or_default().to_string_lossy();
    let hash = Sha256::digest(config.as_os_str().as_encoded_bytes());
    let hex: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{hex}")
}

/// Reads the password that is stored for a configuration, if one is. It is not trimmed.
///
/// # Errors
/// [`Error::Read`]; [`Error::Config`] where the file holds no base64.
pub fn of_config(config: &Path) -> Result<Option<Password>> {
    let stored = file(config);
    let text = match file::read(&stored) {
        Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    parse(&text).map(Some).ok_or_else(|| Error::Config {
        what: stored.display().to_string(),
        why: "a stored password is base64, and this is none".into(),
    })
}

/// Returns the text of such a file.
pub fn text(password: &Password) -> Zeroizing<String> {
    Zeroizing::new(STANDARD.encode(password.as_bytes()))
}

/// Reads the text of such a file; `None` if it is no base64.
pub fn parse(text: &str) -> Option<Password> {
    let mut letters = Zeroizing::new(Vec::with_capacity(text.len()));
    letters.extend(text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    let mut bytes = Zeroizing::new(vec![0; letters.len()]);
    let length = STANDARD.decode_slice(&letters[..], &mut bytes[..]).ok()?;
    bytes.truncate(length);
    // The whole buffer is taken over, and wiped to its end.
    Some(Password::new(std::mem::take(&mut *bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_read_as_kopia_writes_them() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("repository.config");
        assert!(of_config(&config).unwrap().is_none());
        let stored = directory.path().join("repository.config.kopia-password");
        assert_eq!(super::file(&config), stored);
        for (text, password) in [
            ("cHctRXhhbXBsZTE=", Some("pw-Example1")),
            ("cHctRXhhbXBsZTE=\n", Some("pw-Example1")),
            ("IHB3IA==", Some(" pw ")),
            ("", Some("")),
            ("cHctRXhhbXBsZTE", None),
            ("hush!", None),
        ] {
            std::fs::write(&stored, text).unwrap();
            let read = of_config(&config);
            match password {
                Some(password) => {
                    let read = read.unwrap().unwrap();
                    assert_eq!(read.as_bytes(), password.as_bytes());
                    assert_eq!(*super::text(&read), *text.trim());
                }
                None => {
                    let said = read.unwrap_err().to_string();
                    assert!(said.contains("kopia-password") && !said.contains(text), "{said}");
                }
            }
        }
    }
}
