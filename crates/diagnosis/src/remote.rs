//! Why a repository over a network cannot be opened.

use std::path::PathBuf;

use kopia_codec::key::Password;
use kopia_repository::{Error, FormatBlob};
use kopia_storage::{BlobStore, Failure, Surroundings};
use serde::Serialize;

use crate::advice::{Advice, hints};
use crate::around::{Search, search};
use crate::finding::{Finding, Hint, StoreHint};
use crate::open_failure::{self, Opening};
use crate::password::PasswordSource;
use crate::{Effort, store_failure, upgrade, velero};

/// A clock that is wrong by less, in seconds, is not worth a word.
const SMALL_SKEW: i64 = 300;

/// How many buckets or remotes are named.
const NAMED: usize = 10;

/// A place over a network, as far as advice depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// What it is called in messages.
    pub location: String,
    /// What is spoken there.
    pub backend: Backend,
    /// What stands before the prefix or path: the bucket, `https://host`, `remote:`.
    pub container: String,
    /// The instant that it is shown at, if not as it is now.
    pub point_in_time: Option<String>,
    /// Whether it is spoken to without TLS.
    pub is_plain: bool,
}

impl Remote {
    /// Takes what the name of a store tells; `None` for a directory of the local system.
    pub fn of_location(location: &str) -> Option<Self> {
        Some(Self {
            location: location.into(),
            backend: Backend::of_location(location)?,
            container: String::new(),
            point_in_time: None,
            is_plain: location.starts_with("webdav://"),
        })
    }
}

/// What is spoken by a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Backend {
    /// S3, by Amazon or another.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// Backblaze B2.
    B2,
    /// Google Drive.
    GoogleDrive,
    /// SFTP.
    Sftp,
    /// WebDAV.
    WebDav,
    /// What rclone speaks.
    Rclone,
    /// A Kopia repository server.
    Server,
}

impl Backend {
    /// Tells by what a store is called in messages; `None` for a directory of the local system.
    pub fn of_location(location: &str) -> Option<Self> {
        let (scheme, _) = location.split_once("://").or_else(|| location.split_once([':', ' ']))?;
        Some(match scheme {
            "s3" => Self::S3,
            "gs" => Self::Gcs,
            "azblob" => Self::Azure,
            "b2" => Self::B2,
            "gdrive" => Self::GoogleDrive,
            "sftp" => Self::Sftp,
            "webdav" | "webdavs" => Self::WebDav,
            "rclone" => Self::Rclone,
            "http" | "https" | "unix+http" | "unix+https" => Self::Server,
            _ => return None,
        })
    }
}

/// A repository over a network that cannot be opened, and what is known of it.
#[derive(Clone, Copy)]
pub struct RemoteFailure<'a> {
    /// Where the repository should be.
    pub remote: &'a Remote,
    /// What opening it said.
    pub error: &'a Error,
    /// The store, if it could be opened.
    pub store: Option<&'a dyn BlobStore>,
    /// A view of what lies around the place.
    pub around: Option<&'a dyn Surroundings>,
    /// The password that was tried, needed to tell why it does not fit.
    pub password: Option<&'a Password>,
    /// Where that password came from, if that is known.
    pub source: Option<&'a PasswordSource>,
}

impl<'a> RemoteFailure<'a> {
    /// Takes the error alone; more is found if the fields are set.
    pub fn new(remote: &'a Remote, error: &'a Error) -> Self {
        Self { remote, error, store: None, around: None, password: None, source: None }
    }

    fn opening(&self) -> Opening<'a> {
        Opening {
            given: PathBuf::from(&self.remote.location),
            error: self.error,
            store: self.store,
            password: self.password,
            source: self.source,
        }
    }
}

/// Finds out why a repository over a network cannot be opened: the most likely cause first, and always at
/// least one.
///
/// With [`Effort::Hint`] a request or two are made, with [`Effort::Doctor`] some hundreds at most.
pub fn explain_remote(failure: RemoteFailure<'_>, effort: Effort) -> Vec<Finding> {
    let mut findings = match failure.error {
        Error::NotARepository { .. } => no_repository(failure, false, effort),
        Error::Locked { .. } => vec![Finding::Failed {
            cause: crate::Cause::Upgrading,
            class: crate::Class::Locked,
            message: failure.error.to_string(),
            hints: upgrade::hints(failure.error, None),
        }],
        Error::Storage(error) => match error.failure() {
            Some(Failure::NoContainer { kind: "directory", .. }) => no_repository(failure, true, effort),
            Some(reason) => vec![of_server(failure, error, reason, effort)],
            None => Vec::new(),
        },
        _ => open_failure::of_format_blob(&failure.opening(), effort).into_iter().collect(),
    };
    if findings.is_empty() {
        findings.push(Finding::failed(failure.error));
    }
    if effort == Effort::Doctor && !is_about_clock(failure.error) {
        findings.extend(failure.around.and_then(|around| clock(failure.remote, around)));
    }
    findings
}

/// Returns what can be done about a repository over a network that cannot be opened.
pub fn hints_of_remote(failure: RemoteFailure<'_>) -> Advice {
    let mut advice = hints(failure.error);
    match explain_remote(failure, Effort::Hint).into_iter().next() {
        Some(Finding::Failed { hints, .. }) => advice.hints = hints,
        Some(Finding::WrongPassword { variant: None, .. }) | None => {
            open_failure::about_wrong_password(&failure.opening(), &mut advice);
        }
        Some(Finding::NothingInStore { .. }) => {
            advice.hints = vec![Hint::Store(StoreHint::LookAround(failure.remote.backend))];
        }
        Some(finding) => advice.hints = vec![Hint::Finding(finding.into())],
    }
    advice
}

/// Finds that the clock of this machine is wrong, as far as the server's is right and was told.
pub fn clock(remote: &Remote, around: &dyn Surroundings) -> Option<Finding> {
    let seconds = around.clock_ahead()?;
    let location = remote.location.clone();
    (seconds.saturating_abs() >= SMALL_SKEW).then_some(Finding::ClockSkew { location, seconds })
}

fn is_about_clock(error: &Error) -> bool {
    let Error::Storage(error) = error else { return false };
    matches!(error.failure(), Some(Failure::ClockSkew { .. }))
}

/// Explains a place that has no format blob. `is_missing` says that the directory itself is not there.
fn no_repository(failure: RemoteFailure<'_>, is_missing: bool, effort: Effort) -> Vec<Finding> {
    let remote = failure.remote;
    let given = remote.location.clone();
    let Some(around) = failure.around else { return Vec::new() };
    if let Some(finding) = velero_below(remote, around, effort) {
        return vec![finding];
    }
    let mut effort_left = effort;
    if let Some(time) = &remote.point_in_time {
        if let Some(finding) = not_there_yet(around, &given, time) {
            return vec![finding];
        }
        // That was one request.
        effort_left = Effort::Hint;
    }
    let Search { found, holds, has_blobs, is_empty, is_cut, error } = search(around, is_missing, effort_left);
    let mut findings = Vec::new();
    if has_blobs {
        let (given, replicas) = (PathBuf::from(&given), failure.opening().search_replicas(effort));
        findings.push(Finding::FormatBlobMissing { given, replicas });
    }
    let (backend, container) = (remote.backend, remote.container.clone());
    if !found.is_empty() {
        findings.push(Finding::ElsewhereInStore { given, backend, container, found, missing: is_missing });
    } else if !has_blobs {
        let why = error.map(|error| error.to_string());
        let is_empty = is_empty && !is_missing;
        findings.push(Finding::NothingInStore {
            given,
            backend,
            missing: is_missing,
            is_empty,
            holds,
            is_cut,
            why,
        });
    }
    findings
}

/// Finds that the place is a bucket of Velero's. It takes too many requests for a hint.
fn velero_below(remote: &Remote, around: &dyn Surroundings, effort: Effort) -> Option<Finding> {
    if effort != Effort::Doctor {
        return None;
    }
    let search = velero::in_store(around, Some(effort));
    (search.is_marked && !search.found.is_empty()).then(|| Finding::Velero {
        given: remote.location.clone(),
        backend: Some(remote.backend),
        container: remote.container.clone(),
        namespaces: search.found,
        is_cut: search.is_cut,
    })
}

/// Finds that the repository is there now, and was not at the instant that is shown.
fn not_there_yet(around: &dyn Surroundings, given: &str, time: &str) -> Option<Finding> {
    let name = format!("{}kopia.repository", around.root());
    let level = around.look(&name).ok()?;
    let now = level.into_iter().find(|near| near.name == name)?;
    let written = now.modified.and_then(|time| {
        let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        let time = kopia_format::Timestamp::new(since.as_secs().try_into().ok()?, 0).ok()?;
        Some(time.to_string())
    });
    Some(Finding::NotThereYet { given: given.into(), time: time.into(), written })
}

/// Explains what a server said no with.
fn of_server(
    failure: RemoteFailure<'_>,
    error: &kopia_storage::Error,
    reason: &Failure,
    effort: Effort,
) -> Finding {
    let remote = failure.remote;
    let mut finding = Finding::failed(failure.error);
    let Finding::Failed { hints, message, .. } = &mut finding else { return finding };
    // Which blob was to be read says nothing where the server gives none.
    *message = format!("{}: {reason}", remote.location);
    *hints = store_failure::hints(reason, error.kind(), remote, failure.source);
    let others = |is_meant: &dyn Fn(&str) -> bool| {
        let all = failure.around.and_then(|around| around.containers().ok()).unwrap_or_default();
        if all.iter().any(|name| is_meant(name)) { Vec::new() } else { all }
    };
    match reason {
        Failure::NoContainer { name, .. } => {
            let names = others(&|other| other == name);
            if names.is_empty() {
                hints.push(Hint::Store(StoreHint::NameContainer(remote.backend)));
            } else {
                hints.insert(0, other_containers(remote.backend, names));
            }
        }
        Failure::Program { .. } if remote.backend == Backend::Rclone => {
            let wanted = remote.container.trim_end_matches(':').split(',').next().unwrap_or_default();
            let is_made_up = wanted.is_empty() || wanted.starts_with(':');
            let names = if is_made_up { Vec::new() } else { others(&|other| other == wanted) };
            if !names.is_empty() {
                hints.insert(0, other_containers(remote.backend, names));
            }
        }
        Failure::NotPermitted { .. }
            if matches!(error, kopia_storage::Error::List { .. })
                && failure.store.is_some_and(|store| FormatBlob::read(store).is_ok()) =>
        {
            hints.insert(0, Hint::Store(StoreHint::ReadsButDoesNotList(remote.backend)));
        }
        Failure::NotPermitted { .. } if effort == Effort::Doctor => {
            // Keys of another account are good for other buckets.
            let names = others(&|other| other == remote.container);
            if !names.is_empty() {
                hints.push(other_containers(remote.backend, names));
            }
        }
        _ => {}
    }
    finding
}

fn other_containers(backend: Backend, mut names: Vec<String>) -> Hint {
    let more = names.len() > NAMED;
    names.truncate(NAMED);
    Hint::Store(StoreHint::OtherContainers { backend, names, more })
}

#[cfg(test)]
mod tests;
