//! SIGTERM and SIGINT: the exit status says which, the last line names the unfinished folder, and nobody is
//! waited for.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use kopia_testkit::random::Random;
use kopia_testkit::writer::RepositoryWriter;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{NEW, Place, UNFINISHED, entry, run};

/// What hangs is ended after this time. A process that stops takes a second at most, on a machine that has
/// time for it.
const WATCHDOG: Duration = Duration::from_secs(60);

/// How often a restore is stopped until it was stopped in the middle and by itself.
const ATTEMPTS: u32 = 8;

#[track_caller]
fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > WATCHDOG {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn said(child: &mut Child) -> String {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    said
}

fn unfinished(target: &Path) -> Option<String> {
    let entries = std::fs::read_dir(target).ok()?;
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name.starts_with(UNFINISHED))
}

#[test]
fn at_any_moment_of_any_command() {
    let place = Place::new();
    let target = place.path("target");
    let commands: [fn(&Place, &Path) -> Command; 5] = [
        |place, target| place.restore(NEW, target, "--parallel 1 --quiet"),
        |place, target| place.restore(NEW, target, "--existing verify --quiet"),
        |place, target| place.restore(NEW, target, "--dry-run --quiet"),
        |place, _| place.command("verify"),
        |place, _| {
            let mut ls = place.command("ls");
            ls.args(["-R", NEW]);
            ls
        },
    ];
    let mut numbers = Random::new(1);
    let mut signalled = 0;
    for make in commands {
        let start = Instant::now();
        run(&mut make(&place, &place.path("measured")));
        let length = start.elapsed();
        for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)].into_iter().cycle().take(6) {
            // What is left is this run's.
            run(Command::new("rm").arg("-rf").arg(&target));
            let mut child = make(&place, &target).spawn().unwrap();
            std::thread::sleep(length.mul_f64((numbers.next() % 1000) as f64 / 1000.0));
            kill_process(Pid::from_child(&child), signal).unwrap();
            let ended = wait(&mut child);
            let said = said(&mut child);
            // It came before anything was ready for it, or after the end.
            if ended.success() || ended.signal().is_some() {
                continue;
            }
            signalled += 1;
            assert_eq!(ended.code(), Some(status), "{said}");
            let last = said.lines().last().unwrap();
            assert!(last.starts_with("error:") && last.contains("SIG"), "{said}");
            if let Some(unfinished) = unfinished(&target) {
                assert!(last.contains(&unfinished) || last.contains(".kopia-rs-restore-…"), "{said}");
            }
        }
    }
    assert!(signalled > 0);
}

/// What goes on while the last line is written must not begin to write: the line would not name what is left.
#[test]
fn nothing_is_begun_after_a_signal() {
    let place = Place::new();
    let (password, target) = (place.path("password"), place.path("target"));
    assert!(Command::new("mkfifo").arg(&password).status().unwrap().success());
    // The last line takes as long as it may, because nobody reads it.
    let (_errors, mut stderr) = narrow();
    stderr.write_all(&[b'x'; 4096]).unwrap();
    let mut restore = place.restore(NEW, &target, "--quiet --password-file");
    let mut child = restore.arg(&password).stderr(stderr).spawn().unwrap();
    drop(restore);
    // Opened once the command reads from it.
    let mut given = std::fs::OpenOptions::new().write(true).open(&password).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    wait_until("it takes no signal", || {
        has_thread(child.id(), "last line") || child.try_wait().unwrap().is_some()
    });
    // Whether there is still somebody to take it is another race, and nobody's loss.
    let _ = given.write_all(kopia_testkit::writer::PASSWORD.as_bytes());
    drop(given);
    let ended = wait(&mut child);
    let left = unfinished(&target);
    assert!(left.is_none(), "{ended}: {left:?} was made and nothing says so");
    assert_eq!(ended.code(), Some(143));
}

#[test]
fn nobody_who_reads_nothing_is_waited_for() {
    let place = Place::new();
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        // Both pipes are full, and their readers are there.
        let (mut output, stdout) = narrow();
        let (_errors, mut stderr) = narrow();
        stderr.write_all(&[b'x'; 4096]).unwrap();
        let mut cat = place.command("cat");
        let mut child = cat.arg(format!("{NEW}/large0")).stdout(stdout).stderr(stderr).spawn().unwrap();
        drop(cat);
        output.read_exact(&mut [0]).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(wait(&mut child).code(), Some(status));
    }
}

#[test]
fn nobody_is_there_to_read_the_last_line() {
    let place = Place::new();
    let password = place.path("password");
    assert!(Command::new("mkfifo").arg(&password).status().unwrap().success());
    let (output, stdout) = pipe().unwrap();
    let (errors, stderr) = pipe().unwrap();
    drop((output, errors));
    let mut status = place.command("status");
    status.arg("--password-file").arg(&password).stdout(stdout).stderr(stderr);
    let mut child = status.spawn().unwrap();
    wait_for_handlers(child.id());
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(wait(&mut child).code(), Some(143));
}

fn narrow() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    (reader, writer)
}

/// Returns whether a process has a thread of that name.
fn has_thread(process: u32, name: &str) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return false };
    threads.flatten().any(|thread| {
        std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    })
}

#[track_caller]
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < WATCHDOG, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The bits of the signals that the command waits for, which it makes ready one after the other: SIGTERM, SIGINT,
/// SIGHUP and SIGUSR1.
const CAUGHT: u64 = (1 << 14) | (1 << 1) | 1 | (1 << 9);

/// Waits until a process is ready for signals.
fn wait_for_handlers(process: u32) {
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
        mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & CAUGHT == CAUGHT)
    };
    wait_until("it does not get ready for signals", caught);
}

/// The command as the first process of a namespace, to which the system passes no signal that it does not ask
/// for.
fn as_first(command: &Command) -> Option<Child> {
    const FIRST: [&str; 3] = ["--pid", "--fork", "--mount-proc"];
    let may = Command::new("unshare").args(FIRST).arg("true").output().is_ok_and(|ran| ran.status.success());
    if !may {
        kopia_testkit::facilities::left_out("no process namespaces here");
        return None;
    }
    let mut first = Command::new("unshare");
    first.args(FIRST).arg(command.get_program()).args(command.get_args());
    crate::common::clean(&mut first);
    Some(first.stdout(Stdio::piped()).spawn().unwrap())
}

/// The process that `unshare` made.
fn first_of(unshare: &Child) -> u32 {
    let mut first = None;
    wait_until("nothing runs", || {
        let id = unshare.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        first = children.split_whitespace().next().map(|first| first.parse().unwrap());
        first.is_some()
    });
    first.unwrap()
}

#[test]
fn the_first_process_is_stopped_while_it_waits_for_a_password() {
    let place = Place::new();
    let password = place.path("password");
    assert!(Command::new("mkfifo").arg(&password).status().unwrap().success());
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut command = place.command("status");
        command.arg("--password-file").arg(&password);
        let Some(mut child) = as_first(&command) else { return };
        let first = first_of(&child);
        wait_for_handlers(first);
        kill_process(Pid::from_raw(first as i32).unwrap(), signal).unwrap();
        assert_eq!(wait(&mut child).code(), Some(status));
        assert!(said(&mut child).contains("error: stopped by SIG"));
    }
}

#[test]
fn the_first_process_is_stopped_while_it_writes() {
    let place = Place::of(many);
    let target = place.path("target");
    let command = place.restore(NEW, &target, "--parallel 1 --quiet");
    // On a machine that has no time the restore may be over before the signal, or take longer to stop than it
    // may.
    for _ in 0..ATTEMPTS {
        run(Command::new("rm").arg("-rf").arg(&target));
        let Some(mut child) = as_first(&command) else { return };
        let first = first_of(&child);
        wait_until("the restore does not begin", || {
            unfinished(&target).is_some() || child.try_wait().unwrap().is_some()
        });
        let _ = kill_process(Pid::from_raw(first as i32).unwrap(), Signal::TERM);
        let ended = wait(&mut child);
        let said = said(&mut child);
        if ended.success() {
            continue;
        }
        assert_eq!(ended.code(), Some(143), "{said}");
        let last = said.lines().last().unwrap();
        if last.contains(&unfinished(&target).unwrap()) {
            return;
        }
        assert!(last.contains(".kopia-rs-restore-…"), "{said}");
    }
    panic!("the restore never stopped by itself");
}

/// What takes a while to write: 200 folders of 300 files with the same bytes.
fn many(writer: &mut RepositoryWriter, version: u64) -> Value {
    let object = writer.file(&[version as u8]);
    let files: Vec<_> = (0..300).map(|file| entry("f", &format!("f{file:03}"), "0644", &object, 1)).collect();
    let folder = writer.directory(&files);
    let folders: Vec<_> =
        (0..200).map(|number| entry("d", &format!("d{number:03}"), "0755", &folder, 0)).collect();
    let root = writer.directory(&folders);
    entry("d", "data", "0755", &root, 0)
}
