//! Everything that is done with a repository, within limits that a hostile one runs into.

use std::fs;
use std::io::Read;
use std::num::NonZeroUsize;

use kopia_codec::key::Password;
use kopia_format::directory::EntryKind;
use kopia_repository::{Entry, Repository, verify};
use kopia_restore::Options;
use kopia_storage::MemoryStore;
use kopia_testkit::writer::PASSWORD;

use crate::scratch;

/// How many snapshots are read.
const SNAPSHOTS: usize = 2;
/// How deep folders are walked and restored.
const DEPTH: usize = 32;
/// How many entries are walked, and how many bytes of files are read. A tree with more is not restored: few bytes can
/// truly describe trees and files that no disk holds, and a restore would only end where the disk does.
const ENTRIES: usize = 1000;
const BYTES: u64 = 4 << 20;

pub(super) fn exercise(store: MemoryStore, degraded: bool) {
    let password = Password::from(PASSWORD);
    let opened = match degraded {
        true => Repository::open_degraded(store, &password),
        false => Repository::open(store, &password),
    };
    let Ok(repository) = opened else { return };
    let status = repository.status();
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
        let mut walk = Walk { entries: ENTRIES, bytes: BYTES };
        if walk.tree(&root) {
            restore(&root);
        }
        let report = repository.verify_entry(Some(snapshot), &root, &verify::Options::default(), &());
        assert_eq!(report.is_sound(), report.damage.is_empty() && report.losses.is_empty());
    }
    if let Ok(report) = repository.verify(&verify::Options::default(), &()) {
        assert!(report.contents.verified <= status.contents);
    }
}

/// What may still be read.
struct Walk {
    entries: usize,
    bytes: u64,
}

impl Walk {
    /// Reads a root and all below it; false if that is more than is allowed.
    fn tree(&mut self, root: &Entry) -> bool {
        let mut folders = vec![(root.clone(), 0)];
        let mut small = true;
        if root.kind() != EntryKind::Directory {
            return self.leaf(root);
        }
        while let Some((folder, depth)) = folders.pop() {
            if depth >= DEPTH {
                continue;
            }
            let _ = folder.for_each(|entry| match entry {
                Ok(entry) if self.entries > 0 => {
                    self.entries -= 1;
                    assert!(!matches!(entry.name(), "" | "." | "..") && !entry.name().contains(['/', '\0']));
                    match entry.kind() {
                        EntryKind::Directory => folders.push((entry, depth + 1)),
                        EntryKind::File | EntryKind::Symlink => small &= self.leaf(&entry),
                    }
                }
                Ok(_) => small = false,
                Err(refused) => assert!(!refused.why.to_string().is_empty()),
            });
        }
        small
    }

    /// Reads a file or link; false if it has too many bytes.
    fn leaf(&mut self, entry: &Entry) -> bool {
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

/// Restores into a folder, beside which nothing may appear.
fn restore(root: &Entry) {
    let place = scratch::folder();
    let mut options = Options::default();
    options.parallel = NonZeroUsize::new(1);
    options.max_depth = DEPTH;
    let target = place.path().join("target");
    let _ = kopia_restore::restore(root, &target, &options);
    let beside = fs::read_dir(place.path()).expect("a folder of our own");
    for entry in beside {
        assert_eq!(entry.expect("a folder of our own").path(), target, "it appeared beside the target");
    }
}
