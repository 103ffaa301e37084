//! What a restore needs of what lies in an archive.

use std::cell::Cell;
use std::thread::{self, JoinHandle};

use kopia_rs::choice::Chosen;
use kopia_rs::cold::{ColdBlobs, ColdPacks};
use kopia_rs::restore::{self, Options, Plan};
use kopia_rs::{Entry, EntryKind, Repository};

use crate::error::Failure;

/// Returns the options of a restore that is planned only for what it reads.
pub(crate) fn reading(chosen: Option<Chosen>) -> Options {
    let mut options = Options::default();
    options.chosen = chosen;
    options
}

/// The listing of an archive, begun before it is needed: a restore needs it only once it knows its snapshot,
/// and finding that is waiting for the store as well.
pub(crate) struct Ahead(Cell<Option<JoinHandle<kopia_rs::Result<ColdPacks>>>>);

impl Ahead {
    /// Begins to list what lies in the archive of a store that has one.
    pub(crate) fn begin(repository: &Repository) -> Self {
        let has_archive = repository.server().is_none() && repository.store().cold().is_some();
        let repository = repository.clone();
        let list = move || repository.cold_packs();
        Self(Cell::new(has_archive.then(|| thread::Builder::new().spawn(list).ok()).flatten()))
    }

    /// Leaves it to whoever needs the listing.
    pub(crate) fn none() -> Self {
        Self(Cell::new(None))
    }

    /// Returns the listing the first time; then lists anew, as time has gone by.
    fn packs(&self, repository: &Repository) -> kopia_rs::Result<ColdPacks> {
        match self.0.take().map(JoinHandle::join) {
            Some(Ok(listed)) => listed,
            Some(Err(_)) | None => repository.cold_packs(),
        }
    }
}

/// Finds what has to be fetched from an archive before the next step of a restore; `None` where nothing lies
/// there, which takes a listing and no read.
pub(crate) fn cold(
    repository: &Repository,
    entry: &Entry,
    options: &Options,
) -> Result<Option<ColdBlobs>, Failure> {
    cold_of_all(repository, &Ahead::none(), std::iter::once((entry, options)))
}

/// As [`cold`], of several things, so that everything is asked for at once.
pub(crate) fn cold_of_all<'a>(
    repository: &Repository,
    listing: &Ahead,
    things: impl Iterator<Item = (&'a Entry, &'a Options)>,
) -> Result<Option<ColdBlobs>, Failure> {
    let (mut all, mut is_empty): (Option<ColdBlobs>, _) = (None, None);
    for (entry, options) in things {
        if entry.kind() == EntryKind::Directory {
            let is_empty = match is_empty {
                Some(known) => known,
                None => *is_empty.insert(listing.packs(repository)?.is_empty()),
            };
            if is_empty {
                continue;
            }
        }
        let more = match planned(repository, entry, options)? {
            Ok(plan) => plan.cold()?,
            Err(cold) => cold,
        };
        match &mut all {
            Some(all) => all.join(more),
            None => all = Some(more),
        }
    }
    Ok(all)
}

/// Plans a restore; the inner error is what has to be fetched before that can be done.
pub(crate) fn planned(
    repository: &Repository,
    entry: &Entry,
    options: &Options,
) -> Result<Result<Plan, ColdBlobs>, Failure> {
    match Plan::new(entry, options) {
        Ok(plan) => Ok(Ok(plan)),
        Err(restore::Error::Repository(error)) => match error.cold_blob() {
            Some(blob) => {
                let cold = repository.cold_metadata(std::slice::from_ref(blob))?;
                if cold.is_empty() { Err(error.into()) } else { Ok(Err(cold)) }
            }
            None => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}
