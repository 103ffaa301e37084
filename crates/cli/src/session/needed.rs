//! What a restore needs of what lies in an archive.

use kopia_rs::choice::Chosen;
use kopia_rs::cold::ColdBlobs;
use kopia_rs::restore::{self, Options, Plan};
use kopia_rs::{Entry, EntryKind, Repository};

use crate::error::Failure;

/// Returns the options of a restore that is planned only for what it reads.
pub(crate) fn reading(chosen: Option<Chosen>) -> Options {
    let mut options = Options::default();
    options.chosen = chosen;
    options
}

/// Finds what has to be fetched from an archive before the next step of a restore; `None` where nothing lies
/// there, which takes a listing and no read.
pub(crate) fn cold(
    repository: &Repository,
    entry: &Entry,
    options: &Options,
) -> Result<Option<ColdBlobs>, Failure> {
    if entry.kind() == EntryKind::Directory && repository.cold_packs()?.is_empty() {
        return Ok(None);
    }
    Ok(Some(match planned(repository, entry, options)? {
        Ok(plan) => plan.cold()?,
        Err(cold) => cold,
    }))
}

/// As [`cold`], of several things, so that everything is asked for at once.
pub(crate) fn cold_of_all<'a>(
    repository: &Repository,
    things: impl Iterator<Item = (&'a Entry, &'a Options)>,
) -> Result<Option<ColdBlobs>, Failure> {
    let mut all: Option<ColdBlobs> = None;
    for (entry, options) in things {
        match (&mut all, cold(repository, entry, options)?) {
            (Some(all), Some(more)) => all.join(more),
            (None, more) => all = more,
            (Some(_), None) => {}
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
