//! Names with `/`: restored below the target, part by part, and never outside it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use kopia_repository::Defect;
use kopia_repository::Entry;
use kopia_repository::Shard;
use kopia_restore::{Action, Options, Outcome, Portion, Preview, Reason, preview};
use kopia_testkit::writer::RepositoryWriter;

use crate::common::{Place, assert_same, file, folder, link, mode, names, problems, set_mode};

/// A folder of its own, one that names share with it, one that only names have, and a name that leads out.
fn root(place: &Place) -> Entry {
    root_with(place, true)
}

/// As [`root`], with the name that leads out or without.
fn root_with(place: &Place, leads_out: bool) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(500);
    let (hello, long) = (writer.file(b"hello"), writer.file(&[7; 1200]));
    let inner = writer.directory(&[file("own", &hello, 5)]);
    let mut entries = vec![
        folder("dev", &inner),
        file("/dev/nvme1n1", &long, 1200),
        file("../up", &hello, 5),
        file("plain", &hello, 5),
        file("var/lib/db.tar", &hello, 5),
        link("var/lib/link", &hello),
        file("var/log", &long, 1200),
    ];
    if !leads_out {
        entries.remove(2);
    }
    let root = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", root);
    place.finish("repo", writer)
}

fn restore(place: &Place, root: &Entry, change: impl FnOnce(&mut Options)) -> Outcome {
    let mut options = Options::default();
    change(&mut options);
    kopia_restore::restore(root, place.path("target"), &options).unwrap()
}

fn actions(place: &Place, root: &Entry, options: &Options) -> (Preview, Vec<(String, Action)>) {
    let mut changes = Vec::new();
    let preview = preview(root, place.path("target"), options, |change| {
        changes.push((change.path.clone(), change.action));
    });
    changes.sort_by(|a, b| a.0.cmp(&b.0));
    (preview.unwrap(), changes)
}

#[track_caller]
fn assert_restored(place: &Place) {
    let path = |name: &str| place.path("target").join(name);
    assert_eq!(names(&path("")), ["dev", "plain", "var"]);
    assert_eq!(
        (names(&path("dev")), names(&path("var"))),
        (vec!["nvme1n1".into(), "own".into()], vec!["lib".into(), "log".into()])
    );
    assert_eq!(fs::read(path("dev/nvme1n1")).unwrap(), [7; 1200]);
    assert_eq!(fs::read(path("var/log")).unwrap(), [7; 1200]);
    assert_eq!(fs::read(path("var/lib/db.tar")).unwrap(), b"hello");
    assert_eq!(fs::read_link(path("var/lib/link")).unwrap().to_str(), Some("hello"));
    let stat = fs::metadata(path("var/lib")).unwrap();
    assert_eq!(stat.permissions().mode() & 0o7777 & !0o755, 0, "as of a folder that is made on the way");
    assert_eq!(stat.uid(), rustix::process::geteuid().as_raw());
    assert!(!place.path("up").exists());
}

#[test]
fn they_are_restored_part_by_part_and_found_at_rest() {
    let place = Place::new();
    let root = root(&place);
    let (seen, changes) = actions(&place, &root, &Options::default());
    assert_eq!((seen.written, seen.directories, seen.problem_count), (6, 3, 1));
    assert!(changes.contains(&("var/lib/db.tar".into(), Action::Write)), "{changes:?}");
    let outcome = restore(&place, &root, |_| ());
    let [problem] = &problems(&outcome)[..] else { panic!("{:?}", problems(&outcome)) };
    assert!(problem.starts_with("../up: would leave its folder; its bytes are in object "), "{problem}");
    let reason = &outcome.problems[0].reason;
    assert!(matches!(reason, Reason::Defect(Defect::Refused(refused)) if refused.object.is_some()));
    assert_eq!((outcome.files, outcome.symlinks), (5, 1));
    assert_restored(&place);
    let again = restore(&place, &root, |_| ());
    assert_eq!((again.files, again.kept, again.problem_count), (0, 6, 1));
    let (seen, _) = actions(&place, &root, &Options::default());
    assert_eq!((seen.written, seen.kept), (0, 6));
    assert_restored(&place);
}

#[test]
fn folders_that_only_names_have_inherit_setgid_as_any_that_is_made() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir(place.path("target")).unwrap();
    chown(place.path("target"), None, Some(rustix::process::getegid().as_raw())).unwrap();
    for (before, has_setgid) in [(0o2775, true), (0o775, false)] {
        set_mode(place.path("target"), before);
        fs::create_dir(place.path("target/made")).unwrap();
        let expected = mode(place.path("target/made"));
        fs::remove_dir(place.path("target/made")).unwrap();
        assert_eq!(expected & 0o2000 != 0, has_setgid);
        let outcome = restore(&place, &root, |options| options.root_attributes = false);
        assert_eq!((outcome.notes.special_bits, outcome.notes.modes), (0, 0));
        for name in ["target/var", "target/var/lib"] {
            assert_eq!(mode(place.path(name)), expected & 0o7755, "{name} in {before:o}");
        }
        // The snapshot has this one, and says what it is like.
        assert_eq!(mode(place.path("target/dev")), 0o755);
        for name in ["target/var", "target/dev"] {
            fs::remove_dir_all(place.path(name)).unwrap();
        }
    }
}

#[test]
fn a_part_of_them_is_restored_by_its_path() {
    let place = Place::new();
    let root = root(&place);
    let outcome =
        kopia_restore::restore(&root.at("dev/nvme1n1").unwrap(), place.path("out"), &Options::default());
    assert_eq!(outcome.unwrap().files, 1);
    assert_eq!(fs::read(place.path("out")).unwrap(), [7; 1200]);
    fs::create_dir(place.path("in")).unwrap();
    let before = fs::metadata(place.path("in")).unwrap();
    set_mode(place.path("in"), 0o700);
    for path in ["var", "dev/nvme1n1"] {
        let outcome = kopia_restore::restore(&root.at(path).unwrap(), place.path("in"), &Options::default());
        assert_eq!(problems(&outcome.unwrap()), [""; 0]);
    }
    assert_eq!(names(&place.path("in")), ["lib", "log", "nvme1n1"]);
    let after = fs::metadata(place.path("in")).unwrap();
    assert_eq!((after.permissions().mode() & 0o7777, after.uid()), (0o700, before.uid()));
}

#[test]
fn folders_that_only_names_have_are_no_extras_and_stay_as_they_are() {
    let place = Place::new();
    // Nothing is deleted where an entry is refused.
    let root = root_with(&place, false);
    let path = |name: &str| place.path("target").join(name);
    fs::create_dir_all(path("var/lib/extra")).unwrap();
    fs::create_dir_all(path("dev")).unwrap();
    fs::write(path("dev/extra"), b"").unwrap();
    set_mode(path("var"), 0o751);
    let mut options = Options::default();
    options.delete_extra = true;
    let (_, changes) = actions(&place, &root, &options);
    let deleted: Vec<_> = changes.iter().filter(|(_, action)| *action == Action::Delete).collect();
    assert_eq!(deleted.iter().map(|(path, _)| &**path).collect::<Vec<_>>(), ["dev/extra", "var/lib/extra"]);
    fs::remove_dir(path("var/lib/extra")).unwrap();
    restore(&place, &root, |options| options.delete_extra = true);
    assert_eq!(mode(path("var")), 0o751);
    assert_eq!(
        (names(&path("var/lib")), names(&path("var"))),
        (vec!["db.tar".into(), "link".into()], vec!["lib".into(), "log".into()])
    );
}

#[test]
fn links_in_the_target_lead_nowhere() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("outside/lib")).unwrap();
    fs::create_dir(place.path("target")).unwrap();
    symlink("../outside", place.path("target/var")).unwrap();
    restore(&place, &root, |_| ());
    assert_restored(&place);
    assert_eq!(names(&place.path("outside/lib")), [""; 0]);
}

#[test]
fn shards_make_them_too() {
    let place = Place::new();
    let root = root(&place);
    restore(&place, &root, |_| ());
    fs::rename(place.path("target"), place.path("whole")).unwrap();
    for number in 0..3 {
        restore(&place, &root, |options| options.portion = Portion::Shard(Shard::new(number, 3).unwrap()));
    }
    let outcome = restore(&place, &root, |options| options.portion = Portion::Finish(3));
    assert_eq!(
        (outcome.files, outcome.symlinks, outcome.problem_count),
        (5, 1, 1),
        "{:?}",
        problems(&outcome)
    );
    assert_restored(&place);
    assert_same(&place.path("whole"), &place.path("target"));
}

#[test]
fn a_file_whose_snapshot_gives_it_no_name_or_a_path_is_restorable() {
    let place = Place::new();
    for (number, (name, source, expected)) in [
        ("", "app@host:/srv/disk.img", "disk.img"),
        ("/dev/nvme1n1", "app@host:/legacy", "nvme1n1"),
        ("..", "app@host:/srv/db/", "db"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut writer = RepositoryWriter::new();
        let hello = writer.file(b"hello");
        writer.snapshot(source, file(name, &hello, 5));
        let root = place.finish(&format!("repo{number}"), writer);
        let target = place.path(&format!("target{number}"));
        fs::create_dir(&target).unwrap();
        let outcome = kopia_restore::restore(&root, &target, &Options::default()).unwrap();
        assert_eq!((problems(&outcome), outcome.files), (vec![], 1), "{name:?}");
        assert_eq!(names(&target), [expected], "{name:?}");
    }
}
