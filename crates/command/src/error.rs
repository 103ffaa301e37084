//! How a command fails: its exit status, its message, and what can be done.
//!
//! The library's errors name the thing that is wrong, and `kopia_rs::diagnosis` what can be done about it;
//! exit codes are decided here alone.

use std::fmt;
use std::io;

use kopia_rs::diagnosis::password::PasswordSource;
use kopia_rs::diagnosis::text::chain;
use kopia_rs::diagnosis::{
    Advice, Audience, Class, Hint, OpenFailure, hints, hints_of_list, hints_of_name, hints_of_opening,
};
use kopia_rs::diagnosis::{RemoteFailure, hints_of_remote, hints_of_restore, hints_of_storage, meant};
use kopia_rs::{Error, Repository, Snapshots, export, restore, storage};
use serde::Serialize;

use crate::terminal::output::{escape, log_line};
use crate::terminal::password::NoPassword;
use crate::terminal::report::ReportError;
use crate::terminal::signals;
use crate::wording::advice;

/// How a command ended that did end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is there.
    Complete,
    /// Something is missing or incomplete; each thing was named already.
    Partial,
}

impl Exit {
    /// Ends a command of which the output was written, or not: that its reader left does not undo what was
    /// found before.
    pub(crate) fn after(self, written: io::Result<()>) -> Result<Self, Failure> {
        let written = match self {
            Self::Partial => Failure::unless_shown(written),
            Self::Complete => written.map_err(Failure::output),
        };
        written.map(|()| self)
    }
}

/// Why a command could not be carried out.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    /// What it is for programs.
    class: Class,
    message: String,
    /// What there is instead.
    candidates: Vec<String>,
    hints: Vec<String>,
    /// Whether the result of the command, which stands on standard output, is all that `--json` prints.
    is_told: bool,
}

/// What `--json` prints of something that went wrong, as the value of `error`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Json<'a> {
    pub(crate) class: Class,
    /// Absent where the command went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exit_status: Option<u8>,
    /// What could not be shown, where the command went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<&'a str>,
    pub(crate) message: &'a str,
    /// What there is instead.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) candidates: &'a [String],
    /// What can be done, the most helpful first.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) hints: &'a [String],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed,
    Usage,
    /// What is needed is being fetched from an archive.
    Later,
    /// A signal came.
    Stopped(i32),
    /// The reader of standard output has closed it, as `head` does (EPIPE).
    BrokenPipe,
}

impl Failure {
    /// Makes a failure of exit status 1.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        let (candidates, hints) = (Vec::new(), Vec::new());
        let (kind, class, message) = (Kind::Failed, Class::Other, message.into());
        Self { kind, class, message, candidates, hints, is_told: false }
    }

    /// Makes a failure of exit status 1 of what the system said; `what` says of what, as `FILE cannot be read`
    /// does.
    pub(crate) fn system(what: impl fmt::Display, error: &io::Error) -> Self {
        Self::failed(format!("{what}: {error}")).with_class(Class::of_io(error))
    }

    /// Makes a failure of what is wrong with something that a snapshot holds.
    #[cfg(feature = "browse")]
    pub(crate) fn of_defect(defect: &kopia_rs::Defect) -> Self {
        Self::failed(defect.to_string()).with_class(Class::of_defect(defect))
    }

    /// Takes the class of what the system said, where an error has that as its source.
    #[cfg(any(all(feature = "mount", target_os = "linux"), feature = "serve"))]
    pub(crate) fn with_class_of_source(self, error: &dyn std::error::Error) -> Self {
        let said = error.source().and_then(|source| source.downcast_ref());
        let class = said.map_or(self.class, Class::of_io);
        self.with_class(class)
    }

    /// Sets what it is for programs.
    pub(crate) fn with_class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// Makes a failure of exit status 2: the command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, class: Class::Usage, ..Self::failed(message) }
    }

    /// Makes a failure of exit status 4: the same command can do it later.
    pub(crate) fn later(message: impl Into<String>) -> Self {
        Self { kind: Kind::Later, class: Class::Archived, ..Self::failed(message) }
    }

    /// Makes the failure of what a signal ended; `left` says what there is of it.
    pub(crate) fn stopped(signal: i32, percent: Option<u64>, left: &str) -> Self {
        let percent = percent.map(|percent| format!(" at {percent} %")).unwrap_or_default();
        let message = format!("{}: stopped{percent}; {left}", signals::name(signal));
        Self { kind: Kind::Stopped(signal), class: Class::Stopped, ..Self::failed(message) }
    }

    /// Makes a failure of what standard output said.
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { kind: Kind::BrokenPipe, ..Self::failed("") },
            _ => Self::system("standard output", &error),
        }
    }

    /// Makes the failure of a repository that cannot be opened.
    pub(crate) fn unopened(error: &Error, failure: OpenFailure<'_>) -> Self {
        Self::failed(message(error)).with_class(Class::of(error)).advised(&hints_of_opening(failure))
    }

    /// As [`Self::unopened`], of a repository over a network.
    pub(crate) fn unopened_remote(error: &Error, failure: RemoteFailure<'_>) -> Self {
        Self::failed(message(error)).with_class(Class::of(error)).advised(&hints_of_remote(failure))
    }

    /// Makes the failure of a name that stands for nothing, or cannot be looked up. `command` is the command
    /// that would be right, such as `restore WHAT TARGET`.
    pub(crate) fn not_selected(error: Error, repository: &Repository, name: &str, command: &str) -> Self {
        let advice = hints_of_name(&error, repository, name, command);
        Self::from(error).advised(&advice)
    }

    /// Makes the failure of a list of snapshots that cannot be read.
    pub(crate) fn unlisted(error: Error, repository: &Repository) -> Self {
        let advice = hints_of_list(&error, repository);
        Self::from(error).advised(&advice)
    }

    /// Adds what there is instead of a name that stands for nothing, and what may have been meant.
    pub(crate) fn meant(self, name: &str, candidates: Vec<String>, snapshots: &Snapshots) -> Self {
        let hints = meant(name, &candidates, Some(snapshots)).iter().map(advice::hint).collect();
        Self { candidates, hints, ..self }
    }

    /// Adds what there is to choose from.
    pub(crate) fn candidates(self, candidates: Vec<String>) -> Self {
        Self { candidates, ..self }
    }

    /// Adds a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Has `--json` print nothing of it: the result of the command was printed before.
    pub(crate) fn told(self) -> Self {
        Self { is_told: true, ..self }
    }

    /// Takes these hints instead of those that it has.
    fn advised(self, advice: &Advice) -> Self {
        // That a password must be right is no news to whoever just gave one; in a pod, it may be the
        // Secret's, and one that kopia stored was not given.
        let is_given = |source: &Option<PasswordSource>| {
            !matches!(
                source,
                Some(PasswordSource::Stored(_) | PasswordSource::KeyRing | PasswordSource::Connection)
            )
        };
        let is_news = |hint: &&Hint| {
            advice::audience() != Audience::Terminal
                || !matches!(hint, Hint::RightPassword(source) if is_given(source))
        };
        Self { hints: advice.hints.iter().filter(is_news).map(advice::hint).collect(), ..self }
    }

    /// Writes message, candidates and hints to standard error.
    pub(crate) fn report(&self) {
        if self.kind == Kind::BrokenPipe {
            return;
        }
        log_line(format_args!("error: {}", escape(&self.message)));
        for candidate in &self.candidates {
            log_line(format_args!("    {}", escape(candidate)));
        }
        for hint in &self.hints {
            log_line(format_args!("hint: {}", escape(hint)));
        }
    }

    /// Returns what `--json` prints of it, unless something was printed in its place already.
    pub(crate) fn json(&self) -> Option<Json<'_>> {
        let is_told = self.is_told || matches!(self.kind, Kind::BrokenPipe | Kind::Later);
        (!is_told).then(|| Json {
            class: self.class,
            exit_status: Some(self.status()),
            path: None,
            message: &self.message,
            candidates: &self.candidates,
            hints: &self.hints,
        })
    }

    /// Returns what it is for programs.
    pub(crate) fn class(&self) -> Class {
        self.class
    }

    /// Returns what is wrong.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Returns what can be done, the most helpful first.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Returns whether the same command can do it later.
    pub(crate) fn is_later(&self) -> bool {
        self.kind == Kind::Later
    }

    /// Fails if standard output could not be written, unless its reader left: that is the reader's choice, and how
    /// the command ended is then told by what it found.
    pub(crate) fn unless_shown(written: io::Result<()>) -> Result<(), Self> {
        match written.map_err(Self::output) {
            Err(failure) if failure.kind == Kind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Returns the exit status. A reader that has closed standard output (EPIPE) wants no more: that is no
    /// failure.
    pub(crate) fn status(&self) -> u8 {
        match self.kind {
            Kind::BrokenPipe => 0,
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Later => 4,
            Kind::Stopped(signal) => signals::status(signal),
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

/// Returns what an error is. That the format blob may be damaged instead is a hint: it seldom is.
fn message(error: &Error) -> String {
    match error {
        Error::WrongPassword { location } => {
            format!("the password does not open the repository at {location}")
        }
        _ => chain(error),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let advice = hints(&error);
        let failure = match &error {
            Error::NothingToChoose { id } => Self::usage(format!(
                "{id:?} is taken for an id, which names one thing: --at, --incomplete and filters can choose \
                 nothing there"
            )),
            Error::Storage(error) => return error_of_store(error),
            _ => Self::failed(message(&error)).with_class(Class::of(&error)),
        };
        let failure = failure.advised(&advice);
        match error {
            // The hint has the path that is like it.
            Error::NotFound { what, .. } if what.starts_with("path ") => failure,
            Error::NotFound { candidates, .. } | Error::Ambiguous { candidates, .. } => {
                Self { candidates, ..failure }
            }
            _ => failure,
        }
    }
}

impl From<ReportError> for Failure {
    fn from(ReportError { message, class }: ReportError) -> Self {
        Self::failed(message).with_class(class)
    }
}

impl From<NoPassword> for Failure {
    fn from(none: NoPassword) -> Self {
        match none {
            NoPassword::NotGiven => {
                Self::failed("no password is given, and there is no terminal to ask for it")
                    .with_class(Class::AuthFailure)
                    .hint("set KOPIA_PASSWORD (an empty one is a password too) or give --password-file")
            }
            NoPassword::Unreadable(why) => Self::failed(why).with_class(Class::AuthFailure),
        }
    }
}

impl From<storage::Error> for Failure {
    fn from(error: storage::Error) -> Self {
        error_of_store(&error)
    }
}

fn error_of_store(error: &storage::Error) -> Failure {
    Failure::failed(chain(error)).with_class(Class::of_store(error)).advised(&hints_of_storage(error))
}

impl From<restore::Error> for Failure {
    fn from(error: restore::Error) -> Self {
        match error {
            restore::Error::Repository(error) => error.into(),
            error => {
                let class = Class::of_restore(&error);
                Self::failed(chain(&error)).with_class(class).advised(&hints_of_restore(&error))
            }
        }
    }
}

impl From<export::Error> for Failure {
    fn from(error: export::Error) -> Self {
        match error {
            export::Error::Repository(error) => error.into(),
            error => Self::failed(chain(&error)).with_class(class_of_export(&error)),
        }
    }
}

fn class_of_export(error: &export::Error) -> Class {
    use export::Error;
    match error {
        Error::Repository(error) => Class::of(error),
        Error::Output { source } | Error::Threads { source } => Class::of_io(source),
        Error::Problem(problem) => Class::of_defect(&problem.defect),
        Error::Stopped => Class::Stopped,
        Error::NoZstd => Class::Unsupported,
        _ => Class::Other,
    }
}
