//! What a degraded repository has lost.

use std::sync::{Mutex, PoisonError};

/// Sentences that threads add to.
#[derive(Debug, Default)]
pub(crate) struct Losses(Mutex<Vec<String>>);

impl Losses {
    pub(super) fn add(&self, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// Returns them, sorted.
    pub(super) fn into_sorted(self) -> Vec<String> {
        let mut sentences = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        sentences.sort();
        sentences
    }
}
