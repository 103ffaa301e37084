//! Makes clients: what those of one store share, and how each connects.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use kopia_connection::Limits;
use kopia_storage::Failure;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, SocksConnector, TcpConnector};

use super::{Client, Origin, Trust, connector, fault, proxy};
use crate::connect::Options;
use crate::pace::Pace;

/// How long a connection is kept that nobody uses. Servers close theirs after 5 s to some minutes.
const KEPT: Duration = Duration::from_secs(60);

/// How many connections are kept: one for each read that may be under way.
const KEPT_AT_MOST: usize = 64;

/// What all clients of one store share.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(super) options: Options,
    pub(super) pace: Arc<Pace>,
}

impl Network {
    pub(crate) fn new(options: &Options, limits: &Limits) -> Self {
        Self { options: options.clone(), pace: Arc::new(Pace::new(limits, options.limit_download)) }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Makes a client of one server. `expected` is what it should be, for failures, such as `an S3 server`.
    ///
    /// # Errors
    /// [`Failure::Unusable`] if certificates or the proxy cannot be used.
    pub(crate) fn client(
        &self,
        origin: Origin,
        trust: &Trust,
        expected: &'static str,
    ) -> Result<Client, Failure> {
        let environment = &self.options.environment;
        let tls = origin.is_secure().then(|| trust.config(environment, &[b"http/1.1"])).transpose()?;
        let proxy = proxy::proxy_for(&origin, environment).map(|url| proxy::parse(&url)).transpose()?;
        let patience = &self.options.patience;
        let proxy_name = proxy.as_ref().map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(proxy)
            .allow_non_standard_methods(true)
            .user_agent(concat!("kopia-rs/", env!("CARGO_PKG_VERSION")))
            .accept("*/*")
            .accept_encoding("identity")
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            // A head is a few hundred bytes: one that comes byte by byte, or after many interim answers, is
            // silence.
            .timeout_recv_response(Some(patience.silence))
            .timeout_per_read(Some(patience.silence))
            .timeout_per_write(Some(patience.silence))
            .max_idle_connections(KEPT_AT_MOST)
            .max_idle_connections_per_host(KEPT_AT_MOST)
            .max_idle_age(KEPT)
            .build();
        let connector =
            ().chain(SocksConnector::default())
                .chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(connector::Tls(tls))
                .chain(connector::Bounded);
        let agent = ureq::Agent::with_parts(config, connector, fault::Names::default());
        let alive = AtomicBool::new(false);
        let noted = Mutex::new(None);
        let ahead = OnceLock::new();
        Ok(Client { network: self.clone(), agent, origin, proxy: proxy_name, expected, alive, noted, ahead })
    }
}
