//! Reads the lists of manifests, in bounded memory.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_format::ContentId;
use kopia_format::manifest::{self, Manifest, State};
use rayon::prelude::*;

use super::Snapshot;

use crate::contents::{Flaw, MAX_LENGTH};
use crate::{Error, Repository, Result};

/// The longest manifest of a snapshot that is kept, in bytes. Real ones have some 1,000.
pub(super) const LONGEST: usize = 1 << 20;

/// How many bytes of memory manifests take in all, with the snapshots that they are parsed into: some 200,000.
const MOST: usize = 512 << 20;

/// How many bytes of lists are in memory at once, apart from what is kept of them: packed, and unpacked. One
/// list may have more when it is unpacked.
const AT_ONCE: usize = 64 << 20;

/// The longest list that is read, in bytes as it is packed: one of some 150,000 snapshots.
pub(crate) const LONGEST_LIST: u64 = 32 << 20;

/// Reads lists of manifests and keeps what is said of snapshots.
pub(super) struct ManifestReader<'a> {
    repository: &'a Repository,
    /// How many bytes of memory those take that are kept, and how many they may take.
    kept: AtomicUsize,
    most: usize,
    /// Whether manifests of other things than snapshots are kept, too.
    all: bool,
}

impl<'a> ManifestReader<'a> {
    pub(super) fn new(repository: &'a Repository) -> Self {
        Self { repository, kept: AtomicUsize::new(0), most: MOST, all: false }
    }

    /// Makes one that keeps manifests of policies and all else, too.
    pub(super) fn of_all(repository: &'a Repository) -> Self {
        Self { all: true, ..Self::new(repository) }
    }

    /// Reads contents that hold manifests, each as a result of its own.
    pub(super) fn read(&self, contents: &[ContentId]) -> Vec<Result<Vec<Manifest>>> {
        let mut read = Vec::with_capacity(contents.len());
        while read.len() < contents.len() {
            let rest = &contents[read.len()..];
            let mut length = 0;
            let batch = rest.iter().take_while(|content| {
                length += self.length(content).min(LONGEST_LIST);
                length <= AT_ONCE as u64
            });
            let count = batch.count().max(1);
            read.extend(self.read_batch(&rest[..count]));
        }
        read
    }

    /// Reads some contents that have few bytes together before gzip is undone.
    fn read_batch(&self, contents: &[ContentId]) -> Vec<Result<Vec<Manifest>>> {
        let cores = self.repository.cores();
        let packed = self.read_all_packed(contents);
        let mut lists = contents.iter().zip(packed).peekable();
        let mut read = Vec::with_capacity(contents.len());
        while lists.peek().is_some() {
            let mut length = 0;
            let mut some = Vec::new();
            while let Some(list) = lists.next_if(|(_, packed)| {
                length += packed.as_deref().map_or(0, unpacked_length);
                some.is_empty() || length <= AT_ONCE
            }) {
                some.push(list);
            }
            let parse = |(content, packed): (&ContentId, Result<Vec<u8>>)| self.parse(content, &packed?);
            read.extend(cores.run(|| some.into_par_iter().map(parse).collect::<Vec<_>>()));
        }
        read
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
    fn parse(&self, content: &ContentId, packed: &[u8]) -> Result<Vec<Manifest>> {
        let limit = unpacked_length(packed).min(MAX_LENGTH);
        let json = match self.repository.contents().with_decoder(|decoder| decoder.gunzip(packed, limit)) {
            Ok(json) => json,
            Err(error) => return self.corrupt(content, error.to_string()),
        };
        let (mut manifests, mut taken) = (Vec::new(), 0);
        let read = manifest::read(&json, |state| {
            if self.all || state.deleted || state.is_snapshot() {
                let memory = memory_of(&state);
                taken += memory;
                self.admit(&state, memory)?;
                manifests.push(state.into());
            }
            Ok(())
        });
        match read {
            Ok(()) => Ok(manifests),
            Err(error) => {
                drop(manifests);
                self.kept.fetch_sub(taken, Ordering::Relaxed);
                self.corrupt(content, error.to_string())
            }
        }
    }

    /// Counts a state that is to be kept, and says why it cannot be.
    fn admit(&self, state: &State<'_>, memory: usize) -> Result<(), String> {
        let kept = self.kept.fetch_add(memory, Ordering::Relaxed) + memory;
        if state.length() > LONGEST {
            let (id, length) = (&state.id, state.length());
            return Err(format!("manifest {id} has {length} bytes, more than {LONGEST}"));
        }
        if kept > self.most {
            return Err(too_many(self.most));
        }
        Ok(())
    }

    fn corrupt<T>(&self, content: &ContentId, why: String) -> Result<T, Error> {
        let location = self.repository.contents().locate(content)?;
        Err(self.repository.contents().flawed(content, &location, Flaw::Corrupt(why)))
    }
}

/// Returns how many bytes a list has when it is unpacked, as gzip's last four bytes say; more are never
/// unpacked.
fn unpacked_length(packed: &[u8]) -> usize {
    packed.last_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize)
}

/// Returns about how many bytes of memory a state takes, and what it is parsed into.
pub(crate) fn memory_of(state: &State<'_>) -> usize {
    state.memory() + size_of::<Snapshot>()
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
