//! The entries of a folder, sorted.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use kopia_format::Timestamp;
use kopia_format::directory::EntryKind;
use kopia_repository::{Entry, Result};

use crate::request::Request;

/// How many entries of a folder are looked at: those of a larger one would take too much memory.
pub(super) const MOST: usize = 50_000;

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
        let mut read = Self::default();
        let _ = folder.for_each(|entry| {
            if read.rows.len() == MOST {
                read.is_cut = true;
                return ControlFlow::Break(());
            }
            match entry {
                Ok(entry) => read.rows.push(Row::of(&entry)),
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
