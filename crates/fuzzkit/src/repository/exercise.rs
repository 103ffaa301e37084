//! Everything that is done with a repository, within limits that a hostile one runs into.

use std::fs;
use std::io::Read;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use kopia_codec::key::Password;
use kopia_format::directory::{EntryKind, Summary};
use kopia_repository::tree::{Problem, Visitor, Walk, Walked};
use kopia_repository::{Defect, Entry, Error, Repository, Trail, verify};
use kopia_restore::Options;
use kopia_storage::MemoryStore;
use kopia_testkit::writer::PASSWORD;

use crate::scratch;

/// How many snapshots are read.
const SNAPSHOTS: usize = 2;
/// How deep directories are walked and restored.
const DEPTH: usize = 32;
/// How many entries are walked, and how many bytes of files are read. A tree with more is not restored: few
/// bytes can truly describe trees and files that no disk holds, and a restore would only end where the disk
/// does.
const ENTRIES: usize = 1000;
const BYTES: u64 = 4 << 20;

pub(super) fn exercise(store: MemoryStore, degraded: bool) {
    let password = Password::from(PASSWORD);
    let opened = if degraded {
        Repository::open_degraded(store, &password)
    } else {
        Repository::open(store, &password)
    };
    let Ok(repository) = opened else { return };
    let status = repository.status().expect("it has blobs");
    let mut contents = 0;
    repository.contents().for_each(|id, place| {
        contents += 1;
        assert!(place.stored_length() == repository.contents().origin(&place).length);
        let _ = repository.contents().locate(&id);
    });
    assert_eq!(contents, status.contents + status.deleted_contents);
    let Ok(snapshots) = repository.snapshots() else { return };
    for snapshot in snapshots.iter().take(SNAPSHOTS) {
        let Ok(root) = snapshot.root() else { continue };
        if Reader::tree(&root) {
            restore(&root);
        }
        let report = repository.verify_entry(Some(snapshot), &root, &verify::Options::default(), &());
        let report = report.expect("it has blobs");
        assert_eq!(report.is_sound(), report.damage.is_empty() && report.affected.is_empty());
    }
    if let Ok(report) = repository.verify(&verify::Options::default(), &()) {
        assert!(report.contents.verified <= status.contents);
    }
}

/// What may still be read.
struct Reader {
    entries: usize,
    bytes: u64,
    /// Whether everything was read.
    is_whole: bool,
}

impl Visitor for Reader {
    type Directory = ();

    fn leaf(&mut self, _: &mut Walked<()>, entry: Entry) -> ControlFlow<()> {
        self.count(&entry)?;
        self.is_whole &= self.read(&entry);
        ControlFlow::Continue(())
    }

    fn directory(
        &mut self,
        parent: &mut Walked<()>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<()>> {
        self.count(entry)?;
        if let Ok(trail) = way {
            assert_eq!(trail.path_of(""), parent.path_of(entry.name()));
            assert!(trail.depth() <= DEPTH);
        }
        ControlFlow::Continue(Some(()))
    }

    fn problem(&mut self, _: &mut Walked<()>, problem: Problem) -> ControlFlow<()> {
        match problem {
            Problem::Refused(refused) => assert!(!refused.why.to_string().is_empty()),
            Problem::Clash(_) | Problem::NotMerged { .. } => unreachable!("names are taken as they are"),
        }
        ControlFlow::Continue(())
    }

    fn leave(&mut self, _: Walked<()>, _: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl Reader {
    /// Reads a root and all below it; false if that is more than is allowed.
    fn tree(root: &Entry) -> bool {
        let mut reader = Self { entries: ENTRIES, bytes: BYTES, is_whole: true };
        if root.kind() != EntryKind::Directory {
            return reader.read(root);
        }
        let walk = Walk::new(root.repository()).max_depth(DEPTH);
        walk.run([(root, ())], &mut reader).is_continue() && reader.is_whole
    }

    /// Counts an entry, and stops where there are too many.
    fn count(&mut self, entry: &Entry) -> ControlFlow<()> {
        assert!(!matches!(entry.name(), "" | "." | "..") && !entry.name().contains(['/', '\0']));
        match self.entries.checked_sub(1) {
            Some(rest) => {
                self.entries = rest;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        }
    }

    /// Reads a file or link; false if it has too many bytes.
    fn read(&mut self, entry: &Entry) -> bool {
        if entry.kind() == EntryKind::Symlink {
            let _ = entry.target();
            return true;
        }
        // By the object, as its entry may have another size and a restore goes by the object, too.
        let Ok(mut file) = kopia_repository::object::ObjectReader::open(entry.repository(), entry.object())
        else {
            return true;
        };
        let Some(rest) = self.bytes.checked_sub(file.length()) else { return false };
        self.bytes = rest;
        let mut bytes = Vec::new();
        if file.read_to_end(&mut bytes).is_ok() {
            assert_eq!(bytes.len() as u64, file.length());
        }
        let middle = file.length() / 2;
        let mut some = [0; 16];
        if let (Ok(count), false) = (file.read_at(&mut some, middle), bytes.is_empty()) {
            assert_eq!(some[..count], bytes[middle as usize..middle as usize + count]);
        }
        entry.open().is_err() || entry.size() == bytes.len() as u64
    }
}

/// Restores into a directory, beside which nothing may appear.
fn restore(root: &Entry) {
    let place = scratch::directory();
    let mut options = Options::default();
    options.parallel = NonZeroUsize::new(1);
    options.max_depth = DEPTH;
    let target = place.path().join("target");
    let _ = kopia_restore::restore(root, &target, &options);
    let beside = fs::read_dir(place.path()).expect("a directory of our own");
    for entry in beside {
        assert_eq!(entry.expect("a directory of our own").path(), target, "it appeared beside the target");
    }
}
