//! SIGTERM and SIGINT: the exit status says which, the last line names the unfinished folder, and nobody is waited for.

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

/// What hangs is ended after this time. A process that stops takes a second at most, on a machine that has time for it.
const WATCHDOG: Duration = Duration::from_secs(20);

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

/// Waits until a process is ready for SIGTERM.
fn wait_for_handlers(process: u32) {
    let start = Instant::now();
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
        mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & (1 << 14) != 0)
    };
    while !caught() {
        assert!(start.elapsed() < WATCHDOG, "it does not get ready for signals");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The command as the first process of a namespace, to which the system passes no signal that it does not ask for.
fn as_first(command: &Command) -> Option<Child> {
    const FIRST: [&str; 3] = ["--pid", "--fork", "--mount-proc"];
    let may = Command::new("unshare").args(FIRST).arg("true").output().is_ok_and(|ran| ran.status.success());
    if !may {
        eprintln!("skipped: no process namespaces here");
        return None;
    }
    let mut first = Command::new("unshare");
    first.args(FIRST).arg(command.get_program()).args(command.get_args());
    crate::common::clean(&mut first);
    Some(first.stdout(Stdio::piped()).spawn().unwrap())
}

/// The process that `unshare` made.
fn first_of(unshare: &Child) -> u32 {
    let start = Instant::now();
    loop {
        let id = unshare.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        if let Some(first) = children.split_whitespace().next() {
            return first.parse().unwrap();
        }
        assert!(start.elapsed() < WATCHDOG, "nothing runs");
        std::thread::sleep(Duration::from_millis(1));
    }
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
    let Some(mut child) = as_first(&command) else { return };
    let first = first_of(&child);
    let start = Instant::now();
    while unfinished(&target).is_none() {
        assert!(start.elapsed() < WATCHDOG, "the restore does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_raw(first as i32).unwrap(), Signal::TERM).unwrap();
    let ended = wait(&mut child);
    let said = said(&mut child);
    assert_eq!(ended.code(), Some(143), "{said}");
    assert!(said.lines().last().unwrap().contains(&unfinished(&target).unwrap()), "{said}");
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
