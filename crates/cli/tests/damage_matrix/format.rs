//! Damage to what comes first: the format blob, and the layout of the folder.

use std::fs;
use std::path::Path;

use kopia_rs::{FilesystemStore, Password, Repository};
use kopia_testkit::damage::{Blobs, Change, Damage, copy_repository};
use kopia_testkit::golden::Case;
use kopia_testkit::random::Random;

use crate::sound::{self, Fate, Sound};
use crate::{Tally, cases, each, indexes, more};

/// How many bits of the format blob and of `.shards` are turned over besides, each alone. Their bytes are
/// text, of which some means nothing.
const BITS: usize = 12;

fn damages(case: &str, length: usize, other: Option<&str>) -> Vec<Damage> {
    let mut random = Random::of(case);
    let mut all = Damage::every(length, other, more(), &mut random);
    all.extend((0..BITS).map(|_| Damage::FlipBit(random.within(0..length), random.within(0..8) as u32)));
    // What ends text is white space.
    all.push(Damage::Append(b"\n".to_vec()));
    all
}

/// Either it does not open, and the error is about the format blob, or everything is there.
#[test]
fn format_blobs() {
    const ID: &str = "kopia.repository";
    let tally = Tally::default();
    let names = ["ecc-5", "era-v0.10.7", "era-v0.5.2", "era-v0.8.4", "format-v3", "kdf-pbkdf2"];
    each(cases(&names), |case| {
        let sound = Sound::new(case.clone(), case.blobs(), false);
        let other = sound.ids("q").next().map(String::as_str);
        each(damages(&case.name, sound.blobs[ID].len(), other), |damage| {
            let changes = damage.changes(ID, &sound.blobs);
            tally.case(&format!("{}: {ID} {damage}", case.name), || {
                let store = sound::store(&sound.blobs);
                sound::change(&store, &changes);
                match sound::open(&store, &case, false) {
                    Err(error) => {
                        let error = error.to_string();
                        let names = error.contains(ID);
                        if names { Vec::new() } else { vec![format!("the error names no blob: {error}")] }
                    }
                    Ok(repository) => indexes::restore_all(&sound, &repository, |_| Fate::Kept, &tally),
                }
            });
        });
    });
    tally.finish("format blobs");
}

/// Whatever becomes of `.shards`, blobs are found where they lie.
#[test]
fn layouts() {
    let tally = Tally::default();
    for case in cases(&["era-v0.5.2", "layout-flat", "layout-shards", "tricky"]) {
        let sound = Sound::new(case.clone(), case.cheap_blobs(), false);
        let bytes = fs::read(case.repository.join(".shards")).unwrap();
        let files = Blobs::from([(".shards".to_owned(), bytes.clone()), ("q".to_owned(), other(&sound))]);
        each(damages(&case.name, bytes.len(), Some("q")), |damage| {
            let after = damage.changes(".shards", &files).remove(0).after;
            tally.case(&format!("{}: .shards {damage}", case.name), || {
                let copy = copy_repository(&case);
                copy.blob("kopia.repository").write(&sound.blobs["kopia.repository"]);
                let path = copy.path().join(".shards");
                match &after {
                    Some(bytes) => fs::write(path, bytes).unwrap(),
                    None => fs::remove_file(path).unwrap(),
                }
                restore_all(&sound, &copy.path(), &tally)
            });
        });
    }
    tally.finish("layouts");
}

/// Every blob lies in its right place and in another, and one of the two is damaged: the whole one counts.
#[test]
fn copies() {
    let tally = Tally::default();
    for case in cases(&["layout-shards", "tricky"]) {
        let sound = Sound::new(case.clone(), case.cheap_blobs(), false);
        let kinds = ["kopia.repository", "p", "q", "x", "n"];
        let ids = kinds.iter().filter_map(|kind| sound.ids(kind).next());
        let all = ids.flat_map(|id| {
            let damages = crate::damages(&case.name, id, &sound.blobs).into_iter();
            damages.flat_map(move |damage| [(id, damage.clone(), false), (id, damage, true)])
        });
        each(all.collect::<Vec<_>>(), |(id, damage, is_in_right_place)| {
            let changes = damage.changes(id, &sound.blobs);
            let place = if is_in_right_place { "right place" } else { "other place" };
            tally.case(&format!("{}: {id} in its {place} {damage}", case.name), || {
                let copy = copy_repository(&case);
                copy.blob("kopia.repository").write(&sound.blobs["kopia.repository"]);
                for Change { id, after } in &changes {
                    let other = copy.path().join(id);
                    if is_in_right_place {
                        fs::write(other, &sound.blobs[id]).unwrap();
                        match after {
                            Some(bytes) => copy.blob(id).write(bytes),
                            None => copy.blob(id).delete(),
                        }
                    } else if let Some(bytes) = after {
                        fs::write(other, bytes).unwrap();
                    }
                }
                restore_all(&sound, &copy.path(), &tally)
            });
        });
    }
    tally.finish("copies");
}

/// Restores all snapshots of a directory, of which nothing is lost; returns what is wrong.
fn restore_all(sound: &Sound, repository: &Path, tally: &Tally) -> Vec<String> {
    match open(repository, &sound.case) {
        Err(error) => vec![format!("it did not open, although it could: {error}")],
        Ok(repository) => indexes::restore_all(sound, &repository, |_| Fate::Kept, tally),
    }
}

fn other(sound: &Sound) -> Vec<u8> {
    sound.blobs[sound.ids("q").next().unwrap()].clone()
}

fn open(folder: &Path, case: &Case) -> Result<Repository, String> {
    let store = FilesystemStore::open(folder).map_err(|error| error.to_string())?;
    Repository::open(store, &Password::from(&*case.password)).map_err(|error| error.to_string())
}
