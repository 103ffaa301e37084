//! Why a repository cannot be opened.

use kopia_rs::storage::{self, BlobStore};
use kopia_rs::{Error, FormatBlob, Password};

use super::access;
use super::finding::Cause;
use super::place::{Contents, Place, State};
use super::{Effort, Finding, Voice, format_blob, neighbours, password, upgrade};
use crate::error::Failure;

/// How many things are named that could have been meant.
const CANDIDATES: usize = 10;

/// A repository that cannot be opened, and what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Unopened<'a> {
    pub(crate) place: &'a Place,
    /// The store, if the folder itself could be opened.
    pub(crate) store: Option<&'a dyn BlobStore>,
    /// What opening said.
    pub(crate) error: &'a Error,
    /// Only needed to tell why it does not fit.
    pub(crate) password: Option<&'a Password>,
    pub(crate) voice: Voice,
}

/// Finds out why a repository cannot be opened: the most likely cause first, and always at least one.
pub(crate) fn unopened(it: Unopened<'_>, effort: Effort) -> Vec<Finding> {
    let given = it.place.given.clone();
    let mut findings = match it.error {
        Error::WrongPassword { .. } => wrong_password(it, effort).into_iter().collect(),
        Error::NotARepository { .. } => no_format_blob(it, effort),
        Error::CorruptBlob { blob, why } if *blob == FormatBlob::id() => {
            vec![Finding::FormatBlobDamaged { given, why: why.clone(), replicas: replicas(it, effort) }]
        }
        Error::Storage(error) => storage(it.place, error, effort),
        Error::Locked { .. } => vec![Finding::Failed {
            cause: Cause::Upgrading,
            message: it.error.to_string(),
            changes: upgrade::changes(it.error, Some(&it.place.given), it.voice),
        }],
        _ => Vec::new(),
    };
    if findings.is_empty() {
        findings.push(Finding::failed(it.error, it.voice));
    }
    findings
}

fn replicas(it: Unopened<'_>, effort: Effort) -> format_blob::Replicas {
    it.store.map(|store| format_blob::search(store, it.password, effort).0).unwrap_or_default()
}

fn wrong_password(it: Unopened<'_>, effort: Effort) -> Option<Finding> {
    let (store, password) = (it.store?, it.password?);
    let blob = FormatBlob::read(store).ok()?;
    if let Some(variant) = password::variant(&blob, password, effort) {
        return Some(Finding::WrongPassword { variant: Some(variant) });
    }
    // A damaged blob looks the same; a replica tells.
    let (replicas, replica) = format_blob::search(store, Some(password), effort);
    Some(match replica {
        Some(_) => Finding::FormatBlobDamaged {
            given: it.place.given.clone(),
            why: "the password opens a replica of it, but not the blob itself".into(),
            replicas,
        },
        None => Finding::WrongPassword { variant: None },
    })
}

/// There is a folder, and no format blob in it.
fn no_format_blob(it: Unopened<'_>, effort: Effort) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Packs beside which the format blob should be are better evidence than another repository.
    let has_packs = neighbours::holds_packs(&it.place.given, effort);
    if has_packs {
        let (given, replicas) = (it.place.given.clone(), replicas(it, effort));
        findings.push(Finding::FormatBlobMissing { given, replicas });
    }
    let refused = match has_packs {
        true => access::of_repository(it.place, effort),
        // What else lies here is not ours.
        false => access::of_folder(it.place),
    };
    let mut elsewhere = elsewhere(it.place, effort);
    // What refuses us may hide what seems to be missing, but not what was found; and nothing is missing where packs are.
    if refused.is_some() || has_packs {
        elsewhere.retain(|finding| matches!(finding, Finding::Elsewhere { .. }));
    }
    findings.extend(elsewhere);
    findings.extend(refused.map(Finding::Refused));
    findings
}

/// Looks for repositories nearby, and says why there may be none where one should be.
fn elsewhere(place: &Place, effort: Effort) -> Vec<Finding> {
    let neighbours::Search { found, more, closed } = neighbours::search(place, effort);
    let missing = place.state == State::Missing;
    // One above or below says enough. One in another volume may be another's.
    let is_near = found.first().is_some_and(|first| first.relation != neighbours::Relation::Beside);
    let given = place.given.clone();
    let mut findings = Vec::new();
    if !found.is_empty() {
        findings.push(Finding::Elsewhere { given, missing, found, more });
    }
    if !is_near {
        // kopia's folders are closed to others, and what cannot be looked into may be one.
        let closed = closed.and_then(|closed| access::of_folder(&Place::look(&closed)));
        findings.extend(closed.map(Finding::Refused));
        findings.extend(nothing_there(place));
    }
    findings
}

/// Says why an empty or missing folder may be so.
fn nothing_there(place: &Place) -> Option<Finding> {
    let (given, existing) = (place.given.clone(), place.existing.clone());
    if let State::Other(what) = place.state {
        return Some(Finding::NotAFolder { given, what });
    }
    if place.is_empty_mount() {
        let mount = place.mount.clone()?;
        return Some(Finding::EmptyMount { existing, source: mount.source, file_system: mount.file_system });
    }
    match &place.contents {
        _ if place.is_not_mounted() => Some(Finding::NotMounted { given, existing }),
        _ if place.state == State::Missing => {
            Some(Finding::Missing { given, existing, in_volume: place.is_in_volume() })
        }
        Contents::Nothing => Some(Finding::NoRepository { given, holds: Vec::new() }),
        Contents::Some(names) => Some(Finding::NoRepository { given, holds: names.clone() }),
        Contents::Unknown => None,
    }
}

fn storage(place: &Place, error: &storage::Error, effort: Effort) -> Vec<Finding> {
    // What refuses us is found by asking, whatever the error was about: it may be one of many.
    if let Some(refusals) = access::of_repository(place, effort) {
        return vec![Finding::Refused(refusals)];
    }
    match (error, place.state) {
        (storage::Error::Open { .. }, State::Missing | State::Other(_)) => elsewhere(place, effort),
        _ => Vec::new(),
    }
}

impl Finding {
    /// Makes a finding of an error that says everything itself.
    pub(crate) fn failed(error: &Error, voice: Voice) -> Self {
        let cause = match error {
            Error::Locked { .. } => Cause::Upgrading,
            Error::Unsupported { .. } => Cause::Unsupported,
            Error::CorruptBlob { blob, .. } if blob.as_str().starts_with(['n', 'x', 'm']) => {
                Cause::DamagedIndex
            }
            Error::CorruptBlob { .. } | Error::CorruptContent { .. } => Cause::DamagedBlob,
            Error::Storage(_) => Cause::Storage,
            Error::NotFound { .. } | Error::Ambiguous { .. } => Cause::NotFound,
            _ => Cause::Other,
        };
        let (message, mut changes) = Failure::advice(error, voice);
        if let Error::NotFound { candidates, .. } | Error::Ambiguous { candidates, .. } = error
            && !candidates.is_empty()
        {
            let shown: Vec<&str> = candidates.iter().take(CANDIDATES).map(String::as_str).collect();
            let more = if candidates.len() > CANDIDATES { ", …" } else { "" };
            changes.insert(0, format!("name one of these: {}{more}", shown.join(", ")));
        }
        Self::Failed { cause, message, changes }
    }

    /// Says whether the repository can be opened without what is damaged.
    pub(crate) fn is_damaged_index(&self) -> bool {
        matches!(self, Self::Failed { cause: Cause::DamagedIndex, .. })
    }
}
