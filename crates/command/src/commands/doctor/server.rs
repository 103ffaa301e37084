//! A repository behind a Kopia repository server, which shows neither blobs nor packs.

use kopia_rs::connect::Opened;
use kopia_rs::connection::{Environment, Storage};
use kopia_rs::diagnosis::{Class, Effort, Finding, RemoteFailure, explain_remote, identity};
use kopia_rs::{Error, Repository, connect, storage};

use super::Report;
use crate::args::{self, Global};
use crate::error::Failure;
use crate::session::{Choice, Session, options};
use crate::terminal::password;
use crate::wording::remote::remote;

/// Opens it, and looks for what cannot be found.
pub(super) fn examine(
    global: &Global,
    args: &args::Doctor,
    choice: &Choice,
    environment: Environment,
    report: &mut Report,
) -> Result<(), Failure> {
    let connection = &choice.connection;
    if args.save_format_blob.is_some() {
        return Err(storage::Error::NoBlobs { place: connection.location() }.into());
    }
    let source = password::source(global.password(), choice.password.as_ref());
    let is_rest = matches!(&connection.storage, Storage::Server(place) if place.is_rest());
    let source = password::source_of_user(source, &environment, is_rest);
    let stored = connection.password.as_ref();
    let read = |source| password::read(Some(source), global.password(), stored);
    let Some(password) = source.as_ref().map(read).transpose()? else {
        report.fatal(Finding::NoPassword);
        return Ok(());
    };
    let options = options(global, environment);
    let connected = password::open_with(source.as_ref(), &password, |password| {
        let mut connection = connection.clone();
        connection.password = Some(password.clone());
        Ok(connect(&connection, &options)?)
    });
    let opened = match connected {
        Ok(Opened::Contents(server)) => Repository::open_server(server, &global.open_options()),
        Ok(_) => {
            return Err(Failure::failed(format!("{} gives no contents", connection.location()))
                .with_class(Class::Unsupported));
        }
        Err(error) => Err(error),
    };
    let explain = |error: &Error| match remote(connection) {
        Some(remote) => {
            let failure = RemoteFailure { source: source.as_ref(), ..RemoteFailure::new(&remote, error) };
            explain_remote(failure, Effort::Doctor)
        }
        None => vec![Finding::failed(error)],
    };
    let repository = match opened {
        Ok(repository) => repository,
        Err(error) => {
            explain(&error).into_iter().for_each(|finding| report.fatal(finding));
            return Ok(());
        }
    };
    report.notes = repository.warnings().to_vec();
    match repository.snapshots() {
        Ok(snapshots) => {
            report.is_served = true;
            report.identities = identity::all(&snapshots);
            if report.identities.is_empty() {
                report.findings.push(Finding::ServerShowsNothing { location: connection.location() });
            }
            super::look_for(&Session::new(repository.clone(), global), args, &snapshots, report);
        }
        Err(error) => explain(&error).into_iter().for_each(|finding| report.fatal(finding)),
    }
    Ok(())
}
