//! Against the real kopia: it backs up a tree of the tester's choice, and what comes back is compared with
//! the tree.
//!
//! ```sh
//! KOPIA_RS_LIVE_TREE=/some/tree cargo test --package kopia-rs-cli --test live -- --ignored
//! ```
//! Needs `kopia` on PATH. Nothing of the tester's own kopia is used or changed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kopia_testkit::tree::{Compare, Tree, compare};

const PASSWORD: &str = "live";

/// A kopia with everything of its own in one folder.
fn kopia(place: &Path, arguments: &[&str]) -> Output {
    let output = Command::new("kopia")
        .args(arguments)
        .env("HOME", place)
        .env("KOPIA_CONFIG_PATH", place.join("kopia.config"))
        .env("KOPIA_CACHE_DIRECTORY", place.join("cache"))
        .env("KOPIA_CHECK_FOR_UPDATES", "false")
        .env("KOPIA_PASSWORD", PASSWORD)
        .output()
        .expect("kopia is on PATH");
    assert!(output.status.success(), "kopia {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn kopia_rs(repository: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
    command.args(arguments).arg("--repository").arg(repository);
    let output =
        command.env_clear().env("KOPIA_PASSWORD", PASSWORD).output().expect("the file system answers");
    assert!(output.status.success(), "kopia-rs {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).expect("JSON alone on stdout")
}

#[test]
#[ignore = "needs kopia on PATH and KOPIA_RS_LIVE_TREE"]
fn what_kopia_backs_up_comes_back() {
    let tree =
        PathBuf::from(std::env::var_os("KOPIA_RS_LIVE_TREE").expect("KOPIA_RS_LIVE_TREE names a folder"));
    for create in
        [&[][..], &["--format-version=1"], &["--ecc=REED-SOLOMON-CRC32", "--ecc-overhead-percent=5"]]
    {
        let place = tempfile::tempdir().unwrap();
        let repository = place.path().join("repository");
        let path = repository.to_str().unwrap();
        kopia(place.path(), &[&["repository", "create", "filesystem", "--path", path][..], create].concat());
        kopia(place.path(), &["policy", "set", "--global", "--compression=zstd-fastest"]);
        kopia(place.path(), &["snapshot", "create", tree.to_str().unwrap()]);

        let mut theirs = json(&kopia(place.path(), &["snapshot", "list", "--all", "--json"]));
        for snapshot in theirs.as_array_mut().unwrap() {
            let fields = snapshot.as_object_mut().unwrap();
            fields.remove("retentionReason");
            fields.remove("storageStats");
        }
        assert_eq!(json(&kopia_rs(&repository, &["snapshots", "--json"])), theirs);

        let target = place.path().join("restored");
        kopia_rs(&repository, &["restore", "latest", target.to_str().unwrap()]);
        let differences = compare(&Tree::scan(&tree), &Tree::scan(&target), &Compare::settable());
        assert!(differences.is_empty(), "{create:?}: {}", differences.join("\n"));
    }
}
