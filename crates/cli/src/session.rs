//! From the global options to an open repository, and from WHAT to an entry.

use kopia_rs::Repository;
use kopia_rs::select::{Query, Selection};
use kopia_rs::storage::{IoMode, Location};

use crate::args::{Global, Io, What};
use crate::error::Failure;
use crate::output::{escape, say};
use crate::{password, time};

/// What a command works with.
pub(crate) struct Session {
    pub(crate) repository: Repository,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

impl Session {
    /// Opens the repository that the options name.
    pub(crate) fn open(global: &Global) -> Result<Self, Failure> {
        let repository = global.repository.as_ref().filter(|text| !text.is_empty()).ok_or_else(|| {
            Failure::usage("no repository is given")
                .hint("give its folder with --repository or KOPIA_REPOSITORY")
        })?;
        let mode = match global.io {
            Io::Auto => IoMode::Auto,
            Io::Map => IoMode::Map,
            Io::Pread => IoMode::Pread,
        };
        let store = Location::parse(repository)?.open(mode)?;
        let open = if global.degraded { Repository::open_degraded } else { Repository::open };
        let repository = open(store, &password::get(global)?)?;
        let session = Self { repository, json: global.json, quiet: global.quiet };
        session.repository.warnings().iter().for_each(|warning| session.note(warning));
        session.repository.losses().iter().for_each(|loss| session.note(&format!("lost: {loss}")));
        if global.degraded {
            let snapshots = session.repository.snapshots()?;
            snapshots
                .lost()
                .iter()
                .for_each(|loss| session.note(&format!("lost: of the list of snapshots: {loss}")));
        }
        Ok(session)
    }

    /// Finds what WHAT means, and says which instant --at means if that was not plain.
    pub(crate) fn select(&self, what: &What) -> Result<Selection, Failure> {
        if let Some(assumed) = what.at.as_ref().and_then(|when| when.assumed.as_ref()) {
            self.note(assumed);
        }
        // Objects have neither owner nor time, so they get what a new file would have.
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let query = Query {
            name: &what.what,
            at: what.at.as_ref().map(|when| when.at),
            incomplete: what.incomplete,
            owner,
            now: time::now(),
        };
        Ok(self.repository.select(&query)?)
    }

    /// Says something that changes nothing.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            say(format_args!("note: {}", escape(text)));
        }
    }
}
