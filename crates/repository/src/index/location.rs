//! Where a content is read from: made by the index, opaque to everybody above `contents`.

use std::ops::Range;

/// Where a content is read from, and how long it is.
///
/// It stays valid as long as the repository is open. Those of one group are read together best, in the order
/// of [`order`](Self::order); what a group is depends on the repository: contents in packs have one group for
/// each pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentLocation {
    /// The number of its pack, or of the content itself where it is not read from a pack.
    pub(crate) pack: u32,
    /// Where it begins in the pack, in bytes.
    pub(crate) offset: u32,
    /// How many bytes it has there, sealed.
    pub(crate) packed_length: u32,
    /// How many bytes it has when it is opened and decompressed.
    pub(crate) original_length: u32,
    /// Kopia's number of its compression, 0 for none.
    pub(crate) compression: u16,
    /// Whether it is marked deleted.
    pub(crate) deleted: bool,
    /// Whether its length is no more than an assumption: a server is not asked about each content.
    pub(crate) assumed: bool,
}

impl ContentLocation {
    /// Returns the number of its group: contents of one group are read together best.
    pub fn group(&self) -> u32 {
        self.pack
    }

    /// Returns a key by which contents are sorted for reading, those of one group side by side.
    pub fn order(&self) -> impl Ord + Copy + use<> {
        (self.pack, self.offset, self.packed_length)
    }

    /// Returns how many bytes are read for it.
    pub fn stored_length(&self) -> u64 {
        self.packed_length.into()
    }

    /// Returns how many bytes it has when it is opened and decompressed; where only reading tells, about how
    /// many.
    pub fn plain_length(&self) -> u64 {
        self.original_length.into()
    }

    /// Returns how many bytes it has when it is opened and decompressed, if that is known before it is read.
    pub fn known_length(&self) -> Option<u64> {
        (!self.assumed).then_some(self.plain_length())
    }

    /// Returns whether it is marked deleted; it can still be read as long as its pack is there.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Returns the bytes of the pack that the content takes.
    pub(crate) fn range(&self) -> Range<u64> {
        let start = u64::from(self.offset);
        start..start + u64::from(self.packed_length)
    }

    /// Returns whether it is the same range of the same pack as another.
    pub(crate) fn is_same_range(&self, other: &Self) -> bool {
        self.pack == other.pack && self.range() == other.range()
    }
}
