//! Contents, from where they are stored to plain bytes: the one seam between what wants bytes and what has
//! them.
//!
//! [`Contents`] locates, reads, fetches ahead, decodes, and compares with ids. Its users see ids, opaque
//! [locations](ContentLocation) and steps, never a blob, so contents may come from packs or from elsewhere: a
//! repository server gives them one by one, whole.
//!
//! | room | what |
//! |---|---|
//! | `schedule` | in which order contents are read, neighbours together |
//! | `fetch`, `queue` | steps that are handed to workers, with bytes read ahead where that pays |
//! | `source`, `packs`, `served` | where contents come from |
//! | `decode`, `unpack` | stored bytes to plain ones, of one content and of a step |
//! | `pace` | how many reads are under way at once |
//! | `turn` | huge contents, one at a time |
//! | `many` | many contents at once, on all cores |
//! | `cache` | decoded contents, for random reads |
//!
//! It reads; it writes nothing anywhere. Of the other rooms it knows the indexes and the keys.

mod cache;
mod decode;
mod fetch;
mod many;
mod nearby;
mod pace;
mod packs;
mod queue;
mod schedule;
mod served;
mod source;
#[cfg(test)]
mod tests;
mod turn;
mod unpack;

use std::ops::Range;
use std::sync::{Arc, Mutex};

use kopia_format::{BlobId, ContentId};
use kopia_storage::{BlobBytes, ReadAhead, ReadProfile};

use crate::lock::lock;
use crate::parallel::Cores;
use crate::sealing::Sealing;
use crate::{Error, Result};
use cache::Cache;
use decode::check_lengths;
use turn::{HUGE, Turn};

pub use crate::index::ContentLocation;
pub use decode::{Decoder, Flaw, MAX_LENGTH, Stored};
pub use fetch::{Fetcher, Reader, Task};
pub(crate) use many::Wanted;
pub(crate) use pace::Pace;
pub(crate) use packs::Packs;
pub use queue::Steps;
pub use schedule::{Located, ReadStep};
pub(crate) use served::Served;
pub(crate) use source::{Listed, Source};

/// All contents of a repository. [`Repository::contents`](crate::Repository::contents) has them.
pub struct Contents {
    source: Source,
    sealing: Arc<Sealing>,
    cores: Arc<Cores>,
    cache: Cache,
    /// Decoders that no thread uses at the moment.
    decoders: Mutex<Vec<Decoder>>,
    /// Whose turn it is to decode a huge content.
    turn: Turn,
}

/// Where a content is stored: for messages, and for tools that look at blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The pack; where contents do not come from packs, a name made from the content's id.
    pub blob: BlobId,
    /// Where the content begins there, in bytes.
    pub offset: u64,
    /// How many bytes it has there.
    pub length: u64,
}

impl Origin {
    /// Returns the range of the blob, in bytes.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.length
    }
}

/// The bytes that a step has read.
#[derive(Debug)]
pub struct Fetched(Read);

#[derive(Debug)]
enum Read {
    /// A range of a pack.
    Sealed(BlobBytes),
    /// Contents of a server.
    Plain(served::Plain),
    /// Nothing, as it failed.
    Nothing,
}

impl Fetched {
    /// Returns the memory that was given to [`Contents::fetch`], to be used again.
    pub fn into_buffer(self) -> Vec<u8> {
        match self.0 {
            Read::Sealed(bytes) => bytes.into_buffer(),
            Read::Plain(_) | Read::Nothing => Vec::new(),
        }
    }
}

impl Contents {
    /// Joins a source and the keys. No more than `cache` bytes of decoded contents are kept for random reads.
    pub(crate) fn new(source: Source, sealing: Arc<Sealing>, cores: Arc<Cores>, cache: usize) -> Self {
        Self {
            source,
            sealing,
            cores,
            cache: Cache::new(cache),
            decoders: Mutex::default(),
            turn: Turn::default(),
        }
    }

    /// Finds a content, deleted ones that are still readable included.
    ///
    /// # Errors
    /// [`Error::ContentNotFound`]; [`Error::Unconfirmed`] if the index may lack it because it cannot be read
    /// again; [`Error::CorruptContent`] if the index says that it has more than 256 MiB.
    pub fn locate(&self, content: &ContentId) -> Result<ContentLocation> {
        let location = self.source.locate(content)?;
        self.check_lengths(content, &location)?;
        Ok(location)
    }

    /// As [`Self::locate`] where that takes no question; a server is not asked, and who names the content is
    /// believed, with the length that is said.
    ///
    /// # Errors
    /// As for [`Self::locate`]. Reading may fail for the same reasons.
    pub fn assume(&self, content: &ContentId, length: Option<u64>) -> Result<ContentLocation> {
        let location = self.source.assume(content, length)?;
        self.check_lengths(content, &location)?;
        Ok(location)
    }

    /// Refuses a location of more bytes than any content has.
    pub(crate) fn check_lengths(&self, content: &ContentId, location: &ContentLocation) -> Result<()> {
        check_lengths(location).map_err(|flaw| self.flawed(content, location, flaw))
    }

    /// Calls `visit` for every content, deleted ones that are still readable included. A server lists none:
    /// [`Repository::status`](crate::Repository::status) says so.
    pub fn for_each(&self, visit: impl FnMut(ContentId, ContentLocation)) {
        self.listed().for_each(visit);
    }

    /// Returns a list of all contents that later changes leave untouched.
    pub(crate) fn listed(&self) -> Listed {
        self.source.listed()
    }

    /// Returns a number that is greater than that of every group of contents.
    pub(crate) fn groups(&self) -> usize {
        self.source.groups()
    }

    /// Sorts groups of contents into an order that is the same for all readers of the repository.
    pub(crate) fn sort_groups(&self, groups: &mut [u32]) {
        self.source.sort_groups(groups);
    }

    /// Returns the name of a group's pack; nothing behind a server, which names none.
    pub(crate) fn pack_of_group(&self, group: u32) -> Option<BlobId> {
        self.source.pack_of_group(group)
    }

    /// Returns how many reads are under way at once at most.
    pub(crate) fn parallel_reads(&self) -> usize {
        self.cores.count().max(self.profile().parallel_reads)
    }

    /// Returns where a content is stored; of what comes from a server, the server's name for all.
    ///
    /// # Panics
    /// If the location is of another repository.
    pub fn origin(&self, location: &ContentLocation) -> Origin {
        self.source.origin(None, location)
    }

    /// Returns whether contents can be compared with their ids: a server may keep the key of the hash to
    /// itself.
    pub fn can_compare(&self) -> bool {
        self.sealing.has_hash_key()
    }

    /// Returns whether `plain` is known to be a content, as it hashes to its id; never where nothing
    /// [can be compared](Self::can_compare).
    pub fn matches(&self, content: &ContentId, plain: &[u8]) -> bool {
        self.sealing.matches(content, plain) == Some(true)
    }

    /// Reads one content.
    ///
    /// # Errors
    /// As for [`Self::locate`], and [`Error::CorruptContent`], [`Error::Unsupported`], [`Error::Storage`].
    pub fn read(&self, content: &ContentId) -> Result<Vec<u8>> {
        self.with_decoder(|decoder| self.source.read_one(decoder, content, &self.turn))
    }

    /// As [`Self::read`], out of the cache where that has it; with `keep` it will have it the next time.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub(crate) fn read_again(&self, content: &ContentId, keep: bool) -> Result<Arc<Vec<u8>>> {
        self.cache.get_or_read(content, keep, || self.read(content))
    }

    /// Returns a content that the cache has.
    pub(crate) fn cached(&self, content: &ContentId) -> Option<Arc<Vec<u8>>> {
        self.cache.get(content)
    }

    /// Sorts needs by location, neighbours together, and cuts them into steps. Steps may get `at_least` bytes
    /// long, and longer where the source likes that better.
    pub fn schedule<L: Located>(&self, located: &mut [L], at_least: u64) -> Vec<ReadStep> {
        self.source.schedule(located, at_least)
    }

    /// Announces that a step will be fetched soon.
    fn announce(&self, step: &ReadStep) {
        self.source.announce(step);
    }

    /// Reads the bytes of a step; `buffer` is memory to use. [`Self::decode`] gets round a failure, and reads
    /// contents of more than 32 MiB itself: one at a time.
    pub fn fetch(&self, step: &ReadStep, buffer: Vec<u8>) -> Fetched {
        Fetched(if step.is_huge { Read::Nothing } else { self.source.read(step, buffer) })
    }

    /// Makes a queue of steps that are fetched ahead where that pays, within a budget of bytes.
    pub fn fetcher<B: Steps>(&self, budget: u64) -> Fetcher<'_, B> {
        Fetcher::new(self, budget)
    }

    /// Decodes what a step serves, each content once, and gives it to `visit` with all needs for it.
    ///
    /// `located` are those that were scheduled, and `fetched` is what was read for the step. If that failed,
    /// or is damaged, contents are read one by one: only what is damaged itself is lost, and what lies
    /// elsewhere by now is read there. A thread that decodes many steps has a decoder of its own.
    ///
    /// Of contents of more than 32 MiB one is decoded at a time, by whatever thread; that ends when `visit`
    /// returns, which must wait for no other that decodes.
    pub fn decode<L: Located>(
        &self,
        decoder: &mut Decoder,
        step: &ReadStep,
        located: &[L],
        fetched: &Fetched,
        visit: impl FnMut(&[L], Result<&[u8]>),
    ) {
        let turn = step.is_huge.then(|| self.turn.take());
        self.source.decode(decoder, step, &located[step.serves()], &fetched.0, visit);
        if turn.is_some() {
            decoder.shrink();
        }
    }

    /// Decompresses a content that begins with a compression header itself, as objects with `Z` do, and gives
    /// it to `then`. As for [`Self::decode`], one of more than 32 MiB at a time.
    ///
    /// # Errors
    /// [`Error::CorruptObject`] if it is damaged or has more than `length`, or [`MAX_LENGTH`], bytes.
    pub fn decompress_headed<R>(
        &self,
        content: &ContentId,
        bytes: &[u8],
        length: Option<u64>,
        then: impl FnOnce(Vec<u8>) -> R,
    ) -> Result<R> {
        let decompress = |most| self.with_decoder(|decoder| decoder.decompress_headed(content, bytes, most));
        let most = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(MAX_LENGTH);
        let few = most.min(HUGE);
        // Few are told to be huge, and of those that are not told hardly any is.
        match decompress(few) {
            Err(_) if few < most => {
                let _turn = self.turn.take();
                decompress(most).map(then)
            }
            plain => plain.map(then),
        }
    }

    /// Makes a decoder, for a thread that decodes many steps, and for tools that read blobs themselves.
    pub fn decoder(&self) -> Decoder {
        Decoder::new(self.sealing.clone())
    }

    /// Lends a decoder that kept its buffers from earlier work.
    pub(crate) fn with_decoder<R>(&self, work: impl FnOnce(&mut Decoder) -> R) -> R {
        let kept = lock(&self.decoders).pop();
        let mut decoder = kept.unwrap_or_else(|| self.decoder());
        let result = work(&mut decoder);
        lock(&self.decoders).push(decoder);
        result
    }

    /// Makes the error of a content that is flawed, with where it is stored.
    pub(crate) fn flawed(&self, content: &ContentId, location: &ContentLocation, flaw: Flaw) -> Error {
        flaw.of(content, || self.source.origin(Some(content), location))
    }

    /// Returns whether each read takes long, so that many have to be under way: networks, disks that spin.
    pub fn is_far(&self) -> bool {
        self.profile().ahead == ReadAhead::Threads
    }

    fn profile(&self) -> ReadProfile {
        self.source.profile()
    }
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}
