//! The entries of a folder, sorted.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use kopia_format::Timestamp;
use kopia_format::directory::EntryKind;
use kopia_repository::{Entry, Result};

use crate::request::Request;

/// How many entries of a folder are looked at: those of a larger one would take too much memory.
const MOST: usize = 50_000;

/// How many bytes of memory they may take, in which that many have room whose names files can have.
const MOST_BYTES: usize = 16 << 20;

/// An entry as a table shows it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) kind: EntryKind,
    pub(super) size: u64,
    pub(super) modified: Timestamp,
    pub(super) mode: u32,
}

/// What was read of a folder.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// What cannot be shown, and why; the first few.
    pub(super) refused: Vec<String>,
    /// Whether there is more than was read.
    pub(super) is_cut: bool,
}

/// How a table is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Name,
    Size,
    Time,
}

impl Key {
    pub(super) const NAMES: [(&str, Self); 3] =
        [("name", Self::Name), ("size", Self::Size), ("time", Self::Time)];

    /// Reads what a request wants: the key, and whether the order is turned round.
    pub(super) fn of(request: &Request) -> (Self, bool) {
        let wanted =
            request.query("sort").and_then(|word| Self::NAMES.iter().find(|(name, _)| *name == word));
        (wanted.map_or(Self::Name, |(_, key)| *key), request.query("order") == Some("down"))
    }

    fn compare(self, one: &Row, other: &Row) -> Ordering {
        let folders_first = (one.kind != EntryKind::Directory).cmp(&(other.kind != EntryKind::Directory));
        match self {
            Self::Name => folders_first,
            Self::Size => one.size.cmp(&other.size),
            Self::Time => one.modified.cmp(&other.modified),
        }
        .then_with(|| one.name.cmp(&other.name))
    }
}

impl Rows {
    /// Reads a folder.
    pub(super) fn read(folder: &Entry, refusals: usize) -> Result<Self> {
        Self::read_within(folder, refusals, MOST_BYTES)
    }

    /// As [`Self::read`], with so many bytes for rows.
    fn read_within(folder: &Entry, refusals: usize, most_bytes: usize) -> Result<Self> {
        let (mut read, mut bytes) = (Self::default(), 0);
        let _ = folder.for_each(|entry| {
            match entry {
                Ok(entry) => {
                    bytes += size_of::<Row>() + entry.name().len();
                    if read.rows.len() == MOST || bytes > most_bytes {
                        read.is_cut = true;
                        return ControlFlow::Break(());
                    }
                    read.rows.push(Row::of(&entry));
                }
                Err(refused) if read.refused.len() < refusals => read.refused.push(refused.to_string()),
                Err(_) => {}
            }
            ControlFlow::Continue(())
        })?;
        Ok(read)
    }

    pub(super) fn sort(&mut self, key: Key, is_down: bool) {
        self.rows.sort_by(|one, other| {
            let order = key.compare(one, other);
            if is_down { order.reverse() } else { order }
        });
    }
}

impl Row {
    fn of(entry: &Entry) -> Self {
        // A folder is as large as what lies below it.
        let below = entry.summary().map(|summary| u64::try_from(summary.size).unwrap_or_default());
        Self {
            name: entry.name().to_owned(),
            kind: entry.kind(),
            size: below.unwrap_or(entry.size()),
            modified: entry.modified(),
            mode: entry.mode(),
        }
    }
}

#[cfg(test)]
mod tests {
    use kopia_codec::key::Password;
    use kopia_repository::Repository;
    use kopia_storage::FilesystemStore;
    use kopia_testkit::golden;

    use super::*;

    #[test]
    fn rows_take_no_more_memory_than_they_may() {
        let case = golden::case("sources");
        let store = FilesystemStore::open(&case.repository).unwrap();
        let repository = Repository::open(store, &Password::new(case.password)).unwrap();
        let snapshots = repository.snapshots().unwrap();
        let root = snapshots.iter().find(|one| one.id().starts_with("c3bc")).unwrap().root().unwrap();
        let read = |most| {
            let read = Rows::read_within(&root, 0, most).unwrap();
            (read.rows.len(), read.is_cut)
        };
        let all = Rows::read(&root, 0).unwrap().rows;
        let bytes = all.iter().map(|row| size_of::<Row>() + row.name.len()).sum::<usize>();
        assert!(all.len() > 1);
        assert_eq!(read(bytes), (all.len(), false));
        assert_eq!(read(bytes - 1), (all.len() - 1, true));
        const { assert!(MOST * (size_of::<Row>() + 255) <= MOST_BYTES) };
    }
}
