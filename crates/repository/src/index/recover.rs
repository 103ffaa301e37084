//! Index entries from the packs themselves: kopia ends every pack with an index of its own.
//!
//! Authority: `repo/content/content_index_recovery.go`.

use kopia_format::index::Index;
use kopia_format::postamble::{self, Postamble};
use kopia_storage::{BlobInfo, BlobStore};

use super::Losses;
use crate::read::side_by_side;
use crate::sealing::Sealing;
use crate::table::Builder;
use crate::{Error, Result};

/// The longest index of one pack that is read, in bytes. A pack of 20 MB has some thousand contents.
const MAX_INDEX: u64 = 64 << 20;

/// Adds what all packs say of themselves.
///
/// # Errors
/// If the packs cannot be listed. One that cannot be read is a loss.
pub(super) fn add_packs(
    store: &dyn BlobStore,
    sealing: &Sealing,
    builder: &Builder,
    losses: &Losses,
) -> Result<()> {
    let mut packs = store.list("p")?;
    packs.extend(store.list("q")?);
    side_by_side(store.profile(), &packs, |pack| {
        let added = read(store, sealing, pack).and_then(|bytes| {
            let index = Index::parse(bytes).map_err(|error| Error::blob(&pack.id, error))?;
            builder.add(&index).map_err(|why| Error::CorruptBlob { blob: pack.id.clone(), why })
        });
        if let Err(error) = added {
            losses.add(format!("pack {} does not say what it holds: {error}", pack.id));
        }
    });
    Ok(())
}

/// Reads and opens the index at the end of a pack.
fn read(store: &dyn BlobStore, sealing: &Sealing, pack: &BlobInfo) -> Result<Vec<u8>> {
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
    Ok(plain)
}
