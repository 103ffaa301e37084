//! What can be done about errors, as values.

mod restore;

use kopia_repository::{Error, Repository};
use kopia_storage::{ErrorKind, Failure};

use crate::finding::{Cause, Hint};
use crate::remote::Remote;
use crate::{Audience, store_failure, upgrade};
pub use restore::hints_of_restore;

const FORMAT_BLOB: &str = "kopia.repository";

/// What kind of failure an error is, and what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// The kind, for programs.
    pub kind: Cause,
    /// What can be done, the most helpful first.
    pub hints: Vec<Hint>,
}

impl Advice {
    /// Returns the hints as lines for their readers.
    pub fn texts(&self, audience: Audience) -> Vec<String> {
        self.hints.iter().map(|hint| hint.text(audience)).collect()
    }
}

/// Returns what can be done about an error of a repository, the most helpful first.
pub fn hints(error: &Error) -> Advice {
    let hints = match error {
        Error::NotARepository { .. } => vec![Hint::GiveRepository],
        Error::WrongPassword { .. } => vec![Hint::RightPassword(None), Hint::FormatBlobMayBeDamaged],
        Error::Locked { .. } => upgrade::hints(error, None),
        Error::Incomplete { lacks, .. } if *lacks == "index blobs" => vec![Hint::AskPacksOrCopy],
        Error::Incomplete { .. } => vec![Hint::CopyMissing],
        Error::Unsupported { .. } => vec![Hint::NewerVersion],
        Error::CorruptBlob { blob, .. } if blob.as_str() == FORMAT_BLOB => vec![Hint::RestoreFormatBlob],
        Error::CorruptBlob { .. } if is_index(error) => vec![Hint::LeaveOutIndex, Hint::RebuildIndexes],
        Error::CorruptBlob { .. } | Error::CorruptContent { .. } | Error::CorruptObject { .. } => {
            vec![Hint::AnotherCopy]
        }
        Error::ContentNotFound { .. } => vec![Hint::IndexMayBeMissing],
        Error::CorruptSnapshot { .. } => vec![Hint::RestoreByObject],
        Error::NotFound { candidates, .. } if candidates.is_empty() => vec![Hint::ListEverything],
        Error::NotFound { .. } => vec![Hint::IncludeUnfinished],
        Error::Ambiguous { what, candidates } if what == "latest" => {
            let example = format!("kopia-rs ls {}", candidates.first().map_or("", String::as_str));
            vec![Hint::LatestNeedsSource { sources: candidates.len(), example }]
        }
        Error::Ambiguous { .. } => vec![Hint::NameCandidate],
        Error::NothingToChoose { .. } => vec![Hint::ChooseByName],
        Error::WrongKind { .. } => vec![Hint::ShowKind],
        Error::Storage(error) => return hints_of_storage(error),
        // The content may be there: what keeps index blobs from being listed is to be mended.
        Error::Unconfirmed { source, .. } => return hints(source),
        _ => Vec::new(),
    };
    Advice { kind: kind(error), hints }
}

fn kind(error: &Error) -> Cause {
    match error {
        Error::Locked { .. } => Cause::Upgrading,
        Error::Unsupported { .. } => Cause::Unsupported,
        Error::CorruptBlob { .. } if is_index(error) => Cause::DamagedIndex,
        Error::CorruptBlob { .. } | Error::CorruptContent { .. } => Cause::DamagedBlob,
        Error::Storage(_) => Cause::Storage,
        Error::NotFound { .. } | Error::Ambiguous { .. } => Cause::NotFound,
        _ => Cause::Other,
    }
}

fn is_index(error: &Error) -> bool {
    matches!(error, Error::CorruptBlob { blob, .. } if blob.as_str().starts_with(['n', 'x', 'm']))
}

/// Returns what can be done about an error of a store, the most helpful first.
pub fn hints_of_storage(error: &kopia_storage::Error) -> Advice {
    use kopia_storage::Error as E;
    let hints = match error {
        E::UnsupportedBackend { .. } => vec![Hint::MountStorage, Hint::MarkDirectory],
        E::NoBlobs { .. } => vec![Hint::LookWhereItLies],
        _ if matches!(error.failure(), Some(Failure::Cold { .. })) => vec![Hint::FetchFromArchive],
        // Users and directories of this machine do not matter where a server says no.
        _ if error.failure().is_some() => of_server(error),
        _ if error.kind() == ErrorKind::TryAgain => vec![Hint::TryAgain],
        _ if error.kind() == ErrorKind::NotAllowed => vec![Hint::ReadableUser],
        E::Open { .. } => vec![Hint::NameRepository],
        E::NotFound { .. } | E::Short { .. } => vec![Hint::AnotherCopy],
        E::Read { .. } => vec![Hint::LookAtSystemLog],
        _ => Vec::new(),
    };
    Advice { kind: Cause::Storage, hints }
}

/// Returns what can be done about what a server said no with, as far as the error alone tells.
fn of_server(error: &kopia_storage::Error) -> Vec<Hint> {
    use kopia_storage::Error as E;
    let (Some(failure), Some(place)) = (
        error.failure(),
        match error {
            E::Read { place, .. }
            | E::List { place, .. }
            | E::Open { place, .. }
            | E::NotServed { place, .. } => Some(place),
            _ => None,
        },
    ) else {
        return Vec::new();
    };
    match Remote::of_location(place) {
        Some(remote) => store_failure::hints(failure, error.kind(), &remote, None),
        None if error.kind() == ErrorKind::TryAgain => vec![Hint::TryAgain],
        None => Vec::new(),
    }
}

/// Returns what can be done about a list of snapshots that cannot be read: others can be listed without the
/// damage.
pub fn hints_of_list(error: &Error, repository: &Repository) -> Advice {
    let mut advice = hints(error);
    if degraded_helps(error, repository) {
        advice.hints.insert(0, Hint::ListDegraded);
    }
    advice
}

/// Returns whether a list of snapshots can be read in part once the repository is opened degraded.
pub fn degraded_helps(error: &Error, repository: &Repository) -> bool {
    // What is refused, or fails for now, is no damage that could be left out.
    let may_pass = matches!(error.storage_kind(), Some(ErrorKind::NotAllowed | ErrorKind::TryAgain));
    !repository.options().degraded && !may_pass
}
