//! Getting decoded bytes to a device: written, left to the device as zeros, or there already.

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::disk::BLOCK;
use super::shared::Shared;
use crate::Problem;
use crate::destination::compare::read_exact;
use crate::execute::{is_zero, runs, runs_by};
use crate::reason::Reason;

/// From how many bytes on zeros are left to the device: telling it costs about as much as writing that many.
const ZEROS: usize = 64 << 10;

/// How many bytes of zeros are written at once where the device cannot make them.
const WRITTEN_ZEROS: usize = 1 << 20;

/// How a device makes zeros, as far as is known: the best way that has not failed.
///
/// On a block device, punching a hole discards blocks where they read as zeros afterwards, and fails
/// otherwise; zeroing a range has the device write zeros, or the kernel (Linux 4.9, `blkdev_fallocate`).
#[derive(Debug, Default)]
pub(super) struct Zeroing(AtomicU8);

impl Zeroing {
    const WAYS: [FallocateFlags; 2] = [FallocateFlags::PUNCH_HOLE, FallocateFlags::ZERO_RANGE];

    /// Zeros a range whose ends are those of blocks; returns false if the device cannot.
    fn zero(&self, device: impl AsFd, range: &Range<u64>) -> io::Result<bool> {
        while let Some(way) = Self::WAYS.get(usize::from(self.0.load(Ordering::Relaxed))) {
            let flags = *way | FallocateFlags::KEEP_SIZE;
            match rustix::fs::fallocate(&device, flags, range.start, range.end - range.start) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV | Errno::PERM) => {
                    self.0.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }
}

impl Shared<'_> {
    /// Writes decoded bytes to where they belong. Those beyond the device's part must be zeros.
    ///
    /// `found` is memory for what the device has there, where only differences are written.
    pub(super) fn write_piece(&self, bytes: &[u8], start: u64, found: &mut Vec<u8>) {
        let fits = usize::try_from(self.size.saturating_sub(start))
            .map_or(bytes.len(), |most| most.min(bytes.len()));
        let (bytes, beyond) = bytes.split_at(fits);
        if !is_zero(beyond) {
            self.beyond();
        }
        let done = if self.how.only_differences {
            self.write_differences(bytes, start, found)
        } else {
            self.write_all(bytes, start)
        };
        match done {
            Ok(()) => self.observer.bytes(bytes.len() as u64),
            Err(error) => self.give_up(self.device.error("cannot be written", error)),
        }
    }

    /// Zeros a range, whatever its ends are.
    pub(super) fn zero_range(&self, range: Range<u64>) -> io::Result<()> {
        let block = self.device.block();
        let first = range.start.next_multiple_of(block).min(range.end);
        let last = (range.end - range.end % block).max(first);
        let inner = first..last;
        if inner.end - inner.start < ZEROS as u64 || !self.zeroing.zero(self.device, &inner)? {
            return self.write_zeros(range);
        }
        self.zeroed.fetch_add(inner.end - inner.start, Ordering::Relaxed);
        self.write_zeros(range.start..first)?;
        self.write_zeros(last..range.end)
    }

    /// Writes bytes, and leaves longer runs of zeros to the device.
    fn write_all(&self, bytes: &[u8], start: u64) -> io::Result<()> {
        let mut position = start;
        // Where data begins that is not written yet.
        let (mut data, mut offset) = (0, 0);
        for (zero, run) in runs(bytes, start, self.device.block() as usize) {
            if zero && run.len() >= ZEROS {
                self.write_data(&bytes[data..offset], start + data as u64)?;
                self.zero_range(position..position + run.len() as u64)?;
                data = offset + run.len();
            }
            offset += run.len();
            position += run.len() as u64;
        }
        self.write_data(&bytes[data..], start + data as u64)
    }

    /// Writes those blocks that the device does not have.
    fn write_differences(&self, bytes: &[u8], start: u64, found: &mut Vec<u8>) -> io::Result<()> {
        found.resize(bytes.len(), 0);
        read_exact(self.device.as_fd(), found, start)?;
        let differs = |block: Range<usize>| bytes[block.clone()] != found[block];
        for (differs, run) in runs_by(bytes.len(), start, BLOCK as usize, differs) {
            if differs {
                self.write_all(&bytes[run.clone()], start + run.start as u64)?;
            } else {
                self.keep(run.len() as u64);
            }
        }
        Ok(())
    }

    /// Counts bytes that the device has already.
    pub(super) fn keep(&self, count: u64) {
        self.kept.fetch_add(count, Ordering::Relaxed);
        self.observer.kept(count);
    }

    /// Notes that the file goes on after its true size with something else than zeros.
    fn beyond(&self) {
        if !self.goes_on.swap(true, Ordering::Relaxed) {
            let problem = Problem {
                path: self.name.into(),
                reason: Reason::BeyondSize { size: self.size },
                salvaged: None,
            };
            self.observer.problem(&problem);
        }
    }

    fn write_data(&self, bytes: &[u8], start: u64) -> io::Result<()> {
        self.bytes.overwrite(self.device, bytes, start)?;
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn write_zeros(&self, range: Range<u64>) -> io::Result<()> {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX).min(WRITTEN_ZEROS);
        let zeros = vec![0; length];
        let mut start = range.start;
        while start < range.end {
            let count = (range.end - start).min(zeros.len() as u64);
            self.write_data(&zeros[..count as usize], start)?;
            start += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kopia_repository::Entry;

    use super::*;
    use crate::Options;
    use crate::device::DeviceOptions;
    use crate::device::tests::Lab;

    /// Writes to a disk full of 0xee, which can zero by itself or not; returns what was zeroed and written.
    /// `expected` is what the disk has then from `start` on.
    fn write(
        (lab, entry): (&Lab, &Entry),
        can_zero: bool,
        (start, expected): (usize, &[u8]),
        work: impl Fn(&Shared<'_>),
    ) -> (u64, u64) {
        let mut disk = vec![0xee; 3 << 20];
        let device = lab.device(&disk);
        let options = Options::default();
        let of = (entry, disk.len() as u64);
        let mut shared = Shared::new(of, &device, (&options, DeviceOptions::default()), &());
        if !can_zero {
            shared.zeroing = Zeroing(AtomicU8::new(Zeroing::WAYS.len() as u8));
        }
        work(&shared);
        disk[start..start + expected.len()].copy_from_slice(expected);
        assert!(fs::read(device.path()).unwrap() == disk, "{start}, {} bytes", expected.len());
        (shared.zeroed.into_inner(), shared.written.into_inner())
    }

    /// Returns whether files can be zeroed where tests make them.
    fn files_can_be_zeroed() -> bool {
        let file = tempfile::tempfile().unwrap();
        file.set_len(BLOCK).unwrap();
        let zero = |way| rustix::fs::fallocate(&file, way | FallocateFlags::KEEP_SIZE, 0, BLOCK).is_ok();
        Zeroing::WAYS.into_iter().any(zero)
    }

    #[test]
    fn ranges_are_zeroed_in_whole_blocks_and_their_edges_written() {
        let lab = Lab::new();
        let entry = lab.entry();
        for can_zero in [true, false] {
            for (range, zeroed) in [
                (0..0, 0),
                (0..65_535, 0),
                (0..65_536, 65_536),
                (1..65_537, 0),
                (4_095..70_000, 65_536),
                (100..1_100_000, 1_093_632),
            ] {
                let length = (range.end - range.start) as usize;
                let zeroed = if can_zero && files_can_be_zeroed() { zeroed } else { 0 };
                let expected = (range.start as usize, &vec![0; length][..]);
                let done = write((&lab, &entry), can_zero, expected, |shared| {
                    shared.zero_range(range.clone()).unwrap();
                });
                assert_eq!(done, (zeroed, length as u64 - zeroed), "{range:?}");
            }
        }
    }

    #[test]
    fn long_zeros_in_a_piece_are_left_to_the_device() {
        let lab = Lab::new();
        let entry = lab.entry();
        for can_zero in [true, false] {
            for (start, runs, zeroed) in [
                (12_345, &[(1, 20_000), (0, 200_000), (2, 10_000), (0, 100_000), (3, 3_000)][..], 290_816),
                (4096, &[(1, 4096), (0, 65_536), (2, 1)], 65_536),
                (4096, &[(1, 4096), (0, 65_535), (2, 1)], 0),
                (5, &[(0, 100_000)], 94_208),
            ] {
                let bytes: Vec<u8> = runs.iter().flat_map(|(byte, length)| vec![*byte; *length]).collect();
                let zeroed = if can_zero && files_can_be_zeroed() { zeroed } else { 0 };
                let done = write((&lab, &entry), can_zero, (start, &bytes), |shared| {
                    shared.write_piece(&bytes, start as u64, &mut Vec::new());
                });
                assert_eq!(done, (zeroed, bytes.len() as u64 - zeroed), "{runs:?}");
            }
        }
    }
}
