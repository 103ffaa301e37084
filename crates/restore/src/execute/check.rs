//! Is it there already? Reads what the target or an interrupted restore has, and compares its hash with the snapshot's.
//!
//! Bytes are right if they hash to the content that belongs there; nothing else is trusted. What is wrong goes back to the
//! planner, which plans to read it from the repository.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use kopia_repository::Repository;
use kopia_repository::object::Extent;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{SmallEntry, Worker};
use crate::destination::folder::Folder;
use crate::destination::keep::found_as_settable;
use crate::destination::look;
use crate::destination::merge::open_existing;
use crate::destination::metadata::has_time;
use crate::destination::unset::Unset;
use crate::outcome::Cause;
use crate::plan::batch::{Check, Found, Item};
use crate::plan::existing::Old;

/// The longest content that is compared: more than kopia's longest piece. A longer one is restored without being compared.
const LONGEST: u64 = 64 << 20;

/// Where an entry lies that may be right already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the target, where it was before the restore.
    Target,
    /// In the staging tree, where an interrupted restore left it.
    Staging,
}

/// The folder of the target that was used last.
#[derive(Default)]
pub(super) struct InTarget(Option<(Arc<Folder>, Rc<OwnedFd>)>);

impl InTarget {
    /// Opens a folder that the target had before.
    pub(super) fn open(&mut self, root: BorrowedFd<'_>, folder: &Arc<Folder>) -> io::Result<Rc<OwnedFd>> {
        if let Some((_, handle)) = self.0.as_ref().filter(|(open, _)| Arc::ptr_eq(open, folder)) {
            return Ok(handle.clone());
        }
        let handle = Rc::new(open_existing(root, folder)?);
        self.0 = Some((folder.clone(), handle.clone()));
        Ok(handle)
    }
}

impl Worker<'_> {
    /// Looks whether the bytes of a file, link or piece are there already.
    pub(super) fn check(&mut self, check: &Check) {
        if !self.shared.stopped() {
            match (&check.item, check.extent) {
                (Item::Small(entry), None) if self.shared.options.is_finish() && check.found.left => {
                    self.finish_entry(entry);
                }
                (Item::Small(entry), extent) => self.check_small(entry, extent, check.found),
                (Item::Large(file), Some(extent)) => self.check_piece(file, extent),
                (Item::Large(file), None) => self.large_file_one_done(file),
            }
        }
    }

    /// Finishes an entry that a shard has written.
    fn finish_entry(&mut self, entry: &SmallEntry) {
        let path = entry.folder.path_of(&entry.name);
        let taken = self.take_share(entry).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Cause::Entry("no shard has written it".into()),
            _ => error.into(),
        });
        match taken {
            Ok(_) if entry.symlink => {
                entry.folder.one_staged();
                self.shared.tally.symlink();
            }
            Ok(size) => {
                self.shared.tally.written(size);
                self.file_is_there(entry, size, 0);
            }
            Err(cause) => self.shared.tally.problem(path, cause),
        }
        self.child_done(entry.folder.clone());
    }

    /// Gives what a shard wrote its attributes, where they are missing; returns how many bytes a file has.
    fn take_share(&mut self, entry: &SmallEntry) -> io::Result<u64> {
        let folder = self.handles.open(&entry.folder)?;
        let stat = look(folder.as_fd(), &*entry.name)?.ok_or(io::ErrorKind::NotFound)?;
        if entry.symlink {
            let unset =
                self.metadata.correct_symlink(folder.as_fd(), &entry.name, &stat, &entry.attributes)?;
            self.shared.tally.unset(unset, || entry.path());
            return Ok(0);
        }
        // One that is finished may not be ours to open.
        let creator = self.shared.defaults.creator;
        if has_time(&stat, &entry.attributes)
            && found_as_settable(&stat, &entry.attributes, creator).is_some()
        {
            self.shared.tally.unset(Unset::of(&stat, &entry.attributes), || entry.path());
            return Ok(size(&stat));
        }
        let (file, stat) = open_file(folder.as_fd(), &entry.name, OFlags::RDONLY)?;
        let unset = self.metadata.correct_file(file.as_fd(), &entry.attributes)?;
        self.shared.tally.unset(unset, || entry.path());
        self.sync(&file)?;
        Ok(size(&stat))
    }

    fn check_small(&mut self, entry: &SmallEntry, extent: Option<Extent>, found: Found) {
        let folder = &entry.folder;
        let root = self.shared.target.folder.as_fd();
        if found.old == Some(Old::Compare)
            && let Ok(existing) = self.in_target.open(root, folder)
            && self.is_there(existing.as_fd(), entry, extent, Place::Target).unwrap_or(false)
        {
            self.discard(entry, found);
            let bytes = if entry.symlink { 0 } else { entry.size };
            self.shared.tally.kept(bytes);
            self.shared.tally.found(bytes);
            return self.child_done(folder.clone());
        }
        if found.left
            && let Ok(staged) = self.handles.open(folder)
            && self.is_there(staged.as_fd(), entry, extent, Place::Staging).unwrap_or(false)
        {
            match entry.symlink {
                true => {
                    self.is_staged(entry);
                    self.shared.tally.symlink();
                }
                false => {
                    self.shared.tally.found(entry.size);
                    self.file_is_there(entry, entry.size, entry.size);
                }
            }
            return self.child_done(folder.clone());
        }
        self.discard(entry, found);
        match extent {
            Some(extent) => self.shared.checks.give_back(Item::Small(entry.clone()), extent),
            None => self.small(entry, Ok(&[])),
        }
    }

    /// Says whether an entry of a folder has the right bytes; if so, gives it the right attributes.
    fn is_there(
        &mut self,
        folder: BorrowedFd<'_>,
        entry: &SmallEntry,
        extent: Option<Extent>,
        place: Place,
    ) -> io::Result<bool> {
        let name = &*entry.name;
        if entry.symlink {
            let target = rustix::fs::readlinkat(folder, name, Vec::new())?;
            let Some(stat) = look(folder, name)? else { return Ok(false) };
            let right = extent.is_some_and(|extent| {
                self.shared.repository.verify_content(&extent.content, target.to_bytes())
            });
            if !right || !self.may_stay(&stat, entry, place) {
                return Ok(false);
            }
            let unset = self.metadata.correct_symlink(folder, name, &stat, &entry.attributes)?;
            self.shared.tally.unset(unset, || entry.path());
            return Ok(true);
        }
        let (file, stat) = open_file(folder, name, OFlags::RDONLY)?;
        let length = size(&stat);
        if length != entry.size || !self.may_stay(&stat, entry, place) {
            return Ok(false);
        }
        let right = match extent {
            None => length == 0,
            Some(extent) => self.read_and_compare(file.as_fd(), &Extent { length: Some(length), ..extent }),
        };
        if right {
            let unset = self.metadata.correct_file(file.as_fd(), &entry.attributes)?;
            self.shared.tally.unset(unset, || entry.path());
            self.sync(&file)?;
        }
        Ok(right)
    }

    /// Returns whether a file or link with the right bytes may stay the one that it is. Nobody else gets into the staging tree.
    fn may_stay(&self, stat: &Stat, entry: &SmallEntry, place: Place) -> bool {
        place == Place::Staging || self.metadata.may_keep(stat, &entry.attributes)
    }

    /// Reads where a piece belongs and says whether it is there; its bytes are in `compared` then.
    pub(super) fn read_and_compare(&mut self, file: BorrowedFd<'_>, extent: &Extent) -> bool {
        is_right(self.shared.repository, file, extent, &mut self.compared)
    }

    /// Removes what an interrupted restore left of an entry, if it did.
    pub(crate) fn discard(&mut self, entry: &SmallEntry, found: Found) {
        if found.left
            && let Ok(folder) = self.handles.open(&entry.folder)
        {
            let _ = rustix::fs::unlinkat(&*folder, &*entry.name, AtFlags::empty());
        }
    }
}

/// Reads where a piece belongs and says whether it is there; its bytes are in `bytes` then.
pub(crate) fn is_right(
    repository: &Repository,
    file: BorrowedFd<'_>,
    extent: &Extent,
    bytes: &mut Vec<u8>,
) -> bool {
    // What an object names by its compressed bytes cannot be compared.
    let Some(length) = extent.length.filter(|&length| length <= LONGEST && !extent.compressed) else {
        return false;
    };
    bytes.resize(length as usize, 0);
    read_exact(file, bytes, extent.start).is_ok() && repository.verify_content(&extent.content, bytes)
}

/// Opens a file that was there before. Fails unless it is a regular file with a single hard link.
pub(crate) fn open_file(folder: BorrowedFd<'_>, name: &str, access: OFlags) -> io::Result<(OwnedFd, Stat)> {
    // A pipe that has just taken its place must not hold us up.
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok((file, stat))
}

/// Returns the size of a file in bytes.
pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

fn read_exact(file: BorrowedFd<'_>, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pread(file, &mut *bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                bytes = &mut bytes[count..];
                offset += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_ends_early_is_not_read_as_what_was_read_before() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, b"abc").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let mut bytes = *b"abcabc";
        assert!(read_exact(file.as_fd(), &mut bytes, 0).is_err());
        assert!(read_exact(file.as_fd(), &mut bytes[..3], 3).is_err());
        read_exact(file.as_fd(), &mut bytes[..2], 1).unwrap();
        assert_eq!(&bytes[..2], b"bc");
    }
}
