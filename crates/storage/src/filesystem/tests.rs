//! Tests on real directories.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use kopia_testkit::refuse::{Call, refusing};
use tempfile::TempDir;

use super::*;
use crate::ErrorKind;
use crate::sharded::path;

const MODES: [IoMode; 2] = [IoMode::Map, IoMode::Pread];
const LAYOUTS: [Option<&str>; 5] = [
    None,
    Some(r#"{"default":[1,3],"maxNonShardedLength":20}"#),
    Some(r#"{"default":[3,3],"maxNonShardedLength":20}"#),
    Some(r#"{"default":[],"maxNonShardedLength":20}"#),
    Some(
        r#"{"default": [2, 2], "maxNonShardedLength": 10, "overrides": [{"prefix": "q", "shards": [4]}, {"prefix": "x", "shards": []}]}"#,
    ),
];

fn id(name: &str) -> BlobId {
    BlobId::new(name).unwrap()
}

/// Writes a file and the directories above it.
fn put(directory: &Path, path: impl AsRef<Path>, bytes: &[u8]) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Returns whether maps can be expected where the tests run.
fn has_maps(directory: &Path) -> bool {
    Map::IS_SUPPORTED && Kind::of(fs::File::open(directory).unwrap()) == Kind::Local { maps: true }
}

fn names(store: &FilesystemStore, prefix: &str) -> Vec<String> {
    store.list(prefix).unwrap().into_iter().map(|blob| blob.id.into()).collect()
}

/// Writes a blob's file where a layout has it.
fn put_blob(directory: &Path, shards: &Shards, id: &BlobId, bytes: &[u8]) {
    put(directory, String::from_utf8(shards.file(id).unwrap()).unwrap(), bytes);
}

#[test]
fn conforms_in_every_layout_and_mode() {
    for layout in LAYOUTS {
        for mode in MODES {
            let directories = RefCell::new(Vec::new());
            crate::testing::conformance::check(|blobs| {
                let directory = TempDir::new().unwrap();
                let shards = match layout {
                    None => Shards::default(),
                    Some(json) => {
                        put(directory.path(), ".shards", json.as_bytes());
                        Shards::parse(json.as_bytes()).unwrap()
                    }
                };
                blobs.iter().for_each(|(id, bytes)| put_blob(directory.path(), &shards, id, bytes));
                let store = FilesystemStore::open_with(directory.path(), mode).unwrap();
                directories.borrow_mut().push(directory);
                store
            });
        }
    }
}

/// What `.shards` may be where blobs lie otherwise.
const WRONG: [Option<&str>; 6] = [
    None,
    Some(""),
    Some("garbage"),
    Some(r#"{"default":[2],"maxNonShardedLength":5}"#),
    Some(r#"{"default":[1,3],"maxNonShardedLength":20}"#),
    Some(r#"{"default":[],"maxNonShardedLength":20}"#),
];

/// Layouts in which blobs are found whatever `.shards` says: the lengths of directories, the longest id
/// without any, and whether files have the extension.
const FOUND: [(&[usize], usize, bool); 8] = [
    (&[], 0, false),
    (&[], 0, true),
    (&[1, 3], 20, true),
    (&[3, 3], 20, true),
    (&[1, 3], 20, false),
    // Neither of kopia's: found by listing, even before anybody lists.
    (&[2, 2], 10, true),
    (&[4], 0, true),
    (&[6, 2], 12, false),
];

/// Other programs' files between the blobs.
fn clutter(directory: &Path) {
    for other in [
        ".DS_Store",
        "Thumbs.db",
        "p/.DS_Store",
        "p/4e3/desktop.ini",
        "@eaDir/p4e311fa000288c4db0b21c580277169b@SynoResource",
        "p/4e3/@eaDir/11fa000288c4db0b21c580277169b-s5539d401c55174a7147.f",
        ".stversions/p/4e3/11fa000288c4db0b21c580277169b~20260101-120000.f",
        ".stfolder/marker",
        "p/4e3/.nfs000000000001a2b3",
        "p/4e3/11fa000288c4db0b21c580277169b.f.tmp.0011223344556677",
        "p4e311fa000288c4db0b21c580277169b-s5539d401c55174a7147 (1).f",
        "p4e311fa000288c4db0b21c580277169b-s5539d401c55174a7147 (1)",
        "xn0_4e311fa000288c4db0b21c580277169b-s5539d401c55174a7147-c1.sync-conflict-20260101-120000-ABCDEFG",
        "xe7 (conflicted copy).f",
        "kopia.repository.sync-conflict-20260101-120000-ABCDEFG",
        "README.md",
    ] {
        put(directory, other, b"another program's");
    }
}

#[test]
fn conforms_wherever_blobs_lie_and_whatever_lies_between_them() {
    let wrong = WRONG.iter().enumerate();
    let all = FOUND.iter().flat_map(|found| wrong.clone().map(move |wrong| (found, wrong)));
    for (&(lengths, longest, extension), (number, wrong)) in all {
        let directories = RefCell::new(Vec::new());
        crate::testing::conformance::check(|blobs| {
            let directory = TempDir::new().unwrap();
            for (id, bytes) in blobs {
                let lengths = if id.as_str().len() > longest { lengths } else { &[] };
                let path = path(id, lengths, extension).unwrap();
                put(directory.path(), String::from_utf8(path).unwrap(), bytes);
            }
            clutter(directory.path());
            if let Some(json) = wrong {
                put(directory.path(), ".shards", json.as_bytes());
            }
            let store = FilesystemStore::open(directory.path()).unwrap();
            if number % 2 == 0 {
                store.list("").unwrap();
            }
            directories.borrow_mut().push(directory);
            store
        });
    }
}

#[test]
fn conforms_with_layouts_mixed() {
    for both in [false, true] {
        let directories = RefCell::new(Vec::new());
        crate::testing::conformance::check(|blobs| {
            let directory = TempDir::new().unwrap();
            put(directory.path(), ".shards", br#"{"default":[3,3],"maxNonShardedLength":20}"#);
            for (number, (id, bytes)) in blobs.iter().enumerate() {
                let (lengths, extension) = [(&[][..], false), (&[1, 3], true), (&[3, 3], true)][number % 3];
                let lengths = if id.as_str().len() > 20 { lengths } else { &[] };
                let path = path(id, lengths, extension).unwrap();
                put(directory.path(), String::from_utf8(path).unwrap(), bytes);
                if both {
                    put(directory.path(), id.as_str(), bytes);
                }
            }
            let store = FilesystemStore::open(directory.path()).unwrap();
            directories.borrow_mut().push(directory);
            store
        });
    }
}

#[test]
fn of_two_copies_the_whole_one_is_read() {
    let pack = id("p0638154a08df93c269693324852cef8c-s291f6eac802fb207147");
    let right = "p/063/8154a08df93c269693324852cef8c-s291f6eac802fb207147.f";
    for (listed, in_right, in_other) in [
        (false, &b"whole pack"[..], &b"whole"[..]),
        (false, b"whole", b"whole pack"),
        (true, b"whole pack", b"whole"),
        (true, b"whole", b"whole pack"),
        (true, b"", b"whole pack"),
    ] {
        let directory = TempDir::new().unwrap();
        put(directory.path(), ".shards", br#"{"default":[1,3],"maxNonShardedLength":20}"#);
        put(directory.path(), right, in_right);
        put(directory.path(), pack.as_str(), in_other);
        // Another one, in whose form the store comes to trust.
        let other = id("q0638154a08df93c269693324852cef8c");
        put(directory.path(), other.as_str(), b"other");
        let store = FilesystemStore::open(directory.path()).unwrap();
        assert_eq!(store.read(&other).unwrap(), b"other");
        if listed {
            let [whole] = &store.list("p").unwrap()[..] else { panic!("it is listed once") };
            assert_eq!((&whole.id, whole.length), (&pack, 10));
            assert_eq!(store.read(&pack).unwrap(), b"whole pack");
            assert_eq!(store.length(&pack).unwrap(), 10);
        }
        assert_eq!(*store.read_range(&pack, 6, 4, Vec::new()).unwrap(), *b"pack", "{listed} {in_right:?}");
        assert!(matches!(store.read_range(&pack, 6, 5, Vec::new()), Err(Error::Short { .. })));
    }
}

#[test]
fn all_copies_can_be_read_once() {
    let pack = id("p0638154a08df93c269693324852cef8c");
    let directory = TempDir::new().unwrap();
    put(directory.path(), ".shards", br#"{"default":[1,3],"maxNonShardedLength":20}"#);
    put(directory.path(), "p/063/8154a08df93c269693324852cef8c.f", b"damaged");
    let store = || FilesystemStore::open(directory.path()).unwrap();
    assert_eq!(store().read_copy(&pack, 0, 0, None).unwrap(), None, "there is but one");
    // Another name of the same file is no other copy.
    fs::hard_link(
        directory.path().join("p/063/8154a08df93c269693324852cef8c.f"),
        directory.path().join("p0638154a08df93c269693324852cef8c.f"),
    )
    .unwrap();
    assert_eq!(store().read_copy(&pack, 0, 0, None).unwrap(), None);
    put(directory.path(), pack.as_str(), b"undamag");
    let store = store();
    let copies: Vec<_> = (0..3).map(|number| store.read_copy(&pack, number, 1, Some(3)).unwrap()).collect();
    assert_eq!(copies, [Some(b"ama".to_vec()), Some(b"nda".to_vec()), None]);
}

#[test]
fn a_hint_opens_a_blob() {
    let directory = TempDir::new().unwrap();
    put(directory.path(), "p1.f", b"bytes");
    let store = FilesystemStore::open(directory.path()).unwrap();
    store.will_need(&id("p2"), 0, 5);
    store.will_need(&id("p1"), 0, 5);
    fs::remove_file(directory.path().join("p1.f")).unwrap();
    assert_eq!(&*store.read_range(&id("p1"), 0, 5, Vec::new()).unwrap(), b"bytes");
}

#[test]
fn a_file_is_opened_anew_where_that_may_help() {
    let read = |errno: Errno| {
        let (blob, place) = (id("p1"), String::new());
        Error::Read { blob, place, offset: 0, source: errno.into() }
    };
    let short = check_range(&id("p1"), String::new, 1, 2, 2).unwrap_err();
    assert!(may_be_stale(&read(Errno::STALE)) && may_be_stale(&short));
    assert!(!may_be_stale(&read(Errno::IO)));
    assert!(!may_be_stale(&Error::not_found(&id("p1"), "")));
}

#[test]
fn names_in_upper_case_are_found() {
    let directory = TempDir::new().unwrap();
    put(directory.path(), ".SHARDS", br#"{"default":[1,3],"maxNonShardedLength":20}"#);
    put(directory.path(), "KOPIA.REPOSITORY.F", b"{}");
    put(directory.path(), "P/063/8154A08DF93C269693324852CEF8C.F", b"upper");
    put(directory.path(), "Q/063/8154a08df93c269693324852cef8c.f", b"mixed");
    let all = ["kopia.repository", "p0638154a08df93c269693324852cef8c", "q0638154a08df93c269693324852cef8c"];
    for listed in [false, true] {
        let store = FilesystemStore::open(directory.path()).unwrap();
        if listed {
            assert_eq!(names(&store, ""), all);
            assert_eq!(names(&store, "P"), [""; 0]);
        }
        assert_eq!(all.map(|name| store.read(&id(name)).unwrap()), [&b"{}"[..], b"upper", b"mixed"]);
    }
}

#[test]
fn a_search_for_what_is_missing_ends() {
    let directory = TempDir::new().unwrap();
    put(directory.path(), "zz/z.f", b"");
    let store = FilesystemStore::open(directory.path()).unwrap();
    for number in 0..100 {
        assert!(store.read(&id(&format!("p{number:031}"))).unwrap_err().is_not_found());
    }
    // All of the kind were listed, and nobody searches any more; another listing finds what is there by now.
    let late = id("p00000000000000000000000000000007");
    put(directory.path(), "p0/000/0000000000000000000000000007.f", b"late");
    assert!(store.read(&late).unwrap_err().is_not_found());
    assert_eq!(names(&store, "p"), [late.as_str()]);
    assert_eq!(store.read(&late).unwrap(), b"late");
}

#[test]
fn what_cannot_be_looked_into_is_not_absent() {
    let directory = TempDir::new().unwrap();
    put(directory.path(), "pe/hidden.f", b"1");
    let store = FilesystemStore::open(directory.path()).unwrap();
    for (errno, kind) in [
        (Errno::ACCESS, ErrorKind::NotAllowed),
        (Errno::STALE, ErrorKind::TryAgain),
        (Errno::IO, ErrorKind::Broken),
    ] {
        let kinds = refusing(&[(Call::List, Some(errno))], || {
            let errors = [store.read(&id("pehidden")).unwrap_err(), store.list("p").unwrap_err()];
            errors.map(|error| error.kind())
        });
        assert!(kinds.is_none_or(|kinds| kinds == [kind; 2]), "{errno}: {kinds:?}");
    }
    assert_eq!(store.read(&id("pehidden")).unwrap(), b"1", "it was not given up");
}

#[test]
fn every_blob_of_every_golden_repository_is_listed() {
    let repositories = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/repos");
    let mut count = 0;
    for case in fs::read_dir(repositories).unwrap() {
        let repository = case.unwrap().path().join("repo");
        let store = FilesystemStore::open(&repository).unwrap();
        assert_eq!(store.layout_problem(), None);
        let mut files: Vec<String> = Vec::new();
        let mut level = vec![(repository.clone(), String::new())];
        while let Some((directory, joined)) = level.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let name = joined.clone() + entry.file_name().to_str().unwrap();
                if entry.file_type().unwrap().is_dir() {
                    level.push((entry.path(), name));
                } else {
                    files.extend(name.strip_suffix(".f").map(String::from));
                }
            }
        }
        files.sort();
        assert_eq!(names(&store, ""), files, "{}", repository.display());
        count += 1;
    }
    assert!(count > 60);
}

#[test]
fn blobs_lie_where_kopia_puts_them() {
    let directory = TempDir::new().unwrap();
    let pack = "p0638154a08df93c269693324852cef8c-s291f6eac802fb207147";
    put(directory.path(), "p06/381/54a08df93c269693324852cef8c-s291f6eac802fb207147.f", b"old one");
    put(directory.path(), "p/063/8154a08df93c269693324852cef8c-s291f6eac802fb207147.f", b"new one");
    put(directory.path(), "kopia.repository.f", b"{}");
    let read = || FilesystemStore::open(directory.path()).unwrap().read(&id(pack)).unwrap();
    assert_eq!(read(), b"old one");
    put(directory.path(), ".shards", br#"{"default":[1,3],"maxNonShardedLength":20}"#);
    assert_eq!(read(), b"new one");
    let store = FilesystemStore::open(directory.path()).unwrap();
    assert_eq!(names(&store, ""), ["kopia.repository", pack]);
    assert_eq!(store.read(&id(pack)).unwrap(), b"new one", "listing changes nothing where both are whole");
}

#[test]
fn other_files_are_no_blobs() {
    let directory = TempDir::new().unwrap();
    for other in
        ["p/1a0/x.f.tmp.00ff", ".shards~", "p/1a0/.nfs0001", "p/1a0/._x.f", "lost+found/l.f", ".snap/n.f"]
    {
        put(directory.path(), other, b"x");
    }
    fs::create_dir(directory.path().join("folder.f")).unwrap();
    symlink("nowhere", directory.path().join("dangling.f")).unwrap();
    symlink("self.f", directory.path().join("self.f")).unwrap();
    symlink(".", directory.path().join("loop")).unwrap();
    put(directory.path(), "elsewhere", b"linked");
    symlink("elsewhere", directory.path().join("linked.f")).unwrap();
    let store = FilesystemStore::open_with(directory.path(), IoMode::Map).unwrap();
    assert_eq!(names(&store, ""), ["linked"]);
    assert_eq!(store.list("").unwrap()[0].length, 6);
    let bytes = store.read_range(&id("linked"), 0, 6, Vec::new()).unwrap();
    assert_eq!((bytes.is_mapped(), &*bytes), (has_maps(directory.path()), &b"linked"[..]));
    let error = store.read(&id("folder")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("blob folder in {} cannot be read at offset 0", directory.path().display())
    );
    assert!(store.read(&id("dangling")).unwrap_err().is_not_found());
}

#[test]
#[cfg(target_os = "linux")]
fn a_pipe_does_not_hold_anyone_up() {
    let directory = TempDir::new().unwrap();
    for name in ["pipe.f", ".shards"] {
        let path = directory.path().join(name);
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
    }
    let store = FilesystemStore::open(directory.path()).unwrap();
    assert!(store.layout_problem().unwrap().ends_with("it is empty"));
    assert_eq!(names(&store, ""), [""; 0]);
    assert!(matches!(store.read(&id("pipe")), Err(Error::Read { .. })));
    assert!(matches!(store.read_range(&id("pipe"), 0, 1, Vec::new()), Err(Error::Read { .. })));
}

#[test]
fn a_file_cut_short_gives_an_error_and_no_crash() {
    for mode in MODES {
        for cut in [0, 100, 4096, 5000, 8191] {
            let directory = TempDir::new().unwrap();
            let path = directory.path().join("p.f");
            fs::write(&path, vec![7; 300_000]).unwrap();
            let store = FilesystemStore::open_with(directory.path(), mode).unwrap();
            assert_eq!(*store.read_range(&id("p"), 8000, 4, Vec::new()).unwrap(), [7; 4]);
            fs::File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
            for (offset, wanted) in [(8190, 4), (0, 300_000), (200_000, 10)] {
                match store.read_range(&id("p"), offset, wanted, Vec::new()) {
                    Err(Error::Short { length, .. }) => assert_eq!(length, cut),
                    other => panic!("{mode:?}, cut to {cut}: {other:?}"),
                }
            }
            assert_eq!(
                *store.read_range(&id("p"), 0, cut as usize, Vec::new()).unwrap(),
                vec![7; cut as usize]
            );
        }
    }
}

#[test]
fn a_replaced_file_is_opened_anew_when_the_old_one_is_too_short() {
    for mode in MODES {
        let directory = TempDir::new().unwrap();
        put(directory.path(), "p.f", b"short");
        let store = FilesystemStore::open_with(directory.path(), mode).unwrap();
        store.read_range(&id("p"), 0, 5, Vec::new()).unwrap();
        put(directory.path(), "new", b"much longer");
        fs::rename(directory.path().join("new"), directory.path().join("p.f")).unwrap();
        assert_eq!(&*store.read_range(&id("p"), 5, 6, Vec::new()).unwrap(), b"longer");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn few_files_stay_open() {
    let directory = TempDir::new().unwrap();
    let ids: Vec<_> = (0..100).map(|i| id(&format!("p{i}"))).collect();
    for (i, id) in ids.iter().enumerate() {
        put(directory.path(), format!("{id}.f"), &[i as u8; 10]);
    }
    let open_files = || {
        let fds = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        fds.filter(|target| target.starts_with(directory.path()) && target != directory.path()).count()
    };
    for mode in MODES {
        let store = FilesystemStore::open_with(directory.path(), mode).unwrap();
        let kept: Vec<_> = ids.iter().map(|id| store.read_range(id, 3, 4, Vec::new()).unwrap()).collect();
        assert_eq!(open_files(), 16);
        for (i, bytes) in kept.iter().enumerate() {
            assert_eq!(
                (&**bytes, bytes.is_mapped()),
                (&[i as u8; 4][..], mode == IoMode::Map && has_maps(directory.path()))
            );
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn files_are_given_up_where_no_more_can_be_had() {
    let directory = TempDir::new().unwrap();
    put(directory.path(), "p1.f", b"1");
    put(directory.path(), "p2.f", b"2");
    let path = directory.path().join("p1.f");
    let is_open = || {
        let fds = fs::read_dir("/proc/self/fd").unwrap();
        fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok()).any(|target| target == path)
    };
    let store = FilesystemStore::open(directory.path()).unwrap();
    for (errno, kind, kept) in
        [(Errno::IO, ErrorKind::Broken, true), (Errno::MFILE, ErrorKind::TryAgain, false)]
    {
        store.read_range(&id("p1"), 0, 1, Vec::new()).unwrap();
        assert!(is_open());
        let refused = refusing(&[(Call::Open, Some(errno))], || {
            store.read_range(&id("p2"), 0, 1, Vec::new()).unwrap_err().kind()
        });
        let Some(refused) = refused else { return };
        assert_eq!((refused, is_open()), (kind, kept), "{errno}");
    }
}

#[test]
fn what_is_too_large_to_be_read_whole_is_refused() {
    let directory = TempDir::new().unwrap();
    let huge = fs::File::create(directory.path().join("p.f")).unwrap();
    huge.set_len(WHOLE_BLOB_LIMIT + 1).unwrap();
    let store = FilesystemStore::open(directory.path()).unwrap();
    match store.read(&id("p")) {
        Err(Error::TooLarge { length, .. }) => assert_eq!(length, WHOLE_BLOB_LIMIT + 1),
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
}

#[test]
fn the_buffer_comes_back() {
    let directory = TempDir::new().unwrap();
    put(directory.path(), "p.f", &[1; 50]);
    for mode in MODES {
        let store = FilesystemStore::open_with(directory.path(), mode).unwrap();
        let bytes = store.read_range(&id("p"), 10, 30, Vec::with_capacity(4000)).unwrap();
        assert_eq!(bytes.len(), 30);
        assert!(bytes.into_buffer().capacity() >= 4000, "{mode:?}");
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    let directory = TempDir::new().unwrap();
    let why = |path: &Path| {
        let error = FilesystemStore::open(path).unwrap_err();
        assert_eq!(error.to_string(), format!("{} cannot be opened", path.display()));
        match error {
            Error::Open { source, .. } => source.kind(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(why(&directory.path().join("missing")), std::io::ErrorKind::NotFound);
    put(directory.path(), "file", b"");
    assert_eq!(why(&directory.path().join("file")), std::io::ErrorKind::NotADirectory);
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    if !rustix::process::geteuid().is_root() {
        assert_eq!(why(&closed), std::io::ErrorKind::PermissionDenied);
    }

    symlink("repository", directory.path().join("link")).unwrap();
    put(directory.path(), "repository/n.f", b"1");
    let store = FilesystemStore::open(directory.path().join("link")).unwrap();
    assert_eq!(names(&store, "n"), ["n"]);

    put(directory.path(), "repository/.shards", b"not json");
    let store = FilesystemStore::open(directory.path().join("repository")).unwrap();
    let problem = store.layout_problem().unwrap();
    assert!(problem.contains("repository/.shards does not describe where blobs lie"), "{problem}");
    assert_eq!(names(&store, "n"), ["n"]);
    fs::set_permissions(directory.path().join("repository/.shards"), fs::Permissions::from_mode(0o000))
        .unwrap();
    let store = FilesystemStore::open(directory.path().join("repository")).unwrap();
    if !rustix::process::geteuid().is_root() {
        let problem = store.layout_problem().unwrap();
        assert!(problem.contains("repository/.shards cannot be read"), "{problem}");
    }
    assert_eq!(names(&store, "n"), ["n"]);
    fs::remove_file(directory.path().join("repository/.shards")).unwrap();
    fs::create_dir(directory.path().join("repository/.shards")).unwrap();
    assert_eq!(names(&FilesystemStore::open(directory.path().join("repository")).unwrap(), "n"), ["n"]);
}

#[test]
fn a_listing_has_the_times_of_files() {
    let directory = TempDir::new().unwrap();
    let times = [("p1.f", 1_700_000_000), ("p2", 5), ("q/1/2.f", 0)];
    for (path, seconds) in times {
        put(directory.path(), path, b"1");
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds, 7);
        fs::File::options()
            .write(true)
            .open(directory.path().join(path))
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
    put(directory.path(), "q3.f", b"before 1970");
    let before = std::time::UNIX_EPOCH - std::time::Duration::from_secs(1000);
    fs::File::options()
        .write(true)
        .open(directory.path().join("q3.f"))
        .unwrap()
        .set_modified(before)
        .unwrap();
    let listed = FilesystemStore::open(directory.path()).unwrap().list("").unwrap();
    let since = |blob: &BlobInfo| Some(blob.modified?.duration_since(std::time::UNIX_EPOCH).unwrap());
    let found: Vec<_> = listed.iter().map(|blob| (blob.id.as_str(), since(blob))).collect();
    let at = |seconds| Some(std::time::Duration::new(seconds, 7));
    assert_eq!(found, [("p1", at(1_700_000_000)), ("q12", at(0)), ("q3", None)]);
}

/// Opens a directory whose `.shards` is made by `make`, and returns what is wrong with it.
fn layout_problem(make: impl FnOnce(&Path)) -> Option<String> {
    let directory = TempDir::new().unwrap();
    make(&directory.path().join(".shards"));
    FilesystemStore::open(directory.path()).unwrap().layout_problem().map(Into::into)
}

#[test]
fn a_layout_that_cannot_be_read_is_no_layout_that_is_missing() {
    let padded = |length: usize| {
        let json = br#"{"default":[1,3]}"#;
        layout_problem(|file| {
            fs::write(file, [&json[..], &vec![b' '; length - json.len()]].concat()).unwrap()
        })
    };
    assert_eq!(padded(64 << 10), None);
    assert!(padded((64 << 10) + 1).unwrap().ends_with("it has more than 65536 bytes"));
    assert_eq!(layout_problem(|file| fs::create_dir(file).unwrap()), None, "a directory says nothing");
    if cfg!(target_os = "linux") {
        // Reading there is EIO.
        let problem = layout_problem(|file| symlink("/proc/self/mem", file).unwrap());
        assert!(problem.unwrap().contains("cannot be read, which says where blobs lie"));
    }
}

#[test]
fn many_directories_are_listed_by_many_threads() {
    let directory = TempDir::new().unwrap();
    put(directory.path(), ".shards", br#"{"default":[1,3],"maxNonShardedLength":2}"#);
    let mut all: Vec<_> = (0..500).map(|i| format!("p{i:03}tail")).collect();
    for name in &all {
        put(directory.path(), format!("p/{}/tail.f", &name[1..4]), b"1");
    }
    put(directory.path(), "p/000/ede/deeper.f", b"1");
    all.push("p000ededeeper".into());
    all.sort();
    let store = FilesystemStore::open(directory.path()).unwrap();
    assert_eq!(names(&store, "p"), all);
    assert_eq!(names(&store, "p49").len(), 10);
}

#[test]
fn nothing_is_written() {
    let pack = "p0638154a08df93c269693324852cef8c-s291f6eac802fb207147";
    for mode in MODES {
        // Kopia would make a `.shards` here.
        let directory = TempDir::new().unwrap();
        put(directory.path(), "p06/381/54a08df93c269693324852cef8c-s291f6eac802fb207147.f", &[1; 5000]);
        let modified = |path: &str| fs::metadata(directory.path().join(path)).unwrap().modified().unwrap();
        let before = ["", "p06", "p06/381"].map(modified);

        let store = FilesystemStore::open_with(directory.path(), mode).unwrap();
        assert_eq!(names(&store, ""), [pack]);
        store.will_need(&id(pack), 0, 5000);
        assert_eq!(store.length(&id(pack)).unwrap(), 5000);
        assert_eq!(store.read(&id(pack)).unwrap(), [1; 5000]);
        assert_eq!(*store.read_range(&id(pack), 4990, 10, Vec::new()).unwrap(), [1; 10]);
        store.read_range(&id(pack), 4990, 11, Vec::new()).unwrap_err();
        store.read(&id("kopia.repository")).unwrap_err();
        assert_eq!(store.directory().unwrap(), directory.path());

        // Whatever comes into a directory or leaves it changes its time.
        assert_eq!(["", "p06", "p06/381"].map(modified), before, "{mode:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

/// Prints how long a range takes of each file `pN.f` in `SLOW_REPOSITORY`, which should lie on a slow file
/// system and be new to the page cache.
#[test]
#[ignore = "measures, and needs such a file system"]
fn ranges_of_a_slow_file_system() {
    let Some(path) = std::env::var_os("SLOW_REPOSITORY") else { return };
    let store = FilesystemStore::open(path).unwrap();
    for blob in store.list("p").unwrap() {
        let clock = std::time::Instant::now();
        let bytes = store.read_range(&blob.id, 1 << 20, 4 << 20, Vec::new()).unwrap();
        println!("{}: {} bytes in {:?}", blob.id, bytes.len(), clock.elapsed());
        let clock = std::time::Instant::now();
        println!("{}: all {} bytes in {:?}", blob.id, store.read(&blob.id).unwrap().len(), clock.elapsed());
    }
}
