//! Parsed directories, kept for those who look up one path after the other.

use std::ops::ControlFlow;
use std::sync::Arc;

use kopia_format::directory::{self, EntryKind, FailedEntry, Refused, Summary};

use super::Entry;
use super::directory::Fetched;
use super::source::Read;
use crate::repository::{Known, KnownId};
use crate::{Repository, Result};

/// The entries of a directory as they are visited, with no hand on the repository that keeps it.
#[derive(Debug)]
pub(crate) struct Listing {
    /// In the order in which they are visited.
    entries: Vec<Result<directory::Entry<'static>, Refused>>,
    /// Numbers of those that are sound, by name.
    by_name: Vec<u32>,
    summary: Option<Summary>,
}

impl Listing {
    /// Returns what was kept of a directory.
    pub(super) fn kept(entry: &Entry) -> Option<Arc<Self>> {
        match entry.repository().known().get(&KnownId::Directory(entry.object()))? {
            Known::Directory(listing) if entry.is_whole() => Some(listing),
            _ => None,
        }
    }

    /// Parses a directory; `None` if its entries are not all its own, or take more than `most` bytes.
    fn parse(fetched: Fetched, most: usize) -> Result<Option<Self>> {
        let (mut entries, mut by_name, mut bytes) = (Vec::new(), Vec::new(), 0);
        let read = fetched.for_each(&mut |entry| {
            let entry = match entry.map(Entry::into_plain) {
                Ok(Some(entry)) => Ok(entry),
                Ok(None) => return ControlFlow::Break(()),
                Err(refused) => Err(refused),
            };
            bytes += size(&entry);
            if bytes > most {
                return ControlFlow::Break(());
            }
            if entry.is_ok() {
                by_name.push(entries.len() as u32);
            }
            entries.push(entry);
            ControlFlow::Continue(())
        })?;
        let ControlFlow::Continue(summary) = read else { return Ok(None) };
        let name = |number: &u32| entries[*number as usize].as_ref().map_or("", |entry| &*entry.name);
        by_name.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        Ok(Some(Self { entries, by_name, summary }))
    }

    /// Returns how many bytes of memory it takes.
    fn size(&self) -> usize {
        let entries: usize = self.entries.iter().map(size).sum();
        entries + size_of::<Self>() + self.summary.as_ref().map_or(0, summary_size)
    }

    /// Finds an entry by its name.
    pub(super) fn find(&self, repository: &Repository, name: &str) -> Option<Entry> {
        let entry = |number: u32| self.entries.get(number as usize)?.as_ref().ok();
        let order = |number: &u32| entry(*number).map_or("", |entry| &*entry.name).cmp(name);
        let place = self.by_name.binary_search_by(order).ok()?;
        Some(Entry::new(repository, entry(self.by_name[place])?.clone()))
    }

    /// Visits all entries.
    pub(super) fn for_each(
        &self,
        repository: &Repository,
        mut visit: impl FnMut(Result<Entry, Refused>) -> ControlFlow<()>,
    ) -> Read {
        for entry in &self.entries {
            let entry = entry.clone().map(|entry| Entry::new(repository, entry));
            if visit(entry).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(self.summary.clone()))
    }
}

/// Returns how many bytes of memory an entry takes, its place by name included.
fn size(entry: &Result<directory::Entry<'static>, Refused>) -> usize {
    let more = match entry {
        Ok(entry) => entry.name.len() + entry.summary.as_deref().map_or(0, summary_size),
        // Reasons hold texts of their own, which are cut.
        Err(refused) => refused.name.len() + 1024,
    };
    size_of_val(entry) + size_of::<u32>() + more
}

/// Returns how many bytes of memory a summary takes.
pub(super) fn summary_size(summary: &Summary) -> usize {
    let text = |failed: &FailedEntry| size_of_val(failed) + failed.path.len() + failed.error.len();
    size_of_val(summary) + summary.incomplete.len() + summary.errors.iter().map(text).sum::<usize>()
}

impl Entry {
    /// Returns the entry that a path below this one leads to, if there is one; empty components are skipped.
    ///
    /// Each directory on the way is read up to the entry that leads on. One that is asked for again is kept,
    /// parsed, within [`directory_cache`](crate::Resources::directory_cache): looking something up there
    /// takes about a microsecond from then on.
    ///
    /// # Errors
    /// [`WrongKind`](crate::Error::WrongKind) if it leads through a file, and as for [`Self::for_each`].
    pub fn lookup(&self, path: &str) -> Result<Option<Self>> {
        let mut entry = self.clone();
        let mut end = 0;
        for component in path.split('/') {
            let walked = path.get(..end).unwrap_or_default();
            end += component.len() + 1;
            if component.is_empty() {
                continue;
            }
            if entry.kind() != EntryKind::Directory {
                return Err(entry.passed_through(walked));
            }
            let Some(child) = entry.child(component)? else { return Ok(None) };
            entry = child;
        }
        Ok(Some(entry))
    }

    /// Finds the entry of a directory with this name.
    fn child(&self, name: &str) -> Result<Option<Self>> {
        if let Some(listing) = Listing::kept(self) {
            return Ok(listing.find(self.repository(), name));
        }
        let (known, id) = (self.repository().known(), KnownId::Directory(self.object()));
        let mut fetched = self.fetch();
        let is_wanted = self.is_whole() && known.was_asked_for(&id);
        // Parsed entries take more memory than their JSON.
        if is_wanted && fetched.length() <= known.budget() as u64 / 3 {
            if let Some(listing) = Listing::parse(fetched, known.budget())? {
                let found = listing.find(self.repository(), name);
                let size = listing.size();
                known.insert(id, Known::Directory(Arc::new(listing)), size);
                return Ok(found);
            }
            fetched = self.fetch();
        }
        let mut found = None;
        let _ = fetched.for_each(&mut |child| match child {
            Ok(child) if child.name() == name => {
                found = Some(child);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use kopia_codec::key::Password;
    use kopia_format::ObjectId;
    use kopia_format::directory::Refusal;
    use kopia_storage::MemoryStore;
    use kopia_storage::testing::CountingStore;
    use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
    use serde_json::json;

    use super::*;
    use crate::testing::open;
    use crate::{OpenOptions, Resources};

    /// Writes a directory of files with these names, and returns its object.
    fn directory_of(writer: &mut RepositoryWriter, names: impl Iterator<Item = String>) -> ObjectId {
        let bytes = writer.file(b"");
        let entries: Vec<_> = names.map(|name| json!({"name": name, "type": "f", "obj": bytes})).collect();
        writer.directory(&entries).parse().unwrap()
    }

    #[test]
    fn a_directory_that_takes_as_much_as_it_may_is_kept_and_none_that_takes_more() {
        let mut writer = RepositoryWriter::new();
        let object = directory_of(&mut writer, ["a", "bb", "ccc"].map(String::from).into_iter());
        let directory = Entry::of_directory(&open(writer), object);
        let entry = size_of::<Result<directory::Entry<'static>, Refused>>() + size_of::<u32>();
        let most = 3 * entry + "abbccc".len();
        let parsed = |most| Listing::parse(directory.fetch(), most).unwrap();
        let listing = parsed(most).unwrap();
        assert_eq!((listing.entries.len(), listing.size()), (3, size_of::<Listing>() + most));
        assert!(parsed(most - 1).is_none());
    }

    #[test]
    fn what_is_too_long_to_be_kept_is_read_once_each_time() {
        let mut writer = RepositoryWriter::new();
        let object = directory_of(&mut writer, (10..50).map(|number| number.to_string()));
        let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
        let store = Arc::new(CountingStore::new(blobs.collect::<MemoryStore>()));
        let resources = Resources::default().content_cache(0).directory_cache(2000);
        let options = OpenOptions { resources, ..OpenOptions::default() };
        let repository = Repository::open_with(store.clone(), &Password::from(PASSWORD), &options).unwrap();
        let directory = Entry::of_directory(&repository, object);
        for lookup in 0..3 {
            store.take();
            assert!(directory.lookup("other").unwrap().is_none());
            assert_eq!(store.take().ranges.len(), 1, "lookup {lookup}");
        }
    }

    #[test]
    fn the_memory_of_a_listing_is_that_of_all_its_texts() {
        let failed =
            |path: usize, error: usize| FailedEntry { path: "p".repeat(path), error: "e".repeat(error) };
        let summary = |texts: [usize; 3]| Summary {
            incomplete: "i".repeat(texts[0]),
            errors: vec![failed(texts[1], texts[2]), failed(texts[2], texts[1])],
            ..Summary::default()
        };
        let size = |names: &[usize], summary: Option<Summary>| {
            let why = Refusal::NoName;
            let refused =
                |length: &usize| Err(Refused { name: "n".repeat(*length), why: why.clone(), object: None });
            Listing { entries: names.iter().map(refused).collect(), by_name: Vec::new(), summary }.size()
        };
        let empty = size(&[], None);
        assert_eq!(empty, size_of::<Listing>());
        let (none, some) = (size(&[], Some(summary([0; 3]))), size(&[], Some(summary([100, 2000, 30_000]))));
        assert_eq!(none - empty, size_of::<Summary>() + 2 * size_of::<FailedEntry>());
        assert_eq!(some - none, 100 + 2 * 32_000);
        // Each has its place by name, and room for its reason.
        let one = size_of::<Result<directory::Entry<'static>, Refused>>() + size_of::<u32>() + 1024;
        assert_eq!(size(&[300, 20], None) - empty, 320 + 2 * one);
    }
}
