//! Listing the blobs of a directory.
//!
//! As kopia does, it takes every file for a blob that is named as one, wherever it lies. Directories are read
//! level by level, by several threads where there are many: on a network, each costs round trips.

use std::cmp::Reverse;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use kopia_format::BlobId;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::form::Form;
use super::names::{self, Named};
use super::open_blob::{checked_length, modified};
use super::shards::Shards;
use crate::BlobInfo;

/// How many directories are worth a thread.
const DIRECTORIES_A_THREAD: usize = 16;

/// The blobs that were found, and where those lie that are not in their right place.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Sorted by id, each once; of several copies the longest, as no blob is longer than it was written.
    pub(super) blobs: Vec<BlobInfo>,
    /// The forms of those that are not in their right place.
    pub(super) forms: Vec<Form>,
    /// Paths of those that no form gives, or of which another copy is shorter.
    pub(super) moved: Vec<(BlobId, Vec<u8>)>,
}

/// A directory below the repository's.
#[derive(Default)]
struct Directory {
    /// Its path; empty for the repository's directory itself.
    path: Vec<u8>,
    /// The names on the path, joined: the beginning of the ids of all blobs in it.
    joined: Vec<u8>,
    /// The lengths of these names.
    lengths: Vec<usize>,
}

/// What a directory holds.
#[derive(Default)]
struct Found {
    /// Blobs in their right places.
    blobs: Vec<BlobInfo>,
    /// All others.
    misplaced: Vec<Misplaced>,
    directories: Vec<Directory>,
}

/// A blob that is not where `.shards` says.
struct Misplaced {
    blob: BlobInfo,
    form: Arc<Form>,
    /// Its path, if that is spelled otherwise than the form gives it.
    path: Option<Vec<u8>>,
}

/// The directory that could not be listed, and why.
pub(super) type Failure = (PathBuf, io::Error);

/// What is listed.
#[derive(Clone, Copy)]
struct Task<'a> {
    root: BorrowedFd<'a>,
    shards: &'a Shards,
    prefix: &'a [u8],
}

/// Lists the blobs below `root` whose ids begin with `prefix`, sorted.
///
/// # Errors
/// The directory that could not be listed, and why.
pub(super) fn list(
    root: BorrowedFd<'_>,
    shards: &Shards,
    prefix: &str,
    threads: usize,
) -> Result<Listing, Failure> {
    let task = Task { root, shards, prefix: prefix.as_bytes() };
    let (mut blobs, mut misplaced) = (Vec::new(), Vec::new());
    let mut level = vec![Directory::default()];
    while !level.is_empty() {
        let found = read_level(task, &level, threads)?;
        level = Vec::new();
        for part in found {
            blobs.extend(part.blobs);
            misplaced.extend(part.misplaced);
            level.extend(part.directories);
        }
    }
    let mut listing = if misplaced.is_empty() {
        Listing { blobs, ..Listing::default() }
    } else {
        merge(shards, blobs, misplaced)
    };
    listing.blobs.sort_unstable();
    // The same file may be found twice while others rename what lies around it.
    listing.blobs.dedup_by(|a, b| a.id == b.id);
    Ok(listing)
}

/// Merges blobs in their right places with others, and chooses among copies.
fn merge(shards: &Shards, blobs: Vec<BlobInfo>, misplaced: Vec<Misplaced>) -> Listing {
    let mut listing = Listing::default();
    for Misplaced { form, .. } in &misplaced {
        if listing.forms.last() != Some(&**form) && !listing.forms.contains(form) {
            listing.forms.push((**form).clone());
        }
    }
    let found = blobs.into_iter().map(|blob| (blob, None));
    let mut all: Vec<(BlobInfo, Option<Misplaced>)> =
        found.chain(misplaced.into_iter().map(|one| (one.blob.clone(), Some(one)))).collect();
    all.sort_by(|(a, a_at), (b, b_at)| {
        let key = |blob: &BlobInfo, is_misplaced| (Reverse(blob.length), is_misplaced);
        a.id.cmp(&b.id).then_with(|| key(a, a_at.is_some()).cmp(&key(b, b_at.is_some())))
    });
    for copies in all.chunk_by(|(a, _), (b, _)| a.id == b.id) {
        let (blob, at) = &copies[0];
        let differ = copies.iter().any(|(other, _)| other.length != blob.length);
        let respelled = at.as_ref().and_then(|at| at.path.clone());
        if differ || respelled.is_some() {
            let path = respelled.or_else(|| match at {
                Some(at) => at.form.file(&blob.id),
                None => shards.file(&blob.id),
            });
            listing.moved.extend(path.map(|path| (blob.id.clone(), path)));
        }
        listing.blobs.push(blob.clone());
    }
    listing
}

fn read_level(task: Task<'_>, level: &[Directory], threads: usize) -> Result<Vec<Found>, Failure> {
    let threads = worthwhile(threads, level.len());
    if threads == 1 {
        return Ok(vec![read_directories(task, level)?]);
    }
    thread::scope(|scope| {
        let parts: Vec<_> = level
            .chunks(level.len().div_ceil(threads))
            .map(|part| {
                (part, thread::Builder::new().spawn_scoped(scope, move || read_directories(task, part)))
            })
            .collect();
        parts
            .into_iter()
            .map(|(part, thread)| match thread {
                Ok(thread) => thread.join().expect("listing returns its errors"),
                // No more threads may be had.
                Err(_) => read_directories(task, part),
            })
            .collect()
    })
}

/// Returns how many threads are worth starting for so many directories.
fn worthwhile(threads: usize, directories: usize) -> usize {
    threads.min(directories / DIRECTORIES_A_THREAD).max(1)
}

fn read_directories(task: Task<'_>, directories: &[Directory]) -> Result<Found, Failure> {
    let mut found = Found::default();
    for directory in directories {
        read_directory(task, directory, &mut found)
            .map_err(|errno| (std::ffi::OsString::from_vec(directory.path.clone()).into(), errno.into()))?;
    }
    Ok(found)
}

fn read_directory(task: Task<'_>, directory: &Directory, found: &mut Found) -> Result<(), Errno> {
    let is_root = directory.path.is_empty();
    let path = if is_root { b"." } else { &directory.path[..] };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = match rustix::fs::openat(task.root, path, flags, Mode::empty()) {
        // It has vanished since it was listed, or something else took its place.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !is_root => return Ok(()),
        result => result?,
    };
    let mut entries = Dir::read_from(&handle)?;
    let mut reader = Reader { task, directory, handle, forms: [None, None], found };
    while let Some(entry) = entries.read() {
        match entry {
            Err(Errno::NOENT) => break,
            entry => {
                let entry = entry?;
                reader.add(entry.file_name().to_bytes(), entry.file_type())?;
            }
        }
    }
    Ok(())
}

/// Reads one directory.
struct Reader<'a> {
    task: Task<'a>,
    directory: &'a Directory,
    handle: OwnedFd,
    /// The forms of misplaced blobs, without the extension and with it: made once a directory.
    forms: [Option<Arc<Form>>; 2],
    found: &'a mut Found,
}

impl Reader<'_> {
    /// Adds an entry, if it is a blob or a directory that may hold some.
    fn add(&mut self, name: &[u8], mut kind: FileType) -> Result<(), Errno> {
        let leads_on = || leads_to(&self.directory.joined, name, self.task.prefix);
        if kind != FileType::Directory
            && let Some(named) = blob(&self.directory.joined, name, self.task.prefix)
        {
            // A symbolic link is followed, as reading will do. It may have vanished since it was listed.
            match rustix::fs::statat(&self.handle, name, AtFlags::empty()) {
                Err(Errno::NOENT | Errno::LOOP) => {}
                stat => {
                    let stat = stat?;
                    match checked_length(&stat) {
                        Ok(length) => self.add_blob(named, name, length, modified(&stat)),
                        Err(_) => kind = known(kind, || Ok(stat))?,
                    }
                }
            }
        } else if kind == FileType::Unknown && leads_on() {
            kind = known(kind, || rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW))?;
        }
        if kind == FileType::Directory && leads_on() {
            self.found.directories.push(self.directory.below(name));
        }
        Ok(())
    }

    fn add_blob(&mut self, named: Named, name: &[u8], length: u64, modified: Option<SystemTime>) {
        let Named { id, extension, respelled } = named;
        let directory = self.directory;
        let is_right = extension && !respelled && self.task.shards.is_at(&id, &directory.lengths);
        let blob = BlobInfo::new(id, length).with_modified(modified);
        if is_right {
            return self.found.blobs.push(blob);
        }
        let form = self.forms[usize::from(extension)]
            .get_or_insert_with(|| Arc::new(Form { lengths: directory.lengths.clone(), extension }));
        let path = respelled.then(|| directory.path_of(name));
        self.found.misplaced.push(Misplaced { blob, form: Arc::clone(form), path });
    }
}

/// Returns the type of an entry, by `stat` where the file system does not give it in the listing
/// (DT_UNKNOWN).
///
/// # Errors
/// Any but ENOENT: what cannot be looked at may be a directory full of blobs.
fn known(kind: FileType, stat: impl FnOnce() -> Result<Stat, Errno>) -> Result<FileType, Errno> {
    if kind != FileType::Unknown {
        return Ok(kind);
    }
    match stat() {
        Err(Errno::NOENT) => Ok(kind),
        stat => Ok(FileType::from_raw_mode(stat?.st_mode)),
    }
}

impl Directory {
    /// Returns the directory `name` in this one.
    fn below(&self, name: &[u8]) -> Self {
        Self {
            path: self.path_of(name),
            joined: [&self.joined, name].concat(),
            lengths: [&self.lengths[..], &[name.len()]].concat(),
        }
    }

    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { name.to_vec() } else { [&self.path, name].join(&b'/') }
    }
}

/// Returns the blob that the file `name` is, if it is one and begins with `prefix`.
fn blob(joined: &[u8], name: &[u8], prefix: &[u8]) -> Option<Named> {
    if !may_begin(joined, name, prefix) {
        return None;
    }
    names::blob(joined, name).filter(|named| named.id.as_str().as_bytes().starts_with(prefix))
}

/// Returns whether ids that begin with `prefix` can lie in the directory `name`.
fn leads_to(joined: &[u8], name: &[u8], prefix: &[u8]) -> bool {
    may_begin(joined, name, prefix) && names::may_hold_blobs(joined, name)
}

/// Returns whether a name and `prefix` agree as far as both go, in upper or lower case.
fn may_begin(joined: &[u8], name: &[u8], prefix: &[u8]) -> bool {
    // The directory was chosen because `joined` fits.
    let rest = &prefix[joined.len().min(prefix.len())..];
    let known = rest.len().min(name.len());
    name[..known].eq_ignore_ascii_case(&rest[..known])
}

#[cfg(test)]
mod tests;
