//! Where contents come from: packs of a store, or elsewhere.
//!
//! An enum that is matched once for a step, not for a content, so a second kind costs those in packs nothing.
//! The second kind is a double for tests so far; it holds what a repository server would give.

use std::sync::Arc;

use kopia_format::ContentId;
use kopia_storage::{BlobBytes, ReadProfile};

#[cfg(test)]
use super::memory::Memory;
use super::unpack::Unpacker;
use super::{ContentLocation, Decoder, Located, Origin, Packs, ReadStep};
use crate::Result;
use crate::index::Indexes;

/// Where the contents of a repository come from.
pub(crate) enum Source {
    /// Packs, which hold them sealed.
    Packs(Packs),
    /// Memory, which has them plain, as a server gives them.
    #[cfg(test)]
    Memory(Memory),
}

/// A list of contents that does not change.
pub(crate) enum Listed {
    /// What indexes know.
    Indexes(Arc<Indexes>),
    #[cfg(test)]
    Memory(Memory),
}

impl Source {
    pub(super) fn profile(&self) -> ReadProfile {
        match self {
            Self::Packs(packs) => packs.profile(),
            #[cfg(test)]
            Self::Memory(memory) => memory.profile(),
        }
    }

    pub(super) fn locate(&self, content: &ContentId) -> Result<ContentLocation> {
        match self {
            Self::Packs(packs) => packs.indexes.locate(content),
            #[cfg(test)]
            Self::Memory(memory) => memory.locate(content),
        }
    }

    pub(super) fn listed(&self) -> Listed {
        match self {
            Self::Packs(packs) => Listed::Indexes(packs.indexes.snapshot()),
            #[cfg(test)]
            Self::Memory(memory) => Listed::Memory(memory.clone()),
        }
    }

    pub(super) fn groups(&self) -> usize {
        match self {
            Self::Packs(packs) => packs.indexes.packs().len(),
            #[cfg(test)]
            Self::Memory(memory) => memory.len(),
        }
    }

    pub(super) fn sort_groups(&self, groups: &mut [u32]) {
        match self {
            Self::Packs(packs) => groups.sort_by_key(|&group| packs.pack_name(group)),
            #[cfg(test)]
            Self::Memory(_) => groups.sort_unstable(),
        }
    }

    pub(super) fn origin(&self, location: &ContentLocation) -> Origin {
        match self {
            Self::Packs(packs) => packs.origin(location),
            #[cfg(test)]
            Self::Memory(memory) => memory.origin(location),
        }
    }

    pub(super) fn announce(&self, step: &ReadStep) {
        match self {
            Self::Packs(packs) => packs.announce(step),
            #[cfg(test)]
            Self::Memory(_) => {}
        }
    }

    /// Reads the bytes of a step.
    pub(super) fn read(&self, step: &ReadStep, buffer: Vec<u8>) -> Result<BlobBytes> {
        match self {
            Self::Packs(packs) => Ok(packs.read(step, buffer)?),
            #[cfg(test)]
            Self::Memory(memory) => memory.read(step),
        }
    }

    /// Reads and decodes one content.
    pub(super) fn read_one(
        &self,
        decoder: &mut Decoder,
        content: &ContentId,
        location: ContentLocation,
    ) -> Result<Vec<u8>> {
        match self {
            Self::Packs(packs) => Unpacker { packs, decoder }.read(content, location, <[u8]>::to_vec),
            #[cfg(test)]
            Self::Memory(memory) => memory.read_one(content),
        }
    }

    /// Decodes what a step serves. `bytes` are what was read for it, if that succeeded.
    pub(super) fn decode<L: Located>(
        &self,
        decoder: &mut Decoder,
        step: &ReadStep,
        needs: &[L],
        bytes: Option<&[u8]>,
        visit: impl FnMut(&[L], Result<&[u8]>),
    ) {
        match self {
            Self::Packs(packs) => Unpacker { packs, decoder }.decode(step, needs, bytes, visit),
            #[cfg(test)]
            Self::Memory(memory) => memory.decode(decoder, needs, bytes, visit),
        }
    }
}

impl Listed {
    /// Calls `visit` for every content, deleted ones that are still readable included.
    pub(crate) fn for_each(&self, visit: impl FnMut(ContentId, ContentLocation)) {
        match self {
            Self::Indexes(indexes) => indexes.table.for_each(visit),
            #[cfg(test)]
            Self::Memory(memory) => memory.for_each(visit),
        }
    }
}
