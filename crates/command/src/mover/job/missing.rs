//! Decides whether "nothing to restore" is a first deployment or an error.
//!
//! On a first deployment there is no backup yet, and the application must come up. But a volume that is not
//! mounted, a wrong directory, a wrong password or a damaged index look much the same, and an application
//! that starts empty then has its good backups replaced by empty ones. So only two things count as «no backup
//! yet»: an empty volume, and a list of snapshots that is whole and has none of this identity.

use std::path::Path;

use kopia_rs::connect::{Options, survey};
use kopia_rs::connection::Connection;
use kopia_rs::diagnosis::text::chain;
use kopia_rs::diagnosis::{
    Audience, Class, Effort, Finding, Listing, LocalPath, OpenFailure, PathState, RemoteFailure, explain,
    explain_remote, identity, no_snapshot,
};
use kopia_rs::storage::{self, BlobStore};
use kopia_rs::unindexed::ManifestCoverage;
use kopia_rs::{Error, Repository, Snapshot, Snapshots};

use crate::mover::account::advice;
use crate::mover::account::line::{SetupError, StatusLine};
use crate::mover::account::outcome::{JobOutcome, JobResult};
use crate::mover::contract::arguments::OnMissing;
use crate::mover::contract::place::Place;
use crate::mover::contract::selection::{Found, Wanted};
use crate::mover::contract::settings::Settings;
use crate::wording::remote::remote;
use crate::wording::snapshots::may_be_hidden;

/// How often a backup that is just being written is waited for, and how long each time.
const LOOKS: u32 = 5;
const BETWEEN: std::time::Duration = std::time::Duration::from_secs(1);

/// What was tried: where, and how it was connected to.
pub(crate) struct Tried<'a> {
    pub(crate) place: &'a Place,
    pub(crate) connection: &'a Connection,
    pub(crate) options: &'a Options,
}

/// Explains why a repository could not be opened, or that there is none yet.
pub(crate) fn repository(
    tried: &Tried<'_>,
    store: Option<&dyn BlobStore>,
    error: &Error,
    settings: &Settings,
) -> JobOutcome {
    match tried.place.directory() {
        Some(directory) => in_directory(directory, store, error, settings),
        None => over_network(tried, store, error, settings),
    }
}

/// As [`repository`], of one over a network. A bucket that holds nothing may be the wrong one, or the prefix
/// off by a level, so somebody must have said that it is well.
fn over_network(
    tried: &Tried<'_>,
    store: Option<&dyn BlobStore>,
    error: &Error,
    settings: &Settings,
) -> JobOutcome {
    let findings = around(tried, store, error, settings);
    let is_accepted = settings.on_missing == Some(OnMissing::Continue);
    let is_absent = matches!(error, Error::NotARepository { .. });
    let is_elsewhere = findings.iter().any(|finding| {
        matches!(
            finding,
            Finding::ElsewhereInStore { .. }
                | Finding::Velero { .. }
                | Finding::FormatBlobMissing { .. }
                | Finding::NotThereYet { .. }
        )
    });
    if is_accepted && is_absent && !is_elsewhere && store.is_some_and(holds_no_index) {
        let identity = settings.wanted.identity.to_string();
        let fact = format!("{} holds no Kopia repository", tried.place);
        return JobOutcome::new(JobResult::Nothing, StatusLine::nothing(&identity, &fact, ""));
    }
    JobOutcome::failed(match findings.first() {
        Some(Finding::Failed { .. }) if !matches!(error, Error::Storage(_)) => {
            advice::repository("open the repository", error)
        }
        Some(finding) => StatusLine::of(finding),
        None => advice::repository("open the repository", error),
    })
}

/// Looks around, with the request or two that a hint may cost.
fn around(
    tried: &Tried<'_>,
    store: Option<&dyn BlobStore>,
    error: &Error,
    settings: &Settings,
) -> Vec<Finding> {
    let Some(remote) = remote(tried.connection) else { return Vec::new() };
    // What keeps it from being looked at keeps the repository from being opened, and is told.
    let around = survey(tried.connection, tried.options).ok().flatten();
    let password = Some(&settings.password);
    let failure = RemoteFailure { store, password, ..RemoteFailure::new(&remote, error) };
    explain_remote(RemoteFailure { around: around.as_deref(), ..failure }, Effort::Hint)
}

/// Returns whether no blob of an index is there, whatever the repository's format. What cannot be listed may
/// be.
fn holds_no_index(store: &dyn BlobStore) -> bool {
    ["x", "n", "m"].iter().all(|prefix| store.list(prefix).is_ok_and(|blobs| blobs.is_empty()))
}

fn in_directory(
    directory: &Path,
    store: Option<&dyn BlobStore>,
    error: &Error,
    settings: &Settings,
) -> JobOutcome {
    let path = &LocalPath::look(directory);
    let mut failure = OpenFailure::new(path, error);
    (failure.store, failure.password) = (store, Some(&settings.password));
    let findings = explain(failure, Effort::Hint);
    let first = findings.first();
    let outcome = match first {
        Some(finding) if is_no_backup_yet(path, error, finding, settings.on_missing) => {
            let identity = settings.wanted.identity.to_string();
            let line = StatusLine::nothing(&identity, &finding.fact(), &finding.change(Audience::VolSync));
            JobOutcome::new(how(settings.on_missing), line)
        }
        Some(finding) => JobOutcome::failed(StatusLine::of(finding)),
        None => {
            let line = StatusLine::unable("open the repository", &chain(error), "");
            JobOutcome::failed(line.with_class(Class::of(error)))
        }
    };
    findings.iter().skip(1).fold(outcome, |outcome, finding| {
        outcome.detail(format!("INFO: {}", finding.sentence(Audience::VolSync)))
    })
}

/// Returns whether a location without a repository is one where none was made yet.
fn is_no_backup_yet(
    path: &LocalPath,
    error: &Error,
    finding: &Finding,
    on_missing: Option<OnMissing>,
) -> bool {
    let nobody_there = match error {
        Error::NotARepository { .. } => path.state == PathState::Directory,
        Error::Storage(error @ storage::Error::Open { .. }) => {
            error.kind() == storage::ErrorKind::NotFound && path.state == PathState::Missing
        }
        _ => false,
    };
    if !nobody_there {
        return false;
    }
    if path.is_empty_mount() {
        return true;
    }
    // An export that is not mounted looks like this, too, so somebody must have said that it is well.
    let is_empty = path.state == PathState::Missing || path.listing == Listing::Empty;
    let is_elsewhere = matches!(
        finding,
        Finding::Elsewhere { .. } | Finding::Velero { .. } | Finding::FormatBlobMissing { .. }
    );
    on_missing == Some(OnMissing::Continue) && is_empty && !is_elsewhere
}

/// Ends a Job whose identity certainly has no snapshot.
pub(crate) fn identity(snapshots: &Snapshots, settings: &Settings) -> JobOutcome {
    let wanted = &settings.wanted.identity;
    let line = match no_snapshot(snapshots, wanted) {
        Some(finding) => StatusLine::of(&finding),
        None => StatusLine::nothing(&wanted.to_string(), "the repository has none of it", ""),
    };
    let mut outcome = JobOutcome::new(how(settings.on_missing), line).without_snapshots(wanted);
    if snapshots.iter().len() == 0 && snapshots.hides_deleted() {
        // A Job cannot ask for them: somebody decides that what was deleted comes back.
        outcome = outcome.detail(
            "INFO: snapshots were deleted, of which some may still be there: kopia-rs snapshots --deleted shows \
             them, and kopia-rs restore --deleted restores one",
        );
    }
    with_others(outcome, snapshots, settings)
}

/// Adds the identities that there are, best first, if they are to be listed.
pub(crate) fn with_others(outcome: JobOutcome, snapshots: &Snapshots, settings: &Settings) -> JobOutcome {
    const MOST: usize = 3;
    let wanted = &settings.wanted.identity;
    let others = if settings.discover {
        identity::nearest(identity::all(snapshots), wanted, MOST)
    } else {
        Vec::new()
    };
    outcome.instead(others)
}

fn how(on_missing: Option<OnMissing>) -> JobResult {
    match on_missing {
        Some(OnMissing::Fail) => JobResult::Missing,
        Some(OnMissing::Continue) | None => JobResult::Nothing,
    }
}

/// Lists the snapshots once more, and fails unless the list is certainly complete for what is wanted.
///
/// It is incomplete while a pack outside the index may hold more snapshots. A backup that is being written is
/// waited for.
pub(crate) fn certain(repository: &Repository, wanted: &Wanted) -> Result<Snapshots, JobOutcome> {
    let mut what = format!("tell whether {} has snapshots", wanted.identity);
    let mut looks = 0;
    loop {
        let coverage = coverage(repository, &what)?;
        match wanted.choose(&coverage.snapshots) {
            Found::Snapshot(_) => return Ok(coverage.snapshots),
            Found::NoneFits(_) => what = format!("tell which snapshots {} has", wanted.identity),
            Found::Nothing => {}
        }
        if wanted.identities().all(|identity| coverage.is_complete_for(&identity)) {
            return Ok(coverage.snapshots);
        }
        looks += 1;
        let is_written = coverage.hiding.iter().any(|pack| pack.session_open);
        if looks > LOOKS || !is_written {
            return Err(JobOutcome::failed(doubt(&coverage, wanted).unable(&what)));
        }
        std::thread::sleep(BETWEEN);
    }
}

/// Returns what the list of snapshots of a damaged repository lacks, or may lack, each as a sentence. What a
/// backup that runs at the moment has written is not missing yet; and what lost index blobs named, packs have
/// told.
pub(crate) fn gaps(repository: &Repository) -> Result<Vec<String>, JobOutcome> {
    let coverage = coverage(repository, "list snapshots")?;
    let lost = coverage.snapshots.lost().iter().map(|lost| format!("the list of snapshots has gaps: {lost}"));
    let hiding = coverage.hiding.iter().filter(|pack| !pack.is_expected());
    let hiding = hiding.map(|pack| format!("pack {} may hold snapshots that no index names", pack.id));
    Ok(lost.chain(hiding).collect())
}

fn coverage(repository: &Repository, what: &str) -> Result<ManifestCoverage, JobOutcome> {
    repository
        .manifest_coverage()
        .map_err(|error| JobOutcome::failed(advice::unlisted(what, &error, repository)))
}

/// What speaks against a snapshot that was chosen, each as a sentence.
#[derive(Debug, Default)]
pub(crate) struct Newer {
    /// Newer ones that no index names.
    pub(crate) hidden: Vec<String>,
    /// Packs that may hold some.
    pub(crate) unread: Vec<String>,
    /// Whether index blobs are lost that may have named some of which nothing else is left.
    pub(crate) is_unknown: bool,
}

/// Returns what speaks against a snapshot that was chosen from a list that can be read: newer ones that no
/// index names, and index blobs that are lost. It is no error, as there may be such packs in a sound
/// repository as well; in one that is not, they are asked with `--degraded`.
pub(crate) fn newer(repository: &Repository, wanted: &Wanted, chosen: &Snapshot) -> kopia_rs::Result<Newer> {
    let are_indexes_lost = !repository.lost_indexes().is_empty();
    if wanted.names(chosen) || !are_indexes_lost && repository.hiding_packs()?.is_empty() {
        return Ok(Newer::default());
    }
    let coverage = repository.manifest_coverage()?;
    let hidden =
        coverage.hidden.iter().filter(|hidden| !hidden.is_expected && wanted.prefers(hidden, chosen));
    let hidden = hidden.map(|hidden| {
        let (time, pack) = (hidden.start_time, &hidden.pack);
        format!(
            "a newer snapshot, from {time}, is missing: its manifest lies in pack {pack}, which no \
            index names"
        )
    });
    let hidden: Vec<_> = hidden.collect();
    let unread: Vec<_> = coverage.unread_unexpectedly().map(|pack| may_be_hidden("newer ", pack)).collect();
    let is_unknown = are_indexes_lost && hidden.is_empty() && unread.is_empty();
    Ok(Newer { hidden, unread, is_unknown })
}

/// Returns why a list may be incomplete.
fn doubt(coverage: &ManifestCoverage, wanted: &Wanted) -> SetupError {
    let hidden =
        coverage.hidden.iter().find(|hidden| wanted.is_of(&hidden.source)).map(|hidden| &hidden.pack);
    let suspect = hidden.or(coverage.unread.first());
    let Some(pack) = coverage.hiding.iter().find(|pack| Some(&pack.id) == suspect) else {
        let of_indexes = coverage.lost_indexes.iter().map(ToString::to_string);
        let lost = of_indexes.chain(coverage.snapshots.lost().iter().map(ToString::to_string)).next();
        return SetupError::new(format!("the list has gaps: {}", lost.unwrap_or_default()), "")
            .with_class(Class::Damaged);
    };
    let more = match coverage.hiding.len() {
        1 => String::new(),
        all => format!(" (and {} more)", all - 1),
    };
    let cause = format!("pack {}{more} may hold some that no index names", pack.id);
    let advice = if pack.session_open {
        "a backup is being written or was cut off; try again, or look with kopia-rs doctor"
    } else {
        "look with kopia-rs doctor; kopia index recover puts them back"
    };
    // A backup that is being written ends, or its session does.
    let class = if pack.session_open { Class::Locked } else { Class::Damaged };
    SetupError::new(cause, advice).with_class(class)
}
