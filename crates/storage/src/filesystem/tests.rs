//! Tests on real folders.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

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

/// Writes a file and the folders above it.
fn put(folder: &Path, path: impl AsRef<Path>, bytes: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Tells whether maps can be expected where the tests run.
fn has_maps(folder: &Path) -> bool {
    Map::IS_SUPPORTED && Kind::of(fs::File::open(folder).unwrap()) == Kind::Local { maps: true }
}

fn names(store: &FilesystemStore, prefix: &str) -> Vec<String> {
    store.list(prefix).unwrap().into_iter().map(|blob| blob.id.into()).collect()
}

#[test]
fn conforms_in_every_layout_and_mode() {
    for layout in LAYOUTS {
        for mode in MODES {
            let folders = RefCell::new(Vec::new());
            crate::conformance::check(|blobs| {
                let folder = TempDir::new().unwrap();
                let shards = match layout {
                    None => Shards::default(),
                    Some(json) => {
                        put(folder.path(), ".shards", json.as_bytes());
                        Shards::parse(json.as_bytes()).unwrap()
                    }
                };
                for (id, bytes) in blobs {
                    put(folder.path(), String::from_utf8(shards.file(id).unwrap()).unwrap(), bytes);
                }
                let store = FilesystemStore::open_with(folder.path(), mode).unwrap();
                folders.borrow_mut().push(folder);
                store
            });
        }
    }
}

#[test]
fn blobs_lie_where_kopia_puts_them() {
    let folder = TempDir::new().unwrap();
    let pack = "p0638154a08df93c269693324852cef8c-s291f6eac802fb207147";
    put(folder.path(), "p06/381/54a08df93c269693324852cef8c-s291f6eac802fb207147.f", b"old");
    put(folder.path(), "p/063/8154a08df93c269693324852cef8c-s291f6eac802fb207147.f", b"new one");
    put(folder.path(), "kopia.repository.f", b"{}");
    let read = || FilesystemStore::open(folder.path()).unwrap().read(&id(pack)).unwrap();
    assert_eq!(read(), b"old");
    put(folder.path(), ".shards", br#"{"default":[1,3],"maxNonShardedLength":20}"#);
    assert_eq!(read(), b"new one");
    let store = FilesystemStore::open(folder.path()).unwrap();
    assert_eq!(names(&store, ""), ["kopia.repository", pack]);
}

#[test]
fn other_files_are_no_blobs() {
    let folder = TempDir::new().unwrap();
    for other in
        ["p/1a0/x.f.tmp.00ff", ".shards~", "p/1a0/.nfs0001", "p/1a0/._x.f", "lost+found/l.f", ".snap/n.f"]
    {
        put(folder.path(), other, b"x");
    }
    fs::create_dir(folder.path().join("folder.f")).unwrap();
    symlink("nowhere", folder.path().join("dangling.f")).unwrap();
    symlink("self.f", folder.path().join("self.f")).unwrap();
    symlink(".", folder.path().join("loop")).unwrap();
    put(folder.path(), "elsewhere", b"linked");
    symlink("elsewhere", folder.path().join("linked.f")).unwrap();
    let store = FilesystemStore::open_with(folder.path(), IoMode::Map).unwrap();
    assert_eq!(names(&store, ""), ["linked"]);
    assert_eq!(store.list("").unwrap()[0].length, 6);
    let bytes = store.read_range(&id("linked"), 0, 6, Vec::new()).unwrap();
    assert_eq!((bytes.is_mapped(), &*bytes), (has_maps(folder.path()), &b"linked"[..]));
    let error = store.read(&id("folder")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("blob folder in {} cannot be read at offset 0", folder.path().display())
    );
    assert!(store.read(&id("dangling")).unwrap_err().is_not_found());
}

#[test]
#[cfg(target_os = "linux")]
fn a_pipe_does_not_hold_anyone_up() {
    let folder = TempDir::new().unwrap();
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path().join("pipe.f"),
        rustix::fs::FileType::Fifo,
        Mode::RUSR,
        0,
    );
    made.unwrap();
    let store = FilesystemStore::open(folder.path()).unwrap();
    assert_eq!(names(&store, ""), [""; 0]);
    assert!(matches!(store.read(&id("pipe")), Err(Error::Read { .. })));
    assert!(matches!(store.read_range(&id("pipe"), 0, 1, Vec::new()), Err(Error::Read { .. })));
}

#[test]
fn a_file_cut_short_gives_an_error_and_no_crash() {
    for mode in MODES {
        for cut in [0, 100, 4096, 5000, 8191] {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("p.f");
            fs::write(&path, vec![7; 300_000]).unwrap();
            let store = FilesystemStore::open_with(folder.path(), mode).unwrap();
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
        let folder = TempDir::new().unwrap();
        put(folder.path(), "p.f", b"short");
        let store = FilesystemStore::open_with(folder.path(), mode).unwrap();
        store.read_range(&id("p"), 0, 5, Vec::new()).unwrap();
        put(folder.path(), "new", b"much longer");
        fs::rename(folder.path().join("new"), folder.path().join("p.f")).unwrap();
        assert_eq!(&*store.read_range(&id("p"), 5, 6, Vec::new()).unwrap(), b"longer");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn few_files_stay_open() {
    let folder = TempDir::new().unwrap();
    let ids: Vec<_> = (0..100).map(|i| id(&format!("p{i}"))).collect();
    for (i, id) in ids.iter().enumerate() {
        put(folder.path(), format!("{id}.f"), &[i as u8; 10]);
    }
    let open_files = || {
        let fds = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        fds.filter(|target| target.starts_with(folder.path()) && target != folder.path()).count()
    };
    for mode in MODES {
        let store = FilesystemStore::open_with(folder.path(), mode).unwrap();
        let kept: Vec<_> = ids.iter().map(|id| store.read_range(id, 3, 4, Vec::new()).unwrap()).collect();
        assert_eq!(open_files(), 16);
        for (i, bytes) in kept.iter().enumerate() {
            assert_eq!(
                (&**bytes, bytes.is_mapped()),
                (&[i as u8; 4][..], mode == IoMode::Map && has_maps(folder.path()))
            );
        }
    }
}

#[test]
fn the_buffer_comes_back() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "p.f", &[1; 50]);
    for mode in MODES {
        let store = FilesystemStore::open_with(folder.path(), mode).unwrap();
        let bytes = store.read_range(&id("p"), 10, 30, Vec::with_capacity(4000)).unwrap();
        assert_eq!(bytes.len(), 30);
        assert!(bytes.into_buffer().capacity() >= 4000, "{mode:?}");
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    let folder = TempDir::new().unwrap();
    let why = |path: &Path| {
        let error = FilesystemStore::open(path).unwrap_err();
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
        match error {
            Error::Open { source, .. } => source.kind(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(why(&folder.path().join("missing")), std::io::ErrorKind::NotFound);
    put(folder.path(), "file", b"");
    assert_eq!(why(&folder.path().join("file")), std::io::ErrorKind::NotADirectory);
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    if !rustix::process::geteuid().is_root() {
        assert_eq!(why(&closed), std::io::ErrorKind::PermissionDenied);
    }

    symlink("repository", folder.path().join("link")).unwrap();
    put(folder.path(), "repository/n.f", b"1");
    let store = FilesystemStore::open(folder.path().join("link")).unwrap();
    assert_eq!(names(&store, "n"), ["n"]);

    put(folder.path(), "repository/.shards", b"not json");
    let error = FilesystemStore::open(folder.path().join("repository")).unwrap_err();
    assert!(matches!(error, Error::Layout { .. }), "{error:?}");
    assert!(error.to_string().contains("repository/.shards does not describe"), "{error}");
}

#[test]
fn many_folders_are_listed_by_many_threads() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), ".shards", br#"{"default":[1,3],"maxNonShardedLength":2}"#);
    let mut all: Vec<_> = (0..500).map(|i| format!("p{i:03}tail")).collect();
    for name in &all {
        put(folder.path(), format!("p/{}/tail.f", &name[1..4]), b"1");
    }
    put(folder.path(), "p/000/nested/deeper.f", b"1");
    all.push("p000nesteddeeper".into());
    all.sort();
    let store = FilesystemStore::open(folder.path()).unwrap();
    assert_eq!(names(&store, "p"), all);
    assert_eq!(names(&store, "p49").len(), 10);
}

#[test]
fn nothing_is_written() {
    let pack = "p0638154a08df93c269693324852cef8c-s291f6eac802fb207147";
    for mode in MODES {
        // Kopia would make a `.shards` here.
        let folder = TempDir::new().unwrap();
        put(folder.path(), "p06/381/54a08df93c269693324852cef8c-s291f6eac802fb207147.f", &[1; 5000]);
        let modified = |path: &str| fs::metadata(folder.path().join(path)).unwrap().modified().unwrap();
        let before = ["", "p06", "p06/381"].map(modified);

        let store = FilesystemStore::open_with(folder.path(), mode).unwrap();
        assert_eq!(names(&store, ""), [pack]);
        store.will_need(&id(pack), 0, 5000);
        assert_eq!(store.length(&id(pack)).unwrap(), 5000);
        assert_eq!(store.read(&id(pack)).unwrap(), [1; 5000]);
        assert_eq!(*store.read_range(&id(pack), 4990, 10, Vec::new()).unwrap(), [1; 10]);
        store.read_range(&id(pack), 4990, 11, Vec::new()).unwrap_err();
        store.read(&id("kopia.repository")).unwrap_err();
        assert_eq!(store.folder().unwrap(), folder.path());

        // Whatever comes into a folder or leaves it changes its time.
        assert_eq!(["", "p06", "p06/381"].map(modified), before, "{mode:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
