//! Is it there? Reads what a device has and compares its hash with the snapshot's, on all cores.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use kopia_repository::object::{Extent, Extents};
use kopia_repository::{Entry, Repository};
use rustix::fs::{Advice, Mode, OFlags};

use super::disk::{BLOCK, Device};
use super::run::length_of;
use super::shared::Shared;
use crate::Result;
use crate::destination::compare::read_exact;
use crate::lock::lock;
use crate::reason::Reason;

/// How many pieces are compared before more are listed.
const LISTED: usize = 4096;

/// Tells which pieces a device lacks, of those that can be told by their hash.
pub(super) fn differing(shared: &Shared<'_>, extents: Vec<Extent>) -> Vec<Extent> {
    let differs = Mutex::new(Vec::new());
    on_all_cores(shared, &extents, |extent, buffer| {
        let reader = Reader { file: shared.device.as_fd(), direct: None, device_size: shared.device.size() };
        let fits = |extent: &Extent| extent.start.saturating_add(length_of(extent, 0)) <= shared.size;
        match extent.length.filter(|_| !extent.compressed && fits(extent)) {
            Some(length) if reader.has(shared.repository, extent, length, buffer) => {
                shared.keep(length);
                shared.observer.bytes(length);
            }
            _ => lock(&differs).push(*extent),
        }
    });
    let mut differs = lock(&differs);
    let mut differs = std::mem::take(&mut *differs);
    differs.sort_unstable_by_key(|extent| extent.start);
    differs
}

/// Reads a file's part of a device again, past the page cache, and notes what is not as it was backed up;
/// returns how many bytes are right.
pub(super) fn verify(shared: &Shared<'_>, entry: &Entry) -> Result<u64> {
    let again = Again::open(shared.device)?;
    let right = AtomicU64::new(0);
    let lost = shared.lost();
    let mut extents = Extents::new(shared.repository, entry.object());
    loop {
        let some: Vec<Extent> = extents.by_ref().take(LISTED).collect::<Result<_, _>>()?;
        if some.is_empty() {
            return Ok(right.into_inner());
        }
        on_all_cores(shared, &some, |extent, buffer| {
            let end = extent.start.saturating_add(length_of(extent, entry.size())).min(shared.size);
            let next = lost.partition_point(|lost| lost.range.end <= extent.start);
            let is_lost = lost.get(next).is_some_and(|lost| lost.range.start < end);
            if is_lost || end <= extent.start {
                return;
            }
            let length = end - extent.start;
            if again.reader(shared.device).holds(shared.repository, extent, length, buffer) {
                right.fetch_add(length, Ordering::Relaxed);
            } else {
                shared.lose(extent.start..end, Reason::ReadsDifferent);
            }
        });
        if let Some(error) = shared.fatal() {
            return Err(error);
        }
    }
}

/// A device as it is read again.
struct Again {
    /// Opened so that the page cache is passed by, if that could be.
    direct: Option<OwnedFd>,
}

impl Again {
    fn open(device: &Device) -> Result<Self> {
        use std::os::fd::AsRawFd;

        let path = format!("/proc/self/fd/{}", device.as_fd().as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC;
        let direct = rustix::fs::open(path, flags, Mode::empty()).ok();
        // All of it is on the device, so the kernel drops it.
        rustix::fs::fadvise(device, 0, None, Advice::DontNeed)
            .map_err(|error| device.error("cannot be read again", error.into()))?;
        Ok(Self { direct })
    }

    fn reader<'d>(&'d self, device: &'d Device) -> Reader<'d> {
        let direct = self.direct.as_ref().map(AsFd::as_fd);
        Reader { file: device.as_fd(), direct, device_size: device.size() }
    }
}

/// What a device is read through.
struct Reader<'d> {
    file: BorrowedFd<'d>,
    /// The same, past the page cache: memory, offset and length have to be those of blocks.
    direct: Option<BorrowedFd<'d>>,
    device_size: u64,
}

impl Reader<'_> {
    /// Returns whether a whole piece is there, by its hash.
    fn has(&self, repository: &Repository, extent: &Extent, length: u64, buffer: &mut Vec<u8>) -> bool {
        self.read(extent.start, length, buffer)
            .is_some_and(|bytes| repository.contents().matches(&extent.content, bytes))
    }

    /// Returns whether so many bytes of a piece are there; those that cannot be told by the hash are read
    /// from the repository once more.
    fn holds(&self, repository: &Repository, extent: &Extent, length: u64, buffer: &mut Vec<u8>) -> bool {
        if extent.length == Some(length) && !extent.compressed && repository.contents().can_compare() {
            return self.has(repository, extent, length, buffer);
        }
        let (Ok(bytes), Some(found)) =
            (repository.read_extent(extent), self.read(extent.start, length, buffer))
        else {
            return false;
        };
        bytes.get(..found.len()) == Some(found)
    }

    /// Reads bytes, past the page cache where that can be.
    fn read<'b>(&self, start: u64, length: u64, buffer: &'b mut Vec<u8>) -> Option<&'b [u8]> {
        let whole = match self.direct {
            Some(direct) => self.read_blocks(direct, start, length, buffer),
            None => None,
        };
        if let Some(range) = whole {
            return buffer.get(range);
        }
        let length = usize::try_from(length).ok()?;
        buffer.resize(length, 0);
        read_exact(self.file, buffer, start).ok()?;
        Some(buffer)
    }

    /// Reads the blocks around some bytes; returns where these are in the buffer.
    fn read_blocks(
        &self,
        direct: BorrowedFd<'_>,
        start: u64,
        length: u64,
        buffer: &mut Vec<u8>,
    ) -> Option<Range<usize>> {
        let first = start - start % BLOCK;
        let last = start.checked_add(length)?.next_multiple_of(BLOCK).min(self.device_size);
        let whole = usize::try_from(last.checked_sub(first)?).ok()?;
        buffer.resize(whole.checked_add(BLOCK as usize)?, 0);
        // Memory that begins with a page, within the buffer.
        let skip = buffer.as_ptr().align_offset(BLOCK as usize);
        let memory = buffer.get_mut(skip..skip.checked_add(whole)?)?;
        // A disk of larger sectors than its size has whole ones refuses the last.
        read_exact(direct, memory, first).ok()?;
        let from = skip.checked_add(usize::try_from(start - first).ok()?)?;
        Some(from..from.checked_add(usize::try_from(length).ok()?)?)
    }
}

/// Calls `check` for each piece, on as many threads as there are workers.
fn on_all_cores(shared: &Shared<'_>, extents: &[Extent], check: impl Fn(&Extent, &mut Vec<u8>) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut buffer = Vec::new();
        while let Some(extent) = extents.get(next.fetch_add(1, Ordering::Relaxed)) {
            if shared.is_stopped() {
                return;
            }
            check(extent, &mut buffer);
        }
    };
    std::thread::scope(|scope| {
        // This thread is one of them, so it works where no other can be started.
        for _ in 1..shared.options.workers().min(extents.len()) {
            if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::Lab;

    #[test]
    fn what_is_read_past_the_page_cache_is_read_in_whole_blocks() {
        const SIZE: usize = 5 * BLOCK as usize + 100;
        let lab = Lab::new();
        let bytes: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
        let device = lab.device(&bytes);
        let again = Again::open(&device).unwrap();
        let flags = |file: &OwnedFd| rustix::fs::fcntl_getfl(file).unwrap();
        let direct = rustix::fs::open(device.path(), OFlags::RDONLY | OFlags::DIRECT, Mode::empty());
        let passes_by = |file: &OwnedFd| flags(file).contains(OFlags::DIRECT);
        assert_eq!(again.direct.as_ref().is_some_and(passes_by), direct.is_ok());
        if let Some(direct) = &again.direct {
            assert!(rustix::io::fcntl_getfd(direct).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        }
        let reader = again.reader(&device);
        let block = BLOCK as usize;
        for (start, length) in
            [(0, SIZE), (0, 1), (1, block), (block, block), (block + 1, 3 * block), (5 * block + 7, 93)]
        {
            let expected = &bytes[start..start + length];
            let mut buffer = Vec::new();
            assert_eq!(reader.read(start as u64, length as u64, &mut buffer), Some(expected));
            // A file that is read through the page cache allows any place, and it is the same.
            let read = reader.read_blocks(device.as_fd(), start as u64, length as u64, &mut buffer).unwrap();
            assert_eq!(&buffer[read.clone()], expected);
            assert_eq!((buffer.as_ptr().addr() + read.start) % block, start % block, "{start}, {length}");
        }
    }
}
