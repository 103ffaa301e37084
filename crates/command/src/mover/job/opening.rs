//! From where the repository is to an open one, or to the original script.

use std::sync::Arc;

use kopia_rs::connect::{self, Opened};
use kopia_rs::connection::Connection;
use kopia_rs::connection::storage::Options;
use kopia_rs::diagnosis::password::PasswordSource;
use kopia_rs::diagnosis::{Class, Finding, neighbours};
use kopia_rs::storage::{self, BlobStore};
use kopia_rs::{Error, OpenOptions, Password, Repository};

use super::missing::{self, Tried};
use super::{Job, Order, archive, preflight};
use crate::mover::account::line::{SetupError, StatusLine};
use crate::mover::account::outcome::JobOutcome;
use crate::mover::contract::backend::Choice;
use crate::mover::contract::dispatch;
use crate::mover::contract::environment::Variable;
use crate::mover::contract::place::Place;
use crate::mover::contract::settings::Settings;
use crate::mover::warn_of;
use crate::terminal::output::{escape, log_line};
use crate::terminal::password;
use crate::wording::advice::NO_HASH_KEY;

/// Opens the repository. Storage that this build cannot read is the original script's, if that was named.
pub(super) fn open(job: &Job<'_>, order: &Order) -> Result<Repository, JobOutcome> {
    let Order { choice, settings } = order;
    let place = &choice.place;
    let Place::Known(connection) = place else { return Err(hand_over(job, choice)) };
    let connection = completed(connection, settings)?;
    let by_variable = Some(&PasswordSource::Environment);
    let mut connecting = connect::Options::default();
    if place.directory().is_none() {
        connecting.environment = job.environment.for_stores();
    }
    connecting.notice = Arc::new(|text| log_line(format_args!("INFO: {}", escape(text))));
    let mut options = OpenOptions::default();
    options.degraded = settings.degraded;
    let tried = Tried { place, connection: &connection, options: &connecting };
    let unopened =
        |store: Option<&dyn BlobStore>, error: Error| missing::repository(&tried, store, &error, settings);
    // A server takes the password while it is connected to, all others after that.
    let connected = password::open_with(by_variable, &settings.password, |password| {
        let mut connection = connection.clone();
        connection.password = Some(password.clone());
        Ok(kopia_rs::connect(&connection, &connecting)?)
    });
    let repository = match connected {
        Ok(Opened::Blobs(store)) => {
            let store: Arc<dyn BlobStore> = store.into();
            refuse_cache(place)?;
            let open = |password: &Password| Repository::open_with(store.clone(), password, &options);
            let opened = archive::to_open(&*store, settings, || {
                password::open_with(by_variable, &settings.password, open)
            })?;
            opened.map_err(|error| unopened(Some(&*store), error))
        }
        Ok(Opened::Contents(server)) => {
            Repository::open_server(server, &options).map_err(|error| unopened(None, error))
        }
        Ok(_) | Err(Error::Storage(storage::Error::UnsupportedBackend { .. })) => Err(hand_over(job, choice)),
        Err(error) => Err(unopened(None, error)),
    }?;
    job.log.info(&format!("Repository connected: {place}"));
    repository.warnings().iter().for_each(|warning| job.log.warn(warning));
    repository.losses().iter().for_each(|loss| job.log.warn(&format!("lost: {loss}")));
    if settings.options.verify_hashes && !repository.contents().can_compare() {
        let (fact, change) = NO_HASH_KEY;
        return Err(SetupError::new(fact, change).into());
    }
    // Behind a server no index is held in memory.
    if let Ok(status) = repository.status() {
        preflight::check_memory(status.contents.saturating_add(status.deleted_contents))?;
    }
    Ok(repository)
}

/// Adds to a connection who asks, and what the additional arguments say of its storage.
fn completed(connection: &Connection, settings: &Settings) -> Result<Connection, SetupError> {
    let mut connection = connection.clone();
    connection.password = Some(settings.password.clone());
    // A server wants to know who asks; whose snapshots are restored may ask for them.
    connection.username.get_or_insert_with(|| settings.wanted.identity.user.clone());
    connection.hostname.get_or_insert_with(|| settings.wanted.identity.host.clone());
    let mut options = Options::default();
    settings.store.iter().for_each(|(name, value)| options.set(*name, value.as_str()));
    let unusable =
        |error| SetupError::new(format!("{}: {error}", Variable::AdditionalArgs.name()), String::new());
    connection.storage.apply(options).map_err(unusable)?;
    Ok(connection)
}

/// Leaves the restore to the original script, which is run in place of this process, or says that it was not
/// named.
pub(super) fn hand_over(job: &Job<'_>, choice: &Choice) -> JobOutcome {
    let Choice { place, by, .. } = choice;
    let name = place.kind().map_or_else(|| place.to_string(), |kind| kind.to_string());
    let cannot = format!("{by} names {name}, which this build of kopia-rs cannot read");
    warn_of(job.log, job.metrics.clone());
    if job.environment.has(Variable::Fallback) {
        job.log.warn(&format!("{cannot}; the original script restores"));
        job.log.remove_metrics();
        let trouble = dispatch::become_original(job.environment, &["restore".into()], job.log);
        return JobOutcome::failed(trouble.unable("run the original script"));
    }
    let advice = "set KOPIA_RS_FALLBACK to the original script to have it restore";
    let trouble = SetupError::new(cannot, advice).with_class(Class::Unsupported);
    // A bucket that was left over in a Secret is taken out; one that is meant is the script's.
    if choice.warnings.is_empty() { trouble.into() } else { trouble.or_remove(by).into() }
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
