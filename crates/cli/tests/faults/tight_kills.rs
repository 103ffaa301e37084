//! SIGKILL at any moment on a disk that is nearly full, and then the same command again, until it comes to its
//! end: everything is in its place, or there is too little room, and that is said.
//!
//! `KOPIA_RS_KILLS` is the number of rounds.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kopia_testkit::random::Random;
use kopia_testkit::tmpfs;
use kopia_testkit::tree::{Entry, Kind, Tree};

use crate::common::{NEW, OLD, Place, UNFINISHED, assert_same, run};
use crate::kills::{Way, assert_right_under_final_names, fill, names, scanned};

/// Room for everything.
const MUCH: u64 = 64 << 20;

/// What is enough beside an older tree: a new folder of small files, unfinished folders, and the largest file.
const ENOUGH: u64 = 300 << 10;

static WAYS: [Way; 5] = [
    Way { name: "tight fresh", steps: &[""], over_old: false, in_place: false },
    Way { name: "tight fresh, synced", steps: &["--sync=files"], over_old: false, in_place: false },
    Way { name: "tight over older", steps: &["--existing verify"], over_old: true, in_place: false },
    Way { name: "tight rollback", steps: &["--delete-extra"], over_old: true, in_place: false },
    Way { name: "tight in place", steps: &["--in-place --delete-extra"], over_old: true, in_place: true },
];

/// How a run came to its end.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Killed,
    Well,
    /// For lack of room, as was said.
    NoRoom,
}

#[test]
fn a_disk_that_is_nearly_full() {
    let Some(mount) = tmpfs::mounted() else {
        let folder = tempfile::tempdir().unwrap();
        return tmpfs::rerun("tight_kills::a_disk_that_is_nearly_full", folder.path());
    };
    let rounds = std::env::var("KOPIA_RS_KILLS").map_or(10, |rounds| rounds.parse().unwrap());
    let place = Place::new();
    let (old, new) = (place.fresh(OLD), place.fresh(NEW));
    let target = mount.join("target");
    // How much a fresh tree takes, and how long it takes on a machine that has time for it.
    let (before, mut length) = (tmpfs::used(&mount), Duration::MAX);
    for _ in 0..3 {
        fill(&place, &target, &WAYS[0]);
        let start = Instant::now();
        run(&mut place.restore(NEW, &target, ""));
        length = length.min(start.elapsed());
    }
    let whole = tmpfs::used(&mount) - before;
    let mut numbers = Random::new(12);
    let (mut killed, mut full) = (0, 0);
    for round in 0..rounds {
        let way = &WAYS[round % WAYS.len()];
        tmpfs::resize(&mount, MUCH);
        fill(&place, &target, way);
        let most = if way.over_old { ENOUGH } else { whole + whole / 4 };
        // More often little than much, and sometimes enough.
        let room = most * numbers.within(0..5) as u64 / 4 + numbers.within(0..8) as u64 * 4096;
        tmpfs::resize(&mount, tmpfs::used(&mount) + room);
        let what = format!("{} round {round}, {room} bytes", way.name);
        let check = |what: &str| {
            let found = scanned(&target);
            assert_right_under_final_names(&found, &old, &new, way, what);
            let unfinished =
                |entry: &&Entry| entry.path.starts_with(UNFINISHED) && entry.kind == Kind::Directory;
            assert!(names(&found).filter(unfinished).count() <= 1, "{what}");
        };
        for _ in 0..=numbers.within(0..4) {
            let moment = length.mul_f64(numbers.within(0..1000) as f64 / 800.0);
            killed += usize::from(restore(&place, &target, way, Some(moment), &what) == Ended::Killed);
            check(&format!("{what}, killed after {moment:?} of {length:?}"));
        }
        let ended = restore(&place, &target, way, None, &what);
        check(&what);
        if ended == Ended::NoRoom {
            assert!(room < most, "{what}: that is enough");
            full += 1;
            tmpfs::resize(&mount, MUCH);
            assert_eq!(restore(&place, &target, way, None, &what), Ended::Well, "{what}, with room");
        }
        assert_final(&new, &old, &target, way, &what);
    }
    eprintln!("{rounds} rounds, {killed} killed, {full} without room at the end");
    assert!(rounds < 10 || (killed > 0 && full > 0), "{killed} killed, {full} without room");
}

/// All of the newer tree is there; extras stay where they are not to be deleted.
fn assert_final(new: &Tree, old: &Tree, target: &Path, way: &Way, what: &str) {
    if !way.over_old || way.steps[0].contains("--delete-extra") {
        return assert_same(new, target, what);
    }
    let found = Tree::scan(target);
    for wanted in new.entries() {
        let same = |found: &Entry| (found.kind, &found.sha256) == (wanted.kind, &wanted.sha256);
        assert!(found.get(&wanted.path).is_some_and(same), "{what}: {}", wanted.path);
    }
    let known = |entry: &&Entry| new.get(&entry.path).or(old.get(&entry.path)).is_none();
    assert_eq!(found.entries().iter().find(known), None, "{what}");
}

/// Runs a restore, perhaps to be killed after some time. If it fails, then for lack of room, and it says so.
#[track_caller]
fn restore(place: &Place, target: &Path, way: &Way, kill: Option<Duration>, what: &str) -> Ended {
    let mut command = place.restore(NEW, target, way.steps[0]);
    let mut said = tempfile::tempfile().unwrap();
    let mut child = command.stderr(Stdio::from(said.try_clone().unwrap())).spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if kill.is_some_and(|moment| start.elapsed() >= moment) {
            child.kill().unwrap();
            // It may have come to its end just before.
            let status = child.wait().unwrap();
            if status.code().is_none() {
                return Ended::Killed;
            }
            break status;
        }
        std::thread::sleep(Duration::from_micros(200));
    };
    let mut text = String::new();
    std::io::Seek::rewind(&mut said).unwrap();
    std::io::Read::read_to_string(&mut said, &mut text).unwrap();
    if status.success() {
        return Ended::Well;
    }
    assert_eq!(status.code(), Some(1), "{what}: {text}");
    let errors: Vec<_> = text.lines().filter(|line| line.starts_with("error:")).collect();
    let [error] = errors[..] else { panic!("{what}: {text}") };
    assert!(error.contains("No space left on device") && text.contains("hint:"), "{what}: {text}");
    Ended::NoRoom
}
