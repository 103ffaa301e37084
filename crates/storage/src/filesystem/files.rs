//! Files: opened, kept and read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kopia_format::BlobId;

use super::{IoMode, local};
use crate::map::Map;
use crate::store::WHOLE_LIMIT;
use crate::{BlobBytes, Error, Result};

/// So many files are kept open: more than the packs that are read at one time.
const KEPT: usize = 16;

/// The files that were read last, kept open.
#[derive(Debug)]
pub(super) struct Files {
    io: IoMode,
    /// The last used comes last. So few are searched faster in a row than in any index.
    kept: Mutex<Vec<(BlobId, Arc<OpenFile>)>>,
    /// The system does not know how to populate, or this is not known yet.
    never_map: AtomicBool,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    file: File,
    map: Option<Arc<Map>>,
}

impl Files {
    pub(super) fn new(io: IoMode) -> Self {
        Self { io, kept: Mutex::default(), never_map: AtomicBool::new(io == IoMode::Pread) }
    }

    /// Reads a range of the blob whose file is at `path`; see [`crate::BlobStore::read_range`].
    pub(super) fn read_range(
        &self,
        id: &BlobId,
        path: impl Fn() -> Result<PathBuf>,
        offset: u64,
        length: usize,
        mut buffer: Vec<u8>,
    ) -> Result<BlobBytes> {
        let mut open = self.get(id, &path)?;
        let found = match file_length(&open.file) {
            // On NFS a file that another machine replaced or removed is stale: what is there now is looked up anew.
            Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle => {
                self.forget(id);
                open = self.get(id, &path)?;
                file_length(&open.file)
            }
            found => found,
        };
        let failed = |source| Error::Read { location: open.location(), blob: id.clone(), offset, source };
        let found = found.map_err(failed)?;
        if offset.checked_add(length as u64).is_none_or(|end| end > found) {
            let (location, blob, wanted) = (open.location(), id.clone(), length as u64);
            return Err(Error::Short { location, blob, offset, wanted, length: found });
        }
        if let Some(bytes) = self.mapped(&open, offset, length, &mut buffer) {
            return Ok(bytes);
        }
        // What the buffer holds is overwritten, so only what it grows by is zeroed.
        let grows_by = length.saturating_sub(buffer.len());
        buffer.try_reserve_exact(grows_by).map_err(|error| failed(io::Error::other(error)))?;
        buffer.resize(length, 0);
        open.file.read_exact_at(&mut buffer, offset).map_err(failed)?;
        Ok(buffer.into())
    }

    /// Starts reading a range into the page cache, from where a map and a read take it.
    pub(super) fn will_need(
        &self,
        id: &BlobId,
        path: impl Fn() -> Result<PathBuf>,
        offset: u64,
        length: usize,
    ) {
        #[cfg(target_os = "linux")]
        if let (Ok(open), Some(length)) = (self.get(id, &path), std::num::NonZeroU64::new(length as u64)) {
            // A hint that cannot be taken changes nothing.
            let _ = rustix::fs::fadvise(&open.file, offset, Some(length), rustix::fs::Advice::WillNeed);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (id, path, offset, length);
    }

    /// Returns a range of the map, if there is one and the pages could be made present. Takes the buffer only then.
    fn mapped(&self, open: &OpenFile, offset: u64, length: usize, buffer: &mut Vec<u8>) -> Option<BlobBytes> {
        let map = open.map.as_ref().filter(|_| !self.never_map.load(Ordering::Relaxed))?;
        let start = usize::try_from(offset).ok()?;
        let range = start..start.checked_add(length)?;
        // The file may have been mapped when it was shorter.
        map.bytes().len().checked_sub(range.end)?;
        match map.populate(&range) {
            Ok(()) => Some(BlobBytes::mapped(Arc::clone(map), range, std::mem::take(buffer))),
            Err(error) => {
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) {
                    self.never_map.store(true, Ordering::Relaxed);
                }
                None
            }
        }
    }

    /// Returns the open file of a blob. The lock is not held while a file is opened.
    fn get(&self, id: &BlobId, path: impl Fn() -> Result<PathBuf>) -> Result<Arc<OpenFile>> {
        if let Some(open) = take_up(&mut self.kept(), id) {
            return Ok(open);
        }
        let open = Arc::new(OpenFile::new(path()?, id, self.maps())?);
        let mut kept = self.kept();
        // Another thread may have opened it meanwhile.
        if let Some(open) = take_up(&mut kept, id) {
            return Ok(open);
        }
        let oldest = (kept.len() >= KEPT).then(|| kept.remove(0));
        kept.push((id.clone(), Arc::clone(&open)));
        drop(kept);
        // Closing may take its time, so it comes after the lock.
        drop(oldest);
        Ok(open)
    }

    fn forget(&self, id: &BlobId) {
        self.kept().retain(|(kept, _)| kept != id);
    }

    fn maps(&self) -> bool {
        self.io == IoMode::Auto && !self.never_map.load(Ordering::Relaxed)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<(BlobId, Arc<OpenFile>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds a kept file and makes it the last used.
fn take_up(kept: &mut [(BlobId, Arc<OpenFile>)], id: &BlobId) -> Option<Arc<OpenFile>> {
    let at = kept.iter().rposition(|(kept, _)| kept == id)?;
    kept[at..].rotate_left(1);
    kept.last().map(|(_, open)| Arc::clone(open))
}

impl OpenFile {
    fn new(path: PathBuf, id: &BlobId, maps: bool) -> Result<Self> {
        let file = open(&path, id)?;
        // A file that cannot be mapped is read plainly; an empty one has nothing to map.
        let maps = maps && local::is_local(&file) && file_length(&file).is_ok_and(|length| length > 0);
        let map = if maps { Map::new(&file).ok().map(Arc::new) } else { None };
        Ok(Self { path, file, map })
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

/// Reads the whole blob at `path`, plainly.
pub(super) fn read(path: &Path, id: &BlobId) -> Result<Vec<u8>> {
    let file = open(path, id)?;
    let length = length(&file, path, id)?;
    let location = || path.display().to_string();
    let failed = |source| Error::Read { location: location(), blob: id.clone(), offset: 0, source };
    if length > WHOLE_LIMIT {
        return Err(Error::TooLarge { location: location(), blob: id.clone(), length, limit: WHOLE_LIMIT });
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length as usize).map_err(|error| failed(io::Error::other(error)))?;
    file.take(length).read_to_end(&mut bytes).map_err(failed)?;
    if (bytes.len() as u64) < length {
        let found = bytes.len() as u64;
        return Err(Error::Short { location: location(), blob: id.clone(), offset: 0, wanted: length, length: found });
    }
    Ok(bytes)
}

/// Opens the file of a blob.
pub(super) fn open(path: &Path, id: &BlobId) -> Result<File> {
    open_regular(path).map_err(|source| {
        let (location, blob) = (path.display().to_string(), id.clone());
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::NotFound { location, blob },
            _ => Error::Read { location, blob, offset: 0, source },
        }
    })
}

/// Opens a file, which must be a regular one: a pipe or a device is refused and never waited for.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let wait_not = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(wait_not).open(path)?;
    match file.metadata()? {
        found if found.is_file() => Ok(file),
        found if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::other("this is not a regular file")),
    }
}

/// Returns the length of the open file of a blob, in bytes.
pub(super) fn length(file: &File, path: &Path, id: &BlobId) -> Result<u64> {
    let location = || path.display().to_string();
    file_length(file).map_err(|source| Error::Read { location: location(), blob: id.clone(), offset: 0, source })
}

fn file_length(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}
