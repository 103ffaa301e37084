//! Which directories a listing reads, and what it takes for blobs.

use std::os::fd::AsFd as _;

use super::*;

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
    assert!(leads_to(b"p12", b"xyz", b"p12"));
    assert!(leads_to(b"p123", b"xyz", b"p12"));
    assert!(leads_to(b"", b"anything", b""));
    assert!(!leads_to(b"", b"q", b"p12"));
    assert!(!leads_to(b"p", b"2", b"p12"));
    assert!(!leads_to(b"", b"..", b""));
    assert!(!leads_to(b"", b".stversions", b""));
    assert!(!leads_to(&[b'a'; 250], b"12345", b""));
}

#[test]
fn the_type_of_an_entry_is_asked_for_where_it_is_not_listed() {
    let here = || rustix::fs::stat(".");
    assert_eq!(known(FileType::Unknown, here), Ok(FileType::Directory));
    assert_eq!(known(FileType::Unknown, || Err(Errno::NOENT)), Ok(FileType::Unknown), "it has vanished");
    for errno in [Errno::ACCESS, Errno::IO, Errno::STALE] {
        assert_eq!(known(FileType::Unknown, || Err(errno)), Err(errno));
    }
    assert_eq!(known(FileType::Symlink, || panic!("it is known")), Ok(FileType::Symlink));
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

#[test]
fn few_directories_are_read_by_one_thread() {
    assert_eq!([0, 15, 31, 32, 64, 1000].map(|directories| worthwhile(8, directories)), [1, 1, 1, 2, 4, 8]);
    assert_eq!(worthwhile(1, 1000), 1);
}

/// Reads one directory below `root`, as a listing that was told of it does.
fn read(root: impl std::os::fd::AsFd, path: &str) -> Result<Found, Errno> {
    let (shards, mut found) = (Shards::default(), Found::default());
    let task = Task { root: root.as_fd(), shards: &shards, prefix: b"" };
    let directory = Directory { path: path.into(), ..Directory::default() };
    read_directory(task, &directory, &mut found).map(|()| found)
}

#[test]
fn what_took_the_place_of_a_directory_is_passed_over_but_for_the_root() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("real")).unwrap();
    std::fs::write(place.path().join("real/p1.f"), b"1").unwrap();
    std::fs::write(place.path().join("file"), b"1").unwrap();
    std::os::unix::fs::symlink("real", place.path().join("link")).unwrap();
    let open = |name: &str| std::fs::File::open(place.path().join(name)).unwrap();
    let root = open(".");
    let blobs = |path| read(&root, path).map(|found| found.blobs.len());
    assert_eq!(["real", "link", "file", "gone"].map(blobs), [Ok(1), Ok(0), Ok(0), Ok(0)]);
    assert_eq!(read(open("file"), "").map(drop), Err(Errno::NOTDIR));
}

#[test]
fn entries_without_a_type_are_looked_at() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("p")).unwrap();
    std::fs::create_dir(place.path().join("x.f")).unwrap();
    std::fs::write(place.path().join("p1.f"), b"12").unwrap();
    std::os::unix::fs::symlink("p", place.path().join("q")).unwrap();
    let root = std::fs::File::open(place.path()).unwrap();
    let (shards, mut found, directory) = (Shards::default(), Found::default(), Directory::default());
    let task = Task { root: root.as_fd(), shards: &shards, prefix: b"" };
    let handle = root.try_clone().unwrap().into();
    let mut reader = Reader { task, directory: &directory, handle, forms: [None, None], found: &mut found };
    for name in ["p", "x.f", "p1.f", "q", "gone", ".stfolder"] {
        reader.add(name.as_bytes(), FileType::Unknown).unwrap();
    }
    let directories: Vec<_> = found.directories.iter().map(|directory| &directory.path[..]).collect();
    assert_eq!(directories, [b"p"], "x.f cannot begin an id");
    let blobs: Vec<_> = found.blobs.iter().map(|blob| (blob.id.as_str(), blob.length)).collect();
    assert_eq!(blobs, [("p1", 2)]);
}
