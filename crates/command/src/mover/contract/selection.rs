//! Which snapshot is restored: the newest complete one of exactly one identity, or an older one that was
//! asked for.

use kopia_rs::diagnosis::Class;
use kopia_rs::unindexed::HiddenSnapshot;
use kopia_rs::{Snapshot, Snapshots, Source, Timestamp};

use super::configuration::Structured;
use super::environment::{Environment, Variable};
use super::place::Place;
use crate::mover::account::line::SetupError;
use crate::terminal::output::count;

/// Where a destination's volume is mounted, and what its snapshots call it.
const DESTINATION: &str = "/restore/data";
const SOURCE: &str = "/data";

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) identity: Source,
    /// Only snapshots that began at this instant or before.
    as_of: Option<Timestamp>,
    /// How many newer ones to pass over.
    previous: u64,
    /// How many to choose among after that.
    shallow: Option<u64>,
}

/// What there is of it.
#[derive(Debug)]
pub(crate) enum Found<'s> {
    Snapshot(&'s Snapshot),
    /// The identity has no snapshot at all.
    Nothing,
    /// It has snapshots, but not the one that was asked for: why, and what to change.
    NoneFits(SetupError),
}

impl Wanted {
    /// Reads what is wanted from the environment.
    pub(crate) fn read(
        environment: &Environment,
        structured: Option<&Structured>,
    ) -> Result<Self, SetupError> {
        let user = environment.text(Variable::Username)?.map(String::from);
        let host = environment.text(Variable::Hostname)?.map(String::from);
        let (user, host) = match (user, host) {
            (None, None) => {
                structured.map_or((None, None), |config| (config.username.clone(), config.hostname.clone()))
            }
            given => given,
        };
        let user = user.ok_or_else(|| SetupError::unset(Variable::Username.name()))?;
        let host = host.ok_or_else(|| SetupError::unset(Variable::Hostname.name()))?;
        let data = environment.text(Variable::DataDir)?;
        let path = match (environment.text(Variable::SourcePath)?, data) {
            (Some(path), _) => path,
            (None, Some(DESTINATION)) => SOURCE,
            (None, Some(data)) => data,
            // A device takes the place of a folder, but names no source.
            (None, None) if environment.text(Variable::Device)?.is_some() => {
                return Err(SetupError::unset(Variable::SourcePath.name()));
            }
            (None, None) => return Err(SetupError::unset(Variable::DataDir.name())),
        };
        let as_of = match environment.text(Variable::AsOf)? {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                let why = format!("is {text:?}, not a time in RFC 3339 such as 2026-01-02T03:04:05Z");
                SetupError::setting(Variable::AsOf.name(), why)
            })?),
        };
        Ok(Self {
            identity: Source { user, host, path: path.into() },
            as_of,
            previous: environment.number(Variable::Previous)?.unwrap_or_default(),
            // As in the script, a time goes before a window.
            shallow: environment.number(Variable::Shallow)?.filter(|_| as_of.is_none()),
        })
    }

    /// Chooses among all snapshots of a repository.
    pub(crate) fn choose<'s>(&self, snapshots: &'s Snapshots) -> Found<'s> {
        let all = self.manifests(snapshots);
        if all.is_empty() {
            return Found::Nothing;
        }
        let complete: Vec<_> = all.iter().copied().filter(|one| one.is_complete()).collect();
        if complete.is_empty() {
            let reason = all.last().and_then(|newest| newest.manifest().incomplete()).unwrap_or_default();
            let what = count(all.len() as u64, "snapshot is", "snapshots are");
            let cause = format!("its {what} incomplete ({reason})");
            let none = SetupError::new(cause, "let a backup run to its end");
            return Found::NoneFits(none.with_class(Class::NotFound));
        }
        let in_time = |one: &&Snapshot| self.as_of.is_none_or(|as_of| one.start_time() <= as_of);
        let candidates: Vec<_> = complete.iter().copied().filter(in_time).collect();
        if let (Some(as_of), true) = (self.as_of, candidates.is_empty()) {
            let oldest = complete.first().map(|oldest| oldest.start_time()).unwrap_or_default();
            let cause = format!("no complete snapshot began by {as_of}");
            let none = SetupError::new(cause, format!("set restoreAsOf to {oldest} (the oldest) or later"));
            return Found::NoneFits(none.with_class(Class::NotFound));
        }
        let mut newest_first = candidates.iter().rev();
        let place = usize::try_from(self.previous).unwrap_or(usize::MAX);
        match newest_first.nth(place).filter(|_| self.shallow != Some(0)) {
            Some(snapshot) => Found::Snapshot(snapshot),
            None => Found::NoneFits(self.out_of_range(candidates.len())),
        }
    }

    /// Returns whether a snapshot is named by the very instant at which it began, so that no other one can be
    /// meant.
    pub(crate) fn names(&self, snapshot: &Snapshot) -> bool {
        self.as_of == Some(snapshot.start_time()) && self.previous == 0
    }

    /// Returns whether it is a snapshot of the identity that would have been chosen instead of another, were
    /// it in the list.
    pub(crate) fn prefers(&self, hidden: &HiddenSnapshot, chosen: &Snapshot) -> bool {
        let in_time = self.as_of.is_none_or(|as_of| hidden.start_time <= as_of);
        let is_newer = hidden.start_time > chosen.start_time();
        self.is_of(&hidden.source) && in_time && is_newer && !hidden.is_incomplete
    }

    /// Returns whether a source is the identity. A path may be written with `/` at its end.
    pub(crate) fn is_of(&self, source: &Source) -> bool {
        self.identities().any(|identity| identity == *source)
    }

    /// Returns the identity in each way that it may be written.
    pub(crate) fn identities(&self) -> impl Iterator<Item = Source> {
        let trimmed = self.identity.path.trim_end_matches('/');
        let trimmed = Source { path: trimmed.into(), ..self.identity.clone() };
        std::iter::once(self.identity.clone()).chain(Some(trimmed).filter(|source| !source.path.is_empty()))
    }

    /// Returns that the window lies beyond the oldest snapshot.
    fn out_of_range(&self, candidates: usize) -> SetupError {
        let qualified = if self.as_of.is_some() { " by that time" } else { "" };
        let there = count(candidates as u64, "complete snapshot", "complete snapshots");
        let are = if candidates == 1 { "is" } else { "are" };
        if self.shallow == Some(0) {
            return SetupError::new(
                "KOPIA_SHALLOW is 0, which leaves no snapshot",
                "set shallow to 1 or more, or leave it out",
            );
        }
        SetupError::new(
            format!("previous is {}, but there {are} {there}{qualified}", self.previous),
            format!("set previous to {} or less", candidates.saturating_sub(1)),
        )
        .with_class(Class::NotFound)
    }

    /// Returns the manifests of the identity, oldest first. A path may be written with `/` at its end.
    fn manifests<'s>(&self, snapshots: &'s Snapshots) -> Vec<&'s Snapshot> {
        let of =
            |identity: &Source| snapshots.iter().filter(|one| one.source() == identity).collect::<Vec<_>>();
        let exact = of(&self.identity);
        let trimmed = self.identity.path.trim_end_matches('/');
        if exact.is_empty() && !trimmed.is_empty() && trimmed != self.identity.path {
            of(&Source { path: trimmed.into(), ..self.identity.clone() })
        } else {
            exact
        }
    }
}

/// Describes in one line what is wanted.
pub(crate) fn describe(wanted: &Wanted, place: &Place) -> String {
    let mut text = format!("identity {}", wanted.identity);
    if let Some(as_of) = wanted.as_of {
        text += &format!(", as of {as_of}");
    }
    if wanted.previous > 0 {
        text += &format!(", previous {}", wanted.previous);
    }
    if let Some(shallow) = wanted.shallow {
        text += &format!(", shallow {shallow}");
    }
    text + &format!(", repository {place}")
}

#[cfg(test)]
mod tests {
    use kopia_rs::connection::Connection;

    use super::*;

    fn wanted(variables: &[(&str, &str)]) -> Result<Wanted, String> {
        let who = [("KOPIA_OVERRIDE_USERNAME", "app"), ("KOPIA_OVERRIDE_HOSTNAME", "media")];
        let all = who.iter().chain(variables);
        let environment = all.map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Wanted::read(&environment, None).map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn a_destination_restores_what_its_source_calls_data() {
        let path = |variables: &[(&str, &str)]| wanted(variables).unwrap().identity.path;
        assert_eq!(path(&[("DATA_DIR", "/restore/data")]), "/data");
        assert_eq!(path(&[("DATA_DIR", "/data")]), "/data");
        assert_eq!(path(&[("DATA_DIR", "/mnt/x")]), "/mnt/x");
        let overridden = [("DATA_DIR", "/restore/data"), ("KOPIA_SOURCE_PATH_OVERRIDE", "/var/lib/db")];
        assert_eq!(path(&overridden), "/var/lib/db");
        assert_eq!(path(&[("KOPIA_SOURCE_PATH_OVERRIDE", "a/kopia/b/c")]), "a/kopia/b/c");
        assert!(wanted(&[]).unwrap_err().contains("DATA_DIR must be defined"));
        let device = wanted(&[("KOPIA_RS_DEVICE", "/dev/target")]).unwrap_err();
        assert!(device.contains("KOPIA_SOURCE_PATH_OVERRIDE must be defined"), "{device}");
    }

    #[test]
    fn what_is_wanted_is_described() {
        let variables = [
            ("DATA_DIR", "/restore/data"),
            ("KOPIA_RESTORE_AS_OF", "2026-01-02T01:00:00+01:00"),
            ("KOPIA_PREVIOUS", "2"),
            ("KOPIA_SHALLOW", "3"),
        ];
        let text = describe(&wanted(&variables).unwrap(), &Connection::parse("/repository").unwrap().into());
        assert_eq!(
            text,
            "identity app@media:/data, as of 2026-01-02T00:00:00Z, previous 2, repository /repository"
        );
    }
}
