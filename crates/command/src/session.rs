//! From the global options to an open repository, and from WHAT to an entry.

pub(crate) mod archive;
mod choice;
mod gaps;
pub(crate) mod key_ring;
pub(crate) mod needed;
mod opening;
mod owners;
mod patterns;
mod place;

use std::cell::Cell;
use std::path::PathBuf;

use kopia_rs::cold::ColdBlobs;
use kopia_rs::connection::Environment;
use kopia_rs::diagnosis::Class;
use kopia_rs::diagnosis::text::chain;
#[cfg(feature = "browse")]
use kopia_rs::history::Track;
use kopia_rs::select::{Query, Selection};
use kopia_rs::{Repository, Snapshot, Snapshots, Source};

#[cfg(any(feature = "browse", feature = "serve", feature = "terminal-browser"))]
use crate::args::Only;
use crate::args::{Global, What};
use crate::error::{Exit, Failure};
use crate::terminal::output::{self, escape, log_line};
use crate::terminal::progress::ProgressMode;
use crate::terminal::report::Report;
use crate::terminal::time;
use crate::wording::advice::{NO_HASH_KEY, audience};
use archive::Archive;
pub(crate) use choice::Choice;
use gaps::Gaps;
pub(crate) use opening::{options, store, with_veleros_password};

/// What is wrong where snapshots are missing from the list, or may be.
pub(crate) const INCOMPLETE_LIST: &str = "the list of snapshots is incomplete";

/// Returns the user and the host, as kopia names them in sources; empty where they are not known.
fn here(environment: &Environment) -> (String, String) {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| environment.var(name));
    let root = || if rustix::process::geteuid().is_root() { "root" } else { "" };
    let user = user.unwrap_or_else(root).to_lowercase();
    (user, environment.host().unwrap_or_default())
}

/// Returns whether a name says by itself which snapshot it is: `latest` of all, an id, or a whole source.
fn is_named_in_full(name: &str, chosen: &Snapshot) -> bool {
    let head = name.split('/').next().unwrap_or_default();
    head == "latest"
        || chosen.id().starts_with(head) && !head.is_empty()
        || name.starts_with(&format!("{}@{}:", chosen.source().user, chosen.source().host))
}

/// What a command works with.
pub(crate) struct Session {
    pub(crate) repository: Repository,
    /// The command that runs, for examples in hints.
    command: &'static str,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    /// How progress is shown.
    pub(crate) progress: ProgressMode,
    /// What is done about what lies in an archive.
    pub(crate) archive: Archive,
    /// Folders that options name and that are written to, each with what messages call it.
    pub(crate) folders: Vec<(&'static str, PathBuf)>,
    /// Whether something was taken from a list of snapshots that is known to be incomplete.
    has_gaps: Cell<bool>,
    /// User and host whose sources a path alone names.
    here: (String, String),
}

impl Session {
    /// Opens the repository that is meant, for a command such as `restore WHAT TARGET`.
    pub(crate) fn open(global: &Global, command: &'static str) -> Result<Self, Failure> {
        let environment = Environment::of_process();
        let choice = Choice::of(global, &environment)?;
        Self::open_chosen(&choice, environment, global, command)
    }

    /// Opens a repository that was chosen.
    pub(crate) fn open_chosen(
        choice: &Choice,
        environment: Environment,
        global: &Global,
        command: &'static str,
    ) -> Result<Self, Failure> {
        if let Some(file) = choice.found.as_ref().filter(|_| !global.quiet) {
            let place = choice.connection.location();
            log_line(format_args!("note: {}, as {} says", escape(&place), escape(&file.to_string_lossy())));
        }
        let mut here = here(&environment);
        here.0 = choice.connection.username.clone().unwrap_or(here.0);
        here.1 = choice.connection.hostname.clone().unwrap_or(here.1);
        let repository = opening::repository(choice, environment, global)?;
        let session = Self { command, here, ..Self::new(repository, global) };
        session.repository.warnings().iter().for_each(|warning| session.note(warning));
        session.repository.losses().iter().for_each(|loss| session.note(&format!("lost: {loss}")));
        if !global.degraded && !session.repository.losses().is_empty() {
            let degraded = audience().option("--degraded");
            session.note(&format!("snapshots may be missing; {degraded} takes in what packs say they hold"));
        }
        if global.degraded {
            let snapshots = session.snapshots()?;
            snapshots
                .lost()
                .iter()
                .for_each(|loss| session.note(&format!("lost: of the list of snapshots: {loss}")));
        }
        Ok(session)
    }

    /// Returns the name of this host, as kopia has it in sources.
    pub(crate) fn host(&self) -> &str {
        &self.here.1
    }

    /// Works with an open repository.
    pub(crate) fn new(repository: Repository, global: &Global) -> Self {
        let command = "ls WHAT";
        let archive = Archive::of(global);
        Self {
            repository,
            command,
            json: global.json,
            quiet: global.quiet,
            progress: ProgressMode::of(global.progress, global.quiet),
            archive,
            folders: global.folders(),
            has_gaps: Cell::new(false),
            here: here(&Environment::of_process()),
        }
    }

    /// Refuses `--verify-hashes`, if it is given, where no content can be compared with its hash.
    pub(crate) fn refuse_verify_hashes(&self, is_given: bool) -> Result<(), Failure> {
        if !is_given || self.repository.contents().can_compare() {
            return Ok(());
        }
        let (fact, change) = NO_HASH_KEY;
        Err(Failure::failed(fact).with_class(Class::Usage).hint(change))
    }

    /// Lists the snapshots, with advice where that fails.
    pub(crate) fn snapshots(&self) -> Result<Snapshots, Failure> {
        let snapshots = self.warm(|| self.repository.snapshots())?;
        snapshots.map_err(|error| Failure::unlisted(error, &self.repository))
    }

    /// Lists the snapshots that a filter admits.
    ///
    /// # Errors
    /// As for [`Self::snapshots`], and that there are none of those.
    #[cfg(any(feature = "browse", feature = "serve", feature = "terminal-browser"))]
    pub(crate) fn admitted(&self, only: &Only) -> Result<Snapshots, Failure> {
        Ok(self.snapshots()?.some_admitted(&only.filter())?)
    }

    /// Finds in which sources of some snapshots a path lies, or lay once.
    #[cfg(feature = "browse")]
    pub(crate) fn tracks(&self, snapshots: &Snapshots, path: &str) -> Result<Vec<Track>, Failure> {
        Track::named(snapshots, path, (&self.here.0, &self.here.1))
            .map_err(|error| Failure::not_selected(error, &self.repository, path, self.command))
    }

    /// Warns of snapshots that are, or may be, missing from the list, of one source or of all.
    pub(crate) fn warn_of_gaps(&self, source: Option<&Source>) {
        self.warn(Gaps::find(&self.repository).map(|gaps| gaps.of_source(source)));
    }

    /// Warns if a newer snapshot is missing than the one that was chosen from the list, which there may be.
    fn warn_of_newer(&self, selection: &Selection, what: &What, may_be: kopia_rs::Result<bool>) {
        let head = what.what.split('/').next().unwrap_or_default();
        // One that is named by its id is the right one, whatever the list lacks.
        let Some(snapshot) = selection.snapshot.as_ref().filter(|one| !one.id().starts_with(head)) else {
            return;
        };
        let gaps = match may_be {
            Ok(false) => return,
            Ok(true) => Gaps::look(&self.repository),
            Err(error) => Err(error),
        };
        self.warn(gaps.map(|gaps| gaps.instead_of(snapshot, what)));
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

    /// Returns whether what a command did is not complete, as it came from an incomplete list with --degraded.
    pub(crate) fn is_from_gaps(&self) -> bool {
        self.has_gaps.get() && self.repository.options().degraded
    }

    /// Decides about the exit status of a command that did what it should.
    pub(crate) fn conclude(&self, exit: Exit) -> Exit {
        if exit == Exit::Complete && self.is_from_gaps() {
            log_line(format_args!("error: {INCOMPLETE_LIST}"));
            return Exit::Partial;
        }
        exit
    }

    /// As [`Self::find`], with advice where nothing is found.
    pub(crate) fn select(&self, what: &What) -> Result<Selection, Failure> {
        // Looking for gaps takes a listing, which need not wait for what is found.
        let repository = &self.repository;
        let (found, gaps) = std::thread::scope(|scope| {
            let gaps = what.version.is_none().then(|| scope.spawn(|| Gaps::may_be(repository)));
            let found = self.warm(|| self.find(what));
            (found, gaps.and_then(|gaps| gaps.join().ok()))
        });
        let selection =
            found?.map_err(|error| Failure::not_selected(error, repository, &what.what, self.command))?;
        if let Some(may_be) = gaps {
            self.warn_of_newer(&selection, what, may_be);
        }
        Ok(selection)
    }

    /// Does something that reads directories; what of them lies in an archive is seen to first.
    ///
    /// # Errors
    /// That it cannot be read yet. What else goes wrong is the result inside.
    pub(crate) fn warm<R>(
        &self,
        work: impl Fn() -> kopia_rs::Result<R>,
    ) -> Result<kopia_rs::Result<R>, Failure> {
        self.archive.warm(&self.repository, work)
    }

    /// Sees to it that what `find` finds can be read, step by step.
    ///
    /// # Errors
    /// That it cannot be read yet.
    pub(crate) fn warm_all(
        &self,
        report: Option<&Report>,
        find: impl Fn() -> Result<Option<ColdBlobs>, Failure>,
    ) -> Result<(), Failure> {
        self.archive.warm_all(self.repository.store(), report, find)
    }

    /// Finds what WHAT means, and says which instant --at means if that was not plain.
    pub(crate) fn find(&self, what: &What) -> kopia_rs::Result<Selection> {
        // Objects have neither owner nor time, so they get what a new file would have.
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let query = Query {
            name: &what.what,
            at: what.at.as_ref().and_then(|when| when.at),
            pick: what.at.as_ref().map(|when| when.pick).unwrap_or_default(),
            filter: what.only.filter(),
            here: (&self.here.0, &self.here.1),
            incomplete: what.incomplete,
            owner,
            now: time::now(),
        };
        let selection = match what.version {
            Some(version) => self.repository.select_version(&query, version),
            None => self.repository.select(&query),
        };
        let time = |snapshot: &Snapshot| time::local(snapshot.start_time(), "%Y-%m-%d %H:%M:%S %Z");
        let chosen = selection.as_ref().ok().and_then(|selection| selection.snapshot.as_ref());
        let bound = what.at.as_ref().and_then(|when| when.assumed.as_deref());
        let is_full = chosen.is_some_and(|chosen| is_named_in_full(&what.what, chosen));
        if let (Some(chosen), false) = (chosen, bound.is_none() && is_full) {
            let (source, time, id) = (chosen.source(), time(chosen), output::short(chosen.id()));
            let bound = bound.map(|bound| format!("newest {bound}: ")).unwrap_or_default();
            self.note(&format!("{bound}{source}, {time} (snapshot {id})"));
        } else if let Some(bound) = bound.filter(|_| selection.is_err()) {
            self.note(&format!("looked for the newest {bound}"));
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
