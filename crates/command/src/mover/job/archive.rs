//! What lies in an archive: nothing is restored before all that is needed can be read.

use kopia_rs::storage::BlobStore;
use kopia_rs::{Entry, Repository, Result as RepositoryResult};

use crate::error::Failure;
use crate::mover::account::line::StatusLine;
use crate::mover::account::outcome::JobOutcome;
use crate::mover::contract::settings::Settings;
use crate::session::needed;
use crate::terminal::output::escape;

/// Opens something; what that needs of the archive is seen to first. The inner error is any other.
pub(super) fn to_open<R>(
    store: &dyn BlobStore,
    settings: &Settings,
    open: impl Fn() -> RepositoryResult<R>,
) -> Result<RepositoryResult<R>, JobOutcome> {
    settings.archive.warm_to_open(store, open).map_err(|failure| told(&failure, settings))
}

/// As above, of something that reads snapshots or directories.
pub(super) fn directories<R>(
    repository: &Repository,
    settings: &Settings,
    read: impl Fn() -> RepositoryResult<R>,
) -> Result<RepositoryResult<R>, JobOutcome> {
    settings.archive.warm(repository, read).map_err(|failure| told(&failure, settings))
}

/// Sees to it that all of a snapshot can be read.
pub(super) fn files(repository: &Repository, root: &Entry, settings: &Settings) -> Result<(), JobOutcome> {
    let find = || needed::cold(repository, root, &settings.options);
    let settled = settings.archive.warm_all(repository.store(), None, find);
    settled.map_err(|failure| told(&failure, settings))
}

/// Ends a Job that cannot be done yet, or not without being told to ask for what it needs.
fn told(failure: &Failure, settings: &Settings) -> JobOutcome {
    let what = format!("restore {}", settings.wanted.identity);
    let advice = if failure.is_later() {
        "a Job that comes later goes on; with KOPIA_RS_THAW_WAIT=true it waits"
    } else if settings.archive.asks() {
        "the lines above say more"
    } else {
        "KOPIA_RS_THAW=bulk asks for them"
    };
    let line = StatusLine::unable(&what, failure.message(), advice).with_class(failure.class());
    let outcome = JobOutcome::failed(line);
    let hints = failure.hints().iter();
    hints.fold(outcome, |outcome, hint| outcome.detail(format!("INFO: {}", escape(hint))))
}
