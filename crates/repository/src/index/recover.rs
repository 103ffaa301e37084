//! Index entries from the packs themselves: kopia ends every pack with an index of its own.
//!
//! Authority: `repo/content/content_index_recovery.go`.

use std::hash::{DefaultHasher, Hash, Hasher};

use kopia_format::index::Index;
use kopia_format::postamble::{self, Postamble};
use kopia_storage::{BlobInfo, BlobStore};

use super::table::Builder;
use super::{Loader, Unreadable, UnreadableLog};
use crate::sealing::Sealing;
use crate::{Error, Result};

/// The longest index of one pack that is read, in bytes. A pack of 20 MB has some thousand contents.
const MAX_INDEX: u64 = 64 << 20;

/// Adds what all packs say of themselves; returns a fingerprint of their names. Packs that cannot be read, or
/// listed, are logged.
pub(super) fn add_packs(loader: &Loader<'_, '_, '_>, builder: &Builder, log: &UnreadableLog) -> u64 {
    let store = loader.feed.store();
    let packs = list_some(store, |prefix, error| {
        log.add(Unreadable::PackList(prefix, error.into()));
    });
    loader.cores.for_each(store.profile(), &packs, |pack| {
        let added = own_index(store, loader.sealing, pack).and_then(|index| {
            builder.add(&index).map_err(|why| Error::CorruptBlob { blob: pack.id.clone(), why })
        });
        match added {
            // Removed since it was listed: what counted of it is in packs that were there by then.
            Err(Error::Storage(error)) if error.is_not_found() => {}
            Err(error) => log.add(Unreadable::Pack(pack.id.clone(), error.into())),
            Ok(()) => {}
        }
    });
    fingerprint(&packs)
}

/// Lists all packs.
pub(super) fn list(store: &dyn BlobStore) -> Result<Vec<BlobInfo>> {
    let mut packs = store.list("p")?;
    packs.extend(store.list("q")?);
    Ok(packs)
}

/// Lists all packs that can be listed; `fail` is told of the others by the beginning of their names.
pub(super) fn list_some(store: &dyn BlobStore, mut fail: impl FnMut(char, Error)) -> Vec<BlobInfo> {
    let mut packs = Vec::new();
    for prefix in ['p', 'q'] {
        match store.list(prefix.encode_utf8(&mut [0; 4])) {
            Ok(listed) => packs.extend(listed),
            Err(error) => fail(prefix, error.into()),
        }
    }
    packs
}

/// Hashes the names of packs.
pub(super) fn fingerprint(packs: &[BlobInfo]) -> u64 {
    let mut hasher = DefaultHasher::new();
    packs.iter().for_each(|pack| pack.id.hash(&mut hasher));
    hasher.finish()
}

/// Reads and opens the index at the end of a pack.
///
/// # Errors
/// [`Error::CorruptBlob`] and [`Error::Unsupported`] if there is none that can be read, and
/// [`Error::Storage`].
pub(crate) fn own_index(store: &dyn BlobStore, sealing: &Sealing, pack: &BlobInfo) -> Result<Index<Vec<u8>>> {
    let corrupt = |why: String| Error::CorruptBlob { blob: pack.id.clone(), why };
    let length = pack.length.min(postamble::MAX_LENGTH as u64);
    let end = store.read_range(&pack.id, pack.length - length, length as usize, Vec::new())?;
    let Postamble { iv, offset, length } =
        Postamble::parse(&end).map_err(|error| Error::blob(&pack.id, error))?;
    if length > MAX_INDEX {
        return Err(corrupt(format!("its index has {length} bytes")));
    }
    let stored = store.read_range(&pack.id, offset, length as usize, Vec::new())?;
    let mut plain = Vec::new();
    sealing.open(&iv, &stored, &mut Vec::new(), &mut plain).map_err(|error| corrupt(error.to_string()))?;
    Index::parse(plain).map_err(|error| Error::blob(&pack.id, error))
}

#[cfg(test)]
mod tests {
    use kopia_storage::MemoryStore;
    use kopia_storage::testing::CountingStore;
    use kopia_testkit::writer::postamble;

    use super::*;
    use crate::index::tests::sealing;

    #[test]
    fn the_index_of_a_pack_is_read_up_to_a_limit() {
        let store = CountingStore::new(MemoryStore::new());
        let id: kopia_format::BlobId = "p0".parse().unwrap();
        for (length, is_read) in [(MAX_INDEX, true), (MAX_INDEX + 1, false)] {
            let bytes = postamble(&[7; 16], 0, length);
            let pack = BlobInfo::new(id.clone(), bytes.len() as u64);
            store.inner().insert(id.clone(), bytes);
            let error = own_index(&store, &sealing(), &pack).map(drop).unwrap_err();
            // One that may be read is not there in full.
            assert_eq!(matches!(error, Error::Storage(_)), is_read, "{error}");
            assert_eq!(store.take().ranges.len(), 1 + usize::from(is_read));
        }
    }
}
