//! Directories of snapshots, parsed once.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock};

use kopia_format::ObjectId;
use kopia_repository::Entry;

use crate::folder::Item;
use crate::lock::lock;
use crate::nodes::Node;
use crate::problem::Problem;

/// The longest name that a file can have on Linux, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// How many bytes of memory the entries of one directory take at most, some two million of them; what a backup
/// could not read makes those of directories longer.
const MAX_BYTES: usize = 512 << 20;

/// How many directories are kept at most.
const MAX_KEPT: usize = 256;

/// The entries of a directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    entries: Vec<Entry>,
    /// Numbers of entries, by name.
    by_name: Vec<u32>,
    /// Whether there may be others, which cannot be read.
    pub(crate) is_damaged: bool,
    bytes: usize,
}

impl Listing {
    /// Takes one more entry, unless all together would take more bytes of memory than these.
    fn push(&mut self, entry: Entry, most: usize) -> ControlFlow<()> {
        // Its place by name, and what a vector has in reserve.
        let bytes = self.bytes + entry.memory() + 32;
        if bytes > most {
            return ControlFlow::Break(());
        }
        self.bytes = bytes;
        self.entries.push(entry);
        ControlFlow::Continue(())
    }

    /// Reads the directory of a node; what is left out of it is told.
    fn read(entry: &Entry, node: &Node, tell: &dyn Fn(Problem)) -> Self {
        let mut listing = Self::default();
        let read = entry.for_each(|entry| {
            match entry {
                Ok(entry) if entry.name().len() > MAX_NAME => {
                    let name = entry.name().chars().take(60).collect();
                    tell(Problem::NameTooLong { folder: node.path(), name });
                }
                Ok(entry) => {
                    let taken = listing.push(entry, MAX_BYTES);
                    if taken.is_break() {
                        tell(Problem::TooMany { path: node.path(), shown: listing.entries.len() });
                    }
                    return taken;
                }
                Err(refused) => tell(Problem::LeftOut { folder: node.path(), refused }),
            }
            ControlFlow::Continue(())
        });
        match read {
            Ok(ControlFlow::Continue(_)) => {}
            Ok(ControlFlow::Break(())) => listing.is_damaged = true,
            Err(error) => {
                listing.is_damaged = true;
                tell(Problem::Unreadable { path: node.path(), error });
            }
        }
        let name = |number: &u32| listing.entries[*number as usize].name();
        let mut by_name: Vec<u32> = (0..listing.entries.len() as u32).collect();
        by_name.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        listing.by_name = by_name;
        listing
    }

    /// Returns the entries from a number on, in the order of the snapshot.
    pub(crate) fn from(&self, number: usize) -> &[Entry] {
        self.entries.get(number..).unwrap_or_default()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        let order = |number: &u32| self.entries[*number as usize].name().cmp(name);
        let place = self.by_name.binary_search_by(order).ok()?;
        self.entries.get(self.by_name[place] as usize)
    }
}

/// What a listing is of: many snapshots share a directory's object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Object(ObjectId),
    /// The names of other entries have a part in it.
    Node(u64),
}

/// A listing that whoever needs it first reads, while others wait for it.
type Slot = Arc<OnceLock<Arc<Listing>>>;

/// Listings that were read last, within a budget of bytes; the last one is kept whatever it takes.
#[derive(Debug)]
pub(crate) struct Listings {
    budget: usize,
    /// The one that was used last comes last.
    kept: Mutex<Vec<(Key, Slot)>>,
}

impl Listings {
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, kept: Mutex::default() }
    }

    /// Returns the listing of a node, which is read if it is not kept. Threads that want the same one wait for
    /// the first of them.
    pub(crate) fn get(&self, entry: &Entry, node: &Node, tell: &dyn Fn(Problem)) -> Arc<Listing> {
        let key = if entry.is_whole() { Key::Object(entry.object()) } else { Key::Node(node.number) };
        let slot = self.slot(key);
        let listing = slot.get_or_init(|| Arc::new(Listing::read(entry, node, tell))).clone();
        self.tidy(key, &listing);
        listing
    }

    fn slot(&self, key: Key) -> Arc<OnceLock<Arc<Listing>>> {
        let mut kept = lock(&self.kept);
        let held = match kept.iter().position(|(other, _)| *other == key) {
            Some(place) => kept.remove(place),
            None => (key, Arc::default()),
        };
        kept.push(held.clone());
        held.1
    }

    /// Drops those that do not fit, and the one that was read if it may be whole the next time.
    fn tidy(&self, key: Key, listing: &Listing) {
        let mut kept = lock(&self.kept);
        if listing.is_damaged {
            kept.retain(|(other, _)| *other != key);
        }
        let mut bytes = 0_usize;
        let fits = kept.iter().rev().take(MAX_KEPT).take_while(|(_, slot)| {
            bytes = bytes.saturating_add(slot.get().map_or(0, |listing| listing.bytes));
            bytes <= self.budget
        });
        let count = fits.count().max(1).min(kept.len());
        let surplus = kept.len() - count;
        kept.drain(..surplus);
    }
}

/// Returns whether a directory lies in itself: one of those above a node is the same object.
pub(crate) fn is_cycle(entry: &Entry, folder: &Node) -> bool {
    if entry.is_implied() {
        return false;
    }
    let mut above = Some(folder);
    while let Some(node) = above {
        if matches!(&node.item, Item::Entry(other) if other.object() == entry.object() && !other.is_implied())
        {
            return true;
        }
        above = node.parent.as_deref();
    }
    false
}

/// What was told already, so that it is told once; after so many, nothing more is.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<HashSet<String>>);

/// The most problems that are told.
const MAX_TOLD: usize = 10_000;

impl Told {
    /// Returns whether a text is news.
    pub(crate) fn is_news(&self, text: String) -> bool {
        let mut told = lock(&self.0);
        told.len() < MAX_TOLD && told.insert(text)
    }
}

#[cfg(test)]
mod tests {
    use kopia_codec::key::Password;
    use kopia_repository::Repository;
    use kopia_storage::MemoryStore;
    use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_backup_could_not_read_below_its_entries_is_counted() {
        let mut writer = RepositoryWriter::new();
        let empty = writer.directory(&[]);
        let errors = json!([{"path": "x", "error": "e".repeat(100_000)}]);
        let summary =
            json!({"size": 0, "files": 0, "symlinks": 0, "dirs": 1, "numFailed": 1, "errors": errors});
        let folder = |number: u32| json!({"name": format!("{number}"), "type": "d", "mode": "0755", "obj": empty, "summ": summary});
        let root = writer.directory(&(0..3).map(folder).collect::<Vec<_>>());
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
        let store: MemoryStore =
            writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
        let repository = Repository::open(store, &Password::from(PASSWORD)).unwrap();
        let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        let read = |most| {
            let mut listing = Listing::default();
            let _ = root.for_each(|entry| listing.push(entry.unwrap(), most)).unwrap();
            listing
        };
        let whole = read(MAX_BYTES);
        assert!(whole.entries.len() == 3 && whole.bytes > 300_000, "{}", whole.bytes);
        assert_eq!(read(whole.bytes).entries.len(), 3);
        assert_eq!(read(whole.bytes - 1).entries.len(), 2);
    }
}
