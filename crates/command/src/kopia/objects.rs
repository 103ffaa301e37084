//! `show`, and finding the entry that an id or a path means.

use std::io::Write;

use kopia_rs::{Entry, EntryKind, Error, ObjectId, ObjectReader, Repository, Snapshots};

use super::call::Call;
use super::trouble::Trouble;
use crate::terminal::time;

/// Writes the bytes of an object: of a folder, kopia's own JSON.
pub(super) fn show(call: &Call) -> Result<(), Trouble> {
    let name = call.line.argument(0);
    let doing = format!("unable to parse ID: {name}");
    let (head, path) = name.split_once('/').map_or((&*name, ""), |(head, path)| (head, path));
    let object = parse(head, &name, &doing)?;
    let repository = call.open()?;
    let object = match path.trim_matches('/') {
        "" => object,
        path => {
            let root = of_object(&repository, object).map_err(|error| Trouble::reading(&error, &doing))?;
            root.at(path).map_err(|error| Trouble::reading(&error, &doing))?.object()
        }
    };
    let doing = format!("error opening object {object}");
    let failed = |error: Error| Trouble::reading(&error, &doing);
    let reader = ObjectReader::open(&repository, object).map_err(failed)?;
    // Neither end gains from a second buffer.
    let mut stdout = std::io::stdout().lock();
    let copied = reader.copy_range(0..reader.length(), |bytes| stdout.write_all(bytes).map_err(Stop::Output));
    match copied.and_then(|()| stdout.flush().map_err(Stop::Output)) {
        Ok(()) => Ok(()),
        Err(Stop::Output(error)) => Err(error.into()),
        Err(Stop::Repository(error)) => Err(failed(error)),
    }
}

/// Why an object is not written to its end.
pub(super) enum Stop {
    Repository(Error),
    Output(std::io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Repository(error)
    }
}

fn parse(head: &str, whole: &str, doing: &str) -> Result<ObjectId, Trouble> {
    head.parse().map_err(|_| {
        Trouble::failed(format!("{doing}: can't parse object ID {whole}: malformed content ID: {head:?}"))
    })
}

/// Makes the entry of an object, as kopia guesses its kind by the id.
fn of_object(repository: &Repository, object: ObjectId) -> kopia_rs::Result<Entry> {
    let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Entry::of_object(repository, object, owner, time::now())
}

/// Finds the entry of `ID[/path]`: the id of a snapshot or of an object. That of a snapshot's root has its attributes.
pub(super) fn entry(
    repository: &Repository,
    snapshots: &Snapshots,
    name: &str,
    doing: &str,
) -> Result<Entry, Trouble> {
    let (head, path) = name.split_once('/').map_or((name, ""), |(head, path)| (head, path));
    let failed = |error: Error| Trouble::reading(&error, doing);
    let of_snapshot = snapshots.iter().find(|snapshot| snapshot.id() == head);
    let root = match of_snapshot {
        Some(snapshot) => snapshot.root().map_err(failed)?,
        None => {
            let object: ObjectId = head.parse().map_err(|_| {
                Trouble::failed(format!(
                    "{doing}: error parsing root object ID: malformed content ID: {head:?}"
                ))
            })?;
            let has_it = |root: &Entry| root.object() == object;
            let known =
                snapshots.iter().filter_map(|snapshot| Some((snapshot.start_time(), snapshot.root().ok()?)));
            let newest = known.filter(|(_, root)| has_it(root)).max_by_key(|(time, _)| *time);
            match newest {
                Some((_, root)) => root,
                None => of_object(repository, object).map_err(failed)?,
            }
        }
    };
    root.at(path).map_err(failed)
}

/// As [`entry`], of a folder.
pub(super) fn directory(
    repository: &Repository,
    snapshots: &Snapshots,
    name: &str,
    doing: &str,
) -> Result<Entry, Trouble> {
    let entry = entry(repository, snapshots, name, doing)?;
    match entry.kind() {
        EntryKind::Directory => Ok(entry),
        _ => Err(Trouble::failed(format!("{doing}: {name} is not a directory object"))),
    }
}
