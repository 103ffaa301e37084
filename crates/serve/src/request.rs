//! A request, as far as answers depend on it.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderName};
use hyper::http::request::Parts;

use crate::url;

/// The head of a request, with its path taken apart.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Decoded components of the path, without empty ones; `None` if one of them is no name.
    pub(crate) path: Option<Vec<String>>,
    /// Whether the path ends in a slash, as those of folders do.
    pub(crate) is_folder: bool,
    /// The path as it was sent.
    raw: String,
    query: String,
    headers: HeaderMap,
    /// Only of PROPFIND.
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(parts: Parts, body: Bytes) -> Self {
        let raw = parts.uri.path().to_owned();
        let mut components = raw.split('/').filter(|component| !component.is_empty()).peekable();
        // A source is one component, which holds the slashes of its path.
        let is_source = components.peek() == Some(&"source");
        let decode = if is_source { url::decode_any } else { url::decode };
        Self {
            method: parts.method,
            path: components.map(decode).collect(),
            is_folder: raw.ends_with('/'),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            raw,
            headers: parts.headers,
            body,
        }
    }

    /// Returns the path as it was sent.
    pub(crate) fn raw_path(&self) -> &str {
        &self.raw
    }

    /// Returns the value of a header, if it is there and is text.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns a value of the query; none of ours needs to be decoded.
    pub(crate) fn query(&self, key: &str) -> Option<&str> {
        query(&self.query, key)
    }

    /// Returns whether only the head of the answer is wanted.
    pub(crate) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}

/// Returns a value of a query.
pub(crate) fn query<'q>(query: &'q str, key: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}
