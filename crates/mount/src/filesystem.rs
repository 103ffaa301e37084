//! Requests of the kernel, and their answers.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyXattr, Request,
};
use kopia_format::directory::EntryKind;

use crate::attributes;
use crate::folder::Item;
use crate::listings::{Listing, MAX_NAME};
use crate::lock::lock;
use crate::nodes::{Node, number_of};
use crate::problem::Problem;
use crate::shared::Shared;

/// How long the kernel may believe what it was told: nothing ever changes.
const VALID: Duration = Duration::from_secs(86_400);

/// Numbers are never used again for something else.
const GENERATION: Generation = Generation(0);

/// How many requests that nobody waits for the kernel may have under way, such as reads ahead.
const BACKGROUND: u16 = 64;

/// The longest range of one request, in bytes.
const MOST: u32 = 1 << 20;

/// The longest target that a link can have on Linux, in bytes.
const MAX_TARGET: usize = 4095;

const CAPABILITIES: [InitFlags; 9] = [
    InitFlags::FUSE_ASYNC_READ,
    InitFlags::FUSE_ASYNC_DIO,
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_READDIRPLUS_AUTO,
    InitFlags::FUSE_MAX_PAGES,
    InitFlags::FUSE_CACHE_SYMLINKS,
    InitFlags::FUSE_NO_OPEN_SUPPORT,
    InitFlags::FUSE_EXPLICIT_INVAL_DATA,
];

/// The file system.
pub(crate) struct SnapshotFs {
    shared: Arc<Shared>,
    /// Whether the kernel reads files that were not opened.
    needs_no_open: bool,
    folders: Folders,
}

/// Folders that are open, by handle.
#[derive(Default)]
struct Folders {
    open: Mutex<HashMap<u64, Arc<OpenFolder>>>,
    next: AtomicU64,
}

/// An open folder, and the directory of a snapshot that it is.
struct OpenFolder {
    node: Arc<Node>,
    listing: Option<Arc<Listing>>,
}

/// Something in a folder: where the next one begins, its name, and what it is.
type Seen<'f> = (u64, &'f str, Item);

impl SnapshotFs {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, needs_no_open: false, folders: Folders::default() }
    }

    fn node(&self, number: INodeNo) -> Result<Arc<Node>, Errno> {
        self.shared.touch();
        self.shared.nodes.get(number.0).ok_or(Errno::ESTALE)
    }

    fn tell_of(&self, folder: INodeNo, name: &OsStr) -> Result<Arc<Node>, Errno> {
        let folder = self.node(folder)?;
        let name = name.to_str().ok_or(Errno::ENOENT)?;
        let item = self.shared.find(&folder, name)?;
        Ok(self.shared.nodes.tell(&folder, name, || item))
    }

    fn target(&self, number: INodeNo) -> Result<Vec<u8>, Errno> {
        let node = self.node(number)?;
        let target = match &node.item {
            Item::Folder(_) => return Err(Errno::EINVAL),
            Item::Link(target) => target.clone().into_bytes(),
            Item::Entry(entry) => entry.target().map_err(|error| self.shared.unreadable(&node, error))?,
        };
        if target.is_empty() || target.len() > MAX_TARGET || target.contains(&0) {
            self.shared.tell(&Problem::Target { path: node.path() });
            return Err(Errno::EIO);
        }
        Ok(target)
    }

    fn open_folder(&self, number: INodeNo) -> Result<(FileHandle, FopenFlags), Errno> {
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
    fn list(
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

    /// Answers with bytes of a file; fewer than wanted only at its end.
    fn read_file(&self, number: INodeNo, offset: u64, size: u32, reply: ReplyData) {
        let read = self.node(number).and_then(|node| {
            let Item::Entry(entry) = &node.item else { return Err(Errno::EISDIR) };
            if offset == 0 {
                self.shared.note(&node, entry);
            }
            let unreadable = |error| self.shared.unreadable(&node, error);
            let reader = self.shared.readers.get(number.0, entry).map_err(unreadable)?;
            let size = size as usize;
            let mut chunk = reader.object.chunk_at(offset).map_err(unreadable)?;
            chunk.truncate(size);
            if chunk.len() == size || offset.saturating_add(chunk.len() as u64) >= reader.object.length() {
                return Ok((reader, chunk.len(), Ok(chunk)));
            }
            // It goes on in the next content.
            let mut bytes = Vec::with_capacity(size);
            bytes.extend_from_slice(&chunk);
            drop(chunk);
            while bytes.len() < size {
                let mut chunk = reader.object.chunk_at(offset + bytes.len() as u64).map_err(unreadable)?;
                if chunk.is_empty() {
                    break;
                }
                chunk.truncate(size - bytes.len());
                bytes.extend_from_slice(&chunk);
            }
            Ok((reader, bytes.len(), Err(bytes)))
        });
        match read {
            Err(error) => reply.error(error),
            Ok((reader, length, bytes)) => {
                match bytes {
                    Ok(chunk) => reply.data(&chunk),
                    Err(bytes) => reply.data(&bytes),
                }
                let range = offset..offset.saturating_add(length as u64);
                if let Some(around) = reader.note(&range) {
                    self.shared.primer.wish(number.0, reader, around);
                }
            }
        }
    }
}

impl Filesystem for SnapshotFs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for capability in CAPABILITIES {
            // An old kernel lacks one or the other.
            let _ = config.add_capabilities(capability);
        }
        self.needs_no_open = config.capabilities().contains(InitFlags::FUSE_NO_OPEN_SUPPORT);
        let _ = config.set_max_write(MOST);
        let _ = config.set_max_background(BACKGROUND);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.tell_of(parent, name) {
            Ok(node) => {
                let found = attributes::of(&node.item, node.number, self.shared.owner);
                reply.entry(&VALID, &found, GENERATION);
            }
            Err(error) => reply.error(error),
        }
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        self.shared.nodes.forget(number.0, times);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.node(number) {
            Ok(node) => reply.attr(&VALID, &attributes::of(&node.item, number.0, self.shared.owner)),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match self.target(number) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.shared.touch();
        if self.needs_no_open {
            // Then the kernel asks never again.
            reply.error(Errno::ENOSYS);
        } else {
            reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
        }
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.read_file(number, offset, size, reply);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.open_folder(number) {
            Ok((handle, flags)) => reply.opened(handle, flags),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.list(handle, offset, &mut |folder, (next, name, item)| {
            let number = match name {
                "." => folder.number,
                ".." => folder.parent.as_ref().unwrap_or(folder).number,
                name => number_of(folder.number, name),
            };
            !reply.add(INodeNo(number), next, attributes::kind(&item), name)
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn readdirplus(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let (nodes, owner) = (&self.shared.nodes, self.shared.owner);
        let listed = self.list(handle, offset, &mut |folder, (next, name, item)| {
            let (node, is_told) = match name {
                // The kernel takes these for names alone.
                "." => (folder.clone(), false),
                ".." => (folder.parent.as_ref().unwrap_or(folder).clone(), false),
                name => (nodes.tell(folder, name, || item), true),
            };
            let found = attributes::of(&node.item, node.number, owner);
            let is_full = reply.add(INodeNo(node.number), next, name, &VALID, &found, GENERATION);
            if is_full && is_told {
                nodes.forget(node.number, 1);
            }
            !is_full
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        let closed = lock(&self.folders.open).remove(&handle.0);
        reply.ok();
        drop(closed);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        self.shared.touch();
        reply.statfs(0, 0, 0, 0, 0, 4096, MAX_NAME as u32, 4096);
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        // Kopia keeps none; the kernel asks never again.
        reply.error(Errno::ENOSYS);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOSYS);
    }

    fn access(&self, _: &Request, _: INodeNo, _: fuser::AccessFlags, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }
}
