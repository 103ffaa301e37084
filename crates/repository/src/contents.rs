//! Reading many contents: range by range, each content decoded once.

pub mod decode;
pub mod schedule;

use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_format::ContentId;
use kopia_storage::{MAX_COPIES, ReadAhead, ReadProfile};
use rayon::prelude::*;

use crate::contents::decode::{Decoder, Stored};
use crate::index::ATTEMPTS;
use crate::{ContentLocation, Error, Repository, Result};
use schedule::{Limits, ReadStep};

/// What needs a content.
pub trait Located {
    /// Returns the content.
    fn content(&self) -> ContentId;

    /// Returns where the content lies.
    fn location(&self) -> ContentLocation;
}

/// A content that the index has, and its number among those that were asked for.
struct Wanted {
    number: usize,
    content: ContentId,
    location: ContentLocation,
}

impl Located for Wanted {
    fn content(&self) -> ContentId {
        self.content
    }

    fn location(&self) -> ContentLocation {
        self.location
    }
}

impl Repository {
    /// Reads the bytes of a range of a pack; `buffer` is memory to use.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn read_pack(&self, read: &ReadStep, buffer: Vec<u8>) -> Result<kopia_storage::BlobBytes> {
        Ok(self.store().read_range(self.pack(read.pack), read.bytes.start, read.length(), buffer)?)
    }

    /// Tells the store that a range will be read soon.
    pub fn announce(&self, read: &ReadStep) {
        self.store().will_need(self.pack(read.pack), read.bytes.start, read.length());
    }

    /// Decodes what a range serves, each content once, and gives it to `visit` with all its uses.
    ///
    /// `bytes` are those of the range. If it could not be read as a whole, it is read content by content, so that only
    /// what is damaged is lost; contents whose pack is gone are read where they lie by now.
    pub fn decode_read<U: Located>(
        &self,
        decoder: &mut Decoder,
        read: &ReadStep,
        uses: &[U],
        bytes: Option<&[u8]>,
        mut visit: impl FnMut(&[U], Result<&[u8]>),
    ) {
        let groups: Vec<&[U]> = same_content(uses).collect();
        let Some(bytes) = bytes else {
            for same in groups {
                let (content, location) = (same[0].content(), same[0].location());
                match self.read_stored(&content, location) {
                    Ok((location, bytes)) => {
                        let stored = Stored { id: content, location, bytes: &bytes };
                        match decoder.decode(self, &stored) {
                            Ok(plain) => visit(same, Ok(plain)),
                            Err(error) => match self.decode_copy(decoder, &content, location, error) {
                                Ok(plain) => visit(same, Ok(&plain)),
                                Err(error) => visit(same, Err(error)),
                            },
                        }
                    }
                    Err(error) => visit(same, Err(error)),
                }
            }
            return;
        };
        let stored = groups.iter().map(|same| {
            let (id, location) = (same[0].content(), same[0].location());
            let start = (u64::from(location.offset) - read.bytes.start) as usize;
            Stored { id, location, bytes: &bytes[start..start + location.packed_length as usize] }
        });
        let mut damaged = Vec::new();
        decoder.decode_many(self, &stored.collect::<Vec<_>>(), |number, plain| match plain {
            Ok(plain) => visit(groups[number], Ok(plain)),
            Err(error) => damaged.push((groups[number], error)),
        });
        for (same, error) in damaged {
            match self.decode_copy(decoder, &same[0].content(), same[0].location(), error) {
                Ok(plain) => visit(same, Ok(&plain)),
                Err(error) => visit(same, Err(error)),
            }
        }
    }

    /// Decodes a content from another copy of its pack, where the store has several; `error` says what is wrong with the
    /// usual one, and is returned if no other is better.
    pub(crate) fn decode_copy(
        &self,
        decoder: &mut Decoder,
        content: &ContentId,
        location: ContentLocation,
        error: Error,
    ) -> Result<Vec<u8>> {
        if !matches!(error, Error::CorruptContent { .. }) || !location.is_plausible() {
            return Err(error);
        }
        let (offset, length) = (location.offset.into(), location.packed_length as usize);
        for number in 0..MAX_COPIES {
            match self.store().read_copy(self.pack(location.pack), number, offset, Some(length)) {
                Ok(None) => break,
                Ok(Some(bytes)) => {
                    if let Ok(plain) = decoder.decode(self, &Stored { id: *content, location, bytes: &bytes })
                    {
                        return Ok(plain.to_vec());
                    }
                }
                // Another one may be longer.
                Err(_) => {}
            }
        }
        Err(error)
    }

    /// Reads and decodes many contents, pack by pack with neighbours merged, and gives each to `visit` with its number
    /// in `contents`; several threads do so at once, in no order.
    pub fn read_many(&self, contents: &[ContentId], visit: impl Fn(usize, Result<&[u8], &Error>) + Sync) {
        let mut wanted = Vec::with_capacity(contents.len());
        for (number, &content) in contents.iter().enumerate() {
            match self.find(&content) {
                Ok(location) => wanted.push(Wanted { number, content, location }),
                Err(error) => visit(number, Err(&error)),
            }
        }
        let reads = schedule::schedule(&mut wanted, Limits::from(self.store().profile()));
        side_by_side(self.store().profile(), &reads, |read| {
            let bytes = self.read_pack(read, Vec::new()).ok();
            self.with_decoder(|decoder| {
                self.decode_read(
                    decoder,
                    read,
                    &wanted[read.uses.clone()],
                    bytes.as_deref(),
                    |same, plain| {
                        same.iter().for_each(|one| visit(one.number, plain.as_ref().copied()));
                    },
                );
            });
        });
    }

    /// Reads the stored bytes of one content. If its pack is gone, or shorter than that, and it lies elsewhere by now, it is
    /// read there; also returns where it was read.
    pub(crate) fn read_stored(
        &self,
        content: &ContentId,
        mut location: ContentLocation,
    ) -> Result<(ContentLocation, kopia_storage::BlobBytes)> {
        let (living, source) = self.living();
        let mut attempts = 1;
        loop {
            let (offset, length) = (location.offset.into(), location.packed_length as usize);
            match self.store().read_range(self.pack(location.pack), offset, length, Vec::new()) {
                Ok(bytes) => return Ok((location, bytes)),
                Err(error) => {
                    let moved = living.relocate(source, content, &location, &error);
                    location = moved.filter(|_| attempts < ATTEMPTS).ok_or(error)?;
                    attempts += 1;
                }
            }
        }
    }
}

/// Works on many items at once, as many as a store of this profile likes to have read.
pub(crate) fn side_by_side<T: Sync>(profile: ReadProfile, items: &[T], work: impl Fn(&T) + Sync) {
    if profile.ahead == ReadAhead::Hints || items.len() < 2 {
        return items.par_iter().for_each(&work);
    }
    let next = AtomicUsize::new(0);
    let take = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..profile.parallel_reads.min(items.len()) {
            // Fewer do as well, where the number of threads is limited.
            if std::thread::Builder::new().spawn_scoped(scope, take).is_err() {
                break;
            }
        }
        take();
    });
}

/// Cuts uses, sorted by location, into runs of the same content.
fn same_content<U: Located>(uses: &[U]) -> impl Iterator<Item = &[U]> {
    uses.chunk_by(|a, b| a.location().range() == b.location().range() && a.content() == b.content())
}
