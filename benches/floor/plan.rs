//! Everything that is known before the clock starts.

use std::ffi::CString;
use std::ops::{ControlFlow, Range};
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;

use kopia_format::directory::EntryKind;
use kopia_format::{BlobId, ContentId, ObjectId};
use kopia_repository::object::Extents;
use kopia_repository::{ContentLocation, Entry};

use crate::Result;
use crate::files::Handle;
use crate::folders::Folder;

/// The most and the least bytes of a pack that are read at once, unless a single content has more.
const READ: Range<u64> = 64 << 10..1 << 20;

/// How many reads each worker should find at least, so that none waits long for the last.
const READS_PER_WORKER: u64 = 64;

/// Owner, mode and time of an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    /// Seconds since 1970, and nanoseconds.
    pub(crate) modified: (i64, u32),
}

/// A file or link.
pub(crate) struct Leaf {
    pub(crate) folder: usize,
    pub(crate) name: CString,
    pub(crate) attributes: Attributes,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Link,
    /// A file of one content at most.
    Small,
    /// A file of several contents: its handle, once it was made, and how many contents are still missing.
    Large {
        handle: Handle,
        missing: AtomicUsize,
    },
}

/// A content that a leaf needs.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    pub(crate) location: ContentLocation,
    pub(crate) content: ContentId,
    /// Where it begins in its pack, in bytes.
    pub(crate) stored_at: u64,
    pub(crate) leaf: usize,
    /// Where it belongs in the file, in bytes.
    pub(crate) offset: u64,
}

/// A range of a pack, and which uses it serves.
pub(crate) struct Read {
    pub(crate) pack: BlobId,
    pub(crate) bytes: Range<u64>,
    pub(crate) uses: Range<usize>,
}

/// The whole tree, and in which order its contents are read.
#[derive(Default)]
pub(crate) struct Plan {
    /// The root first, and every folder before those in it.
    pub(crate) folders: Vec<Folder>,
    pub(crate) leaves: Vec<Leaf>,
    /// Sorted by pack and offset.
    pub(crate) uses: Vec<Use>,
    pub(crate) reads: Vec<Read>,
    /// Leaves without contents.
    pub(crate) empty: Vec<usize>,
    pub(crate) files: u64,
    /// All files' bytes.
    pub(crate) bytes: u64,
    pub(crate) large_files: usize,
}

impl Plan {
    /// Walks the tree below `root`.
    pub(crate) fn new(root: &Entry, workers: usize) -> Result<Self> {
        let mut plan = Self::default();
        let mut ahead: Vec<(Entry, Option<usize>)> = vec![(root.clone(), None)];
        while let Some((entry, parent)) = ahead.pop() {
            let number = plan.folders.len();
            let name = if parent.is_none() { c".".into() } else { CString::new(entry.name())? };
            plan.folders.push(Folder { parent, name, attributes: (&entry).into(), handle: OnceLock::new() });
            let mut leaves = Vec::new();
            let mut refused = None;
            let _ = entry.for_each(|child| {
                match child {
                    Ok(child) if child.kind() == EntryKind::Directory => ahead.push((child, Some(number))),
                    Ok(child) => leaves.push(child),
                    Err(why) => refused = Some(format!("{}: {}", why.name, why.why)),
                }
                ControlFlow::Continue(())
            })?;
            refused.map_or(Ok(()), Err)?;
            leaves.iter().try_for_each(|leaf| plan.leaf(number, leaf))?;
        }
        plan.schedule(root, workers);
        Ok(plan)
    }

    fn leaf(&mut self, folder: usize, entry: &Entry) -> Result<()> {
        let number = self.leaves.len();
        let before = self.uses.len();
        if entry.size() > 0 || entry.kind() == EntryKind::Symlink {
            for extent in Extents::new(entry.repository(), entry.object()) {
                let extent = extent?;
                if extent.compressed {
                    return Err(unsupported(entry.object()).into());
                }
                let location = entry.repository().contents().locate(&extent.content)?;
                let stored_at = entry.repository().contents().origin(&location).offset;
                self.uses.push(Use {
                    location,
                    stored_at,
                    content: extent.content,
                    leaf: number,
                    offset: extent.start,
                });
            }
        }
        let contents = self.uses.len() - before;
        let kind = match entry.kind() {
            EntryKind::Symlink => Kind::Link,
            _ if contents > 1 => {
                self.large_files += 1;
                Kind::Large { handle: OnceLock::new(), missing: contents.into() }
            }
            _ => Kind::Small,
        };
        if contents == 0 {
            self.empty.push(number);
        }
        if entry.kind() == EntryKind::File {
            self.files += 1;
            self.bytes += entry.size();
        }
        let (name, attributes) = (CString::new(entry.name())?, entry.into());
        self.leaves.push(Leaf { folder, name, attributes, size: entry.size(), kind });
        Ok(())
    }

    /// Sorts uses by location, so that uses of one content lie side by side, and merges neighbours into
    /// reads.
    fn schedule(&mut self, root: &Entry, workers: usize) {
        self.uses.sort_by_key(|item| item.location.order());
        let all: u64 = self.uses.iter().map(|item| item.location.stored_length()).sum();
        let limit = (all / (workers as u64 * READS_PER_WORKER)).clamp(READ.start, READ.end);
        let gap = root.repository().store().profile().merge_gap;
        for (number, Use { location, .. }) in self.uses.iter().enumerate() {
            let origin = root.repository().contents().origin(location);
            let bytes = origin.range();
            if let Some(read) = self.reads.last_mut().filter(|read| read.pack == origin.blob) {
                let end = read.bytes.end.max(bytes.end);
                let same = bytes.end <= read.bytes.end;
                let near = bytes.start <= read.bytes.end + gap && end - read.bytes.start <= limit;
                if same || near {
                    read.bytes.end = end;
                    read.uses.end = number + 1;
                    continue;
                }
            }
            self.reads.push(Read { pack: origin.blob, bytes, uses: number..number + 1 });
        }
    }
}

impl From<&Entry> for Attributes {
    fn from(entry: &Entry) -> Self {
        let modified = (entry.modified().seconds(), entry.modified().nanoseconds());
        Self { mode: entry.mode(), owner: entry.owner(), modified }
    }
}

fn unsupported(object: ObjectId) -> String {
    format!("object {object} is compressed as in format version 1, which is of no interest here")
}
