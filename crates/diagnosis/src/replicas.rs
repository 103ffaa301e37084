//! Replicas of a format blob that is lost or damaged.

use kopia_codec::key::Password;
use kopia_repository::FormatBlob;
use kopia_repository::format_blob::{Replica, Replicas as Found};
use kopia_storage::BlobStore;
use serde::Serialize;

use crate::effort::Effort;

/// How many packs are read.
const PACKS: usize = 2000;

/// What packs have of the format blob.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// Whether packs were searched.
    pub searched: bool,
    /// How many different ones there are.
    pub found: usize,
    /// Whether the password opens one; `None` if there is no password, or no replica.
    pub opens: Option<bool>,
    /// A pack that has the one to take.
    pub pack: Option<String>,
    /// How many packs there are.
    pub packs: usize,
    /// How many of them were read.
    pub read: usize,
}

/// Searches packs, for a person who asked: a hint does not read them. Returns what to say, and the replica to
/// take: the one of the newest format that the password opens or, without a password, that of the newest
/// pack.
pub fn search(
    store: &dyn BlobStore,
    password: Option<&Password>,
    effort: Effort,
) -> (Replicas, Option<FormatBlob>) {
    if effort != Effort::Doctor {
        return (Replicas::default(), None);
    }
    // Packs that cannot be listed are no better than none.
    let found = Found::search(store, PACKS, effort.budget().until).unwrap_or_default();
    let best: Option<&Replica> = match password {
        Some(password) => found.best(password).ok(),
        None => found.found.first(),
    };
    let opens = password.filter(|_| !found.found.is_empty()).map(|_| best.is_some());
    let replicas = Replicas {
        searched: true,
        found: found.found.len(),
        opens,
        pack: best.map(|replica| replica.pack.to_string()),
        packs: found.packs,
        read: found.read,
    };
    (replicas, best.map(|replica| replica.blob.clone()))
}
