//! SIGKILL at any moment of a restore that keeps what it replaces, and of the undo: whatever is killed, what
//! was there can be put back.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use kopia_testkit::random::Random;
use kopia_testkit::tree::Tree;

use crate::common::{NEW, OLD, Place, assert_same, run};
use crate::kills::killed_after;

/// What is chosen is part of what an unfinished restore is known by.
const OPTIONS: [&str; 2] =
    ["--keep-replaced --delete-extra", "--keep-replaced --delete-extra --exclude no-such-name"];

fn undo(place: &Place, target: &Path) -> Command {
    let mut command = place.command("undo");
    command.arg(target);
    command
}

/// The older tree, and what no snapshot has.
fn fill(place: &Place, target: &Path) -> Tree {
    run(Command::new("chmod").args(["-R", "u+rwX"]).arg(place.path("home")));
    fs::remove_dir_all(place.path("home")).unwrap();
    fs::create_dir(place.path("home")).unwrap();
    run(&mut place.restore(OLD, target, ""));
    fs::create_dir_all(target.join("mine/inner")).unwrap();
    fs::write(target.join("mine/inner/file"), "mine").unwrap();
    fs::hard_link(target.join("large1"), target.join("mine/large1")).unwrap();
    run(Command::new("touch").args(["-d", "2001-02-03T04:05:06.789"]).arg(target));
    Tree::scan(target)
}

/// Counts the folders beside the target in which a journal begins; one that was just made has none yet.
fn folders(place: &Place) -> usize {
    let entries = fs::read_dir(place.path("home")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| fs::metadata(path.join("journal")).is_ok_and(|found| found.len() > 0)).count()
}

#[test]
fn whatever_is_killed_can_be_undone() {
    let rounds = std::env::var("KOPIA_RS_KILLS").map_or(6, |rounds| rounds.parse().unwrap());
    let place = Place::new();
    fs::create_dir(place.path("home")).unwrap();
    let target = place.path("home/target");
    let new = place.fresh(NEW);
    let restore = |round: usize| place.restore(NEW, &target, OPTIONS[round % 2]);

    let before = fill(&place, &target);
    let start = Instant::now();
    run(&mut restore(0));
    let length = start.elapsed();
    assert_same(&new, &target, "restored");
    let start = Instant::now();
    run(&mut undo(&place, &target));
    let undo_length = start.elapsed();
    assert_same(&before, &target, "undone");
    assert_eq!(folders(&place), 0);

    let mut numbers = Random::new(7);
    let mut fraction = || (numbers.next() % 1000) as f64 / 1000.0;
    let (mut killed, mut kept, mut again) = (0, 0, 0);
    for round in 0..rounds {
        let before = fill(&place, &target);
        // Most of the time goes by before anything is moved.
        let moment = length.mul_f64(0.3 + 0.7 * fraction());
        killed += usize::from(killed_after(vec![restore(round)], moment));
        let what = format!("round {round}, killed after {moment:?} of {length:?}");
        assert!(folders(&place) <= 1, "{what}");
        if folders(&place) == 0 {
            continue;
        }
        kept += 1;
        if round % 3 == 2 {
            run(&mut restore(round));
            assert_same(&new, &target, &what);
            assert_eq!(folders(&place), 1, "{what}: it goes on in the same folder");
        }
        let moment = undo_length.mul_f64(fraction());
        again += usize::from(killed_after(vec![undo(&place, &target)], moment));
        if folders(&place) > 0 {
            run(&mut undo(&place, &target));
        }
        assert_same(&before, &target, &format!("{what}, undo killed after {moment:?}"));
        let links = std::os::unix::fs::MetadataExt::nlink(&fs::metadata(target.join("large1")).unwrap());
        assert_eq!((folders(&place), links), (0, 2), "{what}");
    }
    eprintln!("{rounds} rounds, {killed} killed, {kept} with something kept, {again} undos killed");
}
