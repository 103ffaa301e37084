//! From the global options to an open repository, and from WHAT to an entry.

mod gaps;

use std::cell::Cell;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use kopia_rs::diagnosis::password::PasswordSource;
use kopia_rs::diagnosis::text::chain;
use kopia_rs::diagnosis::{Finding, LocalPath, OpenFailure, neighbours};
use kopia_rs::select::{Query, Selection};
use kopia_rs::storage::{self, BlobStore, Location, OverlayStore};
use kopia_rs::{Error, FormatBlob, Password, Repository, Snapshot, Snapshots, Source};

use crate::args::{Global, What};
use crate::error::{Exit, Failure};
use crate::terminal::output::{self, escape, log_line};
use crate::terminal::password;
use crate::terminal::time;
use crate::wording::advice::change;
use gaps::Gaps;

/// What a command works with.
pub(crate) struct Session {
    pub(crate) repository: Repository,
    /// The command that runs, for examples in hints.
    command: &'static str,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    /// Whether something was taken from a list of snapshots that is known to be incomplete.
    has_gaps: Cell<bool>,
}

impl Session {
    /// Opens the repository that the options name, for a command such as `restore WHAT TARGET`.
    pub(crate) fn open(global: &Global, command: &'static str) -> Result<Self, Failure> {
        let location = location(global)?;
        let source = password::source(global.password_file.as_deref());
        let unopened = |error: Error, store: Option<&dyn BlobStore>, password: Option<&Password>| {
            let Some(directory) = location.directory() else { return error.into() };
            let path = LocalPath::look(directory);
            let failure =
                OpenFailure { store, password, source: source.as_ref(), ..OpenFailure::new(&path, &error) };
            Failure::unopened(&error, failure)
        };
        let store = store(&location, global)?.map_err(|error| unopened(error.into(), None, None))?;
        if let Some(directory) = location.directory()
            && neighbours::is_cache(directory)
        {
            let finding = Finding::Cache { given: directory.into() };
            return Err(Failure::failed(finding.fact()).hint(change(&finding)));
        }
        let mut tries = 1;
        if source == Some(PasswordSource::Prompt) {
            // Nobody is asked for the password of what is not there.
            FormatBlob::read(&*store).map_err(|error| unopened(error, Some(&*store), None))?;
            tries = TRIES;
        }
        let repository = loop {
            let password = password::read(source.as_ref())?;
            match Repository::open_with(store.clone(), &password, &global.open_options()) {
                Ok(repository) => break repository,
                Err(Error::WrongPassword { .. }) if tries > 1 => {
                    tries -= 1;
                    log_line("That password does not open the repository; try again.");
                }
                Err(error) => return Err(unopened(error, Some(&*store), Some(&password))),
            }
        };
        let session = Self { command, ..Self::new(repository, global) };
        session.repository.warnings().iter().for_each(|warning| session.note(warning));
        session.repository.losses().iter().for_each(|loss| session.note(&format!("lost: {loss}")));
        if global.degraded {
            let snapshots = session.snapshots()?;
            snapshots
                .lost()
                .iter()
                .for_each(|loss| session.note(&format!("lost: of the list of snapshots: {loss}")));
        }
        Ok(session)
    }

    /// Works with an open repository.
    pub(crate) fn new(repository: Repository, global: &Global) -> Self {
        let command = "ls WHAT";
        Self { repository, command, json: global.json, quiet: global.quiet, has_gaps: Cell::new(false) }
    }

    /// Lists the snapshots, with advice where that fails.
    pub(crate) fn snapshots(&self) -> Result<Snapshots, Failure> {
        self.repository.snapshots().map_err(|error| Failure::unlisted(error, &self.repository))
    }

    /// Warns of snapshots that are, or may be, missing from the list, of one source or of all.
    pub(crate) fn warn_of_gaps(&self, source: Option<&Source>) {
        self.warn(Gaps::find(&self.repository).map(|gaps| gaps.of_source(source)));
    }

    /// Warns if a newer snapshot may be missing than the one that was chosen from the list.
    fn warn_of_newer(&self, selection: &Selection, what: &What) {
        let head = what.what.split('/').next().unwrap_or_default();
        // One that is named by its id is the right one, whatever the list lacks.
        if let Some(snapshot) = selection.snapshot.as_ref().filter(|one| !one.id().starts_with(head)) {
            self.warn(Gaps::find(&self.repository).map(|gaps| gaps.instead_of(snapshot, what)));
        }
    }

    /// Warns of what is missing. It matters too much to be left out with `--quiet`.
    fn warn(&self, gaps: kopia_rs::Result<Gaps>) {
        match gaps {
            Ok(gaps) if gaps.is_empty() => {
                gaps.unknown().iter().for_each(|unknown| log_line(format_args!("warning: {unknown}")));
            }
            Ok(gaps) => {
                let sentences = gaps.sentences();
                sentences.iter().for_each(|sentence| log_line(format_args!("warning: {}", escape(sentence))));
                log_line(format_args!("hint: {}", gaps.hint(&self.repository)));
                self.has_gaps.set(true);
            }
            Err(error) => {
                let why = chain(&error);
                log_line(format_args!(
                    "warning: whether snapshots are missing is not known: {}",
                    escape(&why)
                ));
                self.has_gaps.set(true);
            }
        }
    }

    /// Returns whether the list of snapshots lacks some, or may, as was told.
    pub(crate) fn has_gaps(&self) -> bool {
        self.has_gaps.get()
    }

    /// Decides about the exit status of a command that did what it should: with --degraded, what came from an
    /// incomplete list is not complete either.
    pub(crate) fn conclude(&self, exit: Exit) -> Exit {
        if exit == Exit::Complete && self.has_gaps.get() && self.repository.options().degraded {
            log_line("error: the list of snapshots is incomplete");
            return Exit::Partial;
        }
        exit
    }

    /// As [`Self::find`], with advice where nothing is found.
    pub(crate) fn select(&self, what: &What) -> Result<Selection, Failure> {
        let selection = self.find(what);
        let selection = selection
            .map_err(|error| Failure::not_selected(error, &self.repository, &what.what, self.command))?;
        self.warn_of_newer(&selection, what);
        Ok(selection)
    }

    /// Finds what WHAT means, and says which instant --at means if that was not plain.
    pub(crate) fn find(&self, what: &What) -> kopia_rs::Result<Selection> {
        // Objects have neither owner nor time, so they get what a new file would have.
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let query = Query {
            name: &what.what,
            at: what.at.as_ref().map(|when| when.at),
            incomplete: what.incomplete,
            owner,
            now: time::now(),
        };
        let selection = self.repository.select(&query);
        let time = |snapshot: &Snapshot| time::local(snapshot.start_time(), "%Y-%m-%d %H:%M:%S %Z");
        if let Some(assumed) = what.at.as_ref().and_then(|when| when.assumed.as_ref()) {
            let chosen = selection.as_ref().ok().and_then(|selection| selection.snapshot.as_ref());
            let chosen = chosen.map(|chosen| format!(": {} of {}", output::short(chosen.id()), time(chosen)));
            self.note(&format!("{assumed}{}", chosen.unwrap_or_default()));
        }
        let selection = selection?;
        if let (Some(older), Some(chosen)) = (&selection.passed_over, &selection.snapshot) {
            self.note(&format!(
                "{} has it newer ({}) than {} itself, of which the newest snapshot is {} ({})",
                chosen.source(),
                time(chosen),
                older.source(),
                output::short(older.id()),
                time(older),
            ));
        }
        Ok(selection)
    }

    /// Writes a note, unless `--quiet` is given.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            log_line(format_args!("note: {}", escape(text)));
        }
    }
}

/// How often somebody may type a password.
const TRIES: u32 = 3;

/// The longest format blob that is read from a file, in bytes. Real ones have some 1100.
const MAX_FORMAT_BLOB: u64 = 1 << 20;

/// Returns where the repository is.
pub(crate) fn location(global: &Global) -> Result<Location, Failure> {
    let repository = global.repository.as_ref().filter(|text| !text.is_empty()).ok_or_else(|| {
        Failure::usage("no repository is given").hint("give its folder with --repository or KOPIA_REPOSITORY")
    })?;
    let mut location = Location::parse(repository)?.supported()?;
    if let Location::Filesystem { io, .. } = &mut location {
        *io = global.io;
    }
    Ok(location)
}

/// Opens the store there, with another format blob put over it if one is given. The inner error is the
/// store's.
pub(crate) fn store(
    location: &Location,
    global: &Global,
) -> Result<storage::Result<Arc<dyn BlobStore>>, Failure> {
    let format_blob = global.format_blob.as_deref().map(read_format_blob).transpose()?;
    Ok(location.open().map(|store| match format_blob {
        Some(blob) => {
            Arc::new(OverlayStore::new(store, FormatBlob::id(), blob.bytes())) as Arc<dyn BlobStore>
        }
        None => store.into(),
    }))
}

fn read_format_blob(path: &Path) -> Result<FormatBlob, Failure> {
    let what =
        |error: &dyn std::fmt::Display| format!("the format blob {} cannot be used: {error}", path.display());
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_FORMAT_BLOB).read_to_end(&mut bytes));
    read.map_err(|error| Failure::failed(what(&error)))?;
    FormatBlob::parse(bytes).map_err(|error| Failure::failed(what(&error)))
}
