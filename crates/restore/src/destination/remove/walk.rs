//! The walk over a tree that is removed, or looked at before it is.
//!
//! It reaches everything by handles, from the directory that the tree lies in on, and follows no link: whoever moves or
//! replaces a directory meanwhile must not lead it to what is not to be removed. It unlinks, and opens up directories
//! that their owner may not write in; of everything that stays it notes why.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kopia_repository::choice::{Chosen, Scope};
use rustix::fs::{AtFlags, Dir, Mode, Stat};
use rustix::io::Errno;

use super::super::mounts::{is_boundary, is_mounted};
use super::super::{DIRECTORY, Identity, is_directory, look, open_to_change, staging};
use super::{Kept, MoveAway, Spared};
use crate::kept;

/// How a tree is walked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Whether anything is removed at all.
    pub(super) removes: bool,
    /// Whether directories with an unfinished restore in them are left alone, and those in which one keeps what it
    /// replaced.
    pub(super) spares_restores: bool,
}

/// Directories are emptied one after the other, going down by name and up by `..`, so that the number of open
/// files does not grow with depth; device and inode say whether `..` is where we came from.
pub(super) fn walk(
    parent: BorrowedFd<'_>,
    name: &[u8],
    wanted: Option<Identity>,
    manner: Manner,
    spared: Option<Spared<'_>>,
) -> io::Result<Kept> {
    walk_with(parent, name, wanted, manner, (spared, None))
}

pub(super) fn walk_with<'a>(
    parent: BorrowedFd<'_>,
    name: &[u8],
    wanted: Option<Identity>,
    manner: Manner,
    (spared, moves): (Option<Spared<'a>>, Option<MoveAway<'a>>),
) -> io::Result<Kept> {
    let chosen = spared.map(|spared| spared.chosen);
    let mut walk = Walk { manner, chosen, path: Vec::new(), kept: Kept::default(), failed: None, moves };
    let Some(stat) = look(parent, name)? else { return Ok(walk.kept) };
    let below = spared.map_or(Some(Scope::default()), |spared| spared.below(name, is_directory(&stat)));
    let Some(below) = below else {
        walk.kept.not_chosen += 1;
        return Ok(walk.kept);
    };
    if !is_directory(&stat) {
        if wanted.is_some() {
            return Err(replaced());
        }
        walk.remove_file(parent, name)?;
        return Ok(walk.kept);
    }
    if is_boundary(parent, name, &stat, rustix::fs::fstat(parent)?.st_dev)? {
        walk.note_mount(name);
        return Ok(walk.kept);
    }
    let mut current = walk.open(parent, name)?;
    if wanted.is_some_and(|wanted| Identity::of(&current).is_ok_and(|found| found != wanted)) {
        return Err(replaced());
    }
    walk.path.push(name.to_vec());
    let mut level = walk.empty(&current, &below)?;
    let mut above: Vec<Level> = Vec::new();
    loop {
        if let Some((child, scope)) = level.directories.pop() {
            let child = child.as_bytes();
            if manner.removes && rustix::fs::unlinkat(&current, child, AtFlags::REMOVEDIR).is_ok() {
                continue;
            }
            if look(current.as_fd(), child)?.is_none() {
                continue;
            }
            if is_mounted(current.as_fd(), child)? {
                walk.note_mount(child);
                level.keeps = true;
                continue;
            }
            current = walk.open(current.as_fd(), child)?;
            walk.path.push(child.to_vec());
            let below = walk.empty(&current, &scope)?;
            above.push(std::mem::replace(&mut level, below));
            continue;
        }
        let Some(mut upper) = above.pop() else { break };
        current = go_up(current.as_fd(), upper.identity)?;
        let done = walk.path.pop().unwrap_or_default();
        if level.keeps {
            upper.keeps = true;
        } else if manner.removes
            && let Err(errno) = rustix::fs::unlinkat(&current, &*done, AtFlags::REMOVEDIR)
        {
            walk.failed.get_or_insert(errno.into());
            upper.keeps = true;
        }
        level = upper;
    }
    if let Some(error) = walk.failed {
        return Err(error);
    }
    if manner.removes && !level.keeps {
        rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?;
    }
    Ok(walk.kept)
}

/// Opens the directory that another one lies in.
///
/// # Errors
/// What the system says; also if it is not the directory that was gone down from.
pub(super) fn go_up(from: BorrowedFd<'_>, expected: Identity) -> io::Result<OwnedFd> {
    let up = rustix::fs::openat(from, "..", DIRECTORY, Mode::empty())?;
    if Identity::of(&up)? != expected {
        return Err(io::Error::other("the directory was moved while it was removed"));
    }
    Ok(up)
}

fn replaced() -> io::Error {
    io::Error::other("something else has taken its place")
}

/// A directory that is being emptied.
struct Level {
    identity: Identity,
    /// Its directories that are still to be removed, with what is chosen in them.
    directories: Vec<(CString, Scope)>,
    /// Whether it has to stay, because something in it does.
    keeps: bool,
}

struct Walk<'a> {
    manner: Manner,
    /// What may go, if not everything.
    chosen: Option<&'a Chosen>,
    /// The names of the directories that lead to the one that is being emptied.
    path: Vec<Vec<u8>>,
    kept: Kept,
    /// Why something could not be removed: the first of all. The rest goes all the same.
    failed: Option<io::Error>,
    moves: Option<MoveAway<'a>>,
}

impl Walk<'_> {
    fn open(&self, parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
        if self.manner.removes {
            return open_to_change(parent, name);
        }
        Ok(rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?)
    }

    /// Removes all files of a directory that are chosen, and lists such directories.
    fn empty(&mut self, directory: &OwnedFd, scope: &Scope) -> io::Result<Level> {
        let identity = Identity::of(directory)?;
        let mut level = Level { identity, directories: Vec::new(), keeps: false };
        // Before anything goes: whatever lies beside an unfinished restore may be what that has just put
        // there.
        if self.manner.spares_restores && staging::is_in_use(directory.as_fd())? {
            self.kept.restores.push(self.path_of(None));
            level.keeps = true;
            return Ok(level);
        }
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = look(directory.as_fd(), name)?;
            let spared = self.chosen.map(|chosen| Spared { chosen, scope });
            let is_directory = stat.as_ref().is_some_and(is_directory);
            let below = spared.map_or(Some(Scope::default()), |it| it.below(name.to_bytes(), is_directory));
            match stat {
                Some(_) if below.is_none() => {
                    self.kept.not_chosen += 1;
                    level.keeps = true;
                }
                // A subvolume is no mount, and an empty one could be removed like a directory.
                Some(stat) if is_directory && stat.st_dev != identity.device => {
                    self.note_mount(name.to_bytes());
                    level.keeps = true;
                }
                Some(_)
                    if is_directory
                        && self.manner.spares_restores
                        && name.to_bytes().starts_with(kept::PREFIX.as_bytes()) =>
                {
                    self.kept.restores.push(self.path_of(Some(name.to_bytes())));
                    level.keeps = true;
                }
                Some(_) if is_directory => {
                    level.directories.push((name.to_owned(), below.unwrap_or_default()));
                }
                Some(stat) if self.is_moved_away(directory.as_fd(), name.to_bytes(), &stat)? => {}
                Some(_) => match self.remove_file(directory.as_fd(), name.to_bytes()) {
                    Ok(stays) => level.keeps |= stays,
                    Err(error) => {
                        self.failed.get_or_insert(error);
                        level.keeps = true;
                    }
                },
                None => {}
            }
        }
        Ok(level)
    }

    fn is_moved_away(&mut self, parent: BorrowedFd<'_>, name: &[u8], stat: &Stat) -> io::Result<bool> {
        let Some(moves) = &mut self.moves else { return Ok(false) };
        let names: Vec<_> = self.path.iter().map(|name| &name[..]).chain([name]).collect();
        moves(parent, name, stat, &names.join(&b'/'))
    }

    /// Removes a file; returns whether it stays because something is mounted on it.
    fn remove_file(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<bool> {
        if !self.manner.removes {
            let mounted = is_mounted(parent, name)?;
            if mounted {
                self.note_mount(name);
            }
            return Ok(mounted);
        }
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(false),
            // CIFS says so of files that are open elsewhere, too.
            Err(Errno::BUSY) if is_mounted(parent, name).unwrap_or(true) => {
                self.note_mount(name);
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn note_mount(&mut self, name: &[u8]) {
        let path = self.path_of(Some(name));
        self.kept.mounts.push(path);
    }

    fn path_of(&self, name: Option<&[u8]>) -> String {
        let names: Vec<_> = self.path.iter().map(|name| &name[..]).chain(name).collect();
        String::from_utf8_lossy(&names.join(&b'/')).into_owned()
    }
}
