//! Names of backups whose UIDs alone the snapshots tell: Velero keeps the object of each backup in the bucket, at
//! `backups/NAME/velero-backup.json` beside `kopia/`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use kopia_rs::connect::{Opened, survey};
use kopia_rs::connection::Environment;
use kopia_rs::diagnosis::velero::Volume;
use kopia_rs::{BlobId, connect};
use serde::Deserialize;

use crate::args::Global;
use crate::session::{Choice, options};

/// The object of a backup.
const OBJECT: &str = "velero-backup.json";

/// The longest one that is read, in bytes. Real ones have some 5,000.
const LONGEST: u64 = 4 << 20;

/// How many backups are looked at.
const MOST: usize = 1000;

/// How many are listed, to choose these from.
const LISTED: usize = 10 * MOST;

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    uid: String,
}

/// Gives volumes the names of their backups, as far as the bucket tells them. What cannot be read names nothing.
pub(super) fn look_up<'a>(
    volumes: impl Iterator<Item = &'a mut Volume>,
    places: &[&Choice],
    global: &Global,
    environment: &Environment,
) {
    let nameless = |volume: &&mut Volume| volume.backup.name.is_none() && volume.backup.uid.is_some();
    let mut volumes: Vec<_> = volumes.filter(nameless).collect();
    let mut wanted: BTreeSet<String> =
        volumes.iter().filter_map(|volume| volume.backup.uid.clone()).collect();
    if wanted.is_empty() {
        return;
    }
    let mut names = BTreeMap::new();
    let above: BTreeMap<String, &Choice> =
        places.iter().filter_map(|choice| Some((prefix(&choice.place())?, *choice))).collect();
    for (prefix, choice) in above {
        let backups = choice.at(&format!("{prefix}backups/"));
        for name in names_in(&backups, global, environment).into_iter().rev().take(MOST) {
            if wanted.is_empty() {
                break;
            }
            let at = backups.at(&format!("{}{name}/", backups.place()));
            if let Some(Object { metadata }) = read(&at, global, environment)
                && wanted.remove(&metadata.uid)
            {
                names.insert(metadata.uid, metadata.name);
            }
        }
    }
    for volume in &mut volumes {
        volume.backup.name = volume.backup.uid.as_ref().and_then(|uid| names.get(uid).cloned());
    }
}

/// Returns what stands before `kopia/NAMESPACE/`, with its `/` at the end.
fn prefix(place: &str) -> Option<String> {
    let above = place.trim_end_matches('/').rsplit_once('/').map_or("", |(above, _)| above);
    let above = above.strip_suffix("kopia")?;
    (above.is_empty() || above.ends_with('/')).then(|| above.into())
}

/// Lists the backups, sorted by name: those of a schedule end with their time, so the newest of it comes last.
fn names_in(backups: &Choice, global: &Global, environment: &Environment) -> Vec<String> {
    let mut names = unsorted_names_in(backups, global, environment);
    names.sort_unstable();
    names
}

fn unsorted_names_in(backups: &Choice, global: &Global, environment: &Environment) -> Vec<String> {
    let place = backups.place();
    if let Some(directory) = backups.connection.storage.directory() {
        let entries = directory.read_dir().into_iter().flatten().flatten();
        return entries.take(LISTED).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    }
    let around = survey(&backups.connection, &options(global, environment.clone())).ok().flatten();
    let level = around.and_then(|around| around.look_through(&place, LISTED).ok());
    let name = |full: &str| Some(full.strip_prefix(&place)?.strip_suffix('/')?.to_string());
    level.into_iter().flat_map(|(level, _)| level).filter_map(|near| name(&near.name)).collect()
}

fn read(at: &Choice, global: &Global, environment: &Environment) -> Option<Object> {
    let bytes = match at.connection.storage.directory() {
        Some(directory) => file(&directory.join(OBJECT))?,
        None => {
            let id = BlobId::new(OBJECT).ok()?;
            let Ok(Opened::Blobs(store)) = connect(&at.connection, &options(global, environment.clone()))
            else {
                return None;
            };
            store.length(&id).ok().filter(|length| *length <= LONGEST)?;
            store.read(&id).ok()?
        }
    };
    serde_json::from_slice(&bytes).ok()
}

/// Reads a regular file, without waiting for a pipe in its place.
fn file(path: &Path) -> Option<Vec<u8>> {
    path.symlink_metadata().ok().filter(|it| it.is_file() && it.len() <= LONGEST)?;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_lie_beside_kopia() {
        for (place, expected) in [
            ("kopia/shop/", Some("")),
            ("a/b/kopia/shop/", Some("a/b/")),
            ("/mnt/bucket/kopia/shop", Some("/mnt/bucket/")),
            ("shop/", None),
            ("mykopia/shop/", None),
        ] {
            assert_eq!(prefix(place).as_deref(), expected, "{place}");
        }
    }
}
