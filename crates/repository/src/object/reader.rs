//! Reads an object as a file is read.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex};

use kopia_format::ObjectId;

use super::extents::MAX_EXTENTS;
use super::{Extent, Extents};
use crate::lock::lock;
use crate::{Error, Repository, Result};

/// An open object: `Read`, `Seek` and reads at any place from many threads.
///
/// The list of extents is read when it is opened; the bytes are read as they are asked for, one content at a
/// time, and the last content is kept. Readers that jump about keep more, within the repository's
/// [cache](crate::OpenOptions::content_cache).
#[derive(Debug)]
pub struct ObjectReader {
    repository: Repository,
    extents: Vec<Extent>,
    length: u64,
    position: u64,
    last: Mutex<Option<Last>>,
}

/// The content that was read last.
#[derive(Debug, Clone)]
struct Last {
    /// The number of its extent.
    number: usize,
    bytes: Arc<Vec<u8>>,
}

impl ObjectReader {
    /// Opens an object.
    ///
    /// # Errors
    /// As for [`Extents`] and, for compressed objects of format version 1, [`Repository::read_extent`].
    pub fn open(repository: &Repository, object: ObjectId) -> Result<Self> {
        let mut extents = Vec::new();
        for extent in Extents::new(repository, object) {
            if extents.len() == MAX_EXTENTS {
                return Err(Error::object(object, format!("it has more than {MAX_EXTENTS} pieces")));
            }
            extents.push(extent?);
        }
        let mut last = None;
        // Only reading tells how long a compressed object is.
        if let [extent @ Extent { length: None, .. }] = &mut extents[..] {
            let bytes = repository.read_extent(extent)?;
            extent.length = Some(bytes.len() as u64);
            last = Some(Last { number: 0, bytes: Arc::new(bytes) });
        }
        let length = extents.last().map_or(0, |extent| extent.start + extent.length.unwrap_or_default());
        Ok(Self { repository: repository.clone(), extents, length, position: 0, last: Mutex::new(last) })
    }

    pub(super) fn extents(&self) -> &[Extent] {
        &self.extents
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Returns the length of the object in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads from `offset` on into `buffer` and returns how many bytes were read: 0 at the end of the object,
    /// and never more than to the end of one content.
    ///
    /// # Errors
    /// As for [`Repository::read_extent`].
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let after = self.extents.partition_point(|extent| extent.start <= offset);
        let Some(number) = after.checked_sub(1) else { return Ok(0) };
        if buffer.is_empty() || offset >= self.length {
            return Ok(0);
        }
        let bytes = self.bytes(number)?;
        let rest = usize::try_from(offset - self.extents[number].start)
            .ok()
            .and_then(|skip| bytes.get(skip..))
            .unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    /// Returns the bytes of an extent. Those that a reader jumps to are kept for the next time; what is read
    /// front to back would only push them out.
    fn bytes(&self, number: usize) -> Result<Arc<Vec<u8>>> {
        let last = lock(&self.last).clone();
        let next = match last {
            Some(last) if last.number == number => return Ok(last.bytes),
            Some(last) => last.number + 1,
            None => 0,
        };
        let keep = number != next;
        let bytes = self.repository.read_extent_again(&self.extents[number], keep)?;
        *lock(&self.last) = Some(Last { number, bytes: bytes.clone() });
        Ok(bytes)
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.read_at(buffer, self.position).map_err(io::Error::other)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.length.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position =
            target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the start"))?;
        Ok(self.position)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}
