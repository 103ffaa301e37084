//! The files of a cache: each written whole under a name of its own, or not there.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// How many bytes a checksum takes, at the end of each file.
const CHECKSUM: usize = 8;

/// What names of files begin with that are being written.
const UNFINISHED: &str = "unfinished-";

/// How old an unfinished file is that nobody writes any more.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// What part of the limit one file may have, and what part is free once there was too much.
const PART: u64 = 4;

/// The files of one repository, and the limit of all repositories below the same directory.
#[derive(Debug)]
pub(super) struct Files {
    /// Where all repositories are.
    all: PathBuf,
    own: PathBuf,
    limit: u64,
    /// About how many bytes there are; nothing before they were counted.
    held: AtomicU64,
}

/// How many files this process has written: no two of them have the same name before they are whole.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Not yet counted.
const UNKNOWN: u64 = u64::MAX;

impl Files {
    pub(super) fn new(all: &Path, repository: &str, limit: u64) -> Self {
        let name: String = repository.chars().filter(char::is_ascii_alphanumeric).collect();
        let own = all.join(format!("repository-{name}"));
        Self { all: all.into(), own, limit, held: AtomicU64::new(UNKNOWN) }
    }

    /// Reads a file, if it is there and whole.
    pub(super) fn get(&self, name: &str) -> Option<Vec<u8>> {
        let mut file = File::open(self.own.join(name)).ok()?;
        let length =
            file.metadata().ok().filter(|found| found.is_file() && found.len() <= self.most())?.len();
        let mut bytes = Vec::with_capacity(length as usize);
        Read::by_ref(&mut file).take(length).read_to_end(&mut bytes).ok()?;
        let checksum = bytes.split_off(bytes.len().checked_sub(CHECKSUM)?);
        if checksum != checksum_of(name, &bytes) {
            return None;
        }
        // What was used last is removed last. Whoever may not say so reads all the same.
        let _ = file.set_modified(SystemTime::now());
        Some(bytes)
    }

    /// Writes a file, if that can be done.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        let length = bytes.len() as u64 + CHECKSUM as u64;
        if length > self.most() {
            return;
        }
        if self.held.load(Ordering::Relaxed) == UNKNOWN {
            self.make_room(length);
        }
        if self.write(name, bytes).is_err() {
            // Somebody may have deleted all of it.
            let again = make_directory(&self.own).and_then(|()| self.write(name, bytes));
            if again.is_err() {
                return;
            }
        }
        let held = self.held.fetch_add(length, Ordering::Relaxed).saturating_add(length);
        if held > self.limit {
            self.make_room(0);
        }
    }

    /// The most bytes that one file may have.
    fn most(&self) -> u64 {
        self.limit / PART
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.own.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
        let write = || {
            let mut file = File::options().write(true).create_new(true).open(&unfinished)?;
            file.write_all(bytes)?;
            file.write_all(&checksum_of(name, bytes))?;
            fs::rename(&unfinished, self.own.join(name))
        };
        write().inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }

    /// Counts what is there; if that and so many bytes are too many, removes what was not used for longest.
    fn make_room(&self, more: u64) {
        let mut files = self.list();
        let mut held: u64 = files.iter().map(|file| file.length).sum();
        if held.saturating_add(more) > self.limit {
            files.sort_unstable_by_key(|file| file.used);
            for file in files {
                if held <= self.limit - self.limit / PART {
                    break;
                }
                if fs::remove_file(&file.path).is_ok() {
                    held -= file.length;
                }
            }
        }
        self.held.store(held, Ordering::Relaxed);
    }

    /// Lists the files of all repositories, and removes those that nobody will finish.
    fn list(&self) -> Vec<Found> {
        let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
        let is_own = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b"repository-");
        let repositories = entries(&self.all).filter(|entry| is_own(&entry.file_name()));
        let files = repositories.flat_map(|repository| entries(&repository.path()));
        files
            .filter_map(|entry| {
                let found = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                let used = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                let is_unfinished = entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes());
                if is_unfinished && used.elapsed().is_ok_and(|age| age > ABANDONED) {
                    let _ = fs::remove_file(entry.path());
                    return None;
                }
                Some(Found { path: entry.path(), used, length: found.len() })
            })
            .collect()
    }
}

/// A file of the cache.
struct Found {
    path: PathBuf,
    used: SystemTime,
    length: u64,
}

/// Makes a directory that nobody else may look into.
fn make_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Returns the checksum of a file: against files that were cut short or moved, not against forgers. Another
/// build may count in another way; then the file is not there for it.
fn checksum_of(name: &str, bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = DefaultHasher::new();
    hasher.write(name.as_bytes());
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}
