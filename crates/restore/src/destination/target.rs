//! What the caller calls the target: opened, created where it is missing, refused where it is the repository.
//!
//! Directories on the way to the target get the mode that the umask leaves them. The target itself, if it is
//! created here, is open to its owner alone until it gets its final mode: otherwise anybody whom the umask
//! lets in could rename the unfinished directory in it, or leave files among those of the snapshot. A restore
//! that is interrupted leaves it so.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io};

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use rustix::fs::{Access, AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::metadata::put_time_back;
use super::outside::is_outside;
use super::{Identity, look, sync_directory};
use crate::{Error, Result};

/// What is said of targets that no restore replaces or writes through.
const UNSUITABLE: &str = "cannot be replaced";

/// The directory that entries are moved into at the end.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) directory: OwnedFd,
    /// Its path, for messages only.
    pub(crate) path: PathBuf,
    /// For a single file or link: the name it gets in the directory, which need not be UTF-8.
    pub(crate) name: Option<Vec<u8>>,
    /// The file system of the directory.
    pub(crate) device: u64,
    /// What the directory was when the restore began; nothing if it did not exist.
    pub(crate) found: Option<Stat>,
    /// The mode that the directory has at the end, where it differs from the present one.
    ///
    /// The snapshot's root may give it another: it had to be changed so that its owner may write in it, or is
    /// closed to others because it is new.
    pub(crate) mode_after: OnceLock<u32>,
    /// Whether this process created the directory.
    pub(super) created: bool,
    /// Whether this restore created the directory, be it in a run that was interrupted.
    pub(super) new: AtomicBool,
}

impl Target {
    /// Opens the target of an entry. A directory's contents go into the target; a file or link becomes the
    /// target, or goes into it by its own name if it is a directory or ends in `/` or `/.`. Directories that
    /// are missing are created.
    pub(crate) fn open(entry: &Entry, path: &Path) -> Result<Self> {
        let (directory, name) = find(entry, path)?;
        let error = |what| {
            let path = directory.clone();
            move |source| Error::Target { path, what, source, unfinished: None }
        };
        let created = !directory.is_dir() && create(&directory).map_err(error("cannot be created"))?;
        let repository = entry.repository().store().directory();
        let overlaps = |directory: &Path| overlap(directory, repository.as_deref(), name.is_none());
        // The caller may well name a link; what lies below it is ours and never reached through one.
        let link = if created { OFlags::NOFOLLOW } else { OFlags::empty() };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | link;
        let handle = rustix::fs::open(&directory, flags, Mode::empty());
        let handle = handle.map_err(|errno| error("cannot be opened")(errno.into()))?;
        // Once more, now that the directory is there and cannot become another one.
        overlaps(&directory).map_err(error("cannot be looked at"))?.map_or(Ok(()), Err)?;
        let stat = rustix::fs::fstat(&handle).map_err(|errno| error("cannot be looked at")(errno.into()))?;
        Ok(Self {
            directory: handle,
            path: directory,
            name,
            device: stat.st_dev,
            found: Some(stat).filter(|_| !created),
            mode_after: OnceLock::new(),
            created,
            new: AtomicBool::new(created),
        })
    }

    /// Returns whether this restore created the directory, be it in a run that was interrupted.
    pub(crate) fn is_new(&self) -> bool {
        self.new.load(Ordering::Relaxed)
    }

    /// Returns what the directory was like that gets the snapshot's root: nothing if this restore created it, or for
    /// a single file, as what is beside that keeps what it has.
    pub(crate) fn found_as_root(&self) -> Option<Stat> {
        self.found.filter(|_| !self.is_new() && self.name.is_none())
    }

    /// Notes that an interrupted run of this restore created the directory.
    pub(crate) fn set_new(&self) {
        self.new.store(true, Ordering::Relaxed);
    }

    /// Sets the mode that a new directory has at the end unless the snapshot's root gives it one: that of any
    /// new directory here, in permission bits.
    pub(crate) fn set_usual_mode(&self, mode: u32) {
        if self.is_new()
            && let Ok(stat) = rustix::fs::fstat(&self.directory)
        {
            let _ = self.mode_after.set(stat.st_mode & 0o7000 | mode);
        }
    }

    /// Removes the directory if this process created it, nothing is in it, and it still has its name. Those that were
    /// missing on the way to it stay.
    pub(crate) fn remove_new(&self) {
        if self.created
            && let Err(error) = self.remove_empty()
        {
            tracing::debug!(%error, "the target stays, as there was none");
        }
    }

    /// Removes the directory from the one that it lies in, wherever its path may lead by now.
    fn remove_empty(&self) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let above = rustix::fs::openat(&self.directory, "..", flags, Mode::empty())?;
        // A `.` at the end of its path is no name.
        let name = self.path.file_name().ok_or(Errno::INVAL)?;
        let named = look(above.as_fd(), name)?.map(|stat| Identity::from(&stat));
        // Somebody may have renamed it, and made another one.
        if named != Some(Identity::of(&self.directory)?) {
            return Err(Errno::NOENT.into());
        }
        Ok(rustix::fs::unlinkat(&above, name, AtFlags::REMOVEDIR)?)
    }

    /// Lets the owner of a read-only directory write in it while the restore runs; returns whether that
    /// changed anything.
    pub(crate) fn open_up(&self) -> bool {
        let Ok(stat) = rustix::fs::fstat(&self.directory) else { return false };
        let mode = stat.st_mode & 0o7777;
        let changed = rustix::fs::fchmod(&self.directory, Mode::from_raw_mode(mode | 0o700)).is_ok();
        changed && self.mode_after.set(mode).is_ok()
    }

    /// As [`Self::open_up`], if its owner may not write in it: a restore that failed gave it back its mode,
    /// and the next one takes up what lies in it.
    pub(crate) fn open_up_if_closed(&self) {
        let access = rustix::fs::accessat(&self.directory, ".", Access::WRITE_OK, AtFlags::EACCESS);
        if access == Err(Errno::ACCESS) {
            self.open_up();
        }
    }

    /// Returns the mode from before its owner was let write in it.
    ///
    /// Nothing if that was not needed.
    pub(crate) fn opened_up_from(&self) -> Option<u32> {
        self.mode_after.get().copied().filter(|_| !self.is_new())
    }

    /// Notes the mode that the directory has at the end, as another process of this restore found it.
    pub(crate) fn set_mode_after(&self, mode: Option<u32>) {
        if let Some(mode) = mode {
            let _ = self.mode_after.set(mode);
        }
    }

    /// Gives the directory back its mode from before the restore.
    ///
    /// A new one gets that of any new directory here.
    pub(crate) fn settle_mode(&self) {
        if let Some(&mode) = self.mode_after.get() {
            let _ = rustix::fs::fchmod(&self.directory, Mode::from_raw_mode(mode));
        }
    }

    /// Gives a directory that is to get a snapshot's attributes back its time from before the restore: so far,
    /// only what is unfinished came to it or went. Were the restore killed, it would pass for newer than the
    /// snapshot's. Returns whether it has that time.
    pub(crate) fn settle_time(&self) -> bool {
        self.found_as_root().is_none_or(|found| put_time_back(&self.directory, &found))
    }

    /// Forces everything that was written to the target's file system to disk.
    pub(crate) fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(self.directory.as_fd())
            .map_err(|errno| self.error("cannot be synced to disk", errno))
    }

    /// Forces to disk which names the target's directory has.
    pub(crate) fn sync_names(&self) -> std::io::Result<()> {
        sync_directory(&self.directory)
    }

    /// Makes the error that says what could not be done with the target.
    pub(crate) fn error(&self, what: &'static str, source: impl Into<std::io::Error>) -> Error {
        Error::Target { path: self.path.clone(), what, source: source.into(), unfinished: None }
    }
}

/// As [`locate`], and refuses what no restore writes to. Nothing is created or changed.
pub(crate) fn find(entry: &Entry, path: &Path) -> Result<(PathBuf, Option<Vec<u8>>)> {
    refuse_unsuitable(entry, path)?;
    let (directory, name) = locate(entry, path)?;
    let error = |what, source| Error::Target { path: directory.clone(), what, source, unfinished: None };
    let repository = entry.repository().store().directory();
    let overlap = overlap(&directory, repository.as_deref(), name.is_none());
    overlap.map_err(|source| error("cannot be looked at", source))?.map_or(Ok(()), Err)?;
    match fs::metadata(&directory) {
        Ok(metadata) if !metadata.is_dir() => return Err(Error::NotADirectory { target: directory }),
        Ok(_) => {}
        Err(_) => {
            if let Some(target) = no_directory(&directory) {
                return Err(Error::NotADirectory { target });
            }
            refuse_detour(&directory).map_err(|source| error("cannot be created", source))?;
        }
    }
    Ok((directory, name))
}

/// Returns what is in the way of a directory that does not exist: something else of its name, or of one that
/// it lies in, be it a link that leads nowhere.
fn no_directory(directory: &Path) -> Option<PathBuf> {
    // Without `/` at its end, which asks the system for directories alone.
    let plain: PathBuf = directory.components().collect();
    let nearest = plain.ancestors().find(|path| fs::symlink_metadata(path).is_ok())?;
    let is_directory = match fs::metadata(nearest) {
        Ok(metadata) => metadata.is_dir(),
        // Another error says more.
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    };
    (!is_directory).then(|| nearest.into())
}

/// Creates a directory that is open to its owner alone, in directories as the umask leaves them; returns
/// whether it did, and not somebody else in the meantime.
fn create(directory: &Path) -> io::Result<bool> {
    // Without `.` at its end, which names no directory that is still to be created.
    let directory: PathBuf = directory.components().collect();
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(false),
        created => created.map(|()| true),
    }
}

/// Returns the directory that entries go into.
///
/// Of a file or link also the name that it gets there.
fn locate(entry: &Entry, path: &Path) -> Result<(PathBuf, Option<Vec<u8>>)> {
    Ok(match entry.kind() {
        EntryKind::Directory => (path.to_path_buf(), None),
        EntryKind::File | EntryKind::Symlink if path.is_dir() || asks_for_directory(path) => {
            (path.to_path_buf(), Some(entry_name(entry, path)?.into_bytes()))
        }
        EntryKind::File | EntryKind::Symlink => {
            let name = path.file_name().ok_or_else(|| unnamed(path))?;
            // The parent of a plain name is "", which stands for the current directory.
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            (parent.unwrap_or(Path::new(".")).to_path_buf(), Some(name.as_bytes().to_vec()))
        }
    })
}

/// Returns whether a path can stand for a directory alone: `/` and `/.` at its end ask the system for one.
fn asks_for_directory(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    path.ends_with(b"/") || path.ends_with(b"/.")
}

/// Refuses a target that is a device, pipe or socket, or a link to anything but a directory: replacing one is
/// a slip more often than a wish (`/dev/stdout` is such a link), and writing through it is never safe. Only a
/// link that is to be restored may replace a link.
fn refuse_unsuitable(entry: &Entry, path: &Path) -> Result<()> {
    // What is no directory and is asked for as one (ENOTDIR) is refused as the place of what is restored.
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let leads_to = fs::metadata(path);
    if found.is_file() || leads_to.as_ref().is_ok_and(fs::Metadata::is_dir) {
        return Ok(());
    }
    let what = if found.is_symlink() {
        if entry.kind() == EntryKind::Symlink && !lies_in_system(path) {
            return Ok(());
        }
        let to = fs::read_link(path).unwrap_or_default();
        let missing = if leads_to.is_err() { ", which cannot be reached" } else { "" };
        format!("a link to {}{missing}", to.display())
    } else if found.file_type().is_fifo() {
        "a pipe".into()
    } else if found.file_type().is_socket() {
        "a socket".into()
    } else {
        "a device".into()
    };
    let source = io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}"));
    Err(Error::Target { path: path.into(), what: UNSUITABLE, source, unfinished: None })
}

/// Returns whether a path lies where the system keeps its devices and processes.
fn lies_in_system(path: &Path) -> bool {
    let parent = path.parent().and_then(|parent| fs::canonicalize(parent).ok());
    parent.is_some_and(|parent| ["/dev", "/proc", "/sys"].iter().any(|system| parent.starts_with(system)))
}

/// Refuses a path that leads back up out of a directory that does not exist: where that ends is known only
/// after creating it.
fn refuse_detour(directory: &Path) -> io::Result<()> {
    let missing = directory.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
    if missing.filter_map(|path| path.components().next_back()).any(|last| last == Component::ParentDir) {
        let why = "it leads back out of a folder that does not exist";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(())
}

/// Returns the name of a file or link. That of a snapshot's root is a label that nobody has checked: where it
/// leads somewhere, the last component counts.
fn entry_name(entry: &Entry, path: &Path) -> Result<String> {
    let last = entry.name().rsplit('/').find(|name| !matches!(*name, "" | "."));
    let usable = last.filter(|name| *name != ".." && !name.contains('\0'));
    usable.map(ToString::to_string).ok_or_else(|| unnamed(path))
}

fn unnamed(path: &Path) -> Error {
    let source = io::Error::new(io::ErrorKind::InvalidInput, "give the name that the file is to have");
    Error::Target { path: path.into(), what: "cannot be the target", source, unfinished: None }
}

/// Refuses a target that overlaps with the repository, if that is a directory. A single file does no harm
/// beside the repository, only in it.
fn overlap(target: &Path, repository: Option<&Path>, whole: bool) -> std::io::Result<Option<Error>> {
    repository.map_or(Ok(None), |repository| refuse_overlap(target, repository, whole))
}

/// That the repository lies in the target matters only if the target is restored as a `whole`.
fn refuse_overlap(target: &Path, repository: &Path, whole: bool) -> std::io::Result<Option<Error>> {
    let is_apart =
        is_outside(target, repository)? && (!whole || !target.exists() || is_outside(repository, target)?);
    Ok((!is_apart).then(|| Error::Overlap { target: target.into(), repository: repository.into() }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn target(path: &Path, flags: OFlags) -> Target {
        let directory = rustix::fs::open(path, flags | OFlags::DIRECTORY, Mode::empty()).unwrap();
        Target {
            directory,
            path: path.into(),
            name: None,
            device: 0,
            found: None,
            mode_after: OnceLock::new(),
            created: false,
            new: AtomicBool::default(),
        }
    }

    #[test]
    fn a_folder_gets_back_the_mode_that_it_had() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("target");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o2550)).unwrap();
        let target = target(&path, OFlags::RDONLY);
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        let before = mode();
        assert!(target.open_up());
        assert_eq!(mode() & 0o700, 0o700);
        target.settle_mode();
        assert_eq!(mode(), before);
    }

    #[test]
    fn only_what_was_created_and_has_nothing_in_it_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let open = |name: &str| target(&at(name), OFlags::RDONLY);
        let created = |name: &str| {
            fs::create_dir(at(name)).unwrap();
            Target { created: true, ..open(name) }
        };
        fs::create_dir(at("there")).unwrap();
        open("there").remove_new();
        assert!(at("there").exists());
        created("new").remove_new();
        assert!(!at("new").exists());
        let dotted = created("dotted");
        Target { path: at("dotted/."), ..dotted }.remove_new();
        assert!(!at("dotted").exists());
        let full = created("full");
        fs::write(at("full/file"), b"").unwrap();
        full.remove_new();
        assert!(at("full/file").exists());
    }

    #[test]
    fn what_has_the_name_of_the_target_by_now_is_not_removed() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let create = |name: &str| fs::create_dir(at(name)).unwrap();
        ["a", "b", "a/new"].iter().for_each(|name| create(name));
        std::os::unix::fs::symlink("a", at("link")).unwrap();
        let new = Target { created: true, ..target(&at("link/new"), OFlags::RDONLY) };
        // Somebody else's lies in its place.
        fs::rename(at("a/new"), at("a/renamed")).unwrap();
        create("a/new");
        new.remove_new();
        assert!(at("a/new").exists() && at("a/renamed").exists());
        // As where this process has another working directory by now: the path leads elsewhere.
        fs::remove_dir(at("a/new")).unwrap();
        fs::rename(at("a/renamed"), at("a/new")).unwrap();
        fs::remove_file(at("link")).unwrap();
        std::os::unix::fs::symlink("b", at("link")).unwrap();
        create("b/new");
        new.remove_new();
        assert!(at("b/new").exists() && !at("a/new").exists());
    }

    #[test]
    fn the_error_of_the_sync_is_returned() {
        let place = tempfile::tempdir().unwrap();
        target(place.path(), OFlags::RDONLY).sync().unwrap();
        // Such a handle cannot be synced.
        target(place.path(), OFlags::PATH).sync().unwrap_err();
    }

    #[test]
    fn links_of_the_system_are_known_by_where_they_lie() {
        for (path, expected) in [
            ("/dev/stdout", true),
            ("/dev/none", true),
            ("/proc/self/fd/0", true),
            ("/proc/../dev/none", true),
            ("/none", false),
            ("/device/none", false),
            ("/", false),
            ("none", false),
        ] {
            assert_eq!(lies_in_system(Path::new(path)), expected, "{path}");
        }
    }
}
