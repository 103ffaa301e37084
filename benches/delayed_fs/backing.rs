//! What requests do in the folder that is passed through.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use fuser::{FileAttr, FileHandle, INodeNo, OpenAccMode, OpenFlags, RenameFlags};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, StatVfs, Timestamps, Uid, chmod, chownat, fstat, fstatvfs,
    linkat, mkdirat, mknodat, open, openat, readlinkat, renameat_with, symlinkat, unlinkat, utimensat,
};
use rustix::io::{Errno, pread, pwrite};

use crate::attributes::permissions;
use crate::handles::{Folder, Handles};
use crate::nodes::{Nodes, path_of};
use crate::refused::Refused;
use crate::same_name::SameName;

/// The folder that is passed through, and what is open in it.
pub(crate) struct Backing {
    pub(crate) nodes: Nodes,
    pub(crate) files: Handles<OwnedFd>,
    pub(crate) folders: Handles<Folder>,
    same: SameName,
    refused: Refused,
}

/// Whose a new file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// What a request changes of a file's attributes.
pub(crate) struct Change {
    pub(crate) mode: Option<u32>,
    pub(crate) user: Option<u32>,
    pub(crate) group: Option<u32>,
    pub(crate) size: Option<u64>,
    pub(crate) times: Option<Timestamps>,
}

impl Backing {
    pub(crate) fn open(folder: &Path, same: SameName, refused: Refused) -> io::Result<Self> {
        let (files, folders) = (Handles::new(), Handles::new());
        Ok(Self { nodes: Nodes::open(folder)?, files, folders, same, refused })
    }

    /// Returns a folder, and the name in it that a name is taken for.
    fn place<'n>(&self, parent: INodeNo, name: &'n OsStr) -> io::Result<(Arc<OwnedFd>, Cow<'n, OsStr>)> {
        self.refused.check_name(name)?;
        let folder = self.nodes.handle(parent)?;
        let name = self.same.find(&folder, name);
        Ok((folder, name))
    }

    pub(crate) fn lookup(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let (folder, name) = self.place(parent, name)?;
        self.nodes.find(folder, &*name)
    }

    pub(crate) fn getattr(&self, number: INodeNo) -> io::Result<FileAttr> {
        self.nodes.attributes(self.nodes.handle(number)?)
    }

    pub(crate) fn setattr(
        &self,
        number: INodeNo,
        file: Option<FileHandle>,
        change: &Change,
    ) -> io::Result<FileAttr> {
        let node = self.nodes.handle(number)?;
        if change.user.is_some() || change.group.is_some() {
            let (user, group) = (change.user.map(Uid::from_raw), change.group.map(Gid::from_raw));
            chownat(&node, "", user, group, AtFlags::EMPTY_PATH)?;
        }
        if let Some(mode) = change.mode {
            chmod(path_of(&node), permissions(mode))?;
        }
        match (change.size, file) {
            (Some(size), Some(file)) => rustix::fs::ftruncate(self.files.get(file)?, size)?,
            (Some(size), None) => OpenOptions::new().write(true).open(path_of(&node))?.set_len(size)?,
            (None, _) => {}
        }
        if let Some(times) = &change.times {
            utimensat(&node, "", times, AtFlags::EMPTY_PATH)?;
        }
        self.nodes.attributes(node)
    }

    pub(crate) fn readlink(&self, number: INodeNo) -> io::Result<Vec<u8>> {
        Ok(readlinkat(self.nodes.handle(number)?, "", Vec::new())?.into_bytes())
    }

    pub(crate) fn mknod(
        &self,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        device: u32,
        owner: Owner,
    ) -> io::Result<FileAttr> {
        let (folder, name) = self.place(parent, name)?;
        // As the kernel packs it for FUSE.
        let (major, minor) = ((device & 0xf_ff00) >> 8, (device & 0xff) | ((device >> 12) & 0xf_ff00));
        let device = rustix::fs::makedev(major, minor);
        mknodat(&folder, &*name, FileType::from_raw_mode(mode), permissions(mode), device)?;
        self.made(&folder, &name, mode, owner)
    }

    pub(crate) fn mkdir(
        &self,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        owner: Owner,
    ) -> io::Result<FileAttr> {
        let (folder, name) = self.place(parent, name)?;
        mkdirat(&folder, &*name, permissions(mode))?;
        self.made(&folder, &name, 0, owner)
    }

    pub(crate) fn symlink(
        &self,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        owner: Owner,
    ) -> io::Result<FileAttr> {
        let (folder, name) = self.place(parent, name)?;
        self.refused.check_link()?;
        symlinkat(target, &folder, &*name)?;
        self.made(&folder, &name, 0, owner)
    }

    pub(crate) fn link(&self, number: INodeNo, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let node = self.nodes.handle(number)?;
        let (folder, name) = self.place(parent, name)?;
        linkat(CWD, path_of(node), &folder, &*name, AtFlags::SYMLINK_FOLLOW)?;
        self.nodes.find(folder, &*name)
    }

    pub(crate) fn unlink(&self, parent: INodeNo, name: &OsStr) -> io::Result<()> {
        let (folder, name) = self.place(parent, name)?;
        Ok(unlinkat(folder, &*name, AtFlags::empty())?)
    }

    pub(crate) fn rmdir(&self, parent: INodeNo, name: &OsStr) -> io::Result<()> {
        let (folder, name) = self.place(parent, name)?;
        Ok(unlinkat(folder, &*name, AtFlags::REMOVEDIR)?)
    }

    pub(crate) fn rename(
        &self,
        from: (INodeNo, &OsStr),
        to: (INodeNo, &OsStr),
        flags: RenameFlags,
    ) -> io::Result<()> {
        let (old, name) = self.place(from.0, from.1)?;
        let (new, new_name) = self.place(to.0, to.1)?;
        let flags = rustix::fs::RenameFlags::from_bits_retain(flags.bits());
        Ok(renameat_with(old, &*name, new, &*new_name, flags)?)
    }

    /// Creates a file, or opens it where it is there and `flags` allow that.
    pub(crate) fn create(
        &self,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        flags: i32,
        owner: Owner,
    ) -> io::Result<(FileAttr, FileHandle)> {
        let (folder, name) = self.place(parent, name)?;
        let wanted = open_flags(OpenFlags(flags)) | OFlags::NOFOLLOW;
        let new = wanted | OFlags::CREATE | OFlags::EXCL;
        let file = match openat(&folder, &*name, new, permissions(mode)) {
            Ok(file) => {
                own(&folder, &file, mode, owner)?;
                file
            }
            Err(Errno::EXIST) if flags.cast_unsigned() & OFlags::EXCL.bits() == 0 => {
                openat(&folder, &*name, wanted, Mode::empty())?
            }
            Err(error) => return Err(error.into()),
        };
        let attributes = self.nodes.find_open(&file)?;
        Ok((attributes, self.files.add(file)))
    }

    pub(crate) fn open_file(&self, number: INodeNo, flags: OpenFlags) -> io::Result<FileHandle> {
        let node = self.nodes.handle(number)?;
        Ok(self.files.add(open(path_of(node), open_flags(flags), Mode::empty())?))
    }

    pub(crate) fn open_folder(&self, number: INodeNo) -> io::Result<FileHandle> {
        Ok(self.folders.add(Folder::new(self.nodes.handle(number)?)))
    }

    pub(crate) fn read(&self, file: FileHandle, offset: u64, size: u32) -> io::Result<Vec<u8>> {
        let file = self.files.get(file)?;
        let mut bytes = vec![0; size as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match pread(&*file, &mut bytes[filled..], offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    pub(crate) fn write(&self, file: FileHandle, offset: u64, bytes: &[u8]) -> io::Result<u32> {
        let file = self.files.get(file)?;
        let mut written = 0;
        while written < bytes.len() {
            match pwrite(&*file, &bytes[written..], offset.saturating_add(written as u64)) {
                Ok(more) => written += more,
                Err(Errno::INTR) => {}
                Err(error) if written == 0 => return Err(error.into()),
                // The kernel asks for the rest once more, and gets the error then.
                Err(_) => break,
            }
        }
        Ok(u32::try_from(written).unwrap_or(u32::MAX))
    }

    pub(crate) fn fsync(&self, file: FileHandle, data_alone: bool) -> io::Result<()> {
        let file = self.files.get(file)?;
        Ok(if data_alone { rustix::fs::fdatasync(&*file) } else { rustix::fs::fsync(&*file) }?)
    }

    pub(crate) fn fsync_folder(&self, folder: FileHandle) -> io::Result<()> {
        let folder = self.folders.get(folder)?;
        let folder = open(path_of(&*folder.node), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(rustix::fs::fsync(folder)?)
    }

    pub(crate) fn statfs(&self, number: INodeNo) -> io::Result<StatVfs> {
        Ok(fstatvfs(self.nodes.handle(number)?)?)
    }

    /// Gives what was just made to its owner, and finds it.
    fn made(&self, folder: &Arc<OwnedFd>, name: &OsStr, mode: u32, owner: Owner) -> io::Result<FileAttr> {
        let handle = openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        own(folder, &handle, mode, owner)?;
        self.nodes.find(folder, name)
    }
}

/// Gives a new file to whoever asked for it: this process makes files that are its own.
///
/// In a folder with setgid, files have the folder's group, which the system saw to. `mode` is that of a file,
/// which may lose setuid and setgid on the way.
fn own(folder: impl AsFd, file: impl AsFd, mode: u32, owner: Owner) -> io::Result<()> {
    let made = fstat(&file)?;
    let mut group = owner.group;
    if made.st_gid != group && Mode::from_raw_mode(fstat(folder)?.st_mode).contains(Mode::SGID) {
        group = made.st_gid;
    }
    if (made.st_uid, made.st_gid) != (owner.user, group) {
        let (user, group) = (Some(Uid::from_raw(owner.user)), Some(Gid::from_raw(group)));
        chownat(&file, "", user, group, AtFlags::EMPTY_PATH)?;
        if mode & 0o6000 != 0 {
            chmod(path_of(file), permissions(mode))?;
        }
    }
    Ok(())
}

/// Returns the flags that matter for the file below: offsets come from the kernel, and buffers are not aligned.
fn open_flags(flags: OpenFlags) -> OFlags {
    let access = match flags.acc_mode() {
        OpenAccMode::O_RDONLY => OFlags::RDONLY,
        OpenAccMode::O_WRONLY => OFlags::WRONLY,
        OpenAccMode::O_RDWR => OFlags::RDWR,
    };
    let kept = OFlags::TRUNC | OFlags::SYNC | OFlags::DSYNC;
    let others = OFlags::from_bits_retain(flags.0.cast_unsigned()) & kept;
    access | others | OFlags::CLOEXEC
}
