//! Against rclone itself, whose remote is a directory of this machine.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kopia_connection::storage::Rclone;
use kopia_storage::Failure;
use kopia_storage::testing::conformance;
use kopia_testkit::servers;

use super::support::{check_golden, golden};
use super::*;

fn place(remote_path: &str) -> Rclone {
    let mut place = Rclone::default();
    place.remote_path = remote_path.into();
    // This machine may be busy.
    place.startup_timeout = Some(Duration::from_secs(60));
    place
}

/// Returns the processes that have a text in their arguments and are no zombies.
fn processes(text: &str) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("there is /proc").flatten();
    let pids = all.filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        *pid != std::process::id() && String::from_utf8_lossy(&arguments).contains(text)
    })
    .collect()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn conforms() {
    if servers::program("rclone").is_none() {
        return;
    }
    for is_mixed in [false, true] {
        let mut directories = Vec::new();
        conformance::check(|blobs| {
            let directory = tempfile::tempdir().unwrap();
            put(directory.path(), blobs, is_mixed);
            let store = open(Storage::Rclone(place(directory.path().to_str().unwrap()))).unwrap();
            directories.push(directory);
            store
        });
    }
}

#[test]
fn a_repository_reads_right_through_a_remote_of_an_embedded_configuration() {
    if servers::program("rclone").is_none() {
        return;
    }
    let (case, blobs) = golden();
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), &blobs, true);
    let before = contents(directory.path());
    let mut place = place("golden:");
    place.embedded_config =
        Some(format!("[golden]\ntype = alias\nremote = {}\n", directory.path().display()).into());
    check_golden(&case, open(Storage::Rclone(place)).unwrap());
    assert!(contents(directory.path()) == before, "nothing is written");
}

#[test]
fn what_rclone_cannot_open_is_told_in_its_words() {
    if servers::program("rclone").is_none() {
        return;
    }
    let Err(error) = open(Storage::Rclone(place("no-such-remote:x"))) else { panic!("there is none") };
    let Error::Open { place, source } = &error else { panic!("{error:?}") };
    assert_eq!(place, "rclone:no-such-remote:x");
    match Failure::of(source) {
        Some(Failure::Program { why, .. }) => {
            assert!(why.contains("didn't find section in config file"), "{why}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_rclone_that_is_killed_in_the_middle_is_told_at_once() {
    if servers::program("rclone").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), &[("xe7".parse().unwrap(), b"12".to_vec())], false);
    let path = directory.path().to_str().unwrap();
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let store = open_telling(Storage::Rclone(place(path)), move |note| {
        counted.fetch_add(usize::from(note.contains(" try in ")), Ordering::Relaxed);
    });
    let store = store.unwrap();
    assert_eq!(store.list("").unwrap().len(), 1);
    let found = processes(path);
    assert!(!found.is_empty());
    for pid in found {
        assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    }
    for _ in 0..3 {
        let errors = [store.list("").unwrap_err(), store.read(&"xe7".parse().unwrap()).unwrap_err()];
        for error in errors {
            let (Error::List { source, .. } | Error::Read { source, .. }) = &error else {
                panic!("{error:?}")
            };
            assert!(matches!(Failure::of(source), Some(Failure::Program { .. })), "{error:?}");
        }
    }
    // Nobody is waited for who does not come back.
    assert_eq!(tries.load(Ordering::Relaxed), 0);
}

/// Set for a process that only opens a store and waits to be killed.
const HOLD: &str = "KOPIA_RS_TEST_HOLD";

#[test]
fn rclone_does_not_outlive_a_process_that_is_killed() {
    if let Some(path) = std::env::var_os(HOLD) {
        let store = open(Storage::Rclone(place(path.to_str().unwrap()))).unwrap();
        fs::write(Path::new(&path).join("opened"), store.location()).unwrap();
        std::thread::sleep(Duration::from_secs(600));
        return;
    }
    if servers::program("rclone").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap());
    holder.args(["--exact", "rclone::rclone_does_not_outlive_a_process_that_is_killed"]).env(HOLD, path);
    let mut holder = holder.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the store is opened", || directory.path().join("opened").exists());
    assert!(!processes(path).is_empty());
    // Nothing of it can be done by the process itself.
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until("rclone and its watcher end", || processes(path).is_empty());
}
