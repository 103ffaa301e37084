//! A blob's file, kept open with its length and its map.
//!
//! Ranges come checked against that length. Files are opened read-only and never waited for: a named pipe in
//! the place of a blob is no blob.

use std::fs::File;
use std::io;
use std::ops::{Range, RangeInclusive};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use kopia_format::BlobId;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::Map;
use super::kind::Kind;

/// A map and the range of it that was asked for.
pub(super) type MapPart = (Arc<Map>, Range<usize>);

/// An open file, its length when it was opened, and its map once one is wanted.
#[derive(Debug)]
pub(super) struct OpenBlob {
    id: BlobId,
    file: File,
    length: u64,
    /// How many bytes a network file system asks for in one request.
    request: u64,
    map: OnceLock<Option<Arc<Map>>>,
}

/// The least and the most bytes of one request: what Linux reads ahead of a file by default, and the usual
/// limit of NFS and SMB. Only within one advice of so many bytes are they joined.
const REQUESTS: RangeInclusive<u64> = 128 << 10..=1 << 20;

/// The most bytes that are asked for at once.
const AT_ONCE: u64 = 16 << 20;

impl OpenBlob {
    /// Opens a file below `root`.
    pub(super) fn open(root: impl AsFd, path: &[u8], id: &BlobId) -> io::Result<Self> {
        // NONBLOCK means nothing to a file, but a named pipe in its place cannot hold us up. A file with a
        // lease of another program (Samba's) is refused with it; that is given up soon.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
        let open = |flags| rustix::fs::openat(root.as_fd(), path, flags, Mode::empty());
        let file = match open(flags | OFlags::NONBLOCK) {
            Err(Errno::AGAIN) => open(flags)?,
            result => result?,
        };
        let stat = rustix::fs::fstat(&file)?;
        let length = checked_length(&stat)?;
        let request = u64::try_from(stat.st_blksize).unwrap_or(0).clamp(*REQUESTS.start(), *REQUESTS.end());
        Ok(Self { id: id.clone(), file: file.into(), length, request, map: OnceLock::new() })
    }

    pub(super) fn id(&self) -> &BlobId {
        &self.id
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Returns the length in bytes when the file was opened.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Returns the length in bytes as of now.
    pub(super) fn length_now(&self) -> io::Result<u64> {
        checked_length(&rustix::fs::fstat(&self.file)?)
    }

    /// Returns a range, which lies within the length, as a part of the map; `None` if there can be no map.
    ///
    /// # Errors
    /// Why the range cannot be handed out.
    pub(super) fn mapped(&self, offset: u64, length: usize) -> Result<Option<MapPart>, Errno> {
        let Some(map) = self.map.get_or_init(|| self.new_map().map(Arc::new)) else { return Ok(None) };
        let start = usize::try_from(offset).map_err(|_| Errno::OVERFLOW)?;
        let range = start..start + length;
        map.populate(range.clone()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::FAULT))?;
        // A file that was cut short within its last page reads as zeros from there on, without a complaint.
        let unchanged = self.length_now().is_ok_and(|now| now == self.length);
        Ok(unchanged.then(|| (Arc::clone(map), range)))
    }

    fn new_map(&self) -> Option<Map> {
        let suits = matches!(Kind::of(&self.file), Kind::Local { maps: true });
        suits.then(|| Map::new(&self.file, usize::try_from(self.length).ok()?).ok())?
    }

    /// Copies a range, which lies within the length, into `buffer` and returns that.
    pub(super) fn copied(&self, offset: u64, length: usize, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        // What the buffer holds stays in it, as zeroing it would cost half as much again as reading.
        buffer.truncate(length);
        buffer.try_reserve_exact(length - buffer.len())?;
        buffer.resize(length, 0);
        self.file.read_exact_at(&mut buffer, offset)?;
        Ok(buffer)
    }

    /// Has the kernel ask for all of a range before the first bytes are waited for.
    ///
    /// By itself it asks for some 128 KiB and waits: on a FUSE file system with a round trip of 10 ms, 4 MiB
    /// took 240 ms, and 24 like this.
    pub(super) fn request_all(&self, offset: u64, length: u64) {
        if length > self.request {
            // No advice is taken for more than one request.
            requests(offset, length.min(AT_ONCE), self.request)
                .for_each(|(offset, length)| self.will_need(offset, length));
        }
    }

    /// Has the kernel begin to read a range into its page cache.
    pub(super) fn will_need(&self, offset: u64, length: usize) {
        // Zero bytes would mean all.
        if let Some(length) =
            std::num::NonZeroU64::new((length as u64).min(self.length.saturating_sub(offset)))
        {
            #[cfg(target_os = "linux")]
            let _ = rustix::fs::fadvise(&self.file, offset, Some(length), rustix::fs::Advice::WillNeed);
            #[cfg(not(target_os = "linux"))]
            let _ = length;
        }
    }
}

/// Cuts a range into requests, which end at multiples of `size`: so do those that the system makes.
fn requests(offset: u64, length: u64, size: u64) -> impl Iterator<Item = (u64, usize)> {
    let end = offset.saturating_add(length);
    let next = move |at: &u64| Some((at / size + 1).saturating_mul(size)).filter(|next| *next < end);
    std::iter::successors(Some(offset), next).map(move |at| {
        let stop = next(&at).unwrap_or(end);
        (at, (stop - at) as usize)
    })
}

/// Returns the length of a file below `root`.
pub(crate) fn file_length(root: impl AsFd, path: &[u8]) -> io::Result<u64> {
    checked_length(&rustix::fs::statat(root, path, AtFlags::empty())?)
}

/// Returns when a file was written, if the time can be expressed.
pub(super) fn modified(stat: &Stat) -> Option<SystemTime> {
    let (seconds, nanoseconds) =
        (u64::try_from(stat.st_mtime).ok()?, u32::try_from(stat.st_mtime_nsec).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

/// Returns the length of what must be a regular file.
pub(super) fn checked_length(stat: &Stat) -> io::Result<u64> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(u64::try_from(stat.st_size).unwrap_or(0)),
        FileType::Directory => Err(Errno::ISDIR.into()),
        _ => Err(io::Error::other("not a regular file")),
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::fcntl_getfl;
    use rustix::io::{FdFlags, fcntl_getfd};

    use super::*;

    #[test]
    fn files_are_not_inherited_and_not_waited_for() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("p1.f"), b"12345").unwrap();
        let root = File::open(place.path()).unwrap();
        let blob = OpenBlob::open(&root, b"p1.f", &BlobId::new("p1").unwrap()).unwrap();
        assert!(fcntl_getfd(blob.file()).unwrap().contains(FdFlags::CLOEXEC));
        assert!(fcntl_getfl(blob.file()).unwrap().contains(OFlags::NONBLOCK));
    }

    #[test]
    fn requests_are_the_whole_range_and_end_where_others_begin() {
        let cut = |offset, length| requests(offset, length, 10).collect::<Vec<_>>();
        assert_eq!(cut(7, 25), [(7, 3), (10, 10), (20, 10), (30, 2)]);
        assert_eq!(cut(10, 10), [(10, 10)]);
        assert_eq!(cut(12, 3), [(12, 3)]);
        assert_eq!(cut(u64::MAX - 5, 5), [(u64::MAX - 5, 5)]);
    }

    #[test]
    fn no_more_memory_is_taken_than_a_range_has_bytes() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("p1.f"), b"12345").unwrap();
        let root = File::open(place.path()).unwrap();
        let blob = OpenBlob::open(&root, b"p1.f", &BlobId::new("p1").unwrap()).unwrap();
        let range = blob.copied(1, 4, vec![7; 3]).unwrap();
        assert_eq!((&range[..], range.capacity()), (&b"2345"[..], 4));
    }
}
