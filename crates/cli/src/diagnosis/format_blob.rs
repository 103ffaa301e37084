//! Replicas of a format blob that is lost or damaged.

use kopia_rs::format_blob::{Replica, Replicas as Found};
use kopia_rs::storage::BlobStore;
use kopia_rs::{FormatBlob, Password};
use serde::Serialize;

use super::Effort;
use crate::output::{count, thousands};

/// How many packs are read.
const PACKS: usize = 2000;

/// What packs have of the format blob.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Replicas {
    /// Whether anybody searched.
    pub(crate) searched: bool,
    /// How many different ones there are.
    pub(crate) found: usize,
    /// Whether the password opens one; `None` if there is no password, or no replica.
    pub(crate) opens: Option<bool>,
    /// A pack that has the one to take.
    pub(crate) pack: Option<String>,
    /// How many packs there are, and how many were read.
    pub(crate) packs: usize,
    pub(crate) read: usize,
}

/// Searches packs, for a person who asked: a hint does not read them. Returns what to say, and the replica to take: the one
/// of the newest format that the password opens or, without a password, that of the newest pack.
pub(crate) fn search(
    store: &dyn BlobStore,
    password: Option<&Password>,
    effort: Effort,
) -> (Replicas, Option<FormatBlob>) {
    if effort != Effort::Doctor {
        return Default::default();
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

impl Replicas {
    /// Says why there is none to take.
    pub(crate) fn why_none(&self) -> String {
        let (read, packs) = (count(self.read as u64, "pack", "packs"), thousands(self.packs as u64));
        match (self.found, self.opens) {
            (0, _) => format!("no replica of the format blob is in the {read} read (of {packs})"),
            _ => format!("the password opens none of the {} replicas of the format blob", self.found),
        }
    }
}
