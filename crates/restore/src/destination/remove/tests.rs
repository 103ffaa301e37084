//! What goes with a tree and what stays, beside mounts, other restores, and whoever moves its directories.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use kopia_testkit::refuse::{Call, refusing};
use kopia_testkit::tmpfs;
use rustix::io::Errno;

use super::walk::go_up;
use super::*;

fn open(path: &Path) -> fs::File {
    fs::File::open(path).unwrap()
}

#[test]
fn what_is_busy_is_taken_for_a_mount_only_if_it_is_one() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("tree")).unwrap();
    fs::write(place.path().join("tree/open elsewhere"), b"x").unwrap();
    let parent = open(place.path());
    let remove = || remove_tree(parent.as_fd(), b"tree", None).map_err(|error| error.raw_os_error());
    let removed = refusing(&[(Call::Unlink, Some(Errno::BUSY))], remove);
    let busy = Some(Errno::BUSY.raw_os_error());
    assert!(removed.is_none_or(|removed| removed.is_err_and(|error| error == busy)));
}

#[test]
fn what_cannot_be_removed_keeps_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    for name in ["tree/a/b", "tree/c", "tree/d"] {
        fs::create_dir_all(place.path().join(name)).unwrap();
    }
    for name in ["tree/a/b/file", "tree/c/file", "tree/d/file", "tree/file"] {
        fs::write(place.path().join(name), b"x").unwrap();
    }
    // Whatever order they are listed in: one stays, and nothing but what it lies in.
    let stays = place.path().join("tree/a/b/file");
    let parent = open(place.path());
    let moves: MoveAway<'_> = &mut |_, _, _, path| {
        if path == b"tree/a/b/file" {
            fs::remove_file(&stays)?;
            fs::create_dir(&stays)?;
        }
        Ok(false)
    };
    assert!(remove_made(parent.as_fd(), b"tree", moves).is_err(), "a file is a directory by now");
    assert!(stays.is_dir());
    for gone in ["tree/c", "tree/d", "tree/file"] {
        assert!(!place.path().join(gone).exists(), "{gone}");
    }
}

#[test]
fn everything_below_goes_and_nothing_beside() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), b"x").unwrap();
    let tree = dir.path().join("tree");
    for path in ["a/b/c", "a/d", "e"] {
        fs::create_dir_all(tree.join(path)).unwrap();
        fs::write(tree.join(path).join("file"), b"x").unwrap();
        symlink(&outside, tree.join(path).join("link")).unwrap();
    }
    for (path, mode) in [("a/d", 0o000), ("a", 0o555)] {
        fs::set_permissions(tree.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let parent = open(dir.path());
    remove_tree(parent.as_fd(), b"tree", None).unwrap();
    assert!(!tree.exists() && outside.join("kept").exists());
    remove_tree(parent.as_fd(), b"tree", None).unwrap();
    symlink(&outside, &tree).unwrap();
    remove_tree(parent.as_fd(), b"tree", None).unwrap();
    assert!(outside.join("kept").exists());
}

#[test]
fn only_the_directory_that_is_meant_goes() {
    let dir = tempfile::tempdir().unwrap();
    let parent = open(dir.path());
    fs::create_dir_all(dir.path().join("tree/inner")).unwrap();
    fs::create_dir(dir.path().join("meant")).unwrap();
    let meant = Identity::of(open(&dir.path().join("meant"))).unwrap();
    assert!(remove_tree(parent.as_fd(), b"tree", Some(meant)).is_err());
    assert!(dir.path().join("tree/inner").is_dir());
    fs::write(dir.path().join("file"), b"x").unwrap();
    assert!(remove_tree(parent.as_fd(), b"file", Some(meant)).is_err());
    assert!(dir.path().join("file").is_file());
    remove_tree(parent.as_fd(), b"meant", Some(meant)).unwrap();
    assert!(!dir.path().join("meant").exists());
}

#[test]
fn the_way_up_leads_where_the_way_down_began() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    fs::create_dir(dir.path().join("other")).unwrap();
    let (a, b) = (open(&dir.path().join("a")), open(&dir.path().join("a/b")));
    let expected = Identity::of(&a).unwrap();
    assert_eq!(Identity::of(go_up(b.as_fd(), expected).unwrap()).unwrap(), expected);
    // Somebody moves it elsewhere, where nothing is ours to remove.
    fs::rename(dir.path().join("a/b"), dir.path().join("other/b")).unwrap();
    assert!(go_up(b.as_fd(), expected).is_err());
}

#[test]
fn looking_changes_no_mode() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("tree/inner")).unwrap();
    for path in ["tree/inner", "tree"] {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(0o555)).unwrap();
    }
    assert!(would_keep(open(dir.path()).as_fd(), b"tree", None).unwrap().is_nothing());
    for path in ["tree", "tree/inner"] {
        assert_eq!(fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o7777, 0o555);
    }
    remove_tree(open(dir.path()).as_fd(), b"tree", None).unwrap();
}

#[test]
fn whatever_stays_keeps_the_tree() {
    let path = || vec!["tree/x".to_owned()];
    for kept in [
        Kept { mounts: path(), ..Kept::default() },
        Kept { restores: path(), ..Kept::default() },
        Kept { not_chosen: 1, ..Kept::default() },
    ] {
        assert!(!kept.is_nothing(), "{kept:?}");
    }
    assert!(Kept::default().is_nothing());
}

#[test]
fn files_that_something_is_mounted_on_stay_with_their_directories() {
    let Some(mount) = tmpfs::mounted() else {
        let place = tempfile::tempdir().unwrap();
        let test =
            "destination::remove::tests::files_that_something_is_mounted_on_stay_with_their_directories";
        return tmpfs::rerun(test, place.path());
    };
    fs::create_dir_all(mount.join("tree/full")).unwrap();
    fs::write(mount.join("outside"), b"precious").unwrap();
    for name in ["a", "b", "c", "d"] {
        fs::write(mount.join("tree/full").join(name), b"").unwrap();
    }
    for name in ["b", "c"] {
        let (from, to) = (mount.join("outside"), mount.join("tree/full").join(name));
        let bound = std::process::Command::new("mount").arg("--bind").arg(from).arg(to).status();
        assert!(bound.unwrap().success());
    }
    let parent = open(&mount);
    for (find, rest) in [(would_keep as Remove, 4), (remove_extra, 2)] {
        let mut kept = find(parent.as_fd(), b"tree", None).unwrap();
        kept.mounts.sort_unstable();
        assert_eq!(kept.mounts, ["tree/full/b", "tree/full/c"]);
        assert_eq!(fs::read_dir(mount.join("tree/full")).unwrap().count(), rest);
    }
    assert_eq!(fs::read(mount.join("outside")).unwrap(), b"precious");
}

type Remove = fn(BorrowedFd<'_>, &[u8], Option<Spared<'_>>) -> io::Result<Kept>;

#[test]
fn what_a_restore_keeps_stays() {
    let dir = tempfile::tempdir().unwrap();
    let parent = open(dir.path());
    for path in ["tree/a/.kopia-rs-undo-cfg/kept", "tree/a/other", "tree/b"] {
        fs::create_dir_all(dir.path().join(path)).unwrap();
        fs::write(dir.path().join(path).join("file"), b"x").unwrap();
    }
    let expected = Kept { restores: vec!["tree/a/.kopia-rs-undo-cfg".into()], ..Kept::default() };
    assert_eq!(would_keep(parent.as_fd(), b"tree", None).unwrap(), expected);
    assert_eq!(remove_extra(parent.as_fd(), b"tree", None).unwrap(), expected);
    assert!(dir.path().join("tree/a/.kopia-rs-undo-cfg/kept/file").exists());
    assert!(!dir.path().join("tree/a/other").exists() && !dir.path().join("tree/b").exists());
    // Of an unfinished folder nothing is spared.
    assert!(remove_tree(parent.as_fd(), b"tree", None).unwrap().is_nothing());
    assert!(!dir.path().join("tree").exists());
}

#[test]
fn what_another_restore_is_at_work_on_stays() {
    let dir = tempfile::tempdir().unwrap();
    let parent = open(dir.path());
    let make = |path: &str| {
        fs::create_dir_all(dir.path().join(path)).unwrap();
        fs::write(dir.path().join(path).join("file"), b"x").unwrap();
    };
    // One that runs, the shards of one, and two that were killed.
    let running = "tree/a/.kopia-rs-restore-k01";
    for path in ["tree/a/deep", running, "tree/b/.kopia-rs-restore-k02", "tree/c/.kopia-rs-restore-k03"] {
        make(path);
    }
    fs::write(dir.path().join("tree/b/.kopia-rs-restore-k02.shard-1-of-2"), b"").unwrap();
    fs::write(dir.path().join("tree/c/.kopia-rs-restore-k04.shard-1-of-2"), b"").unwrap();
    let lock = open(&dir.path().join(running));
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let sorted = |mut kept: Kept| {
        kept.restores.sort_unstable();
        kept
    };
    let restores = vec!["tree/a".into(), "tree/b".into()];
    let expected = Kept { restores, ..Kept::default() };
    assert_eq!(sorted(would_keep(parent.as_fd(), b"tree", None).unwrap()), expected);
    assert!(dir.path().join("tree/c/.kopia-rs-restore-k03/file").exists(), "nothing is removed by looking");
    assert_eq!(sorted(remove_extra(parent.as_fd(), b"tree", None).unwrap()), expected);
    for path in ["tree/a/deep/file", "tree/a/.kopia-rs-restore-k01/file", "tree/b/.kopia-rs-restore-k02/file"]
    {
        assert!(dir.path().join(path).exists(), "{path}");
    }
    assert!(!dir.path().join("tree/c").exists());
    // It came to its end.
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::Unlock).unwrap();
    fs::remove_file(dir.path().join("tree/b/.kopia-rs-restore-k02.shard-1-of-2")).unwrap();
    assert!(remove_extra(parent.as_fd(), b"tree", None).unwrap().is_nothing());
    assert!(!dir.path().join("tree").exists());
}
