//! Listing the blobs of a directory.
//!
//! As kopia does, it takes every file for a blob that is named as one, wherever it lies. Directories are read
//! level by level, by as many threads as the tree wants: on a network, each costs round trips.

use std::cmp::Reverse;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kopia_format::BlobId;

use super::form::Form;
use super::names::{self, Named};
use super::shards::Shards;
use super::tree::{DirectoryTree, Entry, EntryKind, Links, Stat, is_absent};
use crate::BlobInfo;

/// The most directories that a listing reads.
///
/// A server that makes up new ones would keep it busy for ever. Kopia's widest layout has 4096 directories in
/// each of the 256 that ids of packs begin with, twice.
const MAX_DIRECTORIES: usize = 4 << 20;

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

/// The path of a directory below the repository's; empty for that itself.
///
/// A level may have millions of them, so nothing is kept that can be told from the path.
type Directory = Box<[u8]>;

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

/// The path of the directory that could not be listed, and why.
pub(crate) type Failure = (Vec<u8>, io::Error);

/// What is listed.
#[derive(Clone, Copy)]
struct Task<'a> {
    tree: &'a dyn DirectoryTree,
    shards: &'a Shards,
    prefix: &'a [u8],
    /// How many directories were found.
    count: &'a AtomicUsize,
}

/// Lists the blobs of a tree whose ids begin with `prefix`, sorted.
///
/// # Errors
/// The directory that could not be listed, and why.
pub(super) fn list(tree: &dyn DirectoryTree, shards: &Shards, prefix: &str) -> Result<Listing, Failure> {
    let count = AtomicUsize::new(0);
    let task = Task { tree, shards, prefix: prefix.as_bytes(), count: &count };
    let (mut blobs, mut misplaced) = (Vec::new(), Vec::new());
    let mut level = vec![Directory::default()];
    while !level.is_empty() {
        let found = read_level(task, &level)?;
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

/// Reads directories in any order; what they hold comes in the order in which they are given.
fn read_level(task: Task<'_>, level: &[Directory]) -> Result<Vec<Found>, Failure> {
    let threads = task.tree.listing_threads(level.len()).min(level.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut parts = Vec::new();
        while let Some((number, directory)) = take(&next, level) {
            match read_directory(task, directory) {
                Ok(found) => parts.push((number, found)),
                Err(source) => {
                    // The others stop at what they have under way.
                    next.store(level.len(), Ordering::Relaxed);
                    return Err((directory.to_vec(), source));
                }
            }
        }
        Ok(parts)
    };
    let mut parts = if threads <= 1 {
        work()?
    } else {
        thread::scope(|scope| {
            // This one works, too; more threads may not be had.
            let others: Vec<_> =
                (1..threads).filter_map(|_| thread::Builder::new().spawn_scoped(scope, work).ok()).collect();
            let mut parts = work();
            for other in others {
                let more = other.join().expect("listing returns its errors");
                parts = parts.and_then(|mut parts| {
                    parts.extend(more?);
                    Ok(parts)
                });
            }
            parts
        })?
    };
    parts.sort_unstable_by_key(|(number, _)| *number);
    Ok(parts.into_iter().map(|(_, found)| found).collect())
}

/// Takes the next directory that nobody has taken yet.
fn take<'a>(next: &AtomicUsize, level: &'a [Directory]) -> Option<(usize, &'a Directory)> {
    let number = next
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| (next < level.len()).then_some(next + 1));
    number.ok().and_then(|number| Some((number, level.get(number)?)))
}

fn read_directory(task: Task<'_>, directory: &[u8]) -> io::Result<Found> {
    let mut reader = Reader::new(task, directory);
    match task.tree.list(directory, &mut |entry| reader.add(&entry)) {
        // It has vanished since it was listed, or something else took its place.
        Err(error) if is_absent(&error) && !directory.is_empty() => Ok(reader.found),
        result => result.map(|()| reader.found),
    }
}

/// Reads one directory.
struct Reader<'a> {
    task: Task<'a>,
    directory: &'a [u8],
    /// The names on the path, joined: the beginning of the ids of all blobs in it.
    joined: Vec<u8>,
    /// The lengths of these names.
    lengths: Vec<usize>,
    /// The forms of misplaced blobs, without the extension and with it: made once a directory.
    forms: [Option<Arc<Form>>; 2],
    found: Found,
}

impl<'a> Reader<'a> {
    fn new(task: Task<'a>, directory: &'a [u8]) -> Self {
        let names = || directory.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        Self {
            task,
            directory,
            joined: names().flatten().copied().collect(),
            lengths: names().map(<[u8]>::len).collect(),
            forms: [None, None],
            found: Found::default(),
        }
    }

    /// Adds an entry, if it is a blob or a directory that may hold some.
    fn add(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let (name, mut kind) = (entry.name, entry.kind);
        let leads_on = |reader: &Self| leads_to(&reader.joined, name, reader.task.prefix);
        if kind != EntryKind::Directory
            && let Some(named) = blob(&self.joined, name, self.task.prefix)
        {
            // A symbolic link is followed, as reading will do. It may have vanished since it was listed.
            match entry.stat(Links::Follow) {
                Err(error) if is_absent(&error) => {}
                stat => {
                    let stat = stat?;
                    if stat.kind == EntryKind::File {
                        self.add_blob(named, name, stat);
                    } else {
                        kind = known(kind, || Ok(stat))?;
                    }
                }
            }
        } else if kind == EntryKind::Unknown && leads_on(self) {
            kind = known(kind, || entry.stat(Links::Keep))?;
        }
        if kind == EntryKind::Directory && leads_on(self) {
            // They are counted as they are found: a level of a server that makes them up need never end.
            if self.task.count.fetch_add(1, Ordering::Relaxed) >= MAX_DIRECTORIES {
                let why = format!("there are more than {MAX_DIRECTORIES} directories");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            self.found.directories.push(self.path_of(name).into());
        }
        Ok(())
    }

    fn add_blob(&mut self, named: Named, name: &[u8], stat: Stat) {
        let Named { id, extension, respelled } = named;
        let is_right = extension && !respelled && self.task.shards.is_at(&id, &self.lengths);
        let blob = BlobInfo::new(id, stat.length).with_modified(stat.modified);
        if is_right {
            return self.found.blobs.push(blob);
        }
        let path = respelled.then(|| self.path_of(name));
        let form = self.forms[usize::from(extension)]
            .get_or_insert_with(|| Arc::new(Form { lengths: self.lengths.clone(), extension }));
        self.found.misplaced.push(Misplaced { blob, form: Arc::clone(form), path });
    }

    /// Returns the path of an entry.
    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        if self.directory.is_empty() { name.to_vec() } else { [self.directory, name].join(&b'/') }
    }
}

/// Returns the kind of an entry, by `stat` where the listing does not give it.
///
/// # Errors
/// Any but that it is gone: what cannot be looked at may be a directory full of blobs.
fn known(kind: EntryKind, stat: impl FnOnce() -> io::Result<Stat>) -> io::Result<EntryKind> {
    if kind != EntryKind::Unknown {
        return Ok(kind);
    }
    match stat() {
        Err(error) if is_absent(&error) => Ok(kind),
        stat => Ok(stat?.kind),
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
