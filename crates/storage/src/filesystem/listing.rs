//! Listing the blobs of a folder.
//!
//! As kopia does, it takes every file for a blob that has the right extension, wherever it lies: a misplaced blob is listed
//! and then not found, which tells more than a repository that seems to be empty. Folders are read level by level, by
//! several threads where there are many: on a network, each costs round trips.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::thread;

use kopia_format::BlobId;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::open_blob::checked_length;
use super::shards::EXTENSION;
use crate::BlobInfo;

/// The longest blob id in bytes.
const MAX_ID: usize = 255;

/// How many folders are worth a thread.
const FOLDERS_A_THREAD: usize = 16;

/// A folder below the repository's.
#[derive(Default)]
struct Folder {
    /// Its path; empty for the repository's folder itself.
    path: Vec<u8>,
    /// The names on the path, joined: the beginning of the ids of all blobs in it.
    joined: Vec<u8>,
}

/// What a folder holds.
#[derive(Default)]
struct Found {
    blobs: Vec<BlobInfo>,
    folders: Vec<Folder>,
}

type Failure = (PathBuf, io::Error);

/// Lists the blobs below `root` whose ids begin with `prefix`, sorted.
///
/// # Errors
/// The folder that could not be listed, and why.
pub(super) fn list(root: impl AsFd, prefix: &str, threads: usize) -> Result<Vec<BlobInfo>, Failure> {
    let root = root.as_fd();
    let mut blobs = Vec::new();
    let mut level = vec![Folder::default()];
    while !level.is_empty() {
        let found = read_level(root, &level, prefix.as_bytes(), threads)?;
        level = Vec::new();
        for part in found {
            blobs.extend(part.blobs);
            level.extend(part.folders);
        }
    }
    blobs.sort_unstable();
    blobs.dedup_by(|a, b| a.id == b.id);
    Ok(blobs)
}

fn read_level(
    root: BorrowedFd<'_>,
    level: &[Folder],
    prefix: &[u8],
    threads: usize,
) -> Result<Vec<Found>, Failure> {
    let threads = threads.min(level.len() / FOLDERS_A_THREAD).max(1);
    if threads == 1 {
        return Ok(vec![read_folders(root, level, prefix)?]);
    }
    thread::scope(|scope| {
        let parts: Vec<_> = level
            .chunks(level.len().div_ceil(threads))
            .map(|part| {
                (part, thread::Builder::new().spawn_scoped(scope, || read_folders(root, part, prefix)))
            })
            .collect();
        parts
            .into_iter()
            .map(|(part, thread)| match thread {
                Ok(thread) => thread.join().expect("listing returns its errors"),
                // No more threads may be had.
                Err(_) => read_folders(root, part, prefix),
            })
            .collect()
    })
}

fn read_folders(root: BorrowedFd<'_>, folders: &[Folder], prefix: &[u8]) -> Result<Found, Failure> {
    let mut found = Found::default();
    for folder in folders {
        read_folder(root, folder, prefix, &mut found)
            .map_err(|errno| (std::ffi::OsString::from_vec(folder.path.clone()).into(), errno.into()))?;
    }
    Ok(found)
}

fn read_folder(root: BorrowedFd<'_>, folder: &Folder, prefix: &[u8], found: &mut Found) -> Result<(), Errno> {
    let is_root = folder.path.is_empty();
    let path = if is_root { b"." } else { &folder.path[..] };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = match rustix::fs::openat(root, path, flags, Mode::empty()) {
        // It has vanished since it was listed, or something else took its place.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !is_root => return Ok(()),
        result => result?,
    };
    let mut entries = Dir::read_from(&handle)?;
    while let Some(entry) = entries.read() {
        let entry = match entry {
            Err(Errno::NOENT) => break,
            result => result?,
        };
        let name = entry.file_name().to_bytes();
        let mut kind = entry.file_type();
        if kind != FileType::Directory
            && let Some(id) = blob_id(&folder.joined, name, prefix)
        {
            // A link is followed, as reading will do. It may have vanished since it was listed.
            match rustix::fs::statat(&handle, name, AtFlags::empty()) {
                Ok(stat) => match checked_length(&stat) {
                    Ok(length) => found.blobs.push(BlobInfo { id, length }),
                    Err(_) if kind == FileType::Unknown => kind = FileType::from_raw_mode(stat.st_mode),
                    Err(_) => {}
                },
                Err(Errno::NOENT | Errno::LOOP) => {}
                Err(errno) => return Err(errno),
            }
        } else if kind == FileType::Unknown && leads_to(&folder.joined, name, prefix) {
            let stat = rustix::fs::statat(&handle, name, AtFlags::SYMLINK_NOFOLLOW);
            kind = stat.map_or(kind, |stat| FileType::from_raw_mode(stat.st_mode));
        }
        if kind == FileType::Directory && leads_to(&folder.joined, name, prefix) && !is_foreign(is_root, name)
        {
            let path = if is_root { name.to_vec() } else { [path, name].join(&b'/') };
            found.folders.push(Folder { path, joined: [&folder.joined, name].concat() });
        }
    }
    Ok(())
}

/// Returns the id of the blob that the file `name` is, if it is one and begins with `prefix`.
fn blob_id(joined: &[u8], name: &[u8], prefix: &[u8]) -> Option<BlobId> {
    let stem = name.strip_suffix(EXTENSION)?;
    // macOS puts files named `._…` beside others on foreign file systems.
    if stem.is_empty() || stem.starts_with(b"._") {
        return None;
    }
    let id = [joined, stem].concat();
    let is_wanted = id.starts_with(prefix);
    is_wanted.then(|| BlobId::new(str::from_utf8(&id).ok()?).ok())?
}

/// Tells whether ids that begin with `prefix` can lie in the folder `name`.
fn leads_to(joined: &[u8], name: &[u8], prefix: &[u8]) -> bool {
    let known = joined.len().min(prefix.len());
    // The folder was chosen because `joined` fits.
    let (rest, length) = (&prefix[known..], joined.len() + name.len());
    !matches!(name, b"." | b"..") && length < MAX_ID && (name.starts_with(rest) || rest.starts_with(name))
}

/// Tells whether a folder is put there by systems, often unreadable, and cannot hold blobs.
fn is_foreign(in_root: bool, name: &[u8]) -> bool {
    matches!(name, b"lost+found" | b"@eaDir" | b"#recycle") || in_root && name.starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_blobs_have_ids() {
        let id = |name: &str| blob_id(b"n6a", name.as_bytes(), b"n6").map(String::from);
        assert_eq!(id("b12.f").as_deref(), Some("n6ab12"));
        for other in [".f", "b12.f.tmp.0123", "b12", "b12.f~", "._b12.f", ".nfs0001"] {
            assert_eq!(id(other), None, "{other}");
        }
        assert_eq!(blob_id(b"", b"\xff.f", b""), None);
        assert_eq!(blob_id(b"n\xc3", b"\xa9.f", b"").unwrap().as_str(), "né");
        assert_eq!(blob_id(b"p", b"1.f", b"n"), None);
    }

    #[test]
    fn only_folders_on_the_way_are_read() {
        assert!(leads_to(b"", b"p", b"p12"));
        assert!(leads_to(b"p", b"123", b"p12"));
        assert!(leads_to(b"p", b"1", b"p12"));
        assert!(leads_to(b"p12", b"xyz", b"p12"));
        assert!(leads_to(b"p123", b"xyz", b"p12"));
        assert!(leads_to(b"", b"anything", b""));
        assert!(!leads_to(b"", b"q", b"p12"));
        assert!(!leads_to(b"p", b"2", b"p12"));
        assert!(!leads_to(b"", b"..", b""));
        assert!(!leads_to(&[b'a'; 250], b"12345", b""));
    }
}
