//! Goes through a journal from its end to its beginning, and puts everything back.
//!
//! Here an undo begins and ends. What the records ask for is done in rooms below this one: moving in `entries`,
//! setting modes, owners and times in `attributes`.

mod attributes;
mod entries;
mod own;
mod parent;
mod refused;
mod span;
mod target;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::aside::Aside;
use super::folder::{KeptFolder, error};
use super::journal::{Backwards, Journal};
use super::keeping::open_store;
use super::record::Record;
use super::sweep::remove_empty;
use super::{ASIDE, KEPT};
use crate::destination::{Identity, look, staging};
use crate::outcome::KEPT as MOST_PROBLEMS;
use crate::reason::Operation;
use crate::{Error, Notes, Problem, Reason, Result};
use attributes::times;
use own::Own;
use refused::Refused;
use target::open_target;

/// What an undo did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Undone {
    /// What was replaced or deleted and is back, each directory with all below it as one.
    pub restored: u64,
    /// What the restore had written and is gone, each new directory with all below it as one.
    pub removed: u64,
    /// What had been changed or made after the restore and was put aside.
    pub aside: u64,
    /// The first 100 of these paths, below the target.
    pub aside_paths: Vec<String>,
    /// Where they lie.
    pub aside_in: Option<PathBuf>,
    /// Files whose bytes the restore had left alone, and that were changed after it: they stay as they are.
    pub changed_since: u64,
    /// Owners, modes and times that the target refuses, or takes and does nothing: all else is back. What this
    /// process alone is refused, as it lacks a right or an entry is immutable, is among the problems.
    pub notes: Notes,
    /// What could not be put back. What is kept of it stays kept, and the undo can be run again.
    ///
    /// Of what was deleted and is not kept any more, the first undo alone knows that it is not back already.
    pub problem_count: u64,
    /// The first 10,000 of them.
    pub problems: Vec<Problem>,
}

struct Undo<'a> {
    target: OwnedFd,
    device: u64,
    /// Whether inode numbers last, and times of change are what they say.
    is_posix: bool,
    store: OwnedFd,
    aside: Aside<'a>,
    own: Own<'a>,
    undone: Undone,
    /// Whether an earlier undo has begun, which may have put back anything that is not in the store.
    again: bool,
    /// The number of what the last that was put somewhere replaced.
    replaced: Option<u64>,
    /// The same, if that was replaced and is not kept any more.
    lost: Option<u64>,
    /// The directory that was used last, by its path.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Directories that were opened up so that something in them can be changed, and their modes.
    opened: BTreeMap<Vec<u8>, u32>,
    /// What the target refused.
    refused: Refused,
}

/// Undoes all that a journal says. Whether inode numbers last is asked of the target.
pub(super) fn run(mut folder: KeptFolder, is_posix: fn(BorrowedFd<'_>) -> bool) -> Result<Undone> {
    let path = folder.target();
    let failed = |source: io::Error| error(&path, "cannot be put back as it was", source);
    let Some(target) = open_target(&mut folder, is_posix).map_err(failed)? else {
        // The restore had made it, and it is gone.
        return finish(folder, Undone::default());
    };
    let device = rustix::fs::fstat(&target).map_err(|errno| failed(errno.into()))?.st_dev;
    let store = open_store(folder.handle.as_fd()).map_err(failed)?;
    if rustix::fs::fstat(&store).map_err(|errno| failed(errno.into()))?.st_dev != device {
        return Err(failed(Errno::XDEV.into()));
    }
    if !staging::remove_left(target.as_fd(), &folder.read.header.key).map_err(failed)? {
        return Err(Error::Busy { target: path });
    }
    let again = folder.read.undoing;
    if !again {
        note_begun(&mut folder);
    }
    let is_posix = is_posix(target.as_fd());
    let mut undo = Undo {
        target,
        device,
        is_posix,
        store,
        aside: Aside::new(folder.handle.as_fd()),
        own: Own::new(folder.handle.as_fd()),
        undone: Undone::default(),
        again,
        replaced: None,
        lost: None,
        last: None,
        opened: BTreeMap::new(),
        refused: Refused::default(),
    };
    undo.open_up().map_err(failed)?;
    let mut records = Backwards::open(folder.handle.as_fd(), &folder.read).map_err(failed)?;
    while let Some(record) = records.next().map_err(failed)? {
        let (done, path) = match record {
            Record::Put(put) => (undo.put(&put), put.path),
            Record::Keep { number, mode, path } => (undo.keep(number, mode, &path), path),
            Record::Directory { found, path } => (undo.directory(&found, &path), path),
            Record::Attributes { inode, found, then, path } => {
                (undo.attributes(inode, &found, then, &path), path)
            }
            Record::Done | Record::Target { .. } | Record::Undoing | Record::Undone | Record::Forgotten => {
                continue;
            }
        };
        if let Err(error) = done {
            undo.last = None;
            undo.problem(&path, error);
        }
    }
    undo.close();
    let Undo { target, aside, mut undone, opened, refused, .. } = undo;
    (undone.aside, undone.aside_paths) = (aside.count, aside.paths);
    undone.notes = refused.notes();
    let first = folder.read.root.map(|found| found.modified);
    let close = || {
        if let Some(mode) = opened.get(&b""[..]) {
            let _ = rustix::fs::fchmod(&target, Mode::from_raw_mode(*mode));
        }
    };
    let lies_beside = Identity::of(&folder.parent).ok() != Identity::of(&target).ok();
    if lies_beside {
        // Whoever is killed after the journal is gone has nothing that says so.
        close();
        return finish(folder, undone);
    }
    let undone = finish(folder, undone)?;
    if let Some(modified) = first.filter(|_| undone.problem_count == 0) {
        let _ = rustix::fs::futimens(&target, &times(modified));
    }
    close();
    Ok(undone)
}

/// Notes that an undo has begun. Where that cannot be, as on a full disk, the next is taken for the first.
fn note_begun(folder: &mut KeptFolder) {
    let journal = Journal::open(folder.handle.as_fd(), folder.read.length);
    match journal.and_then(|mut journal| journal.record(&Record::Undoing).and_then(|()| journal.sync())) {
        Ok(()) => folder.read.length += Record::Undoing.line().len() as u64,
        Err(error) => tracing::debug!(%error, "the journal does not say that an undo has begun"),
    }
}

/// Notes that everything was undone, and removes the folder unless something lies aside.
fn finish(folder: KeptFolder, mut undone: Undone) -> Result<Undone> {
    let has_aside = look(folder.handle.as_fd(), ASIDE).is_ok_and(|aside| aside.is_some());
    undone.aside_in = has_aside.then(|| folder.path.join(ASIDE));
    if undone.problem_count > 0 {
        return Ok(undone);
    }
    let remove_new = || {
        if folder.read.header.new {
            // Unless somebody has put something there.
            let _ = rustix::fs::rmdir(folder.target());
        }
    };
    // As long as the journal says that it goes.
    remove_new();
    if has_aside {
        let note = || -> io::Result<()> {
            let mut journal = Journal::open(folder.handle.as_fd(), folder.read.length)?;
            journal.record(&Record::Undone)?;
            journal.sync()
        };
        note().map_err(|source| error(&folder.path, "cannot be noted as undone", source))?;
        let _ = rustix::fs::unlinkat(&folder.handle, KEPT, AtFlags::REMOVEDIR);
    } else {
        let _ = remove_empty(folder.parent.as_fd(), &folder.name, folder.handle.as_fd());
        // For a single file, the folder lies in it.
        remove_new();
    }
    Ok(undone)
}

impl Undo<'_> {
    fn problem(&mut self, path: &[u8], error: io::Error) {
        // Of this entry that is all that needs to be said.
        let _ = self.own.take_denied();
        self.undone.problem_count += 1;
        if self.undone.problems.len() < MOST_PROBLEMS {
            let (path, reason) =
                (String::from_utf8_lossy(path).into_owned(), Reason::of(Operation::Move, error));
            self.undone.problems.push(Problem { path, reason, salvaged: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use kopia_testkit::writer::RepositoryWriter;
    use serde_json::json;

    use super::*;
    use crate::Options;
    use crate::testing::root_of;

    #[test]
    fn where_inode_numbers_do_not_last_files_are_known_by_size_and_time() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        let at = |name: &str| target.join(name);
        fs::create_dir(&target).unwrap();
        for (name, text) in [("changed", "old"), ("mode", "text")] {
            fs::write(at(name), text).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let mut writer = RepositoryWriter::new();
        let text = writer.file(b"text");
        let file = |name: &str| {
            json!({"name": name, "type": "f", "mode": "0644", "size": 4, "mtime": "2020-01-02T03:04:05Z",
                "obj": text})
        };
        let inner = writer.directory(&[file("x")]);
        let made = json!({"name": "made", "type": "d", "mode": "0755", "obj": inner});
        let root = root_of(writer, &[file("changed"), made, file("mode"), file("new"), file("newer")]);
        let options = Options { keep_replaced: true, root_attributes: false, ..Options::default() };
        let path = crate::restore(&root, &target, &options).unwrap().kept_in.unwrap();
        fs::write(at("newer"), "newer").unwrap();
        // As if it had been mounted again.
        let journal = path.join("journal");
        let renumbered = |line: &str| {
            let mut words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            let inode = match &*words[0] {
                "kopia-rs-undo" => 2,
                "put" | "attr" => 1,
                _ => 0,
            };
            if inode > 0 {
                words[inode] = (words[inode].parse::<u64>().unwrap() + 1_000_000_000).to_string();
            }
            words.join(" ") + "\n"
        };
        let lines: String = fs::read_to_string(&journal).unwrap().lines().map(renumbered).collect();
        assert!(lines.contains("\nattr ") && lines.contains("\nput "), "{lines}");
        fs::write(&journal, lines).unwrap();
        let open = || KeptFolder::open(&path).unwrap();
        assert!(run(open(), |_| true).is_err(), "it is another folder");
        let mut undone = run(open(), |_| false).unwrap();
        assert_eq!((undone.problem_count, undone.changed_since), (0, 0), "{undone:?}");
        undone.aside_paths.sort();
        assert_eq!(undone.aside_paths, ["made", "newer"]);
        let mode = |name: &str| fs::metadata(at(name)).unwrap().mode() & 0o7777;
        assert_eq!(
            (fs::read(at("changed")).unwrap(), mode("changed"), mode("mode")),
            (b"old".to_vec(), 0o600, 0o600)
        );
        assert_eq!(fs::read_dir(&target).unwrap().count(), 2);
    }
}
