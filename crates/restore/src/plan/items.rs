//! What the planner hands to workers: entries to be written, and what is to be done about them.

pub(crate) mod large;

use std::sync::Arc;

use kopia_format::ObjectId;
use kopia_repository::object::Extent;

use crate::decide::existing::Candidates;
use crate::destination::folder::Folder;
use crate::destination::metadata::Attributes;
pub(crate) use large::LargeFile;

/// A file of one content, or a link.
#[derive(Debug, Clone)]
pub(crate) struct SmallEntry {
    pub(crate) folder: Arc<Folder>,
    pub(crate) name: Box<str>,
    pub(crate) attributes: Attributes,
    /// The size that its entry states, in bytes.
    pub(crate) size: u64,
    pub(crate) symlink: bool,
    pub(crate) object: ObjectId,
    /// The bytes that are freed when it replaces what the target has, if that is something else than a folder.
    pub(crate) frees: Option<u64>,
}

impl SmallEntry {
    /// Returns its path below the root of the restore.
    pub(crate) fn path(&self) -> String {
        self.folder.path_of(&self.name)
    }
}

/// What a content is needed for.
#[derive(Debug)]
pub(crate) enum Item {
    Small(SmallEntry),
    Large(Arc<LargeFile>),
}

/// A file, link or piece whose bytes may be there already.
pub(crate) struct Check {
    pub(crate) item: Item,
    /// The content that it should be; a file without bytes has none.
    pub(crate) extent: Option<Extent>,
    pub(crate) found: Candidates,
}
