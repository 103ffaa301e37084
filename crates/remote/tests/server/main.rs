//! Against the real `kopia server`: golden repositories come through it as they are, and what goes wrong is
//! told.
//!
//! Left out where kopia is not installed. Nothing of the tester's own kopia is used or changed.

#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod kopia;

use std::io::Read;
use std::time::Instant;

use kopia::Kopia;
use kopia_connection::storage::{Server, Trust};
use kopia_connection::{Connection, Storage};
use kopia_format::directory::EntryKind;
use kopia_remote::{Opened, Options, connect};
use kopia_repository::{Entry, OpenOptions, Repository, Snapshots};
use kopia_storage::server::Extent;
use kopia_storage::{ContentServer, Error, ErrorKind, FilesystemStore};
use kopia_testkit::golden;
use kopia_testkit::servers;
use kopia_testkit::tree::{self, Compare, Kind, Tree};

/// Repositories of all that reaches a reader: objects of many pieces, headers of compression, each kind of
/// hash.
const CASES: [&str; 3] = ["epochs", "split-z-v1", "hash-hmac-sha3-256"];

fn connection(kopia: &Kopia) -> Connection {
    let mut server = Server::default();
    server.url = kopia.url();
    server.trust = Trust::Fingerprint(kopia.fingerprint());
    let mut connection = Connection::new(Storage::Server(server));
    (connection.username, connection.hostname) = (Some("alice".into()), Some("laptop".into()));
    connection.password = Some(kopia::PASSWORD.into());
    connection
}

fn open(connection: &Connection) -> Result<Box<dyn ContentServer>, kopia_storage::Error> {
    match connect(connection, &Options::default())? {
        Opened::Contents(server) => Ok(server),
        _ => panic!("a server gives contents"),
    }
}

/// Reads both trees, and compares everything that they say.
fn compare(ours: &Entry, theirs: &Entry, count: &mut usize) {
    let attributes = |entry: &Entry| {
        (entry.name().to_string(), entry.kind(), entry.mode(), entry.size(), entry.modified(), entry.object())
    };
    assert_eq!(attributes(ours), attributes(theirs));
    *count += 1;
    match ours.kind() {
        EntryKind::Directory => {
            let (ours, theirs) = (ours.directory().unwrap().entries, theirs.directory().unwrap().entries);
            assert_eq!(ours.len(), theirs.len());
            ours.iter().zip(&theirs).for_each(|(ours, theirs)| compare(ours, theirs, count));
        }
        EntryKind::File => {
            let read = |entry: &Entry| {
                let mut bytes = Vec::new();
                entry
                    .open()
                    .unwrap()
                    .read_to_end(&mut bytes)
                    .map(|_| bytes)
                    .map_err(|error| error.to_string())
            };
            assert!(read(ours) == read(theirs), "{}", ours.name());
        }
        EntryKind::Symlink => assert_eq!(ours.target().unwrap(), theirs.target().unwrap()),
    }
}

/// Restores the newest snapshot twice, and compares what comes of it; over files with other bytes, too.
fn restore(ours: &Snapshots, theirs: &Snapshots) {
    let place = tempfile::tempdir().unwrap();
    let restored = |name: &str, snapshots: &Snapshots| {
        let target = place.path().join(name);
        let root = snapshots.iter().last().unwrap().root().unwrap();
        let outcome = kopia_restore::restore(&root, &target, &kopia_restore::Options::default()).unwrap();
        (Tree::scan(&target), outcome.files, outcome.problem_count)
    };
    let (theirs, files, problems) = restored("theirs", theirs);
    let same = |ours: &Tree| {
        let differences = tree::compare(&theirs, ours, &Compare::settable());
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    };
    let (first, of_files, of_problems) = restored("ours", ours);
    assert_eq!((of_files, of_problems), (files, problems));
    same(&first);
    let mut changed = 0;
    for entry in first.entries().iter().filter(|entry| entry.kind == Kind::File && entry.size > 0) {
        let path = place.path().join("ours").join(&entry.path);
        // Names that are not UTF-8 are others on disk.
        let Ok(mut bytes) = std::fs::read(&path) else { continue };
        bytes.iter_mut().for_each(|byte| *byte ^= 1);
        let times = std::fs::metadata(&path).unwrap().modified().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
        file.set_modified(times).unwrap();
        changed += 1;
    }
    assert!(changed > 0);
    same(&restored("ours", ours).0);
}

#[test]
fn golden_repositories_come_through_a_server_as_they_are() {
    if servers::kopia().is_none() {
        return;
    }
    for name in CASES {
        let case = golden::case(name);
        let kopia = Kopia::serve(&case);
        let password = kopia_codec::key::Password::from(&*case.password);
        let local = Repository::open(FilesystemStore::open(&case.repository).unwrap(), &password).unwrap();
        let served =
            Repository::open_server(open(&connection(&kopia)).unwrap(), &OpenOptions::default()).unwrap();
        let (ours, theirs) = (served.snapshots().unwrap(), local.snapshots().unwrap());
        let json = |list: &Snapshots| {
            list.iter().map(|one| serde_json::to_string(one.manifest()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(json(&ours), json(&theirs), "{name}");
        let mut count = 0;
        for (ours, theirs) in ours.iter().zip(&theirs) {
            compare(&ours.root().unwrap(), &theirs.root().unwrap(), &mut count);
        }
        assert!(count > 3, "{name}: {count}");
        restore(&ours, &theirs);
    }
}

#[test]
fn a_server_that_is_started_again_is_gone_on_with() {
    if servers::kopia().is_none() {
        return;
    }
    let mut kopia = Kopia::serve(&golden::case("epochs"));
    let repository =
        Repository::open_server(open(&connection(&kopia)).unwrap(), &OpenOptions::default()).unwrap();
    let before = repository.snapshots().unwrap().iter().count();
    kopia.restart();
    assert_eq!(repository.snapshots().unwrap().iter().count(), before);
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    let id = root.object().content();
    // Getting ready what is not there does no harm, and neither does a content that nobody has.
    repository.server().unwrap().prepare(&[id], Extent::Packs);
    let none = kopia_format::ContentId::new(None, &[7; 16]).unwrap();
    assert!(matches!(
        repository.server().unwrap().content(&none, 1),
        Err(kopia_storage::Error::NoContent { .. })
    ));
    let [Ok(_), Err(kopia_storage::Error::NoContent { .. })] =
        &repository.server().unwrap().describe(&[id, none])[..]
    else {
        panic!("one is there")
    };
}

#[test]
fn a_wrong_user_password_or_certificate_is_told() {
    if servers::kopia().is_none() {
        return;
    }
    let kopia = Kopia::serve(&golden::case("epochs"));
    let failure = |connection: &Connection| {
        let error = open(connection).expect_err("it is wrong");
        assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error:?}");
        std::error::Error::source(&error).expect("it says why").to_string()
    };
    let mut password = connection(&kopia);
    password.password = Some("hunter2".into());
    let mut user = connection(&kopia);
    user.username = Some("mallory".into());
    for (connection, denied) in [(&password, "alice@laptop"), (&user, "mallory@laptop")] {
        let words = failure(connection);
        assert!(words.contains(&format!("access denied for {denied}")), "{words}");
        assert!(!words.contains("hunter2"), "{words}");
    }
    let mut certificate = connection(&kopia);
    let Storage::Server(server) = &mut certificate.storage else { panic!() };
    server.trust = Trust::Fingerprint("0".repeat(64));
    assert!(failure(&certificate).contains(&kopia.fingerprint()));
    let Storage::Server(server) = &mut certificate.storage else { panic!() };
    server.trust = Trust::Roots(kopia.certificate());
    // It vouches for itself, for 127.0.0.1.
    open(&certificate).expect("the certificate is its own authority");
}

/// `https://` and a port of one's own may be anything; the answer says what it is, and what to write.
#[test]
#[cfg(feature = "webdav")]
fn a_url_as_browsers_have_it_is_told_how_it_is_written() {
    if servers::kopia().is_none() {
        return;
    }
    let kopia = Kopia::serve(&golden::case("epochs"));
    let (place, fingerprint) = (kopia.url(), kopia.fingerprint());
    let place = place.strip_prefix("https://").unwrap();
    for user in ["", "alice@", "ui:ui@", "alice%40laptop:wonderland@"] {
        let url = format!("https://{user}{place}?server-cert-fingerprint={fingerprint}");
        let error = connect(&Connection::parse(&url).unwrap(), &Options::default()).err().unwrap();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            why.contains(&format!(
                "it is a Kopia server and speaks no WebDAV: write kopia://USER@HOST@{place}"
            )),
            "{why}"
        );
        assert!(!why.contains("wonderland"), "{why}");
    }
    let written = format!("kopia://alice@laptop@{place}?server-cert-fingerprint={fingerprint}");
    let mut connection = Connection::parse(&written).unwrap();
    connection.password = Some(kopia::PASSWORD.into());
    open(&connection).unwrap();
}

fn rest_connection(kopia: &Kopia, user: &str, host: Option<&str>, password: &str) -> Connection {
    let mut server = Server::default();
    server.url = kopia.url();
    let mut connection = Connection::new(Storage::Server(server));
    (connection.username, connection.hostname) = (Some(user.into()), host.map(str::to_owned));
    connection.password = Some(password.into());
    connection
}

#[test]
fn golden_repositories_come_through_a_server_without_tls() {
    if servers::kopia().is_none() {
        return;
    }
    for name in CASES {
        let case = golden::case(name);
        let mut kopia = Kopia::serve_insecure(&case);
        let password = kopia_codec::key::Password::from(&*case.password);
        let local = Repository::open(FilesystemStore::open(&case.repository).unwrap(), &password).unwrap();
        let served = open(&rest_connection(&kopia, "ui", None, "ui")).unwrap();
        let served = Repository::open_server(served, &OpenOptions::default()).unwrap();
        let (ours, theirs) = (served.snapshots().unwrap(), local.snapshots().unwrap());
        let ids = |list: &Snapshots| list.iter().map(|one| one.id().to_string()).collect::<Vec<_>>();
        assert_eq!(ids(&ours), ids(&theirs), "{name}");
        let mut count = 0;
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!((ours.source(), ours.start_time()), (theirs.source(), theirs.start_time()), "{name}");
            let (ours, theirs) = (ours.root().unwrap(), theirs.root().unwrap());
            // Of older snapshots, mode, owner and time of the root are not listed.
            assert_eq!(
                (ours.kind(), ours.size(), ours.object()),
                (theirs.kind(), theirs.size(), theirs.object())
            );
            let (ours, theirs) = (ours.directory().unwrap().entries, theirs.directory().unwrap().entries);
            assert_eq!(ours.len(), theirs.len());
            ours.iter().zip(&theirs).for_each(|(ours, theirs)| compare(ours, theirs, &mut count));
        }
        assert!(count > 3, "{name}: {count}");
        restore(&ours, &theirs);
        // Tokens of a server that was started again are others.
        kopia.restart();
        assert_eq!(ids(&served.snapshots().unwrap()), ids(&theirs), "{name}");
        let none = kopia_format::ContentId::new(None, &[7; 16]).unwrap();
        let content = served.server().unwrap().content(&none, 1);
        // Kopia may break off in place of an answer.
        assert!(matches!(content, Err(Error::NoContent { .. } | Error::NotServed { .. })), "{content:?}");
    }
}

#[test]
fn without_tls_only_the_ui_user_reads() {
    if servers::kopia().is_none() {
        return;
    }
    let kopia = Kopia::serve_insecure(&golden::case("epochs"));
    for (user, host, password, expected) in [
        ("alice", Some("laptop"), kopia::PASSWORD, "only the user of its UI"),
        ("ui", None, "hunter2", "does not know the credentials from user ui"),
    ] {
        let error = open(&rest_connection(&kopia, user, host, password)).expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::NotAllowed, "{error:?}");
        let words = std::error::Error::source(&error).expect("it says why").to_string();
        assert!(words.contains(expected) && !words.contains("hunter2"), "{words}");
    }
    // The other way in says which way is the right one.
    let mut connection = rest_connection(&kopia, "ui", Some("host"), "ui");
    let Storage::Server(server) = &mut connection.storage else { panic!() };
    server.url = server.url.replace("kopia+http", "https");
    let error = open(&connection).expect_err("there is no TLS");
    let words = std::error::Error::source(&error).expect("it says why").to_string();
    assert!(words.contains("kopia+http://"), "{words}");
}

/// Restores the newest snapshot from a server of the tester's choice, and prints how long that took:
///
/// ```sh
/// KOPIA_RS_LIVE_SERVER=https://127.0.0.1:51515 KOPIA_RS_LIVE_CERTIFICATE=HEX KOPIA_PASSWORD=PASSWORD \
///     KOPIA_RS_LIVE_TARGET=DIRECTORY cargo test --package kopia-remote --test server -- --ignored --nocapture
/// ```
#[test]
#[ignore = "needs a server with the user alice@laptop"]
fn what_a_server_of_choice_has_comes_back() {
    let var = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let mut server = Server::default();
    server.url = var("KOPIA_RS_LIVE_SERVER");
    server.trust = Trust::Fingerprint(var("KOPIA_RS_LIVE_CERTIFICATE"));
    let mut connection = Connection::new(Storage::Server(server));
    (connection.username, connection.hostname) = (Some("alice".into()), Some("laptop".into()));
    connection.password = Some(var("KOPIA_PASSWORD").into());
    let start = Instant::now();
    let served = Repository::open_server(open(&connection).unwrap(), &OpenOptions::default()).unwrap();
    let snapshots = served.snapshots().unwrap();
    let root = snapshots.iter().last().expect("there is a snapshot").root().unwrap();
    let opened = start.elapsed();
    let target = var("KOPIA_RS_LIVE_TARGET");
    let outcome = kopia_restore::restore(&root, target, &kopia_restore::Options::default()).unwrap();
    println!("opened in {opened:?}, {} files in {:?} in all", outcome.files, start.elapsed());
    assert_eq!(outcome.problem_count, 0);
}
