//! The one folder that is there while a restore is unfinished.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use kopia_format::ObjectId;
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::probe::creator_in;
use super::remove::remove_tree;
use super::subject::is_refusal;
use super::target::Target;
use super::{Identity, is_folder, look, open_folder, open_to_change};
use crate::{Error, Options, Result};

/// What the names of staging folders begin with.
pub(crate) const PREFIX: &str = ".kopia-rs-restore-";

/// What stands behind a staging folder's name in those of its shards' locks.
pub(crate) const LOCK: &str = ".lock-";

/// Marks a folder that backups leave out, see <https://bford.info/cachedir/>.
const TAG: &str = "CACHEDIR.TAG";

const TAG_TEXT: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55
# What a restore of kopia-rs has written so far. The same restore takes it up; it is gone when that has come to its end.
";

/// The staging folder of this restore. It is open to its owner alone, and has the sticky bit if the target was created for
/// this restore, so that a later run knows it. It is locked from before it is used until it is gone, so that two restores do not
/// remove each other's.
#[derive(Debug)]
pub(crate) struct Staging {
    handle: OwnedFd,
    name: String,
    /// Whether an interrupted restore of the same root left it.
    left: bool,
    /// Whether the tag in it is ours, and no entry of the snapshot.
    has_tag: AtomicBool,
}

impl Staging {
    /// Makes the folder for a root, or takes up what an interrupted restore of that root left; removes what restores of other
    /// roots left in the target.
    pub(crate) fn open(target: &Target, root: ObjectId, options: &Options) -> Result<Self> {
        if options.is_shard() {
            return Self::share(target, root);
        }
        let folder = target.folder.as_fd();
        let error = |source: io::Error| target.error("cannot be written", source);
        let busy = || Error::Busy { target: target.path.clone() };
        let name = format!("{PREFIX}{root}");
        // Beside a single file others may be at work, in a folder that everybody shares.
        let (leftovers, marks) = match target.name {
            None => leftovers(folder).map_err(error)?,
            Some(_) => (vec![name.clone()], Vec::new()),
        };
        let mut taken_up = None;
        for leftover in leftovers {
            let Some(handle) = open_own(target, &leftover).map_err(error)? else { continue };
            if !lock(&handle, folder, &leftover).map_err(error)? {
                return Err(busy());
            }
            if leftover == name {
                tracing::info!(leftover, "taking up what an interrupted restore left");
                taken_up = Some(handle);
                continue;
            }
            tracing::info!(leftover, "removing what an interrupted restore left");
            remove_all(folder, marks.iter().filter(|mark| is_of(mark, &leftover))).map_err(error)?;
            let identity = Identity::of(&handle).map_err(error)?;
            remove_tree(folder, leftover.as_bytes(), Some(identity)).map_err(error)?;
        }
        // Of all other roots there is nothing left.
        let own = |mark: &&String| options.is_finish() && is_of(mark, &name);
        remove_all(folder, marks.iter().filter(|mark| !own(mark))).map_err(error)?;
        if let Some(handle) = taken_up {
            return Ok(Self::new(handle, name, true));
        }
        match make(target, &name) {
            Err(Errno::EXIST) => match look(folder, &*name).map_err(error)? {
                Some(stat) if !is_own(folder, &stat) || !is_closed(&stat) || is_doubtful(folder, &stat) => {
                    return Err(error(not_ours(&name, &stat)));
                }
                // Another restore made it since the target was looked through.
                _ => return Err(busy()),
            },
            made => made.map_err(|errno| error(errno.into()))?,
        }
        let handle = match open_folder(folder, &name) {
            // Another one has taken it up meanwhile, and come to its end.
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Err(busy()),
            handle => handle.map_err(error)?,
        };
        // In a target where others may rename, one of theirs may have taken its place.
        let stat = rustix::fs::fstat(&handle).map_err(|errno| error(errno.into()))?;
        if !is_own(folder, &stat) || is_doubtful(folder, &stat) {
            return Err(error(not_ours(&name, &stat)));
        }
        match lock(&handle, folder, &name).map_err(error)? {
            true => Ok(Self::new(handle, name, false)),
            false => Err(busy()),
        }
    }

    fn new(handle: OwnedFd, name: String, left: bool) -> Self {
        Self { handle, name, left, has_tag: AtomicBool::new(false) }
    }

    /// Makes the folder for a root, or opens it beside others that write in it.
    fn share(target: &Target, root: ObjectId) -> Result<Self> {
        let folder = target.folder.as_fd();
        let error = |source: io::Error| target.error("cannot be written", source);
        let name = format!("{PREFIX}{root}");
        match make(target, &name) {
            // The marks of a folder that is gone stand for nothing; a lock may be another shard's that has just begun.
            Ok(()) => {
                let mut marks = marks_of(folder, &name).map_err(error)?;
                marks.retain(|mark| !mark[name.len()..].starts_with(LOCK));
                remove_all(folder, marks.iter()).map_err(error)?;
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(error(errno.into())),
        }
        let Some(handle) = open_own(target, &name).map_err(error)? else {
            return Err(match look(folder, &*name).map_err(error)? {
                Some(stat) => error(not_ours(&name, &stat)),
                // Whoever finished the restore has just removed it.
                None => Error::Busy { target: target.path.clone() },
            });
        };
        // Some network file systems have no locks; then nothing warns of a restore of the whole.
        let locked = rustix::fs::flock(&handle, FlockOperation::NonBlockingLockShared);
        // Whoever finished the restore may just have removed it.
        let named = look(folder, &*name).map_err(error)?.map(|stat| Identity::from(&stat));
        if locked == Err(Errno::WOULDBLOCK) || named != Some(Identity::of(&handle).map_err(error)?) {
            return Err(Error::Busy { target: target.path.clone() });
        }
        Ok(Self::new(handle, name, true))
    }

    /// Returns the folder's name in the target.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Says whether an interrupted restore left the folder, with what it had done in it.
    pub(crate) fn is_left(&self) -> bool {
        self.left
    }

    /// Returns the folder's path, for messages only.
    pub(crate) fn path(&self, target: &Target) -> PathBuf {
        target.path.join(&self.name)
    }

    /// Returns the folder's handle.
    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Puts a tag into the folder that keeps it out of backups, which do without it if there is no room. The snapshot's root
    /// must have no entry of that name, nor of one that some file system may take for it.
    pub(crate) fn tag(&self) {
        self.has_tag.store(true, Ordering::Relaxed);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.handle, TAG, flags, Mode::RUSR | Mode::WUSR);
        let written = file.and_then(|file| rustix::io::pwrite(file, TAG_TEXT, 0));
        let _ = written.inspect_err(|errno| tracing::debug!(%errno, "no {TAG}"));
    }

    /// Takes the tag away, if it is ours.
    pub(crate) fn untag(&self) {
        if self.has_tag.load(Ordering::Relaxed) {
            let _ = rustix::fs::unlinkat(&self.handle, TAG, AtFlags::empty());
        }
    }

    /// Puts the tag back after [`Self::untag`].
    pub(crate) fn tag_again(&self) {
        if self.has_tag.load(Ordering::Relaxed) {
            self.tag();
        }
    }

    /// Returns whether a name in the folder is that of our tag. Where case is folded, it may be listed by another one; the
    /// snapshot's root has none that could be taken for it.
    pub(crate) fn is_our_tag(&self, name: &[u8]) -> bool {
        self.has_tag.load(Ordering::Relaxed) && name.eq_ignore_ascii_case(TAG.as_bytes())
    }

    /// Removes the folder if it was not there before.
    pub(crate) fn remove_new(&self, target: &Target) {
        if !self.left {
            let _ = self.remove(target);
        }
    }

    /// Removes the folder and whatever could not be moved out of it.
    pub(crate) fn remove(&self, target: &Target) -> Result<()> {
        let removed = Identity::of(&self.handle)
            .and_then(|identity| remove_tree(target.folder.as_fd(), self.name.as_bytes(), Some(identity)));
        removed.map(drop).map_err(|source| target.error("the unfinished folder cannot be removed", source))
    }
}

/// Returns whether another restore is at work in a target: of any root or, where a single file is restored, of the same.
///
/// Nothing is changed; the locks that are tried are given back at once.
pub(crate) fn is_busy(target: BorrowedFd<'_>, root: ObjectId, single: bool) -> io::Result<bool> {
    let folders = if single { vec![format!("{PREFIX}{root}")] } else { leftovers(target)?.0 };
    Ok(folders.iter().any(|name| {
        open_folder(target, name).is_ok_and(|handle| {
            rustix::fs::flock(&handle, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
        })
    }))
}

/// Makes a staging folder, if need be in a target that its owner may not write in yet.
fn make(target: &Target, name: &str) -> rustix::io::Result<()> {
    let make_with = |mode| rustix::fs::mkdirat(target.folder.as_fd(), name, mode);
    let make = || match make_with(if target.is_new() { Mode::RWXU | Mode::SVTX } else { Mode::RWXU }) {
        // Some file systems take a mode only where they can hold it.
        Err(errno) if target.is_new() && is_refusal(errno) => make_with(Mode::RWXU),
        made => made,
    };
    make().or_else(|errno| match errno {
        Errno::ACCESS if target.open_up() => make(),
        errno => Err(errno),
    })
}

/// Returns whether an entry may take the place of our tag.
pub(crate) fn is_tag(name: &str) -> bool {
    name.eq_ignore_ascii_case(TAG)
}

/// Returns whether the target has anything but what restores left unfinished.
pub(crate) fn has_others(target: impl AsFd) -> io::Result<bool> {
    for entry in Dir::read_from(target)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") && !name.starts_with(PREFIX.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Finds the names of staging folders in the target, and of marks that shards left beside them.
fn leftovers(target: BorrowedFd<'_>) -> io::Result<(Vec<String>, Vec<String>)> {
    let (mut folders, mut marks) = (Vec::new(), Vec::new());
    for entry in Dir::read_from(target)? {
        if let Ok(name) = entry?.file_name().to_str()
            && name.starts_with(PREFIX)
        {
            if is_mark(name.as_bytes()) { &mut marks } else { &mut folders }.push(name.to_string());
        }
    }
    Ok((folders, marks))
}

/// Says whether a name is that of a mark: what stands behind a dot, which no object has in its name.
pub(crate) fn is_mark(name: &[u8]) -> bool {
    name.strip_prefix(PREFIX.as_bytes()).is_some_and(|rest| rest.contains(&b'.'))
}

/// Finds the marks beside one staging folder.
pub(crate) fn marks_of(target: BorrowedFd<'_>, name: &str) -> io::Result<Vec<String>> {
    let (_, mut marks) = leftovers(target)?;
    marks.retain(|mark| is_of(mark, name));
    Ok(marks)
}

/// Returns whether a restore is at work in a directory: an unfinished folder in it is locked, or shards have left something
/// beside one.
pub(crate) fn is_in_use(directory: BorrowedFd<'_>) -> io::Result<bool> {
    let (folders, marks) = leftovers(directory)?;
    Ok(folders
        .iter()
        .any(|folder| marks.iter().any(|mark| is_of(mark, folder)) || is_locked(directory, folder)))
}

/// Returns whether a restore holds the lock of an unfinished folder. Where that cannot be known, one might.
fn is_locked(directory: BorrowedFd<'_>, name: &str) -> bool {
    match open_folder(directory, name) {
        Ok(handle) => rustix::fs::flock(&handle, FlockOperation::NonBlockingLockShared).is_err(),
        Err(error) => {
            let errno = Errno::from_io_error(&error);
            !matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
        }
    }
}

/// Removes the marks beside one staging folder that is gone, and the locks that no shard holds: one that has just begun may.
pub(crate) fn remove_marks(target: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    for mark in marks_of(target, name)? {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let lock = mark[name.len()..].starts_with(LOCK);
        let lock = lock.then(|| rustix::fs::openat(target, &*mark, flags, Mode::empty()).ok()).flatten();
        let taken =
            lock.as_ref().map(|lock| rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive));
        if taken != Some(Err(Errno::WOULDBLOCK)) {
            remove_all(target, std::iter::once(&mark))?;
        }
    }
    Ok(())
}

fn remove_all<'m>(target: BorrowedFd<'_>, marks: impl Iterator<Item = &'m String>) -> io::Result<()> {
    for mark in marks {
        match rustix::fs::unlinkat(target, &**mark, AtFlags::empty()) {
            // A folder is no mark.
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn is_of(mark: &str, name: &str) -> bool {
    mark.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}

/// Opens a staging folder that was left; `None` for what is not a folder, belongs to another user, or lets others write in
/// it, who may have put anything there. Notes whether the target was created for it.
fn open_own(target: &Target, name: &str) -> io::Result<Option<OwnedFd>> {
    let folder = target.folder.as_fd();
    // Before its mode is changed, and after that of what was opened.
    let is_ours = |stat: &Stat| is_own(folder, stat) && !is_doubtful(folder, stat);
    if !look(folder, name)?.is_some_and(|stat| is_ours(&stat)) {
        return Ok(None);
    }
    let handle = match open_to_change(folder, name.as_bytes()) {
        // The restore that it belonged to has just removed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        handle => handle?,
    };
    let stat = rustix::fs::fstat(&handle)?;
    // Where no mode can be set, every folder is shown alike.
    let is_open = !is_closed(&stat) && creator_in(folder)?.sets_modes;
    if !is_ours(&stat) || is_open {
        return Ok(None);
    }
    if stat.st_mode & 0o077 != 0 {
        // Where modes mean nothing this changes nothing.
        let _ = rustix::fs::fchmod(&handle, Mode::from_raw_mode(stat.st_mode & 0o7700));
    }
    if Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX) {
        target.set_new();
    }
    Ok(Some(handle))
}

/// Returns whether nobody but a folder's owner may write in it.
fn is_closed(stat: &Stat) -> bool {
    stat.st_mode & 0o022 == 0
}

/// Returns whether a staging directory is this user's, or whose all is that this process makes in the target: on NFS with
/// `root_squash` and CIFS with `uid=` that is somebody else, who could change all of it anyhow.
fn is_own(target: BorrowedFd<'_>, stat: &Stat) -> bool {
    let is_users = || stat.st_uid == rustix::process::geteuid().as_raw();
    let is_creators = || creator_in(target).is_ok_and(|creator| creator.uid == stat.st_uid);
    is_folder(stat) && (is_users() || is_creators())
}

/// Returns whether a staging directory may be none: where others may rename in the target, any directory of this user may have
/// been given the name. One that a restore made is closed to everybody else, where modes can be set.
fn is_doubtful(target: BorrowedFd<'_>, stat: &Stat) -> bool {
    let others_rename = || {
        rustix::fs::fstat(target).map_or(true, |target| {
            let is_sticky = Mode::from_raw_mode(target.st_mode).contains(Mode::SVTX);
            let is_users = target.st_uid == rustix::process::geteuid().as_raw();
            !is_users || (!is_closed(&target) && !is_sticky)
        })
    };
    let sets_modes = || creator_in(target).map_or(true, |creator| creator.sets_modes);
    stat.st_mode & 0o077 != 0 && others_rename() && sets_modes()
}

/// Describes what is in the way of the staging directory.
fn not_ours(name: &str, stat: &Stat) -> io::Error {
    let what = match is_folder(stat) {
        false => "is not a folder",
        true if is_closed(stat) && stat.st_uid == rustix::process::geteuid().as_raw() => {
            "is open to others, unlike any that a restore leaves"
        }
        true if is_closed(stat) => "belongs to another user",
        true => "is a folder of another user, or others may write in it",
    };
    io::Error::new(io::ErrorKind::AlreadyExists, format!("{name} in it {what}; remove it first"))
}

/// Takes the lock of a staging folder; says whether it is ours and the folder still has its name: another restore may
/// just have removed it, and made a new one.
fn lock(handle: &OwnedFd, target: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    // Some network file systems have no locks; then nothing warns of a second restore.
    if rustix::fs::flock(handle, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        return Ok(false);
    }
    let named = look(target, name)?.map(|stat| Identity::from(&stat));
    Ok(named == Some(Identity::of(handle)?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;
    use crate::Part;

    fn target(path: &std::path::Path) -> Target {
        Target {
            folder: fs::File::open(path).unwrap().into(),
            path: path.into(),
            name: None,
            device: 0,
            mode_after: std::sync::OnceLock::new(),
            created: false,
            new: false.into(),
        }
    }

    #[test]
    fn another_users_staging_folder_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let root: ObjectId = "kaa".parse().unwrap();
        let planted = place.path().join(format!("{PREFIX}kaa"));
        fs::create_dir(&planted).unwrap();
        fs::write(planted.join("planted"), b"evil").unwrap();
        if chown(&planted, Some(65534), Some(65534)).is_err() {
            return eprintln!("skipped: only root can make a folder of another user");
        }
        let target = target(place.path());
        let shard = Options {
            part: Part::Shard(kopia_repository::verify::Shard::new(0, 2).unwrap()),
            ..Options::default()
        };
        for options in [Options::default(), shard] {
            let error = Staging::open(&target, root, &options).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("belongs to another user"), "{source}");
            assert_eq!(fs::read(planted.join("planted")).unwrap(), b"evil");
        }
        // The same name of our own is taken up.
        chown(&planted, Some(0), Some(0)).unwrap();
        assert!(Staging::open(&target, root, &Options::default()).unwrap().is_left());
    }

    #[test]
    fn a_directory_that_others_may_have_renamed_is_left_alone() {
        let mode = |path: &std::path::Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let root: ObjectId = "kaa".parse().unwrap();
        let shard = Options {
            part: Part::Shard(kopia_repository::verify::Shard::new(0, 2).unwrap()),
            ..Options::default()
        };
        for name in ["kaa", "kbb"] {
            let place = tempfile::tempdir().unwrap();
            let target = target(place.path());
            let renamed = place.path().join(format!("{PREFIX}{name}"));
            fs::create_dir(&renamed).unwrap();
            fs::write(renamed.join("precious"), b"x").unwrap();
            mode(&renamed, 0o755);
            mode(place.path(), 0o777);
            for options in [&Options::default(), &shard] {
                let opened = Staging::open(&target, root, options);
                if name == "kaa" {
                    let error = opened.unwrap_err();
                    let source = std::error::Error::source(&error).unwrap().to_string();
                    assert!(source.contains("is open to others"), "{source}");
                } else {
                    opened.unwrap();
                }
                assert!(renamed.join("precious").exists(), "{name}");
                assert_eq!(fs::metadata(&renamed).unwrap().permissions().mode() & 0o777, 0o755);
            }
            // What a restore made is closed to others, and in a target with the sticky bit nobody else renames it.
            mode(place.path(), if name == "kaa" { 0o777 } else { 0o1777 });
            mode(&renamed, if name == "kaa" { 0o700 } else { 0o755 });
            let staging = Staging::open(&target, root, &Options::default()).unwrap();
            assert!(staging.is_left(), "the one that was renamed, or that was just made");
            assert_eq!(renamed.exists(), name == "kaa");
        }
    }
}
