//! From a connection to an open repository, with advice where that fails.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use kopia_rs::connect::{Opened, Options, survey};
use kopia_rs::connection::{Connection, Environment, Storage};
use kopia_rs::diagnosis::password::PasswordSource;
use kopia_rs::diagnosis::velero;
use kopia_rs::diagnosis::{Class, Finding, LocalPath, OpenFailure, RemoteFailure, neighbours};
use kopia_rs::storage::{self, BlobStore, CachedStore, OverlayStore};
use kopia_rs::{Error, FormatBlob, Password, Repository, connect};

use super::Choice;
use super::archive::Archive;
use crate::args::Global;
use crate::error::Failure;
use crate::terminal::output::{escape, log_line};
use crate::terminal::password;
use crate::wording::advice::change;
use crate::wording::remote::remote;

/// How often somebody may type a password.
const TRIES: u32 = 3;

/// The longest format blob that is read from a file, in bytes. Real ones have some 1100.
const MAX_FORMAT_BLOB: u64 = 1 << 20;

/// Opens the repository of a connection.
pub(crate) fn repository(
    choice: &Choice,
    environment: Environment,
    global: &Global,
) -> Result<Repository, Failure> {
    let connection = &choice.connection;
    let source = password::source(global.password(), choice.password.as_ref());
    if let Storage::Server(place) = &connection.storage {
        let source = password::source_of_user(source, &environment, place.is_rest());
        let password = password::read(source.as_ref(), global.password(), connection.password.as_ref())?;
        return server(connection, (&password, source.as_ref()), environment, global);
    }
    let unopened = |error: Error, store: Option<&dyn BlobStore>, password: Option<&Password>| {
        let Some(directory) = connection.storage.directory() else {
            let Some(remote) = remote(connection) else { return error.into() };
            let around = survey(connection, &options(global, environment.clone())).ok().flatten();
            let failure = RemoteFailure {
                store,
                password,
                source: source.as_ref(),
                ..RemoteFailure::new(&remote, &error)
            };
            return Failure::unopened_remote(&error, RemoteFailure { around: around.as_deref(), ..failure });
        };
        let path = LocalPath::look(directory);
        let failure =
            OpenFailure { store, password, source: source.as_ref(), ..OpenFailure::new(&path, &error) };
        Failure::unopened(&error, failure)
    };
    let store = store(connection, global, environment.clone())?;
    let store = store.map_err(|error| unopened(error.into(), None, None))?;
    if let Some(directory) = connection.storage.directory()
        && neighbours::is_cache(directory)
    {
        let finding = Finding::Cache { given: directory.into() };
        return Err(Failure::failed(finding.fact()).with_class(finding.class()).hint(change(&finding)));
    }
    let archive = Archive::of(global);
    if let Some(password) = choice.opened_by.get() {
        let open = || Repository::open_with(store.clone(), password, &global.open_options());
        match archive.warm_to_open(&*store, open)? {
            Err(Error::WrongPassword { .. }) => {}
            opened => return opened.map_err(|error| unopened(error, Some(&*store), None)),
        }
    }
    if choice.is_velero && !password::is_given(source.as_ref()) {
        let open = || {
            if choice.is_asked_as_veleros {
                try_veleros_password(&store, global, true)
            } else {
                with_veleros_password(&store, global)
            }
        };
        let opened = archive.warm_to_open(&*store, open)?;
        if let Some(repository) = opened.map_err(|error| unopened(error, Some(&*store), None))? {
            return Ok(repository);
        }
    }
    let mut tries = 1;
    if password::is_asked_for(source.as_ref()) {
        // Nobody is asked for the password of what is not there.
        let read = archive.warm_to_open(&*store, || FormatBlob::read(&*store))?;
        read.map_err(|error| unopened(error, Some(&*store), None))?;
    }
    if source == Some(PasswordSource::Prompt) {
        tries = TRIES;
    }
    loop {
        let password = password::read(source.as_ref(), global.password(), connection.password.as_ref())?;
        let open = || {
            let with =
                |password: &Password| Repository::open_with(store.clone(), password, &global.open_options());
            password::open_with(source.as_ref(), &password, with)
        };
        match archive.warm_to_open(&*store, open)? {
            Ok(repository) => {
                if password::is_asked_for(source.as_ref()) {
                    // Nobody is asked twice for what opens several.
                    let _ = choice.opened_by.set(password);
                }
                return Ok(repository);
            }
            Err(Error::WrongPassword { .. }) if tries > 1 => {
                tries -= 1;
                log_line("That password does not open the repository; try again.");
            }
            Err(error) => return Err(unopened(error, Some(&*store), Some(&password))),
        }
    }
}

/// Opens a repository with the password that Velero gives all of them, and says so. Where nothing but the name of
/// its directory is like Velero's, it is not tried.
///
/// # Errors
/// What has nothing to do with the password.
pub(crate) fn with_veleros_password(
    store: &Arc<dyn BlobStore>,
    global: &Global,
) -> kopia_rs::Result<Option<Repository>> {
    if velero::is_marked(&**store) { try_veleros_password(store, global, false) } else { Ok(None) }
}

/// As [`with_veleros_password`], whatever the repository holds; `is_expected` where it is worth a word that the
/// password is another.
fn try_veleros_password(
    store: &Arc<dyn BlobStore>,
    global: &Global,
    is_expected: bool,
) -> kopia_rs::Result<Option<Repository>> {
    let password = Password::new(velero::PASSWORD);
    let said = |what: &str| {
        if !global.quiet {
            log_line(format_args!(
                "note: no password is given, and Velero's own, {}, {what}",
                velero::PASSWORD
            ));
        }
    };
    match Repository::open_with(store.clone(), &password, &global.open_options()) {
        Ok(repository) => {
            said("opens the repository");
            Ok(Some(repository))
        }
        Err(Error::WrongPassword { .. }) => {
            if is_expected {
                said("does not open the repository");
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Opens what a Kopia repository server gives. The password is its user's, and needed to connect.
fn server(
    connection: &Connection,
    (password, source): (&Password, Option<&PasswordSource>),
    environment: Environment,
    global: &Global,
) -> Result<Repository, Failure> {
    let unopened = |error: Error| match remote(connection) {
        Some(remote) => {
            Failure::unopened_remote(&error, RemoteFailure { source, ..RemoteFailure::new(&remote, &error) })
        }
        None => error.into(),
    };
    let options = options(global, environment);
    let opened = password::open_with(source, password, |password| {
        let mut connection = connection.clone();
        connection.password = Some(password.clone());
        Ok(connect(&connection, &options)?)
    });
    match opened.map_err(unopened)? {
        Opened::Contents(server) => Repository::open_server(server, &global.open_options()).map_err(unopened),
        _ => Err(Failure::failed(format!("{} gives no contents", connection.location()))
            .with_class(Class::Unsupported)),
    }
}

/// Opens the store of a connection, with another format blob put over it if one is given. The inner error is
/// the store's.
pub(crate) fn store(
    connection: &Connection,
    global: &Global,
    environment: Environment,
) -> Result<storage::Result<Arc<dyn BlobStore>>, Failure> {
    let format_blob = global.format_blob.as_deref().map(read_format_blob).transpose()?;
    let store = match connect(connection, &options(global, environment)) {
        Ok(Opened::Blobs(store)) => store,
        Ok(_) => {
            return Err(Failure::failed(format!("{} gives no blobs", connection.location()))
                .with_class(Class::Unsupported));
        }
        Err(error) => return Ok(Err(error)),
    };
    let (store, format_blob) = cached(store, format_blob, global)?;
    Ok(Ok(match format_blob {
        Some(blob) => Arc::new(OverlayStore::new(store, FormatBlob::id(), blob.bytes())),
        None => store.into(),
    }))
}

/// Puts a cache before a store if one is asked for, and returns the format blob if that was read for it.
fn cached(
    store: Box<dyn BlobStore>,
    format_blob: Option<FormatBlob>,
    global: &Global,
) -> Result<(Box<dyn BlobStore>, Option<FormatBlob>), Failure> {
    let Some(directory) = &global.cache else { return Ok((store, format_blob)) };
    if store.directory().is_some_and(|repository| lies_in(directory, &repository)) {
        let given = directory.display();
        return Err(Failure::usage(format!("--cache {given} lies in the repository: give another folder")));
    }
    // Where it cannot be read, opening says why.
    let Some(blob) = format_blob.or_else(|| FormatBlob::read(&*store).ok()) else { return Ok((store, None)) };
    let limit = global.cache_limit.saturating_mul(1 << 20);
    Ok((Box::new(CachedStore::new(store, directory, &blob.repository_name(), limit)), Some(blob)))
}

/// Returns whether what is at a path, or would be made there, lies in a directory.
fn lies_in(path: &Path, directory: &Path) -> bool {
    let Ok(path) = std::path::absolute(path) else { return false };
    let existing = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    let directory = directory.canonicalize().ok();
    existing.zip(directory).is_some_and(|(existing, directory)| existing.starts_with(directory))
}

/// Returns how to connect, as the command's options have it.
pub(crate) fn options(global: &Global, environment: Environment) -> Options {
    let mut options = Options::default();
    options.environment = environment;
    options.io = global.io;
    if !global.quiet {
        options.notice = Arc::new(|text| log_line(format_args!("note: {}", escape(text))));
    }
    options
}

fn read_format_blob(path: &Path) -> Result<FormatBlob, Failure> {
    let what =
        |error: &dyn std::fmt::Display| format!("the format blob {} cannot be used: {error}", path.display());
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_FORMAT_BLOB).read_to_end(&mut bytes));
    read.map_err(|error| Failure::failed(what(&error)).with_class(Class::of_io(&error)))?;
    FormatBlob::parse(bytes).map_err(|error| Failure::failed(what(&error)).with_class(Class::of(&error)))
}
