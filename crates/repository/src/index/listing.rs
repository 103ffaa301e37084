//! The blobs that may hold indexes.

use kopia_format::{BlobId, compaction, epoch};
use kopia_storage::{BlobInfo, BlobStore};

use crate::parallel::{map_by_threads, reads_at_once};
use crate::{Error, Result};

/// The blobs that may hold indexes, listed before it is known which kind counts. Each list is sorted by id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(super) epochs: Vec<BlobInfo>,
    pub(super) plain: Vec<BlobInfo>,
    pub(super) logs: Vec<BlobInfo>,
}

impl Listing {
    /// Lists index blobs and compaction logs; all at once where each takes long.
    pub(crate) fn read(store: &dyn BlobStore) -> Result<Self> {
        // Listings are compared, and blobs never change: another time alone, as a copy or a mount may give
        // them, must not have all indexes read again.
        let list = |prefix: &&str| {
            let listed = store.list(prefix)?.into_iter();
            Ok::<Vec<_>, Error>(listed.map(|blob| blob.with_modified(None)).collect())
        };
        let prefixes = ["x", "n", "m"];
        let lists: Result<Vec<_>> = match reads_at_once(store.profile()) {
            1 => prefixes.iter().map(list).collect(),
            threads => map_by_threads(threads, &prefixes, list).into_iter().collect(),
        };
        let [epochs, plain, logs] = <[_; 3]>::try_from(lists?).expect("there is a list for each prefix");
        let hashed = |mut listed: Vec<BlobInfo>| {
            listed.retain(|blob| is_hashed(&blob.id));
            listed
        };
        Ok(Self { epochs, plain: hashed(plain), logs: hashed(logs) })
    }

    /// Returns the blobs that count as far as names tell, in the order in which they are wanted.
    ///
    /// Repositories with epochs have index blobs `x…`; an upgrade leaves the old `n…` beside them. Without
    /// any, it is the plain ones; which of them are replaced stands in the logs, which are sealed.
    pub(crate) fn likely(&self) -> Vec<BlobInfo> {
        let active = epoch::active_set(&ids(&self.epochs)).blobs;
        if !active.is_empty() {
            return infos(&self.epochs, active);
        }
        let plain = infos(&self.plain, compaction::active_set(&ids(&self.plain), &[]));
        self.logs.iter().cloned().chain(plain).collect()
    }
}

/// The fewest hexadecimal digits in the name of a pack, an index blob or a log: a hash, or random bytes, of
/// 16 bytes.
const MIN_DIGITS: usize = 32;

/// Returns whether kopia itself gives packs, index blobs or logs such an id: a letter and hexadecimal digits,
/// perhaps a session and more. With the extension of blobs any file is one, such as what a program left
/// beside them.
pub(crate) fn is_hashed(id: &BlobId) -> bool {
    let stem = id.as_str().split('-').next().unwrap_or_default();
    let digits = stem.get(1..).unwrap_or_default();
    digits.len() >= MIN_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn ids(blobs: &[BlobInfo]) -> Vec<BlobId> {
    blobs.iter().map(|blob| blob.id.clone()).collect()
}

/// Adds the lengths that `listed` states.
pub(super) fn infos(listed: &[BlobInfo], ids: Vec<BlobId>) -> Vec<BlobInfo> {
    let length = |id: &BlobId| {
        let found = listed.binary_search_by(|blob| blob.id.cmp(id));
        found.map_or(0, |place| listed[place].length)
    };
    let info = |id| {
        let length = length(&id);
        BlobInfo::new(id, length)
    };
    ids.into_iter().map(info).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::SystemTime;

    use kopia_storage::FilesystemStore;

    use super::*;

    #[test]
    fn another_time_alone_is_no_other_listing() {
        let place = tempfile::tempdir().unwrap();
        let blob = place.path().join(format!("n{}.f", "0".repeat(MIN_DIGITS)));
        for path in [&blob, &place.path().join("kopia.repository.f")] {
            fs::write(path, b"blob").unwrap();
        }
        let store = FilesystemStore::open(place.path()).unwrap();
        let before = Listing::read(&store).unwrap();
        assert_eq!(before.plain.len(), 1);
        File::open(&blob).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(Listing::read(&store).unwrap(), before);
        fs::write(&blob, b"longer").unwrap();
        assert_ne!(Listing::read(&store).unwrap(), before);
    }
}
