//! Where a repository server listens.

use std::path::PathBuf;

use kopia_storage::Failure;

/// The port that Kopia's own server takes if it is told none.
const PORT: u16 = 51515;

/// Where a repository server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) way: Way,
    /// The name that its certificate is for.
    pub(super) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    Tcp(u16),
    Unix(PathBuf),
}

impl Address {
    /// Reads a URL: `https://host:port`, `kopia://host`, `kopias://host` or `unix+https:///socket`.
    ///
    /// With `https` a missing port is 443, otherwise that of Kopia's server. Users and paths are no part of
    /// the address.
    pub(super) fn parse(url: &str) -> Result<Self, Failure> {
        let bad =
            |why: &str| Failure::Unusable { what: format!("the server's URL {}: {why}", without_user(url)) };
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| bad("it begins with no https:// or kopia://"))?;
        let port = match &*scheme.to_ascii_lowercase() {
            "unix+https" if rest.starts_with('/') => {
                return Ok(Self { way: Way::Unix(rest.into()), name: "localhost".into() });
            }
            "unix+https" => return Err(bad("the path of a socket begins with /")),
            "https" => 443,
            "kopia" | "kopias" => PORT,
            "unix+http" => {
                return Err(bad(
                    "a socket is spoken to by TLS; write unix+https:// for a server that has it",
                ));
            }
            _ => return Err(bad("it begins with no https:// or kopia://")),
        };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let (name, given) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((name, rest)) => (name, rest.strip_prefix(':')),
            None => host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
        };
        if name.is_empty() || (name.contains(':') && !host.starts_with('[')) {
            return Err(bad("it names no host"));
        }
        let port = match given.filter(|port| !port.is_empty()) {
            Some(port) => port.parse().map_err(|_| bad("its port is no number below 65536"))?,
            None => port,
        };
        Ok(Self { way: Way::Tcp(port), name: name.to_ascii_lowercase() })
    }

    /// Returns what messages and requests call it: the host with its port.
    pub(super) fn authority(&self) -> String {
        match &self.way {
            Way::Tcp(port) if self.name.contains(':') => format!("[{}]:{port}", self.name),
            Way::Tcp(port) => format!("{}:{port}", self.name),
            Way::Unix(_) => self.name.clone(),
        }
    }

    /// Returns what the server is called in messages.
    pub(super) fn place(&self) -> String {
        match &self.way {
            Way::Tcp(_) => format!("https://{}", self.authority()),
            Way::Unix(path) => format!("unix+https://{}", path.display()),
        }
    }
}

/// Leaves out what stands before the last `@`: it may be a password.
fn without_user(url: &str) -> String {
    let end = url.find("://").map_or(0, |colon| colon + 3);
    let rest = &url[end..];
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{}{host}", &url[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_people_write_them() {
        for (url, place, authority) in [
            ("https://kopia.lan:51515", "https://kopia.lan:51515", "kopia.lan:51515"),
            ("https://Kopia.lan/", "https://kopia.lan:443", "kopia.lan:443"),
            ("kopia://10.0.0.1", "https://10.0.0.1:51515", "10.0.0.1:51515"),
            ("kopias://alice@laptop:pw@host:1?x=y", "https://host:1", "host:1"),
            ("https://[::1]:51515", "https://[::1]:51515", "[::1]:51515"),
            ("https://[fe80::1]", "https://[fe80::1]:443", "[fe80::1]:443"),
            ("unix+https:///run/kopia.sock", "unix+https:///run/kopia.sock", "localhost"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!((&*address.place(), &*address.authority()), (place, authority), "{url}");
        }
    }

    #[test]
    fn what_names_no_server_is_told_without_its_password() {
        for bad in [
            "kopia.lan:51515",
            "unix+http:///run/kopia.sock",
            "ftp://kopia.lan",
            "https://",
            "https://:1",
            "https://alice:hunter2@host:port",
            "https://alice:hunter2@host:65536",
            "https://fe80::1",
            "unix+https://socket",
        ] {
            let error = Address::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
