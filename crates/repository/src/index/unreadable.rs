//! What a degraded repository has lost.

use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// Sentences that threads add to.
#[derive(Debug)]
pub(crate) struct UnreadableLog {
    /// Whether a blob that is listed and not there is lost: it may have been removed in between.
    vanished: bool,
    of_indexes: Mutex<Vec<String>>,
    of_packs: Mutex<Vec<String>>,
}

/// What could not be read, each as a sentence, sorted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unreadable {
    /// Of index blobs, then of packs.
    pub(crate) sentences: Vec<String>,
    /// How many are of index blobs.
    pub(crate) of_indexes: usize,
}

impl UnreadableLog {
    pub(super) fn new(vanished: bool) -> Self {
        Self { vanished, of_indexes: Mutex::default(), of_packs: Mutex::default() }
    }

    /// Adds what is lost of index blobs.
    pub(super) fn add(&self, what: String) {
        self.of_indexes.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// Adds what is lost of packs.
    pub(super) fn add_of_packs(&self, what: String) {
        self.of_packs.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// Adds an error, unless it is one that listing anew may help against: that is returned.
    pub(super) fn take(&self, what: &str, error: Error) -> Result<()> {
        match error {
            Error::Storage(ref missing) if missing.is_not_found() && !self.vanished => Err(error),
            error => {
                self.add(format!("{what}: {error}"));
                Ok(())
            }
        }
    }

    /// Returns them, sorted.
    pub(super) fn into_sorted(self) -> Unreadable {
        let [mut of_indexes, mut of_packs] = [self.of_indexes, self.of_packs]
            .map(|sentences| sentences.into_inner().unwrap_or_else(PoisonError::into_inner));
        of_indexes.sort();
        of_packs.sort();
        Unreadable { of_indexes: of_indexes.len(), sentences: [of_indexes, of_packs].concat() }
    }
}
