//! The one directory that is there while a restore is unfinished.

mod leftovers;
mod ownership;
pub(crate) mod pending;
mod proof;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use kopia_format::ObjectId;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

pub(crate) use leftovers::{has_others, is_busy, is_in_use, is_marker, markers_of, remove_markers};
pub(crate) use ownership::{is_closed, is_own};

use leftovers::{is_of, leftovers, remove_all};
use ownership::{is_doubtful, is_proven, lock, not_ours, open_own, prove, sets_modes};

use super::lockable::Lockable;
use super::metadata::subject::is_refusal;
use super::remove::remove_tree;
use super::target::Target;
use super::{Identity, look, open_directory};
use crate::{Error, Options, Result};

/// What the names of staging directories begin with.
pub(crate) const PREFIX: &str = ".kopia-rs-restore-";

/// What stands behind a staging directory's name in those of its shards' locks.
pub(crate) const LOCK: &str = ".lock-";

/// Marks a directory that backups leave out, see <https://bford.info/cachedir/>.
const TAG: &str = "CACHEDIR.TAG";

const TAG_TEXT: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55
# What a restore of kopia-rs has written so far. The same restore takes it up; it is gone when that has come to its end.
";

/// The staging directory of this restore. It is open to its owner alone, and has the sticky bit if the target
/// was created for this restore, so that a later run knows it. It is locked from before it is used until it
/// is gone, so that two restores do not remove each other's.
#[derive(Debug)]
pub(crate) struct Staging {
    handle: Lockable,
    name: String,
    /// Whether an interrupted restore of the same root left it.
    left: bool,
    /// Whether the tag in it is ours, and no entry of the snapshot.
    has_tag: AtomicBool,
    /// What a probe has left in it.
    left_by_probe: OnceLock<String>,
}

impl Staging {
    /// Makes the directory for a root and what is chosen of it, or takes up what an interrupted restore of the
    /// same left; removes what others left in the target, but for those that are
    /// [`beside`](crate::Options::beside) it.
    pub(crate) fn open(target: &Target, root: ObjectId, options: &Options) -> Result<Self> {
        if options.is_shard() {
            return Self::share(target, name_of(root, options));
        }
        let directory = target.directory.as_fd();
        let error = |source: io::Error| target.error("cannot be written", source);
        let busy = || Error::Busy { target: target.path.clone() };
        let name = name_of(root, options);
        // Beside a single file others may be at work, in a directory that everybody shares.
        let (leftovers, markers) = match target.name {
            None => leftovers(directory).map_err(error)?,
            Some(_) => (vec![name.clone()], Vec::new()),
        };
        let mut taken_up = None;
        for leftover in leftovers {
            // There may be thousands of them, and each looks at its own.
            if is_beside(&leftover, root, options) {
                continue;
            }
            let Some(handle) = open_own(target, &leftover).map_err(error)? else { continue };
            if !lock(&handle, directory, &leftover).map_err(error)? {
                return Err(busy());
            }
            if leftover == name {
                tracing::info!(leftover, "taking up what an interrupted restore left");
                taken_up = Some(handle);
                continue;
            }
            tracing::info!(leftover, "removing what an interrupted restore left");
            remove_all(directory, markers.iter().filter(|marker| is_of(marker, &leftover))).map_err(error)?;
            remove(directory, handle.as_fd(), &leftover).map_err(error)?;
        }
        // Of all other roots there is nothing left.
        let stays = |marker: &&String| {
            options.is_finish() && is_of(marker, &name) || is_beside(marker, root, options)
        };
        remove_all(directory, markers.iter().filter(|marker| !stays(marker))).map_err(error)?;
        if let Some(handle) = taken_up {
            return Ok(Self::new(handle, name, true));
        }
        match make(target, &name) {
            Err(Errno::EXIST) => {
                return Err(in_the_way(directory, &name).map_err(error)?.map_or_else(busy, error));
            }
            made => made.map_err(|errno| error(errno.into()))?,
        }
        let handle = match open_directory(directory, &name) {
            // Another one has taken it up since, and come to its end.
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Err(busy()),
            handle => Lockable::new(handle.map_err(error)?),
        };
        // In a target where others may rename, one of theirs may have taken its place.
        let stat = rustix::fs::fstat(&handle).map_err(|errno| error(errno.into()))?;
        if !is_own(directory, &stat) || is_doubtful(directory, &stat) {
            return Err(error(not_ours(&name, &stat)));
        }
        let is_proven = prove(directory, handle.as_fd(), &name).map_err(error)?;
        if !is_proven || !lock(&handle, directory, &name).map_err(error)? {
            return Err(busy());
        }
        Ok(Self::new(handle, name, false))
    }

    fn new(handle: Lockable, name: String, left: bool) -> Self {
        Self { handle, name, left, has_tag: AtomicBool::new(false), left_by_probe: OnceLock::new() }
    }

    /// Makes the directory for a root, or opens it beside others that write in it.
    fn share(target: &Target, name: String) -> Result<Self> {
        let directory = target.directory.as_fd();
        let error = |source: io::Error| target.error("cannot be written", source);
        let busy = || Error::Busy { target: target.path.clone() };
        match make(target, &name) {
            // The markers of a directory that is gone stand for nothing; a lock may be another shard's that
            // has just begun.
            Ok(()) => {
                let mut markers = markers_of(directory, &name).map_err(error)?;
                markers.retain(|marker| !marker[name.len()..].starts_with(LOCK));
                remove_all(directory, markers.iter()).map_err(error)?;
                if let Some(handle) = open_own(target, &name).map_err(error)?
                    && !prove(directory, handle.as_fd(), &name).map_err(error)?
                {
                    return Err(busy());
                }
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(error(errno.into())),
        }
        let Some(handle) = open_own(target, &name).map_err(error)? else {
            return Err(match look(directory, &*name).map_err(error)? {
                Some(stat) => error(not_ours(&name, &stat)),
                // The process that finished the restore has just removed it.
                None => busy(),
            });
        };
        // Some network file systems have no locks; then nothing warns of a restore of the whole.
        let locked = handle.try_share();
        // The process that finished the restore may just have removed it.
        let named = look(directory, &*name).map_err(error)?.map(|stat| Identity::from(&stat));
        if locked == Err(Errno::WOULDBLOCK) || named != Some(Identity::of(&handle).map_err(error)?) {
            return Err(busy());
        }
        let staging = Self::new(handle, name, true);
        // Before others find a target that is as new as this, or as the lock that comes next. A run of the whole
        // that was stopped has left the target its time, and no note; what a shard has noted already stays.
        pending::note_target(target, &staging);
        Ok(staging)
    }

    /// Returns the directory's name in the target.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns what tells it from those of other restores: the root, and what is chosen of it.
    pub(crate) fn key(&self) -> &str {
        self.name.strip_prefix(PREFIX).unwrap_or(&self.name)
    }

    /// Returns whether an interrupted restore left the directory, with what it had done in it.
    pub(crate) fn is_left(&self) -> bool {
        self.left
    }

    /// Returns the directory's path, for messages only.
    pub(crate) fn path(&self, target: &Target) -> PathBuf {
        target.path.join(&self.name)
    }

    /// Returns the directory's handle.
    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Puts a tag into the directory that keeps it out of backups.
    ///
    /// They do without it if there is no room.
    ///
    /// The snapshot's root must have no entry of that name, nor of one that some file system may take for it.
    pub(crate) fn tag(&self) {
        self.has_tag.store(true, Ordering::Relaxed);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.handle, TAG, flags, Mode::RUSR | Mode::WUSR);
        let written = file.and_then(|file| {
            let length = rustix::io::pwrite(&file, TAG_TEXT, 0)?;
            // One that is there already may be longer.
            rustix::fs::ftruncate(file, length as u64)
        });
        let _ = written.inspect_err(|errno| tracing::debug!(%errno, "no {TAG}"));
    }

    /// Takes the tag away, if it is ours.
    pub(crate) fn untag(&self) {
        if self.has_tag.load(Ordering::Relaxed) {
            let _ = rustix::fs::unlinkat(&self.handle, TAG, AtFlags::empty());
        }
    }

    /// Notes the name of what a probe cannot remove, which then goes with the directory.
    pub(crate) fn note_left_by_probe(&self, name: String) {
        let _ = self.left_by_probe.set(name);
    }

    /// Returns whether a name in the directory is that of our tag, of what proves that a restore made it and
    /// holds its notes, or of what a probe has left.
    /// Where case is folded, it may be listed by another one; the snapshot's root has none that could be taken
    /// for it.
    pub(crate) fn is_our_own(&self, name: &[u8]) -> bool {
        let is_tag = name.eq_ignore_ascii_case(TAG.as_bytes());
        let is_left = || self.left_by_probe.get().is_some_and(|left| left.as_bytes() == name);
        is_tag && self.has_tag.load(Ordering::Relaxed)
            || name.eq_ignore_ascii_case(self.name.as_bytes())
            || is_left()
    }

    /// Removes the directory if it was not there before.
    pub(crate) fn remove_new(&self, target: &Target) {
        if !self.left {
            let _ = self.remove(target);
        }
    }

    /// Removes the directory and whatever could not be moved out of it.
    pub(crate) fn remove(&self, target: &Target) -> Result<()> {
        let removed = remove(target.directory.as_fd(), self.handle(), &self.name);
        removed.map_err(|source| target.error("the unfinished folder cannot be removed", source))
    }
}

/// Returns the name of the staging directory of a root, and of what is chosen of it.
fn name_of(root: ObjectId, options: &Options) -> String {
    let chosen = options.chosen.as_ref().map(|chosen| format!("-{:016x}", chosen.digest()));
    format!("{PREFIX}{root}{}", chosen.unwrap_or_default())
}

/// Returns whether a staging directory, or a marker beside one, is that of another root that goes to the same
/// target.
fn is_beside(name: &str, root: ObjectId, options: &Options) -> bool {
    let of = name.strip_prefix(PREFIX).and_then(|key| key.split(['-', '.']).next());
    let of = of.and_then(|of| of.parse::<ObjectId>().ok());
    of.is_some_and(|of| of != root && options.beside.contains(&of))
}

/// Removes what an interrupted restore left in a directory, of whose name `key` stands behind the prefix.
///
/// Returns false if that restore is still running.
pub(crate) fn remove_left(directory: BorrowedFd<'_>, key: &str) -> io::Result<bool> {
    let name = format!("{PREFIX}{key}");
    let handle = match open_directory(directory, &name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        handle => Lockable::new(handle?),
    };
    let stat = rustix::fs::fstat(&handle)?;
    // Where no mode can be set, every directory is shown alike.
    if !is_own(directory, &stat) || !is_closed(&stat) && sets_modes(directory) {
        return Ok(true);
    }
    if !lock(&handle, directory, &name)? {
        return Ok(false);
    }
    remove(directory, handle.as_fd(), &name)?;
    Ok(true)
}

/// Removes a staging directory with all that is in it.
fn remove(target: BorrowedFd<'_>, handle: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let identity = Identity::of(handle)?;
    proof::remove_others(handle, name)?;
    remove_tree(target, name.as_bytes(), Some(identity)).map(drop)
}

/// Returns what is wrong with a directory that has the name of a staging directory and was not there before.
///
/// Nothing if it is another restore's, which made it since the target was looked through.
fn in_the_way(target: BorrowedFd<'_>, name: &str) -> io::Result<Option<io::Error>> {
    let Some(stat) = look(target, name)? else { return Ok(None) };
    let is_none = || !is_own(target, &stat) || !is_closed(&stat) || is_doubtful(target, &stat);
    let is_other = || {
        let proven = open_directory(target, name).and_then(|handle| is_proven(target, handle.as_fd(), name));
        proven.is_ok_and(|proven| !proven)
    };
    Ok((is_none() || is_other()).then(|| not_ours(name, &stat)))
}

/// Makes a staging directory, if need be in a target that its owner may not write in yet.
fn make(target: &Target, name: &str) -> rustix::io::Result<()> {
    let make_with = |mode| rustix::fs::mkdirat(target.directory.as_fd(), name, mode);
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

#[cfg(test)]
mod tests;
