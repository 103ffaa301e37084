//! Against fake-gcs-server. It knows no views of the past.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_connection::storage::Gcs;
use kopia_connection::{Connection, Environment, Storage};
use kopia_format::BlobId;
use kopia_remote::{Options, survey};
use kopia_storage::testing::conformance;
use kopia_storage::{BlobStore, Failure};
use kopia_testkit::servers::{self, Server};

use crate::support::{check_golden, golden, send};

struct Fake {
    server: Server,
    buckets: AtomicUsize,
}

impl Fake {
    fn start() -> Option<Self> {
        let program = servers::program("fake-gcs-server")?;
        let port = servers::free_port();
        let mut command = Command::new(program);
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &port.to_string()]);
        command.args(["-backend", "memory", "-public-host", &format!("127.0.0.1:{port}")]);
        Some(Self { server: Server::start(&mut command, port), buckets: AtomicUsize::new(0) })
    }

    fn post(&self, target: &str, kind: &str, body: &[u8]) {
        let host = format!("127.0.0.1:{}", self.server.port());
        let headers = [("host", &*host), ("content-type", kind)];
        let (status, answer) = send(self.server.port(), &format!("POST {target}"), &headers, body);
        assert_eq!(status, 200, "{target}: {answer}");
    }

    fn bucket(&self, prefix: &str, blobs: &[(BlobId, Vec<u8>)]) -> String {
        let name = format!("bucket{}", self.buckets.fetch_add(1, Ordering::SeqCst));
        self.post(
            "/storage/v1/b?project=p",
            "application/json",
            format!(r#"{{"name":"{name}"}}"#).as_bytes(),
        );
        blobs.iter().for_each(|(id, bytes)| self.put(&name, &format!("{prefix}{id}"), bytes));
        name
    }

    fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        let target =
            format!("/upload/storage/v1/b/{bucket}/o?uploadType=media&name={}", key.replace('/', "%2F"));
        self.post(&target, "application/x-kopia", bytes);
    }

    fn place(bucket: &str, prefix: &str) -> Storage {
        let mut place = Gcs::default();
        place.bucket = bucket.into();
        place.prefix = prefix.into();
        Storage::Gcs(place)
    }

    fn environment(&self) -> Environment {
        [("STORAGE_EMULATOR_HOST", format!("127.0.0.1:{}", self.server.port()))].into_iter().collect()
    }

    fn open(&self, bucket: &str, prefix: &str) -> kopia_storage::Result<Box<dyn BlobStore>> {
        super::open(Self::place(bucket, prefix), self.environment())
    }
}

#[test]
fn a_bucket_keeps_the_contract_of_stores() {
    let Some(fake) = Fake::start() else { return };
    conformance::check(|blobs| fake.open(&fake.bucket("a/b-", blobs), "a/b-").unwrap());
}

#[test]
fn a_repository_in_a_bucket_reads_right() {
    let Some(fake) = Fake::start() else { return };
    let (case, blobs) = golden();
    let bucket = fake.bucket("kopia", &blobs);
    fake.put(&bucket, "kopiasub/p1", b"other");
    fake.put(&bucket, "other", b"other");
    let store = fake.open(&bucket, "kopia").unwrap();
    assert_eq!(store.list("").unwrap().len(), blobs.len());
    assert_eq!(store.location(), format!("gs://{bucket}/kopia"));
    check_golden(&case, store);
}

#[test]
fn a_bucket_that_is_not_there_is_told() {
    let Some(fake) = Fake::start() else { return };
    let error = fake.open("nothere", "").unwrap_err();
    assert!(
        matches!(error.failure(), Some(Failure::NoContainer { name, .. }) if name == "nothere"),
        "{error:?}"
    );
}

/// A repository that kopia itself makes there, where it is installed.
#[test]
fn a_repository_of_kopias_own_reads_right() {
    let (Some(fake), Some(kopia)) = (Fake::start(), servers::kopia()) else { return };
    let bucket = fake.bucket("", &[]);
    let home = tempfile::tempdir().unwrap();
    let source = home.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), "what is in it").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&kopia);
        command.args(arguments).arg("--no-progress").env_clear();
        command
            .env("HOME", home.path())
            .env("KOPIA_PASSWORD", "password")
            .env("KOPIA_CHECK_FOR_UPDATES", "false");
        command.env("STORAGE_EMULATOR_HOST", format!("127.0.0.1:{}", fake.server.port()));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["repository", "create", "gcs", "--bucket", &bucket, "--prefix", "k/"]);
    run(&["snapshot", "create", source.to_str().unwrap()]);
    let store = fake.open(&bucket, "k/").unwrap();
    assert!(store.list("").unwrap().iter().all(|blob| blob.modified.is_some()));
    let repository = kopia_repository::Repository::open(store, &"password".into()).unwrap();
    let snapshots = repository.snapshots().unwrap();
    assert_eq!(snapshots.iter().count(), 1);
    assert!(repository.verify(&Default::default(), &()).unwrap().is_sound());
}

#[test]
fn other_buckets_are_named() {
    let Some(fake) = Fake::start() else { return };
    let bucket = fake.bucket("", &[]);
    let mut options = Options::default();
    options.environment = fake.environment();
    let around = survey(&Connection::new(Fake::place("nothere", "k/")), &options).unwrap().unwrap();
    assert_eq!(around.containers().unwrap(), [bucket]);
}
