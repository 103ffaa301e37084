//! How people and kopia write down where a repository is.

use kopia_connection::config_file::Configuration;
use kopia_connection::{Connection, Error, stored_password, token};

/// The longest error: it names a thing, and quotes no text.
const LONGEST: usize = 64 << 10;

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Names a connection in each way that people see it.
fn check(connection: Result<Connection, Error>) {
    match connection {
        Ok(connection) => {
            let _ = (connection.location(), format!("{connection} {connection:?}"));
        }
        Err(error) => assert!(error.to_string().len() < LONGEST, "{error}"),
    }
}

/// `repository.config`.
pub fn configuration(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match Configuration::parse(text, "a file") {
        Ok(configuration) => {
            if let Some(connection) = configuration.connection() {
                check(Ok(connection));
            }
        }
        Err(error) => check(Err(error)),
    }
}

/// Reconnect tokens: as they are, and the JSON in one.
pub fn reconnect_token(bytes: &[u8]) {
    use base64::Engine as _;
    if let Some(text) = text(bytes) {
        check(token::parse(text));
    }
    check(token::parse(&base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes)));
}

/// Paths and URLs. What stands before the host is in no error.
pub fn location(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    check(Connection::parse(text));
    if let Some((scheme, rest)) = text.split_once("://")
        && !rest.contains('@')
        && is_url(scheme)
    {
        let secret = format!("{scheme}://alice:s3cr3t-s3cr3t@{rest}");
        match Connection::parse(&secret) {
            Ok(connection) => {
                let shown = format!("{connection} {connection:?}");
                assert!(!shown.contains("s3cr3t-s3cr3t"), "{shown}");
            }
            Err(error) => assert!(!error.to_string().contains("s3cr3t-s3cr3t"), "{error}"),
        }
    }
}

/// Anything else is a path, which may have any name.
fn is_url(scheme: &str) -> bool {
    ["s3", "sftp", "webdav", "webdavs", "http", "https", "kopia", "kopias"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Passwords that kopia stored.
pub fn password_file(bytes: &[u8]) {
    if let Some(text) = text(bytes)
        && let Some(password) = stored_password::parse(text)
    {
        assert!(password.as_bytes().len() <= text.len());
    }
}
