//! One content: from its location in a pack to plain bytes.
//!
//! Authority: `repo/content/committed_read_manager.go`. Like kopia, reading relies on the encryption's authentication;
//! [`Decoder::verify_hashes`] checks content ids as well.

use std::ops::Range;

use kopia_codec::compression::{Compression, Decompressor, split_header};
use kopia_format::{ContentId, ObjectId};

use crate::index::table::ContentLocation;
use crate::repository::Repository;
use crate::sealing::{Sealing, content_iv};
use crate::{Error, Result};

/// How many contents are hashed side by side at most, and how many plain bytes: four lanes should be full to the end, but
/// every thread keeps these bytes.
const GROUP: usize = 32;
const GROUP_BYTES: u64 = 16 << 20;

/// The largest plain content that is read: the most that an index of version 2 can state.
pub const MAX_LENGTH: usize = 1 << 28;

/// The most stored bytes of a content: twice as many with the most error correction, and some for seals and headers.
const MAX_STORED: u32 = 2 * MAX_LENGTH as u32 + (1 << 20);

impl ContentLocation {
    /// Says whether a content can be so large; an index of an attacker may say anything.
    pub(crate) fn is_plausible(&self) -> bool {
        self.packed_length <= MAX_STORED && self.original_length as usize <= MAX_LENGTH
    }

    /// Says whether it is the same part of the same pack as another.
    pub(crate) fn is_where(&self, other: &Self) -> bool {
        self.pack == other.pack && self.range() == other.range()
    }

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
    /// Plain contents whose hashes are computed side by side.
    group: Vec<u8>,
}

/// A content as its pack has it.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Its id.
    pub id: ContentId,
    /// What the index says of it.
    pub location: ContentLocation,
    /// Its bytes in the pack.
    pub bytes: &'a [u8],
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

    /// Decodes a content; the result lives until the next call.
    ///
    /// # Errors
    /// [`Error::CorruptContent`] if it is damaged, has another length than the index says, or, with
    /// [`Self::verify_hashes`], another hash; [`Error::Unsupported`] for an unknown compression.
    pub fn decode(&mut self, repository: &Repository, stored: &Stored<'_>) -> Result<&[u8]> {
        let verify = self.verify_hashes;
        let plain = self.open(repository, stored)?;
        if verify && !repository.sealing().matches(&stored.id, plain) {
            return Err(other_hash(repository, stored));
        }
        Ok(plain)
    }

    /// Decodes several contents and gives each to `visit` with its number, in order.
    ///
    /// With [`Self::verify_hashes`] their hashes are computed side by side, which makes BLAKE2b 2.4 times as fast; up to
    /// 16 MiB of plain contents are kept for that.
    pub fn decode_many(
        &mut self,
        repository: &Repository,
        stored: &[Stored<'_>],
        mut visit: impl FnMut(usize, Result<&[u8]>),
    ) {
        if !self.verify_hashes {
            for (number, stored) in stored.iter().enumerate() {
                visit(number, self.open(repository, stored).map(|plain| &plain[..]));
            }
            return;
        }
        let mut start = 0;
        while start < stored.len() {
            let group = &stored[start..start + group_length(&stored[start..])];
            if let [only] = group {
                visit(start, self.decode(repository, only));
            } else {
                self.decode_group(repository, group, |number, plain| visit(start + number, plain));
            }
            start += group.len();
        }
    }

    /// Decodes some contents and hashes them side by side.
    fn decode_group(
        &mut self,
        repository: &Repository,
        group: &[Stored<'_>],
        mut visit: impl FnMut(usize, Result<&[u8]>),
    ) {
        // One buffer for all: a buffer for each would keep the size of the largest content that it ever held.
        let mut kept = std::mem::take(&mut self.group);
        kept.clear();
        kept.reserve_exact(group.iter().map(|stored| stored.location.original_length as usize).sum());
        let opened: Vec<Result<Range<usize>>> = group
            .iter()
            .map(|stored| {
                let start = kept.len();
                kept.extend_from_slice(self.open(repository, stored)?);
                Ok(start..kept.len())
            })
            .collect();
        let plain =
            |opened: &Result<Range<usize>>| opened.as_ref().map_or(&[][..], |range| &kept[range.clone()]);
        let named = std::iter::zip(group, &opened).map(|(stored, opened)| (&stored.id, plain(opened)));
        let named = repository.sealing().match_all(&named.collect::<Vec<_>>());
        for (number, (opened, named)) in std::iter::zip(opened, named).enumerate() {
            visit(
                number,
                match opened {
                    Ok(range) if named => Ok(&kept[range]),
                    Ok(_) => Err(other_hash(repository, &group[number])),
                    Err(error) => Err(error),
                },
            );
        }
        self.group = kept;
    }

    /// Opens and decompresses a content.
    fn open(&mut self, repository: &Repository, stored: &Stored<'_>) -> Result<&mut Vec<u8>> {
        let Stored { id, location, bytes } = stored;
        let error = |error| content_error(repository, id, location, error);
        if !location.is_plausible() {
            return Err(implausible(repository, id, location));
        }
        let sealing = repository.sealing();
        sealing.open(content_iv(id), bytes, &mut self.sealed, &mut self.opened).map_err(error)?;
        let length = location.original_length as usize;
        let plain = if location.compression == 0 {
            &mut self.opened
        } else {
            let (compression, stream) = split_header(&self.opened).map_err(error)?;
            if compression.id() != u32::from(location.compression) {
                let why = format!(
                    "index says compression {:#06x}, it has {}",
                    location.compression,
                    compression.name()
                );
                return Err(corrupt(repository, id, location, why));
            }
            self.decompressor.decompress(compression, stream, length, &mut self.plain).map_err(error)?;
            &mut self.plain
        };
        if plain.len() != length {
            let why = format!("{} plain bytes, index says {length}", plain.len());
            return Err(corrupt(repository, id, location, why));
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

    /// Opens and decompresses a content of a pack that no index names, as the pack's own index describes it.
    pub(crate) fn decode_unindexed(
        &mut self,
        sealing: &Sealing,
        id: &ContentId,
        entry: &kopia_format::index::Entry<'_>,
        stored: &[u8],
    ) -> kopia_codec::Result<Vec<u8>> {
        sealing.open(content_iv(id), stored, &mut self.sealed, &mut self.opened)?;
        if entry.compression == 0 {
            return Ok(self.opened.clone());
        }
        let (compression, stream) = split_header(&self.opened)?;
        let limit = (entry.original_length as usize).min(MAX_LENGTH);
        let mut plain = Vec::new();
        self.decompressor.decompress_within(compression, stream, limit, &mut plain)?;
        Ok(plain)
    }

    /// Unpacks gzip, into `most` bytes at most.
    pub(crate) fn gunzip(&mut self, bytes: &[u8], most: usize) -> kopia_codec::Result<Vec<u8>> {
        let mut plain = Vec::new();
        self.decompressor.decompress_within(Compression::Gzip, bytes, most, &mut plain)?;
        Ok(plain)
    }
}

/// How many of the first contents are hashed side by side: some, as long as they are small together.
fn group_length(stored: &[Stored<'_>]) -> usize {
    let mut bytes = 0;
    let fits = stored.iter().take(GROUP).take_while(|stored| {
        bytes += u64::from(stored.location.original_length);
        bytes <= GROUP_BYTES
    });
    fits.count().max(1)
}

fn other_hash(repository: &Repository, stored: &Stored<'_>) -> Error {
    corrupt(repository, &stored.id, &stored.location, "its hash is not its id".into())
}

/// Says what is wrong with a content, and where it lies.
pub(crate) fn corrupt(
    repository: &Repository,
    id: &ContentId,
    location: &ContentLocation,
    why: String,
) -> Error {
    Error::CorruptContent {
        content: *id,
        blob: repository.pack(location.pack).clone(),
        offset: location.offset.into(),
        length: location.packed_length.into(),
        why,
    }
}

/// Says that a content cannot be as large as the index says.
pub(crate) fn implausible(repository: &Repository, id: &ContentId, location: &ContentLocation) -> Error {
    let ContentLocation { packed_length, original_length, .. } = location;
    corrupt(
        repository,
        id,
        location,
        format!("index says {packed_length} stored and {original_length} plain bytes"),
    )
}

fn content_error(
    repository: &Repository,
    id: &ContentId,
    location: &ContentLocation,
    error: kopia_codec::Error,
) -> Error {
    match error {
        kopia_codec::Error::Unsupported { what, found } => {
            Error::Unsupported { place: format!("content {id}"), what, found }
        }
        error => corrupt(repository, id, location, error.to_string()),
    }
}
