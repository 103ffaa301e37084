//! What the caller calls the target: opened, created where it is missing, refused where it is the repository.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use rustix::fs::{Mode, OFlags};

use super::Identity;
use crate::{Error, Result};

/// The folder that entries are moved into at the end.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) folder: OwnedFd,
    /// Its path, for messages only.
    pub(crate) path: PathBuf,
    /// For a single file or link: the name it gets in the folder.
    pub(crate) name: Option<String>,
}

impl Target {
    /// Opens the target of an entry. A folder's contents go into the target; a file or link becomes the target, or goes
    /// into it by its own name if it is a folder or ends in `/`. Folders that are missing are created.
    pub(crate) fn open(entry: &Entry, path: &Path) -> Result<Self> {
        let (folder, name) = match entry.kind() {
            EntryKind::Directory => (path.to_path_buf(), None),
            EntryKind::File | EntryKind::Symlink
                if path.is_dir() || path.as_os_str().as_bytes().ends_with(b"/") =>
            {
                (path.to_path_buf(), Some(entry_name(entry, path)?))
            }
            EntryKind::File | EntryKind::Symlink => {
                let name = path.file_name().and_then(|name| name.to_str());
                let name = name.ok_or_else(|| unnamed(path))?;
                // The parent of a plain name is "", which stands for the current folder.
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                (parent.unwrap_or(Path::new(".")).to_path_buf(), Some(name.to_string()))
            }
        };
        let error = |what| {
            let path = folder.clone();
            move |source| Error::Target { path, what, source }
        };
        if let Some(repository) = entry.repository().store().folder() {
            // A single file does no harm beside the repository, only in it.
            let overlap = refuse_overlap(&folder, &repository, name.is_none());
            overlap.map_err(error("cannot be looked at"))?.map_or(Ok(()), Err)?;
        }
        match fs::metadata(&folder) {
            Ok(metadata) if !metadata.is_dir() => return Err(Error::NotAFolder { target: folder }),
            Ok(_) => {}
            Err(_) => fs::create_dir_all(&folder).map_err(error("cannot be created"))?,
        }
        // The caller may well name a link; what lies below it is ours and never reached through one.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(&folder, flags, Mode::empty());
        let handle = handle.map_err(|errno| error("cannot be opened")(errno.into()))?;
        Ok(Self { folder: handle, path: folder, name })
    }

    /// Forces everything that was written to the target's file system to disk.
    pub(crate) fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(self.folder.as_fd()).map_err(|errno| self.error("cannot be synced to disk", errno))
    }

    /// Says what could not be done with the target.
    pub(crate) fn error(&self, what: &'static str, source: impl Into<std::io::Error>) -> Error {
        Error::Target { path: self.path.clone(), what, source: source.into() }
    }
}

fn entry_name(entry: &Entry, path: &Path) -> Result<String> {
    let name = entry.name();
    // The name of a snapshot's root is a label that nobody has checked.
    let usable = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    usable.then(|| name.to_string()).ok_or_else(|| unnamed(path))
}

fn unnamed(path: &Path) -> Error {
    let source =
        std::io::Error::new(std::io::ErrorKind::InvalidInput, "give the name that the file is to have");
    Error::Target { path: path.into(), what: "cannot be the target", source }
}

/// Compares devices and inodes of both and of all folders that they lie in, so that links and mounts deceive nobody. That
/// the repository lies in the target matters only if the target is restored as a `whole`.
fn refuse_overlap(target: &Path, repository: &Path, whole: bool) -> std::io::Result<Option<Error>> {
    let overlap = || Error::Overlap { target: target.into(), repository: repository.into() };
    let existing = target.ancestors().find_map(|path| {
        // The last ancestor of a relative path is "", the current folder.
        fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()
    });
    let existing = existing.unwrap_or_else(|| PathBuf::from("/"));
    let repository_path = fs::canonicalize(repository)?;
    let repository_identity = identity(&repository_path)?;
    for ancestor in existing.ancestors() {
        if identity(ancestor)? == repository_identity {
            return Ok(Some(overlap()));
        }
    }
    if whole && let Ok(target_path) = fs::canonicalize(target) {
        let target_identity = identity(&target_path)?;
        for ancestor in repository_path.ancestors() {
            if identity(ancestor)? == target_identity {
                return Ok(Some(overlap()));
            }
        }
    }
    Ok(None)
}

fn identity(path: &Path) -> std::io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok(Identity { device: metadata.dev(), inode: metadata.ino() })
}
