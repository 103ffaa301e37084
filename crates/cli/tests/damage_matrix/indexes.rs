//! Damaged index blobs and compaction logs, and packs that are damaged where the index blobs are gone.
//!
//! Which index blobs count is read when a repository is opened, so each case opens it anew: the format blob
//! of these repositories is sealed with a key that is cheaper to derive.

use std::collections::BTreeSet;

use kopia_rs::{ContentId, Repository};
use kopia_testkit::damage::{Change, Damage};

use crate::sound::{self, Fate, Sound};
use crate::{Tally, cases, damages, each, judge, more};

/// Each era, each way of managing indexes, with and without error correction.
const CASES: [&str; 19] = [
    "compacted-v0.23.1",
    "compacted-v0.5.2",
    "compacted-v0.8.4",
    "ecc-1",
    "ecc-100",
    "ecc-5",
    "ecc-chacha-zstd",
    "epochs",
    "era-v0.10.7",
    "era-v0.13.0",
    "era-v0.17.0",
    "era-v0.22.3",
    "era-v0.5.2",
    "era-v0.8.4",
    "format-v3",
    "hash-hmac-sha224",
    "maintained-v1",
    "maintained-v3",
    "upgraded-v1-to-v2",
];

/// What names of index blobs and compaction logs begin with.
const KINDS: [&str; 7] = ["xn", "xs", "xr", "xe", "xw", "n", "m"];

/// Blobs that are there by name alone.
const BY_NAME: [&str; 2] = ["xe", "xw"];

#[test]
fn index_blobs() {
    let tally = Tally::default();
    each(cases(&CASES), |case| {
        let sound = Sound::new(case.clone(), case.cheap_blobs(), false);
        for kind in KINDS {
            // Names are random, so one is as good as another.
            let some = if more() > 0 { usize::MAX } else { 1 };
            for id in sound.ids(kind).filter(|id| !id.contains("upgrade_required")).take(some) {
                let damages = damages(&case.name, id, &sound.blobs);
                each(damages, |damage| {
                    let changes = damage.changes(id, &sound.blobs);
                    let name = |mode| format!("{}, {mode}: {id} {damage}", case.name);
                    tally
                        .case(&name("strict"), || strict(&sound, damage == Damage::Delete, &changes, &tally));
                    tally.case(&name("degraded"), || degraded(&sound, &changes, &tally));
                });
            }
        }
    });
    assert!(tally.count_repaired() > 0, "error correction had nothing to do");
    tally.finish("index blobs");
}

/// Says whether all of these blobs are read: then bytes that are wrong must be noticed.
fn must_be_noticed(sound: &Sound, changes: &[Change]) -> bool {
    let counts = |change: &&Change| {
        let id = change.id.as_str();
        // Those from before an upgrade to epochs are left alone.
        let current: &[char] = if sound.repository.status().unwrap().epochs { &['x'] } else { &['n', 'm'] };
        let is_read = id.starts_with(current) && !by_name(id);
        // Of several sets of index blobs only some count; where none was ever compacted, all do.
        let compacted = ["m", "xs", "xr"].iter().any(|kind| sound.ids(kind).next().is_some());
        is_read && (!compacted || id.starts_with('m'))
    };
    changes.iter().filter(counts).any(|change| sound.fate_of_blob(change) == Fate::Lost)
}

fn by_name(id: &str) -> bool {
    BY_NAME.iter().any(|kind| id.starts_with(kind))
}

/// Says what to expect of a content where the index blobs say all they said. One that is damaged in its pack
/// may be found in another.
fn fate_of(sound: &Sound, content: &ContentId, changes: &[Change]) -> Fate {
    sound.fate_of(content, changes).min(Fate::Either)
}

pub(crate) fn strict(sound: &Sound, deleted: bool, changes: &[Change], tally: &Tally) -> Vec<String> {
    if sound.corrects() && !by_name(&changes[0].id) && sound.fate_of_blob(&changes[0]) == Fate::Kept {
        tally.repaired();
    }
    let store = sound::store(&sound.blobs);
    sound::change(&store, changes);
    match sound::open(&store, &sound.case, false) {
        // The only one that counts is gone: no copy of a repository is whole without any.
        Err(kopia_rs::Error::Incomplete { .. }) if deleted => Vec::new(),
        Err(error) => {
            let error = error.to_string();
            let named = changes.iter().any(|change| error.contains(&change.id));
            let is_whole = |change: &Change| by_name(&change.id) || sound.fate_of_blob(change) == Fate::Kept;
            match (named, deleted || is_whole(&changes[0])) {
                (true, false) => Vec::new(),
                (false, _) => vec![format!("the error names no blob: {error}")],
                (true, true) => vec![format!("it did not open, although it could: {error}")],
            }
        }
        Ok(_) if !deleted && must_be_noticed(sound, changes) => vec!["nothing was noticed".to_owned()],
        Ok(repository) if deleted => {
            let mut complaints = restore_all(sound, &repository, |_| Fate::Either, tally);
            complaints.extend(missing(sound, &repository));
            complaints
        }
        Ok(repository) => restore_all(sound, &repository, |content| fate_of(sound, content, changes), tally),
    }
}

/// Returns what is wrong with what is known of snapshots that are not in the list, because an index blob is
/// gone.
fn missing(sound: &Sound, repository: &Repository) -> Vec<String> {
    let coverage = repository.manifest_coverage().unwrap();
    let is_listed = |id: &str| coverage.snapshots.iter().any(|snapshot| snapshot.id() == id);
    let missing: Vec<&str> =
        sound.snapshots.iter().map(|snapshot| &*snapshot.id).filter(|id| !is_listed(id)).collect();
    let unsaid = missing.iter().filter(|id| !coverage.hidden.iter().any(|hidden| hidden.id == **id));
    let mut complaints: Vec<String> = unsaid.map(|id| format!("nothing is said of snapshot {id}")).collect();
    if !missing.is_empty() && coverage.is_complete() {
        complaints.push("the list is taken for whole".into());
    }
    complaints
}

/// What is in packs that are whole is found again.
pub(crate) fn degraded(sound: &Sound, changes: &[Change], tally: &Tally) -> Vec<String> {
    let store = sound::store(&sound.blobs);
    sound::change(&store, changes);
    let repository = match sound::open(&store, &sound.case, true) {
        Ok(repository) => repository,
        Err(error) => return vec![format!("it did not open: {error}")],
    };
    restore_all(sound, &repository, |content| fate_of(sound, content, changes), tally)
}

/// Restores all snapshots from a repository that was opened after the damage.
pub(crate) fn restore_all(
    sound: &Sound,
    repository: &Repository,
    fate_of: impl Fn(&ContentId) -> Fate,
    tally: &Tally,
) -> Vec<String> {
    let list = sound.fate_of_list(&fate_of);
    let all = match (repository.snapshots(), list) {
        (Err(error), Fate::Kept) => return vec![format!("the list of snapshots cannot be read: {error}")],
        (Err(_), _) => return Vec::new(),
        (Ok(all), _) => all,
    };
    let mut complaints = Vec::new();
    for snapshot in &sound.snapshots {
        match (all.iter().find(|found| found.id() == snapshot.id), list) {
            (None, Fate::Kept) => complaints.push(format!("snapshot {} is not there", snapshot.id)),
            (None, _) => {}
            (Some(found), _) => {
                let own = sound.own_fates(snapshot, repository, &fate_of);
                tally.restored();
                complaints.extend(judge::restore(snapshot, &found.root().unwrap(), &own, &[]));
            }
        }
    }
    complaints
}

/// Packs are all there is, and one of them is damaged.
#[test]
fn packs_without_index_blobs() {
    let tally = Tally::default();
    let names = ["compacted-v0.8.4", "ecc-5", "era-v0.5.2", "format-v3", "maintained-v1", "tricky"];
    each(cases(&names), |case| {
        let mut blobs = case.cheap_blobs();
        blobs.retain(|id, _| !id.starts_with(['x', 'n', 'm']));
        let sound = Sound::new(case.clone(), blobs, true);
        for kind in ["p", "q"] {
            let ids: BTreeSet<&String> = sound.ids(kind).collect();
            let some = if more() > 0 { usize::MAX } else { 2 };
            for id in ids.into_iter().take(some) {
                each(damages(&case.name, id, &sound.blobs), |damage| {
                    let changes = damage.changes(id, &sound.blobs);
                    let name = format!("{}, without index blobs: {id} {damage}", case.name);
                    tally.case(&name, || pack_alone(&sound, &changes, &tally));
                });
            }
        }
    });
    tally.finish("packs without index blobs");
}

fn pack_alone(sound: &Sound, changes: &[Change], tally: &Tally) -> Vec<String> {
    let store = sound::store(&sound.blobs);
    sound::change(&store, changes);
    let repository = match sound::open(&store, &sound.case, true) {
        Ok(repository) => repository,
        Err(error) => return vec![format!("it did not open: {error}")],
    };
    // What a pack holds stands at its end. Where that is damaged, nothing else may know of its contents.
    let speechless = |pack: &str| {
        let Some(change) = changes.iter().find(|change| change.id == pack) else { return false };
        let end = sound.end_of_contents(pack);
        change.after.as_ref().and_then(|bytes| bytes.get(end..)) != Some(&sound.blobs[pack][end..])
    };
    let packs: BTreeSet<&str> = sound.ids("").map(String::as_str).filter(|id| speechless(id)).collect();
    let mut complaints = Vec::new();
    // Nobody can tell that a pack is missing which nothing names; and one with the bytes of another one
    // speaks for that.
    let must_say =
        |pack: &&&str| changes.len() == 1 && changes[0].after.is_some() && sound.hides(&repository, pack);
    let said = |pack: &str| repository.losses().iter().any(|loss| loss.to_string().contains(pack));
    let unsaid = packs.iter().filter(must_say).filter(|pack| !said(pack));
    complaints.extend(unsaid.map(|pack| format!("nothing is said of {pack}: {:?}", repository.losses())));
    let fate_of = |content: &ContentId| match sound.fate_of(content, changes) {
        Fate::Kept if packs.contains(sound.pack_of(content).as_str()) => Fate::Either,
        fate => fate,
    };
    complaints.extend(restore_all(sound, &repository, fate_of, tally));
    complaints
}
