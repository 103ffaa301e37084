//! What was seen to hold once says nothing of what may be otherwise the next time.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown, symlink};
use std::path::Path;
use std::process::Command;

use kopia_testkit::refuse::{Call, refusing};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::super::probe::ProbedDefaults;
use super::*;
use crate::Options;
use crate::destination::Side;

/// An owner that nothing has here by itself.
const OTHER: (u32, u32) = (4242, 4243);
const RIGHT: Unset = Unset { owner: false, special_bits: false, mode: false, time: false };

/// A directory of the test's own, and its way of setting attributes.
struct Place {
    dir: tempfile::TempDir,
    handle: File,
    own: (u32, u32),
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let handle = File::open(dir.path()).unwrap();
        let made = fs::metadata(dir.path()).unwrap();
        Self { dir, handle, own: (made.uid(), made.gid()) }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn metadata(&self) -> Metadata {
        Metadata::new(ProbedDefaults::probe(self.handle.as_fd()).unwrap(), &Options::default())
    }

    fn make(&self, metadata: &Metadata, name: &str, wanted: &Attributes) -> File {
        metadata.create(self.handle.as_fd(), name, wanted, OFlags::WRONLY).unwrap().into()
    }

    /// Makes and finishes a file.
    fn file(&self, metadata: &mut Metadata, name: &str, wanted: &Attributes) -> Unset {
        let file = self.make(metadata, name, wanted);
        metadata.finish_file(file.as_fd(), wanted).unwrap()
    }

    /// Makes a directory that is closed to others, and finishes it.
    fn directory(&self, metadata: &mut Metadata, name: &str, wanted: &Attributes) -> Unset {
        let path = self.path().join(name);
        rustix::fs::mkdir(&path, rustix::fs::Mode::RWXU).unwrap();
        metadata.finish_directory(File::open(path).unwrap().as_fd(), wanted).unwrap()
    }

    /// Lets the owner of an entry do everything with it.
    fn open_up(&self, name: &str) {
        fs::set_permissions(self.path().join(name), fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Returns owner and mode of an entry.
    fn found(&self, name: &str) -> ((u32, u32), u32) {
        let found = fs::symlink_metadata(self.path().join(name)).unwrap();
        ((found.uid(), found.gid()), found.mode() & 0o7777)
    }
}

fn wanted((uid, gid): (u32, u32), mode: u32) -> Attributes {
    Attributes { mode, uid, gid, modified: Timestamp::new(1_500_000_000, 5).unwrap() }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        kopia_testkit::facilities::left_out("only root can give files away");
    }
    is_root
}

/// As on a file system that forgets some of the modes that files are made with.
#[test]
fn a_mode_that_a_file_was_made_with_in_vain_is_set() {
    let place = Place::new();
    for owner in [place.own, OTHER] {
        let mut metadata = place.metadata();
        let wanted = wanted(owner, 0o644);
        for number in 0..2 {
            let name = format!("{}-{number}", owner.0);
            let file = place.make(&metadata, &name, &wanted);
            file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
            assert!(!metadata.finish_file(file.as_fd(), &wanted).unwrap().mode, "{name}");
            assert_eq!(place.found(&name).1, 0o644, "{name}");
        }
    }
}

#[test]
fn what_files_of_one_owner_are_made_with_says_nothing_of_another() {
    let place = Place::new();
    let mut metadata = place.metadata();
    for (name, owner) in [("own", place.own), ("other", OTHER), ("own again", place.own), ("more", OTHER)] {
        let unset = place.file(&mut metadata, name, &wanted(owner, 0o644));
        assert_eq!(unset.owner, place.found(name).0 != owner, "{name}");
    }
}

/// One that an interrupted restore had finished may have its special bits already.
#[test]
fn special_bits_of_one_file_say_nothing_of_the_next() {
    let place = Place::new();
    let mut metadata = place.metadata();
    let wanted = wanted(place.own, 0o4755);
    let finished = place.make(&metadata, "finished", &wanted);
    finished.set_permissions(fs::Permissions::from_mode(0o4755)).unwrap();
    assert_eq!(metadata.finish_file(finished.as_fd(), &wanted).unwrap(), RIGHT);
    assert_eq!(place.file(&mut metadata, "next", &wanted), RIGHT);
    assert_eq!(place.found("next").1, 0o4755);
}

#[test]
fn a_directory_of_the_wrong_owner_has_neither_setuid_nor_setgid() {
    let answers = [Some(Errno::PERM), None];
    for (answer, permissions) in answers.into_iter().flat_map(|answer| [(answer, 0o755), (answer, 0)]) {
        let place = Place::new();
        let wanted = wanted(OTHER, 0o7000 | permissions);
        let unset = refusing(&[(Call::Chown, answer)], || {
            let mut metadata = place.metadata();
            ["a", "b"].map(|name| place.directory(&mut metadata, name, &wanted))
        });
        let Some(unset) = unset else { return };
        assert_eq!(unset, [Unset { owner: true, special_bits: true, ..RIGHT }; 2], "{answer:?}");
        let found = ["a", "b"].map(|name| place.found(name).1);
        assert_eq!(found, [0o1000 | permissions; 2], "{answer:?}");
        // So that an ordinary user can remove them.
        ["a", "b"].iter().for_each(|name| place.open_up(name));
    }
}

#[test]
fn special_bits_are_looked_at_although_they_held_before() {
    let place = Place::new();
    let kinds = [("directory", Place::directory as Set), ("file", Place::file)];
    for ((kind, set), mode) in kinds.into_iter().flat_map(|kind| [(kind, 0o1755), (kind, 0o7000)]) {
        let mut metadata = place.metadata();
        let wanted = wanted(place.own, mode);
        let [first, second] = ["first", "second"].map(|which| format!("{which} {kind} {mode:o}"));
        assert_eq!(set(&place, &mut metadata, &first, &wanted), RIGHT, "{first}");
        // So that an ordinary user can remove it.
        place.open_up(&first);
        let unset = refusing(&[(Call::Chmod, None)], || set(&place, &mut metadata, &second, &wanted));
        let Some(unset) = unset else { return };
        assert_eq!(unset, Unset { special_bits: true, mode: true, ..RIGHT }, "{second}");
    }
}

type Set = fn(&Place, &mut Metadata, &str, &Attributes) -> Unset;

/// Tells the run of the same test that it lacks the capability.
const WITHOUT_FSETID: &str = "KOPIA_RS_TEST_WITHOUT_FSETID";

/// Without the capability FSETID, setting a mode drops setgid where the group is not one's own.
#[test]
fn a_setgid_directory_of_any_group_stays_one_without_fsetid() {
    if std::env::var_os(WITHOUT_FSETID).is_none() {
        let test =
            "destination::metadata::set::tests::a_setgid_directory_of_any_group_stays_one_without_fsetid";
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps=-fsetid", "--bounding-set=-fsetid"]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", test]).env(WITHOUT_FSETID, "1");
        kopia_testkit::facilities::once_more(&mut command, "only root can drop capabilities, with setpriv");
        return;
    }
    let place = Place::new();
    let mut metadata = place.metadata();
    let [own, other] = [place.own, (place.own.0, OTHER.1)].map(|owner| wanted(owner, 0o2755));
    for (name, wanted) in [("own", &own), ("other", &other), ("more", &other)] {
        assert_eq!(place.directory(&mut metadata, name, wanted), RIGHT, "{name}");
        assert_eq!(place.found(name), ((wanted.uid, wanted.gid), 0o2755), "{name}");
    }
    // A file gets its mode when it has its owner.
    assert_eq!(place.file(&mut metadata, "own file", &own), RIGHT);
    let unset = place.file(&mut metadata, "other file", &other);
    assert_eq!((unset, place.found("other file").1), (Unset { special_bits: true, ..RIGHT }, 0o755));
}

#[test]
fn what_did_not_hold_is_looked_at_again() {
    let place = Place::new();
    let mut metadata = place.metadata();
    let unset = refusing(&[(Call::Chmod, None)], || {
        ["first", "second"].map(|name| place.directory(&mut metadata, name, &wanted(place.own, 0o711)))
    });
    assert!(unset.is_none_or(|unset| unset == [Unset { mode: true, ..RIGHT }; 2]), "{unset:?}");
    let mut metadata = place.metadata();
    let unset = refusing(&[(Call::Chown, None)], || {
        ["third", "fourth"].map(|name| place.file(&mut metadata, name, &wanted(OTHER, 0o644)))
    });
    assert!(unset.is_none_or(|unset| unset == [Unset { owner: true, ..RIGHT }; 2]), "{unset:?}");
}

#[test]
fn the_owner_of_a_setuid_file_is_looked_at_although_it_could_be_set_before() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut metadata = place.metadata();
    assert_eq!(place.file(&mut metadata, "plain", &wanted(OTHER, 0o644)), RIGHT);
    assert_eq!(place.found("plain"), (OTHER, 0o644));
    for permissions in [0o755, 0] {
        let (name, wanted) = (format!("tool {permissions:o}"), wanted(OTHER, 0o6000 | permissions));
        let unset = refusing(&[(Call::Chown, None)], || place.file(&mut metadata, &name, &wanted));
        let Some(unset) = unset else { return };
        assert_eq!(unset, Unset { owner: true, special_bits: true, ..RIGHT }, "{name}");
        assert_eq!(place.found(&name), (place.own, permissions), "{name}");
    }
}

/// `chown` takes it for leave to keep the present owner.
#[test]
fn the_owner_that_cannot_be_named_is_not_set_and_its_group_is() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut metadata = place.metadata();
    for name in ["a", "b"] {
        let unset = place.directory(&mut metadata, name, &wanted((u32::MAX, OTHER.1), 0o6775));
        assert_eq!(unset, Unset { owner: true, special_bits: true, ..RIGHT }, "{name}");
        // With the right group a directory may pass it on.
        assert_eq!(place.found(name), ((place.own.0, OTHER.1), 0o2775), "{name}");
    }
}

/// As below a directory that passes its group on.
#[test]
fn a_new_file_of_another_group_than_new_files_have_is_told() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut metadata = place.metadata();
    let wanted = wanted(place.own, 0o644);
    let file = place.make(&metadata, "file", &wanted);
    fchown(&file, None, Some(OTHER.1)).unwrap();
    let refused = [(Call::Chown, Some(Errno::PERM))];
    let unset = refusing(&refused, || metadata.finish_file(file.as_fd(), &wanted).unwrap());
    assert!(unset.is_none_or(|unset| unset == Unset { owner: true, ..RIGHT }), "{unset:?}");
}

#[test]
fn times_that_may_be_cut_off_are_looked_at_although_others_held() {
    let place = Place::new();
    // 1969, 1970, 2026, 2038, 2100; where times are not exact, each may be another.
    for (exact, seconds) in [
        (true, -1),
        (true, 1 << 31),
        (true, 4_102_444_800),
        (false, 0),
        (false, 1_796_000_000),
        (false, 4_102_444_800),
    ] {
        let mut metadata = place.metadata();
        metadata.defaults.exact_times = exact;
        let name = |part: &str| format!("{part} {exact} {seconds}");
        let usual = wanted(place.own, 0o644);
        assert_eq!(place.file(&mut metadata, &name("first"), &usual), RIGHT);
        let odd = Attributes { modified: Timestamp::new(seconds, 0).unwrap(), ..usual };
        let unset = refusing(&[(Call::Utimes, None)], || place.file(&mut metadata, &name("second"), &odd));
        assert!(unset.is_none_or(|unset| unset == Unset { time: true, ..RIGHT }), "{}", name(""));
    }
}

#[test]
fn a_symlink_has_no_mode_that_could_be_wrong() {
    let place = Place::new();
    symlink("nowhere", place.path().join("link")).unwrap();
    let stat = rustix::fs::lstat(place.path().join("link")).unwrap();
    let mut metadata = place.metadata();
    let (directory, wanted) = (place.handle.as_fd(), wanted(OTHER, 0o4644));
    let corrected = metadata.correct_symlink(directory, "link", &stat, &wanted, Side::Target);
    assert_eq!(corrected.unwrap(), Unset { owner: place.found("link").0 != OTHER, ..RIGHT });
}
