//! What the snapshot does not have, deleted where that is asked for.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use kopia_repository::Entry;
use kopia_restore::{Options, Outcome};

use crate::common::{Place, file, folder, names, problems};

/// `d/f` and `f` with "hello".
fn root(place: &Place) -> Entry {
    place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let inner = writer.directory(&[file("f", &bytes, 5)]);
        folder("data", &writer.directory(&[folder("d", &inner), file("f", &bytes, 5)]))
    })
}

fn mirror(place: &Place, root: &Entry, keep_lost_found: bool) -> Outcome {
    let mut options = Options::default();
    (options.delete_extra, options.keep_lost_found) = (true, keep_lost_found);
    kopia_restore::restore(root, place.path("target"), &options).unwrap()
}

#[test]
fn extras_go_and_nothing_outside() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("outside")).unwrap();
    fs::write(place.path("outside/kept"), b"precious").unwrap();
    fs::create_dir_all(place.path("target/d/old/deep/deeper")).unwrap();
    fs::write(place.path("target/d/old/deep/deeper/file"), b"x").unwrap();
    fs::write(place.path("target/d/g"), b"x").unwrap();
    symlink(place.path("outside"), place.path("target/link")).unwrap();
    symlink(place.path("outside"), place.path("target/d/old/link")).unwrap();
    fs::create_dir(place.path("target/lost+found")).unwrap();
    for path in ["target/d/old/deep/deeper", "target/d/old"] {
        fs::set_permissions(place.path(path), fs::Permissions::from_mode(0o500)).unwrap();
    }
    let outcome = mirror(&place, &root, true);
    assert_eq!((outcome.problem_count, outcome.deleted), (0, 3), "{:?}", problems(&outcome));
    assert_eq!(names(&place.path("target")), ["d", "f", "lost+found"]);
    assert_eq!(names(&place.path("target/d")), ["f"]);
    assert_eq!(fs::read(place.path("outside/kept")).unwrap(), b"precious");
    let outcome = mirror(&place, &root, false);
    assert_eq!((outcome.deleted, outcome.kept), (1, 2));
    assert_eq!(names(&place.path("target")), ["d", "f"]);
}

#[test]
fn lost_and_found_is_kept_only_as_a_folder_of_the_root() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("target/d/lost+found")).unwrap();
    fs::write(place.path("target/lost+found"), b"a file").unwrap();
    assert_eq!(mirror(&place, &root, true).deleted, 2);
    assert_eq!(names(&place.path("target")), ["d", "f"]);
}

#[test]
fn full_folders_in_the_way_go_too() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("target/f/full")).unwrap();
    let outcome = mirror(&place, &root, false);
    assert_eq!((outcome.problem_count, outcome.deleted), (0, 1), "{:?}", problems(&outcome));
    assert_eq!(fs::read(place.path("target/f")).unwrap(), b"hello");
}

#[test]
fn nothing_is_deleted_where_the_snapshots_folder_cannot_be_read() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        // The list of the folder is damaged behind its first entry.
        let whole = writer.directory(&[file("f", &bytes, 5), file("g", &bytes, 5)]);
        let id = whole.parse::<kopia_format::ObjectId>().unwrap().content();
        let list = br#"{"stream":"kopia:directory","entries":[{"name":"f","type":"f","size":5,"obj":"#;
        writer.forge(id, list);
        folder("data", &writer.directory(&[folder("d", &whole), file("f", &bytes, 5)]))
    });
    fs::create_dir_all(place.path("target/d")).unwrap();
    for path in ["target/d/g", "target/d/other", "target/extra"] {
        fs::write(place.path(path), b"mine").unwrap();
    }
    let outcome = mirror(&place, &root, false);
    assert_eq!((outcome.problem_count, outcome.deleted), (1, 1), "{:?}", problems(&outcome));
    assert_eq!(names(&place.path("target/d")), ["g", "other"]);
    assert_eq!(names(&place.path("target")), ["d", "f"]);
}

#[test]
fn a_file_that_is_lost_keeps_what_the_target_has() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("target")).unwrap();
    fs::write(place.path("target/f"), b"older").unwrap();
    for pack in kopia_testkit::damage::blobs(&place.path("repo"), "p") {
        pack.delete();
    }
    let outcome = mirror(&place, &root, false);
    assert_eq!((outcome.problem_count, outcome.deleted), (2, 0), "{:?}", problems(&outcome));
    assert_eq!(fs::read(place.path("target/f")).unwrap(), b"older");
}

/// What a backup that could not read everything left of a folder with `f`.
fn partly_read(place: &Place, summary: &str) -> Entry {
    place.root("repo", |writer| {
        let hello = file("f", &writer.file(b"hello"), 5);
        let list = format!(r#"{{"stream":"kopia:directory","entries":[{hello}],"summary":{summary}}}"#);
        folder("data", &writer.object(Some('k'), list.as_bytes()).to_string())
    })
}

#[test]
fn what_the_backup_could_not_read_is_no_extra() {
    for (summary, deleted, problem) in [
        (
            r#"{"numFailed":1,"errors":[{"path":"secret","error":"permission denied"}]}"#,
            1,
            "secret: the backup could not read it, so it is not deleted",
        ),
        (
            r#"{"numIgnoredErrors":2,"errors":[{"path":"other","error":"permission denied"}]}"#,
            0,
            "the backup could not read entries that it does not name, so nothing is deleted in it",
        ),
        (
            r#"{"incomplete":"canceled"}"#,
            0,
            "its backup did not come to its end, so nothing is deleted in it",
        ),
    ] {
        let place = Place::new();
        let root = partly_read(&place, summary);
        fs::create_dir_all(place.path("target/secret/deep")).unwrap();
        fs::write(place.path("target/extra"), b"x").unwrap();
        let mut options = Options::default();
        options.delete_extra = true;
        let preview = kopia_restore::preview(&root, place.path("target"), &options, |_| ()).unwrap();
        assert_eq!((preview.deleted, preview.problems.len()), (deleted, 1), "{summary}");
        let outcome = mirror(&place, &root, false);
        assert_eq!(outcome.deleted, deleted, "{summary}");
        let told = problems(&outcome);
        assert!(told.len() == 1 && told[0].ends_with(problem), "{told:?}");
        assert!(place.path("target/secret/deep").is_dir());
        assert_eq!(place.path("target/extra").exists(), deleted == 0);
    }
}

/// Changes the target as soon as the first bytes are written.
struct Meanwhile<F>(std::sync::Once, F);

impl<F: Fn() + Sync> kopia_restore::Observer for Meanwhile<F> {
    fn bytes(&self, _: u64) {
        self.0.call_once(&self.1);
    }
}

#[test]
fn nothing_is_deleted_in_a_folder_that_took_the_place_of_another() {
    let place = Place::new();
    let root = root(&place);
    for path in ["target/d", "other"] {
        fs::create_dir_all(place.path(path)).unwrap();
        fs::write(place.path(path).join("g"), path).unwrap();
    }
    let swap = || {
        fs::rename(place.path("target/d"), place.path("was")).unwrap();
        fs::rename(place.path("other"), place.path("target/d")).unwrap();
    };
    let observer = Meanwhile(std::sync::Once::new(), swap);
    let mut options = Options::default();
    options.delete_extra = true;
    let outcome = kopia_restore::restore_observed(&root, place.path("target"), &options, &observer).unwrap();
    assert_eq!(outcome.deleted, 0, "{:?}", problems(&outcome));
    assert_eq!(fs::read(place.path("target/d/g")).unwrap(), b"other");
}

#[test]
fn what_came_meanwhile_is_not_replaced_where_nothing_may_be() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("target")).unwrap();
    let observer = Meanwhile(std::sync::Once::new(), || fs::write(place.path("target/f"), b"mine").unwrap());
    let mut options = Options::default();
    options.existing = kopia_restore::Existing::Error;
    let outcome = kopia_restore::restore_observed(&root, place.path("target"), &options, &observer).unwrap();
    assert_eq!(problems(&outcome), ["f: it exists already"]);
    assert_eq!(fs::read(place.path("target/f")).unwrap(), b"mine");
}
