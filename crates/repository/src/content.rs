//! One content: from its place in a pack to plain bytes.
//!
//! Authority: `repo/content/committed_read_manager.go`. Like kopia, reading relies on the encryption's authentication;
//! [`Decoder::verify_hashes`] checks content ids as well.

use std::ops::Range;

use kopia_codec::compression::{Compression, Decompressor, split_header};
use kopia_format::{ContentId, ObjectId};

use crate::repository::Repository;
use crate::sealing::content_iv;
use crate::table::Place;
use crate::{Error, Result};

/// The largest plain content that is read: the most that an index of version 2 can state.
pub const MAX_LENGTH: usize = 1 << 28;

impl Place {
    /// Returns the bytes of the pack that the content takes.
    pub fn range(&self) -> Range<u64> {
        let start = u64::from(self.offset);
        start..start + u64::from(self.packed_length)
    }
}

/// Turns stored bytes into plain ones. It keeps its buffers and contexts from one content to the next, so a worker has
/// one for itself.
#[derive(Default)]
pub struct Decoder {
    decompressor: Decompressor,
    verify_hashes: bool,
    /// Without error correction, still sealed.
    sealed: Vec<u8>,
    /// Opened, perhaps still compressed.
    opened: Vec<u8>,
    /// Decompressed.
    plain: Vec<u8>,
}

impl Decoder {
    /// Makes a decoder; buffers grow as contents need them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has every content's hash compared with its id.
    pub fn verify_hashes(mut self, verify: bool) -> Self {
        self.verify_hashes = verify;
        self
    }

    /// Decodes the stored bytes of a content; the result lives until the next call.
    ///
    /// # Errors
    /// [`Error::CorruptContent`] if they are damaged, have another length than the index says, or, with
    /// [`Self::verify_hashes`], another hash; [`Error::Unsupported`] for an unknown compression.
    pub fn decode(
        &mut self,
        repository: &Repository,
        id: &ContentId,
        place: &Place,
        stored: &[u8],
    ) -> Result<&[u8]> {
        let error = |error| content_error(repository, id, place, error);
        let sealing = repository.sealing();
        sealing.open(content_iv(id), stored, &mut self.sealed, &mut self.opened).map_err(error)?;
        let length = place.original_length as usize;
        let plain = if place.compression == 0 {
            &self.opened
        } else {
            let (compression, stream) = split_header(&self.opened).map_err(error)?;
            if compression.id() != u32::from(place.compression) {
                let why = format!(
                    "index says compression {:#06x}, it has {}",
                    place.compression,
                    compression.name()
                );
                return Err(corrupt(repository, id, place, why));
            }
            if length > MAX_LENGTH {
                return Err(corrupt(repository, id, place, format!("index says {length} plain bytes")));
            }
            self.decompressor.decompress(compression, stream, length, &mut self.plain).map_err(error)?;
            &self.plain
        };
        if plain.len() != length {
            let why = format!("{} plain bytes, index says {length}", plain.len());
            return Err(corrupt(repository, id, place, why));
        }
        if self.verify_hashes && !sealing.names(id, plain) {
            return Err(corrupt(repository, id, place, "its hash is not its id".into()));
        }
        Ok(plain)
    }

    /// Decompresses a content that begins with a compression header itself, as objects with `Z` do.
    ///
    /// # Errors
    /// [`Error::CorruptObject`] if it is damaged or has more than `length`, or [`MAX_LENGTH`], bytes.
    pub fn decompress_headed(
        &mut self,
        id: &ContentId,
        bytes: &[u8],
        length: Option<u64>,
    ) -> Result<Vec<u8>> {
        let limit =
            length.and_then(|length| usize::try_from(length).ok()).unwrap_or(MAX_LENGTH).min(MAX_LENGTH);
        let mut plain = Vec::new();
        split_header(bytes)
            .and_then(|(compression, stream)| {
                self.decompressor.decompress_within(compression, stream, limit, &mut plain)
            })
            .map_err(|error| Error::object(ObjectId::of_content(*id), error))?;
        Ok(plain)
    }

    /// Unpacks gzip.
    pub(crate) fn gunzip(&mut self, bytes: &[u8]) -> kopia_codec::Result<Vec<u8>> {
        let mut plain = Vec::new();
        self.decompressor.decompress_within(Compression::Gzip, bytes, MAX_LENGTH, &mut plain)?;
        Ok(plain)
    }
}

/// Says what is wrong with a content, and where it lies.
pub(crate) fn corrupt(repository: &Repository, id: &ContentId, place: &Place, why: String) -> Error {
    Error::CorruptContent {
        content: *id,
        blob: repository.pack(place.pack).clone(),
        offset: place.offset.into(),
        length: place.packed_length.into(),
        why,
    }
}

fn content_error(repository: &Repository, id: &ContentId, place: &Place, error: kopia_codec::Error) -> Error {
    match error {
        kopia_codec::Error::Unsupported { what, found } => {
            Error::Unsupported { place: format!("content {id}"), what, found }
        }
        error => corrupt(repository, id, place, error.to_string()),
    }
}
