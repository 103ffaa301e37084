//! One restore by several processes.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use kopia_codec::key::Password;
use kopia_format::ObjectId;
use kopia_repository::Shard;
use kopia_repository::{Entry, Repository};
use kopia_restore::{Error, Options, Outcome, Portion, Result};
use kopia_storage::FilesystemStore;
use kopia_testkit::damage::{self, RepositoryCopy};
use kopia_testkit::refuse::{Call, refusing};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::common::{Place, assert_same, file, folder, link, names, problems, set_mode};
use crate::resuming::with_capabilities;

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

fn part(place: &Place, root: &Entry, portion: Portion) -> Result<Outcome> {
    let mut options = Options::default();
    options.portion = portion;
    kopia_restore::restore(root, place.path("target"), &options)
}

fn shard(number: u32, of: u32) -> Portion {
    Portion::Shard(Shard::new(number, of).unwrap())
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
        let outcome = part(&place, &root, Portion::Finish(of)).unwrap();
        assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
        let counts =
            |outcome: &Outcome| (outcome.files, outcome.directories, outcome.symlinks, outcome.bytes);
        assert_eq!(counts(&outcome), counts(&whole), "of {of}");
        assert_same(&place.path("fresh"), &target);
        assert_eq!(names(&target), names(&place.path("fresh")));
        for folder in names(&target) {
            set_mode(target.join(folder), 0o755);
        }
        fs::remove_dir_all(target).unwrap();
    }
}

#[test]
fn nothing_is_finished_before_all_are_through() {
    let place = Place::new();
    let root = root(&place);
    let error = part(&place, &root, Portion::Finish(3)).unwrap_err();
    assert!(
        matches!(&error, Error::Shards { missing, of: 3, others, .. } if missing == &[0, 1, 2] && others.is_empty()),
        "{error}"
    );
    assert_eq!(error.to_string(), "none of 3 shards has finished");
    assert!(!place.path("target").exists(), "nothing is left of the attempt");
    part(&place, &root, shard(1, 3)).unwrap();
    let error = part(&place, &root, Portion::Finish(3)).unwrap_err();
    assert_eq!(error.to_string(), "shards 0 and 2 of 3 have not finished");
    // Marks of another number of shards are no help.
    let error = part(&place, &root, Portion::Finish(2)).unwrap_err();
    assert!(matches!(&error, Error::Shards { others, .. } if others == &[3]), "{error}");
    for number in [0, 2, 1] {
        // The second of number 1, as of a pod that was started again.
        part(&place, &root, shard(number, 3)).unwrap();
    }
    assert_eq!(part(&place, &root, Portion::Finish(3)).unwrap().problem_count, 0);
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
    let outcome = part(&place, &root, Portion::Finish(2)).unwrap();
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
    let outcome = part(&place, &root, Portion::Finish(3)).unwrap();
    assert_eq!(outcome.problem_count, 1, "{:?}", problems(&outcome));
    let problem = &problems(&outcome)[0];
    assert!(problem.starts_with("d0/large: content "), "{problem}");
    assert!(!place.path("target/d0/large").exists());
    assert!(place.path("target/d1/large").exists());
}

/// Directories with a file of one piece and one of so many that its list is cut itself, each content in a
/// pack of its own.
fn scattered(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(1000).pack_size(1);
    let folders: Vec<Value> = (0..3_u32)
        .map(|number| {
            let mut entry = |name, size: u32| {
                let bytes: Vec<u8> = (0..size / 4).flat_map(|at| (at * 5 + number).to_le_bytes()).collect();
                file(name, &writer.file(&bytes), bytes.len())
            };
            let entries = [entry("long", 30_000), entry("one", 100)];
            folder(&format!("d{number}"), &writer.directory(&entries))
        })
        .collect();
    let mut root = folder("data", &writer.directory(&folders));
    root["summ"] =
        json!({"size": 90_300, "files": 6, "symlinks": 0, "dirs": 4, "maxTime": "2020-01-02T03:04:05Z"});
    writer.snapshot("app@host:/data", root);
    place.finish("repo", writer)
}

/// Returns a copy of the repository without one pack of directories, and the root in it. Without manifests there
/// is no snapshot, and without its root there is nothing to restore.
fn without(place: &Place, pack: usize) -> Option<(RepositoryCopy, Entry)> {
    let copy = RepositoryCopy::of(&place.path("repo"));
    copy.blobs("q")[pack].delete();
    let store = FilesystemStore::open(copy.path()).unwrap();
    let repository = Repository::open(store, &Password::from(PASSWORD)).unwrap();
    let root = repository.snapshots().ok()?.iter().next()?.root().ok()?;
    root.directory().is_ok().then_some((copy, root))
}

#[test]
fn what_one_shard_could_not_read_is_restored_at_the_end() {
    let place = Place::in_memory();
    let root = scattered(&place);
    place.restore(&root, "fresh");
    let (mut directories, mut lists) = (0, 0);
    for pack in 0..damage::blobs(&place.path("repo"), "q").len() {
        let Some((_copy, damaged)) = without(&place, pack) else { continue };
        // The other one is through before, or begins after.
        for order in [[0, 1], [1, 0]] {
            for number in order {
                let root = if number == 0 { &damaged } else { &root };
                let outcome = part(&place, root, shard(number, 2)).unwrap();
                for problem in &outcome.problems {
                    *(if problem.path.contains('/') { &mut lists } else { &mut directories }) += 1;
                }
            }
            let outcome = part(&place, &root, Portion::Finish(2)).unwrap();
            assert_eq!(outcome.problem_count, 0, "{pack}: {:?}", problems(&outcome));
            assert_same(&place.path("fresh"), &place.path("target"));
            clear(&place);
        }
    }
    assert!(directories == 6 && lists >= 12, "{directories} directories, {lists} lists");
}

/// A shard that is killed may leave a file of the right length without its bytes. Where the next run cannot
/// read its directory, nobody has looked at it again.
#[test]
fn what_a_killed_shard_left_in_a_directory_that_cannot_be_read_again_is_compared() {
    let place = Place::in_memory();
    let root = scattered(&place);
    place.restore(&root, "fresh");
    let mut unread = 0;
    for pack in 0..damage::blobs(&place.path("repo"), "q").len() {
        let Some((_copy, damaged)) = without(&place, pack) else { continue };
        let directory = damaged.directory().unwrap();
        let is_unread = |entry: &&Entry| entry.directory().is_err();
        let Some(unreadable) = directory.entries.iter().find(is_unread) else { continue };
        let left = unfinished(&place, &root).join(unreadable.name());
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("one"), [0; 100]).unwrap();
        for number in 0..2 {
            assert_eq!(part(&place, &damaged, shard(number, 2)).unwrap().problem_count, 1);
        }
        let outcome = part(&place, &root, Portion::Finish(2)).unwrap();
        assert_eq!(outcome.problem_count, 0, "{pack}: {:?}", problems(&outcome));
        assert_same(&place.path("fresh"), &place.path("target"));
        clear(&place);
        unread += 1;
    }
    assert_eq!(unread, 3);
}

#[test]
fn a_lock_that_is_held_outlives_the_finish() {
    let place = Place::new();
    let root = root(&place);
    both(&place, &root);
    let lock = place.path("target").join(format!(".kopia-rs-restore-{}.lock-0-of-2", root.object()));
    // As of a shard that begins when its restore is being finished.
    let held = fs::File::open(&lock).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    part(&place, &root, Portion::Finish(2)).unwrap();
    assert!(lock.exists(), "it is held");
    rustix::fs::flock(&held, rustix::fs::FlockOperation::Unlock).unwrap();
    assert!(part(&place, &root, Portion::Finish(2)).unwrap().already_finished);
    assert!(!lock.exists());
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
    // A restore of something else removes what the shards did, and a mirror deletes nothing but what is too
    // much.
    let mut mirror = Options::default();
    mirror.delete_extra = true;
    let outcome = kopia_restore::restore(&other, &target, &mirror).unwrap();
    assert_eq!((outcome.deleted, outcome.problem_count, marks()), (0, 0, 0));
    // One that was begun anew finds marks of what is gone: nobody may take them for done.
    set_mode(&target, 0o755);
    let stale = format!(".kopia-rs-restore-{}.shard-1-of-2", root.object());
    fs::write(target.join(&stale), b"").unwrap();
    let error = part(&place, &root, Portion::Finish(2)).unwrap_err();
    assert!(matches!(&error, Error::Shards { missing, .. } if missing == &[0, 1]), "{error}");
    part(&place, &root, shard(0, 2)).unwrap();
    let error = part(&place, &root, Portion::Finish(2)).unwrap_err();
    assert!(matches!(&error, Error::Shards { missing, .. } if missing == &[1]), "{error}");
    part(&place, &root, shard(1, 2)).unwrap();
    // Nor are they deleted before they are asked for.
    mirror.portion = Portion::Finish(2);
    let outcome = kopia_restore::restore(&root, &target, &mirror).unwrap();
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    place.restore(&root, "fresh");
    assert_same(&place.path("fresh"), &target);
}

/// Runs both shards of two.
fn both(place: &Place, root: &Entry) {
    for number in 0..2 {
        part(place, root, shard(number, 2)).unwrap();
    }
}

fn unfinished(place: &Place, root: &Entry) -> PathBuf {
    place.path("target").join(format!(".kopia-rs-restore-{}", root.object()))
}

fn clear(place: &Place) {
    let target = place.path("target");
    for folder in names(&target) {
        set_mode(target.join(folder), 0o755);
    }
    fs::remove_dir_all(target).unwrap();
}

/// Does what a finish does, up to the moment at which it is killed.
fn move_some(place: &Place, root: &Entry, count: usize) {
    let staged = unfinished(place, root);
    let staged_folders = names(&staged).into_iter().filter(|name| name != "CACHEDIR.TAG");
    for name in staged_folders.take(count) {
        set_mode(staged.join(&name), 0o755);
        // Folders that nothing is in are made by the finish.
        fs::create_dir(staged.join(&name).join("empty")).unwrap();
        fs::rename(staged.join(&name), place.path("target").join(&name)).unwrap();
    }
}

#[test]
fn a_finish_that_was_killed_is_taken_up() {
    let place = Place::new();
    let root = root(&place);
    let whole = place.restore(&root, "fresh");
    // After so many of the six folders were moved; then the unfinished folder goes, and then the marks.
    for step in 0..=8 {
        both(&place, &root);
        move_some(&place, &root, step);
        if step >= 7 {
            fs::remove_dir_all(unfinished(&place, &root)).unwrap();
        }
        if step >= 8 {
            fs::remove_file(
                place.path("target").join(format!(".kopia-rs-restore-{}.shard-0-of-2", root.object())),
            )
            .unwrap();
        }
        let outcome = part(&place, &root, Portion::Finish(2)).unwrap();
        assert_eq!(outcome.problem_count, 0, "step {step}: {:?}", problems(&outcome));
        let all = outcome.files + outcome.symlinks + outcome.kept;
        assert_eq!(all, whole.files + whole.symlinks, "step {step}");
        assert_eq!(outcome.already_finished, step >= 7, "step {step}");
        assert_same(&place.path("fresh"), &place.path("target"));
        assert_eq!(names(&place.path("target")), names(&place.path("fresh")), "step {step}");
        clear(&place);
    }
}

#[test]
fn a_finish_that_was_killed_in_a_folder_of_the_target_is_taken_up() {
    let place = Place::new();
    let root = root(&place);
    place.restore(&root, "fresh");
    // The target has an older version of one folder, so what is in it is moved piece by piece.
    fs::create_dir_all(place.path("target/d0")).unwrap();
    fs::write(place.path("target/d0/small05"), b"older").unwrap();
    both(&place, &root);
    let staged = unfinished(&place, &root).join("d0");
    for name in ["large", "link", "small00"] {
        fs::rename(staged.join(name), place.path("target/d0").join(name)).unwrap();
    }
    // One was moved and is not right, which is seen like anything else: it is restored.
    fs::rename(staged.join("small01"), place.path("target/d0/small01")).unwrap();
    fs::remove_file(place.path("target/d0/small01")).unwrap();
    fs::write(place.path("target/d0/small01"), b"half").unwrap();
    let outcome = part(&place, &root, Portion::Finish(2)).unwrap();
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    assert_same(&place.path("fresh"), &place.path("target"));
}

/// Shards do not look at the target, so a finish is the first that is refused: here another user's folder.
#[test]
fn a_folder_of_the_target_that_is_closed_to_a_finish_costs_nothing_that_shards_wrote() {
    let test = "shards::a_folder_of_the_target_that_is_closed_to_a_finish_costs_nothing_that_shards_wrote";
    if rustix::process::geteuid().is_root() && !with_capabilities("-all", test) {
        return;
    }
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let x = writer.file(b"x");
        let d = folder("d", &writer.directory(&[file("x", &x, 1)]));
        folder("data", &writer.directory(&[d]))
    });
    let (left, d) = (unfinished(&place, &root), place.path("target/d"));
    fs::create_dir_all(&d).unwrap();
    part(&place, &root, shard(0, 1)).unwrap();
    let before = names(&place.path("target"));
    let set = |mode| set_mode(&d, mode);
    set(0o000);
    let refused = [Call::Chmod, Call::Chown].map(|call| (call, Some(Errno::PERM)));
    let Some(ended) = refusing(&refused, || part(&place, &root, Portion::Finish(1))) else {
        return set(0o700);
    };
    let Err(Error::Target { path, what, unfinished, .. }) = &ended else { panic!("{ended:?}") };
    assert_eq!((path, *what, unfinished.as_ref()), (&d, "cannot be looked at", Some(&left)));
    assert_eq!(names(&place.path("target")), before, "what is unfinished, and the mark of its shard");
    assert_eq!(fs::read(left.join("d/x")).unwrap(), b"x");
    // What its owner has to do.
    set(0o700);
    let outcome = part(&place, &root, Portion::Finish(1)).unwrap();
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    assert_eq!(fs::read(d.join("x")).unwrap(), b"x");
    assert_eq!(names(&place.path("target")), ["d"]);
}

/// Takes a file away as soon as anybody works, when the folder that has it is listed already.
struct TakingAway {
    planner: ThreadId,
    path: PathBuf,
}

impl kopia_restore::Observer for TakingAway {
    fn stop(&self) -> bool {
        if thread::current().id() != self.planner {
            let _ = fs::remove_file(&self.path);
        }
        false
    }
}

#[test]
fn what_shards_wrote_and_is_gone_when_it_is_to_be_finished_is_told_as_not_written() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let x = writer.file(b"x");
        folder("data", &writer.directory(&[file("gone", &x, 1), file("here", &x, 1)]))
    });
    part(&place, &root, shard(0, 1)).unwrap();
    let path = unfinished(&place, &root).join("gone");
    assert!(path.exists());
    let observer = TakingAway { planner: thread::current().id(), path };
    let mut options = Options::default();
    options.portion = Portion::Finish(1);
    let outcome = kopia_restore::restore_observed(&root, place.path("target"), &options, &observer).unwrap();
    assert_eq!(problems(&outcome), ["gone: no shard has written it"]);
    assert_eq!(names(&place.path("target")), ["here"]);
}

#[test]
fn what_is_finished_is_finished() {
    let place = Place::new();
    let root = root(&place);
    both(&place, &root);
    part(&place, &root, Portion::Finish(2)).unwrap();
    place.restore(&root, "fresh");
    let before = names(&place.path("target"));
    for _ in 0..2 {
        let outcome = part(&place, &root, Portion::Finish(2)).unwrap();
        let done = (outcome.already_finished, outcome.problem_count, outcome.files, outcome.kept);
        assert_eq!(done, (true, 0, 0, 138));
        // A shard that runs once more changes nothing that is there, and the end is the same.
        part(&place, &root, shard(0, 2)).unwrap();
    }
    assert!(part(&place, &root, Portion::Finish(2)).unwrap().already_finished);
    assert_eq!(names(&place.path("target")), before);
    assert_same(&place.path("fresh"), &place.path("target"));
    // Where anything is not there, nothing is finished.
    set_mode(place.path("target/d5"), 0o755);
    fs::remove_file(place.path("target/d5/small19")).unwrap();
    let error = part(&place, &root, Portion::Finish(2)).unwrap_err();
    assert!(matches!(&error, Error::Shards { missing, .. } if missing == &[0, 1]), "{error}");
    assert_eq!(names(&place.path("target")), before, "nothing is left of the attempt");
}

/// Runs something as soon as the first bytes are written.
struct Meanwhile<F>(std::sync::Once, F);

impl<F: Fn() + Sync> kopia_restore::Observer for Meanwhile<F> {
    fn bytes(&self, _: u64) {
        self.0.call_once(&self.1);
    }
}

#[test]
fn the_same_shard_twice_at_once_is_refused() {
    let place = Place::new();
    let root = root(&place);
    let meanwhile = || {
        for (number, of) in [(0, 2), (0, 3), (1, 1)] {
            let Some(other) = Shard::new(number, of) else { continue };
            let result = part(&place, &root, Portion::Shard(other));
            assert!(matches!(&result, Err(Error::ShardBusy { shard, .. }) if shard.of() == 2), "{result:?}");
        }
        part(&place, &root, shard(1, 2)).unwrap();
        assert!(matches!(part(&place, &root, Portion::Finish(2)), Err(Error::Busy { .. })));
    };
    let mut options = Options::default();
    options.portion = shard(0, 2);
    let observer = Meanwhile(std::sync::Once::new(), meanwhile);
    let outcome = kopia_restore::restore_observed(&root, place.path("target"), &options, &observer).unwrap();
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    assert!(observer.0.is_completed());
    // Its locks are no marks of other shards.
    let error = part(&place, &root, Portion::Finish(5)).unwrap_err();
    assert!(matches!(&error, Error::Shards { others, .. } if others == &[2]), "{error}");
    assert_eq!(part(&place, &root, Portion::Finish(2)).unwrap().problem_count, 0);
    place.restore(&root, "fresh");
    assert_same(&place.path("fresh"), &place.path("target"));
}

struct Stopped;

impl kopia_restore::Observer for Stopped {
    fn stop(&self) -> bool {
        true
    }
}

#[test]
fn a_shard_that_begins_anew_takes_its_mark_back() {
    let place = Place::new();
    let root = root(&place);
    both(&place, &root);
    let mut options = Options::default();
    options.portion = shard(1, 2);
    let result = kopia_restore::restore_observed(&root, place.path("target"), &options, &Stopped);
    assert!(matches!(result, Err(Error::Stopped { .. })), "{result:?}");
    let error = part(&place, &root, Portion::Finish(2)).unwrap_err();
    assert!(matches!(&error, Error::Shards { missing, .. } if missing == &[1]), "{error}");
}

#[test]
fn a_mark_is_left_only_once_everything_is_on_disk() {
    let place = Place::new();
    let root = root(&place);
    let run = || part(&place, &root, shard(0, 1));
    let Some(result) = refusing(&[(Call::Syncfs, Some(Errno::IO))], run) else { return };
    assert!(matches!(result, Err(Error::Target { .. })), "{result:?}");
    let error = part(&place, &root, Portion::Finish(1)).unwrap_err();
    assert!(matches!(&error, Error::Shards { missing, .. } if missing == &[0]), "{error}");
}

#[test]
fn a_single_file_has_no_shards() {
    let place = Place::new();
    let root = root(&place);
    let one = root.at("d0/large").unwrap();
    assert!(matches!(part(&place, &one, shard(0, 2)), Err(Error::NoShards)));
    assert!(!place.path("target").exists());
}

#[test]
fn what_is_unfinished_of_another_part_is_left_to_that() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let (x, y) = (writer.file(b"x"), writer.file(b"y"));
        let one = folder("one", &writer.directory(&[file("x", &x, 1)]));
        let two = folder("two", &writer.directory(&[file("y", &y, 1)]));
        folder("data", &writer.directory(&[one, two]))
    });
    let parts = ["one", "two"].map(|name| root.at(name).unwrap());
    let beside: Arc<HashSet<ObjectId>> = Arc::new(parts.iter().map(Entry::object).collect());
    let restore = |part: &Entry, portion, beside: &Arc<HashSet<ObjectId>>| {
        let mut options = Options::default();
        (options.portion, options.beside) = (portion, beside.clone());
        kopia_restore::restore(part, place.path("target"), &options)
    };
    for portion in [shard(0, 2), shard(1, 2), Portion::Finish(2)] {
        for part in &parts {
            assert_eq!(restore(part, portion, &beside).unwrap().problem_count, 0, "{portion:?}");
        }
    }
    assert_eq!(names(&place.path("target")), ["x", "y"]);
    // A run that was interrupted in the second begins with the first.
    let left = place.path("target").join(format!(".kopia-rs-restore-{}", parts[1].object()));
    fs::create_dir(&left).unwrap();
    restore(&parts[0], Portion::Whole, &beside).unwrap();
    assert!(left.exists());
    assert!(restore(&parts[1], Portion::Whole, &beside).unwrap().resumed);
    // Of any other root nothing stays.
    fs::create_dir(&left).unwrap();
    restore(&parts[0], Portion::Whole, &Arc::default()).unwrap();
    assert_eq!(names(&place.path("target")), ["x", "y"]);
}
