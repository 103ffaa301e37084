//! A small blocking HTTP client for stores, on ureq.
//!
//! It knows nothing of any kind of store: a [`Service`] signs requests and says what answers mean. What is
//! here is what all need alike: certificates, proxies, connections that are kept, tries that are made again
//! with pauses, bodies that go on where they broke, limits of pace, and failures in words. It never sends a
//! request anywhere but to its origin.

mod connector;
pub(crate) mod date;
mod fault;
mod flow;
mod message;
mod network;
mod origin;
mod proxy;
mod range;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod transfer;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use kopia_storage::Failure;

pub(crate) use crate::pace::Kind;
pub(crate) use crate::tls::Trust;
pub(crate) use message::{Answer, Request, Service, Trouble, Verdict};
pub(crate) use network::Network;
pub(crate) use origin::Origin;

use crate::patience::Tries;
use fault::Peer;

/// How many redirects to other paths of the same server are followed.
const MOST_REDIRECTS: usize = 5;

/// How much of a body is read that only says why something failed.
const REFUSAL_LIMIT: usize = 64 << 10;

/// How often it is told at most that a server is waited for, by all threads together. Tests count what is told,
/// however long they take.
const BETWEEN_NOTES: Duration = Duration::from_secs(if cfg!(test) { 600 } else { 1 });

/// A client of one server.
pub(crate) struct Client {
    network: Network,
    agent: ureq::Agent,
    origin: Origin,
    proxy: Option<String>,
    expected: &'static str,
    /// Whether it ever answered.
    alive: AtomicBool,
    /// When it was told last that it is waited for.
    noted: Mutex<Option<Instant>>,
    /// How many seconds this machine's clock is ahead of the server's, as its first answer said.
    ahead: OnceLock<i64>,
}

/// An answer whose body is still to be read.
type Live = ureq::http::Response<ureq::Body>;

/// How one try ended, if not well.
enum Setback {
    /// It may be made again, after the pause that was asked for.
    Again(Failure, Option<Duration>),
    /// What is missing may be got anew.
    Renew(Failure),
    /// It is over.
    Over(Trouble),
}

impl Client {
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the host as failures call it.
    pub(crate) fn host(&self) -> String {
        self.origin.authority()
    }

    /// Returns how many seconds the clock of this machine is ahead of the server's, if that is known.
    pub(crate) fn clock_ahead(&self) -> Option<i64> {
        self.ahead.get().copied()
    }

    /// Makes a request whose answer is no blob, and reads the answer.
    ///
    /// # Errors
    /// [`Trouble::Missing`] if the service judges so, and [`Trouble::Failed`].
    pub(crate) fn call(&self, service: &dyn Service, request: &Request) -> Result<Answer, Trouble> {
        self.persist(service, request, |live| {
            let (parts, body) = live.into_parts();
            let body = self.read_all(body, request.limit)?;
            Ok(self.answer(parts.status.as_u16(), parts.headers, body))
        })
    }

    /// Returns the length of a blob, by a request whose method is `HEAD`.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub(crate) fn length(&self, service: &dyn Service, request: &Request) -> Result<u64, Trouble> {
        let request = Request { method: "HEAD", ..request.clone() };
        let answer = self.call(service, &request)?;
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        length.ok_or_else(|| answer.nonsense().into())
    }

    /// Makes a request until it succeeds, fails for good, or patience ends. `take` reads the body of a
    /// success.
    fn persist<T>(
        &self,
        service: &dyn Service,
        request: &Request,
        mut take: impl FnMut(Live) -> Result<T, Setback>,
    ) -> Result<T, Trouble> {
        let mut tries = Tries::new(&self.network.options.patience);
        let mut renewed: Vec<std::mem::Discriminant<Failure>> = Vec::new();
        loop {
            let setback = {
                let _pass = self.network.pace.enter(request.kind);
                match self.attempt(service, request).and_then(&mut take) {
                    Ok(taken) => {
                        self.network.pace.served();
                        return Ok(taken);
                    }
                    Err(setback) => setback,
                }
            };
            self.recover(service, setback, &mut tries, &mut renewed)?;
        }
    }

    /// Does what there is to do before the next try, or says that there is none.
    fn recover(
        &self,
        service: &dyn Service,
        setback: Setback,
        tries: &mut Tries<'_>,
        renewed: &mut Vec<std::mem::Discriminant<Failure>>,
    ) -> Result<(), Trouble> {
        let (failure, asked) = match setback {
            Setback::Over(trouble) => return Err(trouble),
            Setback::Renew(failure) => {
                // Once for each cause: what did not help will not help.
                let cause = std::mem::discriminant(&failure);
                if renewed.contains(&cause) || !service.renew(&failure)? {
                    return Err(failure.into());
                }
                renewed.push(cause);
                return Ok(());
            }
            Setback::Again(failure, asked) => (failure, asked),
        };
        if let Failure::Busy { .. } = failure {
            self.network.pace.too_busy();
        }
        let alive = self.alive.load(Ordering::Relaxed);
        if !fault::may_pass(&failure) && !matches!(failure, Failure::Refusal { .. }) {
            return Err(failure.into());
        }
        if !alive && matches!(failure, Failure::UnknownHost { .. }) {
            return Err(failure.into());
        }
        let has_answered = matches!(failure, Failure::Busy { .. } | Failure::Refusal { .. });
        if !has_answered && let Some(gone) = service.gone() {
            return Err(gone.into());
        }
        Ok(tries.again(failure, alive, asked, &|note| {
            self.note(&format!("waiting for {}: {note}", self.host()))
        })?)
    }

    /// Tells something, unless something was told just now: many threads have the same to tell.
    fn note(&self, note: &str) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.is_none_or(|noted| noted.elapsed() >= BETWEEN_NOTES) {
            *noted = Some(Instant::now());
            (self.network.options.notice)(note);
        }
    }

    /// Makes a request once, and follows redirects on the same server.
    fn attempt(&self, service: &dyn Service, request: &Request) -> Result<Live, Setback> {
        let mut path = request.path.clone();
        for _ in 0..=MOST_REDIRECTS {
            let mut signed = Request { path, ..request.clone() };
            signed.set("host", self.origin.authority());
            service.sign(&mut signed).map_err(|failure| Setback::Over(failure.into()))?;
            let live = self.send(&signed)?;
            let status = live.status().as_u16();
            let is_range_error = status == 416 && request.header("range").is_some();
            if (200..300).contains(&status) || is_range_error {
                return Ok(live);
            }
            match self.redirect(&live) {
                Some(next) => path = next,
                None => return Err(self.refused(service, &signed, live)),
            }
        }
        Err(Setback::Over(self.redirected("itself, again and again").into()))
    }

    /// Sends a request and waits for the head of the answer.
    fn send(&self, request: &Request) -> Result<Live, Setback> {
        let uri = ureq::http::Uri::builder()
            .scheme(self.origin.scheme())
            .authority(self.origin.authority())
            .path_and_query(&*request.path);
        let mut builder = ureq::http::Request::builder().method(request.method);
        if let Ok(uri) = uri.build() {
            builder = builder.uri(uri);
        } else {
            let what = format!("the path of a request to {} cannot be written", self.host());
            return Err(Setback::Over(Failure::Unusable { what }.into()));
        }
        for (name, value) in &request.headers {
            let mut value = ureq::http::HeaderValue::from_str(value).map_err(|_| {
                let what = format!("the header {name} of a request to {} cannot be written", self.host());
                Setback::Over(Failure::Unusable { what }.into())
            })?;
            value.set_sensitive(!matches!(&**name, "host" | "range"));
            builder = builder.header(name, value);
        }
        let failed = |error| Setback::Again(self.peer().failure(error), None);
        let live = if request.body.is_empty() && !matches!(request.method, "POST" | "PUT") {
            builder.body(()).map_err(ureq::Error::from).and_then(|request| self.agent.run(request))
        } else {
            let body = request.body.clone();
            builder.body(body).map_err(ureq::Error::from).and_then(|request| {
                let request = self.agent.configure_request(request).build();
                self.agent.run(request)
            })
        };
        let live = live.map_err(failed)?;
        if !self.alive.swap(true, Ordering::Relaxed) {
            let date = live.headers().get("date").and_then(|date| date::parse(date.to_str().ok()?));
            if let Some(date) = date {
                // Nobody else has set it: this is the first answer.
                let _ = self.ahead.set(date::ahead(SystemTime::now(), date));
            }
        }
        Ok(live)
    }

    /// Returns where on the same server a redirect leads.
    fn redirect(&self, live: &Live) -> Option<String> {
        if !matches!(live.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let location = live.headers().get("location")?.to_str().ok()?;
        if location.starts_with('/') && !location.starts_with("//") {
            return Some(location.into());
        }
        let (origin, _, path) = Origin::of_url(location).ok()?;
        (origin == self.origin && path.starts_with('/')).then_some(path)
    }

    /// Reads why a request was refused, and asks the service what it means.
    fn refused(&self, service: &dyn Service, request: &Request, live: Live) -> Setback {
        let (parts, body) = live.into_parts();
        // Whatever there is of it: the status says the rest.
        let text = self.flow(body).beginning(REFUSAL_LIMIT);
        let answer = self.answer(parts.status.as_u16(), parts.headers, text);
        if !self.origin.is_secure() && answer.wants_tls() {
            return Setback::Over(Failure::WantsTls { host: self.host() }.into());
        }
        match service.judge(request, &answer) {
            Verdict::Missing => Setback::Over(Trouble::Missing),
            Verdict::Again(failure) => Setback::Again(failure, answer.retry_after()),
            Verdict::Renew(failure) => Setback::Renew(failure),
            Verdict::Fail(Failure::Nonsense { status: 300..400, .. }) => {
                let to = answer.header("location").unwrap_or("nowhere");
                Setback::Over(self.redirected(to).into())
            }
            Verdict::Fail(failure) => Setback::Over(failure.into()),
        }
    }

    /// Makes the failure of a redirect. What follows the path may hold secrets.
    fn redirected(&self, to: &str) -> Failure {
        let to = to.split(['?', '#']).next().unwrap_or_default();
        let to = match (to.split_once("://"), to.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            _ => to.chars().take(200).collect(),
        };
        Failure::Redirected { host: self.host(), to }
    }

    /// Reads a body of at most `limit` bytes.
    fn read_all(&self, body: ureq::Body, limit: u64) -> Result<Vec<u8>, Setback> {
        let mut flow = self.flow(body);
        let mut bytes = Vec::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = flow.read(&mut piece).map_err(|failure| Setback::Again(failure, None))?;
            if read == 0 {
                return Ok(bytes);
            }
            bytes.extend_from_slice(piece.get(..read).unwrap_or_default());
            if bytes.len() as u64 > limit {
                return Err(Setback::Over(Failure::TooLong { host: self.host(), limit }.into()));
            }
        }
    }

    fn answer(&self, status: u16, headers: ureq::http::HeaderMap, body: Vec<u8>) -> Answer {
        Answer { status, headers, body, host: self.host(), expected: self.expected }
    }

    fn flow(&self, body: ureq::Body) -> flow::Flow<'_> {
        flow::Flow::new(self, body)
    }

    fn peer(&self) -> PeerOf<'_> {
        PeerOf { client: self, host: self.host() }
    }
}

/// The client's server, for the words of failures.
struct PeerOf<'a> {
    client: &'a Client,
    host: String,
}

impl PeerOf<'_> {
    fn as_peer(&self) -> Peer<'_> {
        Peer {
            host: &self.host,
            proxy: self.client.proxy.as_deref(),
            patience: &self.client.network.options.patience,
        }
    }

    fn failure(&self, error: ureq::Error) -> Failure {
        self.as_peer().failure(error)
    }

    fn io(&self, error: std::io::Error) -> Failure {
        self.as_peer().io(error)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.origin)
    }
}
