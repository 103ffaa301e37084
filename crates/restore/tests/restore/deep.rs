//! Trees that are deeper than paths are long and than files may be open.

use std::os::fd::AsFd;

use crate::common::{Place, file, folder, problems};

#[test]
fn ten_thousand_levels_come_back_with_their_times() {
    const LEVELS: usize = 10_000;
    let place = Place::new();
    let name = "a name of some length, so that the path is longer than any path may be";
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let mut inner = writer.directory(&[file("deepest", &bytes, 5)]);
        for _ in 0..LEVELS {
            inner = writer.directory(&[folder(name, &inner), file("f", &bytes, 5)]);
        }
        folder("data", &inner)
    });
    let outcome = place.restore(&root, "target");
    assert_eq!(problems(&outcome), Vec::<String>::new());
    assert_eq!((outcome.files, outcome.directories), (LEVELS as u64 + 1, LEVELS as u64 + 1));

    let target = std::fs::File::open(place.path("target")).unwrap();
    let mut handle = target.as_fd().try_clone_to_owned().unwrap();
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NOFOLLOW;
    for level in 0..LEVELS {
        handle = rustix::fs::openat(&handle, name, flags, rustix::fs::Mode::empty()).unwrap();
        let stat = rustix::fs::fstat(&handle).unwrap();
        assert_eq!((stat.st_mtime, stat.st_mtime_nsec), (1_577_934_245, 6), "level {level}");
    }
    assert_eq!(rustix::fs::statat(&handle, "deepest", rustix::fs::AtFlags::empty()).unwrap().st_size, 5);

    // Leftovers of that depth go as well; so does the tree, which the standard library's removal cannot do.
    std::fs::rename(place.path("target"), place.path("holder-tree")).unwrap();
    std::fs::create_dir(place.path("target")).unwrap();
    std::fs::rename(place.path("holder-tree"), place.path("target/.kopia-rs-restore-kabc")).unwrap();
    let small = place.root("small", |writer| folder("data", &writer.directory(&[])));
    place.restore(&small, "target");
    assert!(crate::common::names(&place.path("target")).is_empty());
}
