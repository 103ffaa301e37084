//! Stores of directories on servers, against real ones that are started here. Those that are not installed
//! are left out.
#![cfg(feature = "rclone")]

#[path = "../support/faults.rs"]
mod faults;
mod rclone;
#[path = "../support/mod.rs"]
mod support;
mod webdav;

use std::fs;
use std::path::Path;

use kopia_connection::{Connection, Environment, Storage};
use kopia_format::BlobId;
use kopia_remote::{Opened, Options, connect};
use kopia_storage::{BlobStore, Error};

const SHARDS: &str = r#"{"default":[1,3],"maxNonShardedLength":20}"#;

/// Why what this file does to directories cannot fail.
const OURS: &str = "the directory is our own";

fn open(storage: Storage) -> Result<Box<dyn BlobStore>, Error> {
    open_telling(storage, |note| eprintln!("{note}"))
}

/// As [`open`], with what takes the notes of tries that are made again, among others.
fn open_telling(
    storage: Storage,
    notice: impl Fn(&str) + Send + Sync + 'static,
) -> Result<Box<dyn BlobStore>, Error> {
    let mut options = Options::default();
    options.environment = Environment::of_process().with_home("/nonexistent");
    options.notice = std::sync::Arc::new(notice);
    match connect(&Connection::new(storage), &options)? {
        Opened::Blobs(store) => Ok(store),
        _ => panic!("a directory is a store of blobs"),
    }
}

/// Writes blobs where kopia would, or every other one where a copy of a bucket has it.
fn put(directory: &Path, blobs: &[(BlobId, Vec<u8>)], is_mixed: bool) {
    fs::write(directory.join(".shards"), SHARDS).expect(OURS);
    for (number, (id, bytes)) in blobs.iter().enumerate() {
        let path = match id.as_str() {
            flat if is_mixed && number % 2 == 0 => flat.to_string(),
            short if short.len() <= 20 => format!("{short}.f"),
            long => format!("{}/{}/{}.f", &long[..1], &long[1..4], &long[4..]),
        };
        let file = directory.join(path);
        fs::create_dir_all(file.parent().expect(OURS)).expect(OURS);
        fs::write(file, bytes).expect(OURS);
    }
    fs::write(directory.join("xe7.f-8674665223082153551"), "unfinished").expect(OURS);
}

/// Returns each file below a directory with its bytes and the time when it was written.
fn contents(directory: &Path) -> Vec<(std::path::PathBuf, Vec<u8>, std::time::SystemTime)> {
    let (mut all, mut level) = (Vec::new(), vec![directory.to_path_buf()]);
    while let Some(next) = level.pop() {
        for entry in fs::read_dir(next).expect(OURS) {
            let entry = entry.expect(OURS);
            if entry.file_type().expect(OURS).is_dir() {
                level.push(entry.path());
            } else {
                all.push((
                    entry.path(),
                    fs::read(entry.path()).expect(OURS),
                    entry.metadata().expect(OURS).modified().expect(OURS),
                ));
            }
        }
    }
    all.sort();
    all
}
