//! Against rclone's WebDAV server.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kopia_connection::storage::WebDav;
use kopia_storage::testing::conformance;
use kopia_storage::{BlobInfo, ErrorKind, Failure, FilesystemStore};
use kopia_testkit::golden;
use kopia_testkit::servers::{self, Server};
use tempfile::TempDir;

use super::support::{self, check_golden};
use super::*;

struct Dav {
    server: Server,
    directory: TempDir,
}

impl Dav {
    fn start(blobs: &[(BlobId, Vec<u8>)], is_mixed: bool, more: &[&str]) -> Option<Self> {
        let program = servers::program("rclone")?;
        let directory = tempfile::tempdir().expect(OURS);
        fs::create_dir(directory.path().join("my repo")).expect(OURS);
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
    let (case, blobs) = support::golden();
    for is_mixed in [false, true] {
        let Some(dav) = Dav::start(&blobs, is_mixed, &[]) else { return };
        let before = contents(dav.directory.path());
        check_golden(&case, open(dav.place("/my%20repo/", "s3cr3t")).unwrap());
        assert!(contents(dav.directory.path()) == before);
    }
}

#[test]
fn faults_on_the_way_are_survived_or_told() {
    let (case, blobs) = support::golden();
    let Some(dav) = Dav::start(&blobs, false, &["--read-only"]) else { return };
    crate::faults::check(&case, dav.server.port(), &|port| {
        let Storage::WebDav(mut place) = dav.place("/my%20repo/", "s3cr3t") else {
            unreachable!("it is one of WebDAV")
        };
        place.url = format!("http://127.0.0.1:{port}/my%20repo/");
        let mut options = Options::default();
        crate::faults::impatient(&mut options);
        match connect(&Connection::new(Storage::WebDav(place)), &options)? {
            Opened::Blobs(store) => Ok(store),
            _ => panic!("a directory is a store of blobs"),
        }
    });
}

#[test]
fn what_lies_around_is_seen() {
    let (_, blobs) = support::golden();
    let Some(dav) = Dav::start(&blobs, false, &[]) else { return };
    let connection = Connection::new(dav.place("/my repo/deeper", "s3cr3t"));
    let around = kopia_remote::survey(&connection, &Options::default()).unwrap().unwrap();
    assert_eq!(around.root(), "/my repo/deeper");
    let look = |prefix: &str| around.look(prefix).map(|near| near.into_iter().map(|near| near.name));
    assert!(look("/").unwrap().eq(["/my repo/"]));
    assert!(look("/my repo/").unwrap().any(|name| name == "/my repo/kopia.repository.f"));
    assert!(look("/my repo/deeper/").is_err());
    assert!(around.clock_ahead().is_some());
}

/// Every layout that kopia wrote: those of old versions have no `.shards`, or directories of other lengths.
#[test]
fn every_golden_repository_is_listed_as_from_disk() {
    let Some(program) = servers::program("rclone") else { return };
    let repositories = golden::root().join("repos");
    let port = servers::free_port();
    let mut command = Command::new(program);
    command
        .args(["serve", "webdav", "--read-only", "--addr", &format!("127.0.0.1:{port}")])
        .arg(&repositories);
    let server = Server::start(command.env("RCLONE_CONFIG", "/nonexistent"), port);
    let mut count = 0;
    for case in golden::cases() {
        let mut place = WebDav::default();
        place.url = format!("http://127.0.0.1:{}/{}/repo", server.port(), case.name);
        let far = open(Storage::WebDav(place)).unwrap();
        let near = FilesystemStore::open(&case.repository).unwrap();
        let whole =
            |blobs: Vec<BlobInfo>| blobs.into_iter().map(|blob| (blob.id, blob.length)).collect::<Vec<_>>();
        for prefix in ["", "x", "n", "q"] {
            assert_eq!(
                whole(far.list(prefix).unwrap()),
                whole(near.list(prefix).unwrap()),
                "{} {prefix}",
                case.name
            );
        }
        let format = BlobId::new("kopia.repository").unwrap();
        assert_eq!(far.read(&format).unwrap(), near.read(&format).unwrap());
        count += 1;
    }
    assert!(count > 60);
}

#[test]
fn a_certificate_is_known_by_its_fingerprint_alone() {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    let pem = fs::read_to_string(keys.join("localhost.pem")).unwrap();
    let lines: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let certificate = STANDARD.decode(lines).unwrap();
    let fingerprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
    let fingerprint: String = fingerprint.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let of = |name| keys.join(name).display().to_string();
    let more = ["--cert", &of("localhost.pem"), "--key", &of("localhost.key.pem")];
    let Some(dav) = Dav::start(&[("xe7".parse().unwrap(), b"12".to_vec())], false, &more) else { return };
    let opened = |fingerprint: Option<String>| {
        let Storage::WebDav(mut place) = dav.place("/my repo", "s3cr3t") else { unreachable!() };
        place.url = place.url.replace("http://", "https://");
        place.certificate_fingerprint = fingerprint;
        open(Storage::WebDav(place))
    };
    let store = opened(Some(fingerprint)).unwrap();
    assert_eq!(store.read(&"xe7".parse().unwrap()).unwrap(), b"12");
    assert_eq!(store.location(), format!("webdavs://127.0.0.1:{}/my%20repo", dav.server.port()));
    for wrong in [None, Some("ab".repeat(32))] {
        let Err(Error::Open { source, .. }) = opened(wrong) else { panic!("it is not trusted") };
        assert!(matches!(Failure::of(&source), Some(Failure::Certificate { .. })), "{source:?}");
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
