//! What is said never shows the password or a key: whatever the command does, and whatever stops it.

use std::fs;
use std::path::Path;

use kopia_testkit::damage::{Blob, RepositoryCopy, copy_repository};
use kopia_testkit::golden;
use kopia_testkit::secrets::{self, Secret};
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, Ran};

/// Long enough that it is found by no chance.
const PASSWORD: &str = "Rosinenbrötchen und 3 Kännchen";

/// A repository of its own for each test, and what must not be shown of it.
struct Guarded {
    copy: RepositoryCopy,
    place: Place,
    secrets: Vec<Secret>,
}

impl Guarded {
    fn new() -> Self {
        let copy = copy_repository(&golden::case("kdf-pbkdf2"));
        secrets::change_password(&copy.path(), "golden", PASSWORD);
        let secrets = secrets::of(&copy.path(), PASSWORD);
        Self { copy, place: Place::new(), secrets }
    }

    /// Runs the command and looks through everything that it said and wrote.
    #[track_caller]
    fn run(&self, arguments: &str) -> Ran {
        self.run_with(arguments, PASSWORD)
    }

    #[track_caller]
    fn run_with(&self, arguments: &str, password: &str) -> Ran {
        let (target, report) = (self.place.path("target"), self.place.path("report"));
        let mut command = KopiaRs::new("").repository(&self.copy.path()).env("KOPIA_PASSWORD", password);
        for argument in arguments.split_whitespace() {
            command = match argument {
                "TARGET" => command.arg(&target),
                "REPORT" => command.arg(&report),
                other => command.arg(other),
            };
        }
        // Whatever may make it say more.
        let ran = command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full").env("DEBUG", "1").run();
        let mut wrong = self.secrets.clone();
        wrong.push(Secret { name: "wrong password".into(), bytes: b"falsches Kennwort".into() });
        for (place, text) in [
            ("standard output", &*ran.stdout),
            ("standard error", ran.stderr.as_bytes()),
            ("the report", &fs::read(&report).unwrap_or_default()),
        ] {
            assert_eq!(secrets::found(&wrong, text), [""; 0], "{place} of {arguments}: {ran:?}");
        }
        assert_restored_nothing_secret(&target, &self.secrets);
        let _ = fs::remove_dir_all(&target);
        ran
    }
}

fn assert_restored_nothing_secret(path: &Path, secrets: &[Secret]) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            assert_restored_nothing_secret(&entry.unwrap().path(), secrets);
        }
    } else if metadata.is_file() {
        assert_eq!(secrets::found(secrets, &fs::read(path).unwrap()), [""; 0], "{}", path.display());
    }
}

/// Every command, as it is used.
const USES: [&str; 11] = [
    "status",
    "status --json",
    "snapshots",
    "snapshots --json --incomplete",
    "ls latest --long --recursive",
    "ls latest --json",
    "restore latest TARGET --report REPORT --verify-hashes",
    "restore latest TARGET --json",
    "verify --report REPORT",
    "verify latest --json",
    "status --degraded --io map",
];

#[test]
fn where_nothing_is_wrong() {
    let guarded = Guarded::new();
    for arguments in USES {
        guarded.run(arguments).exits(0);
    }
    let file = guarded.place.path("password");
    fs::write(&file, PASSWORD).unwrap();
    guarded.run_with(&format!("status --password-file {}", file.display()), "falsches Kennwort").exits(0);
}

#[test]
fn where_the_command_is_used_wrongly() {
    let guarded = Guarded::new();
    for arguments in USES {
        guarded.run_with(arguments, "falsches Kennwort").exits(1).says(&["the password does not open"]);
    }
    for arguments in ["--password=falsches-Kennwort", "--password falsches-Kennwort", "-p falsches-Kennwort"]
    {
        let ran = guarded.run(&format!("status {arguments}")).exits(2);
        assert!(!ran.stderr.contains("falsches"), "{}", ran.stderr);
    }
    for arguments in ["restore latest /proc/x/y", "ls nothing@here:/", "cat latest", "restore 1234 TARGET"] {
        guarded.run(arguments).exits(1);
    }
}

#[test]
fn where_blobs_are_damaged() {
    let changes: [fn(&Blob); 4] = [
        |blob| blob.flip_bit(blob.read().len() / 2, 0),
        |blob| blob.truncate(blob.read().len() / 2),
        |blob| blob.zero(0..blob.read().len()),
        |blob| blob.delete(),
    ];
    for blobs in ["kopia.repository", "x", "p", "q"] {
        for change in changes {
            let guarded = Guarded::new();
            let damaged = guarded.copy.blobs(blobs);
            assert!(!damaged.is_empty());
            damaged.iter().for_each(change);
            for arguments in
                ["status", "restore latest TARGET --report REPORT", "verify --json --report REPORT"]
            {
                for degraded in ["", " --degraded"] {
                    let ran = guarded.run(&format!("{arguments}{degraded}"));
                    let codes: &[i32] = if blobs == "kopia.repository" { &[1] } else { &[0, 1, 3] };
                    assert!(codes.contains(&ran.code.unwrap()), "{arguments}{degraded}: {ran:?}");
                }
            }
        }
    }
}

/// What is done to the format.
type Change = fn(&mut Value);

/// The format blob opens, and what is in it makes no sense: its values must not be quoted, as they may be
/// keys.
#[test]
fn where_the_format_makes_no_sense() {
    let changes: [(&str, Change); 10] = [
        ("no list", |format| format["masterKey"] = json!([format["masterKey"].clone()])),
        ("no base64", |format| {
            format["masterKey"] = json!(format!("{}!", format["masterKey"].as_str().unwrap()));
        }),
        ("a number", |format| format["version"] = format["masterKey"].clone()),
        ("a version", |format| format["version"] = json!(77)),
        ("a hash", |format| format["hash"] = json!("none")),
        ("an encryption", |format| format["encryption"] = json!("none")),
        ("a long secret", |format| format["secret"] = json!("c2VjcmV0".repeat(11))),
        ("a truth", |format| format["enablePasswordChange"] = format["secret"].clone()),
        ("a lock", |format| {
            format["upgradeLock"] = json!({"ownerID": "x", "creationTime": format["secret"].clone()});
        }),
        ("a feature", |format| format["requiredFeatures"] = json!([{"feature": "x"}])),
    ];
    for (name, change) in changes {
        let guarded = Guarded::new();
        secrets::change_format(&guarded.copy.path(), PASSWORD, change);
        for arguments in ["status", "restore latest TARGET --json", "verify --degraded"] {
            let ran = guarded.run(arguments);
            assert_eq!(ran.code, Some(1), "{name}: {ran:?}");
            assert!(!ran.stderr.contains("c2VjcmV0"), "{name}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_key_that_is_an_argument_is_taken_as_one_and_not_shown() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nHUSH\n-----END OPENSSH PRIVATE KEY-----";
    let ran = KopiaRs::new("snapshots --repository sftp://u@127.0.0.1:1/p --key-data").arg(key).run();
    let ran = ran.exits(1).says(&["the key of the connection"]);
    assert!(!ran.stderr.contains("HUSH") && !ran.stderr.contains("BEGIN"), "{}", ran.stderr);
}
