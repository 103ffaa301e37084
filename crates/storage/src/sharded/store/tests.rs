//! A store in a tree that is none of a file system: files in memory, as a server would give them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::Failure;
use crate::sharded::form::path;
use crate::sharded::{DirectoryTree, Entry, Stat, Visitor};

/// Files by their paths, and what the tree was asked for.
#[derive(Debug, Default)]
struct Files {
    files: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What reading a file, or listing a directory, fails with.
    refused: BTreeMap<Vec<u8>, io::ErrorKind>,
    /// What is answered in place of the bytes of any range.
    lie: Mutex<Option<Fetched>>,
    reads: AtomicUsize,
    lists: AtomicUsize,
}

impl Files {
    fn with(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, bytes)| (Vec::from(*path), Vec::from(*bytes)));
        Self { files: files.collect(), ..Self::default() }
    }

    fn refusing(mut self, path: &str, error: io::ErrorKind) -> Self {
        self.refused.insert(path.into(), error);
        self
    }

    fn get(&self, path: &[u8]) -> io::Result<&[u8]> {
        if let Some(&error) = self.refused.get(path) {
            return Err(error.into());
        }
        self.files.get(path).map(Vec::as_slice).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl DirectoryTree for Files {
    fn list(&self, directory: &[u8], visit: &mut Visitor<'_>) -> io::Result<()> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        if let Some(&error) = self.refused.get(directory) {
            return Err(error.into());
        }
        let below = if directory.is_empty() { Vec::new() } else { [directory, b"/"].concat() };
        let mut directories = BTreeSet::new();
        for (path, bytes) in &self.files {
            let Some(rest) = path.strip_prefix(&below[..]) else { continue };
            match rest.iter().position(|&byte| byte == b'/') {
                Some(end) => _ = directories.insert(&rest[..end]),
                None => visit(Entry::known(rest, Stat::file(bytes.len() as u64, None)))?,
            }
        }
        directories
            .into_iter()
            .try_for_each(|name| visit(Entry::known(name, Stat::other(EntryKind::Directory))))
    }

    // What cannot be read can be looked at, but for the root.
    fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        match (self.files.get(path), self.refused.get(path)) {
            (_, Some(&error)) if path.is_empty() => Err(error.into()),
            (Some(file), _) => Ok(Stat::file(file.len() as u64, None)),
            (None, _) if path.is_empty() => Ok(Stat::other(EntryKind::Directory)),
            (None, _) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn listing_threads(&self, directories: usize) -> usize {
        directories.min(4)
    }
}

impl FileTree for Files {
    fn location(&self) -> String {
        "files".into()
    }

    fn read(&self, path: &[u8], limit: u64) -> io::Result<Fetched> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let bytes = self.get(path)?;
        let length = bytes.len() as u64;
        Ok(if length <= limit { Fetched::Bytes(bytes.into()) } else { Fetched::Unfit { length } })
    }

    fn read_range(&self, path: &[u8], offset: u64, length: usize, _: Vec<u8>) -> io::Result<Fetched> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        assert!(length > 0);
        let end = offset.checked_add(length as u64).expect("the store has compared them");
        let bytes = self.get(path)?;
        if let Some(lie) = self.lie.lock().unwrap().take() {
            return Ok(lie);
        }
        if end > bytes.len() as u64 {
            return Ok(Fetched::Unfit { length: bytes.len() as u64 });
        }
        Ok(Fetched::Bytes(bytes[offset as usize..end as usize].into()))
    }
}

const PACK: &str = "p0638154a08df93c269693324852cef8c";
const RIGHT: &str = "p/063/8154a08df93c269693324852cef8c.f";
const SHARDS: (&str, &str) = (".shards", r#"{"default":[1,3],"maxNonShardedLength":20}"#);

fn id(name: &str) -> BlobId {
    BlobId::new(name).unwrap()
}

fn open(tree: Files) -> ShardedStore<Files> {
    ShardedStore::open(tree).unwrap()
}

#[test]
fn conforms_wherever_blobs_lie() {
    let layouts: [(&[usize], bool); 5] =
        [(&[], false), (&[1, 3], true), (&[3, 3], true), (&[2, 2], true), (&[4], false)];
    for shards in [None, Some(SHARDS.1), Some("garbage")] {
        // The last number stands for all layouts mixed.
        for layout in 0..=layouts.len() {
            crate::testing::conformance::check(|blobs| {
                let mut tree = Files::default();
                tree.files.extend(shards.map(|json| (".shards".into(), json.into())));
                for (number, (id, bytes)) in blobs.iter().enumerate() {
                    let (lengths, extension) =
                        layouts.get(layout).copied().unwrap_or(layouts[number % layouts.len()]);
                    let lengths = if id.as_str().len() > 20 { lengths } else { &[] };
                    tree.files.insert(path(id, lengths, extension).unwrap(), bytes.clone());
                }
                tree.files.insert(b"p/4e3/.DS_Store".into(), b"another program's".into());
                open(tree)
            });
        }
    }
}

#[test]
fn a_blob_in_its_right_place_costs_one_read_and_no_listing() {
    let store = open(Files::with(&[SHARDS, (RIGHT, "whole pack")]));
    let counts = || (store.tree().reads.load(Ordering::Relaxed), store.tree().lists.load(Ordering::Relaxed));
    assert_eq!(counts(), (1, 0), "opening");
    assert_eq!(&*store.read_range(&id(PACK), 6, 4, Vec::new()).unwrap(), b"pack");
    assert_eq!(counts(), (2, 0));
    assert_eq!(store.read(&id(PACK)).unwrap(), b"whole pack");
    assert_eq!(counts(), (3, 0));
    store.list("p").unwrap();
    assert_eq!(counts(), (3, 3));
    store.list("q").unwrap();
    assert_eq!(counts(), (3, 4), "only directories that can hold the prefix");
}

#[test]
fn a_blob_is_read_where_the_listing_found_it() {
    let store = open(Files::with(&[SHARDS, (RIGHT, "whole"), (PACK, "whole pack")]));
    assert_eq!(store.list("p").unwrap()[0].length, 10);
    assert_eq!(store.read(&id(PACK)).unwrap(), b"whole pack");
    assert_eq!(&*store.read_range(&id(PACK), 6, 4, Vec::new()).unwrap(), b"pack");
    let copies: Vec<_> = (0..3).map(|number| store.read_copy(&id(PACK), number, 0, None).unwrap()).collect();
    assert_eq!(copies, [Some(b"whole pack".to_vec()), Some(b"whole".to_vec()), None]);
}

#[test]
fn another_copy_is_read_where_one_is_damaged_and_not_where_the_server_is_busy() {
    for (error, kind) in [
        (io::ErrorKind::InvalidData, None),
        (io::ErrorKind::TimedOut, Some(ErrorKind::TryAgain)),
        (io::ErrorKind::PermissionDenied, Some(ErrorKind::NotAllowed)),
    ] {
        let tree = Files::with(&[SHARDS, (RIGHT, "whole pack"), (PACK, "whole pack")]);
        let store = open(tree.refusing(RIGHT, error));
        let range = store.read_range(&id(PACK), 6, 4, Vec::new()).map(|bytes| bytes.to_vec());
        assert_eq!(range.map_err(|error| error.kind()), kind.map_or(Ok(b"pack".to_vec()), Err));
        let whole = store.read(&id(PACK)).map_err(|error| error.kind());
        assert_eq!(whole, kind.map_or(Ok(b"whole pack".to_vec()), Err));
    }
    let tree = Files::with(&[SHARDS, (RIGHT, "whole pack"), (PACK, "whole pack")]);
    *tree.lie.lock().unwrap() = Some(Fetched::Bytes(b"more than was asked for".into()));
    assert_eq!(&*open(tree).read_range(&id(PACK), 6, 4, Vec::new()).unwrap(), b"pack", "the second one is");
}

#[test]
fn answers_that_cannot_be_are_errors() {
    for lie in [Fetched::Bytes(b"pac".into()), Fetched::Bytes(Vec::new()), Fetched::Unfit { length: 10 }] {
        let tree = Files::with(&[SHARDS, (RIGHT, "whole pack")]);
        *tree.lie.lock().unwrap() = Some(lie);
        match open(tree).read_range(&id(PACK), 6, 4, Vec::new()) {
            Err(error @ Error::Read { offset: 6, .. }) => assert_eq!(error.kind(), ErrorKind::Broken),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_tree_that_is_not_there_is_not_an_empty_one() {
    let kind = |tree: Files| ShardedStore::open(tree).map(drop).map_err(|error| error.kind());
    assert_eq!(kind(Files::default()), Ok(()), "it may be empty");
    for (error, is) in [
        (io::ErrorKind::NotFound, ErrorKind::NotFound),
        (io::ErrorKind::PermissionDenied, ErrorKind::NotAllowed),
        (io::ErrorKind::TimedOut, ErrorKind::TryAgain),
    ] {
        assert_eq!(kind(Files::default().refusing("", error)), Err(is));
    }
    let file = Files::with(&[("", "a file")]);
    assert_eq!(kind(file), Err(ErrorKind::NotFound));
    // Where the file must not be read, the root says more; otherwise it is not asked.
    for (error, is) in [
        (io::ErrorKind::PermissionDenied, ErrorKind::NotFound),
        (io::ErrorKind::TimedOut, ErrorKind::TryAgain),
    ] {
        let tree = Files::default().refusing("", io::ErrorKind::NotFound).refusing(".shards", error);
        assert_eq!(kind(tree), Err(is));
    }
}

/// A tree whose host is not known any more.
#[derive(Debug)]
struct Lost;

fn lost<T>() -> io::Result<T> {
    Err(Failure::UnknownHost { host: "nas".into() }.into())
}

impl DirectoryTree for Lost {
    fn list(&self, _: &[u8], _: &mut Visitor<'_>) -> io::Result<()> {
        lost()
    }

    fn stat(&self, _: &[u8]) -> io::Result<Stat> {
        lost()
    }

    fn listing_threads(&self, _: usize) -> usize {
        1
    }
}

impl FileTree for Lost {
    fn location(&self) -> String {
        "nas".into()
    }

    fn read(&self, _: &[u8], _: u64) -> io::Result<Fetched> {
        lost()
    }

    fn read_range(&self, _: &[u8], _: u64, _: usize, _: Vec<u8>) -> io::Result<Fetched> {
        lost()
    }
}

#[test]
fn a_host_that_is_not_known_says_nothing_of_its_blobs() {
    assert!(matches!(ShardedStore::open(Lost), Err(Error::Open { .. })));
    let (layout, layout_problem) = (Layout::new(Shards::default()), None);
    let store = ShardedStore { tree: Lost, layout, layout_problem };
    assert!(matches!(store.read(&id(PACK)), Err(Error::Read { .. })));
    assert!(matches!(store.length(&id("xe7")), Err(Error::Read { .. })));
    assert!(matches!(store.list(""), Err(Error::List { .. })));
}

#[test]
fn a_layout_that_makes_no_sense_is_told_and_done_without() {
    let long = " ".repeat(70_000);
    for (tree, why) in [
        (Files::with(&[(".shards", "no JSON"), (RIGHT, "1")]), "files/.shards does not describe"),
        (Files::with(&[(".shards", &long), (RIGHT, "1")]), "it has more than 65536 bytes"),
        (
            Files::with(&[(RIGHT, "1")]).refusing(".shards", io::ErrorKind::PermissionDenied),
            "files/.shards cannot be read",
        ),
    ] {
        let store = open(tree);
        let problem = store.layout_problem().unwrap();
        assert!(problem.contains(why), "{problem}");
        assert_eq!(store.read(&id(PACK)).unwrap(), b"1");
    }
    let directory = Files::with(&[(RIGHT, "1")]).refusing(".shards", io::ErrorKind::IsADirectory);
    assert_eq!(open(directory).layout_problem(), None, "a directory of that name says nothing");
}

#[test]
fn many_blobs_that_are_missing_take_few_listings() {
    // In a form that nobody knows before it was found.
    let found = "p06/3/8154a08df93c269693324852cef8c.f";
    for (closed, most) in [(None, 20), (Some("p0f/3"), 250)] {
        let files = Files::with(&[SHARDS, (found, "whole pack"), ("p0f/3/1.f", "")]);
        let store = open(match closed {
            None => files,
            Some(closed) => files.refusing(closed, io::ErrorKind::PermissionDenied),
        });
        for number in 0..100 {
            assert!(store.read(&id(&format!("p1{number:031x}"))).unwrap_err().is_not_found());
        }
        let lists = store.tree().lists.load(Ordering::Relaxed);
        assert!(lists < most, "{closed:?}: {lists}");
        assert_eq!(store.read(&id(PACK)).unwrap(), b"whole pack", "{closed:?}");
        // Whether one lies there is not known.
        let error = store.read(&id(&format!("p0f3{}", "0".repeat(29)))).unwrap_err();
        assert_eq!(error.is_not_found(), closed.is_none());
    }
}

#[test]
fn closed_directories_of_others_are_passed_over_and_no_other_is() {
    for (directory, prefix) in [
        ("mysql", "m"),
        ("notes", "n"),
        ("xfer", "x"),
        ("quarantine", "q"),
        ("photos", "p"),
        ("p/photos", "p"),
        ("p/063/.stfolder", "p"),
        ("documents", ""),
        ("m", "m"),
        ("p/0f3", "p"),
        ("pdf", "p"),
        ("xn0_", "x"),
    ] {
        let inside = format!("{directory}/another.f");
        let tree = Files::with(&[SHARDS, (RIGHT, "pack"), (&inside, "another's")]);
        let store = open(tree.refusing(directory, io::ErrorKind::PermissionDenied));
        let listed = store.list(prefix).map_err(|error| error.kind());
        match directory {
            "m" | "p/0f3" | "pdf" | "xn0_" => assert_eq!(listed, Err(ErrorKind::NotAllowed), "{directory}"),
            _ => {
                let expected = usize::from("p".starts_with(prefix));
                assert_eq!(listed.map(|blobs| blobs.len()), Ok(expected), "{directory}");
            }
        }
    }
}

#[test]
fn what_cannot_be_listed_is_named() {
    let store = open(Files::with(&[SHARDS, (RIGHT, "1")]).refusing("p/063", io::ErrorKind::TimedOut));
    let error = store.list("p").unwrap_err();
    assert_eq!(
        (error.to_string(), error.kind()),
        ("files/p/063 cannot be listed".into(), ErrorKind::TryAgain)
    );
    let store = open(Files::with(&[SHARDS]));
    assert!(store.read(&id(PACK)).unwrap_err().is_not_found());
    assert_eq!(store.list("p").unwrap(), []);
    assert_eq!((store.location().as_str(), store.directory()), ("files", None));
}
