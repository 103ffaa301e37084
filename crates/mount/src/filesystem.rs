//! Requests of the kernel, and their answers; those that take more than a few lines are in `open_folders` and
//! `reading`.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fuser::{
    Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyXattr, Request,
};
use kopia_repository::Defect;

use crate::attributes;
use crate::folder::Item;
use crate::listings::MAX_NAME;
use crate::nodes::{Node, number_of};
use crate::open_folders::Folders;
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
    pub(crate) shared: Arc<Shared>,
    /// Whether the kernel reads files that were not opened.
    needs_no_open: bool,
    pub(crate) folders: Folders,
}

impl SnapshotFs {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, needs_no_open: false, folders: Folders::default() }
    }

    pub(crate) fn node(&self, number: INodeNo) -> Result<Arc<Node>, Errno> {
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
        if Defect::of_target(&target).is_some() {
            self.shared.tell(&Problem::Target { path: node.path() });
            return Err(Errno::EIO);
        }
        Ok(target)
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
        reply.ok();
        self.folders.close(handle);
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
