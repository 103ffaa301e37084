//! A bucket of S3 on this machine that has an archive, or a container of Azure.

// The mover tests take this file as well, from where it is.
#[path = "bucket/azure.rs"]
mod azure;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use kopia_testkit::http_server::{HttpServer, Request, Response};

/// A running server of one bucket.
pub(crate) struct Bucket {
    server: HttpServer,
    state: Arc<Mutex<State>>,
    is_azure: bool,
}

#[derive(Default)]
struct State {
    blobs: BTreeMap<String, Blob>,
    asked: Vec<Asked>,
    /// The blobs that were read, in order, and how many bytes were.
    read: Vec<String>,
    bytes: u64,
    /// How many reads were refused as the blob lies in the archive.
    refused: usize,
    read_too_soon: bool,
    /// After so many looks at it what was asked for has arrived.
    looks: Option<usize>,
}

struct Blob {
    bytes: Vec<u8>,
    /// Its class, if it lies in the archive.
    class: Option<&'static str>,
    /// How often it was looked at since it was asked for.
    thawing: Option<usize>,
    arrived: bool,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) blob: String,
    pub(crate) body: String,
    /// Of Azure, the tier that it is to go to, and how soon.
    pub(crate) tier: String,
}

impl Bucket {
    pub(crate) fn new(blobs: Vec<(String, Vec<u8>)>) -> Self {
        Self::start(blobs, false)
    }

    pub(crate) fn azure(blobs: Vec<(String, Vec<u8>)>) -> Self {
        Self::start(blobs, true)
    }

    fn start(blobs: Vec<(String, Vec<u8>)>, is_azure: bool) -> Self {
        let blob = |bytes| Blob { bytes, class: None, thawing: None, arrived: false };
        let blobs = blobs.into_iter().map(|(name, bytes)| (name, blob(bytes))).collect();
        let state = Arc::new(Mutex::new(State { blobs, ..State::default() }));
        let shared = state.clone();
        let server = HttpServer::start(move |request| {
            let mut state = shared.lock().unwrap();
            if is_azure { azure::answer(&mut state, request) } else { state.answer(request) }
        });
        Self { server, state, is_azure }
    }

    pub(crate) fn address(&self) -> String {
        self.server.address().to_string()
    }

    pub(crate) fn url(&self) -> String {
        if self.is_azure {
            let port = self.server.port();
            return format!(
                "azblob://bucket/?storage-account=account&storage-domain=localhost:{port}&disable-tls"
            );
        }
        format!("s3://bucket/?endpoint={}&region=us-east-1&disable-tls", self.address())
    }

    /// Puts blobs into the archive.
    pub(crate) fn archive(&self, prefix: &str, class: &'static str) {
        let mut state = self.state.lock().unwrap();
        let some = state.blobs.iter_mut().filter(|(name, _)| name.starts_with(prefix));
        some.for_each(|(_, blob)| blob.class = Some(class));
    }

    /// Has everything arrive that was asked for.
    pub(crate) fn arrive(&self) {
        let mut state = self.state.lock().unwrap();
        state.blobs.values_mut().for_each(|blob| blob.arrived |= blob.thawing.is_some());
    }

    /// Has what is asked for arrive once it was looked at so often.
    pub(crate) fn arrive_after(&self, looks: usize) {
        self.state.lock().unwrap().looks = Some(looks);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    pub(crate) fn read(&self) -> Vec<String> {
        self.state.lock().unwrap().read.clone()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.state.lock().unwrap().bytes
    }

    pub(crate) fn forget(&self) {
        let mut state = self.state.lock().unwrap();
        (state.read, state.bytes) = (Vec::new(), 0);
    }

    pub(crate) fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }

    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().blobs.len()
    }

    /// Returns whether a pack of files was read while another that was asked for had not arrived.
    pub(crate) fn read_before_all_arrived(&self) -> bool {
        self.state.lock().unwrap().read_too_soon
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Response {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let name = path.trim_start_matches("/bucket").trim_start_matches('/').to_string();
        if name.is_empty() {
            return self.list(query);
        }
        let waits = self
            .blobs
            .iter()
            .any(|(name, blob)| name.starts_with('p') && blob.thawing.is_some() && !blob.arrived);
        let looks = self.looks;
        let Some(blob) = self.blobs.get_mut(&name) else { return error(404, "NoSuchKey", "") };
        match &*request.method {
            "HEAD" => {
                if let Some(looked) = &mut blob.thawing {
                    *looked += 1;
                    blob.arrived |= looks.is_some_and(|looks| *looked >= looks);
                }
                let response = Response::new(200, "").header("content-length", &blob.bytes.len().to_string());
                let Some(class) = blob.class else { return response };
                let response = response.header("x-amz-storage-class", class);
                match (blob.arrived, blob.thawing) {
                    (true, _) => response.header(
                        "x-amz-restore",
                        "ongoing-request=\"false\", expiry-date=\"Sun, 06 Nov 2094 08:49:37 GMT\"",
                    ),
                    (false, Some(_)) => response.header("x-amz-restore", "ongoing-request=\"true\""),
                    (false, None) => response,
                }
            }
            "POST" => {
                let body = String::from_utf8(request.body.clone()).unwrap();
                let again = blob.thawing.replace(0).is_some();
                self.asked.push(Asked { blob: name, body, tier: String::new() });
                if again { error(409, "RestoreAlreadyInProgress", "") } else { Response::new(202, "") }
            }
            _ if blob.class.is_some() && !blob.arrived => {
                self.refused += usize::from(name.starts_with('p'));
                let class = blob.class.unwrap_or_default();
                error(403, "InvalidObjectState", &format!("<StorageClass>{class}</StorageClass>"))
            }
            _ => {
                let response = Response::file(request, &blob.bytes);
                let (start, last) = request.range().unwrap_or((0, None));
                let end = last.map_or(u64::MAX, |last| last + 1).min(blob.bytes.len() as u64);
                self.bytes += end.saturating_sub(start);
                self.read_too_soon |= waits && name.starts_with('p');
                self.read.push(name);
                response
            }
        }
    }

    fn list(&self, query: &str) -> Response {
        let prefix = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default();
        let mut xml = String::from("<ListBucketResult>");
        for (name, blob) in self.blobs.iter().filter(|(name, _)| name.starts_with(prefix)) {
            let (length, class) = (blob.bytes.len(), blob.class.unwrap_or("STANDARD"));
            let _ = write!(
                xml,
                "<Contents><Key>{name}</Key><Size>{length}</Size><StorageClass>{class}</StorageClass></Contents>"
            );
        }
        Response::new(200, xml + "</ListBucketResult>")
    }
}

fn error(status: u16, code: &str, more: &str) -> Response {
    Response::new(status, format!("<Error><Code>{code}</Code><Message>no</Message>{more}</Error>"))
}
