//! What a system may lack: seccomp filters, mount namespaces, loop devices, file systems, programs.
//!
//! A test that needs one says [`left_out`] and passes, unless `KOPIA_RS_FACILITIES=required` is set, as where
//! everything must be tried. Root is such a facility; that this is an ordinary user is none, as a run as root can
//! never have both: [`left_to_others`]. Servers are demanded by `KOPIA_RS_SERVERS` ([`crate::servers`]).

use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::panic::Location;
use std::path::Path;
use std::process::{Command, Output};

use rustix::fs::{CWD, RenameFlags};

/// Says that a test, or the rest of it, is left out and why, past what captures the output of tests that pass:
/// whoever reads the log of a run sees what it did not show.
///
/// # Panics
///
/// If `KOPIA_RS_FACILITIES=required` is set.
#[track_caller]
pub fn left_out(why: impl Display) {
    let required = std::env::var_os("KOPIA_RS_FACILITIES").is_some_and(|value| value == "required");
    assert!(!required, "{why}, and KOPIA_RS_FACILITIES=required");
    say(format_args!("skipped: {why} ({})", Location::caller().file()));
}

/// As [`left_out`], of a test that only an ordinary user can run, in a run as root: one run of all tests is never
/// both.
#[track_caller]
pub fn left_to_others(why: impl Display) {
    say(format_args!("skipped: {why} ({})", Location::caller().file()));
}

/// Runs a test once more by a program that starts it with other rights or mounts, and passes on what that run has
/// left out. Where the program fails, the test is [`left_out`] for this reason.
///
/// # Panics
///
/// If the test fails, is killed by a signal, as by an abort, or there is none of the name.
#[track_caller]
pub fn once_more(command: &mut Command, why_not: &str) {
    match command.output() {
        Ok(ran) if ran.status.code().is_none_or(|code| code == 101) => failed(&ran),
        Ok(ran) if ran.status.success() => passed(&ran),
        _ => left_out(why_not),
    }
}

/// As [`once_more`], where nothing but the test itself is run: it can be, however it ends.
///
/// # Panics
///
/// If it does not end well, or there is none of the name.
pub(crate) fn once_more_alone(command: &mut Command) {
    let ran = command.output().expect("a test can be run");
    if !ran.status.success() {
        failed(&ran);
    }
    passed(&ran);
}

fn failed(ran: &Output) -> ! {
    let [said, told] = [&ran.stdout, &ran.stderr].map(|text| String::from_utf8_lossy(text));
    panic!("{}\n{said}\n{told}", ran.status);
}

/// Passes on what a run that came to its end has left out.
fn passed(ran: &Output) {
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(said.contains("1 passed"), "{said}");
    let told = String::from_utf8_lossy(&ran.stderr);
    told.lines().filter(|line| line.starts_with("skipped: ")).for_each(say);
}

/// Returns whether something in a directory can be renamed on the condition that nothing has the new name; else says
/// that the test is [`left_out`]. NFS, 9p and ZFS before 2.2 know no conditions.
///
/// # Panics
///
/// If no file can be made there.
#[track_caller]
pub fn renames_if_free(directory: &Path) -> bool {
    let [from, to] = [".renamed-from", ".renamed-to"].map(|name| directory.join(name));
    fs::write(&from, b"").expect("a file");
    let renamed = rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE);
    fs::remove_file(if renamed.is_ok() { &to } else { &from }).expect("it was just made");
    if let Err(errno) = renamed {
        left_out(format_args!("nothing can be renamed under conditions here: {errno}"));
    }
    renamed.is_ok()
}

/// Writes a line past what captures the output of tests.
fn say(line: impl Display) {
    // In one piece: tests run side by side.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic = "1 failed"]
    fn a_run_that_failed_fails_the_test() {
        once_more(Command::new("sh").args(["-c", "echo 1 failed; exit 101"]), "there is no shell");
    }

    #[test]
    #[should_panic = "0 passed"]
    fn a_run_of_no_test_is_none() {
        once_more(Command::new("sh").args(["-c", "echo 0 passed"]), "there is no shell");
    }

    #[test]
    #[should_panic = "signal: 9"]
    fn a_run_that_was_killed_fails_the_test() {
        once_more(Command::new("sh").args(["-c", "kill -9 $$"]), "there is no shell");
    }

    #[test]
    #[should_panic = "exit status: 3"]
    fn nothing_but_success_is_a_test_that_was_run_alone_and_passed() {
        once_more_alone(Command::new("sh").args(["-c", "echo 1 passed"]));
        once_more_alone(Command::new("sh").args(["-c", "echo 1 passed; exit 3"]));
    }

    #[test]
    fn a_run_that_passed_passes() {
        once_more(Command::new("sh").args(["-c", "echo 1 passed"]), "there is no shell");
    }
}
