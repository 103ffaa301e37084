//! Simulates the maintenance of kopia that changes a repository while others read it.

use std::collections::{BTreeMap, BTreeSet};

use kopia_format::{BlobId, ContentId};
use serde_json::{Value, json};

use super::{Entry, PREAMBLE, RepositoryWriter, blobs, manifest_list, nonce};

/// A repository that was written and goes on changing.
pub struct LiveRepository {
    writer: RepositoryWriter,
    /// Contents as packs have them.
    sealed: BTreeMap<ContentId, Vec<u8>>,
    /// The packs and the index blob that count now.
    packs: Vec<String>,
    index: String,
    /// How often something was changed.
    changes: u32,
}

/// What a change writes and then removes, in this order.
#[derive(Debug, Clone)]
pub struct Change {
    /// New packs, and after them the index blob that names them.
    pub added: Vec<(String, Vec<u8>)>,
    /// Index blobs and packs that nobody needs any more.
    pub removed: Vec<String>,
}

impl LiveRepository {
    pub(super) fn new(writer: RepositoryWriter) -> Self {
        let bytes: BTreeMap<&str, &[u8]> =
            writer.blobs.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
        let stored = |entry: &Entry| {
            let start = entry.offset as usize;
            bytes[entry.pack.as_str()][start..start + entry.packed_length as usize].to_vec()
        };
        let sealed = writer.entries.iter().map(|(id, entry)| (*id, stored(entry))).collect();
        let names = |letters: &[char]| {
            writer
                .blobs
                .iter()
                .map(|(name, _)| name.clone())
                .filter(|name| name.starts_with(letters))
                .collect()
        };
        let packs: Vec<String> = names(&['p', 'q']);
        let index = names(&['x']).into_iter().next().expect("there is one index blob");
        Self { writer, sealed, packs, index, changes: 0 }
    }

    /// Rewrites the index alone, as compaction does.
    pub fn compact(&mut self) -> Change {
        self.changes += 1;
        let index = self.new_index();
        let removed = std::mem::replace(&mut self.index, index.0.clone());
        Change { added: vec![index], removed: vec![removed] }
    }

    /// Writes all contents into new packs, the last content first, and removes the old packs and their index.
    pub fn rewrite(&mut self) -> Change {
        self.rewrite_where(|_| true)
    }

    /// As [`Self::rewrite`], of the packs with these contents alone.
    pub fn rewrite_where(&mut self, moved: impl Fn(&ContentId) -> bool) -> Change {
        self.changes += 1;
        let mut new: BTreeMap<char, Vec<(BlobId, Vec<u8>)>> = BTreeMap::new();
        let mut left = Vec::new();
        for (id, sealed) in self.sealed.iter().rev() {
            let entry = self.writer.entries.get_mut(id).expect("every content has a place");
            if !moved(id) {
                left.push(entry.pack.to_string());
                continue;
            }
            let letter = if id.prefix().is_some() { 'q' } else { 'p' };
            let packs = new.entry(letter).or_default();
            let full = |(_, bytes): &(BlobId, Vec<u8>)| bytes.len() >= self.writer.pack_size;
            if packs.last().is_none_or(full) {
                let number = u64::from(self.changes) << 32 | packs.len() as u64;
                let name = BlobId::new(&format!("{letter}{number:032x}-s0123456789abcdef"));
                packs.push((name.expect("it is a name"), PREAMBLE.to_vec()));
            }
            let (pack, bytes) = packs.last_mut().expect("one was opened");
            entry.pack = pack.clone();
            entry.offset = bytes.len() as u32;
            bytes.extend(sealed);
        }
        let time = self.time();
        let new = new.into_values().flatten();
        let mut added: Vec<(String, Vec<u8>)> = new
            .map(|(name, bytes)| {
                let bytes = self.writer.with_own_index(&name, bytes, &self.writer.entries, time);
                (name.to_string(), bytes)
            })
            .collect();
        let packs = left.iter().chain(added.iter().map(|(name, _)| name)).cloned().collect();
        let index = self.new_index();
        let mut removed = vec![std::mem::replace(&mut self.index, index.0.clone())];
        let old = std::mem::replace(&mut self.packs, packs);
        removed.extend(old.into_iter().filter(|name| !self.packs.contains(name)));
        added.push(index);
        Change { added, removed }
    }

    /// Marks contents deleted; they stay in their packs.
    pub fn mark_deleted(&mut self, deleted: impl Fn(&ContentId) -> bool) -> Change {
        self.writer
            .entries
            .iter_mut()
            .filter(|(id, _)| deleted(id))
            .for_each(|(_, entry)| entry.deleted = true);
        self.compact()
    }

    /// Says that contents that are marked deleted do not exist: a watermark as late as they are.
    pub fn forget_deleted(&self) -> Change {
        Change { added: vec![(format!("xw{}", self.time()), Vec::new())], removed: Vec::new() }
    }

    /// Adds a content with a tombstone for a snapshot, as deleting it does.
    pub fn delete_snapshot(&mut self, id: &str) -> Change {
        let tombstone = json!({"id": id, "labels": null, "modified": "2026-02-01T00:00:00Z", "deleted": true, "data": null});
        self.add_manifests(&[tombstone])
    }

    /// Writes the manifests that count into one new content, and marks the others deleted.
    pub fn compact_manifests(&mut self, keep: impl Fn(&str) -> bool) -> Change {
        let manifests = self.writer.manifests.iter();
        let kept: Vec<Value> =
            manifests.filter(|manifest| manifest["id"].as_str().is_some_and(&keep)).cloned().collect();
        for (id, entry) in &mut self.writer.entries {
            entry.deleted |= id.prefix() == Some('m');
        }
        self.add_manifests(&kept)
    }

    /// Removes what is marked deleted from the index, and packs in which nothing else lies.
    pub fn collect_garbage(&mut self) -> Change {
        self.writer.entries.retain(|_, entry| !entry.deleted);
        self.sealed.retain(|id, _| self.writer.entries.contains_key(id));
        let mut change = self.compact();
        let needed: BTreeSet<&str> = self.writer.entries.values().map(|entry| entry.pack.as_str()).collect();
        let (packs, garbage) =
            std::mem::take(&mut self.packs).into_iter().partition(|pack| needed.contains(&**pack));
        self.packs = packs;
        change.removed.extend::<Vec<String>>(garbage);
        change
    }

    /// Writes a content of manifests into a pack of its own.
    fn add_manifests(&mut self, manifests: &[Value]) -> Change {
        self.changes += 1;
        let list = manifest_list(manifests);
        let hash = self.writer.hasher.hash(&list);
        let id = ContentId::new(Some('m'), hash.as_bytes()).expect("a hash is long enough");
        let sealed = self.writer.cipher.seal(id.hash(), nonce(&id), &list);
        let number = u64::from(self.changes) << 32;
        let pack = BlobId::new(&format!("q{number:032x}-s0123456789abcdef")).expect("it is a name");
        let entry = Entry {
            pack: pack.clone(),
            offset: PREAMBLE.len() as u32,
            packed_length: sealed.len() as u32,
            original_length: list.len() as u32,
            deleted: false,
            compression: 0,
        };
        self.writer.entries.insert(id, entry);
        let bytes = [&PREAMBLE[..], &sealed].concat();
        let bytes = self.writer.with_own_index(&pack, bytes, &self.writer.entries, self.time());
        self.sealed.insert(id, sealed);
        self.packs.push(pack.to_string());
        let index = self.new_index();
        let removed = vec![std::mem::replace(&mut self.index, index.0.clone())];
        Change { added: vec![(pack.to_string(), bytes), index], removed }
    }

    fn new_index(&self) -> (String, Vec<u8>) {
        self.writer.seal_index(&blobs::index(&self.writer.entries, self.time()))
    }

    /// Later than all entries before.
    fn time(&self) -> u32 {
        blobs::TIME + self.changes
    }
}

#[cfg(test)]
mod tests {
    use kopia_format::postamble::Postamble;

    use super::*;

    #[test]
    fn what_is_rewritten_takes_the_place_of_what_was() {
        let mut writer = RepositoryWriter::new().pack_size(1);
        let [one, two] = [&b"one"[..], b"two"].map(|bytes| writer.content(None, bytes));
        let (blobs, mut living) = writer.finish_live();
        let names =
            |blobs: &[(String, Vec<u8>)]| blobs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let rewritten = living.rewrite_where(|id| *id == one);
        let old = living.rewrite();
        assert!(rewritten.removed.len() == 2 && names(&blobs).contains(&rewritten.removed[1]));
        // Everything but the format blob was replaced by now.
        let mut all = names(&blobs);
        all.extend(names(&rewritten.added));
        all.retain(|name| !rewritten.removed.contains(name) && !old.removed.contains(name));
        assert_eq!(all, ["kopia.repository"]);
        for (name, bytes) in old.added.iter().filter(|(name, _)| !name.starts_with('x')) {
            let postamble = Postamble::parse(bytes).unwrap();
            assert!(postamble.offset + postamble.length < bytes.len() as u64, "{name}");
        }
        assert_ne!(living.writer.entries[&one].pack, living.writer.entries[&two].pack);
    }
}
