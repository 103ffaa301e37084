//! An open device: its size, its blocks, and whether it may be written.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

use super::holders::{holders, is_read_only};
use super::signature::Signature;
use crate::destination::compare::read_up_to;
use crate::{Error, Result};

/// The unit of comparing and of zeroing, in bytes: a page, which no two pieces may share while one of them
/// is dropped from memory.
pub(super) const BLOCK: u64 = 4096;

/// What a device is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To see what it holds.
    Look,
    /// To be written, too.
    Write,
}

/// A block device that this process has open for itself.
#[derive(Debug)]
pub struct Device {
    path: PathBuf,
    file: OwnedFd,
    size: u64,
    block: u64,
}

impl Device {
    /// Opens a block device with `O_EXCL`, which the kernel refuses while it is mounted or used otherwise.
    ///
    /// # Errors
    /// [`Error::NoDevice`] if it is no block device, [`Error::DeviceInUse`] if it is in use, with what uses it
    /// as far as this process can see; [`Error::Target`] if it cannot be opened, is read-only, or has no size.
    pub fn open(path: &Path, access: Access) -> Result<Self> {
        let failed =
            |what, source: io::Error| Error::Target { path: path.into(), what, source, unfinished: None };
        // Opening other devices may do something, such as rewinding a tape.
        let stat = rustix::fs::stat(path).map_err(|error| failed("cannot be opened", error.into()))?;
        let is_device = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice;
        if !is_device(&stat) {
            return Err(Error::NoDevice { path: path.into() });
        }
        let read_write = match access {
            Access::Look => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
        };
        let in_use = |by| Error::DeviceInUse { path: path.into(), by };
        let flags = read_write | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::BUSY) => return Err(in_use(holders(stat.st_rdev))),
            opened => opened.map_err(|error| failed("cannot be opened", error.into()))?,
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| failed("cannot be opened", error.into()))?;
        if !is_device(&stat) {
            return Err(Error::NoDevice { path: path.into() });
        }
        // The kernel allows the exclusive use of a disk of which only some partition is in use as swap on some
        // versions; what is known to use it is refused in any case.
        let by = holders(stat.st_rdev);
        if !by.is_empty() {
            return Err(in_use(by));
        }
        if access == Access::Write && is_read_only(stat.st_rdev) {
            return Err(failed("cannot be written", Errno::ROFS.into()));
        }
        let block = rustix::fs::ioctl_blksszget(&file).map_or(512, u64::from);
        Self::new(path.into(), file, block).map_err(|error| failed("has no size", error))
    }

    /// Takes an open file whose length stays what it is.
    pub(super) fn new(path: PathBuf, file: OwnedFd, block: u64) -> io::Result<Self> {
        let size = rustix::fs::seek(&file, SeekFrom::End(0))?;
        Ok(Self { path, file, size, block: block.max(BLOCK) })
    }

    /// Returns its path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Checks that it has room for so many bytes.
    ///
    /// # Errors
    /// [`Error::DeviceTooSmall`].
    pub fn room_for(&self, needed: u64) -> Result<()> {
        if needed > self.size {
            return Err(Error::DeviceTooSmall { path: self.path.clone(), size: self.size, needed });
        }
        Ok(())
    }

    /// Looks what it holds now, by the signatures that file systems, partition tables and the like leave.
    ///
    /// # Errors
    /// That it cannot be read.
    pub fn signature(&self) -> Result<Signature> {
        let mut bytes = vec![0; Signature::LENGTH.min(usize::try_from(self.size).unwrap_or(usize::MAX))];
        match read_up_to(self.as_fd(), &mut bytes, 0) {
            Ok(count) => Ok(Signature::of(&bytes[..count])),
            Err(source) => Err(self.error("cannot be read", source)),
        }
    }

    /// Returns the unit of zeroing, in bytes.
    pub(super) fn block(&self) -> u64 {
        self.block
    }

    pub(super) fn error(&self, what: &'static str, source: io::Error) -> Error {
        Error::Target { path: self.path.clone(), what, source, unfinished: None }
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
