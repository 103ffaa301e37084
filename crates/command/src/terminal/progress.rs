//! Shows how a restore gets on: a bar on a terminal, a plain line every few seconds elsewhere, and problems.

mod mode;
mod pace;
mod state;
mod watch;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::ProgressBar;
use kopia_rs::export;
use kopia_rs::restore::{Attribute, Observer, Problem, Reason, Salvaged};
use kopia_rs::storage::ErrorKind;
use kopia_rs::{Defect, Entry, EntryKind};

use crate::terminal::output::{escape, log_line, thousands};
use crate::terminal::report::{AttributeLine, Line, Report, ReportError};
use crate::terminal::signals::Interrupt;
pub(crate) use mode::{ProgressMode, Wanted};
pub(crate) use state::{Count, Phase, State};
pub(crate) use watch::{bar, watch};

/// How many problems standard error is told of.
pub(crate) const SHOWN: u64 = 100;

/// Counts what is done, and shows it.
pub(crate) struct Progress {
    mode: ProgressMode,
    entries: AtomicU64,
    bytes: AtomicU64,
    /// Bytes of long files that were read to see that they can be had.
    checked: AtomicU64,
    /// Bytes that were there already.
    kept: AtomicU64,
    problems: AtomicU64,
    /// Problems whose bytes the repository could not give, and entries that were left alone as they exist.
    unreadable: AtomicU64,
    denied: AtomicU64,
    refused: AtomicU64,
    existing: AtomicU64,
    unfit: AtomicU64,
    cold: AtomicU64,
    /// Whether attributes that could not be set go to the report: they are problems then.
    strict: bool,
    /// What paths of problems begin with, where one of several things is restored.
    below: String,
    total: Option<Total>,
    bar: ProgressBar,
    report: Option<Report>,
    interrupt: Arc<Interrupt>,
}

/// What the backup counted, where it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Total {
    entries: u64,
    bytes: u64,
}

impl Progress {
    /// Begins with nothing; of an entry that is done as a whole, it is known how much that is.
    pub(crate) fn new<'e>(
        entry: impl Into<Option<&'e Entry>>,
        report: Option<Report>,
        interrupt: Arc<Interrupt>,
        mode: ProgressMode,
    ) -> Self {
        let total = entry.into().and_then(Total::of);
        Self {
            mode,
            entries: AtomicU64::default(),
            bytes: AtomicU64::default(),
            checked: AtomicU64::default(),
            kept: AtomicU64::default(),
            problems: AtomicU64::default(),
            unreadable: AtomicU64::default(),
            denied: AtomicU64::default(),
            refused: AtomicU64::default(),
            existing: AtomicU64::default(),
            unfit: AtomicU64::default(),
            cold: AtomicU64::default(),
            strict: false,
            below: String::new(),
            total,
            bar: bar(),
            report,
            interrupt,
        }
    }

    /// Reports attributes that could not be set as well.
    pub(crate) fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Shows paths of problems below the name of one of several things; the report sees to its own.
    pub(crate) fn below(mut self, name: Option<&str>) -> Self {
        self.below = name.unwrap_or_default().into();
        self
    }

    /// Returns what kinds of problems there were.
    pub(crate) fn kinds(&self) -> Kinds {
        Kinds {
            unreadable: self.unreadable.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            existing: self.existing.load(Ordering::Relaxed),
            unfit: self.unfit.load(Ordering::Relaxed),
            cold: self.cold.load(Ordering::Relaxed),
        }
    }

    /// Returns how much of the bytes is done, or of the entries where there are no bytes, if it is known how
    /// many there are.
    pub(crate) fn percent(&self) -> Option<u64> {
        self.state().percent()
    }

    /// Returns the phase and how far it is; `is_done` says that the work has come to its end.
    pub(crate) fn standing(&self, is_done: bool) -> (Phase, State) {
        let state = self.state();
        (if is_done { Phase::Done } else { state.phase() }, state)
    }

    /// Does the work and shows how it gets on.
    pub(crate) fn watch<R>(&self, work: impl FnOnce() -> R) -> R {
        watch(self.mode, &self.bar, || self.state(), work)
    }

    fn state(&self) -> State {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let count = |done, total| Count { done, total };
        State {
            bytes: count(load(&self.bytes), self.total.map(|total| total.bytes)),
            entries: Some(count(load(&self.entries), self.total.map(|total| total.entries))),
            kept: load(&self.kept),
            checked: load(&self.checked),
            problems: load(&self.problems),
        }
    }

    /// Writes how many problems were not shown, and closes the report.
    pub(crate) fn finish(self) -> Result<(), ReportError> {
        let more = self.problems.into_inner().saturating_sub(SHOWN);
        if more > 0 {
            log_line(format_args!("{}… and {} more", self.mode.problem(), thousands(more)));
        }
        self.report.map_or(Ok(()), Report::finish)
    }
}

/// How many problems of some kinds there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kinds {
    /// Entries whose bytes the repository could not give.
    pub(crate) unreadable: u64,
    /// Those of them that this process is not allowed to read.
    pub(crate) denied: u64,
    /// Entries that have no place of their own below the target.
    pub(crate) refused: u64,
    /// Entries that exist and were left alone, as asked.
    pub(crate) existing: u64,
    /// Entries that the target's file system cannot hold.
    pub(crate) unfit: u64,
    /// Those whose bytes lie in an archive; they are none of the others.
    pub(crate) cold: u64,
}

impl Kinds {
    /// Counts a problem.
    pub(crate) fn add(&mut self, problem: &Problem) {
        let reason = match &problem.reason {
            Reason::Lost { reason, .. } => reason,
            reason => reason,
        };
        match reason {
            Reason::Defect(Defect::Unreadable(error)) if error.cold_blob().is_some() => self.cold += 1,
            Reason::Defect(Defect::Unreadable(error)) => {
                self.unreadable += 1;
                self.denied += u64::from(error.storage_kind() == Some(ErrorKind::NotAllowed));
            }
            Reason::Defect(Defect::Refused(_)) => self.refused += 1,
            Reason::Exists => self.existing += 1,
            Reason::Unfit { .. } | Reason::NameTaken { .. } => self.unfit += 1,
            _ => {}
        }
    }
}

impl Observer for Progress {
    fn stop(&self) -> bool {
        self.interrupt.signal().is_some()
    }

    fn entry(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    fn bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }

    fn kept(&self, count: u64) {
        self.kept.fetch_add(count, Ordering::Relaxed);
    }

    fn resumed(&self) {
        if self.mode.has_notes() {
            self.bar.suspend(|| {
                log_line("note: going on from an interrupted run: what it wrote is checked by hash and kept");
            });
        }
    }

    fn attribute(&self, path: &str, attribute: Attribute) {
        if let Some(report) = self.report.as_ref().filter(|_| self.strict) {
            report.push(&AttributeLine::new(path, attribute));
        }
    }

    fn problem(&self, problem: &Problem) {
        let mut kinds = Kinds::default();
        kinds.add(problem);
        self.unreadable.fetch_add(kinds.unreadable, Ordering::Relaxed);
        self.denied.fetch_add(kinds.denied, Ordering::Relaxed);
        self.refused.fetch_add(kinds.refused, Ordering::Relaxed);
        self.existing.fetch_add(kinds.existing, Ordering::Relaxed);
        self.unfit.fetch_add(kinds.unfit, Ordering::Relaxed);
        self.cold.fetch_add(kinds.cold, Ordering::Relaxed);
        if let Some(report) = &self.report {
            report.push(&Line::from(problem));
        }
        if self.problems.fetch_add(1, Ordering::Relaxed) < SHOWN {
            let path = match (&*self.below, &*problem.path) {
                ("", "") => ".".into(),
                ("", path) | (path, "") => Cow::Borrowed(path),
                (below, path) => format!("{below}/{path}").into(),
            };
            let mut text = format!("{path}: {}", problem.reason);
            if let Some(salvaged) = &problem.salvaged {
                text.push_str(&format!("; {salvaged}"));
            }
            let text = format!("{}{}", self.mode.problem(), escape(&text));
            self.bar.suspend(|| log_line(text));
        }
    }
}

impl export::Observer for Progress {
    fn stop(&self) -> bool {
        Observer::stop(self)
    }

    fn entry(&self) {
        Observer::entry(self);
    }

    fn bytes(&self, count: u64) {
        Observer::bytes(self, count);
    }

    fn checked(&self, count: u64) {
        self.checked.fetch_add(count, Ordering::Relaxed);
    }

    fn problem(&self, problem: &export::Problem) {
        Observer::problem(self, &of_export(problem));
    }
}

/// Puts a problem of an export into the words of a restore.
pub(crate) fn of_export(problem: &export::Problem) -> Problem {
    let export::Problem { path, defect, lost, .. } = problem;
    let salvaged = (!lost.is_empty()).then(|| Salvaged::new(path.clone(), lost.clone()));
    Problem { path: path.clone(), reason: Reason::Defect(defect.clone()), salvaged }
}

impl Total {
    fn of(entry: &Entry) -> Option<Self> {
        if entry.kind() != EntryKind::Directory {
            return Some(Self { entries: 1, bytes: entry.size() });
        }
        let summary = entry.summary()?;
        let number = |number| u64::try_from(number).unwrap_or_default();
        let entries = number(summary.files) + number(summary.symlinks) + number(summary.dirs);
        Some(Self { entries, bytes: number(summary.size) })
    }
}
