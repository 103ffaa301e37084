//! A file without a name, for what does not fit into memory: it is gone with the process, however that ends.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::filesystem::Map;

/// A file that grows, and that nobody else can open.
#[derive(Debug)]
pub struct ScratchFile {
    file: File,
    length: AtomicU64,
}

impl ScratchFile {
    /// Makes one in a directory, on whose disk it takes room.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(directory: &Path) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        #[cfg(target_os = "linux")]
        let unnamed = rustix::fs::openat(CWD, directory, flags | OFlags::TMPFILE, mode);
        #[cfg(not(target_os = "linux"))]
        let unnamed = Err::<std::os::fd::OwnedFd, _>(Errno::OPNOTSUPP);
        let file = match unnamed {
            // Network file systems have no such files.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => named(directory, flags, mode)?,
            file => file?,
        };
        Ok(Self { file: file.into(), length: AtomicU64::new(0) })
    }

    /// Adds bytes at the end, and returns where they begin.
    ///
    /// # Errors
    /// What the system says: mostly that the disk is full.
    pub fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let offset = self.length.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.write_all_at(bytes, offset)?;
        Ok(offset)
    }

    /// Reads bytes that were added.
    ///
    /// # Errors
    /// What the system says.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    /// Maps all of it into memory; nothing more is added. The system reads pages as they are touched and
    /// drops them when it needs the memory; a page that it cannot read any more ends the process (SIGBUS).
    ///
    /// # Errors
    /// What the system says.
    pub fn map(self) -> io::Result<MappedFile> {
        let length = usize::try_from(self.length.into_inner()).map_err(io::Error::other)?;
        // A map of nothing is refused.
        let map = (length > 0).then(|| Map::new(&self.file, length)).transpose()?;
        map.iter().for_each(Map::expect_random);
        Ok(MappedFile { map, length })
    }
}

/// Makes a file and takes its name away.
fn named(directory: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<std::os::fd::OwnedFd> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let path = directory.join(format!(".kopia-rs-scratch-{process}-{number}"));
    let file = rustix::fs::openat(CWD, &path, flags | OFlags::CREATE | OFlags::EXCL, mode)?;
    rustix::fs::unlinkat(CWD, &path, AtFlags::empty())?;
    Ok(file)
}

/// What a [`ScratchFile`] holds, as a slice.
#[derive(Debug)]
pub struct MappedFile {
    map: Option<Map>,
    length: usize,
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_ref().and_then(|map| map.get(0..self.length)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_can_be_read_and_mapped_and_has_no_name() {
        let place = tempfile::tempdir().unwrap();
        for named in [false, true] {
            let mut scratch = ScratchFile::create(place.path()).unwrap();
            if named {
                let file = super::named(place.path(), OFlags::RDWR, Mode::RUSR).unwrap();
                scratch.file = file.into();
            }
            assert_eq!((scratch.append(b"one").unwrap(), scratch.append(b"other").unwrap()), (0, 3));
            let mut bytes = [0; 5];
            scratch.read_at(&mut bytes, 3).unwrap();
            assert_eq!(&bytes, b"other");
            assert!(scratch.read_at(&mut bytes, 4).is_err());
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
            assert_eq!(&*scratch.map().unwrap(), b"oneother");
        }
        assert_eq!(&*ScratchFile::create(place.path()).unwrap().map().unwrap(), b"");
        assert!(ScratchFile::create(&place.path().join("none")).is_err());
    }
}
