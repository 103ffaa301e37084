//! What the snapshot does not have, deleted where that is asked for.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use kopia_repository::Entry;
use kopia_repository::choice::Choice;
use kopia_restore::{Error, Options, Outcome, Problem};
use kopia_testkit::refuse::{Call, refusing};
use rustix::io::Errno;

use crate::common::{Place, file, folder, names, problems, set_mode};
use crate::resuming::with_capabilities;

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
        set_mode(place.path(path), 0o500);
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
fn what_the_snapshot_has_without_the_bytes_of_its_name_is_no_extra() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let summary = r#"{"numIgnoredErrors":1,"errors":[{"path":"s\ufffd","error":"no"}]}"#;
        let stub =
            r#"{"info":"i","error":"e","entry":{"name":"a\ufffd","type":"f","mode":"0644","obj":"0a1b"}}"#;
        let stub = file(".INVALID.a\u{fffd}", &writer.file(stub.as_bytes()), stub.len());
        let hello = file("caf\u{fffd}", &bytes, 5);
        let list =
            format!(r#"{{"stream":"kopia:directory","entries":[{stub},{hello}],"summary":{summary}}}"#);
        folder("data", &writer.object(Some('k'), list.as_bytes()).to_string())
    });
    fs::create_dir(place.path("target")).unwrap();
    let live = |name: &[u8]| place.path("target").join(OsStr::from_bytes(name));
    for name in [&b"caf\xe9"[..], b"s\xff", b"a\xff", b"extra\xff"] {
        fs::write(live(name), "the only copy").unwrap();
    }
    let mut options = Options::default();
    options.delete_extra = true;
    let seen = kopia_restore::preview(&root, place.path("target"), &options, |_| ()).unwrap();
    let outcome = mirror(&place, &root, false);
    for problems in [&seen.problems, &outcome.problems] {
        let told = problems.iter().map(|problem| (&*problem.path, problem.reason.word()));
        let expected =
            [("a\u{fffd}", "only_stub"), ("caf\u{fffd}", "inexact_name"), ("s\u{fffd}", "unread_in_backup")];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
    assert_eq!((seen.deleted, outcome.deleted), (1, 1));
    for name in [&b"caf\xe9"[..], b"s\xff", b"a\xff"] {
        assert_eq!(fs::read(live(name)).unwrap(), b"the only copy");
    }
    assert_eq!(fs::read(live("caf\u{fffd}".as_bytes())).unwrap(), b"hello");
    assert!(!live(b"extra\xff").exists());
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
fn nothing_is_deleted_where_a_folder_of_the_snapshot_cannot_be_read() {
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
    assert_eq!((outcome.problem_count, outcome.deleted), (1, 0), "{:?}", problems(&outcome));
    assert_eq!(outcome.extras_kept, 1, "those of the folder itself are not known");
    assert_eq!(names(&place.path("target/d")), ["g", "other"]);
    assert_eq!(names(&place.path("target")), ["d", "extra", "f"]);
}

#[test]
fn nothing_is_deleted_where_not_all_of_the_snapshot_is_restored() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("target/d/f/full")).unwrap();
    fs::create_dir_all(place.path("target/live")).unwrap();
    fs::write(place.path("target/live/db"), b"the only copy").unwrap();
    fs::write(place.path("target/f"), b"older").unwrap();
    for pack in kopia_testkit::damage::blobs(&place.path("repo"), "p") {
        pack.delete();
    }
    let outcome = mirror(&place, &root, false);
    assert_eq!((outcome.problem_count, outcome.deleted), (2, 0), "{:?}", problems(&outcome));
    assert_eq!(outcome.extras_kept, 1);
    assert_eq!(fs::read(place.path("target/f")).unwrap(), b"older");
    assert!(place.path("target/d/f/full").is_dir() && place.path("target/live/db").is_file());
}

#[test]
fn a_full_folder_in_the_way_goes_only_if_everything_else_is_restored() {
    let place = Place::new();
    let root = root(&place);
    let write = |path: &str| {
        fs::create_dir_all(place.path(path)).unwrap();
        fs::write(place.path(path).join("precious"), b"x").unwrap();
    };
    write("target/f/full");
    write("target/extra");
    // What another restore is at work on is not replaced either, and that is a problem.
    write("target/d/f/.kopia-rs-restore-k01");
    let lock = fs::File::open(place.path("target/d/f/.kopia-rs-restore-k01")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let mut options = Options::default();
    options.delete_extra = true;
    let preview = kopia_restore::preview(&root, place.path("target"), &options, |_| ()).unwrap();
    let outcome = mirror(&place, &root, false);
    // Each directory in the way is looked at by itself; the extras go only after all of them.
    let expected = ["d/f: a folder with something in it is in the way"];
    assert_eq!(problems(&outcome), expected);
    assert_eq!(preview.problems.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    assert_eq!((outcome.deleted, outcome.extras_kept), (1, 1));
    assert_eq!((preview.deleted, preview.extras_kept), (1, 1));
    assert_eq!((&outcome.restores_kept, &preview.restores_kept), (&vec!["d/f".into()], &vec!["d/f".into()]));
    assert!(place.path("target/d/f/.kopia-rs-restore-k01/precious").exists());
    assert!(place.path("target/extra/precious").exists());
}

#[test]
fn a_folder_in_the_way_that_is_not_chosen_stays() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("target/f/full")).unwrap();
    // The file of this name is chosen.
    let mut choice = Choice::default();
    choice.exclude("f/", false).unwrap();
    let mut options = Options::default();
    (options.delete_extra, options.chosen) = (true, Some(choice.among([&root]).unwrap()));
    let preview = kopia_restore::preview(&root, place.path("target"), &options, |_| ()).unwrap();
    let outcome = kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    for problems in [&preview.problems, &outcome.problems] {
        assert_eq!(told(problems), [("f".to_owned(), "not_empty")]);
    }
    assert_eq!((preview.deleted, outcome.deleted, outcome.files), (0, 0, 1));
    assert!(place.path("target/f/full").is_dir());
}

/// The path of each problem and its word, sorted.
fn told(problems: &[Problem]) -> Vec<(String, &'static str)> {
    let told = problems.iter().map(|problem| (problem.path.clone(), problem.reason.word()));
    let mut told: Vec<_> = told.collect();
    told.sort_unstable();
    told
}

/// Before it goes, all that lies in it is looked at: something may be mounted there.
#[test]
fn a_folder_in_the_way_that_cannot_be_looked_into_stays_and_that_is_foreseen() {
    let test = "extra::a_folder_in_the_way_that_cannot_be_looked_into_stays_and_that_is_foreseen";
    if rustix::process::geteuid().is_root() && !with_capabilities("-all", test) {
        return;
    }
    for is_whole in [true, false] {
        let place = Place::new();
        let root = place.root("repo", |writer| {
            let mut entries = vec![file("f", &writer.file(b"hello"), 5)];
            if !is_whole {
                entries.push(folder("lost", "k00112233445566778899aabbccddeeff"));
            }
            folder("data", &writer.directory(&entries))
        });
        let target = place.path("target");
        fs::create_dir_all(target.join("f/full")).unwrap();
        let set = |mode| set_mode(target.join("f"), mode);
        set(0o000);
        let mut options = Options::default();
        options.delete_extra = true;
        let preview = kopia_restore::preview(&root, &target, &options, |_| ()).unwrap();
        let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
        set(0o700);
        assert_eq!(told(&preview.problems), told(&outcome.problems));
        // Where not all is restored, nothing goes that has anything in it.
        let word = if is_whole { "not_permitted" } else { "not_empty" };
        assert_eq!(told(&outcome.problems)[0], ("f".to_owned(), word));
        assert_eq!((preview.written, preview.deleted, outcome.files, outcome.deleted), (0, 0, 0, 0));
        assert!(target.join("f/full").is_dir());
    }
}

#[test]
fn what_a_restore_keeps_in_an_extra_folder_stays() {
    let place = Place::new();
    let root = root(&place);
    let mut options = Options::default();
    options.keep_replaced = true;
    let cfg = place.path("target/app/cfg");
    fs::create_dir_all(&cfg).unwrap();
    fs::write(cfg.join("mine"), b"x").unwrap();
    fs::write(cfg.join("f"), b"old").unwrap();
    let kept = kopia_restore::restore(&root, &cfg, &options).unwrap().kept_in.unwrap();
    assert_eq!(kept.parent(), Some(&*fs::canonicalize(place.path("target/app")).unwrap()));
    let mut options = Options::default();
    options.delete_extra = true;
    let preview = kopia_restore::preview(&root, place.path("target"), &options, |_| ()).unwrap();
    let outcome = mirror(&place, &root, false);
    let name = format!("app/{}", kept.file_name().unwrap().to_str().unwrap());
    assert_eq!((&preview.restores_kept, &outcome.restores_kept), (&vec![name.clone()], &vec![name]));
    assert!(kept.join("journal").exists() && !cfg.exists(), "{:?}", problems(&outcome));
}

#[test]
fn nothing_is_deleted_where_another_restore_is_at_work() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let inner = writer.directory(&[file("f", &bytes, 5)]);
        let middle = writer.directory(&[folder("e", &inner), file("f", &bytes, 5)]);
        folder("data", &writer.directory(&[folder("d", &middle), folder("g", &inner)]))
    });
    for path in ["d", "d/e", "g", "extra", "other/deep"] {
        fs::create_dir_all(place.path("target").join(path)).unwrap();
        fs::write(place.path("target").join(path).join("restored by another"), b"x").unwrap();
    }
    // One into a folder that the snapshot has, and shards of one into a folder that it has not.
    fs::create_dir(place.path("target/d/.kopia-rs-restore-k01")).unwrap();
    let lock = fs::File::open(place.path("target/d/.kopia-rs-restore-k01")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    fs::create_dir(place.path("target/other/deep/.kopia-rs-restore-k01")).unwrap();
    fs::write(place.path("target/other/deep/.kopia-rs-restore-k01.shard-0-of-2"), b"").unwrap();
    let mut options = Options::default();
    options.delete_extra = true;
    let preview = kopia_restore::preview(&root, place.path("target"), &options, |_| ()).unwrap();
    let outcome = mirror(&place, &root, false);
    assert_eq!(problems(&outcome), [""; 0]);
    assert_eq!(outcome.restores_kept, ["d", "d/e", "other/deep"]);
    assert_eq!((preview.restores_kept, preview.deleted), (outcome.restores_kept, outcome.deleted));
    assert_eq!(outcome.deleted, 2, "extra, and g's");
    for path in ["d", "d/e", "other/deep"] {
        assert!(place.path("target").join(path).join("restored by another").exists(), "{path}");
    }
    assert_eq!(names(&place.path("target")), ["d", "g", "other"]);
    // Once it is through, what it left goes as well.
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::Unlock).unwrap();
    fs::remove_file(place.path("target/other/deep/.kopia-rs-restore-k01.shard-0-of-2")).unwrap();
    let outcome = mirror(&place, &root, false);
    assert_eq!((outcome.deleted, outcome.restores_kept.len()), (4, 0), "{:?}", problems(&outcome));
    assert_eq!(names(&place.path("target/d")), ["e", "f"]);
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

#[test]
fn what_cannot_be_looked_into_is_a_problem_and_then_nothing_is_deleted() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let inner = writer.directory(&[file("f", &bytes, 5)]);
        let middle = writer.directory(&[folder("e", &inner), file("f", &bytes, 5)]);
        folder("data", &writer.directory(&[folder("d", &middle), file("f", &bytes, 5)]))
    });
    place.restore(&root, "target");
    for path in ["extra", "d/extra", "d/e/extra"] {
        fs::write(place.path("target").join(path), b"mine").unwrap();
    }
    // The folder itself can be changed; only the way that leads the planner there is refused. What would hit
    // every folder ends the restore, and what is unfinished stays.
    let run = || {
        let mut options = Options::default();
        options.delete_extra = true;
        kopia_restore::restore(&root, place.path("target"), &options)
    };
    for errno in [Errno::STALE, Errno::IO, Errno::MFILE] {
        let Some(ended) = refusing(&[(Call::OpenBeneath, Some(errno))], run) else { return };
        let Err(Error::Target { unfinished: Some(unfinished), .. }) = ended else { panic!("{ended:?}") };
        assert!(unfinished.exists() && place.path("target/extra").exists(), "{errno}");
    }
    let refused = [(Call::OpenBeneath, Some(Errno::LOOP))];
    let Some(outcome) = refusing(&refused, || mirror(&place, &root, false)) else { return };
    assert_eq!(problems(&outcome), ["d/e: Too many levels of symbolic links (os error 40)"]);
    assert_eq!((outcome.problem_count, outcome.deleted, outcome.extras_kept), (1, 0, 2));
    assert_eq!((outcome.kept, outcome.files), (2, 0), "what lies in it is not written anew");
    for path in ["extra", "d/extra", "d/e/extra", "d/e/f"] {
        assert!(place.path("target").join(path).exists(), "{path}");
    }
    let outcome = mirror(&place, &root, false);
    assert_eq!((outcome.problem_count, outcome.deleted), (0, 3), "{:?}", problems(&outcome));
}

#[test]
fn the_preview_promises_nothing_of_what_cannot_be_looked_at() {
    let place = Place::new();
    let root = root(&place);
    place.restore(&root, "target");
    fs::write(place.path("target/extra"), b"mine").unwrap();
    for delete_extra in [true, false] {
        let mut options = Options::default();
        options.delete_extra = delete_extra;
        for errno in [Errno::IO, Errno::STALE, Errno::ACCESS, Errno::LOOP] {
            let target = place.path("target");
            let look = || kopia_restore::preview(&root, &target, &options, |_| ()).unwrap();
            let Some(preview) = refusing(&[(Call::Look, Some(errno))], look) else { return };
            let told: Vec<_> = preview.problems.iter().map(ToString::to_string).collect();
            let expected = ["d", "f"].map(|name| format!("{name}: {}", std::io::Error::from(errno)));
            assert_eq!(told, expected);
            assert_eq!((preview.written, preview.directories, preview.deleted), (0, 0, 0));
            assert_eq!(preview.extras_kept, u64::from(delete_extra));
        }
    }
    // Where it is not even known what lies in the folder.
    for (delete_extra, told) in
        [(true, "the target's folder cannot be listed"), (false, "Input/output error")]
    {
        let mut options = Options::default();
        options.delete_extra = delete_extra;
        let target = place.path("target");
        let look = || kopia_restore::compare(&root, &target, &options, |_| ()).unwrap();
        let Some(compared) = refusing(&[(Call::List, Some(Errno::IO))], look) else { return };
        let problems: Vec<_> = compared.problems.iter().map(ToString::to_string).collect();
        assert_eq!((problems.len(), compared.deleted), (2, 0), "{problems:?}");
        assert!(problems.iter().all(|problem| problem.contains(told)), "{problems:?}");
    }
}
