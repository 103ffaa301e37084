//! Against rclone's WebDAV server.

use std::process::Command;

use kopia_connection::storage::WebDav;
use kopia_storage::testing::conformance;
use kopia_storage::{ErrorKind, Failure};
use kopia_testkit::servers::{self, Server};
use tempfile::TempDir;

use super::support::{check_golden, golden};
use super::*;

struct Dav {
    server: Server,
    directory: TempDir,
}

impl Dav {
    fn start(blobs: &[(BlobId, Vec<u8>)], is_mixed: bool, more: &[&str]) -> Option<Self> {
        let program = servers::program("rclone")?;
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("my repo")).unwrap();
        put(&directory.path().join("my repo"), blobs, is_mixed);
        let port = servers::free_port();
        let mut command = Command::new(program);
        command
            .args(["serve", "webdav", "--addr", &format!("127.0.0.1:{port}")])
            .args(more)
            .arg(directory.path());
        command.env("RCLONE_USER", "u").env("RCLONE_PASS", "s3cr3t").env("RCLONE_CONFIG", "/nonexistent");
        Some(Self { server: Server::start(&mut command, port), directory })
    }

    fn place(&self, path: &str, password: &str) -> Storage {
        let mut place = WebDav::default();
        place.url = format!("http://127.0.0.1:{}{path}", self.server.port());
        (place.username, place.password) = (Some("u".into()), Some(password.into()));
        Storage::WebDav(place)
    }
}

#[test]
fn conforms() {
    for (is_mixed, more) in [(false, &["--read-only"][..]), (true, &[]), (true, &["--baseurl", "/deep/er"])] {
        let mut servers = Vec::new();
        if servers::program("rclone").is_none() {
            return;
        }
        conformance::check(|blobs| {
            let dav = Dav::start(blobs, is_mixed, more).unwrap();
            let base = more.get(1).unwrap_or(&"");
            let store = open(dav.place(&format!("{base}/my repo"), "s3cr3t")).unwrap();
            servers.push(dav);
            store
        });
    }
}

#[test]
fn a_repository_reads_right_and_nothing_is_written() {
    let (case, blobs) = golden();
    for is_mixed in [false, true] {
        let Some(dav) = Dav::start(&blobs, is_mixed, &[]) else { return };
        let before = contents(dav.directory.path());
        check_golden(&case, open(dav.place("/my%20repo/", "s3cr3t")).unwrap());
        assert!(contents(dav.directory.path()) == before);
    }
}

#[test]
fn what_is_wrong_is_told() {
    let Some(dav) = Dav::start(&[], false, &[]) else { return };
    let error = |path: &str, password| match open(dav.place(path, password)) {
        Err(error) => error,
        Ok(store) => panic!("{store:?}"),
    };
    let missing = error("/my-repo", "s3cr3t");
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing:?}");
    let wrong = error("/my repo", "s3cr3");
    let Error::Open { place, source } = &wrong else { panic!("{wrong:?}") };
    assert!(matches!(Failure::of(source), Some(Failure::WrongKey { .. })), "{wrong:?}");
    assert_eq!(*place, format!("webdav://127.0.0.1:{}/my%20repo", dav.server.port()));
}
