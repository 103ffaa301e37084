//! What the memory of a process holds when it has closed a repository: nothing secret.
//!
//! The test runs itself again as the process to look at, as what derives the secrets has them in its own
//! memory.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use kopia_codec::key::Password;
use kopia_repository::Repository;
use kopia_repository::verify::Options;
use kopia_storage::FilesystemStore;
use kopia_testkit::damage::copy_repository;
use kopia_testkit::{golden, memory, secrets};

/// The password, backwards: the program of the test lies in memory, too.
const DROWSSAP: &str = "nehcnnäK 3 dnu nehctörbnenisoR";

/// Where the repository is, for the process to look at.
const PLACE: &str = "KOPIA_RS_TEST_PLACE";

/// Where it finds the password; no blob has such a name.
const FILE: &str = "password.txt";

#[test]
fn nothing_secret_stays_when_a_repository_is_closed() {
    if let Some(place) = std::env::var_os(PLACE) {
        return open_and_close(Path::new(&place));
    }
    for case in [
        "sources",
        "kdf-pbkdf2",
        "hash-hmac-sha256",
        "hash-blake2s-256",
        "hash-blake3-256",
        "hash-hmac-sha3-256",
    ] {
        let password: String = DROWSSAP.chars().rev().collect();
        let copy = copy_repository(&golden::case(case));
        fs::write(copy.path().join(FILE), &password).unwrap();
        secrets::change_password(&copy.path(), "golden", &password);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "nothing_secret_stays_when_a_repository_is_closed", "--nocapture"])
            .env(PLACE, copy.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let closed = lines.find(|line| line.as_ref().unwrap().contains("closed"));
        assert!(closed.is_some(), "the process ended before it closed the repository");
        let secrets = secrets::of(&copy.path(), &password);
        let found = memory::found(&child, &secrets);
        child.kill().unwrap();
        child.wait().unwrap();
        let Some(found) = found else {
            kopia_testkit::facilities::left_out("the memory of another process cannot be read here");
            return;
        };
        assert_eq!(found, [""; 0], "{case}");
    }
}

/// Opens the repository, reads everything, closes it, and waits.
fn open_and_close(place: &Path) {
    {
        let password = Password::new(fs::read(place.join(FILE)).unwrap());
        let repository = Repository::open(FilesystemStore::open(place).unwrap(), &password).unwrap();
        let report = repository.verify(&Options::default(), &()).unwrap();
        assert!(report.is_sound());
    }
    println!("closed");
    let _ = io::stdin().read(&mut [0]);
}
