//! SIGKILL at any moment, and then the same command again.
//!
//! The moments are spread over the whole run: a run is measured, and killed after a part of that time, one
//! that a seed gives. `KOPIA_RS_KILLS` is the number of rounds for each way to restore.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use kopia_testkit::random::Random;
use kopia_testkit::tmpfs;
use kopia_testkit::tree::{Entry, Kind, Tree};

use crate::common::{NEW, OLD, Place, UNFINISHED, assert_same, run};

/// A way to restore: the options of each command that it takes, and what lies in the target before.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) steps: &'static [&'static str],
    pub(crate) over_old: bool,
    pub(crate) in_place: bool,
}

#[test]
fn a_fresh_restore() {
    kill(&Way { name: "fresh", steps: &[""], over_old: false, in_place: false });
}

#[test]
fn a_restore_over_an_older_tree() {
    let steps = &["--existing verify --delete-extra"];
    kill(&Way { name: "delta", steps, over_old: true, in_place: false });
}

#[test]
fn a_restore_in_place() {
    let steps = &["--in-place --delete-extra"];
    kill(&Way { name: "in place", steps, over_old: true, in_place: true });
}

#[test]
fn a_rollback_with_little_room() {
    let way = Way { name: "little room", steps: &["--delete-extra"], over_old: true, in_place: false };
    let Some(mount) = tmpfs::mounted() else {
        let folder = tempfile::tempdir().unwrap();
        return tmpfs::rerun("kills::a_rollback_with_little_room", folder.path());
    };
    // A new folder of 15 small files, the unfinished folders and the largest file have room; all that changes
    // has not.
    let place = Place::new();
    run(&mut place.restore(OLD, &mount.join("target"), ""));
    tmpfs::resize(&mount, tmpfs::used(&mount) + (300 << 10));
    kill_in(&way, &place, &mount.join("target"));
}

#[test]
fn a_restore_in_shards() {
    let steps = &["--shard 0/2", "--shard 1/2", "--finish 2"];
    kill(&Way { name: "shards", steps, over_old: false, in_place: false });
}

fn kill(way: &Way) {
    let place = Place::new();
    kill_in(way, &place, &place.path("target"));
}

fn kill_in(way: &Way, place: &Place, target: &Path) {
    let rounds = std::env::var("KOPIA_RS_KILLS").map_or(5, |rounds| rounds.parse().unwrap());
    let (old, new) = (place.fresh(OLD), place.fresh(NEW));
    let commands = || way.steps.iter().map(|step| place.restore(NEW, target, step)).collect::<Vec<_>>();
    let mut numbers = Random::new(way.name.len() as u64);
    let (mut killed, mut unfinished, mut moved) = (0, 0, 0);

    fill(place, target, way);
    let length = Instant::now();
    commands().iter_mut().for_each(run);
    let length = length.elapsed();
    // Most of the time goes by before the repository is open; half of the moments come after that.
    let opening = Instant::now();
    run(&mut place.command("status"));
    let opening = opening.elapsed().min(length);
    assert_same(&new, target, way.name);
    for round in 0..rounds {
        fill(place, target, way);
        // What takes up a restore may be killed as well.
        for _ in 0..=numbers.next() % 3 {
            let fraction = (numbers.next() % 1000) as f64 / 1000.0;
            let moment = match numbers.next() % 2 {
                0 => length.mul_f64(fraction),
                _ => opening + (length - opening).mul_f64(fraction),
            };
            killed += usize::from(killed_after(commands(), moment));
            let what = format!("{} round {round}, killed after {moment:?} of {length:?}", way.name);
            let found = scanned(target);
            assert_right_under_final_names(&found, &old, &new, way, &what);
            let is_unfinished =
                |entry: &&Entry| entry.path.starts_with(UNFINISHED) && entry.kind == Kind::Directory;
            let folders: Vec<_> = names(&found).filter(is_unfinished).collect();
            assert!(folders.len() <= 1, "{what}: {folders:?}");
            unfinished += folders.len();
            moved += usize::from(folders.len() == 1 && names(&found).count() > 1);
        }
        commands().iter_mut().for_each(run);
        assert_same(&new, target, &format!("{} round {round}", way.name));
    }
    eprintln!(
        "{}: {rounds} rounds, {killed} killed, {unfinished} with an unfinished folder, {moved} with that and more",
        way.name
    );
}

pub(crate) fn scanned(target: &Path) -> Vec<Entry> {
    if target.exists() { Tree::scan(target).entries().to_vec() } else { Vec::new() }
}

/// The entries of the target itself.
pub(crate) fn names(tree: &[Entry]) -> impl Iterator<Item = &Entry> {
    tree.iter().filter(|entry| !entry.path.is_empty() && !entry.path.contains('/'))
}

/// Leaves nothing in the target but what lies there before.
pub(crate) fn fill(place: &Place, target: &Path, way: &Way) {
    if target.exists() {
        // As an ordinary user, closed folders would be an obstacle.
        let mut chmod = Command::new("chmod");
        chmod.args(["-R", "u+rwX"]).arg(target);
        run(&mut chmod);
        std::fs::remove_dir_all(target).unwrap();
    }
    if way.over_old {
        run(&mut place.restore(OLD, target, ""));
    }
}

/// Runs commands one after the other, until the time is over; says whether one was killed.
pub(crate) fn killed_after(commands: Vec<Command>, moment: Duration) -> bool {
    let start = Instant::now();
    for mut command in commands {
        let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                break;
            }
            if start.elapsed() >= moment {
                child.kill().unwrap();
                return !child.wait().unwrap().success();
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    false
}

/// Whatever has a final name is whole: the older file or the newer one.
#[track_caller]
pub(crate) fn assert_right_under_final_names(found: &[Entry], old: &Tree, new: &Tree, way: &Way, what: &str) {
    for entry in found.iter().filter(|entry| !entry.path.starts_with(UNFINISHED)) {
        // A shard's notes are hidden as well, and no entry of the snapshot.
        if entry.path.starts_with(".kopia-rs-") && way.steps.len() > 1 {
            continue;
        }
        let newer = new.get(&entry.path);
        let older = old.get(&entry.path).filter(|_| way.over_old);
        if entry.path.is_empty() {
            continue;
        }
        let same = |other: &Entry| {
            (entry.kind, &entry.sha256, &entry.target) == (other.kind, &other.sha256, &other.target)
        };
        let large = way.in_place && entry.path.starts_with("large");
        let right = [newer, older].into_iter().flatten().any(same);
        assert!(right || large, "{what}: {entry:?} is neither {newer:?} nor {older:?}");
        // Attributes of folders come last, those of files before they get their names.
        if let Some(newer) = newer.filter(|newer| entry.kind == Kind::File && same(newer))
            && older.is_none()
        {
            assert_eq!((entry.mode, entry.mtime_ns), (newer.mode, newer.mtime_ns), "{what}: {}", entry.path);
        }
    }
}
