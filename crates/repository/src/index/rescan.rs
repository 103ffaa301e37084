//! Limits how often a failed read may list packs and index blobs again.
//!
//! A pack that is gone may have been rewritten, or may be lost. To find out, packs and index blobs are
//! listed. That settles it for every pack that was gone by then: whoever rewrites packs writes the new ones
//! and their index before the old ones are removed. So a thousand lost packs cost one rescan, and so does
//! maintenance that removes a thousand.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kopia_format::BlobId;
use kopia_storage::BlobInfo;

use super::table::PackNames;
use crate::Error;

/// How many rescans in a row may bring nothing.
///
/// After that, only every second, fourth, eighth … failure leads to another one.
const MAX_FRUITLESS: u32 = 4;

/// What the last rescan saw, and how many brought nothing.
#[derive(Debug, Default)]
pub(super) struct Rescans {
    /// How long packs were at the last rescan, by number; nothing for those that were gone.
    lengths: Vec<Option<u64>>,
    /// Packs for whose sake a rescan found nothing.
    in_vain: HashSet<u32>,
    moved: Backoff,
    missed: Backoff,
    /// Why index blobs could not be listed again after a lookup missed something.
    unconfirmed: Option<Arc<Error>>,
}

impl Rescans {
    /// Returns whether a rescan may help against a failure to read from a pack.
    pub(super) fn may_help(&mut self, pack: u32, error: &kopia_storage::Error) -> bool {
        use kopia_storage::Error;
        let seen = self.lengths.get(pack as usize);
        let settled = match error {
            Error::NotFound { .. } => seen == Some(&None),
            Error::Short { length, .. } => seen == Some(&Some(*length)),
            // What cannot be read is where it was.
            _ => true,
        };
        !settled && !self.in_vain.contains(&pack) && self.moved.may_try()
    }

    /// Keeps what was seen of the packs whose names were known by then.
    pub(super) fn saw(&mut self, listed: &[BlobInfo], names: &PackNames) {
        let lengths: HashMap<&BlobId, u64> = listed.iter().map(|pack| (&pack.id, pack.length)).collect();
        self.lengths = names.iter().map(|name| lengths.get(name).copied()).collect();
    }

    /// Keeps what a rescan for the sake of a pack brought.
    pub(super) fn ended(&mut self, pack: u32, found: bool) {
        self.moved.ended(found);
        if !found {
            self.in_vain.insert(pack);
        }
    }

    /// Returns why a lookup that missed something is not to list index blobs again; nothing if it is.
    pub(super) fn unconfirmed(&mut self) -> Option<Arc<Error>> {
        self.unconfirmed.clone().filter(|_| !self.missed.may_try())
    }

    /// Keeps the error of listing index blobs again, and returns it.
    pub(super) fn failed_to_confirm(&mut self, error: Error) -> Arc<Error> {
        self.missed.ended(false);
        self.unconfirmed.insert(Arc::new(error)).clone()
    }
}

/// Attempts that become rarer the longer they bring nothing.
#[derive(Debug, Default)]
struct Backoff {
    /// Attempts in a row that brought nothing.
    fruitless: u32,
    /// Reasons for an attempt since the last one.
    reasons: u64,
}

impl Backoff {
    /// Counts a reason for an attempt and returns whether to make one.
    fn may_try(&mut self) -> bool {
        self.reasons += 1;
        let may = self.reasons >= 1 << self.fruitless.saturating_sub(MAX_FRUITLESS).min(32);
        if may {
            self.reasons = 0;
        }
        may
    }

    fn ended(&mut self, found: bool) {
        self.fruitless = if found { 0 } else { self.fruitless.saturating_add(1) };
    }
}

#[cfg(test)]
mod tests {
    use kopia_storage::Error;

    use super::*;

    fn gone() -> Error {
        Error::NotFound { blob: "p".parse().unwrap(), place: String::new() }
    }

    fn short(length: u64) -> Error {
        Error::Short { blob: "p".parse().unwrap(), place: String::new(), offset: 0, wanted: 9, length }
    }

    #[test]
    fn what_was_seen_is_not_looked_at_again() {
        let names: Vec<BlobId> = ["p0", "p1", "p2"].iter().map(|name| name.parse().unwrap()).collect();
        let names = PackNames::from(names);
        let mut rescans = Rescans::default();
        assert!(rescans.may_help(0, &gone()));
        rescans.saw(&[BlobInfo::new("p1".parse().unwrap(), 7)], &names);
        rescans.ended(0, false);
        assert!(!rescans.may_help(0, &gone()) && !rescans.may_help(2, &gone()), "both were gone");
        assert!(!rescans.may_help(1, &short(7)), "it was as short as that");
        assert!(rescans.may_help(1, &gone()) && rescans.may_help(1, &short(3)), "something happened since");
        assert!(rescans.may_help(3, &gone()), "it was not known then");
        let other = Error::List { place: String::new(), source: std::io::Error::other("a disk") };
        assert!(!rescans.may_help(4, &other));
    }

    #[test]
    fn patience_ends() {
        let mut rescans = Rescans::default();
        let mut count = 0;
        for pack in 0..100_000 {
            if rescans.may_help(pack, &gone()) {
                rescans.ended(pack, false);
                count += 1;
            }
        }
        assert!(count < 25, "{count} rescans");
        // Something found ends the distrust.
        let next = (100_000..).find(|pack| rescans.may_help(*pack, &gone())).unwrap();
        rescans.ended(next, true);
        assert!(rescans.may_help(next + 1, &gone()));
    }

    #[test]
    fn a_pack_that_was_found_elsewhere_may_move_again() {
        let mut rescans = Rescans::default();
        rescans.ended(0, true);
        assert!(rescans.may_help(0, &gone()));
        rescans.ended(0, false);
        rescans.ended(1, true);
        assert!(!rescans.may_help(0, &gone()), "it was looked for in vain");
        assert!(rescans.may_help(1, &gone()));
    }
}
