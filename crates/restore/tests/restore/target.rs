//! The target itself, from its creation to its final mode.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use kopia_repository::Entry;
use kopia_repository::Shard;
use kopia_restore::{Error, Observer, Options, Portion};
use kopia_testkit::refuse::{Call, refusing};
use kopia_testkit::writer::RepositoryWriter;
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use crate::common::{Place, assert_same, file, folder, link, mode, names, set_mode};

fn root(place: &Place) -> Entry {
    place.root("repo", |writer| {
        let (a, b) = (writer.file(b"a"), writer.file(b"b"));
        let inner = writer.directory(&[file("b", &b, 1)]);
        folder("data", &writer.directory(&[file("a", &a, 1), folder("d", &inner)]))
    })
}

/// What a new folder gets here.
fn usual(place: &Place) -> u32 {
    let path = place.path("usual");
    let _ = fs::create_dir(&path);
    mode(&path)
}

/// Notes the modes of a target and of the unfinished folder in it, and stops on request.
struct Watch<'a> {
    target: &'a Path,
    seen: Mutex<Vec<(u32, u32)>>,
    stop: AtomicBool,
    resumed: AtomicBool,
}

impl<'a> Watch<'a> {
    fn new(target: &'a Path, stop: bool) -> Self {
        Self { target, seen: Mutex::default(), stop: stop.into(), resumed: false.into() }
    }
}

impl Observer for Watch<'_> {
    fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn resumed(&self) {
        self.resumed.store(true, Ordering::Relaxed);
    }

    fn entry(&self) {
        let unfinished = names(self.target).into_iter().find(|name| name.starts_with(".kopia-rs-restore-"));
        let unfinished = unfinished.map(|name| mode(self.target.join(name)) & 0o777);
        self.seen.lock().unwrap().push((mode(self.target), unfinished.unwrap_or(0o700)));
    }
}

#[test]
fn a_new_target_is_closed_to_others_until_it_has_its_final_mode() {
    let place = Place::new();
    let root = root(&place);
    for (name, root_attributes, skip_permissions, expected) in [
        ("as-the-snapshot", true, false, 0o755),
        ("no-root", false, false, usual(&place)),
        ("no-modes", true, true, usual(&place)),
    ] {
        let target = place.path("on/the/way").join(name);
        let mut options = Options::default();
        options.root_attributes = root_attributes;
        options.skip_permissions = skip_permissions;
        let watch = Watch::new(&target, false);
        kopia_restore::restore_observed(&root, &target, &options, &watch).unwrap();
        let seen = watch.seen.into_inner().unwrap();
        assert!(!seen.is_empty() && seen.iter().all(|modes| *modes == (0o700, 0o700)), "{name}: {seen:?}");
        assert_eq!(mode(&target), expected, "{name}");
        assert_eq!(mode(place.path("on/the/way")), usual(&place));
        assert!(!watch.resumed.into_inner());
    }
    // A single file's folder is one that anybody could have made.
    kopia_restore::restore(&root.at("a").unwrap(), place.path("new/sub/"), &Options::default()).unwrap();
    assert_eq!([mode(place.path("new")), mode(place.path("new/sub"))], [usual(&place); 2]);
    assert_eq!(names(&place.path("new/sub")), ["a"]);
}

#[test]
fn an_interrupted_restore_leaves_it_closed_and_the_next_one_opens_it() {
    let place = Place::new();
    let root = root(&place);
    let target = place.path("target");
    let mut options = Options::default();
    options.root_attributes = false;
    let stopped = kopia_restore::restore_observed(&root, &target, &options, &Watch::new(&target, true));
    assert!(matches!(stopped, Err(Error::Stopped { .. })));
    assert_eq!(mode(&target), 0o700);
    let watch = Watch::new(&target, false);
    let outcome = kopia_restore::restore_observed(&root, &target, &options, &watch).unwrap();
    assert!(outcome.resumed && watch.resumed.into_inner());
    assert!(watch.seen.into_inner().unwrap().iter().all(|modes| *modes == (0o700, 0o700)));
    assert_eq!(mode(&target), usual(&place));

    // One of another root does so as well.
    let other = place.path("other");
    let inner = root.at("d").unwrap();
    kopia_restore::restore_observed(&root, &other, &options, &Watch::new(&other, true)).unwrap_err();
    kopia_restore::restore(&inner, &other, &options).unwrap();
    assert_eq!((mode(&other), names(&other)), (usual(&place), vec!["b".to_string()]));

    // One that was there before is as it was, whatever happens.
    let existing = place.path("existing");
    fs::create_dir(&existing).unwrap();
    set_mode(&existing, 0o2750);
    kopia_restore::restore_observed(&root, &existing, &options, &Watch::new(&existing, true)).unwrap_err();
    assert_eq!(mode(&existing), 0o2750);
    kopia_restore::restore(&root, &existing, &options).unwrap();
    assert_eq!(mode(&existing), 0o2750);
}

/// As where no inode is free for the file that is made first.
#[test]
fn a_new_target_is_gone_again_where_no_file_can_be_made_in_it() {
    let place = Place::new();
    let root = root(&place);
    let file = root.at("a").unwrap();
    let refused = [(Call::CreateWithMode, Some(Errno::NOSPC))];
    for (keep_replaced, (entry, name)) in [false, true]
        .into_iter()
        .flat_map(|keeps| [(&root, "new"), (&file, "new/"), (&file, "new/.")].map(|to| (keeps, to)))
    {
        let mut options = Options::default();
        options.keep_replaced = keep_replaced;
        let target = place.path(name);
        let Some(ended) = refusing(&refused, || kopia_restore::restore(entry, &target, &options)) else {
            return;
        };
        assert!(matches!(ended, Err(Error::Target { what: "cannot be written", .. })), "{ended:?}");
        assert_eq!(names(&place.path("")), ["repo"], "{name}, {keep_replaced}");
    }
    // One that was there is as it was.
    let target = place.path("target");
    fs::create_dir(&target).unwrap();
    set_mode(&target, 0o711);
    let ended = refusing(&refused, || kopia_restore::restore(&root, &target, &Options::default()));
    assert!(matches!(ended, Some(Err(Error::Target { .. }))), "{ended:?}");
    assert_eq!((names(&target), mode(&target)), (vec![], 0o711));
}

#[test]
fn an_unfinished_folder_that_others_could_write_in_is_not_taken_up() {
    let place = Place::new();
    let root = root(&place);
    let target = place.path("target");
    kopia_restore::restore_observed(&root, &target, &Options::default(), &Watch::new(&target, true))
        .unwrap_err();
    let unfinished = target.join(format!(".kopia-rs-restore-{}", root.object()));
    fs::write(unfinished.join("planted"), b"x").unwrap();
    set_mode(&unfinished, 0o1777);
    let refused = kopia_restore::restore(&root, &target, &Options::default()).unwrap_err();
    let Error::Target { source, .. } = &refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains("others may write in it"), "{source}");
    assert_eq!(names(&unfinished), ["planted"]);
    // Nor is it removed by a restore of another root.
    kopia_restore::restore(&root.at("d").unwrap(), &target, &Options::default()).unwrap();
    assert_eq!(names(&unfinished), ["planted"]);
    // What others can only read is closed to them, and used.
    fs::remove_file(unfinished.join("planted")).unwrap();
    set_mode(&unfinished, 0o755);
    let watch = Watch::new(&target, false);
    kopia_restore::restore_observed(&root, &target, &Options::default(), &watch).unwrap();
    assert!(watch.seen.into_inner().unwrap().iter().all(|(_, unfinished)| *unfinished == 0o700));
}

#[test]
fn links_to_anything_but_a_folder_are_no_target() {
    let place = Place::new();
    let root = root(&place);
    fs::write(place.path("precious"), b"precious").unwrap();
    fs::create_dir(place.path("real")).unwrap();
    for (name, to) in [("to-file", "precious"), ("to-nothing", "missing"), ("to-null", "/dev/null")] {
        symlink(to, place.path(name)).unwrap();
    }
    symlink("real", place.path("to-folder")).unwrap();
    for entry in [root.clone(), root.at("a").unwrap()] {
        for (name, what) in
            [("to-file", "a link to precious"), ("to-nothing", "missing"), ("to-null", "/dev/null")]
        {
            let restored = kopia_restore::restore(&entry, place.path(name), &Options::default());
            let shown = kopia_restore::preview(&entry, place.path(name), &Options::default(), |_| {});
            for error in [restored.unwrap_err(), shown.unwrap_err()] {
                let Error::Target { source, what: "cannot be replaced", .. } = &error else {
                    panic!("{error:?}")
                };
                assert!(source.to_string().contains(what), "{source}");
            }
            assert!(fs::symlink_metadata(place.path(name)).unwrap().is_symlink());
        }
    }
    assert_eq!(fs::read(place.path("precious")).unwrap(), b"precious");
    assert!(!place.path("missing").exists());
    // A link to a folder stands for the folder.
    kopia_restore::restore(&root, place.path("to-folder"), &Options::default()).unwrap();
    kopia_restore::restore(&root, place.path("plain"), &Options::default()).unwrap();
    assert_same(&place.path("plain"), &place.path("real"));
}

#[test]
fn a_dot_at_the_end_asks_for_a_folder_as_a_slash_does() {
    let place = Place::new();
    let file = root(&place).at("a").unwrap();
    fs::write(place.path("precious"), b"precious").unwrap();
    symlink("precious", place.path("link")).unwrap();
    symlink("nowhere", place.path("broken")).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, place.path("pipe"), FileType::Fifo, mode, 0).unwrap();
    for end in ["/", "/.", "/./."] {
        for name in ["precious", "link", "broken", "pipe"] {
            let inode = || fs::symlink_metadata(place.path(name)).unwrap().ino();
            let (before, target) = (inode(), place.path(&format!("{name}{end}")));
            let shown = kopia_restore::preview(&file, &target, &Options::default(), |_| {}).unwrap_err();
            let restored = kopia_restore::restore(&file, &target, &Options::default()).unwrap_err();
            for refused in [shown, restored] {
                assert!(matches!(refused, Error::NotADirectory { .. }), "{name}{end}: {refused}");
            }
            assert_eq!(inode(), before, "{name}{end}");
        }
        let target = place.path(&format!("new{}{end}", end.len()));
        kopia_restore::restore(&file, &target, &Options::default()).unwrap();
        assert_eq!(names(&target), ["a"], "{end}");
    }
    assert_eq!(fs::read(place.path("precious")).unwrap(), b"precious");
}

#[test]
fn the_name_that_a_file_is_to_have_need_not_be_utf8() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new().piece_size(1000);
    let (small, large, to) = (writer.file(b"hello"), writer.file(&[7; 3003]), writer.file(b"nowhere"));
    let entries = [file("large", &large, 3003), link("link", &to), file("small", &small, 5)];
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", folder("data", &root));
    let root = place.finish("repo", writer);
    let at = |name: &str| place.path("in").join(OsStr::from_bytes(&[name.as_bytes(), b" \xe9"].concat()));
    let mut options = Options::default();
    let restore = |name: &str, options: &Options| {
        let (entry, target) = (root.at(name).unwrap(), at(name));
        let seen = kopia_restore::preview(&entry, &target, options, |_| {}).unwrap();
        let outcome = kopia_restore::restore(&entry, &target, options).unwrap();
        assert_eq!((seen.problem_count, outcome.problem_count), (0, 0), "{name}");
        let written = outcome.files + outcome.symlinks;
        assert_eq!((seen.written, seen.kept), (written, outcome.kept), "{name}");
        (written, outcome.kept)
    };
    for name in ["small", "large", "link"] {
        assert_eq!(restore(name, &options), (1, 0), "{name}");
        assert_eq!(restore(name, &options), (0, 1), "{name}, at rest");
    }
    let all = || (fs::read(at("small")).unwrap(), fs::read(at("large")).unwrap());
    let expected = (b"hello".to_vec(), vec![7; 3003]);
    assert_eq!(all(), expected);
    assert_eq!(fs::read_link(at("link")).unwrap().to_str(), Some("nowhere"));
    assert_eq!(fs::read_dir(place.path("in")).unwrap().count(), 3);
    options.in_place = true;
    for (name, bytes) in [("small", &b"other"[..]), ("large", &[8; 3003])] {
        fs::write(at(name), bytes).unwrap();
        assert_eq!(restore(name, &options), (1, 0), "{name}, changed");
    }
    fs::write(at("small"), "kept").unwrap();
    (options.in_place, options.keep_replaced) = (false, true);
    assert_eq!(restore("small", &options), (1, 0), "kept");
    assert_eq!(all(), expected);
}

#[test]
fn a_dry_run_is_refused_where_the_restore_is() {
    let place = Place::new();
    let root = root(&place);
    let preview = |target: &Path| kopia_restore::preview(&root, target, &Options::default(), |_| {});
    let restore = |target: &Path| kopia_restore::restore(&root, target, &Options::default());
    fs::write(place.path("file"), b"x").unwrap();
    symlink("nowhere", place.path("broken")).unwrap();
    for target in [
        "file",
        "file/",
        "file/.",
        "file/below",
        "broken/",
        "broken/below",
        "missing/../other",
        "repo",
        "repo/below",
    ] {
        let target = place.path(target);
        let (shown, restored) = (preview(&target).unwrap_err(), restore(&target).unwrap_err());
        assert_eq!(shown.to_string(), restored.to_string(), "{}", target.display());
    }
    for target in ["file/", "file/below", "broken/", "broken/below"] {
        let refused = preview(&place.path(target)).unwrap_err();
        assert!(matches!(refused, Error::NotADirectory { .. }), "{target}: {refused}");
    }
    // Another restore is at work there.
    let busy = place.path("busy");
    kopia_restore::restore_observed(&root, &busy, &Options::default(), &Watch::new(&busy, true)).unwrap_err();
    let unfinished = fs::File::open(busy.join(format!(".kopia-rs-restore-{}", root.object()))).unwrap();
    rustix::fs::flock(&unfinished, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(matches!(restore(&busy), Err(Error::Busy { .. })));
    assert!(matches!(preview(&busy), Err(Error::Busy { .. })));
    rustix::fs::flock(&unfinished, rustix::fs::FlockOperation::Unlock).unwrap();
    assert_eq!(preview(&busy).unwrap().written, 2);
    restore(&busy).unwrap();
}

#[test]
fn the_mark_of_another_user_vouches_for_nothing() {
    let place = Place::new();
    let root = root(&place);
    let target = place.path("target");
    let part = |part| {
        let mut options = Options::default();
        options.portion = part;
        kopia_restore::restore(&root, &target, &options)
    };
    part(Portion::Shard(Shard::new(0, 2).unwrap())).unwrap();
    let unfinished = format!(".kopia-rs-restore-{}", root.object());
    let is_mark = |name: &String| name.starts_with(&unfinished) && name.contains(".shard-");
    let mark = names(&target).into_iter().find(is_mark).unwrap();
    // As if the second shard had come to its end.
    let planted = target.join(mark.replace("shard-0", "shard-1"));
    fs::copy(target.join(mark), &planted).unwrap();
    if chown(&planted, Some(65534), Some(65534)).is_err() {
        return kopia_testkit::facilities::left_out("only root can make a file of another user");
    }
    let refused = part(Portion::Finish(2)).unwrap_err();
    let Error::Target { source, .. } = &refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains("belongs to another user"), "{source}");
    fs::remove_file(planted).unwrap();
    part(Portion::Shard(Shard::new(1, 2).unwrap())).unwrap();
    assert_eq!(part(Portion::Finish(2)).unwrap().problem_count, 0);
    assert_eq!(names(&target), ["a", "d"]);
}
