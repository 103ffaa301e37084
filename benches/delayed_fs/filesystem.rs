//! The file system: each request is counted, waits for its round trip, and is done then.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use kopia_rs_benches::operations::{Counters, Operation};

use crate::attributes::times;
use crate::backing::{Backing, Change, Owner};
use crate::delay::Delay;

/// How many requests that nobody waits for the kernel may have under way, such as reads ahead.
const BACKGROUND: u16 = 512;

/// Files are never replaced by others of the same number while the kernel knows them.
const GENERATION: Generation = Generation(0);

/// What libfuse asks for, and folders that are looked into from several threads at once, as NFS has them.
const CAPABILITIES: [InitFlags; 7] = [
    InitFlags::FUSE_ASYNC_READ,
    InitFlags::FUSE_ASYNC_DIO,
    InitFlags::FUSE_AUTO_INVAL_DATA,
    InitFlags::FUSE_ATOMIC_O_TRUNC,
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_READDIRPLUS_AUTO,
];

/// What the other end of the wire is like.
pub(crate) struct Settings {
    /// How long a round trip takes.
    pub(crate) delay: Duration,
    /// Which requests cost none.
    pub(crate) free: Vec<Operation>,
    /// How long the kernel may believe names and attributes.
    pub(crate) cached: Duration,
    /// The most bytes of one write.
    pub(crate) max_write: u32,
    /// How many threads do what is due.
    pub(crate) threads: usize,
}

pub(crate) struct DelayedFs {
    backing: Arc<Backing>,
    counters: Arc<Counters>,
    settings: Settings,
    delay: Delay,
}

impl DelayedFs {
    pub(crate) fn new(backing: Backing, counters: Arc<Counters>, settings: Settings) -> Self {
        let delay = Delay::new(settings.delay, settings.threads);
        Self { backing: Arc::new(backing), counters, settings, delay }
    }

    /// Counts a request and has it done once its round trip is over.
    fn serve(&self, operation: Operation, work: impl FnOnce(&Backing) + Send + 'static) {
        self.counters.count(operation);
        if self.settings.free.contains(&operation) {
            return work(&self.backing);
        }
        self.counters.depart();
        let (backing, counters) = (self.backing.clone(), self.counters.clone());
        let work = move || {
            counters.arrive();
            work(&backing);
        };
        if self.settings.delay.is_zero() { work() } else { self.delay.push(work) }
    }

    /// Answers with the attributes of a file that was found or made.
    fn enter(
        &self,
        operation: Operation,
        reply: ReplyEntry,
        find: impl FnOnce(&Backing) -> io::Result<FileAttr> + Send + 'static,
    ) {
        let cached = self.settings.cached;
        self.serve(operation, move |backing| match find(backing) {
            Ok(found) => reply.entry(&cached, &found, GENERATION),
            Err(error) => reply.error(error.into()),
        });
    }

    /// Answers whether something was done.
    fn finish(
        &self,
        operation: Operation,
        reply: ReplyEmpty,
        work: impl FnOnce(&Backing) -> io::Result<()> + Send + 'static,
    ) {
        self.serve(operation, move |backing| match work(backing) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error.into()),
        });
    }

    /// Answers with the attributes of a file that is known.
    fn describe(
        &self,
        operation: Operation,
        reply: ReplyAttr,
        find: impl FnOnce(&Backing) -> io::Result<FileAttr> + Send + 'static,
    ) {
        let cached = self.settings.cached;
        self.serve(operation, move |backing| match find(backing) {
            Ok(found) => reply.attr(&cached, &found),
            Err(error) => reply.error(error.into()),
        });
    }

    /// Answers with a handle.
    fn open_with(
        &self,
        operation: Operation,
        reply: ReplyOpen,
        open: impl FnOnce(&Backing) -> io::Result<FileHandle> + Send + 'static,
    ) {
        self.serve(operation, move |backing| match open(backing) {
            Ok(handle) => reply.opened(handle, FopenFlags::empty()),
            Err(error) => reply.error(error.into()),
        });
    }
}

fn owner(request: &Request) -> Owner {
    Owner { user: request.uid(), group: request.gid() }
}

impl Filesystem for DelayedFs {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for capability in CAPABILITIES {
            // An old kernel lacks one or the other.
            let _ = config.add_capabilities(capability);
        }
        let _ = config.set_max_write(self.settings.max_write);
        let _ = config.set_max_background(BACKGROUND);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        self.enter(Operation::Lookup, reply, move |backing| backing.lookup(parent, &name));
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        self.serve(Operation::Forget, move |backing| backing.nodes.forget(number, times));
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.describe(Operation::Getattr, reply, move |backing| backing.getattr(number));
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        mode: Option<u32>,
        user: Option<u32>,
        group: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        file: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let times = (accessed.is_some() || modified.is_some()).then(|| times(accessed, modified));
        let change = Change { mode, user, group, size, times };
        self.describe(Operation::Setattr, reply, move |backing| backing.setattr(number, file, &change));
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        self.serve(Operation::Readlink, move |backing| match backing.readlink(number) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(error.into()),
        });
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let (name, owner) = (name.to_owned(), owner(request));
        let make = move |backing: &Backing| backing.mknod(parent, &name, mode, device, owner);
        self.enter(Operation::Mknod, reply, make);
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let (name, owner) = (name.to_owned(), owner(request));
        self.enter(Operation::Mkdir, reply, move |backing| backing.mkdir(parent, &name, mode, owner));
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let (name, target, owner) = (name.to_owned(), target.to_owned(), owner(request));
        self.enter(Operation::Symlink, reply, move |backing| backing.symlink(parent, &name, &target, owner));
    }

    fn link(&self, _: &Request, number: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        self.enter(Operation::Link, reply, move |backing| backing.link(number, parent, &name));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.finish(Operation::Unlink, reply, move |backing| backing.unlink(parent, &name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.finish(Operation::Rmdir, reply, move |backing| backing.rmdir(parent, &name));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        let rename = move |backing: &Backing| backing.rename((parent, &name), (new_parent, &new_name), flags);
        self.finish(Operation::Rename, reply, rename);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let (name, owner, cached) = (name.to_owned(), owner(request), self.settings.cached);
        self.serve(Operation::Create, move |backing| {
            match backing.create(parent, &name, mode, flags, owner) {
                Ok((found, file)) => reply.created(&cached, &found, GENERATION, file, FopenFlags::empty()),
                Err(error) => reply.error(error.into()),
            }
        });
    }

    fn open(&self, _: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        self.open_with(Operation::Open, reply, move |backing| backing.open_file(number, flags));
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        file: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let counters = self.counters.clone();
        self.serve(Operation::Read, move |backing| match backing.read(file, offset, size) {
            Ok(bytes) => {
                counters.read(bytes.len());
                reply.data(&bytes);
            }
            Err(error) => reply.error(error.into()),
        });
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        file: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.counters.written(bytes.len());
        // The buffer is for the next request.
        let bytes = bytes.to_owned();
        self.serve(Operation::Write, move |backing| match backing.write(file, offset, &bytes) {
            Ok(written) => reply.written(written),
            Err(error) => reply.error(error.into()),
        });
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.finish(Operation::Flush, reply, |_| Ok(()));
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        file: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.finish(Operation::Release, reply, move |backing| {
            backing.files.close(file);
            Ok(())
        });
    }

    fn fsync(&self, _: &Request, _: INodeNo, file: FileHandle, data_alone: bool, reply: ReplyEmpty) {
        self.finish(Operation::Fsync, reply, move |backing| backing.fsync(file, data_alone));
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.open_with(Operation::Opendir, reply, move |backing| backing.open_folder(number));
    }

    fn readdir(&self, _: &Request, _: INodeNo, folder: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        self.serve(Operation::Readdir, move |backing| {
            let listed = backing.folders.get(folder).and_then(|folder| folder.list(offset));
            match listed {
                Err(error) => reply.error(error.into()),
                Ok((listed, first)) => {
                    for (number, entry) in listed.iter().enumerate().skip(first) {
                        if reply.add(entry.number, number as u64 + 1, entry.kind, &entry.name) {
                            break;
                        }
                    }
                    reply.ok();
                }
            }
        });
    }

    fn readdirplus(
        &self,
        _: &Request,
        _: INodeNo,
        folder: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let cached = self.settings.cached;
        self.serve(Operation::Readdir, move |backing| {
            let listed = backing.folders.get(folder).and_then(|folder| Ok((folder.list(offset)?, folder)));
            let ((listed, first), folder) = match listed {
                Ok(listed) => listed,
                Err(error) => return reply.error(error.into()),
            };
            for (number, entry) in listed.iter().enumerate().skip(first) {
                // It may be gone already.
                let Ok(found) = backing.nodes.find(&*folder.node, &*entry.name) else { continue };
                let next = number as u64 + 1;
                if reply.add(found.ino, next, &entry.name, &cached, &found, GENERATION) {
                    backing.nodes.forget(found.ino, 1);
                    break;
                }
            }
            reply.ok();
        });
    }

    fn releasedir(&self, _: &Request, _: INodeNo, folder: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.finish(Operation::Releasedir, reply, move |backing| {
            backing.folders.close(folder);
            Ok(())
        });
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, folder: FileHandle, _: bool, reply: ReplyEmpty) {
        self.finish(Operation::Fsyncdir, reply, move |backing| backing.fsync_folder(folder));
    }

    fn statfs(&self, _: &Request, number: INodeNo, reply: ReplyStatfs) {
        self.serve(Operation::Statfs, move |backing| match backing.statfs(number) {
            Ok(stat) => {
                let short = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
                let (block, name, part) = (short(stat.f_bsize), short(stat.f_namemax), short(stat.f_frsize));
                let (blocks, free, files) = (stat.f_blocks, stat.f_bfree, stat.f_files);
                reply.statfs(blocks, free, stat.f_bavail, files, stat.f_ffree, block, name, part);
            }
            Err(error) => reply.error(Errno::from(error)),
        });
    }
}
