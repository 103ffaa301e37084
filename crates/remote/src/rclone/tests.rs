//! Programs that are called rclone and are none: what they are given, and what is said of them.

use std::fs;
use std::path::{Path, PathBuf};

use kopia_connection::Environment;
use kopia_storage::BlobStore as _;
use tempfile::TempDir;

use super::*;

/// Where a program lies that is called rclone.
struct Place {
    directory: TempDir,
}

impl Place {
    /// Makes one that runs a script.
    fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("rclone");
        let script = format!("#!/bin/sh\ncd '{}'\n{script}\n", directory.path().display());
        kopia_testkit::program::write(&program, &script);
        fs::create_dir(directory.path().join("tmp")).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn options(&self) -> Options {
        let mut options = Options::default();
        let variables = [("PATH", self.directory.path().into()), ("TMPDIR", self.path("tmp"))];
        options.environment = variables.into_iter().collect::<Environment>();
        options
    }

    /// Returns why it cannot be opened, in words.
    fn failure(&self, place: &Rclone) -> String {
        let error = open(place, &Limits::default(), &self.options()).unwrap_err();
        let Error::Open { place, source } = &error else { panic!("{error:?}") };
        assert!(matches!(Failure::of(source), Some(Failure::Program { .. })), "{error:?}");
        assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
        assert_eq!(fs::read_dir(self.path("tmp")).unwrap().count(), 0, "nothing is left behind");
        format!("{place}: {source}")
    }
}

fn rclone(remote_path: &str) -> Rclone {
    let mut rclone = Rclone::default();
    rclone.remote_path = remote_path.into();
    rclone.startup_timeout = Some(Duration::from_secs(20));
    rclone
}

fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn secrets_are_in_no_argument_and_variables_are_the_users() {
    let place = Place::new(
        "for a in \"$@\"; do echo \"$a\"; done > args; /usr/bin/env > env; /bin/cp \"$KEPT\"/*/rclone.conf . ; echo bad s3cr3t >&2",
    );
    let mut wanted = rclone("box:dir");
    wanted.arguments = vec!["--fast-list".into(), "--log-file=x".into(), "--addr=0.0.0.0:1".into()];
    wanted.embedded_config = Some("[box]\ntype = s3\nsecret_access_key = s3cr3t\n".into());
    wanted.environment = vec!["A=s3cr3t".into(), format!("KEPT={}", place.path("tmp").display()).into()];
    let text = place.failure(&wanted);
    assert!(text.ends_with("rclone ended before it served anything; it said: bad …"), "{text}");
    assert!(text.starts_with("rclone:box:dir: "), "{text}");

    let arguments = place.text("args");
    assert!(
        arguments.starts_with(
            "-v\nserve\nwebdav\nbox:dir\n--fast-list\n--log-file=x\n--addr=0.0.0.0:1\n--config\n"
        )
    );
    for last in ["--read-only", "--addr=127.0.0.1:0", "--rc-addr=127.0.0.1:0", "--log-file=", "--htpasswd="] {
        assert!(arguments.lines().rev().take(15).any(|line| line == last), "{last}: {arguments}");
    }
    let variables = place.text("env");
    let variable = |name: &str| {
        let mut all = variables.lines().filter_map(|line| line.split_once('='));
        all.find(|(other, _)| *other == name).map(|(_, value)| value.to_string())
    };
    let password = variable("RCLONE_PASS").unwrap();
    assert_eq!((password.len(), variable("RCLONE_RC_PASS").as_ref()), (48, Some(&password)));
    assert_eq!(variable("A").as_deref(), Some("s3cr3t"));
    assert!(
        variable("PATH").is_none_or(|path| path != std::env::var("PATH").unwrap()),
        "it is the whole environment"
    );
    for secret in ["s3cr3t", &password, &variable("RCLONE_USER").unwrap()] {
        assert!(!arguments.contains(secret));
    }
    assert!(place.text("rclone.conf").contains("secret_access_key = s3cr3t"));
}

#[test]
fn what_is_not_installed_is_said_to_be() {
    let place = Place::new("");
    let mut other = rclone("x:");
    other.program = Some("no-such-rclone".into());
    let text = place.failure(&other);
    assert!(text.contains("no-such-rclone is not installed: it is in no directory of PATH"), "{text}");
    other.program = Some(place.path("gone"));
    let text = place.failure(&other);
    assert!(
        text.contains("ended before it served anything; it said:") && text.contains("not found"),
        "{text}"
    );
}

#[test]
fn one_that_does_not_begin_to_serve_is_ended() {
    let place = Place::new("echo $$ > pid; echo NOTICE: looking around >&2; exec /bin/sleep 1000");
    let mut slow = rclone("x:");
    slow.embedded_config = Some("[x]".into());
    let mut text = String::new();
    // On a machine that has no time it may be ended before it has said anything.
    for milliseconds in [700, 5_000, 30_000] {
        let timeout = Duration::from_millis(milliseconds);
        slow.startup_timeout = Some(timeout);
        text = place.failure(&slow);
        assert!(text.contains(&format!("did not begin to serve within {} s", timeout.as_secs())), "{text}");
        if text.contains("looking around") {
            break;
        }
    }
    assert!(text.contains("looking around"), "{text}");
    assert!(!is_running(&place.text("pid")));
}

/// A script that serves nothing at two addresses where nobody listens.
const DEAF: &str = "echo $$ > pid; echo 'WebDav Server started on http://127.0.0.1:1/' >&2
    echo 'Serving remote control on http://127.0.0.1:1/' >&2; echo last words >&2";

#[test]
fn one_that_ends_is_told_at_once_by_its_last_words() {
    let place = Place::new(DEAF);
    let started = Instant::now();
    let text = place.failure(&rclone("x:"));
    assert!(text.contains("rclone ended while it was needed; it said: last words"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn it_ends_with_the_process_that_holds_the_pipe() {
    let place = Place::new(&format!("{DEAF}; exec /bin/sleep 1000"));
    let (user, password) = ("u", Secret::new("p"));
    let mut wanted = rclone("x:");
    wanted.embedded_config = Some("[x]".into());
    let (mut process, ..) = Process::start(&wanted, &place.options(), user, &password).unwrap();
    let pid = place.text("pid");
    let left = || fs::read_dir(place.path("tmp")).unwrap().count();
    assert!(is_running(&pid) && left() == 1);
    // What the system does when a process is killed.
    process.close_pipe();
    wait_for("the watcher kills it", || !is_running(&pid));
    wait_for("the watcher removes the configuration", || left() == 0);
    drop(process);

    let (process, ..) = Process::start(&wanted, &place.options(), user, &password).unwrap();
    let pid = place.text("pid");
    drop(process);
    assert!(!is_running(&pid) && left() == 0);
    wait_for("the watcher goes, too", || !is_watched(place.directory.path()));
}

#[test]
fn what_has_appeared_is_seen_by_a_later_listing() {
    if kopia_testkit::servers::program("rclone").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str| fs::write(directory.path().join(name), "1").unwrap();
    put("xe7.f");
    let mut place = rclone(directory.path().to_str().unwrap());
    place.startup_timeout = Some(Duration::from_secs(60));
    let store = open(&place, &Limits::default(), &Options::default()).unwrap();
    let count = || store.list("xe").unwrap().len();
    assert_eq!(count(), 1);
    put("xe8.f");
    // However long it took until now.
    *store.tree().forgotten.lock().unwrap() = Instant::now() + 100 * FRESH;
    assert_eq!(count(), 1, "rclone knows the directory for minutes");
    let long_ago = Instant::now().checked_sub(FRESH).unwrap();
    *store.tree().forgotten.lock().unwrap() = long_ago;
    assert_eq!(count(), 2);
}

/// Returns whether a process has a path in its arguments.
fn is_watched(path: &Path) -> bool {
    let path = path.to_string_lossy().into_owned();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
        .any(|arguments| String::from_utf8_lossy(&arguments).contains(&path))
}

#[test]
fn the_location_says_nothing_of_the_run() {
    let error = open(&rclone(":s3,secret_access_key=s3cr3t:b"), &Limits::default(), &Options::default());
    // Wherever rclone is installed, it finds no such bucket.
    let text = error.map(|store| store.location()).unwrap_or_else(|error| error.to_string());
    assert!(text.contains("rclone::s3,…:b") && !text.contains("s3cr3t"), "{text}");
}
