//! A tree of directories, near or far, as the rules about shards need it.
//!
//! Two traits, as the local file system lists as all do and reads in its own way. Errors are those of the
//! system or the server; [`is_absent`] knows which of them say that nothing is there.

use std::fmt::Debug;
use std::io;
use std::time::SystemTime;

use crate::{Failure, ReadProfile};

/// Lists directories and asks what paths are. The [module](super) says what paths look like.
pub trait DirectoryTree: Send + Sync + Debug {
    /// Lists a directory: calls `visit` with each entry, in any order, until one call fails.
    ///
    /// Links are not followed on the way to the directory, other than to the root. Neither the directory
    /// itself nor its parent are entries.
    ///
    /// # Errors
    /// What the system or the server said, or `visit`. If it is of the kind
    /// [`NotFound`](io::ErrorKind::NotFound) or [`NotADirectory`](io::ErrorKind::NotADirectory) and wraps no
    /// [`Failure`], there is no such directory.
    fn list(&self, directory: &[u8], visit: &mut Visitor<'_>) -> io::Result<()>;

    /// Returns what a path is. Links are followed.
    ///
    /// # Errors
    /// What the system or the server said; of one of the kinds above if nothing is there.
    fn stat(&self, path: &[u8]) -> io::Result<Stat>;

    /// Returns how many threads should list `directories`, which are on one level.
    ///
    /// Over a network, each costs a round trip, and one more thread is nothing beside that.
    fn listing_threads(&self, directories: usize) -> usize;
}

/// What is called with each entry of a directory.
pub type Visitor<'a> = dyn FnMut(Entry<'_>) -> io::Result<()> + 'a;

/// Reads files of a tree.
pub trait FileTree: DirectoryTree + 'static {
    /// Returns what to call the tree in messages, without any secret.
    fn location(&self) -> String;

    /// Reads a whole file of at most `limit` bytes. A longer one is [`Fetched::Unfit`].
    ///
    /// # Errors
    /// As [`stat`](DirectoryTree::stat). A file that ends before its own length is an error, too.
    fn read(&self, path: &[u8], limit: u64) -> io::Result<Fetched>;

    /// Reads exactly `length` bytes at `offset`. A file that ends before is [`Fetched::Unfit`].
    ///
    /// The length is not zero, and the end of the range fits in 64 bits. `buffer` is memory to use, whatever
    /// it holds. No more may be allocated than the file has bytes: the length may come from a hostile index.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_range(&self, path: &[u8], offset: u64, length: usize, buffer: Vec<u8>) -> io::Result<Fetched>;

    /// Returns how the tree is read best.
    fn profile(&self) -> ReadProfile {
        ReadProfile::NETWORK
    }
}

/// What reading a file gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The bytes that were asked for, all of them.
    Bytes(Vec<u8>),
    /// The file is too long to be read whole, or too short for the range.
    Unfit {
        /// Its length in bytes.
        length: u64,
    },
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stat {
    /// What kind of thing it is.
    pub kind: EntryKind,
    /// The length of a file in bytes.
    pub length: u64,
    /// When it was written, if that is known.
    pub modified: Option<SystemTime>,
    /// By what two names of one file are known, such as its device and inode.
    pub identity: Option<(u64, u64)>,
}

/// What kind of thing an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, a pipe or something else that is neither.
    Other,
    /// The listing does not say.
    Unknown,
}

/// Whether links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// To what they lead to.
    Follow,
    /// A link is what is asked about.
    Keep,
}

impl Stat {
    /// Describes a file.
    pub fn file(length: u64, modified: Option<SystemTime>) -> Self {
        Self { kind: EntryKind::File, length, modified, identity: None }
    }

    /// Describes what is no regular file.
    pub fn other(kind: EntryKind) -> Self {
        Self { kind, length: 0, modified: None, identity: None }
    }

    /// Adds by what two names of one file are known.
    #[must_use]
    pub fn with_identity(self, identity: (u64, u64)) -> Self {
        Self { identity: Some(identity), ..self }
    }
}

/// An entry of a directory, asked about only if its name matters.
pub struct Entry<'a> {
    /// Its name, whatever a hostile server calls it.
    pub(super) name: &'a [u8],
    pub(super) kind: EntryKind,
    look: Look<'a>,
}

/// How more is learnt of an entry.
enum Look<'a> {
    Known(Stat),
    Ask(&'a dyn Fn(Links) -> io::Result<Stat>),
}

impl<'a> Entry<'a> {
    /// Makes an entry of which the listing said all there is.
    pub fn known(name: &'a [u8], stat: Stat) -> Self {
        Self { name, kind: stat.kind, look: Look::Known(stat) }
    }

    /// Makes an entry of which `ask` knows what the listing does not say.
    ///
    /// A link is of the kind [`Other`](EntryKind::Other): it may lead to a file, and `ask` is told to follow
    /// it.
    pub fn asking(name: &'a [u8], kind: EntryKind, ask: &'a dyn Fn(Links) -> io::Result<Stat>) -> Self {
        Self { name, kind, look: Look::Ask(ask) }
    }

    /// Returns its name, whatever a hostile server calls it.
    pub fn name(&self) -> &[u8] {
        self.name
    }

    /// Returns what kind of thing it is, as far as the listing said.
    pub fn kind(&self) -> EntryKind {
        self.kind
    }

    /// Returns what it is.
    pub(super) fn stat(&self, links: Links) -> io::Result<Stat> {
        match &self.look {
            Look::Known(stat) => Ok(stat.clone()),
            Look::Ask(ask) => ask(links),
        }
    }
}

/// Returns whether an error says that there is no such file. A name too long for the system cannot be there
/// either; but a host that is not known says nothing of its files.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind as Io;
    let says_so = matches!(error.kind(), Io::NotFound | Io::NotADirectory | Io::InvalidFilename);
    says_so && Failure::of(error).is_none()
}
