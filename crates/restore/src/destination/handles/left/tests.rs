//! Whose the files become that are made in directories that were left. Only root can leave any: for others all have the
//! group that they have anyway.

use std::fs::{self, File, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use kopia_repository::Trail;
use kopia_testkit::facilities::{left_out, once_more};
use kopia_testkit::refuse::{Call, refusing};
use rustix::io::Errno;

use super::super::Handles;
use super::*;
use crate::destination::directory::DirectoryKind;
use crate::destination::leftover::Leftover;
use crate::destination::metadata::Attributes;
use crate::destination::metadata::probe::ProbedDefaults;
use crate::space::is_full;

/// Groups that this process is not in.
const GROUP: u32 = 4243;
const OTHER: u32 = 4244;

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        left_out("only root can give folders any group");
    }
    is_root
}

fn own() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// Makes a directory of this owner, group and mode.
fn make(path: &Path, (uid, gid): (u32, u32), mode: u32) {
    fs::create_dir(path).unwrap();
    give(path, (uid, gid), mode);
}

fn give(path: &Path, (uid, gid): (u32, u32), mode: u32) {
    let own = own();
    // Setting its mode would drop setgid from one of another group.
    chown(path, Some(own.0), Some(own.1)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    chown(path, Some(uid), Some(gid)).unwrap();
}

fn in_root(name: &str, left: Leftover) -> Arc<Directory> {
    let root = Directory::root(Trail::root(None), Attributes::default(), Leftover::Nothing);
    let trail = Trail::root(None).child(name, None);
    root.child(trail, 0, Attributes::default(), DirectoryKind::Inner, left)
}

fn child(parent: &Arc<Directory>, name: &str) -> Arc<Directory> {
    let trail = Trail::root(None).child(name, None);
    parent.child(trail, 0, Attributes::default(), DirectoryKind::Inner, Leftover::Nothing)
}

/// Opens a directory of the staging tree, making those that are missing.
fn open_in(root: &Path, directory: &Arc<Directory>) -> io::Result<()> {
    let root = File::open(root).unwrap();
    let new = ProbedDefaults::probe(root.as_fd()).unwrap().new_directory;
    Handles::new(root.as_fd(), 1, true, new).open(directory).map(drop)
}

/// Returns what decides whose the files become that are made in a directory.
fn seen(path: &Path) -> (u32, u32, u32) {
    let found = fs::metadata(path).unwrap();
    (found.uid(), found.gid(), found.mode() & SETGID)
}

/// Returns the group of a new file.
fn group_in(path: &Path) -> u32 {
    let file = path.join("file");
    fs::write(&file, b"").unwrap();
    fs::metadata(&file).unwrap().gid()
}

/// Tells the run of the same test that it lacks capabilities.
const FEWER: &str = "KOPIA_RS_TEST_FEWER_CAPABILITIES";

#[test]
fn a_directory_that_was_left_becomes_as_new_ones_are() {
    if !is_root() {
        return;
    }
    let own = own();
    // What it lies in.
    for (gid, above) in [(own.1, 0o700), (own.1, 0o2700), (OTHER, 0o2700)] {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        make(&root, (own.0, gid), above);
        fs::create_dir(root.join("new")).unwrap();
        let new = seen(&root.join("new"));
        for (number, (owner, mode)) in [
            (own, 0o755),
            ((own.0, GROUP), 0o755),
            ((own.0, GROUP), 0o2755),
            ((own.0, OTHER), 0o500),
            ((own.0, OTHER), 0o2555),
            ((4242, GROUP), 0o755),
            ((4242, GROUP), 0o2750),
            ((4242, OTHER), 0o3555),
        ]
        .into_iter()
        .enumerate()
        {
            let (name, path) = (number.to_string(), root.join(number.to_string()));
            make(&path, owner, mode);
            let directory = in_root(&name, Leftover::Usable);
            open_in(&root, &directory).unwrap();
            let what = format!("{owner:?} {mode:o} in {gid} {above:o}");
            assert_eq!((seen(&path), directory.is_unlike_new()), (new, false), "{what}");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o5777, mode & 0o5777 | 0o700, "{what}");
            assert_eq!(group_in(&path), group_in(&root.join("new")), "{what}");
        }
    }
    if std::env::var_os(FEWER).is_some() {
        return;
    }
    // Without FSETID, a mode drops setgid; without FOWNER, others' directories take none.
    for few in ["-fsetid", "-all,+chown,+dac_override", "-all,+chown"] {
        let test = "destination::handles::left::tests::a_directory_that_was_left_becomes_as_new_ones_are";
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps=-all", &format!("--bounding-set={few}")]);
        command.arg(std::env::current_exe().unwrap()).args(["--exact", test]).env(FEWER, few);
        once_more(&mut command, "only root can drop capabilities, with setpriv");
    }
}

/// As where the file system is mounted with `grpid`.
#[test]
fn a_directory_that_was_left_gets_the_group_that_is_passed_on_without_setgid() {
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("left");
    let new = NewDirectory { uid: own().0, gid: GROUP, setgid: 0, gid_for_mode: GROUP };
    for mode in [0o700, 0o2755] {
        make(&path, own(), mode);
        let directory = in_root("left", Leftover::Usable);
        renew(File::open(&path).unwrap().as_fd(), &directory, &new).unwrap();
        assert_eq!((seen(&path), directory.is_unlike_new()), ((own().0, GROUP, 0), false), "{mode:o}");
        fs::remove_dir(&path).unwrap();
    }
}

/// Names the directory for the run of the same test that has no capabilities.
const PLACE: &str = "KOPIA_RS_TEST_LEFT";

/// It could not come back to it.
#[test]
fn a_directory_does_not_leave_the_group_that_new_ones_have() {
    let in_place = |place: &Path| {
        let directory = in_root("left", Leftover::Usable);
        open_in(place, &directory).unwrap();
        assert_eq!(seen(&place.join("left")), (own().0, OTHER, 0));
        assert!(directory.is_unlike_new());
    };
    if let Some(place) = std::env::var_os(PLACE) {
        return in_place(Path::new(&place));
    }
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    give(place.path(), (own().0, OTHER), 0o2700);
    make(&place.path().join("left"), (own().0, OTHER), 0o755);
    let test = "destination::handles::left::tests::a_directory_does_not_leave_the_group_that_new_ones_have";
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-all", "--bounding-set=-all"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env(PLACE, place.path());
    once_more(&mut command, "only root can drop capabilities, with setpriv");
}

#[test]
fn what_cannot_be_made_as_new_ones_are_is_noted_and_so_is_what_is_made_in_it() {
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("left");
    make(&path, (own().0, GROUP), 0o2755);
    for answer in [Some(Errno::PERM), Some(Errno::INVAL), None] {
        let left = in_root("left", Leftover::Usable);
        let inner = child(&left, "inner");
        let refused = [Call::Chmod, Call::Chown].map(|call| (call, answer));
        let Some(opened) = refusing(&refused, || open_in(place.path(), &inner)) else { return };
        opened.unwrap();
        assert_eq!([&left, &inner].map(|directory| directory.is_unlike_new()), [true; 2], "{answer:?}");
        assert_eq!(group_in(&path.join("inner")), GROUP);
        fs::remove_dir_all(path.join("inner")).unwrap();
    }
    let left = in_root("left", Leftover::Usable);
    let inner = child(&left, "inner");
    open_in(place.path(), &inner).unwrap();
    assert_eq!([&left, &inner].map(|directory| directory.is_unlike_new()), [false; 2]);
    assert_eq!(group_in(&path.join("inner")), group_in(place.path()));
}

/// In one that could not be changed before, a new one may be.
#[test]
fn a_directory_that_is_made_in_one_that_is_unlike_new_ones_becomes_as_they_are() {
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("left");
    make(&path, (own().0, GROUP), 0o2755);
    let left = in_root("left", Leftover::Usable);
    let refused = [Call::Chmod, Call::Chown].map(|call| (call, Some(Errno::PERM)));
    let Some(opened) = refusing(&refused, || open_in(place.path(), &left)) else { return };
    opened.unwrap();
    assert!(left.is_unlike_new());
    fs::create_dir(place.path().join("new")).unwrap();
    let inner = child(&left, "inner");
    open_in(place.path(), &inner).unwrap();
    assert_eq!((seen(&path.join("inner")), inner.is_unlike_new()), (seen(&place.path().join("new")), false));
    // Where it cannot be, that is no reason to make it once more.
    let inner = child(&left, "another");
    let refused = [(Call::Chown, Some(Errno::NOSPC))];
    refusing(&refused, || open_in(place.path(), &inner).unwrap()).unwrap();
    assert!(inner.is_unlike_new());
}

#[test]
fn a_full_disk_may_take_it_later_and_a_failing_one_is_an_error() {
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("left");
    fs::create_dir(place.path().join("new")).unwrap();
    make(&path, (own().0, GROUP), 0o2755);
    for call in [Call::Chown, Call::Chmod] {
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            give(&path, (own().0, GROUP), 0o2755);
            let directory = in_root("left", Leftover::Usable);
            let opened = refusing(&[(call, Some(errno))], || open_in(place.path(), &directory));
            let Some(opened) = opened else { return };
            assert!(opened.is_err_and(|error| is_full(&error)), "{call:?} {errno}");
            assert!(directory.failure().is_none(), "{call:?} {errno}");
            open_in(place.path(), &directory).unwrap();
            assert_eq!(seen(&path), seen(&place.path().join("new")), "{call:?} {errno}");
        }
        give(&path, (own().0, GROUP), 0o2755);
        let directory = in_root("left", Leftover::Usable);
        refusing(&[(call, Some(Errno::IO))], || open_in(place.path(), &directory).unwrap_err()).unwrap();
        assert!(directory.failure().is_some(), "{call:?}");
    }
}
