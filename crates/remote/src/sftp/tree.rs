//! The directory of the repository on the server, as the rules about shards see it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kopia_storage::sharded::{DirectoryTree, Entry, EntryKind, Fetched, FileTree, Links, Stat, Visitor};

use super::fault::Fault;
use super::line::Line;
use super::link::{Link, MOST_RESERVED};
use super::packet::Attributes;
use crate::pace::{Kind, Pace};

/// How many directories are listed at once.
const LISTINGS: usize = 16;
/// The longest name of a file that any file system has, in bytes.
const MAX_NAME: usize = 255;

/// The directory of the repository.
#[derive(Debug)]
pub(super) struct Tree {
    line: Line,
    pace: Pace,
}

impl Tree {
    pub(super) fn new(line: Line, pace: Pace) -> Self {
        Self { line, pace }
    }

    /// Returns the path on the server.
    ///
    /// # Errors
    /// If there can be no such file: servers answer that in many ways.
    fn path(&self, below: &[u8]) -> io::Result<Arc<[u8]>> {
        let root = self.line.place().root();
        if below.is_empty() {
            return Ok(root.as_bytes().into());
        }
        if below.contains(&0) || below.split(|byte| *byte == b'/').any(|name| name.len() > MAX_NAME) {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let root = root.trim_end_matches('/');
        Ok([root.as_bytes(), b"/", below].concat().into())
    }

    fn attributes(&self, below: &[u8], links: Links) -> io::Result<Stat> {
        let path = self.path(below)?;
        let _pass = self.pace.enter(Kind::Read);
        let attributes = self.line.run(|link| {
            let path = Arc::clone(&path);
            async move { link.session().stat(&path, links == Links::Follow).await }
        })?;
        Ok(stat(&attributes))
    }

    /// Reads with `read` until a range is whole or cannot be. Bytes that came before a connection broke are
    /// not asked for again.
    fn gather<W>(
        &self,
        buffer: Vec<u8>,
        read: impl Fn(Arc<Link>, Vec<u8>) -> W,
    ) -> io::Result<(Vec<u8>, Option<u64>)>
    where
        W: Future<Output = (Vec<u8>, Result<Option<u64>, Fault>)> + Send + 'static,
    {
        let _pass = self.pace.enter(Kind::Read);
        let kept = Arc::new(Mutex::new(buffer));
        let reached = || lock(&kept).len();
        let unfit = self.line.run_on(reached, |link| {
            let kept = Arc::clone(&kept);
            let reading = read(link, std::mem::take(&mut *lock(&kept)));
            async move {
                let (buffer, done) = reading.await;
                *lock(&kept) = buffer;
                done
            }
        })?;
        let bytes = std::mem::take(&mut *lock(&kept));
        self.pace.received(bytes.len());
        Ok((bytes, unfit))
    }
}

// No code panics while it holds the lock.
fn lock(buffer: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DirectoryTree for Tree {
    fn list(&self, directory: &[u8], visit: &mut Visitor<'_>) -> io::Result<()> {
        let path = self.path(directory)?;
        // Not while entries are asked about, which is under a limit of its own.
        let pass = self.pace.enter(Kind::List);
        let names = self.line.run(|link| {
            let path = Arc::clone(&path);
            async move { link.session().list(&path).await }
        })?;
        drop(pass);
        for name in names {
            let stat = stat(&name.attributes);
            let entry = match stat.kind {
                EntryKind::File | EntryKind::Directory => Entry::known(&name.name, stat),
                kind => {
                    let below = match directory {
                        b"" => name.name.clone(),
                        directory => [directory, b"/", &name.name].concat(),
                    };
                    let ask = |links| self.attributes(&below, links);
                    visit(Entry::asking(&name.name, kind, &ask))?;
                    continue;
                }
            };
            visit(entry)?;
        }
        Ok(())
    }

    fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        self.attributes(path, Links::Follow)
    }

    fn listing_threads(&self, directories: usize) -> usize {
        directories.min(LISTINGS)
    }
}

impl FileTree for Tree {
    fn location(&self) -> String {
        self.line.place().location()
    }

    fn read(&self, path: &[u8], limit: u64) -> io::Result<Fetched> {
        let path = self.path(path)?;
        let (bytes, unfit) = self.gather(Vec::new(), |link, mut buffer| {
            let path = Arc::clone(&path);
            async move {
                let done = read_whole(&link, &path, limit, &mut buffer).await;
                (buffer, done)
            }
        })?;
        Ok(unfit.map_or(Fetched::Bytes(bytes), |length| Fetched::Unfit { length }))
    }

    fn read_range(
        &self,
        path: &[u8],
        offset: u64,
        length: usize,
        mut buffer: Vec<u8>,
    ) -> io::Result<Fetched> {
        let path = self.path(path)?;
        buffer.clear();
        let (bytes, unfit) = self.gather(buffer, |link, mut buffer| {
            let path = Arc::clone(&path);
            async move {
                let done = link.read_range(&path, offset, length, &mut buffer).await;
                (buffer, done)
            }
        })?;
        Ok(unfit.map_or(Fetched::Bytes(bytes), |length| Fetched::Unfit { length }))
    }
}

/// Appends what is missing of a file; returns its length if it is longer than `limit`.
async fn read_whole(
    link: &Link,
    path: &[u8],
    limit: u64,
    buffer: &mut Vec<u8>,
) -> Result<Option<u64>, Fault> {
    let file = link.open(path).await?;
    if file.length > limit {
        return Ok(Some(file.length));
    }
    let start = buffer.len();
    let missing = file.length.saturating_sub(start as u64) as usize;
    buffer.reserve_exact(missing.min(MOST_RESERVED));
    link.read(&file, path, start as u64, missing, buffer).await?;
    if buffer.len() as u64 == file.length {
        return Ok(None);
    }
    // It is being written just now, or was replaced while the connection was made again.
    buffer.clear();
    Err(Fault::broken(link.session().host(), "a file ended before its own length"))
}

fn stat(attributes: &Attributes) -> Stat {
    let kind = match attributes.kind() {
        Some(0o100_000) => EntryKind::File,
        Some(0o040_000) => EntryKind::Directory,
        // Modes without a kind come from servers of other systems.
        None | Some(0) => EntryKind::Unknown,
        Some(_) => EntryKind::Other,
    };
    match (kind, attributes.length) {
        (EntryKind::File, Some(length)) => Stat::file(length, attributes.modified()),
        // What it does not say of a file is asked for.
        (EntryKind::File, None) => Stat::other(EntryKind::Unknown),
        (kind, _) => Stat::other(kind),
    }
}
