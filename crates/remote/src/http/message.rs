//! A request, the answer to it, and what the answer means.

use std::fmt;
use std::time::{Duration, SystemTime};

use kopia_format::BlobId;
use kopia_storage::{Error, Failure};
use ureq::http::HeaderMap;

use super::Kind;
use super::date;

/// How long an answer that is no blob may be: a page of a listing has a thousand entries of some 500 bytes.
const ANSWER_LIMIT: u64 = 16 << 20;

/// How much of an answer that cannot be understood is told.
const TOLD: usize = 80;

/// What is asked of a server.
#[derive(Clone)]
pub(crate) struct Request {
    /// The method, in capitals.
    pub(crate) method: &'static str,
    /// The path, with the query, as it is sent: already encoded.
    pub(crate) path: String,
    /// All headers but those that belong to the connection. Names are in small letters.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// What it counts as.
    pub(crate) kind: Kind,
    /// The most bytes of an answer that is no blob.
    pub(crate) limit: u64,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: impl Into<String>, kind: Kind) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: Vec::new(), kind, limit: ANSWER_LIMIT }
    }

    /// Asks for a blob.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path, Kind::Read)
    }

    /// Adds a header, in place of one of the same name.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    #[must_use]
    pub(crate) fn with_body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.with("content-type", content_type)
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.into(), value.into()));
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }
}

/// Headers and body may hold secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "Request({} {path})", self.method)
    }
}

/// What a server answered, with its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(super) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Who answered.
    pub(crate) host: String,
    /// Who should have answered, such as `an S3 server`.
    pub(super) expected: &'static str,
}

impl Answer {
    /// Makes one without headers, for fuzz targets.
    #[cfg(feature = "testing")]
    pub(crate) fn made(status: u16, body: &[u8]) -> Self {
        let host = "h".into();
        Self { status, headers: HeaderMap::new(), body: body.into(), host, expected: "a test server" }
    }

    /// Returns a header, if it is there and ASCII.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns each value of a header that may be there several times.
    pub(crate) fn header_values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the body as text. What is no UTF-8 is replaced.
    pub(crate) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Returns the server's clock.
    pub(crate) fn date(&self) -> Option<SystemTime> {
        date::parse(self.header("date")?)
    }

    /// Returns whether it refuses plain HTTP because TLS should be spoken, in the words of Go, nginx or
    /// Apache.
    pub(super) fn wants_tls(&self) -> bool {
        const WORDS: [&str; 3] = [
            "HTTP request to an HTTPS server",
            "HTTP request was sent to HTTPS port",
            "speaking plain HTTP to an SSL-enabled",
        ];
        self.status == 400 && WORDS.iter().any(|words| self.text().contains(words))
    }

    /// Returns how long the server asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        match text.parse() {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => Some(
                date::parse(text)?
                    .duration_since(self.date().unwrap_or_else(SystemTime::now))
                    .unwrap_or_default(),
            ),
        }
    }

    /// Makes the failure that this is not what was expected.
    pub(crate) fn nonsense(&self) -> Failure {
        Failure::Nonsense {
            host: self.host.clone(),
            expected: self.expected,
            status: self.status,
            content_type: self
                .header("content-type")
                .unwrap_or("no content type")
                .chars()
                .take(TOLD)
                .collect(),
            beginning: self.text().chars().take(TOLD).collect(),
        }
    }

    /// Makes the failure that the server refuses, in its words. `code` is its word for it, if it has one.
    pub(crate) fn refusal(&self, code: &str, message: &str) -> Failure {
        let status = format!("{} {code}", self.status).trim_end().to_string();
        let message = message.chars().take(300).collect();
        Failure::Refusal { host: self.host.clone(), status, message }
    }
}

/// The body may hold secrets.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} of {}, {} bytes)", self.status, self.host, self.body.len())
    }
}

/// What an answer that is no success means.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// There is no such blob.
    Missing,
    /// The same request may succeed later.
    Again(Failure),
    /// [`Service::renew`] may be able to help, at once; if not, it is a failure.
    Renew(Failure),
    /// It fails however often it is made.
    Fail(Failure),
}

impl Verdict {
    /// Goes by the status alone.
    pub(crate) fn by_status(answer: &Answer) -> Self {
        let host = answer.host.clone();
        match answer.status {
            404 => Self::Missing,
            429 | 503 => Self::Again(Failure::Busy { host, status: answer.status }),
            408 | 423 | 500..=599 => Self::Again(answer.refusal("", answer.text().trim())),
            _ => Self::Fail(answer.nonsense()),
        }
    }
}

/// How a kind of server is spoken to: what is added to requests, and what answers mean.
pub(crate) trait Service: Send + Sync + fmt::Debug {
    /// Signs a request, for each try anew. Its header `host` is set.
    ///
    /// # Errors
    /// If there are no credentials to sign with, or they cannot be got now.
    fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        let _ = request;
        Ok(())
    }

    /// Says what an answer that is no success means.
    fn judge(&self, request: &Request, answer: &Answer) -> Verdict {
        let _ = request;
        Verdict::by_status(answer)
    }

    /// Gets other credentials, or whatever else the failure calls for, and returns whether the request should
    /// be made again.
    ///
    /// # Errors
    /// If credentials cannot be got.
    fn renew(&self, failure: &Failure) -> Result<bool, Failure> {
        let _ = failure;
        Ok(false)
    }

    /// Says why the server will never answer, if that is known. It is asked when a connection has failed, and
    /// may wait a moment to find out.
    fn gone(&self) -> Option<Failure> {
        None
    }
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no such blob.
    Missing,
    /// The blob is shorter than the range's end.
    Short {
        /// Its length.
        length: u64,
    },
    /// The blob is too long to be read whole.
    TooLarge {
        /// Its length.
        length: u64,
    },
    /// The server, or the way to it, said no.
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Trouble {
    /// Makes the error of reading a range of a blob.
    pub(crate) fn reading(self, blob: &BlobId, place: String, offset: u64, wanted: usize) -> Error {
        let blob = blob.clone();
        match self {
            Self::Missing => Error::NotFound { blob, place },
            Self::Short { length } => Error::Short { blob, place, offset, wanted: wanted as u64, length },
            Self::TooLarge { length } => Error::TooLarge { blob, place, length },
            Self::Failed(failure) => Error::Read { blob, place, offset, source: failure.into() },
        }
    }

    /// Makes the failure of a request that is not for a blob. `host` said that it is not there.
    pub(crate) fn failure(self, host: &str) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Missing | Self::Short { .. } | Self::TooLarge { .. } => Failure::Refusal {
                host: host.into(),
                status: "404".into(),
                message: "there is nothing there".into(),
            },
        }
    }

    /// Makes the error of listing a store.
    pub(crate) fn listing(self, place: String, host: &str) -> Error {
        Error::List { place, source: self.failure(host).into() }
    }
}
