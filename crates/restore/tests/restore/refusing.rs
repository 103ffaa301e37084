//! Targets that refuse attributes or forget them, and that report lost writes late: all bytes are there, and
//! what is not so is told.

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use kopia_codec::key::Password;
use kopia_repository::Shard;
use kopia_repository::{Entry, Repository};
use kopia_restore::{Durability, Error, Existing, Options, Outcome, Portion};
use kopia_storage::FilesystemStore;
use kopia_testkit::faults;
use kopia_testkit::refuse::{Call, refusing};
use kopia_testkit::tree::Tree;
use kopia_testkit::writer::RepositoryWriter;
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::common::{Place, folder, link, names, problems, set_mode};

const PIECE: usize = 1000;

fn with_mode(name: &str, mode: &str, uid: u32, object: &str, size: usize) -> Value {
    json!({"name": name, "type": "f", "mode": mode, "size": size, "uid": uid, "gid": uid,
        "mtime": "2020-01-02T03:04:05.000000006Z", "obj": object})
}

/// Files of one piece and of several, one with setuid, a sticky folder, an empty one, a link.
fn tree(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(PIECE);
    let (small, large) = (writer.file(b"hello"), writer.file(&[7; 5 * PIECE + 3]));
    let nothing = writer.file(b"");
    let mut sticky = folder("drop", &writer.directory(&[with_mode("inner", "0640", 1, &small, 5)]));
    sticky["mode"] = json!("04000777");
    let entries = [
        sticky,
        folder("empty", &writer.directory(&[])),
        with_mode("large", "0600", 2, &large, 5 * PIECE + 3),
        link("link", &writer.file(b"small")),
        with_mode("none", "0644", 0, &nothing, 0),
        with_mode("small", "0644", 0, &small, 5),
        with_mode("tool", "040000755", 3, &small, 5),
    ];
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", folder("data", &root));
    place.finish("repo", writer)
}

/// Asserts that all bytes of [`tree`] are there.
#[track_caller]
fn assert_whole(target: &Path, what: &str) {
    assert_eq!(names(target), ["drop", "empty", "large", "link", "none", "small", "tool"], "{what}");
    for (name, bytes) in [
        ("drop/inner", &b"hello"[..]),
        ("large", &[7; 5 * PIECE + 3]),
        ("none", b""),
        ("small", b"hello"),
        ("tool", b"hello"),
    ] {
        assert!(fs::read(target.join(name)).unwrap() == bytes, "{what}: {name}");
    }
    assert_eq!(fs::read_link(target.join("link")).unwrap().to_str(), Some("small"), "{what}");
    assert!(fs::metadata(target.join("empty")).unwrap().is_dir(), "{what}");
}

fn restore(root: &Entry, target: &Path, options: &Options) -> Outcome {
    kopia_restore::restore(root, target, options).unwrap()
}

const ANSWERS: [Option<Errno>; 7] = [
    Some(Errno::PERM),
    Some(Errno::ACCESS),
    Some(Errno::OPNOTSUPP),
    Some(Errno::NOSYS),
    Some(Errno::INVAL),
    Some(Errno::OVERFLOW),
    None,
];

#[test]
fn all_bytes_are_there_whatever_attributes_are_refused() {
    let place = Place::in_memory();
    let root = tree(&place);
    let sets: [&[Call]; 6] = [
        &[Call::Chmod],
        &[Call::Chown],
        &[Call::Utimes],
        &[Call::ChmodSpecial],
        &[Call::CreateWithMode],
        &[Call::Chmod, Call::Chown, Call::Utimes],
    ];
    for (number, set) in sets.into_iter().enumerate() {
        for answer in ANSWERS {
            let what = format!("{set:?} {answer:?}");
            if set == [Call::CreateWithMode] && answer.is_none() {
                continue; // That would be a handle of nothing.
            }
            let name = format!("target-{number}-{answer:?}");
            let target = place.path(&name);
            let refused: Vec<_> = set.iter().map(|&call| (call, answer)).collect();
            let outcome = refusing(&refused, || {
                let first = restore(&root, &target, &Options::default());
                assert_whole(&target, &what);
                // And once more, with everything there.
                let again = restore(&root, &target, &Options::default());
                assert_eq!(
                    (again.kept, again.files + again.symlinks),
                    (6, 0),
                    "{what}: {:?}",
                    problems(&again)
                );
                assert_eq!(again.problem_count, 0, "{what}");
                assert_eq!(again.notes, first.notes, "{what}");
                first
            });
            let Some(outcome) = outcome else { return };
            assert_eq!(outcome.problem_count, 0, "{what}: {:?}", problems(&outcome));
            assert_eq!((outcome.files, outcome.directories, outcome.symlinks), (5, 3, 1), "{what}");
            let notes = outcome.notes;
            assert_eq!(notes.times == 9, set.contains(&Call::Utimes), "{what}: {notes:?}");
            // Files are made with their permissions where they cannot be set later, all but the root.
            let modes = u64::from(set.contains(&Call::Chmod));
            assert!(notes.modes >= modes, "{what}: {notes:?}");
            let special = set.contains(&Call::Chmod) || set.contains(&Call::ChmodSpecial);
            assert!(!special || notes.special_bits == 2, "{what}: {notes:?}");
            assert!(!set.contains(&Call::Chown) || notes.owners >= 3, "{what}: {notes:?}");
            let tool = fs::metadata(target.join("tool")).unwrap();
            assert!(tool.mode() & 0o4000 == 0 || tool.uid() == 3, "{what}: setuid of the wrong owner");
        }
    }
}

#[test]
fn shards_and_replaced_and_changed_files_are_there_too() {
    let place = Place::in_memory();
    let root = tree(&place);
    for answer in ANSWERS {
        let refused = [Call::Chmod, Call::Chown, Call::Utimes].map(|call| (call, answer));
        let what = format!("{answer:?}");
        let ran = refusing(&refused, || {
            let target = place.path(&format!("shards {what}"));
            for part in [0, 1].map(|number| Portion::Shard(Shard::new(number, 2).unwrap())) {
                let outcome =
                    restore(&root, &target, &Options::default_with(|options| options.portion = part));
                assert_eq!(outcome.problem_count, 0, "{what}: {:?}", problems(&outcome));
            }
            let outcome = restore(
                &root,
                &target,
                &Options::default_with(|options| options.portion = Portion::Finish(2)),
            );
            assert_eq!(outcome.problem_count, 0, "{what}: {:?}", problems(&outcome));
            assert_whole(&target, &what);
            assert!(outcome.notes.times > 0, "{what}: {:?}", outcome.notes);

            let manners = [(false, false), (true, false), (false, true)];
            for (number, (in_place, keep_replaced)) in manners.into_iter().enumerate() {
                let target = place.path(&format!("old {number} {what}"));
                fs::create_dir_all(target.join("drop")).unwrap();
                fs::write(target.join("large"), [&[7; PIECE][..], b"other"].concat()).unwrap();
                fs::write(target.join("small"), b"hello").unwrap();
                fs::write(target.join("tool"), b"other").unwrap();
                let options = Options::default_with(|options| {
                    (options.in_place, options.keep_replaced) = (in_place, keep_replaced);
                });
                let outcome = restore(&root, &target, &options);
                assert_eq!(outcome.problem_count, 0, "{what}: {:?}", problems(&outcome));
                assert_eq!(outcome.kept, 1, "{what}");
                assert_eq!(outcome.kept_in.is_some(), keep_replaced, "{what}");
                assert_whole(&target, &what);
            }
        });
        if ran.is_none() {
            return;
        }
    }
}

/// Options with something changed, which their crate alone can write as a literal.
trait With {
    fn default_with(change: impl FnOnce(&mut Self)) -> Self;
}

impl With for Options {
    fn default_with(change: impl FnOnce(&mut Self)) -> Self {
        let mut options = Self::default();
        change(&mut options);
        options
    }
}

#[test]
fn a_write_that_is_lost_at_close_is_no_restored_file() {
    let place = Place::in_memory();
    let root = tree(&place);
    for (number, sync) in
        [Durability::None, Durability::Filesystem, Durability::Files].into_iter().enumerate()
    {
        for errno in [Errno::NOSPC, Errno::DQUOT, Errno::IO] {
            let target = place.path(&format!("{number} {errno:?}"));
            let options = Options::default_with(|options| options.sync = sync);
            let ended =
                refusing(&[(Call::Close, Some(errno))], || kopia_restore::restore(&root, &target, &options));
            let Some(ended) = ended else { return };
            let (Err(Error::Target { source, unfinished: Some(_), .. }) | Err(Error::NoRoom { source, .. })) =
                ended
            else {
                panic!("{ended:?}")
            };
            assert_eq!(source.raw_os_error(), Some(errno.raw_os_error()));
            let unfinished: Vec<_> = names(&target);
            assert!(unfinished.iter().all(|name| name.starts_with(".kopia-rs-restore-")), "{unfinished:?}");
        }
    }
}

#[test]
fn what_is_lost_at_close_for_one_file_is_a_problem_of_that_file() {
    let place = Place::in_memory();
    let root = tree(&place);
    for (in_place, salvage) in [(false, false), (true, false), (false, true)] {
        let target = place.path(&format!("{in_place} {salvage}"));
        fs::create_dir(&target).unwrap();
        fs::write(target.join("large"), [7; PIECE]).unwrap();
        let options =
            Options::default_with(|options| (options.in_place, options.salvage) = (in_place, salvage));
        let ended = refusing(&[(Call::Close, Some(Errno::FBIG))], || restore(&root, &target, &options));
        let Some(outcome) = ended else { return };
        // Every file but none of the folders and links.
        assert_eq!((outcome.files, outcome.problem_count), (0, 5), "{:?}", problems(&outcome));
        assert!(problems(&outcome).iter().all(|problem| problem.contains("File too large")));
        assert_eq!(outcome.symlinks, 1);
        // The target's own one stays, whole or, where that was asked for, changed in part.
        assert_eq!(names(&target), ["drop", "empty", "large", "link"]);
    }
    let shard = Options::default_with(|options| options.portion = Portion::Shard(Shard::new(0, 1).unwrap()));
    let target = place.path("shards");
    let ended = refusing(&[(Call::Close, Some(Errno::FBIG))], || restore(&root, &target, &shard));
    assert_eq!(ended.unwrap().problem_count, 5);
}

#[test]
fn what_cannot_be_forced_to_disk_is_an_error() {
    let place = Place::in_memory();
    let root = tree(&place);
    for (sync, call) in [
        (Durability::Files, Call::Fsync),
        (Durability::Files, Call::Syncfs),
        (Durability::Filesystem, Call::Syncfs),
    ] {
        let target = place.path(&format!("{sync:?} {call:?}"));
        let options = Options::default_with(|options| options.sync = sync);
        let run = |refused| refusing(&[refused], || kopia_restore::restore(&root, &target, &options));
        let Some(ended) = run((call, Some(Errno::IO))) else { return };
        assert!(matches!(ended, Err(Error::Target { .. })), "{sync:?} {call:?}: {ended:?}");
        // Nothing has its final name before all is on the disk.
        let names = names(&target);
        assert!(names.iter().all(|name| name.starts_with(".kopia-rs-restore-")), "{names:?}");
    }
    // Nobody asked for it.
    let target = place.path("unasked");
    let refused = [(Call::Fsync, Some(Errno::IO)), (Call::Syncfs, Some(Errno::IO))];
    refusing(&refused, || assert_eq!(restore(&root, &target, &Options::default()).problem_count, 0));
}

#[test]
fn folders_that_cannot_be_forced_to_disk_are_restored_and_a_sync_says_nothing_of_names() {
    let place = Place::in_memory();
    let nested = place.root("folders", |writer| {
        let empty = writer.directory(&[]);
        let inner = writer.directory(&[folder("e", &empty)]);
        folder("data", &writer.directory(&[folder("d", &inner)]))
    });
    let root = tree(&place);
    let options = Options::default_with(|options| options.sync = Durability::Files);
    for errno in [Errno::INVAL, Errno::BADF, Errno::NOSYS, Errno::OPNOTSUPP] {
        let refused = [(Call::Fsync, Some(errno))];
        let target = place.path(&format!("folders {errno:?}"));
        let Some(outcome) = refusing(&refused, || restore(&nested, &target, &options)) else { return };
        assert_eq!((outcome.directories, outcome.problem_count), (3, 0), "{:?}", problems(&outcome));
        // Bytes of files that are not known to be on the disk are not restored.
        let outcome = refusing(&refused, || restore(&root, &place.path(&format!("{errno:?}")), &options));
        let outcome = outcome.unwrap();
        assert_eq!((outcome.files, outcome.problem_count), (0, 5), "{:?}", problems(&outcome));
        let words: Vec<_> = outcome.problems.iter().map(|problem| problem.reason.word()).collect();
        assert_eq!(words, ["system_error"; 5], "{errno:?}");
    }
}

/// The repository of the public reports, with its own list of what is right.
#[test]
fn the_share_that_refuses_everything_gets_all_files() {
    let place = Place::in_memory();
    let store = FilesystemStore::open(faults::repository("target-refuses")).unwrap();
    let repository = Repository::open(store, &Password::from(faults::PASSWORD)).unwrap();
    let snapshots = repository.snapshots().unwrap();
    let newest = snapshots.iter().max_by_key(|snapshot| snapshot.start_time()).unwrap();
    let root = newest.root().unwrap();
    let right = faults::tree("target-refuses");
    for (number, set) in [
        &[Call::Chmod, Call::Chown, Call::Utimes][..],
        &[Call::Chmod],
        &[Call::ChmodSpecial],
        &[Call::Utimes],
    ]
    .into_iter()
    .enumerate()
    {
        let target = place.path(&format!("target-{number}"));
        let refused: Vec<_> = set.iter().map(|&call| (call, Some(Errno::PERM))).collect();
        let outcome = refusing(&refused, || restore(&root, &target, &Options::default()));
        let Some(outcome) = outcome else { return };
        assert_eq!((outcome.files, outcome.directories, outcome.symlinks), (6, 3, 1), "{set:?}");
        assert_eq!(outcome.problem_count, 0, "{set:?}: {:?}", problems(&outcome));
        assert!(!outcome.notes.is_empty(), "{set:?}");
        let found = Tree::scan(&target);
        let bytes = |tree: &Tree| -> Vec<_> {
            let entries = tree.entries().iter().cloned();
            entries.map(|entry| (entry.path, entry.kind, entry.size, entry.sha256, entry.target)).collect()
        };
        assert_eq!(bytes(&found), bytes(&right), "{set:?}");
    }
}

#[test]
fn a_file_that_another_user_may_hold_open_is_replaced() {
    let place = Place::in_memory();
    let root = tree(&place);
    for (number, (in_place, existing)) in
        [(false, Existing::Verify), (true, Existing::Verify), (false, Existing::Skip)].into_iter().enumerate()
    {
        let target = place.path(&format!("target-{number}"));
        let options = Options::default_with(|options| {
            (options.in_place, options.existing) = (in_place, existing);
            options.parallel = NonZeroUsize::new(1);
        });
        if restore(&root, &target, &options).notes.owners > 0 {
            return kopia_testkit::facilities::left_out("only root can make files of other users");
        }
        let inode = |name: &str| fs::metadata(target.join(name)).unwrap().ino();
        let all = ["large", "none", "small", "tool", "drop/inner"];
        let before = all.map(inode);
        // At rest all are kept.
        assert_eq!(restore(&root, &target, &options).kept, 6);
        assert_eq!(all.map(inode), before);
        for name in ["large", "small", "tool"] {
            chown(target.join(name), Some(4242), None).unwrap();
        }
        // Who could write in it, and may not afterwards.
        set_mode(target.join("none"), 0o666);
        let mut replaced = Vec::new();
        kopia_restore::preview(&root, &target, &options, |change| {
            if change.action == kopia_restore::Action::Replace {
                replaced.push(change.path.clone());
            }
        })
        .unwrap();
        let expected = ["large", "none", "small", "tool"];
        replaced.sort();
        assert_eq!(replaced, expected, "the preview knows it");
        let outcome = restore(&root, &target, &options);
        assert_eq!((outcome.files, outcome.kept), (4, 2), "{:?}", problems(&outcome));
        for (name, before) in all.into_iter().zip(before) {
            assert_eq!(inode(name) != before, expected.contains(&name), "{name}");
        }
        let tool = fs::metadata(target.join("tool")).unwrap();
        assert_eq!((tool.uid(), tool.mode() & 0o7777), (3, 0o4755));
        assert_whole(&target, "replaced");
    }
}

#[test]
fn what_a_directory_has_no_room_for_stays_staged() {
    let place = Place::in_memory();
    let root = tree(&place);
    let (target, options) = (place.path("target"), Options::default());
    let ended =
        refusing(&[(Call::Rename, Some(Errno::NOSPC))], || kopia_restore::restore(&root, &target, &options));
    let Some(ended) = ended else { return };
    let Err(Error::NoRoom { unfinished, .. }) = ended else { panic!("{ended:?}") };
    assert_eq!(names(&target).len(), 1, "nothing has its name");
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let staged = inode(&unfinished.join("large"));
    let outcome = restore(&root, &target, &options);
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    assert_eq!(inode(&target.join("large")), staged, "it was taken up");
    assert_whole(&target, "taken up");
}
