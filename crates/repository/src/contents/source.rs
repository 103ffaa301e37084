//! Where contents come from: packs of a store, or elsewhere.
//!
//! An enum that is matched once for a step, not for a content, so a second kind costs those in packs nothing.

use std::sync::Arc;

use kopia_format::{BlobId, ContentId};
use kopia_storage::ReadProfile;

use super::decode::check_lengths;
use super::schedule::{Limits, schedule};
use super::served::Served;
use super::turn::{Turn, is_huge};
use super::unpack::Unpacker;
use super::{ContentLocation, Decoder, Located, Origin, Packs, Read, ReadStep};
use crate::Result;
use crate::index::Indexes;

/// Where the contents of a repository come from.
pub(crate) enum Source {
    /// Packs, which hold them sealed.
    Packs(Box<Packs>),
    /// A server, which has them found and opened.
    Server(Served),
}

/// A list of contents that does not change.
pub(crate) enum Listed {
    /// What indexes know.
    Indexes(Arc<Indexes>),
    /// Nothing, as a server lists no contents.
    Nothing,
}

impl Source {
    pub(super) fn profile(&self) -> ReadProfile {
        match self {
            Self::Packs(packs) => packs.profile(),
            Self::Server(served) => served.profile(),
        }
    }

    pub(super) fn locate(&self, content: &ContentId) -> Result<ContentLocation> {
        match self {
            Self::Packs(packs) => packs.indexes.locate(content),
            Self::Server(served) => served.locate(content),
        }
    }

    /// As [`Self::locate`], but asks nobody: who names the content is believed.
    pub(super) fn assume(&self, content: &ContentId, length: Option<u64>) -> Result<ContentLocation> {
        match self {
            Self::Packs(packs) => packs.indexes.locate(content),
            Self::Server(served) => Ok(served.assume(length)),
        }
    }

    pub(super) fn listed(&self) -> Listed {
        match self {
            Self::Packs(packs) => Listed::Indexes(packs.indexes.snapshot()),
            Self::Server(_) => Listed::Nothing,
        }
    }

    pub(super) fn groups(&self) -> usize {
        match self {
            Self::Packs(packs) => packs.indexes.packs().len(),
            Self::Server(_) => 0,
        }
    }

    pub(super) fn sort_groups(&self, groups: &mut [u32]) {
        match self {
            Self::Packs(packs) => groups.sort_unstable_by_key(|&group| packs.pack_name(group)),
            Self::Server(_) => groups.sort_unstable(),
        }
    }

    pub(super) fn pack_of_group(&self, group: u32) -> Option<BlobId> {
        match self {
            Self::Packs(packs) => Some(packs.pack_name(group).clone()),
            Self::Server(_) => None,
        }
    }

    pub(super) fn origin(&self, content: Option<&ContentId>, location: &ContentLocation) -> Origin {
        match self {
            Self::Packs(packs) => packs.origin(location),
            Self::Server(served) => served.origin(content, location),
        }
    }

    pub(super) fn announce(&self, step: &ReadStep) {
        match self {
            Self::Packs(packs) => packs.announce(step),
            Self::Server(_) => {}
        }
    }

    /// Sorts needs and cuts them into steps of at least so many bytes, or more where that is better.
    pub(super) fn schedule<L: Located>(&self, located: &mut [L], at_least: u64) -> Vec<ReadStep> {
        match self {
            Self::Packs(packs) => {
                let mut limits = Limits::from(packs.profile());
                limits.bytes = limits.bytes.max(at_least);
                schedule(located, limits)
            }
            Self::Server(served) => served.schedule(located),
        }
    }

    /// Reads the bytes of a step.
    pub(super) fn read(&self, step: &ReadStep, buffer: Vec<u8>) -> Read {
        match self {
            Self::Packs(packs) => match packs.read(step, buffer) {
                Ok(bytes) => Read::Sealed(bytes),
                Err(error) => {
                    tracing::debug!(%error, "reading content by content");
                    Read::Nothing
                }
            },
            Self::Server(served) => Read::Plain(served.read(step)),
        }
    }

    /// Finds, reads and decodes one content.
    pub(super) fn read_one(
        &self,
        decoder: &mut Decoder,
        content: &ContentId,
        turn: &Turn,
    ) -> Result<Vec<u8>> {
        match self {
            Self::Packs(packs) => {
                let location = packs.indexes.locate(content)?;
                check_lengths(&location).map_err(|flaw| flaw.of(content, || packs.origin(&location)))?;
                let turn = is_huge(&location).then(|| turn.take());
                let mut unpacker = Unpacker { packs, decoder: &mut *decoder };
                let read = unpacker.read(content, location, <[u8]>::to_vec);
                if turn.is_some() {
                    decoder.shrink();
                }
                read
            }
            Self::Server(served) => served.read_one(content, 0),
        }
    }

    /// Decodes what a step serves, from what was read for it.
    pub(super) fn decode<L: Located>(
        &self,
        decoder: &mut Decoder,
        step: &ReadStep,
        needs: &[L],
        fetched: &Read,
        visit: impl FnMut(&[L], Result<&[u8]>),
    ) {
        match self {
            Self::Packs(packs) => {
                let bytes = match fetched {
                    Read::Sealed(bytes) => Some(&**bytes),
                    Read::Plain(_) | Read::Nothing => None,
                };
                Unpacker { packs, decoder }.decode(step, needs, bytes, visit);
            }
            Self::Server(served) => served.decode(needs, plain(fetched), visit),
        }
    }
}

impl Listed {
    /// Calls `visit` for every content, deleted ones that are still readable included.
    pub(crate) fn for_each(&self, visit: impl FnMut(ContentId, ContentLocation)) {
        match self {
            Self::Indexes(indexes) => indexes.table.for_each(visit),
            Self::Nothing => {}
        }
    }
}

/// Returns the contents that a server gave.
fn plain(read: &Read) -> &[Option<Vec<u8>>] {
    match read {
        Read::Plain(plain) => &plain.contents,
        Read::Sealed(_) | Read::Nothing => &[],
    }
}
