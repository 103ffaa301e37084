//! Whether it is well that there is nothing to restore.
//!
//! On a first deployment there is no backup yet, and the application must come up. But a volume that is not mounted, a wrong
//! folder, a wrong password or a damaged index look much the same, and an application that starts empty then has its good
//! backups replaced by empty ones. So only two things count as «no backup yet»: an empty volume, and a list of snapshots that is
//! whole and has none of this identity.

use std::path::Path;

use kopia_rs::storage::{self, BlobStore};
use kopia_rs::{Error, Repository, Snapshots, Source};

use super::arguments::OnMissing;
use super::ending::{Ending, Result as How};
use super::sentence::{Sentence, Trouble};
use super::settings::Settings;
use crate::diagnosis::{self, Effort, Finding, Place, Unopened, identity, place};
use crate::error::chain;

/// How often a backup that is just being written is waited for, and how long each time.
const LOOKS: u32 = 5;
const BETWEEN: std::time::Duration = std::time::Duration::from_secs(1);

/// Says why a repository could not be opened, and whether that is because there is none yet.
pub(crate) fn repository(
    folder: &Path,
    store: Option<&dyn BlobStore>,
    error: &Error,
    settings: &Settings,
) -> Ending {
    let place = &Place::look(folder);
    let it = Unopened { place, store, error, password: Some(&settings.password) };
    let findings = diagnosis::unopened(it, Effort::Hint);
    let first = findings.first();
    let ending = match first {
        Some(finding) if is_no_backup_yet(place, error, finding, settings.on_missing) => {
            let identity = settings.wanted.identity.to_string();
            let sentence = Sentence::nothing(&identity, &finding.fact(), &finding.change());
            Ending::new(how(settings.on_missing), sentence)
        }
        Some(finding) => Ending::failed(Sentence::of(finding)),
        None => Ending::failed(Sentence::unable("open the repository", &chain(error), "")),
    };
    findings
        .iter()
        .skip(1)
        .fold(ending, |ending, finding| ending.detail(format!("INFO: {}", finding.sentence())))
}

/// Says whether a location without a repository is one where none was made yet.
fn is_no_backup_yet(place: &Place, error: &Error, finding: &Finding, on_missing: Option<OnMissing>) -> bool {
    let nobody_there = match error {
        Error::NotARepository { .. } => place.state == place::State::Folder,
        Error::Storage(storage::Error::Open { .. }) => place.state == place::State::Missing,
        _ => false,
    };
    if !nobody_there {
        return false;
    }
    if place.is_empty_mount() {
        return true;
    }
    // An export that is not mounted looks like this, too, so somebody must have said that it is well.
    let is_empty = place.state == place::State::Missing || place.contents == place::Contents::Nothing;
    let is_elsewhere = matches!(finding, Finding::Elsewhere { .. } | Finding::FormatBlobMissing { .. });
    on_missing == Some(OnMissing::Continue) && is_empty && !is_elsewhere
}

/// Says that an identity has no snapshot, if that is certain.
pub(crate) fn identity(repository: &Repository, snapshots: &Snapshots, settings: &Settings) -> Ending {
    let wanted = &settings.wanted.identity;
    if let Err(doubt) = certain(repository, wanted) {
        return Ending::failed(doubt.unable(&format!("tell whether {wanted} has snapshots")));
    }
    let sentence = match identity::no_snapshot(snapshots, wanted) {
        Some(finding) => Sentence::of(&finding),
        None => Sentence::nothing(&wanted.to_string(), "the repository has none of it", ""),
    };
    with_others(Ending::new(how(settings.on_missing), sentence), snapshots, settings)
}

/// Adds the identities that there are, best first, if they are to be listed.
pub(crate) fn with_others(ending: Ending, snapshots: &Snapshots, settings: &Settings) -> Ending {
    const MOST: usize = 3;
    let wanted = &settings.wanted.identity;
    let others = if settings.discover {
        identity::nearest(identity::all(snapshots), wanted, MOST)
    } else {
        Vec::new()
    };
    ending.instead(wanted, others)
}

fn how(on_missing: Option<OnMissing>) -> How {
    match on_missing {
        Some(OnMissing::Fail) => How::Missing,
        Some(OnMissing::Continue) | None => How::Nothing,
    }
}

/// Makes sure that no snapshot of the identity was overlooked: the list must be whole, and no pack outside the index may hold more
/// of it. A backup that is just being written is waited for.
fn certain(repository: &Repository, wanted: &Source) -> Result<(), Trouble> {
    let mut looks = 0;
    loop {
        let coverage = repository.manifest_coverage().map_err(|error| Trouble::new(chain(&error), ""))?;
        // What was written meanwhile is no longer nothing; the next try will restore it.
        if coverage.snapshots.iter().any(|snapshot| snapshot.source() == wanted) {
            return Err(Trouble::new("its first backup has just been made", "try again"));
        }
        if coverage.is_complete() {
            return Ok(());
        }
        looks += 1;
        let Some(pack) = coverage.hiding.first() else {
            let lost = coverage.lost_indexes.first().cloned().unwrap_or_default();
            return Err(Trouble::new(format!("the list of snapshots has gaps: {lost}"), ""));
        };
        if looks > LOOKS || !coverage.hiding.iter().any(|pack| pack.session_open) {
            let more = coverage.hiding.len() - 1;
            let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            return Err(Trouble::new(
                format!("pack {}{more} may hold some that no index names", pack.id),
                "look with kopia-rs doctor; kopia index recover puts them back",
            ));
        }
        std::thread::sleep(BETWEEN);
    }
}
