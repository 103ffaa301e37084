//! The server: accepts connections, and hands requests to threads that may block.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use kopia_repository::{Repository, Snapshots};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};

use crate::answer::Answer;
use crate::body::Body;
use crate::gate::Gate;
use crate::listen::reachable;
use crate::pages::html;
use crate::request::Request;
use crate::site::Site;
use crate::{Error, Listen, Options, Result, Token, route};

/// How long a client may take to send a request, or to send the next one.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest body of a request: a list of WebDAV properties.
const MAX_BODY: usize = 64 << 10;

/// How long to wait when the system has no handle for one more connection.
const PAUSE: Duration = Duration::from_millis(100);

/// A server that listens, and answers once it [runs](Self::run).
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    connections: usize,
    shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    gate: Gate,
    site: Arc<Site>,
}

impl Server {
    /// Listens, and draws a token. `snapshots` are those shown first; the list is read again now and then.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Listen`] and [`Error::Random`].
    pub fn bind(
        repository: &Repository,
        snapshots: Snapshots,
        listen: &Listen,
        options: Options,
    ) -> Result<Self> {
        let (listener, address) = listen.bind()?;
        let token = Token::random()?;
        let cookie = format!("kopia-rs-{}", address.port());
        let connections = options.connections.get();
        let gate = Gate { token, names: listen.names(address), cookie };
        let site = Arc::new(Site::new(repository, snapshots, options));
        Ok(Self { listener, address, connections, shared: Arc::new(Shared { gate, site }) })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL for a browser on this machine, with the token.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", reachable(self.address), self.token().reveal())
    }

    /// Returns the URL for WebDAV clients on this machine; the token is the password of any user.
    pub fn dav_url(&self) -> String {
        format!("http://{}/dav/", reachable(self.address))
    }

    /// Returns the token that lets clients in.
    pub fn token(&self) -> &Token {
        &self.shared.gate.token
    }

    /// Answers requests on this thread and others until the process ends.
    ///
    /// # Errors
    /// [`Error::Start`] if the system gives no threads.
    pub fn run(self) -> Result<Infallible> {
        let start = |source| Error::Start { source };
        let threads =
            Builder::new_current_thread().enable_all().max_blocking_threads(self.connections).build();
        threads.map_err(start)?.block_on(self.accept()).map_err(start)
    }

    /// Accepts connections, no more at a time than there may be.
    async fn accept(self) -> std::io::Result<Infallible> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let places = Arc::new(Semaphore::new(self.connections));
        loop {
            let place = places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let shared = self.shared.clone();
            tokio::spawn(async move {
                let _place = place;
                let service = service_fn(move |request| {
                    let shared = shared.clone();
                    async move { Ok::<_, Infallible>(shared.answer(request).await) }
                });
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
                // That a client leaves, or a body is broken off, is nobody's business here.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }
}

impl Shared {
    async fn answer(&self, request: hyper::Request<Incoming>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let (runtime, is_head) = (Handle::current(), parts.method == hyper::Method::HEAD);
        if let Some(refused) = self.gate.refuse(&parts) {
            return refused.into_response(is_head, &runtime).0;
        }
        let body = match tokio::time::timeout(PATIENCE, whole(body)).await {
            Ok(Some(body)) => body,
            _ => return Answer::empty(StatusCode::PAYLOAD_TOO_LARGE).into_response(is_head, &runtime).0,
        };
        let (site, threads) = (self.site.clone(), runtime.clone());
        let (head, sent) = oneshot::channel();
        let answer = move || {
            let answer = route::answer(&site, &Request::new(parts, body));
            let (response, rest) = answer.into_response(is_head, &threads);
            if head.send(response).is_ok() {
                rest.write();
            }
        };
        runtime.spawn_blocking(answer);
        sent.await.unwrap_or_else(|_| {
            let why = "This is a mistake in kopia-rs.";
            html::message(StatusCode::INTERNAL_SERVER_ERROR, "No answer", why)
                .into_response(is_head, &runtime)
                .0
        })
    }
}

/// Reads the body of a request; nothing if it is too long.
async fn whole(mut body: Incoming) -> Option<Bytes> {
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            if bytes.len() + data.len() > MAX_BODY {
                return None;
            }
            bytes.extend_from_slice(&data);
        }
    }
    Some(bytes.into())
}
