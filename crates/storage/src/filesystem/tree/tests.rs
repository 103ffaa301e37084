//! What a directory of the local system says of itself.

use super::*;

#[test]
fn few_directories_are_read_by_one_thread() {
    let place = tempfile::tempdir().unwrap();
    let tree = || LocalTree::open(place.path()).unwrap();
    let eight = tree().with_threads(8);
    let threads = [0, 15, 31, 32, 64, 1000].map(|directories| eight.listing_threads(directories));
    assert_eq!(threads, [1, 1, 1, 2, 4, 8]);
    assert_eq!(tree().listing_threads(1000), 1);
}

#[test]
fn links_are_followed_to_what_they_lead_to() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("file"), b"12").unwrap();
    for (link, to) in [("good", "file"), ("self", "self"), ("dangling", "nowhere"), ("through", "file/x")] {
        std::os::unix::fs::symlink(to, place.path().join(link)).unwrap();
    }
    let tree = LocalTree::open(place.path()).unwrap();
    let (file, good) = (tree.stat(b"file").unwrap(), tree.stat(b"good").unwrap());
    assert_eq!((file.length, file.kind), (2, EntryKind::File));
    assert_eq!(good, file, "two names of one file");
    let kept = stat_at(&tree, b"good", Links::Keep).unwrap();
    assert_eq!((kept.kind, kept.identity == file.identity), (EntryKind::Other, false));
    for nowhere in [&b"self"[..], b"dangling", b"through", &[b'x'; 300]] {
        assert!(crate::sharded::is_absent(&tree.stat(nowhere).unwrap_err()));
    }
}

#[test]
fn a_file_system_that_does_not_tell_types_is_asked_for_each() {
    let kinds = [FileType::RegularFile, FileType::Directory, FileType::Unknown, FileType::Fifo].map(kind);
    assert_eq!(kinds, [EntryKind::File, EntryKind::Directory, EntryKind::Unknown, EntryKind::Other]);
}
