//! Why a repository cannot be opened.

use std::path::PathBuf;

use kopia_codec::key::Password;
use kopia_repository::{Error, FormatBlob};
use kopia_storage::BlobStore;

use crate::advice::{Advice, hints};
use crate::class::Class;
use crate::finding::{Cause, Finding, Hint};
use crate::local_path::{Listing, LocalPath, PathState};
use crate::password::PasswordSource;
use crate::{Effort, access, neighbours, password, replicas, text, upgrade, velero};

/// A repository that cannot be opened, and what is known of it.
#[derive(Clone, Copy)]
pub struct OpenFailure<'a> {
    /// Where the repository should be.
    pub path: &'a LocalPath,
    /// What opening it said.
    pub error: &'a Error,
    /// The store, if it could be opened.
    pub store: Option<&'a dyn BlobStore>,
    /// The password that was tried, needed to tell why it does not fit.
    pub password: Option<&'a Password>,
    /// Where that password came from, if that is known.
    pub source: Option<&'a PasswordSource>,
}

impl<'a> OpenFailure<'a> {
    /// Takes the error alone; more is found if the fields are set.
    pub fn new(path: &'a LocalPath, error: &'a Error) -> Self {
        Self { path, error, store: None, password: None, source: None }
    }
}

/// Finds out why a repository cannot be opened: the most likely cause first, and always at least one.
pub fn explain(failure: OpenFailure<'_>, effort: Effort) -> Vec<Finding> {
    let given = failure.path.given.clone();
    let mut findings = match failure.error {
        Error::NotARepository { .. } => no_format_blob(failure, effort),
        Error::Storage(error) => unreachable_store(failure.path, error, effort),
        Error::Locked { .. } => vec![Finding::Failed {
            cause: Cause::Upgrading,
            class: Class::Locked,
            message: failure.error.to_string(),
            hints: upgrade::hints(failure.error, Some(&given)),
        }],
        _ => of_format_blob(&failure.opening(), effort).into_iter().collect(),
    };
    if findings.is_empty() {
        findings.push(Finding::failed(failure.error));
    }
    findings
}

/// Returns what can be done about a repository that cannot be opened: what is found around it says more than
/// an error alone can tell.
pub fn hints_of_opening(failure: OpenFailure<'_>) -> Advice {
    let mut advice = hints(failure.error);
    match explain(failure, Effort::Hint).into_iter().next() {
        Some(Finding::Failed { cause: Cause::Upgrading, hints, .. }) => advice.hints = hints,
        Some(Finding::WrongPassword { variant: None, .. }) => {
            about_wrong_password(&failure.opening(), &mut advice);
        }
        // These say no more than the error does.
        None | Some(Finding::Failed { .. }) => {}
        Some(finding) => advice.hints = vec![Hint::Finding(finding.into())],
    }
    advice
}

/// Returns what the source of a wrong password may have to do with it.
fn about_password(source: &PasswordSource, is_empty: bool) -> Option<Hint> {
    match source {
        PasswordSource::Prompt => None,
        source if is_empty => Some(Hint::PasswordIsEmpty(source.clone())),
        source => Some(Hint::PasswordAsIs(source.clone())),
    }
}

/// What is known of a repository that does not open, wherever it is.
pub(crate) struct Opening<'a> {
    /// What its place is called.
    pub(crate) given: PathBuf,
    pub(crate) error: &'a Error,
    pub(crate) store: Option<&'a dyn BlobStore>,
    pub(crate) password: Option<&'a Password>,
    pub(crate) source: Option<&'a PasswordSource>,
}

impl<'a> OpenFailure<'a> {
    fn opening(&self) -> Opening<'a> {
        let Self { path, error, store, password, source } = *self;
        Opening { given: path.given.clone(), error, store, password, source }
    }
}

impl Opening<'_> {
    pub(crate) fn search_replicas(&self, effort: Effort) -> replicas::Replicas {
        self.store.map(|store| replicas::search(store, self.password, effort).0).unwrap_or_default()
    }
}

/// Explains a format blob that is damaged, or does not open with the password.
pub(crate) fn of_format_blob(opening: &Opening<'_>, effort: Effort) -> Option<Finding> {
    match opening.error {
        Error::WrongPassword { .. } => wrong_password(opening, effort),
        Error::CorruptBlob { blob, why } if *blob == FormatBlob::id() => {
            let (given, replicas) = (opening.given.clone(), opening.search_replicas(effort));
            Some(Finding::FormatBlobDamaged { given, why: why.clone(), replicas })
        }
        _ => None,
    }
}

/// Advises about a wrong password of which no variant fits, if it is known where it came from.
pub(crate) fn about_wrong_password(opening: &Opening<'_>, advice: &mut Advice) {
    let Some(source) = opening.source else { return };
    let is_empty = opening.password.is_some_and(|password| password.as_bytes().is_empty());
    let right = Hint::RightPassword(Some(source.clone()));
    let note = about_password(source, is_empty);
    advice.hints = [right].into_iter().chain(note).chain([Hint::FormatBlobMayBeDamaged]).collect();
}

fn wrong_password(opening: &Opening<'_>, effort: Effort) -> Option<Finding> {
    let (store, password) = (opening.store?, opening.password?);
    let source = opening.source.cloned();
    let blob = FormatBlob::read(store).ok()?;
    if let Some(variant) = password::variant(&blob, password, effort) {
        return Some(Finding::WrongPassword { variant: Some(variant), source });
    }
    // A damaged blob looks the same; a replica tells.
    let (replicas, replica) = replicas::search(store, Some(password), effort);
    Some(match replica {
        Some(_) => Finding::FormatBlobDamaged {
            given: opening.given.clone(),
            why: "the password opens a replica of it, but not the blob itself".into(),
            replicas,
        },
        None => Finding::WrongPassword { variant: None, source },
    })
}

/// Explains a directory that has no format blob.
fn no_format_blob(failure: OpenFailure<'_>, effort: Effort) -> Vec<Finding> {
    if let Some(finding) = velero_below(failure.path, effort) {
        return vec![finding];
    }
    let mut findings = Vec::new();
    // Packs beside which the format blob should be are better evidence than another repository.
    let has_packs = neighbours::holds_packs(&failure.path.given, effort);
    if has_packs {
        let (given, replicas) = (failure.path.given.clone(), failure.opening().search_replicas(effort));
        findings.push(Finding::FormatBlobMissing { given, replicas });
    }
    let refused = if has_packs {
        access::of_repository(failure.path, effort)
    } else {
        // Blobs are looked at only where there are some.
        access::of_directory(failure.path)
    };
    let mut elsewhere = elsewhere(failure.path, effort);
    // What refuses us may hide what seems to be missing, but not what was found; and nothing is missing where
    // packs are.
    if refused.is_some() || has_packs {
        elsewhere.retain(|finding| matches!(finding, Finding::Elsewhere { .. }));
    }
    findings.extend(elsewhere);
    findings.extend(refused.map(Finding::Refused));
    findings
}

/// Finds that a directory is a copy of a bucket of Velero's, or lies in one.
fn velero_below(path: &LocalPath, effort: Effort) -> Option<Finding> {
    if path.state != PathState::Directory {
        return None;
    }
    let search = velero::in_directory(&path.given, Some(effort));
    (search.is_marked && !search.found.is_empty()).then(|| Finding::Velero {
        given: path.given.display().to_string(),
        backend: None,
        container: String::new(),
        namespaces: search.found,
        is_cut: search.is_cut,
    })
}

/// Looks for repositories nearby, and for why there is none where one should be.
fn elsewhere(path: &LocalPath, effort: Effort) -> Vec<Finding> {
    let neighbours::Search { found, more, closed } = neighbours::search(path, effort);
    let missing = path.state == PathState::Missing;
    // One above or below says enough. One in another volume may be another's.
    let is_near = found.first().is_some_and(|first| first.relation != neighbours::Relation::Beside);
    let given = path.given.clone();
    let mut findings = Vec::new();
    if !found.is_empty() {
        findings.push(Finding::Elsewhere { given, missing, found, more });
    }
    if !is_near {
        // kopia's directories are closed to others, and what cannot be looked into may be one.
        let closed = closed.and_then(|closed| access::of_directory(&LocalPath::look(&closed)));
        findings.extend(closed.map(Finding::Refused));
        findings.extend(nothing_there(path));
    }
    findings
}

/// Returns why a directory may be empty or missing.
fn nothing_there(path: &LocalPath) -> Option<Finding> {
    let (given, existing) = (path.given.clone(), path.existing.clone());
    if let PathState::Other(what) = path.state {
        return Some(Finding::NotADirectory { given, what });
    }
    if path.is_empty_mount() {
        let mount = path.mount.clone()?;
        return Some(Finding::EmptyMount { existing, source: mount.source, file_system: mount.file_system });
    }
    match &path.listing {
        _ if path.is_not_mounted() => Some(Finding::NotMounted { given, existing }),
        _ if path.state == PathState::Missing => {
            Some(Finding::Missing { given, existing, in_volume: path.is_in_volume() })
        }
        Listing::Empty => Some(Finding::NoRepository { given, holds: Vec::new() }),
        Listing::Names(names) => Some(Finding::NoRepository { given, holds: names.clone() }),
        Listing::Unknown => None,
    }
}

fn unreachable_store(path: &LocalPath, error: &kopia_storage::Error, effort: Effort) -> Vec<Finding> {
    // What refuses us is found by asking, whatever the error was about: it may be one of many.
    if let Some(refusals) = access::of_repository(path, effort) {
        return vec![Finding::Refused(refusals)];
    }
    match (error, path.state) {
        (kopia_storage::Error::Open { .. }, PathState::Missing | PathState::Other(_)) => {
            elsewhere(path, effort)
        }
        _ => Vec::new(),
    }
}

/// How many candidates are named.
const CANDIDATES: usize = 10;

impl Finding {
    /// Makes a finding of an error that says everything itself.
    pub fn failed(error: &Error) -> Self {
        let Advice { kind, mut hints } = hints(error);
        if let Error::NotFound { candidates, .. } | Error::Ambiguous { candidates, .. } = error
            && !candidates.is_empty()
        {
            let more = candidates.len() > CANDIDATES;
            let named = candidates.iter().take(CANDIDATES).cloned().collect();
            hints.insert(0, Hint::NameOneOf { named, more });
        }
        Self::Failed { cause: kind, class: Class::of(error), message: text::chain(error), hints }
    }

    /// Returns whether the repository can be opened without what is damaged.
    pub fn is_damaged_index(&self) -> bool {
        matches!(self, Self::Failed { cause: Cause::DamagedIndex, .. })
    }
}
