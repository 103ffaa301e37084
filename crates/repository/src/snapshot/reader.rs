//! Reads the lists of manifests, in bounded memory.

use std::collections::{HashSet, VecDeque};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_format::manifest::{self, Manifest, State};
use kopia_format::snapshot::SnapshotManifest;
use kopia_format::{ContentId, ManifestId, Timestamp};
use rayon::prelude::*;

use super::Snapshot;

use crate::contents::{Flaw, MAX_LENGTH};
use crate::{Repository, Result};

/// How many bytes of memory manifests take in all, with the snapshots that they are parsed into: some 400,000.
pub(super) const MOST: usize = 1 << 30;

/// How many bytes of lists are in memory at once, apart from what is kept of them: packed, and unpacked. One
/// list may have more when it is unpacked.
const AT_ONCE: u64 = 64 << 20;

/// The longest list that is read, in bytes as it is packed: one of some 150,000 snapshots.
pub(crate) const LONGEST_LIST: u64 = 32 << 20;

/// What tells the states of manifests apart: id, time, and whether it is a deletion.
type Key = (ManifestId, Timestamp, bool);

/// The states of a list, each with the bytes of memory that are counted for it.
type Counted = Vec<(Manifest, usize)>;

/// Reads lists of manifests and keeps what is said of snapshots.
///
/// Each compaction writes the same states into another list, and leaves the old lists as deleted contents. So a
/// state that a list before had is neither kept nor counted again.
pub(super) struct ManifestReader<'a> {
    repository: &'a Repository,
    /// How many bytes of memory those take that are kept, and how many they may take.
    kept: AtomicUsize,
    most: usize,
    /// Whether manifests of other things than snapshots are kept, too.
    all: bool,
    /// The states of all lists that were read.
    seen: HashSet<Key>,
}

impl<'a> ManifestReader<'a> {
    pub(super) fn new(repository: &'a Repository) -> Self {
        Self { repository, kept: AtomicUsize::new(0), most: MOST, all: false, seen: HashSet::new() }
    }

    /// Makes one that keeps manifests of policies and all else, too.
    pub(super) fn of_all(repository: &'a Repository) -> Self {
        Self { all: true, ..Self::new(repository) }
    }

    /// Reads contents that hold manifests, each as a result of its own: the states that no list before it has.
    pub(super) fn read(&mut self, contents: &[ContentId]) -> Vec<Result<Vec<Manifest>>> {
        let mut read = Vec::with_capacity(contents.len());
        while read.len() < contents.len() {
            let rest = &contents[read.len()..];
            let count = at_once(rest.iter().map(|content| self.length(content).min(LONGEST_LIST)));
            read.extend(self.read_batch(&rest[..count]));
        }
        read
    }

    /// Reads some contents that have few bytes together before gzip is undone.
    fn read_batch(&mut self, contents: &[ContentId]) -> Vec<Result<Vec<Manifest>>> {
        let cores = self.repository.cores();
        let packed = self.read_all_packed(contents);
        let mut lists: VecDeque<_> = contents.iter().zip(packed).collect();
        let mut read = Vec::with_capacity(contents.len());
        while !lists.is_empty() {
            let unpacked = |packed: &Result<Vec<u8>>| packed.as_deref().map_or(0, unpacked_length) as u64;
            let count = at_once(lists.iter().map(|(_, packed)| unpacked(packed)));
            let some: Vec<_> = lists.drain(..count).collect();
            let parse = |(content, packed): (&ContentId, Result<Vec<u8>>)| self.parse(content, &packed?);
            let parsed = cores.run(|| some.into_par_iter().map(parse).collect::<Vec<_>>());
            // One by one: which list keeps a state does not depend on threads, and none that cannot be read
            // to its end takes it from others.
            read.extend(parsed.into_iter().map(|list| list.map(|states| self.keep_new(states))));
        }
        read
    }

    /// Keeps those states of a list that no list before it has, and gives back the memory of the others.
    fn keep_new(&mut self, states: Counted) -> Vec<Manifest> {
        let mut new = Vec::with_capacity(states.len());
        for (manifest, memory) in states {
            if self.seen.insert((manifest.id.clone(), manifest.modified, manifest.deleted)) {
                new.push(manifest);
            } else {
                *self.kept.get_mut() -= memory;
            }
        }
        new.shrink_to_fit();
        new
    }

    /// Returns how many bytes a content takes, stored or plain, as the index says.
    fn length(&self, content: &ContentId) -> u64 {
        let location = self.repository.contents().locate(content);
        location.map_or(0, |location| location.stored_length().max(location.plain_length()))
    }

    /// Reads some contents as they are packed; neighbours together where each read takes long.
    fn read_all_packed(&self, contents: &[ContentId]) -> Vec<Result<Vec<u8>>> {
        let slots: Vec<OnceLock<Vec<u8>>> = contents.iter().map(|_| OnceLock::new()).collect();
        if self.repository.contents().is_far() {
            let short: Vec<usize> = (0..contents.len())
                .filter(|&number| self.length(&contents[number]) <= LONGEST_LIST)
                .collect();
            let wanted: Vec<ContentId> = short.iter().map(|&number| contents[number]).collect();
            self.repository.contents().read_many(&wanted, |number, plain| {
                if let Ok(plain) = plain {
                    slots[short[number]].get_or_init(|| plain.to_vec());
                }
            });
        }
        // What could not be had is read once more by itself, and says why.
        let read = |(content, slot): (&ContentId, OnceLock<_>)| {
            slot.into_inner().map_or_else(|| self.read_packed(content), Ok)
        };
        let rest: Vec<_> = contents.iter().zip(slots).collect();
        self.repository.cores().run(|| rest.into_par_iter().map(read).collect())
    }

    fn read_packed(&self, content: &ContentId) -> Result<Vec<u8>> {
        match self.length(content) {
            length if length > LONGEST_LIST => self.corrupt(content, too_long(length)),
            _ => self.repository.contents().read(content),
        }
    }

    /// Unpacks a list and takes out of it what is said of snapshots, and of what is deleted.
    fn parse(&self, content: &ContentId, packed: &[u8]) -> Result<Counted> {
        let limit = unpacked_length(packed).min(MAX_LENGTH);
        let json = match self.repository.contents().with_decoder(|decoder| decoder.gunzip(packed, limit)) {
            Ok(json) => json,
            Err(error) => return self.corrupt(content, error.to_string()),
        };
        let (mut states, mut taken, mut is_full) = (Vec::new(), 0, false);
        let read = manifest::read(&json, |state| {
            if !self.wants(&state) {
                return Ok(());
            }
            let memory = memory_of(&state).saturating_add(memory_of_key(&state));
            taken += memory;
            let kept = self.kept.fetch_add(memory, Ordering::Relaxed) + memory;
            if kept > self.most {
                is_full = true;
                return Err(too_many(self.most));
            }
            states.push((state.into(), memory));
            Ok(())
        });
        let Err(error) = read else { return Ok(states) };
        drop(states);
        self.kept.fetch_sub(taken, Ordering::Relaxed);
        if is_full {
            // Nothing is wrong with the list.
            let flaw = Flaw::Unsupported { what: "list of manifests", found: too_many(self.most) };
            return self.flawed(content, flaw);
        }
        self.corrupt(content, error.to_string())
    }

    /// Returns whether a state is kept, unless another list of those read at the same time has it, too.
    fn wants(&self, state: &State<'_>) -> bool {
        (self.all || state.deleted || state.is_snapshot())
            && !self.seen.contains(&(state.id.clone(), state.modified, state.deleted))
    }

    fn corrupt<T>(&self, content: &ContentId, why: String) -> Result<T> {
        self.flawed(content, Flaw::Corrupt(why))
    }

    fn flawed<T>(&self, content: &ContentId, flaw: Flaw) -> Result<T> {
        let location = self.repository.contents().locate(content)?;
        Err(self.repository.contents().flawed(content, &location, flaw))
    }
}

/// Returns how many lists of such lengths are in memory at once: the first, and those after it for which there is
/// room.
fn at_once(lengths: impl Iterator<Item = u64>) -> usize {
    let mut length = 0_u64;
    let lists = lengths.take_while(|one| {
        length = length.saturating_add(*one);
        length <= AT_ONCE
    });
    lists.count().max(1)
}

/// Returns how many bytes a list has when it is unpacked, as gzip's last four bytes say; more are never
/// unpacked.
fn unpacked_length(packed: &[u8]) -> usize {
    packed.last_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize)
}

/// Returns about how many bytes of memory a state takes, and what it is parsed into.
pub(crate) fn memory_of(state: &State<'_>) -> usize {
    let is_parsed = state.is_snapshot() && !state.deleted;
    let parsed = size_of::<Snapshot>() + size_of::<SnapshotManifest>();
    state.memory().saturating_add(if is_parsed { parsed } else { 0 })
}

/// Returns about how many bytes of memory a [`Key`] takes in a hash table, which is half full at least.
fn memory_of_key(state: &State<'_>) -> usize {
    const ALLOCATION: usize = 16;
    2 * size_of::<Key>() + ALLOCATION + state.id.as_str().len()
}

/// Words the refusal of a list that is too long.
pub(crate) fn too_long(length: u64) -> String {
    format!("a list of manifests has {length} bytes, more than {LONGEST_LIST}")
}

/// Words the refusal of too many manifests.
pub(crate) fn too_many(most: usize) -> String {
    format!("manifests take more than {most} bytes of memory in all")
}

#[cfg(test)]
mod tests;
