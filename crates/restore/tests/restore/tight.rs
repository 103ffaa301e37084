//! Trees that are made up, restored over others on disks with hardly any room: everything gets to its place
//! if it can, and nothing wrong does if it cannot.
//!
//! `KOPIA_RS_RANDOM` is the number of rounds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kopia_codec::key::KeyDerivation;
use kopia_restore::{Error, Observer, Options};
use kopia_testkit::random::Random;
use kopia_testkit::refuse::Call;
use kopia_testkit::tmpfs;
use kopia_testkit::tree::{Compare, Kind, Tree, compare};
use kopia_testkit::writer::RepositoryWriter;
use rustix::io::Errno;

use crate::common::{Place, file, folder, mode, names, set_mode};
use crate::random::node::{Node, PIECE, What};
use crate::random::{Model, options};
use crate::resuming::{restore_with_worker_refusing, with_capabilities};

/// A file here takes one page, whatever its size.
const PAGE: u64 = 4096;

/// Room for everything.
const MUCH: u64 = 64 << 20;

/// Returns how many pages more are used once a tree is in the place of another.
fn growth(old: Option<&Node>, new: &Node) -> u64 {
    let old = old.map(|old| &old.what);
    match (&new.what, old) {
        (What::Folder(entries), _) => {
            let below = |name: &str| match old {
                Some(What::Folder(before)) => before.get(name),
                _ => None,
            };
            entries.iter().map(|(name, node)| growth(below(name), node)).sum()
        }
        (What::File(_), Some(What::File(before))) if !before.is_empty() => 0,
        (What::File(after), _) => u64::from(!after.is_empty()),
        _ => 0,
    }
}

/// The bytes of all files below a folder but those of unfinished folders, by path.
fn contents(target: &Path) -> BTreeMap<String, Option<String>> {
    let tree = Tree::scan(target);
    let files = tree
        .entries()
        .iter()
        .filter(|entry| entry.kind == Kind::File && !entry.path.starts_with(".kopia-rs-"));
    files.map(|entry| (entry.path.clone(), entry.sha256.clone())).collect()
}

/// Restores one made-up tree over another and returns what is wrong, and whether there was room.
fn round(seed: u64, mount: &Path) -> (Vec<String>, bool) {
    let mut random = Random::of(&format!("tight {seed}"));
    let new = Node::folder(&mut random, 0);
    let old = new.before(&mut random);
    let options = options(&mut random);
    let place = Place::in_memory();
    let mut writer = RepositoryWriter::new().piece_size(PIECE).key_derivation(KeyDerivation::TestingOnly);
    let root = new.entry(&mut writer, "data");
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    let ([target, outside], wanted) =
        (["target", "outside"].map(|name| mount.join(name)), place.path("wanted"));
    let elsewhere = place.path("elsewhere");
    [&outside, &elsewhere].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
    old.make(&target, &outside);
    let mut model = Model { options: &options, stuck: BTreeSet::new() };
    let mut merged = model.merged("", Some(&old), &new);
    let mut keeps = options.clone();
    keeps.delete_extra = false;
    if options.delete_extra && !model.stuck.is_empty() {
        // Nothing is deleted where not everything is restored.
        merged = Model { options: &keeps, stuck: BTreeSet::new() }.merged("", Some(&old), &new);
    }
    merged.make(&wanted, &elsewhere);

    let pages = random.within(0..8) as u64;
    // One file may be under way, and what it replaces is there until it is whole.
    let must_fit = pages > growth(Some(&old), &new);
    let before = contents(&target);
    tmpfs::resize(mount, tmpfs::used(mount) + pages * PAGE);
    let first = kopia_restore::restore(&root, &target, &options);
    let mut wrong = Vec::new();
    let fitted = match first {
        Ok(_) => true,
        Err(Error::NoRoom { ref unfinished, .. }) => {
            if must_fit {
                wrong.push(format!("{pages} pages are enough: {first:?}"));
            }
            if !unfinished.is_dir() {
                wrong.push("nothing is left to be taken up".to_owned());
            }
            let after = contents(&wanted);
            for (path, bytes) in contents(&target) {
                let mixed = options.in_place && before.contains_key(&path);
                if !mixed && ![before.get(&path), after.get(&path)].contains(&Some(&bytes)) {
                    wrong.push(format!("{path} is neither the older nor the newer one"));
                }
            }
            tmpfs::resize(mount, MUCH);
            if let Err(error) = kopia_restore::restore(&root, &target, &options) {
                wrong.push(format!("with room: {error:?}"));
            }
            false
        }
        Err(error) => {
            wrong.push(format!("{error:?}"));
            false
        }
    };
    wrong.extend(compare(&Tree::scan(&wanted), &Tree::scan(&target), &Compare::settable()));
    tmpfs::resize(mount, MUCH);
    for folder in [&target, &outside] {
        open_up(folder);
        fs::remove_dir_all(folder).unwrap();
    }
    let what = format!("round {seed}, {pages} pages, {options:?}");
    (wrong.iter().map(|wrong| format!("{what}: {wrong}")).collect(), fitted)
}

/// Lets an ordinary user delete closed folders.
fn open_up(folder: &Path) {
    set_mode(folder, 0o700);
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            open_up(&entry.path());
        }
    }
}

#[test]
fn any_tree_over_any_other_with_little_room() {
    let Some(mount) = tmpfs::mounted() else {
        let place = Place::new();
        fs::create_dir(place.path("mount")).unwrap();
        return tmpfs::rerun("tight::any_tree_over_any_other_with_little_room", &place.path("mount"));
    };
    let rounds = std::env::var("KOPIA_RS_RANDOM").map_or(200, |rounds| rounds.parse().unwrap());
    let (mut wrong, mut fitted) = (Vec::new(), 0);
    for seed in 0..rounds {
        let (more, fits) = round(seed, &mount);
        wrong.extend(more);
        fitted += u64::from(fits);
    }
    eprintln!("{fitted} of {rounds} had room");
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!((1..rounds).contains(&fitted), "{fitted} of {rounds} had room");
}

/// A folder in which three files, of eight pages each, replace those of an older one, and the repository's
/// root.
fn three_files(place: &Place) -> kopia_repository::Entry {
    place.root("repo", |writer| {
        let files = (0..3_u8).map(|number| {
            let object = writer.file(&[number + 1; 8 * PAGE as usize]);
            file(&format!("f{number}"), &object, 8 * PAGE as usize)
        });
        let files: Vec<_> = files.collect();
        folder("data", &writer.directory(&files))
    })
}

#[test]
fn what_is_replaced_makes_room_and_what_is_missing_is_said() {
    let Some(mount) = tmpfs::mounted() else {
        let place = Place::new();
        fs::create_dir(place.path("mount")).unwrap();
        let test = "tight::what_is_replaced_makes_room_and_what_is_missing_is_said";
        return tmpfs::rerun(test, &place.path("mount"));
    };
    let place = Place::new();
    let root = three_files(&place);
    let target = mount.join("target");
    for (pages, fits) in [(9, true), (8, true), (7, false)] {
        tmpfs::resize(&mount, MUCH);
        let _ = fs::remove_dir_all(&target);
        fs::create_dir(&target).unwrap();
        for number in 0..3 {
            fs::write(target.join(format!("f{number}")), [9; 8 * PAGE as usize]).unwrap();
        }
        tmpfs::resize(&mount, tmpfs::used(&mount) + pages * PAGE);
        match kopia_restore::restore(&root, &target, &Options::default()) {
            Ok(outcome) => assert!(fits && outcome.files == 3, "{outcome:?}"),
            Err(Error::NoRoom { missing, source, unfinished, .. }) => {
                assert!(!fits, "{pages} pages are enough");
                // One page short; what could not be written is gone, and the folder is kept out of backups.
                assert_eq!((missing, names(&unfinished)), (Some(2 * PAGE), vec!["CACHEDIR.TAG".to_owned()]));
                assert_eq!(source.raw_os_error(), Some(28));
                let tag = fs::read(unfinished.join("CACHEDIR.TAG")).unwrap();
                assert!(tag.starts_with(b"Signature: 8a477f597d28d172789f06886806bc55\n"));
                assert_eq!(tmpfs::used(&mount) / PAGE, 3 * 8 + 1);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Some file systems need room to remove something.
#[test]
fn what_a_full_disk_does_not_take_away_waits_for_room() {
    let Some(mount) = tmpfs::mounted() else {
        let place = Place::new();
        fs::create_dir(place.path("mount")).unwrap();
        let test = "tight::what_a_full_disk_does_not_take_away_waits_for_room";
        return tmpfs::rerun(test, &place.path("mount"));
    };
    let place = Place::new();
    let root = three_files(&place);
    let target = mount.join("target");
    fs::create_dir(&target).unwrap();
    let files = ["f0", "f1", "f2"].map(|name| target.join(name));
    files.iter().for_each(|path| fs::write(path, [9; 8 * PAGE as usize]).unwrap());
    tmpfs::resize(&mount, tmpfs::used(&mount) + 7 * PAGE);
    let refused = (Call::Unlink, Errno::NOSPC);
    let Some(ended) = restore_with_worker_refusing(&target, &root, refused, Options::default()) else {
        return;
    };
    assert!(matches!(ended, Err(Error::NoRoom { .. })), "{ended:?}");
    files.iter().for_each(|path| assert!(fs::read(path).unwrap() == [9; 8 * PAGE as usize]));
    tmpfs::resize(&mount, MUCH);
    let outcome = kopia_restore::restore(&root, &target, &Options::default()).unwrap();
    assert_eq!((outcome.files, outcome.problem_count), (3, 0), "{:?}", outcome.problems);
    for (number, path) in (1_u8..).zip(&files) {
        assert!(fs::read(path).unwrap() == [number; 8 * PAGE as usize], "{}", path.display());
    }
}

/// They keep the modes that they had, whichever options there are.
#[test]
fn what_is_noted_of_folders_that_only_names_have_makes_no_room() {
    let Some(mount) = tmpfs::mounted() else {
        let place = Place::new();
        fs::create_dir(place.path("mount")).unwrap();
        let test = "tight::what_is_noted_of_folders_that_only_names_have_makes_no_room";
        return tmpfs::rerun(test, &place.path("mount"));
    };
    // One that is known before room is short, and one that is known afterwards.
    for (folder_name, names) in [("a", ["a/f", "b", "c"]), ("z", ["b", "c", "z/f"])] {
        tmpfs::resize(&mount, MUCH);
        let place = Place::new();
        let root = place.root("repo", |writer| {
            let object = writer.file(&[1; 8 * PAGE as usize]);
            let files = names.map(|name| file(name, &object, 8 * PAGE as usize));
            folder("data", &writer.directory(&files))
        });
        let target = mount.join(format!("target {folder_name}"));
        let closed = target.join(folder_name);
        fs::create_dir_all(&closed).unwrap();
        names.iter().for_each(|name| fs::write(target.join(name), [9; 8 * PAGE as usize]).unwrap());
        set_mode(&closed, 0o500);
        tmpfs::resize(&mount, tmpfs::used(&mount) + 7 * PAGE);
        let ended = kopia_restore::restore(&root, &target, &Options::default());
        let Err(Error::NoRoom { unfinished, .. }) = &ended else { panic!("{ended:?}") };
        assert_eq!(mode(&closed), 0o500);
        // As if it had been killed instead: then it has not taken back what it noted.
        set_mode(&closed, 0o700);
        let notes = unfinished.join(unfinished.file_name().unwrap());
        let noted = fs::read_to_string(&notes).unwrap().replace(&format!("back {folder_name}\0"), "");
        fs::write(&notes, noted).unwrap();
        tmpfs::resize(&mount, MUCH);
        let outcome = kopia_restore::restore(&root, &target, &Options::default()).unwrap();
        assert_eq!((outcome.files, outcome.problem_count), (3, 0), "{:?}", outcome.problems);
        assert_eq!(mode(&closed), 0o500, "{folder_name}");
    }
}

/// Stops as soon as one of these is a folder.
struct Stopping([PathBuf; 2]);

impl Observer for Stopping {
    fn stop(&self) -> bool {
        self.0.iter().any(|path| path.is_dir())
    }
}

#[test]
fn a_folder_that_makes_room_has_its_attributes_before_the_end() {
    let Some(mount) = tmpfs::mounted() else {
        let place = Place::new();
        fs::create_dir(place.path("mount")).unwrap();
        let test = "tight::a_folder_that_makes_room_has_its_attributes_before_the_end";
        return tmpfs::rerun(test, &place.path("mount"));
    };
    let place = Place::new();
    let mut writer = RepositoryWriter::new();
    let folders = ["a", "z"].map(|name| {
        let object = writer.file(&[name.as_bytes()[0]; 8 * PAGE as usize]);
        let mut made = folder(name, &writer.directory(&[file("inner", &object, 8 * PAGE as usize)]));
        // It is still there to be finished at the end, where its owner may not read it any more.
        made["mode"] = "0311".into();
        made
    });
    let root = folder("data", &writer.directory(&folders));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    let target = mount.join("target");
    fs::create_dir(&target).unwrap();
    let folders = ["a", "z"].map(|name| target.join(name));
    folders.iter().for_each(|path| fs::write(path, [9; 8 * PAGE as usize]).unwrap());
    tmpfs::resize(&mount, tmpfs::used(&mount) + 11 * PAGE);
    let options = Options::default();
    let stopping = Stopping(folders.clone());
    let ended = kopia_restore::restore_observed(&root, &target, &options, &stopping);
    assert!(matches!(ended, Err(Error::Stopped { .. })), "{ended:?}");
    let placed: Vec<_> = folders.iter().filter(|path| path.is_dir()).map(mode).collect();
    assert_eq!(placed, [0o311], "one made room for the other");
    // From the start, with both to be placed before the end.
    for path in &folders {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
        let _ = fs::remove_dir_all(path);
        fs::write(path, [9; 8 * PAGE as usize]).unwrap();
    }
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert_eq!((outcome.problem_count, outcome.notes.modes), (0, 0), "{:?}", outcome.problems);
    assert_eq!(folders.each_ref().map(mode), [0o311; 2]);
    folders.iter().for_each(|path| set_mode(path, 0o700));
}

/// That would make no room.
#[test]
fn a_folder_that_replaces_nothing_is_moved_to_its_place_at_the_end_alone() {
    let Some(mount) = tmpfs::mounted() else {
        let place = Place::new();
        fs::create_dir(place.path("mount")).unwrap();
        let test = "tight::a_folder_that_replaces_nothing_is_moved_to_its_place_at_the_end_alone";
        return tmpfs::rerun(test, &place.path("mount"));
    };
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let (empty, full) = (writer.file(b""), writer.file(&[1; 8 * PAGE as usize]));
        let new = writer.directory(&[file("empty", &empty, 0)]);
        let entries = [folder("new", &new), file("f", &full, 8 * PAGE as usize)];
        folder("data", &writer.directory(&entries))
    });
    let target = mount.join("target");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("f"), [9; 8 * PAGE as usize]).unwrap();
    tmpfs::resize(&mount, tmpfs::used(&mount) + 7 * PAGE);
    let ended = kopia_restore::restore(&root, &target, &Options::default());
    let Err(Error::NoRoom { unfinished, .. }) = &ended else { panic!("{ended:?}") };
    assert!(unfinished.join("new/empty").exists() && !target.join("new").exists());
}

/// Root that may give files away has no rights in them then, unless it may do as it likes everywhere.
#[test]
fn a_folder_that_makes_room_and_is_given_away_is_no_problem_at_the_end() {
    let test = "tight::a_folder_that_makes_room_and_is_given_away_is_no_problem_at_the_end";
    let Some(mount) = tmpfs::mounted() else {
        let place = Place::new();
        fs::create_dir(place.path("mount")).unwrap();
        return tmpfs::rerun(test, &place.path("mount"));
    };
    let target = mount.join("target");
    let folders = ["a", "z"].map(|name| target.join(name));
    // Who lacks capabilities cannot do this, and finds it done.
    if !target.exists() {
        fs::create_dir(&target).unwrap();
        folders.iter().for_each(|path| fs::write(path, [9; 8 * PAGE as usize]).unwrap());
        tmpfs::resize(&mount, tmpfs::used(&mount) + 11 * PAGE);
    }
    if !with_capabilities("-all,+chown", test) {
        return;
    }
    let place = Place::new();
    let mut writer = RepositoryWriter::new();
    let entries = ["a", "z"].map(|name| {
        let object = writer.file(&[name.as_bytes()[0]; 8 * PAGE as usize]);
        let mut made = folder(name, &writer.directory(&[file("inner", &object, 8 * PAGE as usize)]));
        (made["mode"], made["uid"], made["gid"]) = ("0750".into(), 1000.into(), 1000.into());
        made
    });
    let root = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    let outcome = kopia_restore::restore(&root, &target, &Options::default()).unwrap();
    let notes = (outcome.notes.modes, outcome.notes.owners);
    assert_eq!((outcome.problem_count, notes), (0, (0, 0)), "{:?}", outcome.problems);
    for path in &folders {
        let found = fs::metadata(path).unwrap();
        assert_eq!((found.mode() & 0o7777, found.uid(), found.gid()), (0o750, 1000, 1000));
    }
}

/// Stops as soon as one of these has other bytes than before.
struct UntilReplaced([PathBuf; 3]);

impl Observer for UntilReplaced {
    fn stop(&self) -> bool {
        self.0.iter().any(|path| fs::read(path).is_ok_and(|bytes| bytes[0] != 9))
    }
}

#[test]
fn folders_that_entries_get_to_before_the_end_do_not_pass_for_newer_ones() {
    let Some(mount) = tmpfs::mounted() else {
        let place = Place::new();
        fs::create_dir(place.path("mount")).unwrap();
        let test = "tight::folders_that_entries_get_to_before_the_end_do_not_pass_for_newer_ones";
        return tmpfs::rerun(test, &place.path("mount"));
    };
    let place = Place::new();
    let mut writer = RepositoryWriter::new();
    let files = [0, 1, 2_u8].map(|number| {
        let object = writer.file(&[number + 1; 8 * PAGE as usize]);
        file(&format!("f{number}"), &object, 8 * PAGE as usize)
    });
    let inner = writer.directory(&files);
    let root = folder("data", &writer.directory(&[folder("d", &inner)]));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    let target = mount.join("target");
    let d = target.join("d");
    fs::create_dir_all(&d).unwrap();
    let files = ["f0", "f1", "f2"].map(|name| d.join(name));
    files.iter().for_each(|path| fs::write(path, [9; 8 * PAGE as usize]).unwrap());
    let earlier = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for folder in [&d, &target] {
        set_mode(folder, 0o711);
        File::open(folder).unwrap().set_modified(earlier).unwrap();
    }
    tmpfs::resize(&mount, tmpfs::used(&mount) + 10 * PAGE);
    let stopping = UntilReplaced(files);
    let ended = kopia_restore::restore_observed(&root, &target, &Options::default(), &stopping);
    assert!(matches!(ended, Err(Error::Stopped { .. })) && stopping.stop(), "{ended:?}");
    let modified = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!([&d, &target].map(modified), [earlier; 2]);
    tmpfs::resize(&mount, MUCH);
    let mut options = Options::default();
    options.newer = true;
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert_eq!(outcome.problem_count, 0, "{:?}", outcome.problems);
    assert_eq!([&d, &target].map(mode), [0o755; 2]);
    assert!([&d, &target].map(modified).iter().all(|time| *time > earlier));
}

#[test]
fn a_snapshots_own_tag_is_restored_and_ours_never_is() {
    let place = Place::new();
    for name in ["CACHEDIR.TAG", "cachedir.tag", "other"] {
        let repository = format!("repo-{name}");
        let root = place.root(&repository, |writer| {
            let tag = writer.file(b"the snapshot's");
            folder("data", &writer.directory(&[file(name, &tag, 14)]))
        });
        // One that was interrupted may have left ours.
        let target = format!("target-{name}");
        let left = place.path(&target).join(format!(".kopia-rs-restore-{}", root.object()));
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("CACHEDIR.TAG"), b"Signature: 8a477f597d28d172789f06886806bc55\n").unwrap();
        for _ in 0..2 {
            assert_eq!(place.restore(&root, &target).problem_count, 0);
            assert_eq!(names(&place.path(&target)), [name]);
            assert_eq!(fs::read(place.path(&target).join(name)).unwrap(), b"the snapshot's");
        }
    }
}

/// Stops before anything is planned.
struct AtOnce;

impl Observer for AtOnce {
    fn stop(&self) -> bool {
        true
    }
}

#[test]
fn ours_is_not_made_before_it_is_known_that_the_snapshot_has_none() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let tag = writer.file(b"the snapshot's");
        folder("data", &writer.directory(&[file("CACHEDIR.TAG", &tag, 14)]))
    });
    let ended = kopia_restore::restore_observed(&root, place.path("target"), &Options::default(), &AtOnce);
    let Err(Error::Stopped { unfinished }) = &ended else { panic!("{ended:?}") };
    assert!(unfinished.is_dir() && !unfinished.join("CACHEDIR.TAG").exists());
}

#[test]
fn what_was_changed_in_place_is_named_where_room_runs_out() {
    let Some(mount) = tmpfs::mounted() else {
        let place = Place::new();
        fs::create_dir(place.path("mount")).unwrap();
        let test = "tight::what_was_changed_in_place_is_named_where_room_runs_out";
        return tmpfs::rerun(test, &place.path("mount"));
    };
    // Pieces of a page each, of which the last does not fit.
    const PAGES: usize = 32;
    let new: Vec<u8> = (0..PAGES).flat_map(|page| [page as u8 + 1; PAGE as usize]).collect();
    let place = Place::new();
    let mut writer = RepositoryWriter::new().piece_size(PAGE as usize);
    let bytes = writer.file(&new);
    let inner = writer.directory(&[file("large", &bytes, new.len())]);
    let root = folder("data", &writer.directory(&[folder("d", &inner)]));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    let target = mount.join("target");
    fs::create_dir_all(target.join("d")).unwrap();
    fs::write(target.join("d/large"), [200; 8 * PAGE as usize]).unwrap();
    tmpfs::resize(&mount, tmpfs::used(&mount) + 10 * PAGE);
    let mut options = Options::default();
    options.in_place = true;
    let ended = kopia_restore::restore(&root, &target, &options);
    let Err(Error::NoRoom { mixed, missing, in_place_helps, .. }) = ended else { panic!("{ended:?}") };
    assert_eq!((mixed, in_place_helps), (vec!["d/large".to_owned()], false));
    let found = fs::read(target.join("d/large")).unwrap();
    assert!(found != [200; 8 * PAGE as usize] && found != new);
    // What the file has already needs no room: so much more is enough.
    let missing = missing.unwrap();
    assert!((14 * PAGE..=18 * PAGE).contains(&missing), "{missing}");
    tmpfs::resize(&mount, tmpfs::used(&mount) + missing + 6 * PAGE);
    assert_eq!(kopia_restore::restore(&root, &target, &options).unwrap().problem_count, 0);
    assert!(fs::read(target.join("d/large")).unwrap() == new);
}
