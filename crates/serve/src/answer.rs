//! What a request is answered, with the headers that every answer has.

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::runtime::Handle;

use crate::body::{Body, Gone, Sink};

/// What pages may load: style and images from here, and nothing else.
const PAGES_LOAD: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                          form-action 'none'; frame-ancestors 'none'";

/// The same of files from snapshots, which are never to act as pages.
const FILES_LOAD: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/// Headers of every answer. What snapshots hold is not to be kept by browsers, shown in frames or guessed at.
const STRICT: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Writes a body, and returns once the client is gone. What cannot be read it says by [`Sink::fail`].
type Write = Box<dyn FnOnce(&Sink) -> Result<(), Gone> + Send>;

/// An answer that is about to be sent.
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

enum Content {
    Whole(Bytes),
    Written { length: Option<u64>, write: Write },
}

/// What is left to do once the head of an answer is sent.
pub(crate) struct Rest(Option<(Sink, Write)>);

impl Answer {
    /// Makes an answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), content: Content::Whole(Bytes::new()) }
    }

    /// Makes a page.
    pub(crate) fn page(status: StatusCode, html: String) -> Self {
        Self { content: Content::Whole(html.into()), ..Self::empty(status) }
            .with(header::CONTENT_TYPE, "text/html; charset=utf-8")
    }

    /// Makes an answer for programs, which show it to people.
    pub(crate) fn text(status: StatusCode, text: &str) -> Self {
        Self { status, ..Self::bytes("text/plain; charset=utf-8", format!("{text}\n")) }
    }

    /// Makes an answer of bytes that are there.
    pub(crate) fn bytes(kind: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Whole(bytes.into()), ..Self::empty(StatusCode::OK) }
            .with(header::CONTENT_TYPE, kind)
    }

    /// Makes an answer whose body is written while the client takes it.
    pub(crate) fn written(
        status: StatusCode,
        length: Option<u64>,
        write: impl FnOnce(&Sink) -> Result<(), Gone> + Send + 'static,
    ) -> Self {
        Self { content: Content::Written { length, write: Box::new(write) }, ..Self::empty(status) }
    }

    /// Sends the client elsewhere on this server.
    pub(crate) fn see_other(status: StatusCode, to: &str) -> Self {
        Self::empty(status).with(header::LOCATION, to)
    }

    /// Adds a header; values that no header can have are left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Makes the response, without a body if only the head is wanted.
    pub(crate) fn into_response(self, head_only: bool, runtime: &Handle) -> (Response<Body>, Rest) {
        let Self { status, mut headers, content } = self;
        let is_page =
            headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let policy = if is_page { PAGES_LOAD } else { FILES_LOAD };
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        for (name, value) in STRICT {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let length = match &content {
            Content::Whole(bytes) => Some(bytes.len() as u64),
            Content::Written { length, .. } => *length,
        };
        // hyper says how long a body is, but not that of a body that HEAD leaves out.
        if let Some(length) = length.filter(|_| head_only && status != StatusCode::NOT_MODIFIED) {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        let (body, rest) = match content {
            _ if head_only => (Body::Whole(Bytes::new()), None),
            Content::Whole(bytes) => (Body::Whole(bytes), None),
            Content::Written { length, write } => {
                let (body, sink) = Body::written(length, runtime);
                (body, Some((sink, write)))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        (response, Rest(rest))
    }
}

impl Rest {
    /// Writes the body, on a thread that may block.
    pub(crate) fn write(self) {
        if let Some((sink, write)) = self.0 {
            // A client that is gone is no failure of ours.
            let _ = write(&sink);
        }
    }
}
