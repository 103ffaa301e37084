//! Packs that no index names.

use kopia_rs::{Repository, Result};

use super::Finding;

/// How many packs are asked what they hold.
const ASKED: usize = 10_000;

/// Looks for packs that no index names, and asks those that may hold snapshots; `None` if there are none.
///
/// # Errors
/// If packs cannot be listed.
pub(crate) fn unnamed(repository: &Repository) -> Result<Option<Finding>> {
    let unnamed = repository.unnamed_packs(ASKED)?;
    let holds = || unnamed.metadata.iter().map(|pack| &pack.holds);
    let read = || holds().filter_map(|holds| holds.as_ref().ok()?.as_ref());
    let example = unnamed.metadata.first().map(|pack| &pack.blob).or(unnamed.data.first());
    let Some(example) = example else { return Ok(None) };
    Ok(Some(Finding::UnnamedPacks {
        data: unnamed.data.len(),
        metadata: unnamed.metadata.len(),
        manifests: read().map(|holds| holds.manifests).sum(),
        contents: read().map(|holds| holds.contents).sum(),
        unreadable: holds().filter(|holds| !matches!(holds, Ok(Some(_)))).count(),
        example: example.to_string(),
    }))
}
