//! Attributes where they cannot be set, or are taken and forgotten.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use kopia_testkit::refuse::{Call, refusing};
use rustix::io::Errno;

use super::*;

const ALL: [Call; 3] = [Call::Chmod, Call::Chown, Call::Utimes];
const EVERYTHING: Unset = Unset { owner: true, special_bits: true, mode: true, time: true };

/// What an entry should have and nothing here has by itself.
fn wanted(mode: u32) -> Attributes {
    Attributes { mode, uid: 4242, gid: 4243, modified: Timestamp::new(1_500_000_000, 5).unwrap() }
}

fn metadata(directory: &File) -> Metadata {
    Metadata::new(ProbedDefaults::probe(directory.as_fd()).unwrap(), &Options::default())
}

/// Makes one entry of each kind, finishes each in a target that refuses calls, and returns what was left
/// unset.
fn finish_all(refused: &[(Call, Option<Errno>)], mode: u32) -> Option<[Unset; 3]> {
    let place = tempfile::tempdir().unwrap();
    let directory = File::open(place.path()).unwrap();
    fs::create_dir(place.path().join("directory")).unwrap();
    symlink("nowhere", place.path().join("symlink")).unwrap();
    refusing(refused, || {
        let mut metadata = metadata(&directory);
        let wanted = &wanted(mode);
        // The second of each is not looked at any more where the first held.
        let mut last = None;
        for name in ["first", "second"] {
            let file = metadata.create(directory.as_fd(), name, wanted, OFlags::WRONLY).unwrap();
            let inner = File::open(place.path().join("directory")).unwrap();
            let all = [
                metadata.finish_file(file.as_fd(), wanted).unwrap(),
                metadata.finish_directory(inner.as_fd(), wanted).unwrap(),
                metadata.finish_symlink(directory.as_fd(), "symlink", wanted).unwrap(),
            ];
            assert!(last.is_none_or(|last| last == all), "{last:?}, then {all:?}");
            last = Some(all);
        }
        last.unwrap()
    })
}

#[test]
fn what_is_refused_is_told_and_nothing_fails() {
    use Errno as E;
    for errno in [E::PERM, E::ACCESS, E::OPNOTSUPP, E::NOSYS, E::INVAL, E::OVERFLOW] {
        let refused = ALL.map(|call| (call, Some(errno)));
        let Some([file, directory, symlink]) = finish_all(&refused, 0o4711) else { return };
        // A file can still be made with its permissions.
        assert_eq!(file, Unset { mode: false, ..EVERYTHING }, "{errno:?}");
        assert_eq!(directory, EVERYTHING, "{errno:?}");
        assert_eq!(symlink, Unset { owner: true, time: true, ..Unset::default() }, "{errno:?}");
    }
}

#[test]
fn what_is_ignored_is_told_as_well() {
    let Some([file, directory, symlink]) = finish_all(&ALL.map(|call| (call, None)), 0o4711) else { return };
    assert_eq!(file, Unset { mode: false, ..EVERYTHING });
    assert_eq!(directory, EVERYTHING);
    assert_eq!(symlink, Unset { owner: true, time: true, ..Unset::default() });
}

#[test]
fn what_one_entry_had_before_says_nothing_of_the_next() {
    let place = tempfile::tempdir().unwrap();
    let directory = File::open(place.path()).unwrap();
    let open = |name: &str, mode| {
        let path = place.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        File::open(path).unwrap()
    };
    let directories = [open("right", 0o711), open("wrong", 0o755)];
    let own = fs::metadata(place.path()).unwrap();
    let wanted = Attributes { uid: own.uid(), gid: own.gid(), ..wanted(0o711) };
    let unset = refusing(&[(Call::Chmod, None)], || {
        let mut metadata = metadata(&directory);
        directories.each_ref().map(|made| metadata.finish_directory(made.as_fd(), &wanted).unwrap())
    });
    let Some(unset) = unset else { return };
    assert_eq!(unset, [Unset::default(), Unset { mode: true, ..Unset::default() }]);
}

#[test]
fn a_file_that_was_made_with_its_mode_needs_no_chmod() {
    let place = tempfile::tempdir().unwrap();
    let directory = File::open(place.path()).unwrap();
    let refused = refusing(&[(Call::Chmod, Some(Errno::IO))], || {
        let mut metadata = metadata(&directory);
        for name in ["first", "second"] {
            let file = metadata.create(directory.as_fd(), name, &wanted(0o644), OFlags::WRONLY).unwrap();
            let unset = metadata.finish_file(file.as_fd(), &wanted(0o644)).unwrap();
            assert!(!unset.mode && !unset.time, "{unset:?}");
        }
    });
    if refused.is_some() {
        for name in ["first", "second"] {
            assert_eq!(fs::metadata(place.path().join(name)).unwrap().mode() & 0o7777, 0o644);
        }
    }
}

#[test]
fn a_failing_or_full_disk_is_no_refusal() {
    let place = tempfile::tempdir().unwrap();
    let directory = File::open(place.path()).unwrap();
    for errno in [Errno::IO, Errno::ROFS, Errno::DQUOT] {
        for call in ALL {
            let ended = refusing(&[(call, Some(errno))], || {
                let mut metadata = metadata(&directory);
                let name = format!("{call:?} {}", errno.raw_os_error());
                let wanted = &wanted(0o4711);
                let file = metadata.create(directory.as_fd(), &name, wanted, OFlags::WRONLY).unwrap();
                metadata.finish_file(file.as_fd(), wanted).map_err(|error| error.raw_os_error())
            });
            assert!(ended.is_none_or(|ended| ended == Err(Some(errno.raw_os_error()))), "{call:?} {errno:?}");
        }
    }
}

#[test]
fn setuid_is_never_on_with_the_wrong_owner() {
    for answer in [Some(Errno::PERM), None] {
        let place = tempfile::tempdir().unwrap();
        let directory = File::open(place.path()).unwrap();
        let unset = refusing(&[(Call::Chown, answer)], || {
            let mut metadata = metadata(&directory);
            let mut finish = |name: &str, wanted: &Attributes| {
                let file = metadata.create(directory.as_fd(), name, wanted, OFlags::WRONLY).unwrap();
                metadata.finish_file(file.as_fd(), wanted).unwrap()
            };
            let wanted = wanted(0o6755);
            (finish("a", &wanted), finish("b", &wanted))
        });
        let Some((first, second)) = unset else { return };
        assert_eq!(first, Unset { owner: true, special_bits: true, ..Unset::default() }, "{answer:?}");
        assert_eq!(first, second, "{answer:?}");
        for name in ["a", "b"] {
            let mode = fs::metadata(place.path().join(name)).unwrap().mode() & 0o7777;
            assert_eq!(mode, 0o755, "{name}, {answer:?}");
        }
    }
}

#[test]
fn permissions_stay_where_only_special_bits_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let directory = File::open(place.path()).unwrap();
    fs::create_dir(place.path().join("directory")).unwrap();
    let own = fs::metadata(place.path()).unwrap();
    let wanted = |mode| Attributes { mode, uid: own.uid(), gid: own.gid(), modified: Timestamp::default() };
    let unset = refusing(&[(Call::ChmodSpecial, Some(Errno::PERM))], || {
        let mut metadata = metadata(&directory);
        let file = metadata.create(directory.as_fd(), "tool", &wanted(0o4755), OFlags::WRONLY).unwrap();
        let closed = metadata.create(directory.as_fd(), "closed", &wanted(0o7000), OFlags::WRONLY).unwrap();
        let inner = File::open(place.path().join("directory")).unwrap();
        [
            metadata.finish_file(file.as_fd(), &wanted(0o4755)).unwrap(),
            metadata.finish_file(closed.as_fd(), &wanted(0o7000)).unwrap(),
            metadata.finish_directory(inner.as_fd(), &wanted(0o1777)).unwrap(),
        ]
    });
    let Some(unset) = unset else { return };
    assert_eq!(unset, [Unset { special_bits: true, ..Unset::default() }; 3]);
    for (name, mode) in [("tool", 0o755), ("closed", 0), ("directory", 0o777)] {
        assert_eq!(fs::metadata(place.path().join(name)).unwrap().mode() & 0o7777, mode, "{name}");
    }
}

#[test]
fn a_mode_that_cannot_be_created_is_set_afterwards() {
    let place = tempfile::tempdir().unwrap();
    let directory = File::open(place.path()).unwrap();
    let made = refusing(&[(Call::CreateWithMode, Some(Errno::INVAL))], || {
        let mut metadata = metadata(&directory);
        let own = fs::metadata(place.path()).unwrap();
        let wanted = Attributes { uid: own.uid(), gid: own.gid(), ..wanted(0o644) };
        let file = metadata.create(directory.as_fd(), "file", &wanted, OFlags::WRONLY).unwrap();
        metadata.finish_file(file.as_fd(), &wanted).unwrap()
    });
    let Some(made) = made else { return };
    assert_eq!(made, Unset::default());
    assert_eq!(fs::metadata(place.path().join("file")).unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn a_setgid_directory_stays_one_where_its_group_is_right() {
    let place = tempfile::tempdir().unwrap();
    let own = fs::metadata(place.path()).unwrap();
    let inner = File::open(place.path()).unwrap();
    // As in a volume with an fsGroup: its root belongs to another user and to our group.
    let wanted = Attributes { gid: own.gid(), ..wanted(0o3775) };
    let unset = refusing(&[(Call::Chown, Some(Errno::PERM))], || {
        let mut metadata = metadata(&inner);
        metadata.finish_existing(inner.as_fd(), &wanted).unwrap()
    });
    let Some(unset) = unset else { return };
    assert_eq!(unset, Unset { owner: true, ..Unset::default() });
    assert_eq!(fs::metadata(place.path()).unwrap().mode() & 0o7777, 0o3775);
    // With another group it would be passed on to what is made there, and setuid is for owners.
    let both = Owned { uid: true, gid: true };
    for (owned, kind, mode, allowed) in [
        (both, Kind::File, 0o6755, 0o6755),
        (both, Kind::Directory, 0o7755, 0o7755),
        (Owned { uid: false, ..both }, Kind::Directory, 0o7755, 0o3755),
        (Owned { uid: false, ..both }, Kind::File, 0o7755, 0o1755),
        (Owned { gid: false, ..both }, Kind::Directory, 0o7755, 0o1755),
        (Owned { gid: false, ..both }, Kind::File, 0o7755, 0o1755),
    ] {
        assert_eq!(owned.allowed_mode(kind, mode), allowed, "{owned:?} {kind:?} {mode:o}");
    }
}

#[test]
fn an_existing_directory_that_is_right_is_not_told() {
    let place = tempfile::tempdir().unwrap();
    let inner = File::open(place.path()).unwrap();
    let stat = rustix::fs::fstat(&inner).unwrap();
    let modified = Timestamp::new(stat.st_mtime, stat.st_mtime_nsec as u32).unwrap();
    let wanted = Attributes { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, modified };
    let other = File::open(std::env::temp_dir()).unwrap();
    let defaults = metadata(&other).defaults;
    let unset = refusing(&ALL.map(|call| (call, Some(Errno::PERM))), || {
        Metadata::new(defaults, &Options::default()).finish_existing(inner.as_fd(), &wanted).unwrap()
    });
    assert!(unset.is_none_or(|unset| unset == Unset::default()), "{unset:?}");
}

#[test]
fn of_what_exists_only_that_is_set_which_differs() {
    let place = tempfile::tempdir().unwrap();
    let directory = File::open(place.path()).unwrap();
    let path = place.path().join("file");
    let file = File::create(&path).unwrap();
    let own = fs::metadata(place.path()).unwrap();
    let right = Attributes { uid: own.uid(), gid: own.gid(), ..wanted(0o640) };
    for (there, others) in [
        (Attributes { mode: 0o600, ..right }, [Call::Chown, Call::Utimes]),
        (Attributes { modified: Timestamp::default(), ..right }, [Call::Chown, Call::Chmod]),
    ] {
        assert_eq!(
            metadata(&directory).correct_file(file.as_fd(), &there, Side::Target).unwrap(),
            Unset::default()
        );
        // Whoever sets anything else fails.
        let unset = refusing(&others.map(|call| (call, Some(Errno::IO))), || {
            metadata(&directory).correct_file(file.as_fd(), &right, Side::Target).unwrap()
        });
        let Some(unset) = unset else { return };
        assert_eq!(unset, Unset::default());
        let stat = fs::metadata(&path).unwrap();
        assert_eq!((stat.mode() & 0o7777, stat.mtime(), stat.mtime_nsec()), (0o640, 1_500_000_000, 5));
    }
}

/// Counts system calls that a healthy file system would not need: a file whose owner and mode were seen to
/// hold costs none.
#[test]
fn what_held_once_is_not_looked_at_again() {
    let place = tempfile::tempdir().unwrap();
    let directory = File::open(place.path()).unwrap();
    let own = fs::metadata(place.path()).unwrap();
    let mut metadata = metadata(&directory);
    let wanted = Attributes { uid: own.uid(), gid: own.gid(), ..wanted(0o644) };
    let mut finish = |name: &str| {
        let file = metadata.create(directory.as_fd(), name, &wanted, OFlags::WRONLY).unwrap();
        metadata.finish_file(file.as_fd(), &wanted).unwrap()
    };
    assert_eq!(finish("first"), Unset::default());
    let seen = metadata.seen.clone();
    assert_eq!(seen, HashSet::from([Seen::Created(0o644), Seen::Time(Kind::File)]));
}
