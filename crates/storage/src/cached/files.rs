//! The files of a cache: each written whole under a name of its own, or not there.
//!
//! A cache has a directory for each repository, marked by a file that says whose it is. Only files in marked
//! directories whose names are those of a cache are counted and removed: whatever else lies below the same
//! path is left alone.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

/// How many bytes a checksum takes, at the end of each file.
const CHECKSUM: usize = 8;

/// The file that marks a directory as one that need not be backed up, and as ours (bford.info/cachedir).
const TAG: &str = "CACHEDIR.TAG";
const TAG_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # Indexes and directories of a repository, kept by kopia-rs --cache. They can be deleted at any time.\n";

/// What names of files begin with that are being written.
const UNFINISHED: &str = "unfinished-";

/// How old an unfinished file is that nobody writes any more.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// What part of the limit one file may have, and what part is free once there was too much.
const PART: u64 = 4;

/// After writing what part of the limit files are counted again, as other processes write, too.
const COUNTED_AGAIN: u64 = 16;

/// The most bytes of one file: longer blobs are read in ranges where a cache is worth it.
const LONGEST: u64 = 64 << 20;

/// What a file takes on a disk at least: room is given in blocks.
const BLOCK: u64 = 4 << 10;

/// The files of one repository, and the limit of all repositories below the same directory.
#[derive(Debug)]
pub(super) struct Files {
    /// Where all repositories are.
    all: PathBuf,
    own: PathBuf,
    limit: u64,
    /// About how many bytes there are; nothing before they were counted.
    held: AtomicU64,
    /// How many of them were written since they were counted.
    added: AtomicU64,
    /// What tells the unfinished files of this process from those of others: processes in containers share
    /// their numbers.
    process: u64,
    /// How many files were begun.
    begun: AtomicU64,
}

/// Not yet counted.
const UNKNOWN: u64 = u64::MAX;

impl Files {
    pub(super) fn new(all: &Path, repository: &str, limit: u64) -> Self {
        let name: String = repository.chars().filter(char::is_ascii_alphanumeric).collect();
        let own = all.join(format!("repository-{name}"));
        let (held, added, begun) = (UNKNOWN.into(), 0.into(), 0.into());
        let process = RandomState::new().build_hasher().finish();
        Self { all: all.into(), own, limit, held, added, process, begun }
    }

    /// Reads a file, if it is there and whole; where `length` is given, if it has so many bytes.
    pub(super) fn get(&self, name: &str, length: Option<usize>) -> Option<Vec<u8>> {
        // A link could lead anywhere, and a pipe would hold us up.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        let mut file = File::options().read(true).custom_flags(flags.cast_signed()).open(self.own.join(name));
        let file = file.as_mut().ok()?;
        let found = file.metadata().ok().filter(fs::Metadata::is_file)?.len();
        let stored = found.checked_sub(CHECKSUM as u64).filter(|_| found <= self.most())?;
        if length.is_some_and(|length| length as u64 != stored) {
            return None;
        }
        let mut bytes = Vec::with_capacity(found as usize);
        Read::by_ref(file).take(found).read_to_end(&mut bytes).ok()?;
        let checksum = bytes.split_off(bytes.len().checked_sub(CHECKSUM)?);
        if bytes.len() as u64 != stored || checksum != checksum_of(name, &bytes) {
            return None;
        }
        // What was used last is removed last. Whoever may not say so reads all the same.
        let _ = file.set_modified(SystemTime::now());
        Some(bytes)
    }

    /// Writes a file, if that can be done.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        let stored = bytes.len() as u64 + CHECKSUM as u64;
        if stored > self.most() {
            return;
        }
        let room = room_of(stored);
        if self.held.load(Ordering::Relaxed) == UNKNOWN {
            if make_directory(&self.own).is_err() {
                return;
            }
            self.make_room(room);
        }
        if self.write(name, bytes).is_err() {
            // Somebody may have deleted all of it.
            let again = make_directory(&self.own).and_then(|()| self.write(name, bytes));
            if again.is_err() {
                return;
            }
        }
        let held = self.held.fetch_add(room, Ordering::Relaxed).saturating_add(room);
        let added = self.added.fetch_add(room, Ordering::Relaxed).saturating_add(room);
        if held > self.limit || added > self.limit / COUNTED_AGAIN {
            self.make_room(0);
        }
    }

    /// Removes all that is kept of a blob.
    pub(super) fn forget(&self, blob: &str) {
        for entry in fs::read_dir(&self.own).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.split('.').next() == Some(blob)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The most bytes that one file may have.
    fn most(&self) -> u64 {
        (self.limit / PART).min(LONGEST)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.own.join(format!("{UNFINISHED}{:016x}-{number}", self.process));
        let mut file = new_file().open(&unfinished)?;
        let mut write = || {
            file.write_all(bytes)?;
            file.write_all(&checksum_of(name, bytes))?;
            fs::rename(&unfinished, self.own.join(name))
        };
        write().inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }

    /// Counts what is there; if that and so many bytes are too many, removes what was not used for longest.
    fn make_room(&self, more: u64) {
        self.added.store(0, Ordering::Relaxed);
        let mut files = self.list();
        let mut held: u64 = files.iter().map(|file| file.room).sum();
        if held.saturating_add(more) > self.limit {
            files.sort_unstable_by_key(|file| file.used);
            for file in files {
                if held <= self.limit - self.limit / PART {
                    break;
                }
                if fs::remove_file(&file.path).is_ok() {
                    held -= file.room;
                }
            }
        }
        self.held.store(held, Ordering::Relaxed);
    }

    /// Lists the files of all repositories, and removes those that nobody will finish.
    fn list(&self) -> Vec<Found> {
        let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
        let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let repositories = entries(&self.all).filter(is_directory).map(|entry| entry.path());
        let files = repositories.filter(|path| is_marked(path)).flat_map(|path| entries(&path));
        files
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok().filter(|name| is_name(name))?;
                let found = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                let used = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                if name.starts_with(UNFINISHED) && used.elapsed().is_ok_and(|age| age > ABANDONED) {
                    let _ = fs::remove_file(entry.path());
                    return None;
                }
                Some(Found { path: entry.path(), used, room: room_of(found.len()) })
            })
            .collect()
    }
}

/// A file of the cache.
struct Found {
    path: PathBuf,
    used: SystemTime,
    /// What it takes of the limit.
    room: u64,
}

fn room_of(length: u64) -> u64 {
    length.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// Returns whether a name is one that a cache gives: of a blob, of a range of one, or of an unfinished file.
fn is_name(name: &str) -> bool {
    let (blob, range) = name.split_once('.').unwrap_or((name, "0-0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_range =
        range.split_once('-').is_some_and(|(offset, length)| is_number(offset) && is_number(length));
    is_range && (super::is_kept(blob) || blob.starts_with(UNFINISHED))
}

/// Returns whether a directory is one of a cache.
fn is_marked(directory: &Path) -> bool {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let tag = File::options().read(true).custom_flags(flags).open(directory.join(TAG));
    let mut text = Vec::new();
    let read = tag.and_then(|tag| tag.take(TAG_TEXT.len() as u64).read_to_end(&mut text));
    read.is_ok() && text == TAG_TEXT.as_bytes()
}

/// Makes a directory that nobody else may look into, and marks it. One that was there, is not marked and not
/// empty is not ours.
fn make_directory(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let is_directory = fs::symlink_metadata(path)?.is_dir();
            if is_directory && is_marked(path) {
                return Ok(());
            }
            if !is_directory || fs::read_dir(path)?.next().is_some() {
                return Err(error);
            }
        }
        made => made?,
    }
    // Another process may be about to do the same: then this file is not kept.
    new_file().open(path.join(TAG))?.write_all(TAG_TEXT.as_bytes())
}

fn new_file() -> OpenOptions {
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    options
}

/// Returns the checksum of a file: against files that were cut short or moved, not against forgers, whom only
/// the keys of contents keep out. Another build may count in another way; then the file is not there for it.
fn checksum_of(name: &str, bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = DefaultHasher::new();
    hasher.write(name.as_bytes());
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_cache_are_told_from_others() {
        for own in ["q1", "xn0_1.0-7", "n1.123-45", "unfinished-0123-4"] {
            assert!(is_name(own), "{own}");
        }
        for other in
            ["diary.txt", "p1", "q1.", "q1.-", "q1.1-", "q1.-1", "q1.1", "q1.1-b", "q1.a-1", "x.1-2.3"]
        {
            assert!(!is_name(other), "{other}");
        }
    }
}
