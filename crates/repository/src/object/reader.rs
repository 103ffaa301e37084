//! Reads an object as a file is read.

use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use kopia_format::ObjectId;

use super::extents::MAX_EXTENTS;
use super::streams::{Course, Found, Streams};
use super::{Chunk, Extent, Extents};
use crate::lock::lock;
use crate::repository::{Known, KnownId};
use crate::{Error, Repository, Result};

/// An open object: `Read`, `BufRead`, `Seek`, and reads at any place from many threads.
///
/// The list of extents is read when it is opened, and shared by clones, which are cheap. Who goes on from one
/// content to the next has those after them decoded ahead on all cores, within the repository's
/// [`read_ahead`](crate::Resources::read_ahead), at up to four places of one reader in turn. What readers
/// jump to is kept within its [`content_cache`](crate::Resources::content_cache), which all of them share.
#[derive(Debug)]
pub struct ObjectReader {
    opened: Arc<Opened>,
    /// Which extents will be wanted, and whether all of them will.
    end: usize,
    whole: bool,
    position: u64,
    /// Bytes from the position on.
    current: Chunk,
    streams: Mutex<Streams>,
}

/// What clones share.
#[derive(Debug)]
struct Opened {
    repository: Repository,
    extents: Arc<[Extent]>,
    length: u64,
    /// All bytes, where only reading told how many there are.
    bytes: Option<Arc<Vec<u8>>>,
}

impl Clone for ObjectReader {
    /// Makes a reader with the same position, which goes its own way from there.
    fn clone(&self) -> Self {
        Self { position: self.position, ..Self::of(self.opened.clone()) }
    }
}

impl ObjectReader {
    /// Opens an object.
    ///
    /// # Errors
    /// As for [`Extents`] and, for compressed objects of format version 1, [`Repository::read_extent`].
    pub fn open(repository: &Repository, object: ObjectId) -> Result<Self> {
        let mut extents = extents(repository, object)?;
        let mut bytes = None;
        // Only reading tells how long a compressed object is.
        if let [extent @ Extent { length: None, .. }] = extents[..] {
            let read = repository.read_extent(&extent)?;
            extents = [Extent { length: Some(read.len() as u64), ..extent }].into();
            bytes = Some(Arc::new(read));
        }
        let length = extents.last().map_or(0, |extent| extent.start + extent.length.unwrap_or_default());
        let repository = repository.clone();
        Ok(Self::of(Arc::new(Opened { repository, extents, length, bytes })))
    }

    fn of(opened: Arc<Opened>) -> Self {
        let end = opened.extents.len();
        let (current, streams) = (Chunk::default(), Mutex::default());
        Self { opened, end, whole: false, position: 0, current, streams }
    }

    /// Makes a reader that reads a range from front to back, and nothing beyond it.
    pub(super) fn of_range(&self, range: Range<u64>) -> Self {
        let end = self.opened.extents.partition_point(|extent| extent.start < range.end);
        Self { end, whole: true, ..Self::of(self.opened.clone()) }
    }

    /// Returns the length of the object in bytes.
    pub fn length(&self) -> u64 {
        self.opened.length
    }

    /// Reads from `offset` on into `buffer` and returns how many bytes were read: 0 at the end of the object,
    /// and never more than to the end of one content.
    ///
    /// # Errors
    /// As for [`Repository::read_extent`].
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let chunk = self.chunk_at(offset)?;
        let count = chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&chunk[..count]);
        Ok(count)
    }

    /// Reads from `offset` on until `buffer` is full or the object ends; returns how many bytes were read.
    ///
    /// # Errors
    /// As for [`Self::read_at`].
    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], offset.saturating_add(filled as u64))? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// Returns which bytes lie in the same content as the one at `offset`, and are decoded with it; nothing
    /// beyond the end of the object.
    pub fn extent_at(&self, offset: u64) -> Option<Range<u64>> {
        let extents = &self.opened.extents;
        let number = extents.partition_point(|extent| extent.start <= offset).checked_sub(1)?;
        let start = extents.get(number)?.start;
        let end = extents.get(number + 1).map_or(self.opened.length, |next| next.start);
        (start..end).contains(&offset).then_some(start..end)
    }

    /// Returns the bytes from `offset` to the end of the content that holds them, without copying; none at
    /// the end of the object.
    ///
    /// # Errors
    /// As for [`Self::read_at`].
    pub fn chunk_at(&self, offset: u64) -> Result<Chunk> {
        let extents = &self.opened.extents;
        let after = extents.partition_point(|extent| extent.start <= offset);
        let Some(number) = after.checked_sub(1) else { return Ok(Chunk::default()) };
        if offset >= self.opened.length {
            return Ok(Chunk::default());
        }
        let skip = offset - extents[number].start;
        let bytes = self.bytes(number, skip == 0)?;
        Ok(Chunk::new(bytes, usize::try_from(skip).unwrap_or(usize::MAX)))
    }

    /// Returns the bytes of an extent; `from_start` says that its first byte is wanted.
    fn bytes(&self, number: usize, from_start: bool) -> Result<Arc<Vec<u8>>> {
        let Opened { repository, extents, bytes, .. } = &*self.opened;
        if let Some(bytes) = bytes {
            return Ok(bytes.clone());
        }
        let course = Course { repository, extents, end: self.end, whole: self.whole };
        let found = lock(&self.streams).find(course, number, from_start);
        let extent = &extents[number];
        let bytes = match found {
            Found::Here(bytes) => return Ok(bytes),
            // What could not be had so is read once more by itself, and says why.
            Found::Ahead(window) => match window.get(number) {
                Some(bytes) => bytes,
                None if self.whole => Arc::new(repository.read_extent(extent)?),
                None => repository.read_extent_again(extent, true)?,
            },
            Found::Alone { .. } if self.whole => Arc::new(repository.read_extent(extent)?),
            Found::Alone { keep } => repository.read_extent_again(extent, keep)?,
        };
        lock(&self.streams).arrived(extents, number, &bytes);
        Ok(bytes)
    }
}

/// Finds the extents of an object; a list that was read before is not read again.
fn extents(repository: &Repository, object: ObjectId) -> Result<Arc<[Extent]>> {
    let is_list = object.indirection() > 0;
    if is_list && let Some(Known::Extents(extents)) = repository.known().get(&KnownId::Extents(object)) {
        return Ok(extents);
    }
    let mut extents = Vec::new();
    for extent in Extents::new(repository, object) {
        if extents.len() == MAX_EXTENTS {
            return Err(Error::object(object, format!("it has more than {MAX_EXTENTS} pieces")));
        }
        extents.push(extent?);
    }
    let extents: Arc<[Extent]> = extents.into();
    if is_list {
        let known = Known::Extents(extents.clone());
        repository.known().insert(KnownId::Extents(object), known, size_of_val(&*extents));
    }
    Ok(extents)
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for ObjectReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.current.is_empty() {
            // It is dropped first, so that its memory is not held while other is taken.
            self.current = Chunk::default();
            self.current = self.chunk_at(self.position).map_err(io::Error::other)?;
        }
        Ok(&self.current)
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.current.len());
        self.current.advance(count);
        self.position += count as u64;
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.opened.length.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        let target =
            target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the start"))?;
        match target.checked_sub(self.position).and_then(|ahead| usize::try_from(ahead).ok()) {
            Some(ahead) if ahead <= self.current.len() => self.current.advance(ahead),
            _ => self.current = Chunk::default(),
        }
        self.position = target;
        Ok(target)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

#[cfg(test)]
mod tests {
    use kopia_testkit::writer::RepositoryWriter;

    use super::*;
    use crate::testing::open;

    #[test]
    fn lists_are_kept_and_what_takes_no_reading_is_not() {
        let mut writer = RepositoryWriter::new().piece_size(500);
        let objects = [(writer.file(&[7; 500]), false), (writer.file(&[7; 501]), true)];
        let repository = open(writer);
        for (object, is_kept) in objects {
            let object: ObjectId = object.parse().unwrap();
            let found = extents(&repository, object).unwrap();
            let known = repository.known().get(&KnownId::Extents(object));
            assert_eq!(matches!(known, Some(Known::Extents(kept)) if kept == found), is_kept, "{object}");
        }
    }
}
