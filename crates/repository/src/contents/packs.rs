//! Contents in the packs of a store, found by its indexes: the only room that knows where in a blob a content
//! lies.

use std::ops::Range;
use std::sync::Arc;

use kopia_format::{BlobId, ContentId};
use kopia_storage::{BlobBytes, BlobStore, MAX_COPIES, ReadAhead, ReadProfile};

use super::nearby::{Nearby, There};
use super::schedule::ReadStep;
use super::{ContentLocation, Origin, Pace};
use crate::Result;
use crate::index::{ATTEMPTS, LiveIndex};

/// How packs of metadata are called: manifests, directories, lists of large files.
const METADATA: char = 'q';

/// The packs of a store, and the indexes that name them.
pub(crate) struct Packs {
    pub(crate) store: Arc<dyn BlobStore>,
    pub(crate) indexes: Arc<LiveIndex>,
    pub(crate) pace: Pace,
    /// How packs are read best, where so many files may be open.
    profile: ReadProfile,
    /// What lies beside metadata that was read; nothing where bytes are near.
    nearby: Option<Nearby>,
}

impl Packs {
    pub(crate) fn new(store: Arc<dyn BlobStore>, indexes: Arc<LiveIndex>) -> Self {
        let profile = store.profile().within_open_files();
        let nearby = (profile.ahead == ReadAhead::Threads).then(Nearby::new);
        Self { store, indexes, pace: Pace::new(profile), profile, nearby }
    }

    pub(super) fn profile(&self) -> ReadProfile {
        self.profile
    }

    /// Returns whether each read takes long.
    pub(super) fn is_far(&self) -> bool {
        self.profile().ahead == ReadAhead::Threads
    }

    /// Returns the name of the pack with this number.
    ///
    /// # Panics
    /// If the number is from no location of this repository.
    pub(super) fn pack_name(&self, number: u32) -> &BlobId {
        self.indexes.packs().get(number).expect("it is the number of a pack of this repository")
    }

    /// Returns the range of a pack that a location means.
    pub(super) fn origin(&self, location: &ContentLocation) -> Origin {
        let blob = self.pack_name(location.pack).clone();
        Origin { blob, offset: location.offset.into(), length: location.packed_length.into() }
    }

    /// Tells the store that a range will be read soon.
    pub(super) fn announce(&self, step: &ReadStep) {
        self.store.will_need(self.pack_name(step.pack), step.bytes.start, step.length());
    }

    /// Reads the range of a step, once it is its turn; `buffer` is memory to use.
    pub(super) fn read(&self, step: &ReadStep, buffer: Vec<u8>) -> kopia_storage::Result<BlobBytes> {
        self.read_range(step.pack, &step.bytes, buffer, |read| self.pace.read(read, |bytes| bytes.len()))
    }

    /// Reads a range of a pack by `read`, unless it came along with something beside it.
    fn read_range(
        &self,
        pack: u32,
        range: &Range<u64>,
        mut buffer: Vec<u8>,
        read: impl Fn(&mut dyn FnMut() -> kopia_storage::Result<BlobBytes>) -> kopia_storage::Result<BlobBytes>,
    ) -> kopia_storage::Result<BlobBytes> {
        let name = self.pack_name(pack);
        let length = (range.end - range.start) as usize;
        let mut read = |start: u64, length: usize| {
            read(&mut || self.store.read_range(name, start, length, std::mem::take(&mut buffer)))
        };
        let is_metadata = name.as_str().starts_with(METADATA);
        let Some(nearby) = self.nearby.as_ref().filter(|_| is_metadata) else {
            return read(range.start, length);
        };
        let missing = match nearby.look_for(pack, range) {
            There::All(bytes) => return Ok(bytes.into()),
            There::Part(missing) => missing,
            There::Nothing => return read(range.start, length),
        };
        let Range { start, end } = missing.read;
        match read(start, (end - start) as usize) {
            Ok(bytes) => match nearby.complete(pack, &missing, &bytes, length) {
                Some(wanted) => Ok(wanted.into()),
                None => read(range.start, length),
            },
            // What fails may be damage in what nobody asked for.
            Err(_) if missing.before > 0 => read(range.start, length),
            Err(error) => Err(error),
        }
    }

    /// Reads the stored bytes of one content. If its pack is gone, or shorter than that, and it lies
    /// elsewhere by now, it is read there; also returns where it was read.
    pub(super) fn read_one(
        &self,
        content: &ContentId,
        mut location: ContentLocation,
    ) -> Result<(ContentLocation, BlobBytes)> {
        let mut attempts = 1;
        loop {
            match self.read_range(location.pack, &location.range(), Vec::new(), |read| read()) {
                Ok(bytes) => return Ok((location, bytes)),
                Err(error) => {
                    let moved = self.indexes.relocate(content, &location, &error);
                    location = moved.filter(|_| attempts < ATTEMPTS).ok_or(error)?;
                    attempts += 1;
                }
            }
        }
    }

    /// Reads the other copies of a content, where the store has its pack several times.
    pub(super) fn copies(&self, location: ContentLocation) -> impl Iterator<Item = Vec<u8>> + '_ {
        let (offset, length) = (location.offset.into(), location.packed_length as usize);
        let pack = self.pack_name(location.pack);
        let read = move |number| self.store.read_copy(pack, number, offset, Some(length)).transpose();
        // A copy that cannot be read is skipped: another one may be longer.
        (0..MAX_COPIES).map_while(read).filter_map(kopia_storage::Result::ok)
    }
}
