//! Other owners than those that were backed up. Only root can give files away, so without it little is shown.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kopia_repository::Entry;
use kopia_repository::owners::{Accounts, Owners, Rules};
use kopia_restore::{Action, Existing, Options};
use kopia_testkit::writer::RepositoryWriter;
use serde_json::Value;

use crate::common::{Place, file, folder, link, names, set_mode};

/// The entries of [`tree`], with their owners.
const ENTRIES: [(&str, u32, u32); 7] = [
    ("", 1000, 1000),
    ("anna", 1000, 1000),
    ("ben", 1001, 1001),
    ("large", 1000, 7),
    ("link", 1001, 1000),
    ("sub", 0, 7),
    ("tool", 0, 0),
];

fn owned(mut entry: Value) -> Value {
    let name = entry["name"].as_str().unwrap();
    let name = if name == "data" { "" } else { name };
    let (_, uid, gid) = ENTRIES.iter().find(|(known, ..)| *known == name).unwrap();
    (entry["uid"], entry["gid"]) = ((*uid).into(), (*gid).into());
    entry
}

/// Files of two people, a setgid folder and a setuid tool.
fn tree(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let [text, large] = [writer.file(b"text"), writer.file(&[7; 20_000])];
    let mut tool = file("tool", &text, 4);
    tool["mode"] = "040000755".into();
    let mut sub = folder("sub", &writer.directory(&[]));
    sub["mode"] = "020000775".into();
    let entries = [
        file("anna", &text, 4),
        file("ben", &text, 4),
        file("large", &large, 20_000),
        link("link", &text),
        sub,
        tool,
    ];
    let root = folder("data", &writer.directory(&entries.map(owned)));
    writer.snapshot("app@host:/data", owned(root));
    place.finish("repo", writer)
}

fn attributes(target: &Path) -> Vec<(u32, u32, u32)> {
    let of = |name: &str| {
        let metadata = target.join(name).symlink_metadata().unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7000)
    };
    ENTRIES.iter().map(|(name, ..)| of(name)).collect()
}

fn rules(text: &str, there: Option<&Accounts>) -> kopia_repository::owners::IdMap {
    let here = |name: &str| (name == "anna").then_some(2000);
    text.parse::<Rules>().unwrap().resolve(there, here).unwrap()
}

fn options(users: &str, groups: &str) -> Options {
    let mut options = Options::default();
    if !users.is_empty() {
        options.owners.users = rules(users, None);
    }
    if !groups.is_empty() {
        options.owners.groups = rules(groups, None);
    }
    options
}

#[test]
fn entries_belong_to_whom_the_rules_say() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let root = tree(&place);
    let restored = |name: &str, options: &Options| {
        let outcome = kopia_restore::restore(&root, place.path(name), options).unwrap();
        assert_eq!((outcome.problem_count, outcome.notes), Default::default(), "{name}");
        attributes(&place.path(name))
    };
    let (setuid, setgid) = (0o4000, 0o2000);
    let all = [(1000, 1000, 0), (1000, 1000, 0), (1001, 1001, 0), (1000, 7, 0), (1001, 1000, 0)];
    let kept = [&all[..], &[(0, 7, setgid), (0, 0, setuid)]].concat();
    assert_eq!(restored("plain", &Options::default()), kept);

    let some = options("1000:2000,1001-1005:3001", "7:70");
    let mapped = [(2000, 1000, 0), (2000, 1000, 0), (3001, 1001, 0), (2000, 70, 0), (3001, 1000, 0)];
    let mapped = [&mapped[..], &[(0, 70, setgid), (0, 0, setuid)]].concat();
    assert_eq!(restored("some", &some), mapped);

    // Whoever gets everything is not who the tool was to run as.
    let one = options("*:2000", "*:70");
    let mut ones = vec![(2000, 70, 0); 7];
    ones[5].2 = setgid;
    assert_eq!(restored("one", &one), ones);
    assert!(
        restored("tool-moves", &options("0:5", ""))[6] == (5, 0, setuid),
        "it is the same user elsewhere"
    );
    assert!(restored("root", &options("*:0", "")).iter().all(|(uid, ..)| *uid == 0));

    let mut by_name = Options::default();
    by_name.owners.users = rules("*:9", None);
    let there = Accounts::parse(b"anna:x:1000:\nben:x:1001:\n");
    by_name.owners.users.add_names(&there, |name| (name == "anna").then_some(2000));
    assert_eq!(restored("names", &by_name)[1..3], [(2000, 1000, 0), (9, 1001, 0)]);
}

#[test]
fn what_is_there_is_compared_with_the_owner_that_is_wanted() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let (root, target) = (tree(&place), place.path("target"));
    let mapped = options("1000:2000", "*:70");
    kopia_restore::restore(&root, &target, &mapped).unwrap();
    let inode = |name: &String| target.join(name).symlink_metadata().unwrap().ino();
    let inodes = || names(&target).iter().map(inode).collect::<Vec<_>>();
    let before = inodes();
    for (existing, in_place) in [(Existing::Verify, false), (Existing::Skip, false), (Existing::Verify, true)]
    {
        let options = {
            let mut options = mapped.clone();
            (options.existing, options.in_place) = (existing, in_place);
            options
        };
        let mut actions = Vec::new();
        let preview = kopia_restore::preview(&root, &target, &options, |change| actions.push(change.action));
        assert_eq!((preview.unwrap().kept, actions), (5, vec![Action::Keep; 5]));
        let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
        assert_eq!((outcome.kept, outcome.files, outcome.notes.owners), (5, 0, 0));
        assert_eq!(inodes(), before);
        assert_eq!(attributes(&target)[1], (2000, 70, 0));
    }
    // Others are somebody else's, who may have them open: they are replaced.
    let outcome = kopia_restore::restore(&root, &target, &options("1000:3000", "*:70")).unwrap();
    assert!(outcome.files > 0 && outcome.problem_count == 0);
    assert_eq!(attributes(&target)[1], (3000, 70, 0));
    assert_eq!(attributes(&target)[3], (3000, 70, 0));
}

/// An interrupted restore gave its files to others.
#[test]
fn what_an_interrupted_restore_left_gets_the_owners_of_the_one_that_goes_on() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let root = tree(&place);
    let (whole, target) = (place.path("whole"), place.path("target"));
    kopia_restore::restore(&root, &whole, &options("*:3000", "*:300")).unwrap();
    fs::create_dir(&target).unwrap();
    let staging = target.join(format!(".kopia-rs-restore-{}", root.object()));
    fs::rename(&whole, &staging).unwrap();
    set_mode(&staging, 0o700);
    rustix::fs::chown(&staging, Some(rustix::fs::Uid::ROOT), Some(rustix::fs::Gid::ROOT)).unwrap();
    let outcome = kopia_restore::restore(&root, &target, &options("1000:2000", "")).unwrap();
    assert!(outcome.resumed && outcome.bytes_reused >= 20_000, "{outcome:?}");
    let expected = [(2000, 1000), (2000, 1000), (1001, 1001), (2000, 7), (1001, 1000), (0, 7), (0, 0)];
    let found: Vec<_> = attributes(&target).into_iter().map(|(uid, gid, _)| (uid, gid)).collect();
    assert_eq!(found, expected);
}

#[test]
fn shards_and_the_finish_know_the_owners() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let (root, target) = (tree(&place), place.path("target"));
    let mut options = options("*:2000", "7:70");
    for number in 0..2 {
        options.portion = kopia_restore::Portion::Shard(format!("{number}/2").parse().unwrap());
        kopia_restore::restore(&root, &target, &options).unwrap();
    }
    options.portion = kopia_restore::Portion::Finish(2);
    kopia_restore::restore(&root, &target, &options).unwrap();
    assert!(attributes(&target).iter().all(|(uid, ..)| *uid == 2000), "{:?}", attributes(&target));
    // A second finish finds that everything is there.
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert!(outcome.already_finished);
}

#[test]
fn a_preview_counts_owners_that_cannot_be_set() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let root = tree(&place);
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let owners_unset = |owners: Owners| {
        let mut options = Options::default();
        options.owners = owners;
        kopia_restore::preview(&root, place.path("target"), &options, |_| {}).unwrap().notes.owners
    };
    assert_eq!(owners_unset(options(&format!("*:{uid}"), &format!("*:{gid}")).owners), 0);
    assert_eq!(owners_unset(options(&format!("*:{}", uid + 1), "").owners), 7);
}
