//! When it is worth while to look whether contents have moved.
//!
//! A pack that is gone may have been rewritten, or may be lost. To find out, packs and index blobs are listed. That settles
//! it for every pack that was gone by then: whoever rewrites packs writes the new ones and their index before the old ones
//! are removed. So a thousand lost packs cost one look, and so does maintenance that removes a thousand.

use std::collections::{HashMap, HashSet};

use kopia_format::BlobId;
use kopia_storage::{BlobInfo, Error};

use crate::index::table::PackNames;

/// How many looks in a row may bring nothing before only every second, fourth, eighth … failure leads to another one. They
/// would be that many only if packs vanished one by one, or a store did not keep what its lists promise.
const MAX_FRUITLESS: u32 = 4;

/// What was seen when somebody looked.
#[derive(Debug, Default)]
pub(super) struct Rescans {
    /// How long packs were at the last look, by number; nothing for those that were gone.
    lengths: Vec<Option<u64>>,
    /// Packs for whose sake somebody looked in vain.
    in_vain: HashSet<u32>,
    /// Rescans in a row that brought nothing.
    fruitless: u32,
    /// Failures since the last look.
    failures: u64,
}

impl Rescans {
    /// Says whether a look may help against a failure to read from a pack.
    pub(super) fn may_help(&mut self, pack: u32, error: &Error) -> bool {
        let seen = self.lengths.get(pack as usize);
        let settled = match error {
            Error::NotFound { .. } => seen == Some(&None),
            Error::Short { length, .. } => seen == Some(&Some(*length)),
            // What cannot be read is where it was.
            _ => true,
        };
        if settled || self.in_vain.contains(&pack) {
            return false;
        }
        self.failures += 1;
        if self.failures < 1 << self.fruitless.saturating_sub(MAX_FRUITLESS).min(32) {
            return false;
        }
        self.failures = 0;
        true
    }

    /// Keeps what was seen of the packs whose names were known by then.
    pub(super) fn saw(&mut self, listed: &[BlobInfo], names: &PackNames) {
        let lengths: HashMap<&BlobId, u64> = listed.iter().map(|pack| (&pack.id, pack.length)).collect();
        self.lengths = names.iter().map(|name| lengths.get(name).copied()).collect();
    }

    /// Keeps what a look for the sake of a pack brought.
    pub(super) fn ended(&mut self, pack: u32, found: bool) {
        if found {
            self.fruitless = 0;
        } else {
            self.fruitless += 1;
            self.in_vain.insert(pack);
        }
    }
}

#[cfg(test)]
mod tests {
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
        let mut looks = Rescans::default();
        assert!(looks.may_help(0, &gone()));
        looks.saw(&[BlobInfo::new("p1".parse().unwrap(), 7)], &names);
        looks.ended(0, false);
        assert!(!looks.may_help(0, &gone()) && !looks.may_help(2, &gone()), "both were gone");
        assert!(!looks.may_help(1, &short(7)), "it was as short as that");
        assert!(looks.may_help(1, &gone()) && looks.may_help(1, &short(3)), "something happened since");
        assert!(looks.may_help(3, &gone()), "it was not known then");
        let other = Error::List { place: String::new(), source: std::io::Error::other("a disk") };
        assert!(!looks.may_help(4, &other));
    }

    #[test]
    fn patience_ends() {
        let mut looks = Rescans::default();
        let mut count = 0;
        for pack in 0..100_000 {
            if looks.may_help(pack, &gone()) {
                looks.ended(pack, false);
                count += 1;
            }
        }
        assert!(count < 25, "{count} looks");
        // Something found ends the distrust.
        let next = (100_000..).find(|pack| looks.may_help(*pack, &gone())).unwrap();
        looks.ended(next, true);
        assert!(looks.may_help(next + 1, &gone()));
    }
}
