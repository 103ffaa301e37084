//! Passwords that kopia stored when it connected. Authority: Kopia's `internal/passwordpersist`.
//!
//! Kopia keeps one in a file beside the configuration, unless it was told to use the key ring of the system.
//! Key rings are not asked here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kopia_codec::key::Password;
use zeroize::Zeroizing;

use crate::{Error, Result, file};

/// Returns the file that kopia stores the password of a configuration in.
pub fn file(config: &Path) -> PathBuf {
    let mut name = OsString::from(config);
    name.push(".kopia-password");
    name.into()
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
                Some(password) => assert_eq!(read.unwrap().unwrap().as_bytes(), password.as_bytes()),
                None => {
                    let said = read.unwrap_err().to_string();
                    assert!(said.contains("kopia-password") && !said.contains(text), "{said}");
                }
            }
        }
    }
}
