//! A WebDAV server with files in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kopia_testkit::http_server::{HttpServer, Request, Response};
use percent_encoding::percent_decode_str;

use crate::webdav::path;

/// Files, and how the server is.
pub(super) struct Dav {
    pub(super) root: String,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Whether it knows ranges.
    pub(super) ranges: bool,
    /// Whether it writes URLs where others write paths.
    pub(super) urls: bool,
    /// Whether listings have lengths.
    pub(super) lengths: bool,
    /// Answers each so-manieth request with a status.
    pub(super) busy: Option<(usize, u16)>,
    pub(super) delay: Duration,
}

impl Dav {
    /// Makes one whose files lie below `root`.
    pub(super) fn new(root: &str) -> Self {
        let root = root.trim_end_matches('/').into();
        let files = BTreeMap::new();
        Self { root, files, ranges: true, urls: false, lengths: true, busy: None, delay: Duration::ZERO }
    }

    pub(super) fn with(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(format!("{}/{path}", self.root), bytes.into());
        self
    }

    pub(super) fn start(self) -> HttpServer {
        HttpServer::start(move |request| self.answer(request))
    }

    /// Answers as such a server does.
    pub(super) fn answer(&self, request: &Request) -> Response {
        if let Some((each, status)) = self.busy
            && request.number % each == each - 1
        {
            return Response::new(status, "busy");
        }
        let path =
            percent_decode_str(&request.path).decode_utf8().expect("paths are UTF-8 here").into_owned();
        let path = path.trim_end_matches('/');
        let response = match (&*request.method, self.files.get(path)) {
            ("GET", Some(bytes)) if self.ranges => Response::file(request, bytes),
            ("GET", Some(bytes)) => Response::new(200, bytes.clone()),
            ("HEAD", Some(bytes)) => {
                Response::new(200, "").header("content-length", &bytes.len().to_string())
            }
            ("PROPFIND", _) => self.listing(request, path),
            ("GET", None) if self.is_directory(path) => Response::new(405, "Method Not Allowed"),
            _ => Response::new(404, "Not Found"),
        };
        response.after(self.delay)
    }

    fn is_directory(&self, path: &str) -> bool {
        path == self.root || self.files.keys().any(|file| file.starts_with(&format!("{path}/")))
    }

    fn listing(&self, request: &Request, path: &str) -> Response {
        assert!(!request.body.is_empty());
        let mut entries = String::new();
        if let Some(bytes) = self.files.get(path) {
            entries += &self.entry(request, path, Some(bytes.len()));
        } else if self.is_directory(path) {
            entries += &self.entry(request, path, None);
            if request.header("depth") == Some("1") {
                for child in self.children(path) {
                    let child = format!("{path}/{child}");
                    entries += &self.entry(request, &child, self.files.get(&child).map(Vec::len));
                }
            }
        } else {
            return Response::new(404, "Not Found");
        }
        let body =
            format!("<?xml version=\"1.0\"?><a:multistatus xmlns:a=\"DAV:\">{entries}</a:multistatus>");
        Response::new(207, body).header("content-type", "application/xml")
    }

    fn children(&self, path: &str) -> BTreeSet<&str> {
        let below = format!("{path}/");
        let rest = self.files.keys().filter_map(|file| file.strip_prefix(&below));
        rest.map(|rest| rest.split('/').next().unwrap_or_default()).collect()
    }

    fn entry(&self, request: &Request, path: &str, length: Option<usize>) -> String {
        let host = request.header("host").expect("clients name the host");
        let before = if self.urls { format!("http://{host}") } else { String::new() };
        let href = before + &path::encoded(path).replace('&', "&amp;");
        let (slash, properties) = match length {
            None => ("/", "<a:resourcetype><a:collection/></a:resourcetype>".to_string()),
            Some(length) if self.lengths => {
                ("", format!("<a:resourcetype/><a:getcontentlength>{length}</a:getcontentlength>"))
            }
            Some(_) => ("", "<a:resourcetype/>".into()),
        };
        format!(
            "<a:response><a:href>{href}{slash}</a:href><a:propstat><a:prop>{properties}\
             <a:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</a:getlastmodified></a:prop>\
             <a:status>HTTP/1.1 200 OK</a:status></a:propstat></a:response>"
        )
    }
}
