//! Attributes that are left as they are.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use kopia_restore::Options;
use kopia_testkit::writer::RepositoryWriter;

use crate::common::{Place, file, folder, link, set_mode};

/// When the entries were modified.
const THEN: i64 = 1_577_934_245;

/// Owner, mode and time of an entry itself.
fn attributes(path: &Path) -> (u32, u32, i64) {
    let metadata = path.symlink_metadata().unwrap();
    (metadata.uid(), metadata.mode() & 0o7777, metadata.mtime())
}

#[test]
fn what_is_skipped_stays_as_it_is() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new();
    let [text, goal] = [writer.file(b"text"), writer.file(b"goal")];
    let mut run = file("run", &text, 4);
    run["mode"] = "040000755".into();
    let (own, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut inner = file("text", &text, 4);
    (inner["uid"], inner["gid"]) = (own.into(), group.into());
    let mut entries = [run, link("link", &goal), folder("sub", &writer.directory(&[inner]))];
    let mut root = folder("data", &writer.directory(&[]));
    // Only root can give files away, so only there this shows anything of owners.
    let foreign = if rustix::process::geteuid().is_root() { 1000 } else { own };
    for entry in &mut entries {
        (entry["uid"], entry["gid"]) = (foreign.into(), group.into());
    }
    root["obj"] = writer.directory(&entries).into();
    (root["uid"], root["gid"]) = (foreign.into(), group.into());
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);

    let restore = |name: &str, change: fn(&mut Options)| {
        let target = place.path(name);
        fs::create_dir(&target).unwrap();
        set_mode(&target, 0o711);
        let mut options = Options::default();
        change(&mut options);
        let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
        assert_eq!((outcome.problem_count, outcome.notes.owners), (0, 0), "{name}: {:?}", outcome.problems);
        ["", "run", "link", "sub", "sub/text"].map(|entry| attributes(&target.join(entry)))
    };

    let all = restore("all", |_| {});
    assert_eq!(all.map(|(owner, ..)| owner)[..4], [foreign; 4]);
    assert_eq!(all.map(|(_, mode, _)| mode), [0o755, 0o4755, 0o777, 0o755, 0o644]);
    assert_eq!(all.map(|(.., time)| time), [THEN; 5]);

    let owners = restore("owners", |options| options.skip_owners = true);
    assert_eq!(owners.map(|(owner, ..)| owner), [own; 5]);
    // Setuid would lend the rights of the running user.
    let setuid = if own == foreign { 0o4755 } else { 0o755 };
    assert_eq!(owners.map(|(_, mode, _)| mode), [0o755, setuid, 0o777, 0o755, 0o644]);
    assert_eq!(owners.map(|(.., time)| time), [THEN; 5]);

    let permissions = restore("permissions", |options| options.skip_permissions = true);
    assert_eq!(permissions.map(|(owner, ..)| owner)[..4], [foreign; 4]);
    assert_eq!(permissions.map(|(_, mode, _)| mode), [0o711, 0o600, 0o777, 0o700, 0o600]);

    let times = restore("times", |options| options.skip_times = true);
    assert_eq!(times.map(|(_, mode, _)| mode), [0o755, 0o4755, 0o777, 0o755, 0o644]);
    assert!(times.iter().all(|(.., time)| *time > THEN), "{times:?}");
}

#[test]
fn folders_that_were_opened_up_to_be_written_in_are_closed_again() {
    for (delete_extra, keep_replaced) in [(false, false), (true, false), (false, true)] {
        let place = Place::new();
        let mut writer = RepositoryWriter::new();
        let text = file("text", &writer.file(b"text"), 4);
        let deep = folder("deep", &writer.directory(std::slice::from_ref(&text)));
        let closed = folder("closed", &writer.directory(&[deep, text]));
        let root = folder("data", &writer.directory(&[closed]));
        writer.snapshot("app@host:/data", root);
        let root = place.finish("repo", writer);
        let target = place.path("target");
        fs::create_dir_all(target.join("closed/deep")).unwrap();
        let modes = [("closed/deep", 0o055), ("closed", 0o1555)];
        modes.iter().for_each(|(path, mode)| set_mode(target.join(path), *mode));
        let mut options = Options::default();
        options.skip_permissions = true;
        (options.delete_extra, options.keep_replaced) = (delete_extra, keep_replaced);
        let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
        assert_eq!((outcome.files, outcome.problem_count), (2, 0), "{:?}", outcome.problems);
        for (path, mode) in modes {
            let (_, found, time) = attributes(&target.join(path));
            assert_eq!((found, time), (mode, THEN), "{path}");
        }
        // So that an ordinary user can remove them.
        modes.iter().rev().for_each(|(path, _)| set_mode(target.join(path), 0o700));
    }
}

#[test]
fn what_is_there_already_keeps_what_is_skipped() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new();
    let [text, goal] = [writer.file(b"text"), writer.file(b"goal")];
    let entries = [file("text", &text, 4), link("link", &goal)];
    let root = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    let target = place.path("target");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("text"), "text").unwrap();
    set_mode(target.join("text"), 0o640);
    symlink("goal", target.join("link")).unwrap();
    let before = ["text", "link"].map(|name| attributes(&target.join(name)));
    let mut options = Options::default();
    (options.skip_owners, options.skip_permissions, options.skip_times) = (true, true, true);
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert_eq!((outcome.kept, outcome.problem_count), (2, 0));
    assert_eq!(["text", "link"].map(|name| attributes(&target.join(name))), before);
}

#[test]
fn what_an_interrupted_run_finished_is_as_new_where_attributes_are_skipped() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let bytes: Vec<u8> = (0..5000_u32).flat_map(|number| number.to_le_bytes()).collect();
    let [text, goal, large] = [writer.file(b"text"), writer.file(b"goal"), writer.file(&bytes)];
    let (own, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // Only root can give files away, so only there this shows anything of owners.
    let foreign = if rustix::process::geteuid().is_root() { 1000 } else { own };
    let owned = |mut entry: serde_json::Value| {
        (entry["uid"], entry["gid"]) = (foreign.into(), group.into());
        entry
    };
    let mut run = owned(file("run", &text, 4));
    run["mode"] = "040000755".into();
    let inner = owned(folder("inner", &writer.directory(&[owned(file("text", &text, 4))])));
    let sub = owned(folder("sub", &writer.directory(&[inner])));
    let entries = [owned(file("large", &large, 20_000)), owned(link("link", &goal)), run, sub];
    let mut root = folder("data", &writer.directory(&entries));
    (root["uid"], root["gid"]) = (own.into(), group.into());
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);

    const NAMES: [&str; 6] = ["large", "link", "run", "sub", "sub/inner", "sub/inner/text"];
    type Change = fn(&mut Options);
    let changes: [(&str, Change); 4] = [
        ("nothing", |_| {}),
        ("owners", |options| options.skip_owners = true),
        ("permissions", |options| options.skip_permissions = true),
        ("times", |options| options.skip_times = true),
    ];
    for (name, change) in changes {
        let mut options = Options::default();
        change(&mut options);
        let target = place.path(name);
        kopia_restore::restore(&root, &target, &Options::default()).unwrap();
        // As if it had been killed before its first rename.
        let left = target.join(format!(".kopia-rs-restore-{}", root.object()));
        fs::create_dir(&left).unwrap();
        for top in ["large", "link", "run", "sub"] {
            fs::rename(target.join(top), left.join(top)).unwrap();
        }
        let inodes = |folder: &Path| NAMES.map(|name| folder.join(name).symlink_metadata().unwrap().ino());
        let before = inodes(&left);
        let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
        assert_eq!((outcome.problem_count, outcome.notes.owners), (0, 0), "{name}: {:?}", outcome.problems);
        assert_eq!(inodes(&target), before, "{name}: it was taken up");

        let fresh = place.path(&format!("{name}-fresh"));
        kopia_restore::restore(&root, &fresh, &options).unwrap();
        for entry in NAMES {
            let (owner, mode, time) = attributes(&target.join(entry));
            let (new_owner, new_mode, new_time) = attributes(&fresh.join(entry));
            assert_eq!((owner, mode), (new_owner, new_mode), "{name}: {entry}");
            assert_eq!(
                (time == THEN, new_time == THEN),
                (name != "times", name != "times"),
                "{name}: {entry}"
            );
        }
    }
}
