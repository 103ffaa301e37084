use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use super::*;

/// A directory with one of everything.
struct Made(tempfile::TempDir);

impl Made {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Made {
    /// Only root removes a directory that nobody may enter.
    fn drop(&mut self) {
        fs::set_permissions(self.path().join("sub/deeper"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

fn made() -> Made {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir_all(root.join("sub/deeper")).unwrap();
    fs::write(root.join("hello"), "hello").unwrap();
    fs::write(root.join("sub/deeper/file"), "deep").unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"n\xff\xfe")), "name").unwrap();
    symlink("../hello", root.join("sub/link")).unwrap();
    symlink("sub", root.join("folder-link")).unwrap();
    for (path, mode) in [("hello", 0o640), ("sub/deeper/file", 0o000), ("sub/deeper", 0o000)] {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    set_time(&root.join("hello"), -2, 999_999_999);
    Made(directory)
}

fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// The one difference after `change`.
fn difference(change: impl FnOnce(&mut Vec<Entry>)) -> Vec<String> {
    let expected = Tree::load("small");
    let mut entries = expected.entries().to_vec();
    change(&mut entries);
    compare(&expected, &Tree::new(entries), &Compare::default())
}

fn at<'a>(entries: &'a mut [Entry], path: &str) -> &'a mut Entry {
    entries.iter_mut().find(|entry| entry.path == path).unwrap()
}

#[test]
fn a_scan_equals_itself_and_leaves_no_trace() {
    let directory = made();
    let (first, second) = (Tree::scan(directory.path()), Tree::scan(directory.path()));
    assert_eq!(first, second);
    assert!(compare(&first, &second, &Compare::default()).is_empty());
}

#[test]
fn a_scan_sees_everything() {
    let directory = made();
    let tree = Tree::scan(directory.path());
    let paths: Vec<&str> = tree.entries().iter().map(|entry| entry.path.as_str()).collect();
    let all =
        ["", "folder-link", "hello", "n\u{fffd}\u{fffd}", "sub", "sub/deeper", "sub/deeper/file", "sub/link"];
    assert_eq!(paths, all);
    let hello = tree.get("hello").unwrap();
    assert_eq!((hello.kind, hello.mode, hello.size), (Kind::File, 0o640, 5));
    assert_eq!(hello.mtime_ns, -1_000_000_001);
    let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(hello.sha256.as_deref(), Some(sha256));
    assert_eq!(tree.get("sub/deeper/file").unwrap().mode, 0);
    let link = tree.get("folder-link").unwrap();
    assert_eq!((link.kind, link.target.as_deref()), (Kind::Symlink, Some("sub")));
}

#[test]
fn a_single_file_or_link_is_a_tree() {
    let directory = made();
    let file = Tree::scan_file(directory.path().join("hello"));
    assert_eq!(file, Tree::scan(directory.path()).only("hello"));
    let link = Tree::scan_file(directory.path().join("sub/link"));
    assert_eq!(link.entries()[0].target.as_deref(), Some("../hello"));
}

#[test]
fn paths_may_be_longer_than_the_system_takes() {
    let directory = tempfile::tempdir().unwrap();
    let name = "x".repeat(250);
    let mut handle = fs::File::open(directory.path()).unwrap();
    for _ in 0..20 {
        rustix::fs::mkdirat(&handle, &name, rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::DIRECTORY;
        handle = rustix::fs::openat(&handle, &name, flags, rustix::fs::Mode::empty()).unwrap().into();
    }
    let tree = Tree::scan(directory.path());
    assert_eq!(tree.entries().last().unwrap().path.len(), 20 * 251 - 1);
}

#[test]
fn only_takes_whole_names() {
    let tree = Tree::load("small");
    let sub = tree.only("sub");
    assert_eq!(sub.entries().len(), 5);
    assert_eq!(sub.entries()[0].kind, Kind::Directory);
    assert!(sub.get("deeper/mixed").is_some());
    assert_eq!(tree.only(""), tree);
    assert!(std::panic::catch_unwind(|| Tree::load("small").only("su")).is_err());
}

#[test]
fn each_difference_is_told() {
    assert_eq!(difference(|_| {}), [""; 0]);
    assert_eq!(difference(|entries| entries.retain(|entry| entry.path != "empty")), ["empty: missing"]);
    let extra = |entries: &mut Vec<Entry>| {
        let entry = Entry { path: "zz\n".to_owned(), ..at(entries, "empty").clone() };
        entries.push(entry);
    };
    assert_eq!(difference(extra), ["\"zz\\n\": extra"]);
    let mode = difference(|entries| at(entries, "random.bin").mode = 0o4755);
    assert_eq!(mode, ["random.bin: mode 4755, expected 0755"]);
    let kind = difference(|entries| at(entries, "sub").kind = Kind::File);
    assert_eq!(kind, ["sub: kind file, expected directory"]);
    let size = difference(|entries| at(entries, "empty").size = 1);
    assert_eq!(size, ["empty: size 1, expected 0"]);
    let target = difference(|entries| at(entries, "sub/link").target = Some("x".to_owned()));
    assert_eq!(target, ["sub/link: target \"x\", expected \"../hello.txt\""]);
    let owner = difference(|entries| (at(entries, "text.log").uid, at(entries, "text.log").gid) = (1, 2));
    assert_eq!(owner, ["text.log: uid 1, expected 1234", "text.log: gid 2, expected 5678"]);
    let time = difference(|entries| at(entries, "sub/link").mtime_ns += 1);
    assert_eq!(time, ["sub/link: mtime_ns 1654000000000000001, expected 1654000000000000000"]);
    let content = difference(|entries| at(entries, "empty").sha256 = None);
    assert!(content[0].starts_with("empty: sha256 none, expected \"e3b0"), "{content:?}");
    let root = difference(|entries| at(entries, "").mode = 0o700);
    assert_eq!(root, [".: mode 0700, expected 0755"]);
}

#[test]
fn modes_of_links_are_not_compared() {
    assert_eq!(difference(|entries| at(entries, "sub/link").mode = 0o777), [""; 0]);
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let expected = Tree::load("small");
    let mut entries = expected.entries().to_vec();
    at(&mut entries, "").mtime_ns = 0;
    at(&mut entries, "empty").uid = 77;
    at(&mut entries, "hello.txt").mode |= 0o2000;
    let actual = Tree::new(entries);
    assert_eq!(compare(&expected, &actual, &Compare::default()).len(), 3);
    let less = Compare { owners: false, special_bits: false, root: false };
    assert_eq!(compare(&expected, &actual, &less), [""; 0]);
}

#[test]
fn two_entries_of_one_name_are_two() {
    let one = Tree::load("small").only("empty");
    let two = Tree::new([one.entries(), one.entries()].concat());
    assert_eq!(compare(&two, &one, &Compare::default()), [".: missing"]);
}

#[test]
fn lines_that_are_no_entries_are_refused() {
    assert!(Tree::from_lines("{}").is_err());
    assert!(
        Tree::from_lines(r#"{"path":"a","type":"dir","mode":"89","uid":0,"gid":0,"mtime_ns":0}"#).is_err()
    );
}
