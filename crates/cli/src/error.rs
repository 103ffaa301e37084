//! What a failure means to the person at the keyboard: its exit status, its message, and what can be done.
//!
//! The library's errors name the thing that is wrong; advice and exit codes live here alone.

mod advice;

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use kopia_rs::{Repository, Snapshots, restore, storage};

use crate::diagnosis::{Unopened, Voice};
use crate::interrupt;
use crate::output::{escape, say};

/// The command that runs, for examples in hints.
pub(crate) static COMMAND: OnceLock<&str> = OnceLock::new();

/// How a command ended that did end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is there.
    Complete,
    /// Something is missing or incomplete; each thing was named already.
    Partial,
}

/// Why a command could not be carried out.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
    /// What there is instead.
    candidates: Vec<String>,
    hints: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed,
    Usage,
    /// A signal came.
    Stopped(i32),
    /// The reader of standard output has closed it, as `head` does.
    BrokenPipe,
}

impl Failure {
    /// The thing cannot be done.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, message: message.into(), candidates: Vec::new(), hints: Vec::new() }
    }

    /// The thing was asked for in the wrong way.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, ..Self::failed(message) }
    }

    /// A signal ended a restore, which had come so far.
    pub(crate) fn stopped(signal: i32, percent: Option<u64>, unfinished: &Path) -> Self {
        let percent = percent.map(|percent| format!(" at {percent} %")).unwrap_or_default();
        let (signal_name, unfinished) = (interrupt::name(signal), unfinished.display());
        let message = format!(
            "{signal_name}: stopped{percent}; run the same command again to go on from there; \
             what was done lies in {unfinished}"
        );
        Self { kind: Kind::Stopped(signal), ..Self::failed(message) }
    }

    /// Standard output does not take what is written to it.
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { kind: Kind::BrokenPipe, ..Self::failed("") },
            _ => Self::failed(format!("standard output: {error}")),
        }
    }

    /// A repository cannot be opened.
    pub(crate) fn unopened(it: Unopened<'_>) -> Self {
        advice::unopened(it)
    }

    /// A name stands for nothing, or cannot be looked up.
    pub(crate) fn not_selected(error: kopia_rs::Error, repository: &Repository, name: &str) -> Self {
        advice::not_selected(error, repository, name)
    }

    /// The list of snapshots cannot be read.
    pub(crate) fn unlisted(error: kopia_rs::Error, repository: &Repository) -> Self {
        advice::unlisted(error, repository)
    }

    /// Adds what there is instead of a name that stands for nothing, and what may have been meant.
    pub(crate) fn nearly(self, name: &str, candidates: Vec<String>, snapshots: &Snapshots) -> Self {
        let hints = advice::nearly(name, &candidates, Some(snapshots)).into_iter().collect();
        Self { candidates, hints, ..self }
    }

    /// Returns how the snapshots are listed that can be, where not all can.
    pub(crate) fn how_to_list(voice: Voice) -> &'static str {
        advice::how_to_list(voice)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Returns what an error is, and what can be done about it.
    pub(crate) fn advice(error: &kopia_rs::Error, voice: Voice) -> (String, Vec<String>) {
        (chain(error), advice::hints(error, voice))
    }

    /// Writes message, candidates and hints to standard error.
    pub(crate) fn report(&self) {
        if self.kind == Kind::BrokenPipe {
            return;
        }
        say(format_args!("error: {}", escape(&self.message)));
        for candidate in &self.candidates {
            say(format_args!("    {}", escape(candidate)));
        }
        for hint in &self.hints {
            say(format_args!("hint: {}", escape(hint)));
        }
    }

    /// Drops a failure of standard output that is the reader's choice: how the command ended is then told by what it found.
    pub(crate) fn unless_reader_left(self) -> Result<(), Self> {
        if self.kind == Kind::BrokenPipe { Ok(()) } else { Err(self) }
    }

    /// Returns the exit status. A reader that has closed standard output (EPIPE) wants no more: that is no failure.
    pub(crate) fn status(&self) -> u8 {
        match self.kind {
            Kind::BrokenPipe => 0,
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Stopped(signal) => interrupt::status(signal),
        }
    }
}

impl Exit {
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Partial => 3,
        }
    }
}

impl From<kopia_rs::Error> for Failure {
    fn from(error: kopia_rs::Error) -> Self {
        advice::repository(error)
    }
}

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Self {
        advice::storage(&error, Voice::here())
    }
}

impl From<restore::Error> for Failure {
    fn from(error: restore::Error) -> Self {
        advice::restore(error)
    }
}

/// Joins an error and its causes, each said once.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
