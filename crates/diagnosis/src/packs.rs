//! Packs that no index names, and packs that are not there.

use kopia_repository::unindexed::{Packs, UnindexedPack};
use kopia_repository::{Repository, Result};

use crate::finding::Finding;

/// Looks for packs that no index names, and asks them what they hold; `None` if there are none.
///
/// # Errors
/// If packs or index blobs cannot be listed.
pub fn unindexed(repository: &Repository, which: Packs) -> Result<Option<Finding>> {
    let packs = repository.unindexed_packs(which)?;
    let hides = |pack: &&UnindexedPack| pack.may_hide(Some('m')) && !pack.session_open;
    let unknown = |manifests: bool| {
        let held = packs.iter().flat_map(|pack| &pack.holds);
        held.filter(|(prefix, _)| (**prefix == Some('m')) == manifests).map(|(_, held)| held.unknown).sum()
    };
    // One that hides something says more than one that does not.
    let Some(example) = packs.iter().find(hides).or(packs.first()) else { return Ok(None) };
    Ok(Some(Finding::UnindexedPacks {
        packs: packs.len(),
        open: packs.iter().filter(|pack| pack.session_open).count(),
        hiding: packs.iter().filter(hides).count(),
        silent: packs.iter().filter(|pack| pack.error.is_some()).count(),
        manifests: unknown(true),
        others: unknown(false),
        example: example.id.to_string(),
    }))
}

/// Looks for packs that are not there although contents should be in them; `None` if all are.
///
/// # Errors
/// If packs or index blobs cannot be listed.
pub fn missing(repository: &Repository) -> Result<Option<Finding>> {
    let missing = repository.missing_packs()?;
    let Some(example) = missing.first() else { return Ok(None) };
    Ok(Some(Finding::MissingPacks {
        packs: missing.len(),
        contents: missing.iter().map(|pack| pack.contents).sum(),
        example: example.id.to_string(),
    }))
}
