//! Restores that keep what they replace, and what undoing them brings back.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kopia_repository::Entry;
use kopia_repository::choice::Choice;
use kopia_restore::{Error, KeptFolder, KeptState, Observer, Options, Outcome, Undone, all_kept, find_kept};
use kopia_testkit::refuse::{Call, refusing};
use kopia_testkit::tmpfs;
use kopia_testkit::writer::RepositoryWriter;
use rustix::io::Errno;

use crate::common::{Place, assert_same, file, folder, link, names, problems, set_mode};
use crate::resuming::{restore_with_worker_refusing, with_capabilities};

/// What a folder has in it: each path, and everything about it that can be put back.
type Seen = Vec<(PathBuf, u32, i64, i64, Vec<u8>)>;

fn see(root: &Path) -> Seen {
    let (mut seen, mut waiting) = (Vec::new(), vec![root.to_owned()]);
    while let Some(path) = waiting.pop() {
        let stat = path.symlink_metadata().unwrap();
        let bytes = if stat.is_symlink() {
            fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
        } else if stat.is_file() {
            fs::read(&path).unwrap()
        } else {
            match fs::read_dir(&path) {
                Ok(list) => waiting.extend(list.map(|entry| entry.unwrap().path())),
                // Of a folder that is closed to whoever runs this, what it is itself counts.
                Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied),
            }
            Vec::new()
        };
        let relative = path.strip_prefix(root).unwrap().to_owned();
        seen.push((relative, stat.mode(), stat.mtime(), stat.mtime_nsec(), bytes));
    }
    seen.sort();
    seen
}

fn set_time(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789);
    File::open(path).unwrap().set_modified(time).unwrap();
}

/// Every kind of entry that may be in the place of another.
fn root(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let (text, large) = (writer.file(b"text"), writer.file(&[7; 20_000]));
    let inner = writer.directory(&[file("deep", &text, 4), file("new", &text, 4)]);
    let same = writer.directory(&[file("changed", &text, 4)]);
    let entries = [
        file("changed", &text, 4),
        folder("dir-was-file", &inner),
        folder("dir", &same),
        file("file-was-dir", &text, 4),
        file("file-was-empty-dir", &text, 4),
        file("file-was-link", &text, 4),
        file("hard", &text, 4),
        file("large", &large, 20_000),
        file("large-other-mode", &large, 20_000),
        link("link-was-file", &text),
        link("link-was-other", &text),
        folder("made", &inner),
        file("made-file", &text, 4),
        file("other-mode", &text, 4),
    ];
    let data = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", data);
    place.finish("repo", writer)
}

/// A target in which everything is otherwise.
fn fill(target: &Path) {
    let at = |name: &str| target.join(name);
    fs::create_dir_all(at("dir/kept-apart")).unwrap();
    fs::create_dir_all(at("file-was-dir/full/deeper")).unwrap();
    fs::create_dir_all(at("file-was-empty-dir")).unwrap();
    fs::create_dir_all(at("extra/closed")).unwrap();
    for name in ["changed", "dir-was-file", "dir/changed", "dir/extra", "link-was-file", "hard", "large"] {
        fs::write(at(name), format!("old {name}")).unwrap();
    }
    fs::write(at("file-was-dir/full/deeper/file"), "old").unwrap();
    fs::write(at("extra/closed/file"), "old").unwrap();
    fs::write(target.join(OsStr::from_bytes(b"extra \xff\n%41")), "old").unwrap();
    fs::hard_link(at("hard"), at("extra-hard")).unwrap();
    symlink("old", at("file-was-link")).unwrap();
    symlink("old", at("link-was-other")).unwrap();
    fs::write(at("other-mode"), "text").unwrap();
    fs::write(at("large-other-mode"), [7; 20_000]).unwrap();
    for name in ["other-mode", "large-other-mode"] {
        set_mode(at(name), 0o600);
        set_time(&at(name), 1_000_000_001);
    }
    set_mode(at("dir"), 0o711);
    set_mode(at("extra/closed"), 0o500);
    set_mode(at("extra"), 0o555);
    for (number, name) in ["dir/kept-apart", "dir", "file-was-dir", "extra", "changed", ""].iter().enumerate()
    {
        set_time(&at(name), 1_000_000_000 + number as u64);
    }
}

fn options(delete_extra: bool) -> Options {
    let mut options = Options::default();
    (options.keep_replaced, options.delete_extra) = (true, delete_extra);
    options
}

fn kept(outcome: &Outcome) -> KeptFolder {
    KeptFolder::open(outcome.kept_in.as_ref().expect("something is kept")).unwrap()
}

fn undo(folder: KeptFolder) -> Undone {
    let path = folder.path().to_owned();
    let undone = folder.undo().unwrap();
    assert!(undone.problems.is_empty(), "{:?}", undone.problems);
    assert_eq!(path.exists(), undone.aside_in.is_some());
    undone
}

#[test]
fn all_that_was_there_is_back_and_nothing_else() {
    for delete_extra in [true, false] {
        let place = Place::new();
        let (root, target) = (root(&place), place.path("target"));
        fs::create_dir(&target).unwrap();
        fill(&target);
        let before = see(&target);
        let inode = |name: &str| fs::metadata(target.join(name)).unwrap().ino();
        let inodes = [inode("hard"), inode("changed"), inode("other-mode")];

        let outcome = kopia_restore::restore(&root, &target, &options(delete_extra)).unwrap();
        let stuck = if delete_extra {
            vec![]
        } else {
            vec!["file-was-dir: a folder with something in it is in the way"]
        };
        assert_eq!(problems(&outcome), stuck);
        if delete_extra {
            place.restore(&root, "fresh");
            assert_same(&place.path("fresh"), &target);
        }
        let folder = kept(&outcome);
        assert_eq!((folder.state(), folder.target()), (KeptState::Done, fs::canonicalize(&target).unwrap()));
        assert_eq!(folder.path().parent(), fs::canonicalize(&target).unwrap().parent());
        assert_eq!(fs::metadata(folder.path()).unwrap().mode() & 0o7777, 0o700);
        assert_eq!(folder.object(), root.object().to_string());
        assert!(folder.kept() >= 9 && folder.bytes() > 0, "{folder:?}");

        let undone = undo(folder);
        assert_eq!((undone.aside, undone.changed_since), (0, 0), "{undone:?}");
        assert_eq!(see(&target), before);
        assert_eq!([inode("hard"), inode("changed"), inode("other-mode")], inodes);
        assert_eq!(inode("extra-hard"), inodes[0]);
        assert_eq!(names(target.parent().unwrap()).len(), if delete_extra { 3 } else { 2 });
    }
}

#[test]
fn what_changed_after_the_restore_is_put_aside() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir(&target).unwrap();
    fill(&target);
    let before = see(&target);
    let folder = kept(&kopia_restore::restore(&root, &target, &options(true)).unwrap());
    let at = |name: &str| target.join(name);
    // What the clock of the file system cannot tell apart counts as one.
    std::thread::sleep(Duration::from_millis(30));
    // Written again, as programs do: in place, and by a new file of the name.
    fs::write(at("changed"), "newer").unwrap();
    fs::write(at("dir/temporary"), "newer").unwrap();
    fs::rename(at("dir/temporary"), at("dir/changed")).unwrap();
    // In a folder that the restore made.
    fs::write(at("made/deep"), "newer").unwrap();
    fs::create_dir(at("made/added")).unwrap();
    fs::write(at("made/added/file"), "added").unwrap();
    // Where a folder was.
    fs::remove_file(at("file-was-dir")).unwrap();
    fs::create_dir(at("file-was-dir")).unwrap();
    fs::write(at("file-was-dir/other"), "other").unwrap();
    // What was deleted, made again.
    fs::write(at("extra"), "again").unwrap();
    // What the restore had left alone.
    fs::write(at("other-mode"), "newer").unwrap();
    fs::remove_file(at("made-file")).unwrap();
    fs::write(at("unrelated"), "stays").unwrap();

    let undone = undo(folder);
    assert_eq!(undone.changed_since, 1);
    let mut paths = undone.aside_paths.clone();
    // A new folder may have got the number of the file that was there, and only what lies in it is newer then.
    paths
        .iter_mut()
        .filter(|path| *path == "file-was-dir/other")
        .for_each(|path| *path = "file-was-dir".into());
    paths.sort();
    let aside = ["changed", "dir/changed", "extra", "file-was-dir", "made/added/file", "made/deep"];
    assert_eq!((undone.aside, &paths[..]), (6, &aside.map(String::from)[..]));
    let lies = undone.aside_in.unwrap();
    let read = |name: &str| fs::read_to_string(lies.join(name)).unwrap();
    assert_eq!(
        ["changed", "dir/changed", "extra", "made/deep"].map(read),
        ["newer", "newer", "again", "newer"]
    );
    assert_eq!([read("made/added/file"), read("file-was-dir/other")], ["added", "other"]);
    assert_eq!(fs::read(at("unrelated")).unwrap(), b"stays");
    fs::remove_file(at("unrelated")).unwrap();
    let mut now = see(&target);
    // It is the newer one, and TARGET itself was changed by taking the other away.
    let is_other = |seen: &(PathBuf, u32, i64, i64, Vec<u8>)| {
        !["other-mode", ""].iter().any(|name| seen.0 == Path::new(name))
    };
    now.retain(is_other);
    assert_eq!(now, before.into_iter().filter(is_other).collect::<Seen>());
    // What lies aside is still kept, until it is forgotten.
    let folder = KeptFolder::open(lies.parent().unwrap()).unwrap();
    assert_eq!((folder.state(), folder.bytes() > 0), (KeptState::Undone, true));
    let path = folder.path().to_owned();
    folder.forget().unwrap();
    assert!(!path.exists());
}

#[test]
fn folders_that_are_gone_are_made_again_for_what_was_in_them_and_for_nothing_else() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let text = writer.file(b"text");
        let inner = writer.directory(&[file("new", &text, 4)]);
        let entries = ["empty", "gone", "other"].map(|name| folder(name, &inner));
        folder("data", &writer.directory(&entries))
    });
    let target = place.path("target");
    let at = |name: &str| target.join(name);
    ["empty", "gone", "other"].iter().for_each(|name| fs::create_dir_all(at(name)).unwrap());
    ["gone/mine", "other/mine"].iter().for_each(|name| fs::write(at(name), "mine").unwrap());
    let mut before = see(&target);
    let folder = kept(&kopia_restore::restore(&root, &target, &options(true)).unwrap());
    ["empty", "gone", "other"].iter().for_each(|name| fs::remove_dir_all(at(name)).unwrap());
    fs::write(at("other"), "newer").unwrap();
    let undone = undo(folder);
    assert_eq!((undone.restored, undone.aside_paths), (2, vec!["other".into()]));
    // Somebody has deleted it since, with what the restore had put in it.
    before.retain(|seen| seen.0 != Path::new("empty"));
    assert_eq!(see(&target), before);
}

/// As where the entry that is to get there has become immutable.
#[test]
fn what_was_moved_away_is_back_where_nothing_gets_to_its_place() {
    // A file in the place of a folder with something in it, and a folder in that of a file.
    for (name, delete_extra) in [("file", true), ("folder", false)] {
        let place = Place::new();
        // Else what is refused comes before anything is moved away.
        if !kopia_testkit::facilities::renames_if_free(&place.path("")) {
            return;
        }
        let root = place.root("repo", |writer| {
            let text = writer.file(b"text");
            let inner = writer.directory(&[file("inner", &text, 4)]);
            folder("data", &writer.directory(&[file("file", &text, 4), folder("folder", &inner)]))
        });
        let target = place.path("target");
        if name == "file" {
            fs::create_dir_all(target.join("file/full")).unwrap();
        } else {
            fs::create_dir(&target).unwrap();
            fs::write(target.join("folder"), "old").unwrap();
        }
        let inode = || target.join(name).symlink_metadata().unwrap().ino();
        let before = inode();
        let run = || kopia_restore::restore(&root, &target, &options(delete_extra)).unwrap();
        let Some(outcome) = refusing(&[(Call::RenameOver, Some(Errno::PERM))], run) else { return };
        let told: Vec<_> = outcome.problems.iter().map(|one| (&*one.path, one.reason.word())).collect();
        assert_eq!((told, inode()), (vec![(name, "not_permitted")], before));
        undo(kept(&outcome));
        assert_eq!((names(&target), inode()), (vec![name.to_owned()], before));
    }
}

#[test]
fn attributes_stay_as_they_are_where_the_journal_cannot_be_forced_to_disk() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let text = writer.file(b"text");
        folder("data", &writer.directory(&[file("file", &text, 4)]))
    });
    let (target, path) = (place.path("target"), place.path("target/file"));
    fs::create_dir(&target).unwrap();
    fs::write(&path, "text").unwrap();
    set_mode(&path, 0o600);
    let found = || {
        let metadata = fs::metadata(&path).unwrap();
        (metadata.mode(), metadata.modified().unwrap())
    };
    let before = found();
    let refused = (Call::Fsync, Errno::IO);
    let Some(ended) = restore_with_worker_refusing(&target, &root, refused, options(false)) else { return };
    let Err(Error::Target { what, unfinished, .. }) = &ended else { panic!("{ended:?}") };
    assert_eq!((*what, unfinished.is_some()), ("what is replaced cannot be kept", true));
    assert_eq!(found(), before);
    let outcome = kopia_restore::restore(&root, &target, &options(false)).unwrap();
    assert_ne!(found(), before);
    undo(kept(&outcome));
    assert_eq!(found(), before);
}

/// Who may write in a file after a restore may also set its time back, or hold it open until it is undone.
#[test]
fn what_others_could_write_into_is_not_what_an_undo_gives_back() {
    let is_root = rustix::process::geteuid().is_root();
    let place = Place::new();
    let mut writer = RepositoryWriter::new();
    let text = writer.file(&[7; 4]);
    let mut entries = [file("given", &text, 4), file("shared", &text, 4)];
    (entries[0]["uid"], entries[0]["gid"]) = (1234.into(), 1234.into());
    entries[1]["mode"] = "0666".into();
    let data = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", data);
    let (root, target) = (place.finish("repo", writer), place.path("target"));
    fs::create_dir(&target).unwrap();
    // Others than root give nothing away.
    let names = if is_root { &["given", "shared"][..] } else { &["shared"] };
    for name in ["given", "shared"] {
        fs::write(target.join(name), [7; 4]).unwrap();
        set_mode(target.join(name), if name == "given" { 0o4755 } else { 0o644 });
    }
    let (before, inode) = (see(&target), |name: &&str| fs::metadata(target.join(name)).unwrap().ino());
    let inodes: Vec<_> = names.iter().map(inode).collect();
    let preview = kopia_restore::preview(&root, &target, &options(false), |_| ()).unwrap();
    let outcome = kopia_restore::restore(&root, &target, &options(false)).unwrap();
    assert_eq!((outcome.files, outcome.problem_count), (names.len() as u64, 0));
    assert_eq!(preview.written, outcome.files);
    for (name, inode_before) in names.iter().zip(&inodes) {
        let modified = fs::metadata(target.join(name)).unwrap().modified().unwrap();
        fs::write(target.join(name), "evil").unwrap();
        File::options().write(true).open(target.join(name)).unwrap().set_modified(modified).unwrap();
        assert_ne!(inode(name), *inode_before);
    }
    undo(kept(&outcome));
    assert_eq!(see(&target), before);
    assert_eq!(names.iter().map(inode).collect::<Vec<_>>(), inodes);
}

#[test]
fn what_belongs_to_another_user_by_now_is_left_to_that_user() {
    if !rustix::process::geteuid().is_root() {
        return kopia_testkit::facilities::left_out("only root can give files away");
    }
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir(&target).unwrap();
    let path = target.join("other-mode");
    fs::write(&path, "text").unwrap();
    set_mode(&path, 0o600);
    let outcome = kopia_restore::restore(&root, &target, &options(false)).unwrap();
    chown(&path, Some(1234), None).unwrap();
    let undone = undo(kept(&outcome));
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((undone.changed_since, metadata.uid(), metadata.mode() & 0o7777), (1, 1234, 0o644));
}

/// Asks to stop at once.
struct Stop;

impl Observer for Stop {
    fn stop(&self) -> bool {
        true
    }
}

#[test]
fn a_restore_that_was_interrupted_goes_on_in_the_same_folder_and_can_be_undone() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir(&target).unwrap();
    fill(&target);
    let before = see(&target);
    // Nothing was changed, so there is nothing to keep.
    let stopped = kopia_restore::restore_observed(&root, &target, &options(true), &Stop);
    assert!(matches!(stopped, Err(Error::Stopped { .. })));
    assert_eq!(find_kept(&target).len(), 0);
    let outcome = kopia_restore::restore(&root, &target, &options(true)).unwrap();
    // As if it had been killed before it could write that it was through.
    let path = outcome.kept_in.unwrap();
    let journal = path.join("journal");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, format!("{}keep 99 64", text.strip_suffix("done\n").unwrap())).unwrap();
    assert_eq!(KeptFolder::open(&path).unwrap().state(), KeptState::Unfinished);
    fs::write(target.join("changed"), "meanwhile").unwrap();
    let outcome = kopia_restore::restore(&root, &target, &options(true)).unwrap();
    assert_eq!(outcome.kept_in.as_ref(), Some(&path));
    let found = find_kept(&target.join("dir"));
    assert_eq!(found.iter().map(|folder| folder.path()).collect::<Vec<_>>(), [&path]);
    drop(found);
    let undone = undo(kept(&outcome));
    // What somebody wrote between the two was no restore's. Files that the second touched look as if somebody
    // had changed them: those whose owner it could not set.
    let aside = |path: &&String| *path == "changed" || rustix::process::geteuid().is_root();
    assert_eq!(undone.aside_paths.iter().filter(aside).collect::<Vec<_>>(), ["changed"]);
    // The one that was stopped had kept nothing, and had made its unfinished folder in the target.
    let but_the_target =
        |seen: Seen| seen.into_iter().filter(|seen| seen.0 != Path::new("")).collect::<Seen>();
    assert_eq!(but_the_target(see(&target)), but_the_target(before));
}

/// Puts another folder in the place of the unfinished one, once everything is in its place.
struct Swap(PathBuf);

impl Observer for Swap {
    fn deleted(&self, _: &str) {
        let is_unfinished = |name: &String| name.starts_with(".kopia-rs-restore-");
        let unfinished = self.0.join(names(&self.0).into_iter().find(is_unfinished).unwrap());
        fs::rename(&unfinished, self.0.with_extension("away")).unwrap();
        fs::create_dir(&unfinished).unwrap();
    }
}

#[test]
fn a_restore_that_fails_only_to_remove_its_unfinished_folder_is_undone_by_itself() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir(&target).unwrap();
    for name in ["changed", "mine"] {
        fs::write(target.join(name), format!("old {name}")).unwrap();
    }
    let swap = Swap(target.clone());
    let restored = kopia_restore::restore_observed(&root, &target, &options(true), &swap);
    assert!(matches!(restored, Err(Error::Target { .. })), "{restored:?}");
    assert_eq!(fs::read(target.join("changed")).unwrap(), b"text");
    let first = find_kept(&target).pop().unwrap();
    assert_eq!((first.state(), first.kept()), (KeptState::Done, 2));
    let left = names(&target).into_iter().find(|name| name.starts_with(".kopia-rs-restore-")).unwrap();
    fs::remove_dir(target.join(left)).unwrap();
    fs::write(target.join("changed"), "newer").unwrap();
    let second = kopia_restore::restore(&root, &target, &options(true)).unwrap();
    assert_ne!(second.kept_in.as_deref(), Some(first.path()));
    undo(kept(&second));
    assert_eq!(fs::read(target.join("changed")).unwrap(), b"newer");
}

#[test]
fn a_restore_that_changes_nothing_keeps_nothing() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    place.restore(&root, "target");
    let outcome = kopia_restore::restore(&root, &target, &options(true)).unwrap();
    assert_eq!((outcome.kept_in, outcome.files), (None, 0));
    assert_eq!(names(target.parent().unwrap()), ["repo", "target"]);
}

/// What is kept lies in such a target, which changes when that is made and when it goes.
#[test]
fn a_target_that_is_a_mount_has_its_time_where_nothing_is_kept() {
    let Some(mount) = tmpfs::mounted() else {
        let folder = tempfile::tempdir().unwrap();
        let test = "undoing::a_target_that_is_a_mount_has_its_time_where_nothing_is_kept";
        return tmpfs::rerun(test, folder.path());
    };
    let place = Place::new();
    let root = root(&place);
    let modified = || fs::metadata(&mount).unwrap().modified().unwrap();
    set_time(&mount, 1_000_000_000);
    let before = modified();
    let stopped = kopia_restore::restore_observed(&root, &mount, &options(false), &Stop);
    assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
    assert_eq!((find_kept(&mount).len(), modified()), (0, before));
    let refused = [(Call::Fsync, Some(Errno::IO))];
    let failed = refusing(&refused, || kopia_restore::restore(&root, &mount, &options(false)));
    let Some(failed) = failed else { return };
    assert!(matches!(failed, Err(Error::Target { .. })), "{failed:?}");
    assert_eq!((find_kept(&mount).len(), modified()), (0, before));
    // As where what it is kept in has taken the last of what the disk can have: no file is made to try modes.
    let refused = [(Call::CreateWithMode, Some(Errno::NOSPC))];
    let failed = refusing(&refused, || kopia_restore::restore(&root, &mount, &options(false))).unwrap();
    assert!(matches!(failed, Err(Error::Target { what: "cannot be written", .. })), "{failed:?}");
    assert_eq!((find_kept(&mount).len(), modified()), (0, before));
    kopia_restore::restore(&root, &mount, &Options::default()).unwrap();
    let restored = modified();
    let outcome = kopia_restore::restore(&root, &mount, &options(false)).unwrap();
    assert_eq!((outcome.kept_in, outcome.files, modified()), (None, 0, restored));
}

/// It lies in the target where its owner may not write in the folder that this lies in.
#[test]
fn a_folder_that_keeps_nothing_is_gone_from_a_target_that_is_closed_again() {
    let test = "undoing::a_folder_that_keeps_nothing_is_gone_from_a_target_that_is_closed_again";
    if rustix::process::geteuid().is_root() && !with_capabilities("-all", test) {
        return;
    }
    let place = Place::new();
    let (root, parent, target) = (root(&place), place.path("parent"), place.path("parent/target"));
    let mut keeping = options(false);
    keeping.root_attributes = false;
    fs::create_dir_all(&target).unwrap();
    set_time(&target, 1_000_000_000);
    for path in [&target, &parent] {
        set_mode(path, 0o555);
    }
    let before = see(&target)[0].clone();
    let left = [format!(".kopia-rs-restore-{}", root.object())];
    let stopped = kopia_restore::restore_observed(&root, &target, &keeping, &Stop);
    assert!(matches!(stopped, Err(Error::Stopped { .. })), "{stopped:?}");
    assert_eq!((&names(&target)[..], &see(&target)[0]), (&left[..], &before));
    let refused = [(Call::CreateWithMode, Some(Errno::NOSPC))];
    let failed = refusing(&refused, || kopia_restore::restore(&root, &target, &keeping));
    assert!(failed.is_none_or(|failed| matches!(failed, Err(Error::Target { .. }))));
    assert_eq!((&names(&target)[..], &see(&target)[0]), (&left[..], &before));
    // One that comes to its end, and finds everything there.
    let mut plain = Options::default();
    plain.root_attributes = false;
    kopia_restore::restore(&root, &target, &plain).unwrap();
    let restored = names(&target);
    let outcome = kopia_restore::restore(&root, &target, &keeping).unwrap();
    assert_eq!((outcome.kept_in, outcome.problem_count, names(&target)), (None, 0, restored));
    assert_eq!((see(&target)[0].1, names(&parent)), (before.1, vec!["target".to_owned()]));
    for path in [&parent, &target] {
        set_mode(path, 0o755);
    }
}

#[test]
fn a_target_that_the_restore_made_is_gone_again() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    let outcome = kopia_restore::restore(&root, &target, &options(false)).unwrap();
    undo(kept(&outcome));
    assert!(!target.exists());
    // Unless something lies in it that is newer.
    let outcome = kopia_restore::restore(&root, &target, &options(false)).unwrap();
    fs::write(target.join("mine"), "newer").unwrap();
    undo(kept(&outcome));
    assert_eq!(names(&target), ["mine"]);
}

#[test]
fn a_target_that_the_restore_of_a_single_file_made_is_gone_again() {
    let place = Place::new();
    let (file, target) = (root(&place).at("changed").unwrap(), place.path("target"));
    let restore = || kept(&kopia_restore::restore(&file, target.join(""), &options(false)).unwrap());
    undo(restore());
    assert!(!target.exists());
    let folder = restore();
    fs::write(target.join("mine"), "newer").unwrap();
    undo(folder);
    assert_eq!(names(&target), ["mine"]);
}

#[test]
fn a_single_file_is_kept_beside_it() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir(&target).unwrap();
    fs::write(target.join("changed"), "old").unwrap();
    set_time(&target, 1_000_000_000);
    let before = see(&target);
    let outcome =
        kopia_restore::restore(&root.at("changed").unwrap(), target.join(""), &options(false)).unwrap();
    assert_eq!(fs::read(target.join("changed")).unwrap(), b"text");
    let folder = kept(&outcome);
    assert_eq!(folder.path().parent(), Some(&*fs::canonicalize(&target).unwrap()));
    // It is no extra of a restore of all.
    let outcome = kopia_restore::restore(&root, &target, &options(true)).unwrap();
    assert!(folder.path().exists());
    undo(kept(&outcome));
    undo(folder);
    assert_eq!(see(&target), before);
}

#[test]
fn folders_that_others_could_have_written_are_refused() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir(&target).unwrap();
    fs::write(target.join("changed"), "old").unwrap();
    let path = kopia_restore::restore(&root, &target, &options(false)).unwrap().kept_in.unwrap();
    set_mode(&path, 0o777);
    let refused = |text: &str| {
        let error = KeptFolder::open(&path).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(text), "{source}");
        assert!(find_kept(&target).is_empty());
    };
    refused("others may write in it");
    set_mode(&path, 0o700);
    if rustix::process::geteuid().is_root() {
        rustix::fs::chown(&path, Some(rustix::fs::Uid::from_raw(1234)), None).unwrap();
        refused("it belongs to user 1234");
        rustix::fs::chown(&path, Some(rustix::fs::Uid::ROOT), None).unwrap();
    }
    // The target is another folder by now.
    let folder = KeptFolder::open(&path).unwrap();
    fs::rename(&target, place.path("elsewhere")).unwrap();
    fs::create_dir(&target).unwrap();
    assert!(matches!(folder.undo(), Err(Error::Target { .. })));
    fs::remove_dir(&target).unwrap();
    fs::rename(place.path("elsewhere"), &target).unwrap();
    undo(KeptFolder::open(&path).unwrap());
    assert_eq!(
        (names(&target), fs::read(target.join("changed")).unwrap()),
        (vec!["changed".into()], b"old".to_vec())
    );
}

#[test]
fn what_cannot_be_used_is_named_unless_it_keeps_nothing() {
    let place = Place::new();
    let target = place.path("target");
    fs::create_dir(&target).unwrap();
    let named = |label: &str| target.join(format!(".kopia-rs-undo-{label}-20200102T030405Z"));
    fs::write(named("file"), "").unwrap();
    symlink(&target, named("link")).unwrap();
    // Anybody may make one where anybody may write.
    for label in ["empty", "begun"] {
        fs::create_dir(named(label)).unwrap();
        set_mode(named(label), 0o777);
    }
    assert!(all_kept(&target).1.is_empty(), "{:?}", all_kept(&target).1);
    fs::write(named("begun").join("journal"), "kopia-rs-undo").unwrap();
    let unusable = all_kept(&target).1;
    let [Error::Target { path, .. }] = &*unusable else { panic!("{unusable:?}") };
    assert_eq!(path.file_name(), named("begun").file_name());
}

#[test]
fn what_cannot_be_used_may_be_of_a_restore_that_is_to_be_undone_before() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("home"));
    fs::create_dir_all(target.join("work/app")).unwrap();
    fs::write(target.join("changed"), "old").unwrap();
    let folder = kept(&kopia_restore::restore(&root, &target, &options(false)).unwrap());
    let home = folder.target();
    let (above, work) = (home.parent().unwrap(), home.join("work"));
    let (before, after) = ("20010101T000000Z", "99990101T000000Z");
    for (directory, label, time, place, expected) in [
        // A restore to the very path comes first, whenever it was.
        (&*work, "app", before, "work/app", Some(("work/app", false))),
        (&*work, "app", after, "work/app/sub", Some(("work/app", true))),
        (&*work, "app", before, "work/app/sub", None),
        (&*work, "app", after, "work", Some(("work/app", true))),
        (&*work, "app", after, "work/other", None),
        // Whoever asks for all undoes the restore of all.
        (&*work, "app", after, "", None),
        (&*home, "work", after, "", None),
        (above, "other", after, "", None),
        // It may lie beside what was restored, or in that.
        (above, "home", after, "", Some(("", true))),
        (above, "home", before, "", None),
        (&*home, "home", after, "", Some(("", true))),
        // A single file is of the directory that has it.
        (&*home, "changed", after, "", Some(("changed", true))),
        (&*home, "changed", after, "changed", Some(("changed", true))),
        (&*home, "changed", before, "changed", None),
        (&*home, "changed", after, "work", None),
        (&*work, "file", before, "work", Some(("work/file", false))),
        (&*work, "file", before, "work/file", Some(("work/file", false))),
        // Of what is gone nobody knows what it was.
        (&*home, "gone", after, "", Some(("gone", true))),
        (&*home, "gone", before, "gone", Some(("gone", false))),
        (&*home, "work", "later", "work", None),
    ] {
        let other = directory.join(format!(".kopia-rs-undo-{label}-{time}"));
        let expected = expected.map(|(path, is_later): (&str, bool)| (home.join(path), is_later));
        let before = folder.may_precede(&other, &home.join(place));
        let before = before.map(|before| (before.path, before.is_later));
        assert_eq!(before, expected, "{label} {time} {place}");
    }
}

/// It may have come with what was restored there, or have been copied.
#[test]
fn a_folder_whose_journal_is_of_a_target_that_lies_elsewhere_is_refused() {
    let place = Place::new();
    for name in ["target/sub/deep", "outside"] {
        fs::create_dir_all(place.path(name)).unwrap();
    }
    let above = fs::canonicalize(place.path("target")).unwrap();
    let planted = above.join("sub/.kopia-rs-undo-z");
    fs::create_dir(&planted).unwrap();
    set_mode(&planted, 0o700);
    symlink("../..", above.join("sub/up")).unwrap();
    let says = |target: &str| {
        let target = above.join("sub").join(target);
        let inode = fs::metadata(&target).map_or(7, |stat| stat.ino());
        let header = format!("kopia-rs-undo 1 {inode} 0 kaa 4000000000 {}\ndone\n", target.display());
        fs::write(planted.join("journal"), header).unwrap();
        let opened = KeptFolder::open(&planted).map_err(|error| {
            assert_eq!((find_kept(&above.join("sub")).len(), all_kept(&above.join("sub")).1.len()), (0, 1));
            std::error::Error::source(&error).unwrap().to_string()
        });
        opened.map(|folder| folder.target()).map_err(|why| why.contains("neither there nor beside it"))
    };
    for path in ["/", "/etc", above.to_str().unwrap(), place.path("outside").to_str().unwrap(), "deep/x"] {
        assert_eq!(says(path), Err(true), "{path}");
    }
    // Where a path leads that is not as the system has it nobody knows.
    for path in ["..", "deep/../..", "up/.", "deep/", "."] {
        assert_eq!(says(path), Err(false), "{path}");
    }
    assert_eq!(says("up/outside"), Err(true));
    // In it or beside it, as restores make them. Another one may have gone.
    for path in ["deep", "gone"] {
        assert_eq!(says(path), Ok(above.join("sub").join(path)));
    }
    assert_eq!(says(above.join("sub").to_str().unwrap()), Ok(above.join("sub")));
}

#[test]
fn where_the_target_is_gone_an_undo_that_had_problems_can_be_run_again() {
    for was_killed in [false, true] {
        let place = Place::new();
        let (root, target) = (root(&place), place.path("target"));
        fs::create_dir(&target).unwrap();
        for name in ["changed", "mine"] {
            fs::write(target.join(name), format!("old {name}")).unwrap();
        }
        let before = see(&target);
        let path = kopia_restore::restore(&root, &target, &options(true)).unwrap().kept_in.unwrap();
        fs::remove_dir_all(&target).unwrap();
        if was_killed {
            // Before the target that it had made got to its place.
            fs::create_dir(path.join("target")).unwrap();
        }
        let name = names(&path.join("kept")).into_iter().find(|name| name.ends_with("-mine")).unwrap();
        let (kept, lost) = (path.join("kept").join(name), place.path("lost"));
        fs::rename(&kept, &lost).unwrap();
        let undone = KeptFolder::open(&path).unwrap().undo().unwrap();
        assert_eq!((undone.problem_count, &*undone.problems[0].path), (1, "mine"));
        assert_eq!(names(&target), ["changed"]);
        fs::rename(&lost, &kept).unwrap();
        undo(KeptFolder::open(&path).unwrap());
        assert_eq!(see(&target), before);
    }
}

/// There every folder is shown alike.
#[test]
fn where_no_mode_can_be_set_a_folder_that_is_shown_as_open_is_used() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    for answer in [Some(Errno::PERM), None] {
        fs::create_dir(&target).unwrap();
        fs::write(target.join("changed"), "old").unwrap();
        let path = kopia_restore::restore(&root, &target, &options(false)).unwrap().kept_in.unwrap();
        set_mode(&path, 0o777);
        assert_eq!((find_kept(&target).len(), all_kept(&target).1.len()), (0, 1));
        let undone = refusing(&[(Call::Chmod, answer)], || {
            assert!(all_kept(&target).1.is_empty());
            undo(find_kept(&target).pop().expect("it is found"))
        });
        if undone.is_none() {
            return;
        }
        assert_eq!(
            (names(&target), fs::read(target.join("changed")).unwrap()),
            (vec!["changed".into()], b"old".to_vec())
        );
        fs::remove_dir_all(&target).unwrap();
    }
}

#[test]
fn what_cannot_be_kept_is_refused_before_anything_is_written() {
    let place = Place::new();
    let root = root(&place);
    for change in [
        (|options| options.in_place = true) as fn(&mut Options),
        |options| options.salvage = true,
        |options| options.portion = kopia_restore::Portion::Finish(2),
    ] {
        let mut options = options(false);
        change(&mut options);
        let refused = kopia_restore::restore(&root, place.path("target"), &options);
        assert!(matches!(refused, Err(Error::KeepsNothing)));
    }
    assert!(!place.path("target").exists());
}

#[test]
fn of_extra_folders_of_which_something_stays_nothing_is_kept() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    for name in ["mixed", "whole"] {
        fs::create_dir_all(target.join(name)).unwrap();
        fs::write(target.join(name).join("x.txt"), "mine").unwrap();
    }
    fs::write(target.join("mixed/y.bin"), "mine").unwrap();
    fs::write(target.join("extra.txt"), "mine").unwrap();
    let before = see(&target);
    let mut choice = Choice::default();
    choice.exclude("*.bin", false).unwrap();
    choice.exclude("file-was-*", false).unwrap();
    let mut options = options(true);
    options.chosen = Some(choice.among([&root]).unwrap());
    let preview = kopia_restore::preview(&root, &target, &options, |_| ()).unwrap();
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert_eq!((outcome.deleted, preview.deleted), (2, 2));
    assert!(target.join("mixed/x.txt").exists() && !target.join("whole").exists());
    let folder = kept(&outcome);
    assert_eq!((folder.object(), folder.kept()), (&*root.object().to_string(), 2));
    undo(folder);
    assert_eq!(see(&target), before);
}

#[test]
fn what_is_not_kept_any_more_is_told() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir(&target).unwrap();
    for name in ["changed", "dir-was-file", "hard", "mine", "other"] {
        fs::write(target.join(name), format!("old {name}")).unwrap();
    }
    let outcome = kopia_restore::restore(&root, &target, &options(true)).unwrap();
    assert_eq!((outcome.problem_count, outcome.deleted), (0, 2), "{:?}", problems(&outcome));
    let path = outcome.kept_in.unwrap();
    for name in names(&path.join("kept")) {
        if name.ends_with("-changed") || name.ends_with("-dir-was-file") || name.ends_with("-mine") {
            fs::remove_file(path.join("kept").join(name)).unwrap();
        }
    }
    let told = || {
        let undone = KeptFolder::open(&path).unwrap().undo().unwrap();
        assert_eq!(undone.problem_count, undone.problems.len() as u64);
        let mut told: Vec<_> = undone.problems.into_iter().map(|problem| problem.path).collect();
        told.sort();
        told
    };
    assert_eq!(told(), ["changed", "dir-was-file", "mine"]);
    assert_eq!(names(&target), ["changed", "dir-was-file", "hard", "other"]);
    let read = |name: &str| fs::read_to_string(target.join(name)).unwrap();
    assert_eq!(["changed", "hard", "other"].map(read), ["text", "old hard", "old other"]);
    // What an undo has put back may be gone again when it is run once more.
    fs::remove_file(target.join("other")).unwrap();
    assert_eq!(told(), ["changed", "dir-was-file"]);
    // Something else by the name of what was replaced is newer than all of that.
    fs::remove_file(target.join("changed")).unwrap();
    fs::write(target.join("changed"), "newer").unwrap();
    fs::remove_dir_all(target.join("dir-was-file")).unwrap();
    undo(KeptFolder::open(&path).unwrap());
    assert_eq!((names(&target), read("changed")), (vec!["changed".into(), "hard".into()], "newer".into()));
}

/// Many files that all change, so that the journal of them takes several pages.
fn many(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new();
    let new = writer.file(b"new");
    let entries: Vec<_> = (0..120).map(|number| file(&format!("file-{number:03}"), &new, 3)).collect();
    let data = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", data);
    place.finish("repo", writer)
}

#[test]
fn wherever_the_disk_is_full_nothing_is_lost() {
    let Some(mount) = tmpfs::mounted() else {
        let folder = tempfile::tempdir().unwrap();
        return tmpfs::rerun("undoing::wherever_the_disk_is_full_nothing_is_lost", folder.path());
    };
    let place = Place::new();
    let root = many(&place);
    place.restore(&root, "fresh");
    let target = mount.join("target");
    let is_entry = |seen: &(PathBuf, u32, i64, i64, Vec<u8>)| {
        // The target itself has had an unfinished folder in it.
        seen.0 != Path::new("") && !seen.0.starts_with(format!(".kopia-rs-restore-{}", root.object()))
    };
    let entries = || see(&target).into_iter().filter(is_entry).collect::<Vec<_>>();
    let (mut midway, mut extras, mut done) = (0, 0, 0);
    for pages in 100..190 {
        tmpfs::resize(&mount, 64 << 20);
        fs::create_dir(&target).unwrap();
        for number in 0..120 {
            fs::write(target.join(format!("file-{number:03}")), format!("old {number}")).unwrap();
            // What the journal says of them takes several pages, too.
            let extra = format!("extra-{number:03}-{}", "x".repeat(100));
            fs::write(target.join(extra), "mine").unwrap();
        }
        let before = entries();
        tmpfs::resize(&mount, tmpfs::used(&mount) + pages * 4096);
        let ended = kopia_restore::restore(&root, &target, &options(true));
        let mut folders = find_kept(&target);
        assert!(folders.len() <= 1, "{pages} pages: {folders:?}");
        let undeleted = ended.as_ref().map(|outcome| outcome.undeleted);
        done += usize::from(undeleted.is_ok_and(|number| number == 0));
        extras += usize::from(undeleted.is_ok_and(|number| number > 0));
        midway += usize::from(ended.is_err() && !folders.is_empty());
        // With room, it goes on; without, it can be undone as well.
        if pages % 2 == 0 {
            drop(folders);
            tmpfs::resize(&mount, 64 << 20);
            kopia_restore::restore(&root, &target, &options(true)).unwrap();
            assert_same(&place.path("fresh"), &target);
            folders = find_kept(&target);
            // One that came to its end, but for extras that found no room in the journal, has its own.
            let two = usize::from(undeleted.is_ok_and(|number| number > 0));
            assert_eq!(folders.len(), 1 + two, "{pages} pages");
        }
        for folder in folders {
            undo(folder);
        }
        assert_eq!(entries(), before, "{pages} pages, {ended:?}");
        assert!(find_kept(&target).is_empty());
        fs::remove_dir_all(&target).unwrap();
    }
    eprintln!(
        "of 90, {midway} were full when names were taken, {extras} when extras went, {done} were not full"
    );
    assert!(midway > 0 && extras > 0 && done > 0, "{midway} {extras} {done}");
}

#[test]
fn a_closed_folder_is_closed_again_after_a_file_in_it_got_its_attributes_back() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    fs::create_dir_all(target.join("dir")).unwrap();
    fs::write(target.join("dir/changed"), "text").unwrap();
    set_mode(target.join("dir/changed"), 0o600);
    for name in ["dir", ""] {
        set_mode(target.join(name), 0o500);
    }
    let before = see(&target);
    let outcome = kopia_restore::restore(&root, &target, &options(false)).unwrap();
    assert_ne!(see(&target), before);
    undo(kept(&outcome));
    assert_eq!(see(&target), before);
}

/// An undo that was killed has moved a folder back, and has not closed it again; a restore that was killed has
/// opened one up to move it away, and has not.
#[test]
fn a_folder_that_was_opened_up_to_be_moved_is_closed_again() {
    let place = Place::new();
    let (root, target) = (root(&place), place.path("target"));
    for (name, mode) in [("extra", 0o550), ("unreadable", 0o050)] {
        fs::create_dir_all(target.join(name)).unwrap();
        set_mode(target.join(name), mode);
    }
    set_time(&target, 1_000_000_000);
    let before = see(&target);
    let outcome = kopia_restore::restore(&root, &target, &options(true)).unwrap();
    let folder = kept(&outcome);
    let mut moved = 0;
    for kept in fs::read_dir(folder.path().join("kept")).unwrap().map(|entry| entry.unwrap()) {
        let name = kept.file_name().into_string().unwrap();
        let name = name.split_once('-').unwrap().1;
        set_mode(kept.path(), if name == "extra" { 0o750 } else { 0o700 });
        fs::rename(kept.path(), target.join(name)).unwrap();
        moved += 1;
    }
    // Root alone looks into a folder that its owner may not read, and what was not looked into stays.
    assert_eq!(moved + outcome.undeleted, 2, "{:?}", outcome.problems);
    assert!(moved == 2 || !rustix::process::geteuid().is_root());
    undo(folder);
    assert_eq!(see(&target), before);
}

/// A target that can be changed and put back without setting an attribute, but for three times, two modes and,
/// where files can be given away, an owner.
fn fill_open(target: &Path) {
    let at = |name: &str| target.join(name);
    for name in ["dir", "extra/inner", "file-was-dir/full"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    for name in
        ["changed", "dir-was-file", "dir/changed", "dir/extra", "extra/inner/file", "file-was-dir/full/file"]
    {
        fs::write(at(name), format!("old {name}")).unwrap();
    }
    symlink("old", at("link-was-other")).unwrap();
    fs::write(at("other-mode"), "text").unwrap();
    for (name, mode) in [("other-mode", 0o600), ("dir", 0o711), ("", 0o755)] {
        set_mode(at(name), mode);
    }
    if rustix::process::geteuid().is_root() {
        chown(at("dir"), Some(4242), None).unwrap();
    }
    for (number, name) in ["other-mode", "dir", ""].iter().enumerate() {
        set_time(&at(name), 1_000_000_000 + number as u64);
    }
}

#[test]
fn what_a_target_refuses_is_noted_and_all_else_is_back() {
    let place = Place::in_memory();
    let root = root(&place);
    let names_and_bytes = |target: &Path| -> Vec<_> {
        let seen = see(target).into_iter();
        seen.map(|(path, mode, _, _, bytes)| (path, mode & 0o170_000, bytes)).collect()
    };
    let sets: [&[Call]; 4] =
        [&[Call::Chmod], &[Call::Chown], &[Call::Utimes], &[Call::Chmod, Call::Chown, Call::Utimes]];
    for (number, set) in sets.into_iter().enumerate() {
        for answer in [Some(Errno::PERM), Some(Errno::OPNOTSUPP), None] {
            let refused: Vec<_> = set.iter().map(|&call| (call, answer)).collect();
            // Refused from now on, or from the beginning.
            for later in [true, false] {
                let what = format!("{set:?} {answer:?} {later}");
                let target = place.path(&format!("target {number} {answer:?} {later}"));
                fs::create_dir(&target).unwrap();
                fill_open(&target);
                let before = names_and_bytes(&target);
                let restore = || {
                    let outcome = kopia_restore::restore(&root, &target, &options(true)).unwrap();
                    assert!(outcome.problems.is_empty(), "{what}: {:?}", problems(&outcome));
                    assert!(!target.join("extra").exists() && target.join("made/deep").exists(), "{what}");
                    kept(&outcome)
                };
                let folder = later.then(restore);
                let undone = refusing(&refused, || undo(folder.unwrap_or_else(restore)));
                let Some(undone) = undone else { return };
                assert_eq!(names_and_bytes(&target), before, "{what}");
                assert_eq!((undone.aside, undone.changed_since), (0, 0), "{what}: {undone:?}");
                let notes = undone.notes;
                let refuses = |call| set.contains(&call);
                if later {
                    let given = refuses(Call::Chown) && rustix::process::geteuid().is_root();
                    let expected = [u64::from(given), if refuses(Call::Chmod) { 2 } else { 0 }];
                    assert_eq!([notes.owners, notes.modes], expected, "{what}: {notes:?}");
                }
                // Times of folders change with what is moved, and of files only if they are set.
                let times = if later { 3 } else { 2 };
                assert_eq!(notes.times, if refuses(Call::Utimes) { times } else { 0 }, "{what}: {notes:?}");
                assert_eq!(notes.special_bits, 0, "{what}: {notes:?}");
            }
        }
    }
}
