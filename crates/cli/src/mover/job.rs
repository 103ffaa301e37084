//! A restore Job from its environment to its end.
//!
//! | module | what |
//! |---|---|
//! | `preflight` | what is looked at before the first write |
//! | `missing` | whether "nothing to restore" is a first deployment or an error |
//! | `write` | the restore itself, and whether everything is there |

mod missing;
mod preflight;
mod write;

use std::path::Path;
use std::sync::Arc;

use kopia_rs::connect::{self, Opened};
use kopia_rs::diagnosis::{Finding, neighbours};
use kopia_rs::storage::{self, BlobStore};
use kopia_rs::{Entry, Error, OpenOptions, Repository, Snapshot, connection};

use crate::mover::account::advice;
use crate::mover::account::line::{SetupError, StatusLine};
use crate::mover::account::log::JobLog;
use crate::mover::account::metrics;
use crate::mover::account::outcome::{JobOutcome, JobResult};
use crate::mover::account::report::SnapshotReport;
use crate::mover::contract::backend::{self, Choice};
use crate::mover::contract::configuration;
use crate::mover::contract::dispatch;
use crate::mover::contract::environment::{Environment, Variable};
use crate::mover::contract::place::Place;
use crate::mover::contract::selection::{self, Found, Wanted};
use crate::mover::contract::settings::Settings;
use crate::terminal::output::{count, escape, log_line, size};
use crate::terminal::signals::Interrupt;
use crate::wording::snapshots::{UNKNOWN, failed};
use missing::Newer;

/// What a restore works with.
pub(crate) struct Job<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) log: &'a JobLog,
    pub(crate) interrupt: &'a Arc<Interrupt>,
    pub(crate) metrics_file: Option<&'a Path>,
}

impl Job<'_> {
    /// Runs the Job, and returns how it ended.
    pub(crate) fn run(&self) -> JobOutcome {
        self.restore().unwrap_or_else(|outcome| outcome)
    }

    fn restore(&self) -> Result<JobOutcome, JobOutcome> {
        self.log.info(&format!("kopia-rs {}: restore", env!("CARGO_PKG_VERSION")));
        let structured = configuration::structured(self.environment)?;
        if structured.as_ref().is_some_and(|structured| structured.place.is_none()) {
            let name = configuration::NAME;
            self.log
                .info(&format!("{name} names no storage; the other variables say where the repository is"));
        }
        let choice = backend::choose(self.environment, structured.as_ref())?;
        choice.warnings.iter().for_each(|warning| self.log.warn(warning));
        if let Place::Unknown(_) = choice.place {
            return Err(self.hand_over(&choice));
        }
        crate::process::prepare();
        let settings = Settings::read(self.environment, structured.as_ref())?;
        self.announce(&settings, &choice.place);
        self.metrics(&choice.place)?;
        let target = preflight::is_there(&settings.target)?;

        let repository = self.open(&choice, &settings)?;
        // Behind a server no index is held in memory.
        if let Ok(status) = repository.status() {
            preflight::check_memory(status.contents.saturating_add(status.deleted_contents))?;
        }
        let snapshots = repository
            .snapshots()
            .map_err(|error| JobOutcome::failed(advice::unlisted("list snapshots", &error, &repository)))?;
        let snapshots = match settings.wanted.choose(&snapshots) {
            Found::Snapshot(_) => snapshots,
            Found::Nothing => missing::certain(&repository, &settings.wanted)?,
            // What is said of those that there are holds, whatever may be hidden beside them.
            Found::NoneFits(_) => missing::certain(&repository, &settings.wanted).unwrap_or_else(|outcome| {
                self.log.warn(outcome.line().cause());
                snapshots
            }),
        };
        let snapshot = match settings.wanted.choose(&snapshots) {
            Found::Snapshot(snapshot) => snapshot,
            Found::Nothing => return Err(missing::identity(&snapshots, &settings)),
            Found::NoneFits(trouble) => {
                let what = format!("restore {}", settings.wanted.identity);
                return Err(missing::with_others(
                    JobOutcome::failed(trouble.unable(&what)),
                    &snapshots,
                    &settings,
                ));
            }
        };
        let (doubt, newer) = if settings.degraded {
            (self.doubt(&repository, snapshot, &settings.wanted)?, None)
        } else {
            (None, self.warn_of_newer(&repository, snapshot, &settings.wanted))
        };
        let root = self.root(snapshot)?;
        preflight::check(&target, &root, settings.options.sparse, self.log)?;
        let outcome = write::restore(self, snapshot, &root, &settings)?;
        Ok(match doubt {
            Some(doubt) if outcome.result() == JobResult::Restored => {
                JobOutcome::new(JobResult::Partial, doubt)
            }
            _ => newer.into_iter().fold(outcome, |outcome, newer| outcome.restored_but(&newer)),
        })
    }

    /// Warns that newer snapshots than the chosen one are, or may be, missing from the list; returns what the
    /// last line is to say of them.
    fn warn_of_newer(&self, repository: &Repository, chosen: &Snapshot, wanted: &Wanted) -> Option<String> {
        let Newer { hidden, unread } = missing::newer(repository, wanted, chosen)
            .inspect_err(|error| {
                self.log.warn(&format!("whether newer snapshots are missing is not known: {error}"));
            })
            .unwrap_or_default();
        hidden.iter().chain(&unread).for_each(|sentence| self.log.warn(sentence));
        let verb = match (hidden.len(), unread.len()) {
            (0, 0) => return None,
            (0, _) => "may be",
            _ => "is",
        };
        self.log.info("additionalArgs: [--degraded] takes in what packs say they hold");
        self.log.note(|report| report.newer_missing = Some(hidden.len() + unread.len()));
        let looks = "additionalArgs: [--degraded] looks for it";
        Some(format!("; a newer snapshot {verb} missing from the list, {looks}"))
    }

    /// Returns why the snapshot that was chosen may not be the one that was meant: the list of a damaged
    /// repository has gaps. One that was named by its very time is meant.
    fn doubt(
        &self,
        repository: &Repository,
        snapshot: &Snapshot,
        wanted: &Wanted,
    ) -> Result<Option<StatusLine>, JobOutcome> {
        let gaps = missing::gaps(repository)?;
        gaps.iter().for_each(|gap| self.log.warn(gap));
        if !repository.lost_indexes().is_empty() {
            self.log.warn(UNKNOWN);
        }
        let Some(first) = gaps.first().filter(|_| !wanted.names(snapshot)) else { return Ok(None) };
        let time = snapshot.start_time();
        let what = format!("tell whether {time} is the newest snapshot of {}", wanted.identity);
        Ok(Some(StatusLine::unable(&what, first, &format!("set restoreAsOf to {time} to take it as it is"))))
    }

    /// Leaves the restore to the original script, which is run in place of this process, or says that it was
    /// not named.
    fn hand_over(&self, choice: &Choice) -> JobOutcome {
        let Choice { place, by, .. } = choice;
        let name = place.kind().map_or_else(|| place.to_string(), |kind| kind.to_string());
        let cannot = format!("{by} names {name}, which this build of kopia-rs cannot read");
        if self.environment.has(Variable::Fallback) {
            self.log.warn(&format!("{cannot}; the original script restores"));
            let trouble = dispatch::become_original(self.environment, &["restore".into()], self.log);
            return JobOutcome::failed(trouble.unable("run the original script"));
        }
        let advice = "set KOPIA_RS_FALLBACK to the original script to have it restore";
        let trouble = SetupError::new(cannot, advice);
        // A bucket that was left over in a Secret is taken out; one that is meant is the script's.
        if choice.warnings.is_empty() { trouble.into() } else { trouble.or_remove(by).into() }
    }

    /// Logs what is about to be done, and which settings do not matter.
    fn announce(&self, settings: &Settings, place: &Place) {
        let log = self.log;
        log.note(|report| {
            report.identity = Some(settings.wanted.identity.to_string());
            report.repository = Some(place.to_string());
        });
        log.info(&format!(
            "{}, target {}",
            selection::describe(&settings.wanted, place),
            settings.target.display()
        ));
        settings.notes.iter().for_each(|note| log.info(note));
        configuration::manual(self.environment).iter().for_each(|warning| log.warn(warning));
        let not_needed = self.environment.not_needed(place.kind());
        if !not_needed.is_empty() {
            log.info(&format!("not needed here: {}", not_needed.join(", ")));
        }
        let unknown = self.environment.unknown();
        if !unknown.is_empty() {
            log.warn(&format!("not known and ignored: {}", unknown.join(", ")));
        }
    }

    fn metrics(&self, place: &Place) -> Result<(), SetupError> {
        let given = self.environment.raw(Variable::MetricsFile).map(Path::new);
        let Some(file) = self.metrics_file.or(given) else { return Ok(()) };
        metrics::check(file, place.directory())?;
        self.log.write_metrics_to(file);
        Ok(())
    }

    /// Opens the repository. Storage that this build cannot read is the original script's, if that was named.
    fn open(&self, choice: &Choice, settings: &Settings) -> Result<Repository, JobOutcome> {
        let place = &choice.place;
        let Place::Known(connection) = place else { return Err(self.hand_over(choice)) };
        let mut connection = connection.clone();
        connection.password = Some(settings.password.clone());
        // A server wants to know who asks; whose snapshots are restored may ask for them.
        connection.username.get_or_insert_with(|| settings.wanted.identity.user.clone());
        connection.hostname.get_or_insert_with(|| settings.wanted.identity.host.clone());
        let mut connecting = connect::Options::default();
        connecting.environment = connection::Environment::of_process();
        connecting.notice = Arc::new(|text| log_line(format_args!("INFO: {}", escape(text))));
        let mut options = OpenOptions::default();
        options.degraded = settings.degraded;
        let unopened =
            |store: Option<&dyn BlobStore>, error: Error| missing::repository(place, store, &error, settings);
        let repository = match kopia_rs::connect(&connection, &connecting) {
            Ok(Opened::Blobs(store)) => {
                let store: Arc<dyn BlobStore> = store.into();
                Self::refuse_cache(place)?;
                Repository::open_with(store.clone(), &settings.password, &options)
                    .map_err(|error| unopened(Some(&*store), error))
            }
            Ok(Opened::Contents(server)) => {
                Repository::open_server(server, &options).map_err(|error| unopened(None, error))
            }
            Ok(_) | Err(storage::Error::UnsupportedBackend { .. }) => Err(self.hand_over(choice)),
            Err(error) => Err(unopened(None, error.into())),
        }?;
        self.log.info(&format!("Repository connected: {place}"));
        repository.warnings().iter().for_each(|warning| self.log.warn(warning));
        repository.losses().iter().for_each(|loss| self.log.warn(&format!("lost: {loss}")));
        Ok(repository)
    }

    /// Refuses a cache of kopia's, which looks like a repository.
    fn refuse_cache(place: &Place) -> Result<(), JobOutcome> {
        match place.directory().filter(|directory| neighbours::is_cache(directory)) {
            Some(directory) => {
                Err(JobOutcome::failed(StatusLine::of(&Finding::Cache { given: directory.into() })))
            }
            None => Ok(()),
        }
    }

    /// Logs which snapshot was chosen and what its backup lacks, and returns its root.
    fn root(&self, snapshot: &Snapshot) -> Result<Entry, JobOutcome> {
        let log = self.log;
        let report = SnapshotReport::of(snapshot);
        log.note(|all| all.snapshot = Some(report));
        log.info(&format!("Selected snapshot with id: {}", snapshot.id()));
        let root =
            snapshot.root().map_err(|error| JobOutcome::failed(advice::repository("restore", &error)))?;
        let held = root.summary().map_or_else(String::new, |summary| {
            let number = |number: i64| u64::try_from(number).unwrap_or_default();
            let files = count(number(summary.files), "file", "files");
            format!(", {files}, {}", size(number(summary.size)))
        });
        log.info(&format!("the snapshot began {}{held}", snapshot.start_time()));
        for (number, line) in root.summary().map(failed).unwrap_or_default().iter().enumerate() {
            let subject = if number == 0 { "the backup was " } else { "" };
            log.warn(&format!("{subject}{line}"));
        }
        Ok(root)
    }
}
