//! Writes to standard output and standard error.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::{LazyLock, Mutex, PoisonError};

pub(crate) use kopia_rs::diagnosis::text::{count, escape, size, thousands};
use kopia_rs::restore::close_checked;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::terminal::colour;

/// Standard output, buffered.
pub(crate) type Out = BufWriter<StdoutLock<'static>>;

/// Opens standard output.
pub(crate) fn out() -> Out {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// Returns what the system says of all that was written to standard output: that bytes did not get to their
/// place, some file systems say only where a file is closed.
pub(crate) fn check() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.flush()?;
    check_close(&stdout)
}

/// Returns what the system says where a file that was written is closed. The file stays open: the system says
/// it of every descriptor, of which another one is closed here.
pub(crate) fn check_close(file: &impl AsFd) -> io::Result<()> {
    close_checked(file.as_fd().try_clone_to_owned()?)
}

/// Held while lines are written to standard error.
static LINES: Mutex<()> = Mutex::new(());

/// Writes a line to standard error, in one piece. Nothing can be done if that fails, and `eprintln!` would
/// panic.
pub(crate) fn log_line(text: impl fmt::Display) {
    let text = colour::label(format!("{text}\n"));
    let _lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Tells of something at a path that cannot be had.
pub(crate) fn log_problem(path: &str, why: impl fmt::Display) {
    log_line(format_args!("error: {}", escape(&format!("{path}: {why}"))));
}

/// Writes the last lines of the process: other threads that have something to say wait until it ends.
pub(crate) fn log_last(text: impl fmt::Display) {
    let text = colour::label(format!("{text}\n"));
    std::mem::forget(LINES.lock().unwrap_or_else(PoisonError::into_inner));
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes one value as JSON.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = out();
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes an error as JSON, in one line: other lines may come before it.
pub(crate) fn json_error(error: &impl Serialize) -> io::Result<()> {
    let mut lines = JsonLines::new();
    lines.push(&error_value(error))?;
    lines.flush()
}

/// As [`json_error`], to standard error: for a command whose output is not JSON.
pub(crate) fn log_json_error(error: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(&error_value(error)) {
        log_line(line);
    }
}

/// Makes the value that tells of an error: a program finds it by its only key.
pub(crate) fn error_value(error: &impl Serialize) -> impl Serialize {
    std::collections::BTreeMap::from([("error", error)])
}

/// Writes a JSON array one element a line, as kopia does, without holding it in memory.
pub(crate) struct JsonArray {
    out: Out,
    separator: &'static str,
}

impl JsonArray {
    pub(crate) fn new() -> Self {
        Self { out: out(), separator: "[\n " }
    }

    pub(crate) fn push(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.out.write_all(self.separator.as_bytes())?;
        self.separator = ",\n ";
        Ok(serde_json::to_writer(&mut self.out, value)?)
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        let end = if self.separator.starts_with('[') { "[]\n" } else { "\n]\n" };
        self.out.write_all(end.as_bytes())?;
        self.out.flush()
    }
}

/// Writes JSON, one value a line, as it comes.
pub(crate) struct JsonLines {
    out: Out,
}

impl JsonLines {
    pub(crate) fn new() -> Self {
        Self { out: out() }
    }

    pub(crate) fn push(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The first error of standard output, which ends what is written there.
#[derive(Debug, Default)]
pub(crate) struct Broken(Option<io::Error>);

impl Broken {
    /// Keeps an error, and stops who goes on writing.
    pub(crate) fn note(&mut self, written: io::Result<()>) -> ControlFlow<()> {
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.0 = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Returns whether an error was kept.
    pub(crate) fn is_broken(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the error that was kept.
    pub(crate) fn check(self) -> io::Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// A name as standard output may show it: as it is to a program, made harmless for a terminal.
pub(crate) fn for_terminal(text: &str) -> Cow<'_, str> {
    // Asked once: a listing calls this for each of a million names, and the answer costs a system call.
    static IS_TERMINAL: LazyLock<bool> = LazyLock::new(|| io::stdout().is_terminal());
    if *IS_TERMINAL { escape(text) } else { Cow::Borrowed(text) }
}

/// Returns how many columns of a terminal a text takes: two for each wide character, none for what combines.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// Returns how many columns a line of standard output has, if it is a terminal.
pub(crate) fn width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
    Some(columns.filter(|&columns| columns > 0).unwrap_or(80))
}

/// How many characters of an id are shown where a whole one has no room. Commands take it, as they do any
/// beginning of an id that no other id has.
const SHORT: usize = 8;

/// Shortens the id of a snapshot.
pub(crate) fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}
