//! Which directories a listing reads, and what it takes for blobs.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::sync::Barrier;
use std::time::Duration;

use super::*;
use crate::filesystem::LocalTree;
use crate::sharded::Visitor;

#[test]
fn only_blobs_that_begin_so_are_found() {
    let id = |joined: &str, name: &str, prefix: &str| {
        blob(joined.as_bytes(), name.as_bytes(), prefix.as_bytes()).map(|named| String::from(named.id))
    };
    assert_eq!(id("n6a", "b12.f", "n6").as_deref(), Some("n6ab12"));
    assert_eq!(id("n6a", "b12.f", "n6ab12").as_deref(), Some("n6ab12"));
    for (joined, name, prefix) in
        [("p", "1.f", "n"), ("n6a", "b12.f", "n6ab12f"), ("n6a", "b12.f", "n6ab12."), ("", "xe7.f", "X")]
    {
        assert_eq!(id(joined, name, prefix), None, "{name}");
    }
}

#[test]
fn only_directories_on_the_way_are_read() {
    assert!(leads_to(b"", b"p", b"p12"));
    assert!(leads_to(b"", b"P", b"p12"));
    assert!(leads_to(b"p", b"123", b"p12"));
    assert!(leads_to(b"p", b"1", b"p12"));
    assert!(leads_to(b"p12", b"abc", b"p12"));
    assert!(leads_to(b"p123", b"abc", b"p12"));
    assert!(leads_to(b"", b"xn0_", b""));
    assert!(!leads_to(b"p12", b"xyz", b"p12"));
    assert!(!leads_to(b"", b"anything", b""));
    assert!(!leads_to(b"", b"q", b"p12"));
    assert!(!leads_to(b"p", b"2", b"p12"));
    assert!(!leads_to(b"", b"..", b""));
    assert!(!leads_to(b"", b".stversions", b""));
    assert!(!leads_to(&[b'a'; 250], b"12345", b""));
}

#[test]
fn the_kind_of_an_entry_is_asked_for_where_it_is_not_listed() {
    let directory = || Ok(Stat::other(EntryKind::Directory));
    assert_eq!(known(EntryKind::Unknown, directory).unwrap(), EntryKind::Directory);
    let gone = || Err(io::ErrorKind::NotFound.into());
    assert_eq!(known(EntryKind::Unknown, gone).unwrap(), EntryKind::Unknown, "it has vanished");
    for error in [io::ErrorKind::PermissionDenied, io::ErrorKind::TimedOut, io::ErrorKind::Other] {
        assert_eq!(known(EntryKind::Unknown, || Err(error.into())).unwrap_err().kind(), error);
    }
    assert_eq!(known(EntryKind::Other, || panic!("it is known")).unwrap(), EntryKind::Other);
}

#[test]
fn the_longest_copy_counts_and_then_the_one_in_the_right_place() {
    let shards = Shards::parse(br#"{"default":[1]}"#).unwrap();
    let info = |id: &str, length| BlobInfo::new(BlobId::new(id).unwrap(), length);
    let form = |extension| Arc::new(Form { lengths: Vec::new(), extension });
    let misplaced =
        |id, length, extension| Misplaced { blob: info(id, length), form: form(extension), path: None };
    let merged = merge(
        &shards,
        vec![info("pa", 5), info("pb", 5), info("pc", 5)],
        vec![
            misplaced("pa", 5, false),
            misplaced("pe", 5, true),
            misplaced("pb", 4, false),
            misplaced("pc", 6, false),
            misplaced("pd", 7, false),
        ],
    );
    assert_eq!(merged.blobs, [info("pa", 5), info("pb", 5), info("pc", 6), info("pd", 7), info("pe", 5)]);
    assert_eq!(merged.forms, [false, true].map(|extension| (*form(extension)).clone()), "each once");
    let moved: Vec<_> = merged.moved.iter().map(|(id, path)| (id.as_str(), &path[..])).collect();
    assert_eq!(moved, [("pb", &b"p/b.f"[..]), ("pc", b"pc")], "what the wrong copy could be taken for");
}

/// Opens a directory, or whatever lies at the path, as a tree.
fn tree(path: &std::path::Path) -> LocalTree {
    OwnedFd::from(File::open(path).unwrap()).into()
}

/// Reads one directory of a tree, as a listing that was told of it does.
fn read(tree: &dyn DirectoryTree, path: &str) -> io::Result<Found> {
    let shards = Shards::default();
    let count = AtomicUsize::new(0);
    read_directory(Task { tree, shards: &shards, prefix: b"", count: &count }, path.as_bytes())
}

#[test]
fn what_took_the_place_of_a_directory_is_passed_over_but_for_the_root() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("p")).unwrap();
    fs::write(place.path().join("p/1.f"), b"1").unwrap();
    fs::write(place.path().join("file"), b"1").unwrap();
    std::os::unix::fs::symlink("p", place.path().join("link")).unwrap();
    let root = tree(place.path());
    let blobs = |path| read(&root, path).unwrap().misplaced.len();
    assert_eq!(["p", "link", "file", "gone"].map(blobs), [1, 0, 0, 0]);
    let error = read(&tree(&place.path().join("file")), "").map(drop).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn entries_without_a_kind_are_looked_at() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("p")).unwrap();
    fs::create_dir(place.path().join("x.f")).unwrap();
    fs::write(place.path().join("p1.f"), b"12").unwrap();
    std::os::unix::fs::symlink("p", place.path().join("q")).unwrap();
    let root = tree(place.path());
    let (shards, count) = (Shards::default(), AtomicUsize::new(0));
    let task = Task { tree: &root, shards: &shards, prefix: b"", count: &count };
    let mut reader = Reader::new(task, b"");
    for name in ["p", "x.f", "p1.f", "q", "gone", ".stfolder"] {
        let ask = |links| match (links, name) {
            (_, ".stfolder") => panic!("no blob can be in it, and it may be closed"),
            (Links::Keep, "q") => Ok(Stat::other(EntryKind::Other)),
            _ => root.stat(name.as_bytes()),
        };
        reader.add(&Entry::asking(name.as_bytes(), EntryKind::Unknown, &ask)).unwrap();
    }
    let directories: Vec<_> = reader.found.directories.iter().map(|directory| &directory[..]).collect();
    assert_eq!(directories, [b"p"], "x.f cannot begin an id");
    let blobs: Vec<_> = reader.found.blobs.iter().map(|blob| (blob.id.as_str(), blob.length)).collect();
    assert_eq!(blobs, [("p1", 2)]);
}

#[test]
fn blobs_that_cannot_be_looked_at_are_an_error_unless_they_are_gone() {
    let place = tempfile::tempdir().unwrap();
    let root = tree(place.path());
    let (shards, count) = (Shards::default(), AtomicUsize::new(0));
    let task = Task { tree: &root, shards: &shards, prefix: b"", count: &count };
    let add = |error: io::ErrorKind| {
        let mut reader = Reader::new(task, b"");
        let ask = |_| Err(error.into());
        reader.add(&Entry::asking(b"p1.f", EntryKind::File, &ask)).map_err(|error| error.kind())
    };
    assert_eq!(add(io::ErrorKind::NotFound), Ok(()));
    for error in [io::ErrorKind::TimedOut, io::ErrorKind::PermissionDenied] {
        assert_eq!(add(error), Err(error));
    }
}

/// A tree of directories that are listed only once so many are asked for at the same time.
#[derive(Debug)]
struct AtOnce {
    threads: usize,
    met: Barrier,
    /// What cannot be listed.
    broken: &'static [u8],
}

impl DirectoryTree for AtOnce {
    fn list(&self, directory: &[u8], visit: &mut Visitor<'_>) -> io::Result<()> {
        if directory.is_empty() {
            for name in [b"pa", b"pb", b"pc", b"pd", b"pe", b"pf"] {
                visit(Entry::known(name, Stat::other(EntryKind::Directory)))?;
            }
            return Ok(());
        }
        self.met.wait();
        if directory == self.broken {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // Whoever comes first ends last.
        std::thread::sleep(Duration::from_millis(5 * u64::from(b'f' - directory[1])));
        visit(Entry::known(b"1.f", Stat::file(u64::from(directory[1]), None)))
    }

    fn stat(&self, _: &[u8]) -> io::Result<Stat> {
        panic!("the listing says it all")
    }

    fn listing_threads(&self, directories: usize) -> usize {
        self.threads.min(directories)
    }
}

#[test]
fn directories_are_listed_several_at_once() {
    let list = |broken| {
        let tree = AtOnce { threads: 3, met: Barrier::new(3), broken };
        list(&tree, &Shards::parse(br#"{"default":[2]}"#).unwrap(), "p")
    };
    let blobs: Vec<_> = list(b"").unwrap().blobs.into_iter().map(|blob| String::from(blob.id)).collect();
    assert_eq!(blobs, ["pa1", "pb1", "pc1", "pd1", "pe1", "pf1"]);
    let (directory, error) = list(b"pf").unwrap_err();
    assert_eq!((&directory[..], error.kind()), (&b"pf"[..], io::ErrorKind::TimedOut));
}

#[test]
fn misplaced_blobs_are_found_however_many_threads_list() {
    for threads in [1, 6] {
        let tree = AtOnce { threads, met: Barrier::new(threads), broken: b"" };
        let listing = list(&tree, &Shards::default(), "").unwrap();
        assert_eq!(listing.forms.len(), 1, "{threads}");
        assert_eq!(listing.blobs.len(), 6);
    }
}

/// A tree that makes up directories wherever one looks.
#[derive(Debug)]
struct Endless(AtomicUsize);

impl DirectoryTree for Endless {
    fn list(&self, directory: &[u8], visit: &mut Visitor<'_>) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let kind = if directory.is_empty() { "p" } else { "" };
        (0..3000).try_for_each(|number| {
            visit(Entry::known(format!("{kind}{number}").as_bytes(), Stat::other(EntryKind::Directory)))
        })
    }

    fn stat(&self, _: &[u8]) -> io::Result<Stat> {
        panic!("the listing says it all")
    }

    fn listing_threads(&self, _: usize) -> usize {
        1
    }
}

#[test]
fn directories_without_end_are_an_error() {
    let tree = Endless(AtomicUsize::new(0));
    let (_, error) = list(&tree, &Shards::default(), "").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let read = tree.0.into_inner();
    assert!(read <= MAX_DIRECTORIES / 3000 + 1, "{read} were read: they are counted as they are found");
}
