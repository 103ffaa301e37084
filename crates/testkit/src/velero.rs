//! A bucket of Velero's, written with the calls that Velero makes, and what its volumes hold.
//!
//! It lies in `testdata/velero`, whose README.md lists the volumes. Nothing here writes there.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::damage;
use crate::tree::Tree;

/// The prefix of the BackupStorageLocation in the bucket.
pub const PREFIX: &str = "clusters/prod/";

/// A device, as one of the volumes holds it.
#[derive(Debug, Clone, Deserialize)]
pub struct Disk {
    /// The PVC.
    pub volume: String,
    /// Bytes.
    pub size: u64,
    /// Of all these bytes, in hex.
    pub sha256: String,
}

/// Returns the directory of the bucket.
pub fn bucket() -> PathBuf {
    root().join("bucket")
}

/// Returns what a volume must restore.
///
/// # Panics
///
/// When there is no such tree, or a line of it cannot be understood.
pub fn tree(name: &str) -> Tree {
    let path = root().join("trees").join(format!("{name}.jsonl"));
    Tree::from_lines(&read(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the devices.
///
/// # Panics
///
/// When they cannot be read.
pub fn disks() -> Vec<Disk> {
    let text = read(&root().join("trees/disks.jsonl"));
    text.lines().map(|line| serde_json::from_str(line).expect("a line is a disk")).collect()
}

/// Returns the same bucket as keys and their bytes: the names of blobs have no `.f` there.
///
/// # Panics
///
/// When it cannot be read.
pub fn objects() -> Vec<(String, Vec<u8>)> {
    let backup = format!("{PREFIX}backups/nightly/velero-backup.json");
    let mut all = vec![(backup.clone(), fs::read(bucket().join(backup)).expect("the bucket has a backup"))];
    for namespace in ["shop", "vms"] {
        let place = format!("{PREFIX}kopia/{namespace}/");
        let blobs = damage::blobs(&bucket().join(&place), "").into_iter();
        all.extend(blobs.map(|blob| (format!("{place}{}", blob.id), blob.read())));
    }
    all
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/velero")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
