//! Targets on which all that root makes belongs to nobody, as on NFS with `root_squash`: what a restore has made
//! there is known again by the next, by its shards and by the undo.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use kopia_repository::{Entry, Shard};
use kopia_restore::{
    Error, KeptFolder, Observer, Options, Outcome, Portion, all_kept, find_kept, restore, restore_observed,
};
use kopia_testkit::squash::{NOBODY, share, squashed};
use kopia_testkit::writer::RepositoryWriter;

use crate::common::{Place, file, folder, link, names, problems, set_mode};

/// `dir/a`, `dir/b`, `small` → "text", `large` in five pieces, `link`.
fn root(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let (text, large) = (writer.file(b"text"), writer.file(&[7; 20_000]));
    let dir = writer.directory(&[file("a", &text, 4), file("b", &text, 4)]);
    let entries =
        [folder("dir", &dir), file("large", &large, 20_000), link("link", &text), file("small", &text, 4)];
    let data = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", data);
    place.finish("repo", writer)
}

/// The names in a target, but for the folder that keeps what was replaced.
fn entries(target: &Path) -> Vec<String> {
    names(target).into_iter().filter(|name| !name.starts_with(".kopia-rs-undo-")).collect()
}

/// Asserts that all of [`root`] is there, and belongs to nobody.
#[track_caller]
fn assert_whole(target: &Path) {
    assert_eq!(
        (entries(target), names(&target.join("dir"))),
        (vec!["dir".into(), "large".into(), "link".into(), "small".into()], vec!["a".into(), "b".into()])
    );
    for name in ["dir/a", "dir/b", "small"] {
        assert_eq!(fs::read(target.join(name)).unwrap(), b"text", "{name}");
    }
    assert!(fs::read(target.join("large")).unwrap() == [7; 20_000]);
    assert_eq!(fs::read_link(target.join("link")).unwrap(), Path::new("text"));
    for name in ["dir", "dir/a", "large", "link", "small"] {
        assert_eq!(target.join(name).symlink_metadata().unwrap().uid(), NOBODY, "{name}");
    }
}

#[track_caller]
fn assert_no_problem(outcome: &Outcome) {
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(outcome));
}

/// Asks to stop at once.
struct Stop;

impl Observer for Stop {
    fn stop(&self) -> bool {
        true
    }
}

#[test]
fn what_an_interrupted_restore_left_is_taken_up() {
    let place = Place::new();
    let root = root(&place);
    if !share(&place.path("share")) {
        return;
    }
    for (name, is_there) in [("share/new", false), ("share/there", true)] {
        let target = place.path(name);
        let outcome = squashed(|| {
            if is_there {
                fs::create_dir(&target).unwrap();
            }
            let stopped = restore_observed(&root, &target, &Options::default(), &Stop);
            assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
            let left = names(&target);
            assert!(left.len() == 1 && left[0].starts_with(".kopia-rs-restore-"), "{left:?}");
            assert_eq!(fs::metadata(target.join(&left[0])).unwrap().uid(), NOBODY);
            restore(&root, &target, &Options::default()).unwrap()
        });
        let Some(outcome) = outcome else { return };
        assert!(outcome.resumed, "{name}");
        assert_no_problem(&outcome);
        assert_whole(&target);
    }
}

#[test]
fn shards_are_put_together() {
    let place = Place::new();
    let root = root(&place);
    if !share(&place.path("share")) {
        return;
    }
    let target = place.path("share/target");
    let shard = |number| Portion::Shard(Shard::new(number, 2).unwrap());
    for portion in [shard(0), shard(1), Portion::Finish(2)] {
        let mut options = Options::default();
        options.portion = portion;
        // Each as a process of its own would.
        let Some(outcome) = squashed(|| restore(&root, &target, &options).unwrap()) else { return };
        assert_no_problem(&outcome);
    }
    assert_whole(&target);
}

#[test]
fn what_is_replaced_is_kept_and_put_back() {
    let place = Place::new();
    let root = root(&place);
    if !share(&place.path("share")) {
        return;
    }
    let mut options = Options::default();
    (options.keep_replaced, options.delete_extra) = (true, true);
    // Beside the target, and in one that lies where nothing can be made.
    for name in ["share/target", "share"] {
        let target = place.path(name);
        let restored = || {
            let outcome = restore(&root, &target, &options).unwrap();
            assert_no_problem(&outcome);
            outcome.kept_in.expect("something is kept")
        };
        let path = squashed(|| {
            let _ = fs::create_dir(&target);
            fs::write(target.join("small"), "old").unwrap();
            fs::write(target.join("extra"), "old").unwrap();
            restored()
        });
        let Some(path) = path else { return };
        assert_whole(&target);
        assert_eq!(fs::metadata(&path).unwrap().uid(), NOBODY);
        let times = || {
            let places = [&target, &place.path("share"), &place.path(""), &path];
            places.map(|place| fs::metadata(place).unwrap()).map(|found| (found.mtime(), found.mtime_nsec()))
        };
        let before = times();
        // Where root's files are its own, it is somebody else's.
        let (found, unusable) = all_kept(&target);
        assert!(found.is_empty());
        let source = std::error::Error::source(&unusable[0]).unwrap().to_string();
        assert_eq!((unusable.len(), &*source), (1, "it belongs to user 65534"));

        assert_eq!(squashed(|| find_kept(&target).len()), Some(1));
        assert_eq!(times(), before, "whoever looks changes nothing");
        assert_eq!(names(&path), ["journal", "kept"]);

        // As if it had been killed before it could write that it was through.
        let journal = path.join("journal");
        let text = fs::read_to_string(&journal).unwrap();
        fs::write(&journal, text.strip_suffix("done\n").unwrap()).unwrap();
        fs::write(target.join("small"), "meanwhile").unwrap();
        assert_eq!(squashed(restored).as_ref(), Some(&path), "it goes on in the same folder");
        let undone = squashed(|| {
            let found = find_kept(&target);
            assert_eq!(found.iter().map(KeptFolder::path).collect::<Vec<_>>(), [&path]);
            found.into_iter().next().unwrap().undo().unwrap()
        });
        let undone = undone.unwrap();
        assert!(undone.problems.is_empty(), "{:?}", undone.problems);
        assert!(undone.aside_paths.iter().any(|path| path == "small"), "{:?}", undone.aside_paths);
        assert_eq!(entries(&target), ["extra", "small"]);
        for name in ["small", "extra"] {
            assert_eq!(fs::read(target.join(name)).unwrap(), b"old", "{name}");
        }
        fs::remove_dir_all(&path).unwrap();
        if name != "share" {
            fs::remove_dir_all(&target).unwrap();
        }
    }
}

/// What its owner alone may change of a target, no undo of nobody's can put back.
#[test]
fn an_undo_in_a_target_of_another_user_comes_to_its_end() {
    let place = Place::new();
    let root = root(&place);
    if !share(&place.path("share")) {
        return;
    }
    let target = place.path("share/target");
    fs::create_dir(&target).unwrap();
    set_mode(&target, 0o777);
    chown(&target, Some(1000), Some(1000)).unwrap();
    let undone = squashed(|| {
        fs::write(target.join("small"), "old").unwrap();
        let mut options = Options::default();
        options.keep_replaced = true;
        let outcome = restore(&root, &target, &options).unwrap();
        assert_no_problem(&outcome);
        assert_whole(&target);
        KeptFolder::open(outcome.kept_in.expect("something is kept")).unwrap().undo().unwrap()
    });
    let Some(undone) = undone else { return };
    let notes = undone.notes;
    assert_eq!((undone.problem_count, notes.times, notes.owners, notes.modes), (0, 1, 0, 0), "{undone:?}");
    assert_eq!((names(&target), names(&place.path("share"))), (vec!["small".into()], vec!["target".into()]));
    assert_eq!(fs::read(target.join("small")).unwrap(), b"old");
}
