//! One restore by several processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kopia_repository::Entry;
use kopia_repository::verify::Shard;
use kopia_restore::{Error, Options, Outcome, Part, Result};
use kopia_testkit::writer::RepositoryWriter;
use serde_json::{Value, json};

use crate::common::{Place, assert_same, file, folder, link, names, problems};

/// Small files, large ones, empty ones, links, empty folders, and folders that nobody may write in.
fn root(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let hello = writer.file(b"hello");
    let empty = (writer.file(b""), writer.directory(&[]));
    let folders: Vec<Value> = (0..6_u32)
        .map(|number| {
            let bytes: Vec<u8> = (0..10_000).flat_map(|inner| (inner * 7 + number).to_le_bytes()).collect();
            let large = writer.file(&bytes);
            let mut entries =
                vec![folder("empty", &empty.1), file("large", &large, 40_000), link("link", &hello)];
            entries.extend((0..20_u8).map(|inner| {
                let bytes = writer.file(&[number as u8, inner].repeat(50));
                let mut entry = file(&format!("small{inner:02}"), &bytes, 100);
                entry["mode"] = json!("0400");
                entry
            }));
            entries.push(file("z-empty", &empty.0, 0));
            let mut entry = folder(&format!("d{number}"), &writer.directory(&entries));
            entry["mode"] = json!("0555");
            entry
        })
        .collect();
    let mut root = folder("data", &writer.directory(&folders));
    root["summ"] =
        json!({"size": 252_000, "files": 132, "symlinks": 6, "dirs": 13, "maxTime": "2020-01-02T03:04:05Z"});
    writer.snapshot("app@host:/data", root);
    place.finish("repo", writer)
}

fn part(place: &Place, root: &Entry, part: Part) -> Result<Outcome> {
    let mut options = Options::default();
    options.part = part;
    kopia_restore::restore(root, place.path("target"), &options)
}

fn shard(number: u32, of: u32) -> Part {
    Part::Shard(Shard::new(number, of).unwrap())
}

#[test]
fn all_shards_together_are_the_whole() {
    let place = Place::new();
    let root = root(&place);
    let whole = place.restore(&root, "fresh");
    for of in [1, 2, 3, 7] {
        let target = place.path("target");
        // At the same time, as pods would, each with handles of its own.
        let shares: Vec<Outcome> = std::thread::scope(|scope| {
            let (place, root) = (&place, &root);
            let start = |number| scope.spawn(move || part(place, root, shard(number, of)).unwrap());
            let running: Vec<_> = (0..of).map(start).collect();
            running.into_iter().map(|shard| shard.join().unwrap()).collect()
        });
        assert!(
            names(&target).iter().all(|name| name.starts_with(".kopia-rs-restore-")),
            "nothing is visible"
        );
        assert_eq!(shares.iter().map(|share| share.bytes).sum::<u64>(), whole.bytes, "of {of}");
        let most = shares.iter().map(|share| share.bytes).max().unwrap();
        assert!(most <= whole.bytes / u64::from(of) * 2, "one of {of} has {most} bytes");
        let outcome = part(&place, &root, Part::Finish(of)).unwrap();
        assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
        let counts = |outcome: &Outcome| (outcome.files, outcome.folders, outcome.symlinks, outcome.bytes);
        assert_eq!(counts(&outcome), counts(&whole), "of {of}");
        assert_same(&place.path("fresh"), &target);
        assert_eq!(names(&target), names(&place.path("fresh")));
        for folder in names(&target) {
            fs::set_permissions(target.join(folder), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::remove_dir_all(target).unwrap();
    }
}

#[test]
fn nothing_is_finished_before_all_are_through() {
    let place = Place::new();
    let root = root(&place);
    let error = part(&place, &root, Part::Finish(3)).unwrap_err();
    assert!(
        matches!(&error, Error::Shards { missing, of: 3, others } if missing == &[0, 1, 2] && others.is_empty()),
        "{error}"
    );
    assert!(names(&place.path("target")).is_empty(), "nothing is left of the attempt");
    part(&place, &root, shard(1, 3)).unwrap();
    let error = part(&place, &root, Part::Finish(3)).unwrap_err();
    assert_eq!(error.to_string(), "of 3 shards, these have not come to their end: 0, 2");
    // Marks of another number of shards are no help.
    let error = part(&place, &root, Part::Finish(2)).unwrap_err();
    assert!(matches!(&error, Error::Shards { others, .. } if others == &[3]), "{error}");
    for number in [0, 2, 1] {
        // The second of number 1, as of a pod that was started again.
        part(&place, &root, shard(number, 3)).unwrap();
    }
    assert_eq!(part(&place, &root, Part::Finish(3)).unwrap().problem_count, 0);
    place.restore(&root, "fresh");
    assert_same(&place.path("fresh"), &place.path("target"));
}

#[test]
fn what_a_killed_shard_left_is_put_right() {
    let place = Place::new();
    let root = root(&place);
    let left = place.path("target").join(format!(".kopia-rs-restore-{}", root.object()));
    fs::create_dir_all(left.join("d0")).unwrap();
    fs::write(left.join("d0/small00"), b"half").unwrap();
    fs::write(left.join("d0/large"), [7; 50_000]).unwrap();
    fs::write(left.join(".probe-0"), b"").unwrap();
    for number in 0..2 {
        part(&place, &root, shard(number, 2)).unwrap();
    }
    let outcome = part(&place, &root, Part::Finish(2)).unwrap();
    // Nobody knows where the file ends but who finishes it.
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    place.restore(&root, "fresh");
    assert_same(&place.path("fresh"), &place.path("target"));
}

#[test]
fn a_file_of_which_one_shard_lost_a_piece_is_not_finished() {
    let place = Place::new();
    let root = root(&place);
    kopia_testkit::damage::blobs(&place.path("repo"), "p")[0].flip_bit(32 + 33 + 28 + 5 * 4028, 0);
    let root = place.open("repo").at("").unwrap_or(root);
    let found: u64 = (0..3).map(|number| part(&place, &root, shard(number, 3)).unwrap().problem_count).sum();
    assert_eq!(found, 1);
    let outcome = part(&place, &root, Part::Finish(3)).unwrap();
    assert_eq!(outcome.problem_count, 1, "{:?}", problems(&outcome));
    let problem = &problems(&outcome)[0];
    assert!(problem.starts_with("d0/large: content "), "{problem}");
    assert!(!place.path("target/d0/large").exists());
    assert!(place.path("target/d1/large").exists());
}

#[test]
fn marks_go_with_what_they_stand_for() {
    let place = Place::new();
    let root = root(&place);
    let other = root.at("d3").unwrap();
    let target = place.path("target");
    let marks = || names(&target).into_iter().filter(|name| name.contains(".shard-")).count();
    for number in 0..2 {
        part(&place, &root, shard(number, 2)).unwrap();
    }
    assert_eq!(marks(), 2);
    // A restore of something else removes what the shards did, and a mirror deletes nothing but what is too much.
    let mut mirror = Options::default();
    mirror.delete_extra = true;
    let outcome = kopia_restore::restore(&other, &target, &mirror).unwrap();
    assert_eq!((outcome.deleted, outcome.problem_count, marks()), (0, 0, 0));
    // One that was begun anew finds marks of what is gone: nobody may take them for done.
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
    let stale = format!(".kopia-rs-restore-{}.shard-1-of-2", root.object());
    fs::write(target.join(&stale), b"").unwrap();
    let error = part(&place, &root, Part::Finish(2)).unwrap_err();
    assert!(matches!(&error, Error::Shards { missing, .. } if missing == &[0, 1]), "{error}");
    part(&place, &root, shard(0, 2)).unwrap();
    let error = part(&place, &root, Part::Finish(2)).unwrap_err();
    assert!(matches!(&error, Error::Shards { missing, .. } if missing == &[1]), "{error}");
    part(&place, &root, shard(1, 2)).unwrap();
    // Nor are they deleted before they are asked for.
    mirror.part = Part::Finish(2);
    let outcome = kopia_restore::restore(&root, &target, &mirror).unwrap();
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    place.restore(&root, "fresh");
    assert_same(&place.path("fresh"), &target);
}

#[test]
fn a_single_file_has_no_shards() {
    let place = Place::new();
    let root = root(&place);
    let one = root.at("d0/large").unwrap();
    assert!(matches!(part(&place, &one, shard(0, 2)), Err(Error::NoShards)));
    assert!(!place.path("target").exists());
}
