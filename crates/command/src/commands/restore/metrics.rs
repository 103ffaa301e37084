//! `restore --metrics FILE`: how it ended as Prometheus text, also where the repository could not be opened.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kopia_rs::Source;
use kopia_rs::connection::{Connection, Environment, config_file, places};
use kopia_rs::diagnosis::Class;

use crate::args::{self, Global};
use crate::error::{Exit, Failure};
use crate::process;
use crate::terminal::inside::{WHY, is_in};
use crate::terminal::metrics::RestoreMetrics;
use crate::terminal::metrics_file::MetricsFile;
use crate::terminal::output::{self, log_line};
use crate::terminal::replace::{ELSEWHERE, is_same, refusal, refusal_by_any};
use crate::terminal::signals::{self, Interrupt};

/// The metrics of one restore, gathered while it runs; nothing if nobody asked for them.
pub(crate) struct Metrics(Option<Arc<Gathered>>);

/// What is known, and the file that it goes to.
struct Gathered {
    file: MetricsFile,
    known: Mutex<RestoreMetrics>,
}

impl Gathered {
    fn known(&self) -> MutexGuard<'_, RestoreMetrics> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes how it ended.
    fn write(&self, exit_code: u8, class: Option<Class>) -> io::Result<()> {
        self.file.write(|seconds| RestoreMetrics { exit_code, class, seconds, ..self.known().clone() }.text())
    }
}

impl Metrics {
    /// Gathers nothing that anybody asked for.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Does a restore, and writes how it ended to the file that is asked for, if one is, also where a signal
    /// ends it.
    pub(crate) fn write(
        global: &Global,
        args: &args::Restore,
        interrupt: &Interrupt,
        restore: impl FnOnce(&Self) -> Result<Exit, Failure>,
    ) -> Result<Exit, Failure> {
        let Some(file) = &args.metrics else { return restore(&Self::none()) };
        let whats = args.each();
        let identity = match &whats[..] {
            [one] => identity(&one.what),
            _ => None,
        };
        let known = RestoreMetrics { identity, ..RestoreMetrics::default() };
        let gathered = Arc::new(Gathered { file: MetricsFile::new(file), known: Mutex::new(known) });
        let metrics = Self(Some(gathered.clone()));
        // What must not be written to is known before the repository is open, as opening may fail.
        metrics.refuse(place(global).as_deref())?;
        metrics.refuse_written(args)?;
        if let Some((why, hint)) = refusal_by_any(file) {
            return Err(refused(file, &why, hint));
        }
        let at_signal = gathered.clone();
        interrupt.do_at_the_end(move |signal| {
            // The process ends, whether it can be written or not.
            let _ = at_signal.write(signals::status(signal), Some(Class::Stopped));
        });
        let at_panic = gathered.clone();
        process::do_at_panic(move || {
            let _ = at_panic.write(1, Some(Class::Other));
        });
        let ended = if whats.len() > 1 {
            Err(Failure::usage("--metrics takes one WHAT: its file tells of one restore"))
        } else {
            restore(&metrics).and_then(written_out)
        };
        let (exit_code, class) = match &ended {
            Ok(Exit::Complete) => (0, None),
            Ok(Exit::Partial) => (Exit::Partial.status(), gathered.known().class.or(Some(Class::Other))),
            Err(failure) => (failure.status(), Some(failure.class())),
        };
        let written = gathered.write(exit_code, class).map_err(|error| {
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
        let Some(Gathered { file, .. }) = self.0.as_deref() else { return Ok(()) };
        refusal(file.path(), repository).map_or(Ok(()), |(why, hint)| {
            file.refuse();
            Err(refused(file.path(), &why, hint))
        })
    }

    /// Refuses a file that the restore itself writes: its target, what lies in that, and its report.
    pub(super) fn refuse_written(&self, args: &args::Restore) -> Result<(), Failure> {
        let Some(Gathered { file: metrics, .. }) = self.0.as_deref() else { return Ok(()) };
        let file = metrics.path();
        let why = match &args.report {
            Some(report) if is_same(file, report) => "would be the report, too",
            _ if is_in(file, &args.places.target, true) => WHY,
            _ => return Ok(()),
        };
        metrics.refuse();
        Err(refused(file, why, ELSEWHERE))
    }

    /// Adds to what is known.
    pub(super) fn note(&self, add: impl FnOnce(&mut RestoreMetrics)) {
        if let Some(gathered) = &self.0 {
            add(&mut gathered.known());
        }
    }
}

/// Looks whether what was written to standard output got to its place, which changes the exit status.
fn written_out(exit: Exit) -> Result<Exit, Failure> {
    Failure::unless_shown(output::check()).map(|()| exit)
}

/// Writes that a command line could not be parsed.
pub(crate) fn wrong_usage(seconds: f64) -> String {
    let failure = Failure::usage("");
    let (exit_code, class) = (failure.status(), Some(failure.class()));
    RestoreMetrics { exit_code, class, seconds, ..RestoreMetrics::default() }.text()
}

/// Returns the identity that WHAT names, which is known even of what cannot be opened; the snapshot's own takes
/// its place, once it is chosen.
fn identity(what: &str) -> Option<String> {
    let source: Source = what.parse().ok()?;
    let path = source.path.trim_end_matches('/');
    let path = if path.is_empty() { source.path.clone() } else { path.to_owned() };
    // In `latest:/a@b:/c` there is no user.
    (!source.user.contains('/')).then(|| Source { path, ..source }.to_string())
}

fn refused(file: &Path, why: &str, hint: &str) -> Failure {
    let failure = Failure::usage(format!("the metrics file {} {why}", file.display()));
    if hint.is_empty() { failure } else { failure.hint(hint) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_an_identity_or_not() {
        for (what, expected) in [
            ("anna@laptop:/home/anna", Some("anna@laptop:/home/anna")),
            ("anna@laptop:/home/anna//", Some("anna@laptop:/home/anna")),
            ("root@laptop:/", Some("root@laptop:/")),
            ("latest", None),
            ("latest:/a@b:/c", None),
            ("c3bc/etc", None),
            ("laptop:/home/anna", None),
        ] {
            assert_eq!(identity(what).as_deref(), expected, "{what}");
        }
    }
}
