//! Folders that are open, and what is in them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fuser::{Errno, FileHandle, FopenFlags, INodeNo};
use kopia_format::directory::EntryKind;

use crate::filesystem::SnapshotFs;
use crate::folder::Item;
use crate::listings::Listing;
use crate::lock::lock;
use crate::nodes::Node;

/// Folders that are open, by handle.
#[derive(Default)]
pub(crate) struct Folders {
    open: Mutex<HashMap<u64, Arc<OpenFolder>>>,
    next: AtomicU64,
}

/// An open folder, and the directory of a snapshot that it is.
struct OpenFolder {
    node: Arc<Node>,
    listing: Option<Arc<Listing>>,
}

/// Something in a folder: where the next one begins, its name, and what it is.
pub(crate) type Seen<'f> = (u64, &'f str, Item);

impl Folders {
    pub(crate) fn close(&self, handle: FileHandle) {
        let closed = lock(&self.open).remove(&handle.0);
        // What it is of may be dropped with it, which takes a while.
        drop(closed);
    }
}

impl SnapshotFs {
    pub(crate) fn open_folder(&self, number: INodeNo) -> Result<(FileHandle, FopenFlags), Errno> {
        let node = self.node(number)?;
        let listing = match &node.item {
            Item::Folder(_) => None,
            Item::Entry(entry) if entry.kind() == EntryKind::Directory => {
                Some(self.shared.listing(&node, entry))
            }
            _ => return Err(Errno::ENOTDIR),
        };
        let is_damaged = listing.as_ref().is_some_and(|listing| listing.is_damaged);
        let flags = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
        let flags = if is_damaged { FopenFlags::empty() } else { flags };
        let handle = self.folders.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.folders.open).insert(handle, Arc::new(OpenFolder { node, listing }));
        Ok((FileHandle(handle), flags))
    }

    /// Calls `add` with what is in an open folder, from a place on, until it wants no more.
    pub(crate) fn list(
        &self,
        handle: FileHandle,
        offset: u64,
        add: &mut dyn FnMut(&Arc<Node>, Seen<'_>) -> bool,
    ) -> Result<(), Errno> {
        self.shared.touch();
        let folder = lock(&self.folders.open).get(&handle.0).cloned().ok_or(Errno::EBADF)?;
        let node = &folder.node;
        let above = node.parent.as_ref().unwrap_or(node);
        for (place, (name, item)) in [(".", &node.item), ("..", &above.item)].into_iter().enumerate() {
            if offset <= place as u64 && !add(node, (place as u64 + 1, name, item.clone())) {
                return Ok(());
            }
        }
        let first = usize::try_from(offset.saturating_sub(2)).unwrap_or(usize::MAX);
        let places = first as u64 + 3..;
        if let Item::Folder(items) = &node.item {
            for (place, (name, item)) in places.zip(items.items().skip(first)) {
                if !add(node, (place, name, item.clone())) {
                    break;
                }
            }
            return Ok(());
        }
        let Some(listing) = &folder.listing else { return Err(Errno::ENOTDIR) };
        let entries = listing.from(first);
        // What is missing is said once all else was listed.
        if entries.is_empty() && listing.is_damaged && offset >= 2 {
            return Err(Errno::EIO);
        }
        for (place, entry) in places.zip(entries) {
            if self.shared.is_shown(entry, node) && !add(node, (place, entry.name(), entry.clone().into())) {
                break;
            }
        }
        Ok(())
    }
}
