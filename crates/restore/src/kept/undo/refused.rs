//! Counts what the target refuses. Millions of entries may lack their times or owners, so no path is kept.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::outcome::{Notes, Unset};

#[derive(Default)]
pub(super) struct Refused {
    /// What directories lack, by a hash of their paths: of each there may be several records, as restores that
    /// went on have noted once more what it was like.
    directories: HashMap<u64, Unset>,
    hasher: RandomState,
    /// What files and links lack: of each there is one record of each run.
    files: Notes,
}

impl Refused {
    /// Notes what a directory lacks, in place of what was noted of it before: the oldest record counts, which comes
    /// last.
    pub(super) fn directory(&mut self, path: &[u8], unset: Unset) {
        let key = self.hasher.hash_one(path);
        if unset == Unset::default() {
            self.directories.remove(&key);
        } else {
            self.directories.insert(key, unset);
        }
    }

    /// Returns what was noted of a directory.
    pub(super) fn of_directory(&self, path: &[u8]) -> Unset {
        self.directories.get(&self.hasher.hash_one(path)).copied().unwrap_or_default()
    }

    /// Notes what a file or link lacks.
    pub(super) fn file(&mut self, unset: Unset) {
        count(&mut self.files, unset);
    }

    /// Counts all that was noted.
    pub(super) fn notes(self) -> Notes {
        let mut notes = self.files;
        self.directories.into_values().for_each(|unset| count(&mut notes, unset));
        notes
    }
}

fn count(notes: &mut Notes, unset: Unset) {
    notes.owners += u64::from(unset.owner);
    notes.special_bits += u64::from(unset.special_bits);
    notes.modes += u64::from(unset.mode);
    notes.times += u64::from(unset.time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_directories_the_last_counts_and_of_files_each_at_once() {
        let (time, owner) =
            (Unset { time: true, ..Unset::default() }, Unset { owner: true, ..Unset::default() });
        let mut refused = Refused::default();
        for _ in 0..10_000 {
            refused.file(time);
            refused.directory(b"again", time);
            refused.directory(b"right", owner);
        }
        refused.directory(b"again", owner);
        refused.directory(b"right", Unset::default());
        assert_eq!((refused.directories.len(), refused.of_directory(b"again")), (1, owner));
        assert_eq!(refused.of_directory(b"right"), Unset::default());
        // An entry of a table, and no path.
        assert!(size_of::<(u64, Unset)>() <= 16);
        let notes = refused.notes();
        assert_eq!([notes.times, notes.owners, notes.modes, notes.special_bits], [10_000, 1, 0, 0]);
    }
}
