//! Every repository that kopia wrote for us, restored by the real binary: bytes, owners, modes and times of
//! every entry.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kopia_testkit::golden::{self, Case};
use kopia_testkit::tree::{Compare, Tree, compare};

/// An ordinary user: `nobody` on every system.
const NOBODY: u32 = 65534;

/// The binary under test; another build of it can be named.
fn binary() -> PathBuf {
    std::env::var_os("KOPIA_RS_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_kopia-rs").into(), PathBuf::from)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn restore(
    binary: &Path,
    repository: &Path,
    case: &Case,
    id: &str,
    target: &Path,
    user: Option<u32>,
) -> Output {
    let mut command = Command::new(binary);
    command.args(["restore", id]).arg(target).arg("--repository").arg(repository);
    command.env_clear().env("KOPIA_PASSWORD", &case.password);
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command.output().expect("the binary runs")
}

/// Restores every snapshot of a case and returns what differs from the expected trees.
fn differences(
    binary: &Path,
    repository: &Path,
    case: &Case,
    place: &Path,
    user: Option<u32>,
) -> Vec<String> {
    let owners = is_root() && user.is_none();
    let mut differences = Vec::new();
    for (listed, expected) in case.pairs() {
        let target = place.join(&listed.id);
        let output = restore(binary, repository, case, &listed.id, &target, user);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{} {}: {stderr}", case.name, listed.id);
        let actual = match &expected.file {
            Some(_) => Tree::scan_file(&target),
            None => Tree::scan(&target),
        };
        let mut what = Compare::settable();
        what.owners = owners;
        what.special_bits = owners;
        let tree = expected.load();
        differences
            .extend(compare(&tree, &actual, &what).iter().map(|line| format!("{}: {line}", case.name)));
        let foreign = tree.entries().iter().any(|entry| (entry.uid, entry.gid) != (NOBODY, NOBODY));
        if user.is_some() && foreign && !stderr.contains("owner") {
            differences.push(format!("{}: owners were not set and nothing was said: {stderr}", case.name));
        }
    }
    differences
}

#[test]
fn every_snapshot_comes_back_exactly() {
    let place = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for case in golden::cases() {
        all.extend(differences(&binary(), &case.repository, &case, &place.path().join(&case.name), None));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn an_ordinary_user_gets_everything_but_owners() {
    if !is_root() {
        // Then the test above ran as one.
        return;
    }
    // The checkout may lie where nobody else can look.
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = place.path().join("kopia-rs");
    kopia_testkit::program::copy(binary(), &copy);
    let mut all = Vec::new();
    for case in golden::cases() {
        let repository = place.path().join(format!("{}.repository", case.name));
        copy_readable(&case.repository, &repository);
        let target = place.path().join(&case.name);
        fs::create_dir(&target).unwrap();
        std::os::unix::fs::chown(&target, Some(NOBODY), Some(NOBODY)).unwrap();
        all.extend(differences(&copy, &repository, &case, &target, Some(NOBODY)));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn every_folder_of_the_test_data_is_a_case() {
    let folders = fs::read_dir(golden::root().join("repos")).unwrap().count();
    assert_eq!(golden::cases().len(), folders);
    let used: std::collections::BTreeSet<_> = golden::cases()
        .iter()
        .flat_map(Case::pairs)
        .map(|(_, expected)| format!("{}.jsonl", expected.tree))
        .collect();
    for tree in fs::read_dir(golden::root().join("trees")).unwrap() {
        let name = tree.unwrap().file_name().into_string().unwrap();
        let of_expired = golden::cases()
            .iter()
            .flat_map(|case| case.snapshots.clone())
            .any(|e| e.expired && format!("{}.jsonl", e.tree) == name);
        assert!(used.contains(&name) || of_expired, "no snapshot has the tree {name}");
    }
}

fn copy_readable(from: &Path, to: &Path) {
    fs::create_dir(to).expect("the copy can be made");
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).expect("the copy can be made");
    for entry in fs::read_dir(from).expect("the copy can be made") {
        let entry = entry.expect("the copy can be made");
        let path = to.join(entry.file_name());
        if entry.file_type().expect("the copy can be made").is_dir() {
            copy_readable(&entry.path(), &path);
        } else {
            fs::copy(entry.path(), &path).expect("the copy can be made");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("the copy can be made");
        }
    }
}
