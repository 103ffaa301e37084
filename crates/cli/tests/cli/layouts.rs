//! Repositories whose blobs lie otherwise than kopia puts them: copies of buckets, and copies that lost
//! something.

use std::fs;
use std::path::Path;

use kopia_testkit::faults;
use kopia_testkit::tree::{Compare, Tree, compare};

use crate::common::{KopiaRs, Place};

/// The blobs of a copy of a bucket: names and bytes.
fn blobs() -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(faults::repository("copy-of-bucket")).unwrap();
    let blob =
        |path: &Path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap());
    entries.map(|entry| blob(&entry.unwrap().path())).collect()
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Cuts directories of these lengths from the front of long names.
fn cut(name: &str, lengths: &[usize], extension: &str) -> String {
    let (mut path, mut rest) = (String::new(), name);
    for &length in lengths.iter().filter(|_| name.len() > 20) {
        let (directory, after) = rest.split_at(length);
        path += directory;
        path += "/";
        rest = after;
    }
    path + rest + extension
}

fn run(repository: &Path, arguments: &str) -> KopiaRs {
    KopiaRs::new(arguments).repository(repository).env("KOPIA_PASSWORD", faults::PASSWORD)
}

/// Everything is there, and every command says so.
#[track_caller]
fn is_whole(repository: &Path, right: &str) {
    for command in ["status", "verify", "doctor", "--degraded verify"] {
        run(repository, command).run().exits(0);
    }
    let listed = run(repository, "snapshots --json").run().exits(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let place = Place::new();
    let target = place.path("target");
    run(repository, "restore latest").arg(&target).run().exits(0);
    let wrong = compare(&faults::tree(right), &Tree::scan(&target), &Compare::settable());
    assert_eq!(wrong, [""; 0], "{}", repository.display());
}

#[test]
fn a_copy_of_a_bucket_is_a_repository() {
    is_whole(&faults::repository("copy-of-bucket"), "copy-of-bucket");
}

#[test]
fn a_lost_layout_is_no_loss() {
    is_whole(&faults::repository("shards-lost"), "shards-lost");
}

#[test]
fn blobs_are_found_in_any_layout_between_other_files() {
    let place = Place::new();
    for (number, (lengths, extension, shards)) in [
        (&[][..], ".f", None),
        (&[1, 3], "", None),
        (&[3, 3], "", Some("")),
        (&[2, 2], ".f", Some("\0\0\0\0")),
        (&[1, 3], ".f", Some(r#"{"default":[3,3],"maxNonShardedLength":20}"#)),
        (&[4], ".f", Some(r#"{"DEFAULT":[4],"maxnonshardedlength":20}"#)),
    ]
    .into_iter()
    .enumerate()
    {
        let repository = place.path(&number.to_string());
        for (name, bytes) in blobs() {
            let path = cut(&name, lengths, extension);
            put(&repository.join(&path), &bytes);
            for other in [" (1).f", ".sync-conflict-20260101-120000-ABCDEFG.f", ".f.tmp.0123", "~"] {
                put(&repository.join(path.clone() + other), b"another program's");
            }
        }
        for other in [".DS_Store", "p/.DS_Store", "@eaDir/x.f", ".stfolder/marker", "p/.nfs0001", "Thumbs.db"]
        {
            put(&repository.join(other), b"another program's");
        }
        if let Some(shards) = shards {
            put(&repository.join(".shards"), shards.as_bytes());
        }
        is_whole(&repository, "copy-of-bucket");
    }
}

#[test]
fn a_change_of_the_layout_that_was_interrupted() {
    let place = Place::new();
    let repository = place.path("repository");
    put(&repository.join(".shards"), br#"{"default":[1,3],"maxNonShardedLength":20}"#);
    for (number, (name, bytes)) in blobs().into_iter().enumerate() {
        let (old, new) = (repository.join(&name), repository.join(cut(&name, &[1, 3], ".f")));
        match number % 3 {
            0 => put(&old, &bytes),
            1 => put(&new, &bytes),
            // The new one was being written, or is a hole that was to be filled.
            _ => {
                put(&old, &bytes);
                let half =
                    if number % 2 == 0 { bytes[..bytes.len() / 2].to_vec() } else { vec![0; bytes.len()] };
                put(&new, &half);
            }
        }
    }
    is_whole(&repository, "copy-of-bucket");
}

#[test]
fn the_format_blob_can_be_given_beside_any_layout() {
    let place = Place::new();
    let repository = place.path("repository");
    for (name, bytes) in blobs() {
        put(&repository.join(&name), &bytes);
    }
    fs::rename(repository.join("kopia.repository"), place.path("blob")).unwrap();
    run(&repository, "status").run().exits(1).says(&["holds a repository without kopia.repository"]);
    run(&repository, "verify").arg("--format-blob").arg(place.path("blob")).run().exits(0);
}
