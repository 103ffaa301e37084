//! The directory tree that a server shows.

use std::io;
use std::sync::{Mutex, PoisonError};

use kopia_storage::Failure;
use kopia_storage::sharded::{DirectoryTree, Entry, EntryKind, Fetched, FileTree, Links, Stat, Visitor};

use super::access::{Access, is_kopia};
use super::multistatus::{self, Response};
use super::path;
use crate::http::{Answer, Client, Kind, Request, Trouble};

/// What is asked of each entry.
const ASKED: &str = r#"<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/><D:getcontentlength/><D:getlastmodified/></D:prop></D:propfind>"#;

/// The longest answer that is read while others are, in bytes. An entry takes some 700, and directories of
/// shards have a few hundred.
const USUAL_LIMIT: u64 = 4 << 20;

/// The longest answer that is read, in bytes: a flat repository of 5 TB has a quarter of a million entries.
const LISTING_LIMIT: u64 = 256 << 20;

/// How many directories are listed at once.
const LISTED_AT_ONCE: usize = 16;

/// A directory of a server and all below it.
#[derive(Debug)]
pub(crate) struct Tree {
    client: Client,
    access: Access,
    /// The path of the root, encoded, with a slash at its end.
    root: String,
    /// Held while a long answer is read: many at once would take more memory than there is.
    long: Mutex<()>,
}

impl Tree {
    /// Takes the path of the root as requests have it.
    pub(crate) fn new(client: Client, access: Access, root: &str) -> Self {
        let root = format!("{}/", root.trim_end_matches('/'));
        Self { client, access, root, long: Mutex::new(()) }
    }

    /// Returns how many seconds the clock of this machine is ahead of the server's, if that is known.
    pub(crate) fn clock_ahead(&self) -> Option<i64> {
        self.client.clock_ahead()
    }

    /// Asks for what only a Kopia server has, and returns what is said of one.
    pub(super) fn kopia(&self) -> Option<Failure> {
        let status = Request::new("GET", "/api/v1/control/status", Kind::Other);
        match self.client.call(&self.access, &status) {
            Ok(answer) => is_kopia(&answer).then(|| self.access.not_webdav(&answer)),
            Err(Trouble::Failed(failure)) => Access::is_of_kopia(&failure).then_some(failure),
            Err(_) => None,
        }
    }

    fn file(&self, file: &[u8]) -> String {
        format!("{}{}", self.root, path::encoded_bytes(file))
    }

    fn directory(&self, directory: &[u8]) -> String {
        let mut path = self.file(directory);
        if !path.ends_with('/') {
            path.push('/');
        }
        path
    }

    /// Asks what a path is and, with depth 1, what is in it.
    fn ask(&self, path: &str, depth: &str, kind: Kind) -> io::Result<Vec<Response>> {
        match self.ask_up_to(USUAL_LIMIT, path, depth, kind) {
            Err(error) if matches!(Failure::of(&error), Some(Failure::TooLong { .. })) => {
                let _alone = self.long.lock().unwrap_or_else(PoisonError::into_inner);
                self.ask_up_to(LISTING_LIMIT, path, depth, kind)
            }
            answer => answer,
        }
    }

    fn ask_up_to(&self, limit: u64, path: &str, depth: &str, kind: Kind) -> io::Result<Vec<Response>> {
        let mut request = Request::new("PROPFIND", path, kind).with("depth", depth);
        request = request.with_body("application/xml; charset=utf-8", ASKED);
        request.limit = limit;
        let answer = self.call(&request)?;
        let responses = (answer.status == 207).then(|| multistatus::parse(&answer.body)).flatten();
        responses.ok_or_else(|| {
            let failure = if is_kopia(&answer) { self.access.not_webdav(&answer) } else { answer.nonsense() };
            failure.into()
        })
    }

    fn call(&self, request: &Request) -> io::Result<Answer> {
        self.client.call(&self.access, request).map_err(error)
    }
}

impl DirectoryTree for Tree {
    fn list(&self, directory: &[u8], visit: &mut Visitor<'_>) -> io::Result<()> {
        let path = self.directory(directory);
        let responses = self.ask(&path, "1", Kind::List)?;
        let Some((own, inside)) = multistatus::split(responses, &path::decoded(&path)) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if !own.is_directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        for (name, response) in inside {
            match stat(&response) {
                Some(stat) => visit(Entry::known(&name, stat))?,
                None => {
                    let below = [directory, b"/", &name].concat();
                    let below = below.strip_prefix(b"/").unwrap_or(&below);
                    let ask = |_: Links| self.look(below, &response);
                    visit(Entry::asking(&name, EntryKind::Unknown, &ask))?;
                }
            }
        }
        Ok(())
    }

    fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        let place = if path.is_empty() { self.directory(path) } else { self.file(path) };
        let responses = self.ask(&place, "0", Kind::Read)?;
        match multistatus::split(responses, &path::decoded(&place)) {
            Some((own, _)) => self.look(path, &own),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn listing_threads(&self, directories: usize) -> usize {
        directories.min(LISTED_AT_ONCE)
    }
}

impl Tree {
    /// Returns what a response says of a path, or asks for the length that it leaves out.
    fn look(&self, path: &[u8], response: &Response) -> io::Result<Stat> {
        if let Some(stat) = stat(response) {
            return Ok(stat);
        }
        let host = self.client.host();
        match response.status {
            None | Some(200..=299) => {
                let length = self.client.length(&self.access, &Request::get(self.file(path)));
                Ok(Stat::file(length.map_err(error)?, response.modified))
            }
            Some(404 | 410) => Err(io::ErrorKind::NotFound.into()),
            Some(403 | 401) => Err(Failure::NotPermitted {
                host,
                action: format!("looking at {}", self.file(path)),
                credentials: self.access.source().into(),
                right: None,
            }
            .into()),
            Some(status) => {
                let message = format!("of {}", self.file(path));
                Err(Failure::Refusal { host, status: status.to_string(), message }.into())
            }
        }
    }
}

impl FileTree for Tree {
    fn location(&self) -> String {
        let scheme = if self.client.origin().is_secure() { "webdavs" } else { "webdav" };
        format!("{scheme}://{}{}", self.client.host(), self.root.trim_end_matches('/'))
    }

    fn read(&self, path: &[u8], limit: u64) -> io::Result<Fetched> {
        fetched(self.client.read_whole(&self.access, &Request::get(self.file(path)), limit))
    }

    fn read_range(&self, path: &[u8], offset: u64, length: usize, buffer: Vec<u8>) -> io::Result<Fetched> {
        let request = Request::get(self.file(path));
        fetched(self.client.read_range(&self.access, &request, offset, length, buffer))
    }
}

/// Returns what a path is, if the response says all of it.
fn stat(response: &Response) -> Option<Stat> {
    if response.status.is_some_and(|status| !(200..300).contains(&status)) {
        return None;
    }
    if response.is_directory {
        return Some(Stat::other(EntryKind::Directory));
    }
    Some(Stat::file(response.length?, response.modified))
}

fn fetched(result: Result<Vec<u8>, Trouble>) -> io::Result<Fetched> {
    match result {
        Ok(bytes) => Ok(Fetched::Bytes(bytes)),
        Err(Trouble::Short { length } | Trouble::TooLarge { length }) => Ok(Fetched::Unfit { length }),
        Err(trouble) => Err(error(trouble)),
    }
}

/// Makes the error of a request, which is not for a range.
fn error(trouble: Trouble) -> io::Error {
    match trouble {
        Trouble::Missing => io::ErrorKind::NotFound.into(),
        Trouble::Failed(failure) => failure.into(),
        Trouble::Short { length } | Trouble::TooLarge { length } => {
            io::Error::new(io::ErrorKind::InvalidData, format!("it has {length} bytes"))
        }
    }
}
