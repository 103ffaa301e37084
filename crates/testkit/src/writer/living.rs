//! What kopia's maintenance does to a repository while others read it.

use std::collections::BTreeMap;

use kopia_format::{BlobId, ContentId};

use super::{Entry, PREAMBLE, RepositoryWriter, blobs};

/// A repository that was written and goes on changing.
pub struct Living {
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

impl Living {
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
            (entry.pack, entry.offset) = (pack.clone(), bytes.len() as u32);
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

    fn new_index(&self) -> (String, Vec<u8>) {
        self.writer.seal_index(&blobs::index(&self.writer.entries, self.time()))
    }

    /// Later than all entries before.
    fn time(&self) -> u32 {
        blobs::TIME + self.changes
    }
}
