//! Reads lists of pieces, whatever their length, with no more in memory than their pieces.

use std::io::{self, Read};

use kopia_format::ObjectId;
use kopia_format::indirect::{self, Piece};

use super::Extents;
use super::extents::MAX_LIST_BYTES;
use crate::{Error, Repository, Result};

/// The longest content of a list, in bytes. Kopia splits lists as it does files, into 16 MiB at most.
const LONGEST: u64 = 32 << 20;

/// Lists longer than this are parsed as a stream.
const STREAMED: usize = 16 << 20;

/// Reads and parses the list of `object`, which `contents` walks; `most` pieces are wanted.
///
/// Returns how many bytes of lists may be read after it, too.
pub(super) fn read(object: ObjectId, contents: Extents, most: usize) -> Result<(Vec<Piece>, u64)> {
    let corrupt = |error| Error::object(object, error);
    let mut contents = Contents { object, contents, bytes: Vec::new(), at: 0, failed: None };
    let mut start = Vec::new();
    while start.len() <= STREAMED {
        match contents.next()? {
            Some(bytes) if start.is_empty() => start = bytes,
            Some(bytes) => start.extend(bytes),
            None => {
                let pieces = indirect::parse(&start, most).map_err(corrupt)?;
                return Ok((pieces, contents.contents.place.list_bytes));
            }
        }
    }
    match indirect::parse_stream(io::BufReader::new(start.chain(&mut contents)), most) {
        Ok(parsed) => Ok((parsed.map_err(corrupt)?, contents.contents.place.list_bytes)),
        Err(error) => Err(contents.failed.take().unwrap_or_else(|| Error::object(object, error))),
    }
}

/// The contents of a list, one after the other.
struct Contents {
    object: ObjectId,
    contents: Extents,
    /// The content that is being read, and how far.
    bytes: Vec<u8>,
    at: usize,
    /// Why a read failed.
    failed: Option<Error>,
}

impl Contents {
    /// Reads the next content, and counts its bytes.
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(extent) = self.contents.next().transpose()? else { return Ok(None) };
        let repository: &Repository = &self.contents.repository;
        let length = repository.contents().assume(&extent.content, extent.length)?.plain_length();
        if extent.length.unwrap_or_default().max(length) > LONGEST {
            let why = format!("its list has a content of {length} bytes, more than {LONGEST}");
            return Err(Error::object(self.object, why));
        }
        let bytes = repository.read_extent(&extent)?;
        let left = self.contents.place.list_bytes.checked_sub(bytes.len() as u64);
        let refuse =
            || Error::object(self.object, format!("its lists have more than {MAX_LIST_BYTES} bytes"));
        self.contents.place.list_bytes = left.ok_or_else(refuse)?;
        Ok(Some(bytes))
    }
}

impl Read for &mut Contents {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.bytes.len() {
            match self.next() {
                Ok(Some(bytes)) => (self.bytes, self.at) = (bytes, 0),
                Ok(None) => return Ok(0),
                Err(error) => {
                    self.failed = Some(error);
                    return Err(io::ErrorKind::Other.into());
                }
            }
        }
        let count = buffer.len().min(self.bytes.len() - self.at);
        buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
