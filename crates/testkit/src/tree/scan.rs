//! Reads a real directory, handle by handle, so that no path gets too long and no link is followed.

use std::ffi::CStr;
use std::fmt::Write;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::{Entry, Kind};

/// Everything below a directory, and the directory itself.
pub(super) fn directory(path: &Path) -> io::Result<Vec<Entry>> {
    let root =
        rustix::fs::statat(CWD, path, AtFlags::empty()).map_err(|errno| named(path.display(), errno))?;
    let opened = open(CWD, path, &root, OFlags::DIRECTORY).map_err(|errno| named(path.display(), errno))?;
    let mut entries = vec![entry(String::new(), &root)];
    below(&opened.handle, "", &mut entries)?;
    Ok(entries)
}

/// One file or link.
pub(super) fn single(path: &Path) -> io::Result<Vec<Entry>> {
    let stat = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| named(path.display(), errno))?;
    let entry = whole(CWD, path, entry(String::new(), &stat), &stat);
    Ok(vec![entry.map_err(|error| named(path.display(), error))?])
}

fn below(directory: &OwnedFd, directory_path: &str, entries: &mut Vec<Entry>) -> io::Result<()> {
    for child in Dir::read_from(directory).map_err(|errno| named(directory_path, errno))? {
        let child = child.map_err(|errno| named(directory_path, errno))?;
        let name: &CStr = child.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let path = match directory_path {
            "" => lossy(name.to_bytes()),
            _ => format!("{directory_path}/{}", lossy(name.to_bytes())),
        };
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| named(&path, errno))?;
        let entry = whole(directory.as_fd(), name, entry(path.clone(), &stat), &stat);
        let entry = entry.map_err(|error| named(&path, error))?;
        let is_directory = entry.kind == Kind::Directory;
        entries.push(entry);
        if is_directory {
            let opened = open(directory, name, &stat, OFlags::DIRECTORY | OFlags::NOFOLLOW)
                .map_err(|errno| named(&path, errno))?;
            below(&opened.handle, &path, entries)?;
        }
    }
    Ok(())
}

/// What `stat` tells.
fn entry(path: String, stat: &Stat) -> Entry {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    };
    Entry {
        path,
        kind,
        mode: if kind == Kind::Symlink { 0 } else { stat.st_mode & 0o7777 },
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
        size: 0,
        sha256: None,
        target: None,
    }
}

/// Adds what has to be read: contents, and where links point.
fn whole<P: rustix::path::Arg + Copy>(
    directory: BorrowedFd<'_>,
    name: P,
    mut entry: Entry,
    stat: &Stat,
) -> io::Result<Entry> {
    match entry.kind {
        Kind::File => {
            let (size, sha256) = digest(&open(directory, name, stat, OFlags::NOFOLLOW)?.handle)?;
            (entry.size, entry.sha256) = (size, Some(sha256));
        }
        Kind::Symlink => {
            let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
            entry.target = Some(lossy(target.to_bytes()));
        }
        Kind::Directory | Kind::Other => {}
    }
    Ok(entry)
}

/// An open file or directory, whose mode is put back when it is closed.
struct Opened {
    handle: OwnedFd,
    mode: Option<Mode>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(mode) = self.mode {
            rustix::fs::fchmod(&self.handle, mode).expect("the mode of our own file can be set");
        }
    }
}

/// Opens for reading; what is ours but not readable is made so for as long as it is open.
fn open<P: rustix::path::Arg + Copy>(
    directory: impl AsFd,
    name: P,
    stat: &Stat,
    flags: OFlags,
) -> Result<Opened, Errno> {
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
    match rustix::fs::openat(&directory, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {}
        opened => return opened.map(|handle| Opened { handle, mode: None }),
    }
    rustix::fs::chmodat(&directory, name, Mode::RWXU, AtFlags::empty())?;
    let handle = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
    Ok(Opened { handle, mode: Some(Mode::from_raw_mode(stat.st_mode)) })
}

/// Size and hash of a file.
fn digest(file: &OwnedFd) -> io::Result<(u64, String)> {
    let mut buffer = vec![0; 128 << 10];
    let (mut size, mut hasher) = (0, Sha256::new());
    loop {
        match rustix::io::read(file, &mut buffer)? {
            0 => break,
            length => {
                size += length as u64;
                hasher.update(&buffer[..length]);
            }
        }
    }
    let mut hex = String::new();
    for byte in hasher.finalize() {
        write!(hex, "{byte:02x}").expect("a string takes everything");
    }
    Ok((size, hex))
}

/// As Go writes such a name into JSON: U+FFFD for each byte that is not part of a character.
pub(super) fn lossy(mut bytes: &[u8]) -> String {
    let mut text = String::new();
    loop {
        match std::str::from_utf8(bytes) {
            Ok(rest) => return text + rest,
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(valid).expect("valid up to here"));
                text.push(char::REPLACEMENT_CHARACTER);
                bytes = &rest[1..];
            }
        }
    }
}

fn named(path: impl std::fmt::Display, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), format!("{path}: {error}"))
}
