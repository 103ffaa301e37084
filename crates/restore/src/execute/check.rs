//! Is it there already? Reads what the target or an interrupted restore has, and compares its hash with the snapshot's.
//!
//! Bytes are right if they hash to the content that belongs there; nothing else is trusted. What is wrong goes back to the
//! planner, which plans to read it from the repository.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use kopia_repository::object::Run;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{SmallEntry, Worker};
use crate::destination::folder::Folder;
use crate::destination::look;
use crate::destination::merge::open_existing;
use crate::plan::batch::{Check, Found, Item};
use crate::plan::existing::Old;

/// The longest content that is compared: more than kopia's longest piece. A longer one is restored without being compared.
const LONGEST: u64 = 64 << 20;

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
            match (&check.item, check.run) {
                (Item::Small(entry), run) => self.check_small(entry, run, check.found),
                (Item::Large(file), Some(run)) => self.check_piece(file, run),
                (Item::Large(file), None) => self.large_file_one_done(file),
            }
        }
        self.shared.checks.done();
    }

    fn check_small(&mut self, entry: &SmallEntry, run: Option<Run>, found: Found) {
        let folder = &entry.folder;
        let root = self.shared.target.folder.as_fd();
        if found.old == Some(Old::Compare)
            && let Ok(existing) = self.in_target.open(root, folder)
            && self.is_there(existing.as_fd(), entry, run).unwrap_or(false)
        {
            self.discard(entry, found);
            self.shared.tally.kept();
            self.shared.tally.found(if entry.symlink { 0 } else { entry.size });
            return self.child_done(folder.clone());
        }
        if found.left
            && let Ok(staged) = self.handles.open(folder)
            && self.is_there(staged.as_fd(), entry, run).unwrap_or(false)
        {
            match entry.symlink {
                true => {
                    folder.one_staged();
                    self.shared.tally.symlink();
                }
                false => {
                    self.shared.tally.found(entry.size);
                    self.file_is_there(entry, entry.size);
                }
            }
            return self.child_done(folder.clone());
        }
        self.discard(entry, found);
        match run {
            Some(run) => self.shared.checks.give_back(Item::Small(entry.clone()), run),
            None => self.small(entry, Ok(&[])),
        }
    }

    /// Says whether an entry of a folder has the right bytes; if so, gives it the right attributes.
    fn is_there(&mut self, folder: BorrowedFd<'_>, entry: &SmallEntry, run: Option<Run>) -> io::Result<bool> {
        let name = &*entry.name;
        if entry.symlink {
            let target = rustix::fs::readlinkat(folder, name, Vec::new())?;
            let Some(stat) = look(folder, name)? else { return Ok(false) };
            let right = run.is_some_and(|run| self.is_content(&run, target.to_bytes()));
            if right {
                self.metadata.correct_symlink(folder, name, &stat, &entry.attributes)?;
            }
            return Ok(right);
        }
        let (file, size) = open_file(folder, name, OFlags::RDONLY)?;
        if size != entry.size {
            return Ok(false);
        }
        let right = match run {
            None => size == 0,
            Some(run) => self.read_and_compare(file.as_fd(), &Run { length: Some(size), ..run }),
        };
        if right {
            self.metadata.correct_file(file.as_fd(), &entry.attributes)?;
            self.sync(&file)?;
        }
        Ok(right)
    }

    /// Reads where a piece belongs and says whether it is there; its bytes are in `compared` then.
    pub(super) fn read_and_compare(&mut self, file: BorrowedFd<'_>, run: &Run) -> bool {
        let Some(length) = run.length.filter(|&length| length <= LONGEST) else { return false };
        let mut bytes = std::mem::take(&mut self.compared);
        bytes.resize(length as usize, 0);
        let right = read_exact(file, &mut bytes, run.start).is_ok() && self.is_content(run, &bytes);
        self.compared = bytes;
        right
    }

    fn is_content(&self, run: &Run, bytes: &[u8]) -> bool {
        self.shared.repository.verify_content(&run.content, bytes)
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

/// Opens a file that was there before, and returns its size. What is no file, or has other names, is none of ours.
pub(super) fn open_file(folder: BorrowedFd<'_>, name: &str, access: OFlags) -> io::Result<(OwnedFd, u64)> {
    // A pipe that has just taken its place must not hold us up.
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok((file, u64::try_from(stat.st_size).unwrap_or_default()))
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
