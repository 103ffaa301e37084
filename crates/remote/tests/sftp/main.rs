//! SFTP against the server of OpenSSH.
#![cfg(feature = "sftp")]

mod breaking;
#[path = "../support/faults.rs"]
#[allow(dead_code, reason = "a restore alone is used of it")]
mod faults;
mod password;
mod sshd;
#[path = "../support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kopia_connection::storage::{ExternalSsh, KnownHosts, Sftp, SshKey};
use kopia_connection::{Connection, Environment, Limits, Storage};
use kopia_format::BlobId;
use kopia_remote::{Opened, Options, connect};
use kopia_storage::testing::conformance;
use kopia_storage::{BlobStore, Error, Failure, HostKeyProblem};
use kopia_testkit::servers::{PASSPHRASE, Sshd};
use sshd::Agent;
use tempfile::TempDir;

fn options() -> Options {
    let mut options = Options::default();
    options.patience.pause = Duration::from_millis(20);
    options.patience.dead = Duration::from_secs(1);
    options
}

fn open_with(sftp: &Sftp, options: &Options) -> kopia_storage::Result<Box<dyn BlobStore>> {
    let opened = connect(&Connection::new(Storage::Sftp(sftp.clone())), options)?;
    let Opened::Blobs(store) = opened else { panic!("SFTP gives blobs") };
    Ok(store)
}

fn open(sftp: &Sftp) -> kopia_storage::Result<Box<dyn BlobStore>> {
    open_with(sftp, &options())
}

/// Returns why a store cannot be opened.
fn failure(sftp: &Sftp, options: &Options) -> Failure {
    match open_with(sftp, options) {
        Err(error @ Error::Open { .. }) => error.failure().cloned().unwrap_or_else(|| panic!("{error:?}")),
        other => panic!("{other:?}"),
    }
}

/// Puts blobs where kopia does.
fn put(directory: &Path, blobs: &[(BlobId, Vec<u8>)]) {
    fs::write(directory.join(".shards"), r#"{"default":[1,3],"maxNonShardedLength":20}"#)
        .expect("a file is written");
    for (id, bytes) in blobs {
        let id = id.as_str();
        let file = match id.len() {
            ..=20 => format!("{id}.f"),
            _ => format!("{}/{}/{}.f", &id[..1], &id[1..4], &id[4..]),
        };
        let file = directory.join(file);
        fs::create_dir_all(file.parent().expect("a file lies somewhere")).expect("a directory is made");
        fs::write(file, bytes).expect("a file is written");
    }
}

fn id(name: &str) -> BlobId {
    BlobId::new(name).expect("the names here are valid")
}

/// A repository with one blob.
fn small() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory is made");
    put(directory.path(), &[(id("kopia.repository"), b"{}".to_vec())]);
    directory
}

fn check_small(store: &dyn BlobStore) {
    assert_eq!(store.read(&id("kopia.repository")).expect("it is read"), b"{}");
}

#[test]
fn conforms() {
    let Some(sshd) = Sshd::start() else { return };
    let directories = RefCell::new(Vec::new());
    conformance::check(|blobs| {
        let directory = tempfile::tempdir().unwrap();
        put(directory.path(), blobs);
        let store = open(&sshd::place(&sshd, directory.path())).unwrap();
        directories.borrow_mut().push(directory);
        store
    });
}

#[test]
fn conforms_through_a_program() {
    let Some(sshd) = Sshd::start() else { return };
    if kopia_testkit::servers::program("ssh").is_none() {
        return;
    }
    let directories = RefCell::new(Vec::new());
    conformance::check(|blobs| {
        let directory = tempfile::tempdir().unwrap();
        put(directory.path(), blobs);
        let store = open(&through_ssh(&sshd, directory.path(), "user")).unwrap();
        directories.borrow_mut().push(directory);
        store
    });
}

/// Returns a connection by the program `ssh`, with a key.
fn through_ssh(sshd: &Sshd, directory: &Path, key: &str) -> Sftp {
    through_ssh_at(sshd, directory, key, sshd.port())
}

/// Returns such a connection to another port, as one of a proxy before the server.
fn through_ssh_at(sshd: &Sshd, directory: &Path, key: &str, port: u16) -> Sftp {
    let mut sftp = sshd::place_at(sshd, directory, port);
    let known = sshd.key("known_hosts");
    fs::write(&known, sshd.known_at("host", port)).expect("a file is written");
    let mut external = ExternalSsh::default();
    external.arguments = vec![
        "-F".into(),
        "none".into(),
        "-oBatchMode=yes".into(),
        "-oIdentitiesOnly=yes".into(),
        format!("-oUserKnownHostsFile={}", known.display()),
        "-i".into(),
        sshd.key(key).display().to_string(),
        "-p".into(),
        port.to_string(),
    ];
    sftp.external = Some(external);
    sftp
}

#[test]
fn a_repository_of_kopia_reads_right() {
    let Some(sshd) = Sshd::start() else { return };
    let (case, blobs) = support::golden();
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), &blobs);
    support::check_golden(&case, open(&sshd::place(&sshd, directory.path())).unwrap());
}

#[test]
fn keys_of_all_kinds_sign_in() {
    let Some(sshd) = Sshd::start() else { return };
    let directory = small();
    let place = sshd::place(&sshd, directory.path());
    for name in ["user", "rsa"] {
        let mut place = place.clone();
        place.key = Some(SshKey::File(sshd.key(name)));
        check_small(&*open(&place).unwrap());
        place.key = Some(SshKey::Text(fs::read_to_string(sshd.key(name)).unwrap().into()));
        check_small(&*open(&place).unwrap());
    }
    let mut place = place;
    place.key = Some(SshKey::File(sshd.key("sealed")));
    let why = failure(&place, &options());
    assert!(matches!(&why, Failure::Credentials { why, .. } if why.contains("has a passphrase")), "{why}");
    place.passphrase = Some("wrong".into());
    let why = failure(&place, &options()).to_string();
    assert!(why.contains("passphrase does not open it") && !why.contains("wrong"), "{why}");
    place.passphrase = Some(PASSPHRASE.into());
    check_small(&*open(&place).unwrap());
}

#[test]
fn an_agent_signs_in_where_there_is_no_key_and_where_it_is_refused() {
    let Some(sshd) = Sshd::start() else { return };
    let Some(agent) = Agent::start(&sshd.key("user")) else { return };
    let directory = small();
    let mut place = sshd::place(&sshd, directory.path());
    let mut with_agent = options();
    with_agent.environment = agent.environment();
    place.key = None;
    check_small(&*open_with(&place, &with_agent).unwrap());
    let why = failure(&place, &options());
    assert!(matches!(why, Failure::NoCredentials { .. }), "{why}");

    place.key = Some(SshKey::File(sshd.key("stranger")));
    check_small(&*open_with(&place, &with_agent).unwrap());
    let why = failure(&place, &options());
    assert!(
        matches!(&why, Failure::WrongKey { credentials, .. } if credentials.contains("stranger")),
        "{why}"
    );

    let strange = Agent::start(&sshd.key("stranger")).unwrap();
    place.key = None;
    with_agent.environment = strange.environment();
    let why = failure(&place, &with_agent);
    assert!(matches!(&why, Failure::WrongKey { credentials, .. } if credentials.contains("agent")), "{why}");
}

#[test]
fn a_server_is_known_by_its_key() {
    let Some(sshd) = Sshd::start() else { return };
    let directory = small();
    let mut place = sshd::place(&sshd, directory.path());
    // Only its second key is known: it is asked for that one.
    place.known_hosts = Some(KnownHosts::Text(sshd.known("host_rsa")));
    check_small(&*open(&place).unwrap());

    place.known_hosts = Some(KnownHosts::Text(String::new()));
    let why = failure(&place, &options());
    let Failure::HostKey { key, problem: HostKeyProblem::Unknown { line, .. }, .. } = &why else {
        panic!("{why}")
    };
    assert!(key.contains("SHA256:"), "{key}");
    place.known_hosts = Some(KnownHosts::Text(line.clone()));
    check_small(&*open(&place).unwrap());

    place.known_hosts = Some(KnownHosts::Text(sshd.known("stranger")));
    let why = failure(&place, &options());
    assert!(matches!(why, Failure::HostKey { problem: HostKeyProblem::Changed { .. }, .. }), "{why}");

    let revoked =
        format!("{}\n@revoked * {}", sshd.known("host"), sshd.known("host").split_once(' ').unwrap().1);
    place.known_hosts = Some(KnownHosts::Text(revoked));
    let why = failure(&place, &options());
    assert!(matches!(why, Failure::HostKey { problem: HostKeyProblem::Revoked { .. }, .. }), "{why}");

    // By an authority that vouches for it.
    if let Some(certified) = Sshd::certified() {
        let mut place = sshd::place(&certified, directory.path());
        let authority = certified.known("authority");
        place.known_hosts = Some(KnownHosts::Text(format!("@cert-authority {authority}")));
        check_small(&*open(&place).unwrap());
        place.known_hosts =
            Some(KnownHosts::Text(format!("@cert-authority {}", certified.known("stranger"))));
        let why = failure(&place, &options());
        assert!(matches!(why, Failure::HostKey { problem: HostKeyProblem::Certificate { .. }, .. }), "{why}");
    }

    // Of a home directory.
    let home = tempfile::tempdir().unwrap();
    place.known_hosts = None;
    let mut at_home = options();
    at_home.environment = Environment::empty().with_home(home.path());
    let why = failure(&place, &at_home).to_string();
    assert!(why.contains(".ssh/known_hosts"), "{why}");
    fs::create_dir(home.path().join(".ssh")).unwrap();
    fs::write(home.path().join(".ssh/known_hosts"), sshd.known("host")).unwrap();
    check_small(&*open_with(&place, &at_home).unwrap());
}

#[test]
fn what_is_not_there_is_told_and_never_made() {
    let Some(sshd) = Sshd::start() else { return };
    let directory = small();
    let missing = directory.path().join("missing/deeper");
    let why = failure(&sshd::place(&sshd, &missing), &options());
    assert!(matches!(why, Failure::NoContainer { kind: "directory", .. }), "{why}");
    assert!(!directory.path().join("missing").exists());
    let why = failure(&sshd::place(&sshd, &directory.path().join("kopia.repository.f")), &options());
    assert!(matches!(why, Failure::NoContainer { kind: "directory", .. }), "{why}");

    let mut place = sshd::place(&sshd, directory.path());
    place.host = "host.invalid".into();
    let (mut at_home, home) = (options(), tempfile::tempdir().unwrap());
    fs::create_dir(home.path().join(".ssh")).unwrap();
    fs::write(home.path().join(".ssh/config"), "Host host.invalid\nProxyJump other\n").unwrap();
    at_home.environment = Environment::empty().with_home(home.path());
    let notes = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&notes);
    at_home.notice = Arc::new(move |note: &str| taken.lock().unwrap().push(note.to_owned()));
    let why = failure(&place, &at_home);
    assert!(matches!(why, Failure::UnknownHost { .. } | Failure::Unreachable { .. }), "{why}");
    assert!(notes.lock().unwrap().iter().any(|note| note.contains("externalSSH")));

    let mut place = sshd::place(&sshd, directory.path());
    place.port = Some(kopia_testkit::servers::free_port());
    let started = Instant::now();
    let why = failure(&place, &options());
    assert!(matches!(why, Failure::Refused { .. }), "{why}");
    assert!(started.elapsed() < Duration::from_secs(15), "a dead host is told in seconds");
}

#[test]
fn a_program_ends_with_its_store() {
    let Some(sshd) = Sshd::start() else { return };
    if kopia_testkit::servers::program("ssh").is_none() {
        return;
    }
    let directory = small();
    let mut place = through_ssh(&sshd, directory.path(), "user");
    let (script, number) = (sshd.key("script"), sshd.key("number"));
    fs::write(&script, format!("echo $$ > {}\nexec ssh \"$@\"\n", number.display())).unwrap();
    let external = place.external.as_mut().unwrap();
    external.command = Some("sh".into());
    external.arguments.insert(0, script.display().to_string());
    let store = open(&place).unwrap();
    let process = Path::new("/proc").join(fs::read_to_string(number).unwrap().trim());
    assert!(process.exists());
    drop(store);
    assert!(!process.exists());
}

#[test]
fn a_program_that_fails_says_why() {
    let Some(sshd) = Sshd::start() else { return };
    if kopia_testkit::servers::program("ssh").is_none() {
        return;
    }
    let directory = small();
    let why = failure(&through_ssh(&sshd, directory.path(), "stranger"), &options());
    assert!(
        matches!(&why, Failure::WrongKey { message, .. } if message.contains("Permission denied")),
        "{why}"
    );
    let mut place = through_ssh(&sshd, directory.path(), "user");
    place.external.as_mut().unwrap().command = Some("/nonexistent/ssh".into());
    let why = failure(&place, &options());
    assert!(matches!(&why, Failure::Unusable { what } if what.contains("/nonexistent/ssh")), "{why}");
    // One that prints text, as a login shell may.
    let external = place.external.as_mut().unwrap();
    external.command = Some("echo".into());
    external.arguments = vec!["Welcome".into()];
    let why = failure(&place, &options());
    assert!(matches!(&why, Failure::Protocol { why, .. } if why.contains("Welc")), "{why}");
}

#[test]
fn limits_of_the_connection_are_honoured() {
    let Some(sshd) = Sshd::start() else { return };
    let directory = small();
    put(directory.path(), &[(id("xe7"), vec![7; 100_000])]);
    let mut connection = Connection::new(Storage::Sftp(sshd::place(&sshd, directory.path())));
    connection.limits = Limits::default();
    connection.limits.download_bytes_per_second = Some(200_000.0);
    let Ok(Opened::Blobs(store)) = connect(&connection, &options()) else { panic!("it opens") };
    let started = Instant::now();
    store.read(&id("xe7")).unwrap();
    store.read(&id("xe7")).unwrap();
    assert!(started.elapsed() > Duration::from_millis(800), "{:?}", started.elapsed());
}

#[test]
fn callers_may_be_within_a_runtime() {
    let Some(sshd) = Sshd::start() else { return };
    let directory = small();
    let own = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    own.block_on(async {
        let store = open(&sshd::place(&sshd, directory.path())).unwrap();
        check_small(&*store);
        drop(store);
        // The caller's own still works.
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
}
