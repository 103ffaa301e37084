//! Where a server is: scheme, host and port.

use std::fmt;

use kopia_storage::Failure;
use percent_encoding::percent_decode_str;

/// The user and the password that a URL holds.
pub(crate) type User = (String, String);

/// The scheme, host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// Takes `host` or `host:port`; an IPv6 address stands in brackets where a port follows it.
    pub(crate) fn new(secure: bool, endpoint: &str) -> Result<Self, Failure> {
        let bad = || Failure::Unusable { what: format!("{endpoint:?} is not a host with or without a port") };
        let default = if secure { 443 } else { 80 };
        let (host, port) = match endpoint.rsplit_once(':') {
            // An IPv6 address without a port.
            Some((before, _)) if before.contains(':') && !before.ends_with(']') => {
                (endpoint.to_string(), default)
            }
            Some((host, port)) if !endpoint.ends_with(']') => {
                (host.to_string(), port.parse().map_err(|_| bad())?)
            }
            _ => (endpoint.to_string(), default),
        };
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let known = |c: char| c.is_ascii_alphanumeric() || "-._~:%".contains(c) || !c.is_ascii();
        if host.is_empty() || !host.chars().all(known) {
            return Err(bad());
        }
        Ok(Self { secure, host, port })
    }

    /// Splits a URL into its origin, its user and password, decoded, and what follows, byte for byte.
    pub(crate) fn of_url(url: &str) -> Result<(Self, Option<User>, String), Failure> {
        let bad = || Failure::Unusable { what: "a URL does not begin with https:// or http://".into() };
        let (scheme, rest) = url.split_once("://").ok_or_else(bad)?;
        let secure = match &*scheme.to_ascii_lowercase() {
            "https" => true,
            "http" => false,
            _ => return Err(bad()),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            (decoded(name), decoded(password))
        });
        Ok((Self::new(secure, host)?, user, path.to_string()))
    }

    /// Returns whether it speaks TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the host, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns what stands in the header `Host`: the port only if it is not the usual one.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_port_is_not_part_of_the_authority() {
        for (secure, endpoint, authority) in [
            (true, "S3.amazonaws.com", "s3.amazonaws.com"),
            (true, "minio:443", "minio"),
            (false, "minio:443", "minio:443"),
            (false, "127.0.0.1:9000", "127.0.0.1:9000"),
            (true, "[::1]:9000", "[::1]:9000"),
            (true, "[::1]", "[::1]"),
            (true, "::1", "[::1]"),
        ] {
            assert_eq!(Origin::new(secure, endpoint).unwrap().authority(), authority, "{endpoint}");
        }
        for bad in ["", "a b", "a/b", "host:port", "host:70000", "user@host", "http://host"] {
            assert!(Origin::new(true, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_url_is_split_and_its_path_stays_as_it_is() {
        let (origin, user, path) = Origin::of_url("https://al%40ice:p%3Aw@h:8443//a%2Fb?c#d").unwrap();
        assert_eq!(origin.to_string(), "https://h:8443");
        assert_eq!(user, Some(("al@ice".into(), "p:w".into())));
        assert_eq!(path, "//a%2Fb?c#d");
        assert_eq!(Origin::of_url("HTTP://h").unwrap().0.to_string(), "http://h");
        assert!(
            Origin::of_url("ftp://user:secret@h").is_err_and(|error| !error.to_string().contains("secret"))
        );
    }
}
