//! Turns what the client, TLS and the system say into failures.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use kopia_storage::Failure;
use rustls::InvalidMessage;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::patience::Patience;
use crate::tls::Distrust;

/// Who was spoken to, for the words of a failure.
#[derive(Debug)]
pub(super) struct Peer<'a> {
    pub(super) host: &'a str,
    /// The proxy in between, without user and password.
    pub(super) proxy: Option<&'a str>,
    pub(super) patience: &'a Patience,
}

impl Peer<'_> {
    /// Says in words of ours what the client says.
    pub(super) fn failure(&self, error: ureq::Error) -> Failure {
        let failure = self.direct(error);
        let Some(proxy) = self.proxy else { return failure };
        // The connection is to the proxy, so what goes wrong in making it is the proxy's.
        let why = match &failure {
            Failure::UnknownHost { .. } => "its name is not known".to_string(),
            Failure::Refused { .. } => "it refuses connections".to_string(),
            Failure::Unreachable { why, .. } => why.clone(),
            _ => return failure,
        };
        Failure::Proxy { proxy: proxy.into(), host: self.host.into(), why }
    }

    fn direct(&self, error: ureq::Error) -> Failure {
        let host = || self.host.to_string();
        match error {
            ureq::Error::HostNotFound => Failure::UnknownHost { host: host() },
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                self.timed_out(self.patience.connect)
            }
            ureq::Error::Timeout(_) => self.timed_out(self.patience.silence),
            ureq::Error::Io(error) => self.io(error),
            ureq::Error::Rustls(error) => self.tls(&error),
            ureq::Error::ConnectProxyFailed(why) => {
                Failure::Proxy { proxy: self.proxy.unwrap_or_default().into(), host: host(), why }
            }
            ureq::Error::LargeResponseHeader(_, limit) => {
                Failure::TooLong { host: host(), limit: limit as u64 }
            }
            ureq::Error::Protocol(error) => {
                Failure::Disconnected { host: host(), why: format!("not as HTTP is: {error}") }
            }
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                Failure::Unusable { what: format!("a request to {} cannot be written", self.host) }
            }
            other => Failure::Disconnected { host: host(), why: other.to_string() },
        }
    }

    /// Says in words of ours what the system says of a connection.
    pub(super) fn io(&self, error: io::Error) -> Failure {
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return self.tls(error);
        }
        let host = self.host.to_string();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::Refused { host },
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => Failure::Unreachable { host, why: error.to_string() },
            io::ErrorKind::TimedOut => self.timed_out(self.patience.silence),
            _ if error.get_ref().is_some_and(|inner| inner.is::<ureq::Error>()) => self.direct(error.into()),
            _ => Failure::Disconnected { host, why: error.to_string() },
        }
    }

    fn timed_out(&self, after: Duration) -> Failure {
        Failure::TimedOut { host: self.host.into(), after }
    }

    fn tls(&self, error: &rustls::Error) -> Failure {
        let host = self.host.to_string();
        match error {
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Failure::NoTls { host },
            error => match Distrust::of(error) {
                Some(Distrust { problem, fingerprint }) => {
                    Failure::Certificate { host, problem, fingerprint }
                }
                None => Failure::Disconnected { host, why: format!("TLS: {error}") },
            },
        }
    }
}

/// Whether the same request may succeed later.
pub(super) fn may_pass(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::UnknownHost { .. }
            | Failure::Refused { .. }
            | Failure::Unreachable { .. }
            | Failure::TimedOut { .. }
            | Failure::Disconnected { .. }
            | Failure::Proxy { .. }
            | Failure::Busy { .. }
    )
}

/// Looks names up as usual, and says so where there is no such name: the system's words differ.
///
/// Names below `localhost` are this machine, as RFC 6761 has it and not every system does: emulators of Azure
/// have such.
#[derive(Debug, Default)]
pub(super) struct Names(DefaultResolver);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if uri.host().is_some_and(|host| host.ends_with(".localhost")) {
            let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
            let mut addresses = self.empty();
            addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            return Ok(addresses);
        }
        self.0.resolve(uri, config, timeout).map_err(|error| match error {
            ureq::Error::Io(_) => ureq::Error::HostNotFound,
            other => other,
        })
    }
}
