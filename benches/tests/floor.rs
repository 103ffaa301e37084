//! The floor restores the same tree as the engine does.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use std::path::Path;
use std::process::Command;

use kopia_rs_benches::noise::Noise;
use kopia_testkit::golden;
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

fn floor(repository: &Path, password: &str, target: &Path, args: &[&str]) -> Value {
    let mut floor = Command::new(env!("CARGO_BIN_EXE_floor"));
    floor.arg(repository).arg("latest").arg(target).args(args).env("KOPIA_PASSWORD", password);
    let output = floor.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A tree with everything that has a way of its own: folders without files, files without bytes, of one
/// content, of several, with the same contents, of other owners, with special bits; links.
fn write(folder: &Path) {
    let owner = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let mut writer = RepositoryWriter::new().piece_size(4096).pack_size(64 << 10);
    let mut bytes = Vec::new();
    Noise::new(1).bytes(100_000, &mut bytes);
    let mut file = |name: &str, length: usize, mode: &str| {
        let object = writer.file(&bytes[..length]);
        json!({"name": name, "type": "f", "mode": mode, "size": length, "obj": object, "uid": owner, "gid": group,
            "mtime": "2026-01-02T03:04:05.123456789Z"})
    };
    let files = [
        file("empty", 0, "0600"),
        file("large", 100_000, "0640"),
        file("same", 100_000, "0644"),
        file("setuid", 4000, "4755"),
        file("small", 10, "0000"),
        file("small again", 10, "0644"),
    ];
    let link = writer.file(b"../small");
    let link = json!({"name": "link", "type": "s", "mode": "0777", "size": 8, "obj": link, "uid": owner,
        "gid": group, "mtime": "2026-01-02T03:04:06Z"});
    let mut directory = |name: &str, entries: &[Value]| {
        let object = writer.directory(entries);
        json!({"name": name, "type": "d", "mode": "0750", "obj": object, "uid": owner, "gid": group,
            "mtime": "2026-01-02T03:04:07Z"})
    };
    let empty = directory("bare", &[]);
    let inner = directory("inner", &[&[empty][..], &files, &[link]].concat());
    let root = directory("data", &[&[inner][..], &files].concat());
    writer.snapshot("app@host:/data", root);
    writer.finish_in(folder).unwrap();
}

#[test]
fn a_written_tree_comes_back_with_any_number_of_workers() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("repository");
    write(&repository);
    let engine = place.path().join("engine");
    let store = kopia_storage::FilesystemStore::open(&repository).unwrap();
    let opened = kopia_repository::Repository::open(store, &PASSWORD.into()).unwrap();
    let root = opened.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    let outcome = kopia_restore::restore(&root, &engine, &kopia_restore::Options::default()).unwrap();
    assert_eq!(outcome.problem_count, 0);
    for workers in ["1", "2", "7"] {
        let target = place.path().join(workers);
        let said = floor(&repository, PASSWORD, &target, &["--workers", workers]);
        assert_eq!((&said["files"], &said["bytes"]), (&json!(12), &json!(2 * 204_020)));
        assert!(said["wall_s"].as_f64().unwrap() > 0.0 && said["cpu_s"].as_f64().is_some());
        let differences = compare(&Tree::scan(&engine), &Tree::scan(&target), &Compare::default());
        assert_eq!(differences, [""; 0]);
    }
}

#[test]
fn half_of_it_writes_as_much_or_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (repository, target) = (place.path().join("repository"), place.path().join("target"));
    write(&repository);
    floor(&repository, PASSWORD, &target, &["--half", "decode"]);
    assert!(!target.exists());
    floor(&repository, PASSWORD, &target, &["--half", "write"]);
    let tree = Tree::scan(&target);
    let large = tree.get("inner/large").unwrap();
    assert_eq!((large.size, large.mode), (100_000, 0o640));
    let bytes = std::fs::read(target.join("inner/large")).unwrap();
    assert!(!bytes.contains(&0));
}

#[test]
fn what_kopia_wrote_comes_back() {
    let case = golden::cases().into_iter().find(|case| case.repository.ends_with("tricky/repo")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("target");
    floor(&case.repository, &case.password, &target, &[]);
    let tree = Tree::scan(&target);
    let same = case
        .pairs()
        .iter()
        .any(|(_, expected)| compare(&expected.load(), &tree, &Compare::settable()).is_empty());
    assert!(same, "it is none of the snapshots");
}
