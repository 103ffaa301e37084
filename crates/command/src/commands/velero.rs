//! `velero backups|volumes`: what Velero backed up, as its users think of it.
//!
//! `kopia_rs::diagnosis::velero` tells which volume a snapshot is of, and finds the repositories of all
//! namespaces; here they are opened one after the other, and shown.

mod backups;
mod names;
mod places;
mod table;

use kopia_rs::connection::Environment;
use kopia_rs::diagnosis::Class;
use kopia_rs::diagnosis::velero::{Backup, Volume, volumes};
use serde::Serialize;

use crate::args::{self, Global, VeleroList};
use crate::error::{Exit, Failure};
use crate::session::{Choice, Session};
use crate::terminal::output::{JsonArray, count, escape, log_line};
use backups::BackupRow;
use places::Places;

/// A volume and where it lies, as `--json` prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(flatten)]
    volume: Volume,
    /// The repository, as messages name it.
    repository: String,
    /// Its prefix or path, as the option that names another one in the same bucket takes it.
    root: String,
}

pub(super) fn run(global: &Global, args: &args::Velero) -> Result<Exit, Failure> {
    let environment = Environment::of_process();
    let choice = Choice::of(global, &environment)?;
    let places = Places::find(choice, global, &environment)?;
    let wanted = places.wanted(args.namespace.as_deref())?;
    let (mut rows, mut exit, mut others) = (Vec::<Row>::new(), Exit::Complete, 0);
    for place in &wanted {
        let read = read(place, global, &environment);
        match read {
            Ok((found, more, is_whole)) => {
                rows.extend(found);
                others += more;
                if !is_whole {
                    exit = Exit::Partial;
                }
            }
            Err(failure) if places.is_one() => return Err(failure),
            Err(failure) => {
                // One that refuses does not hide the others.
                failure.report();
                exit = Exit::Partial;
            }
        }
    }
    if places.has_gaps() {
        exit = Exit::Partial;
    }
    Backup::complete(rows.iter_mut().map(|row| &mut row.volume.backup).collect());
    names::look_up(rows.iter_mut().map(|row| &mut row.volume), &wanted, global, &environment);
    let is_empty = rows.is_empty();
    rows.retain(|row| is_wanted(&row.volume, args));
    rows.sort_by(|one, other| table::order(&one.volume).cmp(&table::order(&other.volume)));
    if rows.is_empty() && !is_empty {
        return Err(Failure::failed("no volume of such a backup, namespace, PVC or pod")
            .with_class(Class::NotFound)
            .hint("`kopia-rs velero volumes` without options lists all"));
    }
    if others > 0 && !global.quiet {
        let what = count(others as u64, "snapshot is", "snapshots are");
        log_line(format_args!("note: {what} not Velero's and not listed; `kopia-rs snapshots` lists them"));
    }
    let written = match args.list {
        VeleroList::Volumes if global.json => array(&rows),
        VeleroList::Backups if global.json => array(&BackupRow::all(&rows)),
        VeleroList::Volumes => table::volumes(&rows),
        VeleroList::Backups => table::backups(&BackupRow::all(&rows)),
    };
    written.map_err(Failure::output)?;
    // What refused may hold all that there is.
    let is_known = !rows.is_empty() || exit == Exit::Complete;
    if !global.json && !global.quiet && is_known {
        let note = match (args.list, rows.is_empty()) {
            (_, true) => "Velero has backed nothing up there".into(),
            (VeleroList::Backups, false) => {
                "`kopia-rs velero volumes --backup NAME` lists the volumes of one".into()
            }
            (VeleroList::Volumes, false) => {
                format!("kopia-rs restore SNAPSHOT TARGET{} restores one", places.option())
            }
        };
        log_line(format_args!("note: {}", escape(&note)));
    }
    Ok(exit)
}

/// Reads the list of a repository; returns its volumes, how many other snapshots there are, and whether none is
/// known to be missing.
fn read(
    choice: &Choice,
    global: &Global,
    environment: &Environment,
) -> Result<(Vec<Row>, usize, bool), Failure> {
    let session = Session::open_chosen(choice, environment.clone(), global, "ls WHAT")?;
    let snapshots = session.snapshots()?;
    session.warn_of_gaps(None);
    let (found, others) = volumes(&snapshots);
    let (repository, root) = (choice.connection.location(), choice.place());
    let row = |volume| Row { volume, repository: repository.clone(), root: root.clone() };
    let is_whole = session.conclude(Exit::Complete) == Exit::Complete;
    Ok((found.into_iter().map(row).collect(), others, is_whole))
}

fn is_wanted(volume: &Volume, args: &args::Velero) -> bool {
    let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    args.backup.as_deref().is_none_or(|wanted| volume.backup.is_meant(wanted))
        && is(&args.namespace, &volume.namespace)
        && is(&args.pvc, &volume.name)
        && is(&args.pod, volume.pod.as_deref().unwrap_or_default())
}

fn array(rows: &[impl Serialize]) -> std::io::Result<()> {
    let mut array = JsonArray::new();
    rows.iter().try_for_each(|row| array.push(row))?;
    array.finish()
}
