//! What moving does where somebody else is at work in the target.

use std::fs;

use kopia_format::ObjectId;
use kopia_repository::Trail;
use kopia_testkit::refuse::{Call, refusing};
use rustix::fs::Mode;
use rustix::io::Errno;

use super::unmoved::in_the_way;
use super::*;
use crate::destination::Identity;
use crate::destination::directory::DirectoryKind;
use crate::destination::leftover::Leftover;
use crate::destination::metadata::Attributes;
use crate::destination::metadata::probe::ProbedDefaults;
use crate::{Options, Outcome};

/// Runs something with a publisher into a fresh target, and returns what came of it.
fn with_publisher(run: impl FnOnce(&mut Publisher<'_>, &Arc<Directory>, &std::path::Path)) -> Outcome {
    let place = tempfile::tempdir().unwrap();
    let target = Target {
        directory: fs::File::open(place.path()).unwrap().into(),
        path: place.path().into(),
        name: None,
        device: 0,
        found: None,
        mode_after: std::sync::OnceLock::new(),
        created: false,
        new: false.into(),
    };
    let object: ObjectId = "kaa".parse().unwrap();
    let options = Options::default();
    let staging = Staging::open(&target, object, &options).unwrap();
    let defaults = ProbedDefaults::probe(staging.handle()).unwrap();
    let tally = Tally::new(&());
    let root = Directory::root(Trail::root(Some(object)), Attributes::default(), Leftover::Nothing);
    let mut publisher = Publisher {
        target: &target,
        staging: &staging,
        tally: &tally,
        metadata: Metadata::new(defaults, &options),
        root_attributes: false,
        chosen: None,
        delete_extra: false,
        refuse_existing: false,
        newer: false,
        kept: None,
        no_room: None,
        cut_short: None,
    };
    run(&mut publisher, &root, place.path());
    tally.finish()
}

fn problems(outcome: &Outcome) -> Vec<String> {
    outcome.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn what_vanished_from_the_unfinished_folder_is_told() {
    let outcome = with_publisher(|publisher, root, place| {
        let staged = place.join(publisher.staging.name());
        for name in ["one", "two"] {
            fs::write(staged.join(name), b"x").unwrap();
        }
        (0..5).for_each(|_| root.one_staged());
        publisher.run(&Merge { existing: vec![root.clone()], ..Merge::default() });
    });
    let vanished = "3 of its entries vanished from the unfinished folder before they could be moved";
    assert_eq!(problems(&outcome), [format!(".: {vanished}")]);
    assert_eq!(outcome.problem_count, 3, "each counts");
}

#[test]
fn a_moved_directory_that_was_replaced_gets_no_attributes() {
    let outcome = with_publisher(|publisher, root, place| {
        let trail = Trail::root(None).child("child", None);
        let child = root.child(trail, 0, Attributes::default(), DirectoryKind::Moved, Leftover::Nothing);
        fs::create_dir(place.join("made")).unwrap();
        let made = fs::File::open(place.join("made")).unwrap();
        child.made(|| Identity::of(&made)).unwrap();
        let parent = fs::File::open(place).unwrap();
        // Somebody else's directory has the name.
        fs::create_dir(place.join("child")).unwrap();
        assert!(publisher.finish_moved(parent.as_fd(), &child).is_err());
        fs::remove_dir(place.join("child")).unwrap();
        fs::rename(place.join("made"), place.join("child")).unwrap();
        publisher.finish_moved(parent.as_fd(), &child).unwrap();
    });
    assert_eq!(problems(&outcome), [""; 0]);
}

#[test]
fn what_was_moved_before_nothing_is_any_more_gets_its_attributes() {
    with_publisher(|publisher, root, place| {
        let trail = Trail::root(None).child("moved", None);
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let attributes = Attributes { mode: 0o750, uid, gid, ..Attributes::default() };
        let moved = root.child(trail, 0, attributes, DirectoryKind::Moved, Leftover::Nothing);
        rustix::fs::mkdir(place.join("moved"), Mode::RWXU).unwrap();
        moved.made(|| Identity::of(fs::File::open(place.join("moved"))?)).unwrap();
        let staged = place.join(publisher.staging.name()).join("file");
        fs::write(&staged, b"x").unwrap();
        root.one_staged();
        let merge = Merge { existing: vec![root.clone()], moved: vec![moved], ..Merge::default() };
        let refused = [(Call::Rename, Some(Errno::TIMEDOUT))];
        let Some(()) = refusing(&refused, || publisher.run(&merge)) else { return };
        assert!(publisher.cut_short.is_some() && staged.exists());
        assert_eq!(rustix::fs::stat(place.join("moved")).unwrap().st_mode & 0o7777, 0o750);
    });
}

/// Puts a staged file in the place of the folder `x` with something in it, while calls are refused, and finishes the
/// folder `beside` it. Returns what came of it, unless calls cannot be refused here.
fn mirror_refusing(
    refused: (Call, Errno),
    check: impl FnOnce(&Publisher<'_>, &std::path::Path),
) -> Option<Outcome> {
    let mut is_refused = false;
    let outcome = with_publisher(|publisher, root, place| {
        let trail = Trail::root(None).child("beside", None);
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let attributes = Attributes { mode: 0o750, uid, gid, ..Attributes::default() };
        let beside = root.child(trail, 0, attributes, DirectoryKind::Existing, Leftover::Nothing);
        rustix::fs::mkdir(place.join("beside"), Mode::RWXU).unwrap();
        fs::create_dir_all(place.join("x/inner")).unwrap();
        fs::write(place.join(publisher.staging.name()).join("x"), b"x").unwrap();
        publisher.delete_extra = true;
        let merge = Merge { existing: vec![root.clone(), beside], ..Merge::default() };
        let ran = refusing(&[(refused.0, Some(refused.1))], || {
            let waiting = vec![Waiting { directory: root, name: b"x".to_vec() }];
            let mut handles = Handles::of_made(publisher.staging.handle(), 1);
            publisher.mirror(&merge, waiting, &HashSet::new(), &mut handles);
        });
        if ran.is_some() {
            is_refused = true;
            assert_eq!(rustix::fs::stat(place.join("beside")).unwrap().st_mode & 0o7777, 0o750);
            check(publisher, place);
        }
    });
    is_refused.then_some(outcome)
}

#[test]
fn what_cannot_be_looked_at_in_a_folder_that_a_file_replaces_is_a_matter_of_that_alone() {
    let outcome = mirror_refusing((Call::List, Errno::NOTCONN), |publisher, place| {
        assert!(publisher.cut_short.is_none() && place.join("x/inner").is_dir());
    });
    let Some(outcome) = outcome else { return };
    assert!(matches!(&problems(&outcome)[..], [one] if one.starts_with("x: ")), "{:?}", problems(&outcome));
}

#[test]
fn a_file_that_replaces_a_folder_stays_staged_where_the_machine_cannot_look_into_it() {
    let outcome = mirror_refusing((Call::List, Errno::NFILE), |publisher, place| {
        assert!(publisher.cut_short.is_some() && place.join(publisher.staging.name()).join("x").exists());
    });
    assert!(outcome.is_none_or(|outcome| outcome.problem_count == 0));
}

#[test]
fn a_file_that_replaces_a_folder_stays_staged_where_its_directory_has_no_room() {
    let outcome = mirror_refusing((Call::Rename, Errno::NOSPC), |publisher, place| {
        assert!(publisher.cut_short.is_none());
        assert!(publisher.no_room.is_some() && place.join(publisher.staging.name()).join("x").exists());
    });
    assert!(outcome.is_none_or(|outcome| outcome.problem_count == 0));
}

#[test]
fn the_tag_stays_behind_however_it_is_listed() {
    with_publisher(|publisher, root, place| {
        let staged = place.join(publisher.staging.name());
        publisher.staging.tag();
        // As where case is folded, and inodes that are listed are made up.
        fs::rename(staged.join("CACHEDIR.TAG"), staged.join("cachedir.tag")).unwrap();
        fs::write(staged.join("file"), b"x").unwrap();
        root.one_staged();
        publisher.run(&Merge { existing: vec![root.clone()], ..Merge::default() });
        assert!(place.join("file").exists() && !place.join("cachedir.tag").exists());
    });
}

#[test]
fn what_a_probe_has_left_goes_with_the_unfinished_folder() {
    with_publisher(|publisher, root, place| {
        let staged = place.join(publisher.staging.name());
        for name in ["left", "file"] {
            fs::write(staged.join(name), b"x").unwrap();
        }
        publisher.staging.note_left_by_probe("left".into());
        root.one_staged();
        publisher.run(&Merge { existing: vec![root.clone()], ..Merge::default() });
        assert!(place.join("file").exists() && !place.join("left").exists());
        publisher.staging.remove(publisher.target).unwrap();
        assert!(!staged.exists());
    });
}

#[test]
fn what_this_restore_has_put_there_is_not_replaced() {
    with_publisher(|publisher, root, place| {
        let staged = place.join(publisher.staging.name());
        fs::write(staged.join("name"), b"second").unwrap();
        fs::write(place.join("name"), b"first").unwrap();
        let (from, to) = (fs::File::open(&staged).unwrap(), fs::File::open(place).unwrap());
        let way = Way { from: from.as_fd(), to: to.as_fd(), slot: None };
        // As where another name of what is being moved finds what was moved before.
        let first = rustix::fs::statat(&to, "name", AtFlags::empty()).unwrap().st_ino;
        let mut placed = Inodes::default();
        placed.insert(first);
        let moved = publisher.move_entry(root, way, b"name", &placed);
        assert!(matches!(moved, Err(Unmoved::Failed(Reason::NameTaken { by: None }))), "{moved:?}");
        assert_eq!(fs::read(place.join("name")).unwrap(), b"first");
        publisher.move_entry(root, way, b"name", &Inodes::default()).unwrap();
        assert_eq!(fs::read(place.join("name")).unwrap(), b"second");
    });
}

#[test]
fn what_is_in_the_way_is_told_from_other_failures() {
    assert!(matches!(in_the_way(Errno::NOTEMPTY.into()), Reason::NotEmpty));
    assert!(matches!(in_the_way(Errno::EXIST.into()), Reason::NotEmpty));
    assert!(matches!(in_the_way(Errno::XDEV.into()), Reason::OtherFileSystem));
    assert!(in_the_way(Errno::ROFS.into()).to_string().contains("Read-only file system"));
}

#[test]
fn what_is_over_a_moment_later_is_no_matter_of_an_entry() {
    assert!(matches!(Unmoved::from(Errno::NOSPC), Unmoved::NoRoom(_)));
    for errno in [Errno::TIMEDOUT, Errno::HOSTDOWN, Errno::INTR, Errno::NOMEM, Errno::IO, Errno::STALE] {
        assert!(matches!(Unmoved::from(errno), Unmoved::ForNow(_)), "{errno}");
    }
    let (of_entry, damaged) = (
        [Errno::ACCESS, Errno::PERM, Errno::NOTEMPTY, Errno::XDEV, Errno::NOENT, Errno::NAMETOOLONG],
        [Errno::UCLEAN, Errno::BADMSG],
    );
    for errno in of_entry.into_iter().chain(damaged) {
        assert!(matches!(Unmoved::from(errno), Unmoved::Failed(_)), "{errno}");
    }
    let replaced = io::Error::other("the folder was replaced while the restore ran");
    assert!(matches!(Unmoved::from(replaced), Unmoved::Failed(_)));
}
