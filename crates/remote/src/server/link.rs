//! From an address to an open call: TCP or a socket, TLS, HTTP/2, and one request that stays open both ways.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{PingPong, RecvStream, SendStream};
use http::{HeaderMap, Request, header};
use kopia_storage::Failure;
use rustls::{AlertDescription, ClientConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::{Address, Way};
use super::messages::clean;
use super::status::Status;
use super::user::User;
use crate::patience::Patience;
use crate::tls::Distrust;

/// The procedure that all goes through (`internal/grpcapi/repository_server_grpc.pb.go`).
const PROCEDURE: &str = "/kopia_repository.KopiaRepository/Session";

/// How many bytes the server may send ahead of what was taken. With the 64 KiB of HTTP/2 a line of 50 ms
/// carries 1.3 MB/s.
const WINDOW: u32 = 32 << 20;

/// How many bytes count as an answer, as a part of a long one. Fewer may keep a reader waiting for ever.
const ENOUGH: usize = 64 << 10;

/// How many addresses of a name are tried.
const MOST_ADDRESSES: usize = 8;

/// Everything that it takes to reach a server.
pub(super) struct Link {
    pub(super) address: Address,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) user: User,
    pub(super) patience: Patience,
}

/// An open call. The connection ends with it.
pub(super) struct Call {
    pub(super) send: SendStream<Bytes>,
    pub(super) receive: RecvStream,
    heard: Heard,
    /// When the server last said something of its own, and how many bytes came since.
    answered: Instant,
    since: usize,
    tasks: Vec<JoinHandle<()>>,
}

/// When something was last heard of the server.
#[derive(Clone)]
struct Heard(Arc<Mutex<Instant>>);

/// A failure, and whether another try may help.
pub(super) type Lost = (Failure, bool);

impl Link {
    /// Returns the host with its port.
    pub(super) fn host(&self) -> String {
        self.address.authority()
    }

    /// Connects and opens the call, as `first` begins it.
    pub(super) async fn open(&self, first: Bytes) -> Result<Call, Lost> {
        match &self.address.way {
            Way::Tcp(port) => self.begin(self.connect(*port).await?, first).await,
            Way::Unix(path) => {
                let stream = self.within(self.patience.connect, UnixStream::connect(path)).await?;
                self.begin(stream.map_err(|error| (self.unreachable(&error), true))?, first).await
            }
        }
    }

    async fn connect(&self, port: u16) -> Result<TcpStream, Lost> {
        let host = &self.address.name;
        let found = self.within(self.patience.connect, tokio::net::lookup_host((&**host, port))).await?;
        let addresses = found.map_err(|_| (Failure::UnknownHost { host: host.clone() }, false))?;
        let mut failed = (Failure::UnknownHost { host: host.clone() }, false);
        for address in addresses.take(MOST_ADDRESSES) {
            match self.within(self.patience.connect, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Requests are small, and answers wait for them.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => failed = (self.unreachable(&error), true),
                Err(lost) => failed = lost,
            }
        }
        Err(failed)
    }

    /// Speaks TLS and HTTP/2 on a connection, and opens the call.
    async fn begin<S>(&self, stream: S, first: Bytes) -> Result<Call, Lost>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let name = ServerName::try_from(self.address.name.clone())
            .map_err(|_| (self.no_server("its name is none that certificates have"), false))?;
        let shaken = TlsConnector::from(self.tls.clone()).connect(name, stream);
        let shaken = self.within(self.patience.connect, shaken).await?;
        let stream = shaken.map_err(|error| self.no_tls(&error))?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            let why = "it speaks HTTP/1 alone; a proxy before a Kopia server has to pass HTTP/2 on, with its trailers";
            return Err((self.no_server(why), false));
        }
        let mut builder = Builder::new();
        builder
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(256 << 10)
            .max_header_list_size(64 << 10)
            .enable_push(false);
        let opened = self.within(self.patience.connect, builder.handshake::<_, Bytes>(stream)).await?;
        let (requests, mut connection) = opened.map_err(|error| self.broken(&error))?;
        let heard = Heard(Arc::new(Mutex::new(Instant::now())));
        let mut tasks = Vec::new();
        if let Some(pings) = connection.ping_pong() {
            tasks.push(tokio::spawn(keep_alive(pings, heard.clone(), self.patience.silence / 3)));
        }
        // What ends the connection ends its stream as well, which is where it is seen.
        tasks.push(tokio::spawn(async move { drop(connection.await) }));
        let (response, send, tasks) = self.call(requests, first, Tasks(tasks)).await?;
        let answered = self.within(self.patience.silence, response).await?;
        let response = answered.map_err(|error| self.broken(&error))?;
        self.check(&response)?;
        heard.now();
        Ok(Call {
            send,
            receive: response.into_body(),
            heard,
            answered: Instant::now(),
            since: 0,
            tasks: tasks.keep(),
        })
    }

    async fn call(
        &self,
        requests: SendRequest<Bytes>,
        first: Bytes,
        tasks: Tasks,
    ) -> Result<(ResponseFuture, SendStream<Bytes>, Tasks), Lost> {
        let ready = self.within(self.patience.connect, requests.ready()).await?;
        let mut requests = ready.map_err(|error| self.broken(&error))?;
        let (response, mut send) =
            requests.send_request(self.request()?, false).map_err(|error| self.broken(&error))?;
        send.send_data(first, false).map_err(|error| self.broken(&error))?;
        Ok((response, send, tasks))
    }

    fn request(&self) -> Result<Request<()>, Lost> {
        let request = Request::post(format!("https://{}{PROCEDURE}", self.host()))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, concat!("kopia-rs/", env!("CARGO_PKG_VERSION")))
            .header("kopia-username", self.user.name.clone())
            .header("kopia-hostname", self.user.host.clone())
            .header("kopia-password", self.user.password.clone())
            .header("kopia-version", concat!("kopia-rs ", env!("CARGO_PKG_VERSION")))
            .header("kopia-os", std::env::consts::OS)
            .header("kopia-arch", std::env::consts::ARCH);
        request.body(()).map_err(|_| (self.no_server("its name cannot be asked for"), false))
    }

    /// Looks at the head of the answer, which may be all that there is.
    fn check<B>(&self, response: &http::Response<B>) -> Result<(), Lost> {
        if let Some(status) = Status::of(response.headers()) {
            return Err(status.failure(&self.host(), self.user.shown()));
        }
        let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| clean(kind.as_bytes()));
        let kind = kind.unwrap_or_default();
        if response.status().is_success() && kind.starts_with("application/grpc") {
            return Ok(());
        }
        let status = response.status().as_u16();
        let passes = matches!(status, 429 | 502..=504);
        Err((self.no_server(&format!("it answered with HTTP {status} and {kind:?}")), passes))
    }

    /// Returns why the answers ended.
    pub(super) fn ended(&self, trailers: Option<&HeaderMap>) -> Lost {
        match trailers.and_then(Status::of) {
            Some(status) => status.failure(&self.host(), self.user.shown()),
            None => (self.disconnected("the server ended the session without a status"), true),
        }
    }

    /// Says that a connection broke.
    pub(super) fn broken(&self, error: &h2::Error) -> Lost {
        let closed = error.get_io().is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
        let why = if closed { "the server closed it".into() } else { error.to_string() };
        (self.disconnected(&why), true)
    }

    /// Says that something else than a repository server listens there.
    pub(super) fn no_server(&self, why: &str) -> Failure {
        Failure::NoKopiaServer { host: self.host(), why: why.into() }
    }

    fn disconnected(&self, why: &str) -> Failure {
        Failure::Disconnected { host: self.host(), why: why.into() }
    }

    /// Says that nothing was heard for too long.
    pub(super) fn silent(&self, after: Duration) -> Failure {
        Failure::TimedOut { host: self.host(), after }
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let host = match &self.address.way {
            Way::Tcp(_) => self.host(),
            Way::Unix(path) => path.display().to_string(),
        };
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::Refused { host },
            _ => Failure::Unreachable { host, why: error.to_string() },
        }
    }

    /// Says why there is no TLS.
    fn no_tls(&self, error: &io::Error) -> Lost {
        let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) else {
            return (self.disconnected(&format!("TLS ended early: {error}")), true);
        };
        if let Some(Distrust { problem, fingerprint }) = Distrust::of(error) {
            return (Failure::Certificate { host: self.host(), problem, fingerprint }, false);
        }
        match error {
            rustls::Error::InvalidMessage(_) => {
                let why = "it speaks no TLS; if it was started with --insecure, write kopia+http://kopia@…";
                (self.no_server(why), false)
            }
            rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                let why = "it refuses HTTP/2; a proxy before a Kopia server has to pass HTTP/2 on, with its trailers";
                (self.no_server(why), false)
            }
            other => (self.disconnected(&format!("TLS: {other}")), true),
        }
    }

    async fn within<T>(&self, most: Duration, work: impl Future<Output = T>) -> Result<T, Lost> {
        timeout(most, work).await.map_err(|_| (self.silent(most), true))
    }
}

impl Call {
    /// Notes that the server sent some bytes.
    pub(super) fn heard(&mut self, bytes: usize) {
        self.heard.now();
        self.since = self.since.saturating_add(bytes);
        if self.since >= ENOUGH {
            self.answered();
        }
    }

    /// Notes that the server answered, was asked something, or was held back.
    pub(super) fn answered(&mut self) {
        (self.answered, self.since) = (Instant::now(), 0);
    }

    /// Returns for how long the server answered nothing, though its line may be alive.
    pub(super) fn idle(&self) -> Duration {
        self.answered.elapsed()
    }

    /// Returns for how long nothing was heard.
    pub(super) fn silence(&self) -> Duration {
        self.heard.lock().elapsed()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Tasks that end if the call is not opened.
struct Tasks(Vec<JoinHandle<()>>);

impl Tasks {
    fn keep(mut self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Heard {
    fn lock(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) {
        *self.lock() = Instant::now();
    }
}

/// Asks the server now and then whether it is there: it may take long for an answer, and a dead line says
/// nothing at all.
async fn keep_alive(mut pings: PingPong, heard: Heard, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        match pings.ping(h2::Ping::opaque()).await {
            Ok(_) => heard.now(),
            Err(_) => return,
        }
    }
}
