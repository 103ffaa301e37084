//! What a system may lack: seccomp filters, mount namespaces, loop devices, file systems, programs.
//!
//! A test that needs one says [`left_out`] and passes, unless `KOPIA_RS_FACILITIES=required` is set, as where
//! everything must be tried. Servers are demanded by `KOPIA_RS_SERVERS` ([`crate::servers`]).

use std::fmt::Display;
use std::io::Write;
use std::panic::Location;

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
    // In one piece: tests run side by side.
    let line = format!("skipped: {why} ({})\n", Location::caller().file());
    let _ = std::io::stderr().write_all(line.as_bytes());
}
