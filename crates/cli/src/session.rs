//! From the global options to an open repository, and from WHAT to an entry.

use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStringExt;

use kopia_rs::select::{Query, Selection};
use kopia_rs::storage::{IoMode, Location};
use kopia_rs::{Password, Repository};

use crate::args::{Global, Io, What};
use crate::error::Failure;
use crate::output::{escape, say};
use crate::time;

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
        let repository = open(store, &password(global)?)?;
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

/// Gets the password from the file, the environment or the terminal, in this order: what was asked for now comes first.
fn password(global: &Global) -> Result<Password, Failure> {
    if let Some(path) = &global.password_file {
        let mut bytes = std::fs::read(path).map_err(|error| {
            Failure::failed(format!("the password file {} cannot be read: {error}", path.display()))
        })?;
        if bytes.ends_with(b"\n") {
            bytes.truncate(bytes.len() - if bytes.ends_with(b"\r\n") { 2 } else { 1 });
        }
        return Ok(Password::new(bytes));
    }
    if let Some(password) = std::env::var_os("KOPIA_PASSWORD") {
        return Ok(Password::new(password.into_vec()));
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::failed("no password is given, and there is no terminal to ask for it")
            .hint("set KOPIA_PASSWORD (an empty one is a password too) or give --password-file"));
    }
    let password = rpassword::prompt_password("Password of the repository: ");
    password
        .map(Password::from)
        .map_err(|error| Failure::failed(format!("the password cannot be asked for: {error}")))
}
