//! What the planner hands to workers: entries to be written, and what is to be done about them.

pub(crate) mod large;

use std::sync::Arc;

use kopia_format::ObjectId;
use kopia_repository::object::Extent;

use crate::decide::existing::Candidates;
use crate::destination::Side;
use crate::destination::directory::Directory;
use crate::destination::metadata::Attributes;
pub(crate) use large::LargeFile;

/// A file of one content, or a link.
#[derive(Debug, Clone)]
pub(crate) struct SmallEntry {
    pub(crate) directory: Arc<Directory>,
    /// Its name, which need not be UTF-8 where the caller gave it.
    pub(crate) name: Box<[u8]>,
    pub(crate) attributes: Attributes,
    /// The size that its entry states, in bytes.
    pub(crate) size: u64,
    pub(crate) symlink: bool,
    pub(crate) object: ObjectId,
    /// The bytes that are freed when it replaces what the target has.
    ///
    /// Nothing if that is a directory, or there is nothing.
    pub(crate) frees: Option<u64>,
    /// Whether something that an interrupted restore left has to go first.
    ///
    /// That is so even if the entry is lost.
    pub(crate) discard: bool,
}

impl SmallEntry {
    /// Returns its path below the root of the restore.
    pub(crate) fn path(&self) -> String {
        self.directory.path_of(&String::from_utf8_lossy(&self.name))
    }
}

/// What a content is needed for.
#[derive(Debug)]
pub(crate) enum Item {
    Small(SmallEntry),
    Large(Arc<LargeFile>),
}

/// What is to be done without any content.
#[derive(Debug)]
pub(crate) enum Chore {
    /// Writes a file or link without bytes.
    Write(SmallEntry),
    /// Finishes a file of which all pieces are settled or lost.
    FinishFile(Arc<LargeFile>),
    /// Finishes a directory: everything in it is, and the planner adds no more.
    FinishDirectory(Arc<Directory>),
    /// Removes what an interrupted restore left in a directory.
    Discard(Arc<Directory>, Vec<Box<[u8]>>),
    /// Opens up a directory that its owner may not list and search, so that the planner can.
    OpenUp(Arc<Directory>, Side),
    /// Puts the tag into the unfinished directory that keeps it out of backups.
    Tag,
    /// Puts what is finished and replaces something into its place. Nothing else may be under way.
    Publish,
    /// Has the file system free what was replaced, and takes the tag away.
    Flush,
}

/// A file, link or piece whose bytes may be there already.
pub(crate) struct Check {
    pub(crate) item: Item,
    /// The content that it should be; a file without bytes has none.
    pub(crate) extent: Option<Extent>,
    pub(crate) found: Candidates,
}

impl Check {
    /// Returns how many bytes are read for it at most; nothing for what has none.
    pub(crate) fn length(&self) -> u64 {
        match (&self.item, &self.extent) {
            (_, None) => 0,
            // A list need not say how long the only content of a file is.
            (Item::Small(entry), Some(_)) => entry.size,
            (Item::Large(_), Some(extent)) => extent.length.unwrap_or_default(),
        }
    }
}
