//! Whose a staging directory is, and what restores of others do with it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::sync::Arc;

use kopia_testkit::refuse::{Call, refusing};
use rustix::fs::FlockOperation;

use super::*;
use crate::Portion;

fn target(path: &std::path::Path) -> Target {
    Target {
        directory: fs::File::open(path).unwrap().into(),
        path: path.into(),
        name: None,
        device: 0,
        mode_after: std::sync::OnceLock::new(),
        created: false,
        found: None,
        new: false.into(),
    }
}

#[test]
fn another_users_staging_folder_is_not_used() {
    let place = tempfile::tempdir().unwrap();
    let root: ObjectId = "kaa".parse().unwrap();
    let planted = place.path().join(format!("{PREFIX}kaa"));
    fs::create_dir(&planted).unwrap();
    fs::write(planted.join("planted"), b"evil").unwrap();
    if chown(&planted, Some(65534), Some(65534)).is_err() {
        return kopia_testkit::facilities::left_out("only root can make a folder of another user");
    }
    let target = target(place.path());
    let shard = Options {
        portion: Portion::Shard(kopia_repository::Shard::new(0, 2).unwrap()),
        ..Options::default()
    };
    for options in [Options::default(), shard] {
        let error = Staging::open(&target, root, &options).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("belongs to another user"), "{source}");
        assert_eq!(fs::read(planted.join("planted")).unwrap(), b"evil");
    }
    // The same name of our own is taken up.
    chown(&planted, Some(0), Some(0)).unwrap();
    assert!(Staging::open(&target, root, &Options::default()).unwrap().is_left());
}

#[test]
fn markers_stay_for_the_end_of_their_own_restore_alone() {
    let root: ObjectId = "kaa".parse().unwrap();
    let markers = ["kaa.shard-0-of-2", "kbb.shard-0-of-2"].map(|name| format!("{PREFIX}{name}"));
    let finish = Options { portion: Portion::Finish(2), ..Options::default() };
    for (options, left) in [(Options::default(), [false, false]), (finish, [true, false])] {
        let place = tempfile::tempdir().unwrap();
        let target = target(place.path());
        for marker in &markers {
            fs::write(place.path().join(marker), b"").unwrap();
        }
        let staging = Staging::open(&target, root, &options).unwrap();
        assert!(!staging.is_left());
        assert_eq!(markers.each_ref().map(|marker| place.path().join(marker).exists()), left);
        // What is new goes if nothing comes of it, and what was left stays.
        staging.remove_new(&target);
        assert!(!place.path().join(staging.name()).exists());
        drop(staging);
        drop(Staging::open(&target, root, &options).unwrap());
        let staging = Staging::open(&target, root, &options).unwrap();
        staging.remove_new(&target);
        assert!(staging.is_left() && place.path().join(staging.name()).exists());
    }
}

#[test]
fn the_sticky_bit_says_that_the_target_is_new() {
    let root: ObjectId = "kaa".parse().unwrap();
    for (new, mode) in [(false, 0o700), (true, 0o1700)] {
        let place = tempfile::tempdir().unwrap();
        let made = Target { new: new.into(), ..target(place.path()) };
        let staging = Staging::open(&made, root, &Options::default()).unwrap();
        let found = fs::metadata(place.path().join(staging.name())).unwrap().permissions().mode();
        assert_eq!(found & 0o7777, mode);
        drop(staging);
        let again = target(place.path());
        assert!(Staging::open(&again, root, &Options::default()).unwrap().is_left());
        assert_eq!(again.is_new(), new);
    }
}

#[test]
fn a_shard_does_not_join_a_restore_of_the_whole() {
    let place = tempfile::tempdir().unwrap();
    let target = target(place.path());
    let root: ObjectId = "kaa".parse().unwrap();
    let shard = Options {
        portion: Portion::Shard(kopia_repository::Shard::new(0, 2).unwrap()),
        ..Options::default()
    };
    let whole = Staging::open(&target, root, &Options::default()).unwrap();
    assert!(matches!(Staging::open(&target, root, &shard), Err(Error::Busy { .. })));
    drop(whole);
    let _first = Staging::open(&target, root, &shard).unwrap();
    Staging::open(&target, root, &shard).unwrap();
}

#[test]
fn what_is_left_of_those_beside_it_is_not_even_opened() {
    let place = tempfile::tempdir().unwrap();
    let target = target(place.path());
    let [root, other]: [ObjectId; 2] = ["kaa", "kbb"].map(|root| root.parse().unwrap());
    let left = place.path().join(format!("{PREFIX}kbb"));
    fs::create_dir(&left).unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o700)).unwrap();
    let held = fs::File::open(&left).unwrap();
    rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    let beside = Options { beside: Arc::new([root, other].into()), ..Options::default() };
    Staging::open(&target, root, &beside).unwrap();
    assert!(left.exists());
    assert!(matches!(Staging::open(&target, root, &Options::default()), Err(Error::Busy { .. })));
}

#[test]
fn what_restores_left_is_known_by_its_name() {
    let place = tempfile::tempdir().unwrap();
    let others = || has_others(fs::File::open(place.path()).unwrap()).unwrap();
    assert!(!others());
    fs::create_dir(place.path().join(format!("{PREFIX}kaa"))).unwrap();
    assert!(!others());
    fs::write(place.path().join("file"), b"").unwrap();
    assert!(others());
    assert!(is_tag("CACHEDIR.TAG") && is_tag("cachedir.tag") && !is_tag("CACHEDIR"));
    // Busy is what somebody holds the lock of.
    let directory = fs::File::open(place.path()).unwrap();
    let [root, other]: [ObjectId; 2] = ["kaa", "kbb"].map(|root| root.parse().unwrap());
    let busy = |root, single| is_busy(directory.as_fd(), root, single).unwrap();
    assert!(!busy(root, false) && !busy(root, true));
    let held = fs::File::open(place.path().join(format!("{PREFIX}kaa"))).unwrap();
    rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert!(busy(root, false) && busy(root, true));
    assert!(busy(other, false) && !busy(other, true), "beside a single file others do not matter");
}

#[test]
fn a_directory_that_others_may_have_renamed_is_left_alone() {
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let root: ObjectId = "kaa".parse().unwrap();
    let shard = Options {
        portion: Portion::Shard(kopia_repository::Shard::new(0, 2).unwrap()),
        ..Options::default()
    };
    for name in ["kaa", "kbb"] {
        let place = tempfile::tempdir().unwrap();
        let target = target(place.path());
        let renamed = place.path().join(format!("{PREFIX}{name}"));
        fs::create_dir(&renamed).unwrap();
        fs::write(renamed.join("precious"), b"x").unwrap();
        mode(&renamed, 0o755);
        mode(place.path(), 0o777);
        for options in [&Options::default(), &shard] {
            let opened = Staging::open(&target, root, options);
            if name == "kaa" {
                let error = opened.unwrap_err();
                let source = std::error::Error::source(&error).unwrap().to_string();
                assert!(source.contains("is open to others"), "{source}");
            } else {
                opened.unwrap();
            }
            assert!(renamed.join("precious").exists(), "{name}");
            assert_eq!(fs::metadata(&renamed).unwrap().permissions().mode() & 0o777, 0o755);
        }
        // In a target with the sticky bit nobody else renames it.
        mode(place.path(), 0o1777);
        let staging = Staging::open(&target, root, &Options::default()).unwrap();
        assert!(staging.is_left(), "the one that was renamed, or that was just made");
        assert_eq!(renamed.exists(), name == "kaa");
    }
}

/// What a restore made is closed to others, and so may be what they renamed; it has no proof in it.
#[test]
fn a_closed_directory_that_others_may_have_renamed_has_to_prove_what_it_is() {
    let root: ObjectId = "kaa".parse().unwrap();
    let whole = Options::default();
    let shard = Options {
        portion: Portion::Shard(kopia_repository::Shard::new(0, 2).unwrap()),
        ..Options::default()
    };
    let finish = Options { portion: Portion::Finish(2), ..Options::default() };
    for options in [&whole, &shard, &finish] {
        for name in ["kaa", "kbb"] {
            let place = tempfile::tempdir().unwrap();
            let mode = |path: &std::path::Path, mode| {
                fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            };
            mode(place.path(), 0o777);
            let target = target(place.path());
            let renamed = place.path().join(format!("{PREFIX}{name}"));
            fs::create_dir_all(renamed.join("precious")).unwrap();
            for closed in [0o700, 0o500] {
                mode(&renamed, closed);
                let opened = Staging::open(&target, root, options);
                if name == "kaa" {
                    let error = opened.unwrap_err();
                    let source = std::error::Error::source(&error).unwrap().to_string();
                    let what =
                        if closed == 0o700 { "nothing in it that says" } else { "closed to its owner" };
                    assert!(source.contains(what), "{source}");
                }
                assert!(renamed.join("precious").exists(), "{name}");
                assert_eq!(fs::metadata(&renamed).unwrap().permissions().mode() & 0o777, closed);
            }
            mode(&renamed, 0o700);
            // What is empty may be used: a restore may have been killed before it left the proof.
            let aside = place.path().join("aside");
            fs::rename(renamed.join("precious"), &aside).unwrap();
            let staging = Staging::open(&target, root, options).unwrap();
            assert!(staging.is_left() || name == "kbb");
            let own = place.path().join(staging.name());
            assert!(staging.is_our_own(staging.name().as_bytes()));
            // With its proof it is taken up as well, and goes.
            drop(staging);
            fs::remove_dir_all(&own).unwrap();
            let made = Staging::open(&target, root, options).unwrap();
            fs::rename(&aside, own.join("precious")).unwrap();
            assert!(own.join(made.name()).exists(), "the proof");
            drop(made);
            let staging = Staging::open(&target, root, options).unwrap();
            assert!(staging.is_left() && own.join("precious").exists());
            staging.remove(&target).unwrap();
            assert!(!own.exists());
        }
    }
}

#[test]
fn no_proof_is_left_where_nobody_else_renames() {
    let place = tempfile::tempdir().unwrap();
    let target = target(place.path());
    let staging = Staging::open(&target, "kaa".parse().unwrap(), &Options::default()).unwrap();
    assert_eq!(fs::read_dir(place.path().join(staging.name())).unwrap().count(), 0);
}

#[test]
fn what_others_may_write_in_is_left_alone_and_what_they_may_read_is_closed() {
    let root: ObjectId = "kaa".parse().unwrap();
    let whole = Options::default();
    let shard = Options {
        portion: Portion::Shard(kopia_repository::Shard::new(0, 2).unwrap()),
        ..Options::default()
    };
    for options in [&whole, &shard] {
        let place = tempfile::tempdir().unwrap();
        let target = target(place.path());
        let left = place.path().join(format!("{PREFIX}kaa"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join("planted"), b"x").unwrap();
        let mode = || fs::metadata(&left).unwrap().permissions().mode() & 0o7777;
        for open in [0o720, 0o702, 0o1777] {
            fs::set_permissions(&left, fs::Permissions::from_mode(open)).unwrap();
            let error = Staging::open(&target, root, options).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("others may write in it"), "{source}");
            assert_eq!((mode(), fs::read(left.join("planted")).unwrap()), (open, b"x".to_vec()));
        }
        for (open, closed) in [(0o1755, 0o1700), (0o700, 0o700), (0o750, 0o700)] {
            fs::set_permissions(&left, fs::Permissions::from_mode(open)).unwrap();
            assert!(Staging::open(&target, root, options).unwrap().is_left());
            assert_eq!(mode(), closed, "{open:o}");
        }
    }
}

/// There every directory is shown alike, and nothing can prove what it is.
#[test]
fn where_no_mode_can_be_set_what_is_left_is_taken_up() {
    let place = tempfile::tempdir().unwrap();
    let left = place.path().join(format!("{PREFIX}kaa"));
    fs::create_dir_all(left.join("d")).unwrap();
    for (path, mode) in [(&*left, 0o777), (place.path(), 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let open = || Staging::open(&target(place.path()), "kaa".parse().unwrap(), &Options::default());
    for answer in [Some(Errno::PERM), None] {
        let opened = refusing(&[(Call::Chmod, answer)], || open().map(|staging| staging.is_left()));
        assert!(opened.is_none_or(|opened| opened.unwrap()), "{answer:?}");
    }
    open().unwrap_err();
    // And it goes, when what was restored is undone.
    let directory = fs::File::open(place.path()).unwrap();
    let remove = || remove_left(directory.as_fd(), "kaa").unwrap();
    assert!(remove() && left.exists(), "others may write in it");
    let removed = refusing(&[(Call::Chmod, None)], remove);
    assert!(removed.is_none() || !left.exists());
}

/// In a target where others may rename, one of theirs may take its place as soon as it is made.
#[test]
fn what_was_made_is_looked_at_before_it_is_used() {
    for (owner, mode, what) in
        [(Some(65534), 0o700, "belongs to another user"), (None, 0o755, "is open to others")]
    {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let theirs = place.path().join(format!("{PREFIX}kaa"));
        fs::create_dir(&theirs).unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(mode)).unwrap();
        if chown(&theirs, owner, None).is_err() {
            kopia_testkit::facilities::left_out("only root can make a folder of another user");
            continue;
        }
        let opened = refusing(&[(Call::MakeDirectory, None)], || {
            Staging::open(&target(place.path()), "kaa".parse().unwrap(), &Options::default())
        });
        let Some(opened) = opened else { return };
        let error = opened.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(what), "{source}");
        assert_eq!(fs::read_dir(&theirs).unwrap().count(), 0, "not even the proof");
    }
}

#[test]
fn where_no_sticky_bit_can_be_had_it_is_done_without() {
    let place = tempfile::tempdir().unwrap();
    let new = Target { new: true.into(), ..target(place.path()) };
    let make = |errno| {
        refusing(&[(Call::MakeSpecialDirectory, Some(errno))], || {
            Staging::open(&new, "kaa".parse().unwrap(), &Options::default()).map(|staging| staging.name)
        })
    };
    // What says nothing of the bit ends it.
    let Some(failed) = make(Errno::IO) else { return };
    assert!(failed.is_err() && fs::read_dir(place.path()).unwrap().count() == 0, "{failed:?}");
    let made = place.path().join(make(Errno::INVAL).unwrap().unwrap());
    assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn the_tag_can_be_read_by_its_owner() {
    let place = tempfile::tempdir().unwrap();
    let staging = Staging::open(&target(place.path()), "kaa".parse().unwrap(), &Options::default()).unwrap();
    staging.tag();
    let tag = place.path().join(staging.name()).join(TAG);
    assert_eq!(fs::metadata(&tag).unwrap().permissions().mode() & 0o700, 0o600);
    assert_eq!(fs::read(&tag).unwrap(), TAG_TEXT);
}
