//! Passwords that kopia stored in the key ring of the system. Authority: Kopia's
//! `internal/passwordpersist/passwordpersist_keyring.go` and go-keyring, which it calls.
//!
//! On Linux kopia keeps passwords there if it is told to (`KOPIA_USE_KEYRING`), on macOS always. go-keyring
//! opens a dialog where the ring is locked, and waits for it without end. Here that is an error within
//! seconds: whoever restores may have no screen.

#[cfg(any(target_os = "macos", all(unix, test)))]
mod keychain;
#[cfg(all(unix, not(target_os = "macos")))]
mod secret_service;

use std::fs;
use std::path::Path;

use kopia_connection::{Connection, Environment, stored_password};
use zeroize::Zeroizing;

/// Why a key ring gives no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is none that could be asked.
    #[error("this session has no key ring")]
    Absent,
    /// It can be asked only after its owner has unlocked it.
    #[error("the key ring is locked")]
    Locked,
    /// It did not answer in time.
    #[error("the key ring did not answer within {seconds} s")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// What leads to it does not work, or it answers with an error.
    #[error("the key ring cannot be asked: {why}")]
    Failed {
        /// What went wrong.
        why: String,
    },
    /// Those of this system are not known here.
    #[error("the key ring of this system cannot be read by kopia-rs")]
    Unsupported,
}

/// A password as the key ring gives it.
type Found = Result<Option<Zeroizing<Vec<u8>>>, Error>;

/// Takes the password that kopia stored for a configuration into the connection that it holds, and returns
/// whether there is one. The call takes 10 s at most (on macOS, which may ask its user, 60 s), and works
/// within an asynchronous runtime as well.
///
/// # Errors
/// Each variant of [`Error`].
pub fn fill(connection: &mut Connection, config: &Path, environment: &Environment) -> Result<bool, Error> {
    let found = find(names(config), user(environment), environment)?;
    let is_found = found.is_some();
    if let Some(mut password) = found {
        // The buffer itself is taken over, and wiped there.
        connection.password = Some(std::mem::take(&mut *password).into());
    }
    Ok(is_found)
}

#[cfg(target_os = "macos")]
fn find(names: Vec<String>, user: String, _: &Environment) -> Found {
    keychain::find(keychain::SECURITY.as_ref(), &names, &user)
}

#[cfg(all(unix, not(target_os = "macos")))]
fn find(names: Vec<String>, user: String, environment: &Environment) -> Found {
    secret_service::find(names, user, environment)
}

#[cfg(not(unix))]
fn find(_: Vec<String>, _: String, _: &Environment) -> Found {
    Err(Error::Unsupported)
}

/// Returns what kopia may call the password: by the path as it is given, as kopia has it, and by the whole
/// one, by which it may have been given to kopia.
fn names(config: &Path) -> Vec<String> {
    let mut names = vec![stored_password::key_ring_name(config)];
    let absolute = std::path::absolute(config).ok().map(|path| stored_password::key_ring_name(&path));
    names.extend(absolute.filter(|name| *name != names[0]));
    names
}

/// Returns the name of the user that this process runs as: what Go says, which asks for the real id.
#[cfg(unix)]
fn user(environment: &Environment) -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(&*id)).then(|| name.to_owned())
    });
    // Users of directory services are not listed.
    let set = || ["USER", "LOGNAME"].iter().find_map(|name| environment.var(name)).map(str::to_owned);
    listed.or_else(set).unwrap_or_else(|| "nobody".into())
}

#[cfg(not(unix))]
fn user(environment: &Environment) -> String {
    environment.var("USERNAME").unwrap_or("nobody").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_called_as_it_is_named_and_by_its_whole_path() {
        assert_eq!(names("/a/b.config".as_ref()).len(), 1);
        let [given, whole] = &names("b.config".as_ref())[..] else { panic!("two names") };
        assert!(given.starts_with("b.config-") && whole.starts_with("b.config-") && given != whole);
    }
}
