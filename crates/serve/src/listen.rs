//! Where a server listens, and by which names it may be called.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};

use crate::{Error, Result};

/// An address to listen on, as a person writes it: `127.0.0.1:8080`, `[::1]:0`, `nas.lan:8080`.
///
/// Port 0 is any that is free. The default is a free port of 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen(String);

impl Default for Listen {
    fn default() -> Self {
        Self("127.0.0.1:0".into())
    }
}

impl Listen {
    /// Takes an address; one without a port gets any that is free.
    pub fn new(given: &str) -> Self {
        let given = given.trim();
        Self(match given.parse::<IpAddr>() {
            Ok(address) => SocketAddr::from((address, 0)).to_string(),
            Err(_) if !given.contains(':') => format!("{given}:0"),
            Err(_) => given.into(),
        })
    }

    /// Listens; several addresses of a name are tried in turn.
    pub(crate) fn bind(&self) -> Result<(TcpListener, SocketAddr)> {
        let unknown = |source| Error::Address { given: self.0.clone(), source };
        let addresses: Vec<SocketAddr> = self.0.to_socket_addrs().map_err(unknown)?.collect();
        let refused = |source| Error::Listen { address: self.0.clone(), source };
        let listener = TcpListener::bind(&addresses[..]).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok((listener, address))
    }

    /// Returns the names by which clients may call the server at `address`.
    pub(crate) fn names(&self, address: SocketAddr) -> Names {
        let name = self.0.rsplit_once(':').map_or("", |(name, _)| name).trim_matches(['[', ']']);
        let named = Some(name.to_lowercase()).filter(|name| !name.is_empty());
        Names { named, any_address: !address.ip().is_loopback() }
    }
}

/// Names that the Host header may have. Any other is that of a stranger whose name server points here (DNS
/// rebinding).
#[derive(Debug, Clone)]
pub(crate) struct Names {
    named: Option<String>,
    /// Where it listens for other machines, they may call it by whatever address it has.
    any_address: bool,
}

impl Names {
    /// Returns whether a Host header is right; its port may be that of a tunnel.
    pub(crate) fn admit(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else { return false };
        let name = name.to_ascii_lowercase();
        let is_named = self.named.as_ref() == Some(&name);
        match name.parse::<IpAddr>() {
            Ok(address) => is_named || address.is_loopback() || self.any_address,
            Err(_) => is_named || name == "localhost",
        }
    }
}

/// Returns the host of `host:port`, `[host]:port` or `host`.
fn without_port(host: &str) -> Option<&str> {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let (name, port) = rest.split_once(']')?;
        return (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(name);
    }
    match host.split_once(':') {
        Some((name, port)) => is_port(port).then_some(name),
        None => Some(host),
    }
}

/// Returns where a browser on this machine finds a server, as it stands in URLs.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &str, address: &str) -> Names {
        Listen::new(given).names(address.parse().unwrap())
    }

    #[test]
    fn an_address_needs_no_port() {
        for (given, meant) in [("127.0.0.1", "127.0.0.1:0"), ("::1", "[::1]:0"), ("localhost", "localhost:0")]
        {
            assert_eq!(Listen::new(given).0, meant);
        }
        for given in ["127.0.0.1:8080", "[::1]:80", "nas.lan:0"] {
            assert_eq!(Listen::new(given).0, given);
        }
        assert!(matches!(Listen::new("1.2.3.4:x").bind(), Err(Error::Address { .. })));
    }

    #[test]
    fn on_loopback_only_its_names_are_right() {
        let names = names("127.0.0.1:0", "127.0.0.1:4711");
        for right in ["127.0.0.1:4711", "localhost:4711", "LOCALHOST", "[::1]:1", "127.0.0.1:9999"] {
            assert!(names.admit(right), "{right}");
        }
        for wrong in
            ["evil.example", "evil.example:4711", "localhost.evil.example", "10.0.0.1", "", "[::1", "a:b"]
        {
            assert!(!names.admit(wrong), "{wrong}");
        }
    }

    #[test]
    fn elsewhere_addresses_and_the_name_that_was_given_are() {
        let all = names("0.0.0.0:80", "0.0.0.0:80");
        assert!(all.admit("10.0.0.1") && all.admit("[fe80::1]:80") && !all.admit("nas.lan"));
        let named = names("NAS.lan:80", "10.0.0.1:80");
        assert!(named.admit("nas.lan:80") && named.admit("10.0.0.1") && !named.admit("evil.example"));
    }
}
