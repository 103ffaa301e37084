//! What a system may lack: seccomp filters, mount namespaces, loop devices, file systems, programs.
//!
//! A test that needs one says [`left_out`] and passes, unless `KOPIA_RS_FACILITIES=required` is set, as where
//! everything must be tried. Root is such a facility; that this is an ordinary user is none, as a run as root can
//! never have both: [`left_to_others`]. Servers are demanded by `KOPIA_RS_SERVERS` ([`crate::servers`]).

use std::fmt::Display;
use std::io::Write;
use std::panic::Location;
use std::process::Command;

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
/// If the test fails, or there is none of the name.
#[track_caller]
pub fn once_more(command: &mut Command, why_not: &str) {
    match command.output() {
        Ok(ran) if ran.status.code() == Some(101) => panic!("{}", String::from_utf8_lossy(&ran.stdout)),
        Ok(ran) if ran.status.success() => {
            let said = String::from_utf8_lossy(&ran.stdout);
            assert!(said.contains("1 passed"), "{said}");
            let said = String::from_utf8_lossy(&ran.stderr);
            said.lines().filter(|line| line.starts_with("skipped: ")).for_each(say);
        }
        _ => left_out(why_not),
    }
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
    fn a_run_that_passed_passes() {
        once_more(Command::new("sh").args(["-c", "echo 1 passed"]), "there is no shell");
    }
}
