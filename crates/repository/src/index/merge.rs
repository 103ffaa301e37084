//! From sealed index blobs to one table.

use std::sync::Mutex;
use std::thread;

use kopia_format::BlobId;
use kopia_format::index::Index;
use kopia_storage::{BlobInfo, MAX_COPIES, WHOLE_BLOB_LIMIT};

use super::feed::{BUDGET, Blob, Feed};
use super::table::Builder;
use super::{Loader, Unreadable, UnreadableLog};
use crate::lock::{into_inner, lock};
use crate::sealing::{Sealing, blob_iv};
use crate::{Error, Result};

/// As many sealed bytes are worth a thread: opening and merging them takes some 5 ms.
const BYTES_A_THREAD: u64 = 1 << 20;

/// Index blobs of so many bytes are opened where they are, and given back piece by piece as they are merged:
/// one of ten million contents has 360 MB.
const LARGE: usize = if cfg!(test) { 4 << 10 } else { 16 << 20 };

/// Adds these index blobs to a table, on all cores, each as it comes.
///
/// # Errors
/// The first one: an index blob that cannot be read, opened or parsed. With a `log` these are noted there
/// instead.
pub(super) fn merge(
    loader: &Loader<'_, '_, '_>,
    blobs: Vec<BlobInfo>,
    log: Option<&UnreadableLog>,
) -> Result<Builder> {
    let Loader { feed, scope, sealing, cores, known, .. } = *loader;
    // A longer one cannot be read.
    let length = |blob: &BlobInfo| blob.length.min(WHOLE_BLOB_LIMIT);
    let bytes = blobs.iter().fold(0u64, |sum, blob| sum.saturating_add(length(blob)));
    feed.choose(blobs);
    feed.start_readers(scope);
    let builder = match loader.directory {
        None => Builder::new(sealing.hash_length(), bytes, known),
        Some(directory) => Builder::in_file(sealing.hash_length(), known, directory)
            .map_err(|error| loader.file_error(error))?,
    };
    let failure = Mutex::new(None);
    let threads = threads(cores.count(), bytes);
    let work = || {
        if let Err(error) = add_all(feed, sealing, &builder, keep(threads), log) {
            lock(&failure).get_or_insert(error);
            feed.stop();
        }
    };
    thread::scope(|scope| {
        // Where no more threads can be had, fewer do it all.
        let _others: Vec<_> =
            (1..threads).map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok()).collect();
        work();
    });
    into_inner(failure).map_or(Ok(builder), Err)
}

/// Returns how many threads so many sealed bytes are worth, of as many as there are cores.
fn threads(cores: usize, bytes: u64) -> usize {
    cores.min((bytes / BYTES_A_THREAD) as usize).max(1)
}

/// Returns how many bytes each of so many threads may have in a buffer that it keeps for the next blob.
fn keep(threads: usize) -> u64 {
    BUDGET.bytes() / threads as u64
}

/// Adds what the feed gives until nothing more comes. Buffers of more than `keep` bytes are not kept for the
/// next blob.
fn add_all(
    feed: &Feed<'_>,
    sealing: &Sealing,
    builder: &Builder,
    keep: u64,
    log: Option<&UnreadableLog>,
) -> Result<()> {
    let mut opener = Opener::new(sealing);
    while let Some(mut taken) = feed.take() {
        for Blob { listed: BlobInfo { id, .. }, bytes } in taken.blobs() {
            let added = add(&mut opener, builder, &id, bytes)
                .or_else(|error| add_copy(feed, &mut opener, builder, &id, error));
            match (added, log) {
                (Err(error), Some(log)) => log.take(error, |error| Unreadable::IndexBlob(id, error))?,
                (result, _) => result?,
            }
            opener.shrink(keep);
        }
    }
    Ok(())
}

fn add(
    opener: &mut Opener<'_>,
    builder: &Builder,
    id: &BlobId,
    bytes: kopia_storage::Result<Vec<u8>>,
) -> Result<()> {
    let bytes = bytes?;
    let added = if bytes.len() >= LARGE {
        let index = Index::parse(opener.open_large(id, bytes)?).map_err(|error| Error::blob(id, error))?;
        builder.add_large(index)
    } else {
        let index = Index::parse(opener.open(id, bytes)?).map_err(|error| Error::blob(id, error))?;
        builder.add(&index)
    };
    added.map_err(|why| Error::CorruptBlob { blob: id.clone(), why })
}

/// Adds an index blob from another copy, where the store has several; `error` says what is wrong with the
/// usual one.
fn add_copy(
    feed: &Feed<'_>,
    opener: &mut Opener<'_>,
    builder: &Builder,
    id: &BlobId,
    error: Error,
) -> Result<()> {
    if matches!(error, Error::CorruptBlob { .. }) {
        for number in 0..MAX_COPIES {
            match feed.store().read_copy(id, number, 0, None) {
                Ok(None) => break,
                Ok(Some(bytes)) => {
                    if add(opener, builder, id, Ok(bytes)).is_ok() {
                        return Ok(());
                    }
                }
                // Another one may be longer.
                Err(_) => {}
            }
        }
    }
    Err(error)
}

/// Opens blobs whose keys are made from their names, into buffers that it keeps.
pub(crate) struct Opener<'a> {
    sealing: &'a Sealing,
    scratch: Vec<u8>,
    plain: Vec<u8>,
}

impl<'a> Opener<'a> {
    pub(crate) fn new(sealing: &'a Sealing) -> Self {
        Self { sealing, scratch: Vec::new(), plain: Vec::new() }
    }

    /// Opens one blob; the sealed bytes are freed as soon as they are opened.
    pub(crate) fn open(&mut self, blob: &BlobId, stored: Vec<u8>) -> Result<&[u8]> {
        let corrupt = |why: String| Error::CorruptBlob { blob: blob.clone(), why };
        let iv = blob_iv(blob).ok_or_else(|| corrupt("its name holds no initialization vector".into()))?;
        let opened = self.sealing.open(&iv, &stored, &mut self.scratch, &mut self.plain);
        opened.map_err(|error| corrupt(error.to_string()))?;
        Ok(&self.plain)
    }

    /// As [`Self::open`], in the memory of the sealed bytes.
    fn open_large(&mut self, blob: &BlobId, stored: Vec<u8>) -> Result<Vec<u8>> {
        let corrupt = |why: String| Error::CorruptBlob { blob: blob.clone(), why };
        let iv = blob_iv(blob).ok_or_else(|| corrupt("its name holds no initialization vector".into()))?;
        self.sealing.open_in_place(&iv, stored).map_err(|error| corrupt(error.to_string()))
    }

    fn shrink(&mut self, keep: u64) {
        for buffer in [&mut self.scratch, &mut self.plain] {
            if buffer.capacity() as u64 > keep {
                *buffer = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kopia_codec::cipher::OVERHEAD;
    use kopia_testkit::writer::RepositoryWriter;

    use super::*;
    use crate::index::table::PackNames;
    use crate::index::table::tests::index;
    use crate::index::tests::sealing;

    #[test]
    fn there_are_as_many_threads_as_bytes_are_worth_and_cores_there_are() {
        for (bytes, expected) in [(0, 1), (3 << 20, 3), (8 << 20, 8), (9 << 20, 8), (u64::MAX, 8)] {
            assert_eq!(threads(8, bytes), expected, "for {bytes} bytes");
        }
    }

    #[test]
    fn each_thread_keeps_buffers_of_its_part_of_the_budget() {
        for threads in [1, 2, 3, 64] {
            assert!(keep(threads) * threads as u64 <= BUDGET.bytes(), "{threads} threads");
        }
        assert_eq!(keep(1), BUDGET.bytes());
    }

    #[test]
    fn buffers_that_are_too_large_are_not_kept() {
        let sealing = sealing();
        let mut opener = Opener::new(&sealing);
        (opener.scratch, opener.plain) = (Vec::with_capacity(101), Vec::with_capacity(100));
        opener.shrink(100);
        assert_eq!((opener.scratch.capacity(), opener.plain.capacity()), (0, 100));
    }

    #[test]
    fn large_index_blobs_are_opened_where_they_are() {
        let (sealing, builder) = (sealing(), Builder::new(16, 0, &PackNames::default()));
        for (length, in_place) in [(LARGE - 1, false), (LARGE, true), (LARGE + 1, true)] {
            let mut plain = index(&[(&[0, 0xaa, 0xbb][..], 1, false, "p1", 1)]);
            // What follows the data is padding.
            plain.resize(length - OVERHEAD, 0);
            let (name, sealed) = RepositoryWriter::new().seal_index(&plain);
            assert_eq!(sealed.len(), length);
            let mut opener = Opener::new(&sealing);
            add(&mut opener, &builder, &name.parse().unwrap(), Ok(sealed)).unwrap();
            assert_eq!(opener.plain.capacity() == 0, in_place, "of {length} bytes");
        }
    }
}
