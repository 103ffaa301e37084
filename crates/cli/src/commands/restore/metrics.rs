//! `restore --metrics FILE`: how it ended as Prometheus text, also where the repository could not be opened.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Instant;

use kopia_rs::connection::{Connection, Environment, config_file, places};
use kopia_rs::diagnosis::Class;
use kopia_rs::restore::is_outside;

use crate::args::{self, Global};
use crate::error::{Exit, Failure};
use crate::terminal::metrics::RestoreMetrics;
use crate::terminal::output::log_line;
use crate::terminal::replace::{ELSEWHERE, directory, refusal, refusal_by_any, replace};

/// The metrics of one restore, gathered while it runs.
pub(crate) struct Metrics {
    file: Option<PathBuf>,
    known: RefCell<RestoreMetrics>,
    /// Whether it came out that the file must not be written.
    is_refused: Cell<bool>,
}

impl Metrics {
    /// Gathers nothing that anybody asked for.
    #[cfg(feature = "terminal-browser")]
    pub(crate) fn none() -> Self {
        Self { file: None, known: RefCell::default(), is_refused: Cell::default() }
    }

    /// Does a restore, and writes how it ended to the file that is asked for, if one is.
    pub(crate) fn write(
        global: &Global,
        args: &args::Restore,
        restore: impl FnOnce(&Self) -> Result<Exit, Failure>,
    ) -> Result<Exit, Failure> {
        let file = args.metrics.clone();
        let metrics = Self { file, known: RefCell::default(), is_refused: Cell::default() };
        let Some(file) = &args.metrics else { return restore(&metrics) };
        if args.each().len() > 1 {
            return Err(Failure::usage("--metrics takes one WHAT: its file tells of one restore"));
        }
        // What must not be written to is known before the repository is open, as opening may fail.
        metrics.refuse(place(global).as_deref())?;
        metrics.refuse_written(args)?;
        if let Some((why, hint)) = refusal_by_any(file) {
            return Err(refused(file, &why, hint));
        }
        let start = Instant::now();
        let ended = restore(&metrics);
        if metrics.is_refused.get() {
            return ended;
        }
        let mut known = metrics.known.into_inner();
        (known.exit_code, known.class) = match &ended {
            Ok(Exit::Complete) => (0, None),
            Ok(Exit::Partial) => (Exit::Partial.status(), known.class.or(Some(Class::Other))),
            Err(failure) => (failure.status(), Some(failure.class())),
        };
        known.seconds = (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        let written = replace(file, known.text().as_bytes(), 0o644).map_err(|error| {
            Failure::system(format!("the metrics file {} cannot be written", file.display()), &error)
        });
        match (ended, written) {
            (Ok(exit), Ok(())) => Ok(exit),
            (Ok(_), Err(failure)) => Err(failure.told()),
            (Err(failure), written) => {
                // Why nothing was restored matters more.
                if let Err(unwritten) = written {
                    log_line(format_args!("warning: {}", unwritten.message()));
                }
                Err(failure)
            }
        }
    }

    /// Refuses a file that must not be written, such as one in the repository.
    pub(super) fn refuse(&self, repository: Option<&Path>) -> Result<(), Failure> {
        let Some(file) = &self.file else { return Ok(()) };
        refusal(file, repository).map_or(Ok(()), |(why, hint)| {
            self.is_refused.set(true);
            Err(refused(file, &why, hint))
        })
    }

    /// Refuses a file that the restore itself writes: its target, what lies in that, and its report.
    pub(super) fn refuse_written(&self, args: &args::Restore) -> Result<(), Failure> {
        let Some(file) = &self.file else { return Ok(()) };
        let target = &*args.places.target;
        // A target that is not there yet holds no folder that a file could be made in.
        let is_in_target = || is_same(file, target) || is_outside(file, target).is_ok_and(|outside| !outside);
        let why = match &args.report {
            Some(report) if is_same(file, report) => "would be the report, too",
            _ if is_in_target() => "would be the target, or lie in it",
            _ => return Ok(()),
        };
        self.is_refused.set(true);
        Err(refused(file, why, ELSEWHERE))
    }

    /// Adds to what is known.
    pub(super) fn note(&self, add: impl FnOnce(&mut RestoreMetrics)) {
        add(&mut self.known.borrow_mut());
    }
}

fn refused(file: &Path, why: &str, hint: &str) -> Failure {
    let failure = Failure::usage(format!("the metrics file {} {why}", file.display()));
    if hint.is_empty() { failure } else { failure.hint(hint) }
}

/// Returns whether two paths name one place, where something is or not.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| Some((directory(path).canonicalize().ok()?, path.file_name()?.to_owned()));
    place(one).is_some_and(|one| place(other) == Some(one))
}

/// Returns the directory of the repository that options or variables name, if they name one. Whatever is wrong
/// with them is said when it is opened.
fn place(global: &Global) -> Option<PathBuf> {
    let environment = Environment::of_process();
    let text = global.repository.clone().filter(|text| !text.is_empty());
    let connection = match (text, &global.config) {
        (Some(text), _) => Connection::parse(&text).ok(),
        (None, Some(file)) => config_file::read(&places::resolve(file, &environment)).ok(),
        (None, None) => Connection::parse(environment.var_os("KOPIA_REPOSITORY")?).ok(),
    };
    connection?.storage.directory().map(Path::to_path_buf)
}
