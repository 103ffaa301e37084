//! `mover`: what VolSync's Kopia mover does in a restore Job, without its script and without kopia.
//!
//! The controller starts `/mover-kopia/entry.sh restore` with some eighty variables, and sees of it an exit
//! status and the end of a log. Both stay as they are where they are right; they differ where the script says
//! that all is well and nothing was restored, or deletes first and looks afterwards.
//!
//! | room | what |
//! |---|---|
//! | `contract` | what the controller sets, and what it means to a restore |
//! | `job` | from these settings to a restored volume, step by step |
//! | `account` | what is said of it: the log and its last lines, the container's message, metrics |

mod account;
mod contract;
mod job;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use kopia_rs::storage::IoMode;

pub(crate) use contract::dispatch::arguments as called_with;

use crate::args::unparsed::given;
use crate::args::{self, Archive, Global};
use crate::process;
use crate::terminal::signals::{self, Interrupt};
use account::line::{SetupError, StatusLine};
use account::log::JobLog;
use account::outcome::{JobOutcome, JobResult};
use contract::dispatch::{Task, Usage};
use contract::environment::{Environment, Variable};
use job::Job;

/// What the script calls an operation that it does not know.
const UNKNOWN: &str = "unknown";

/// Returns whether arguments call the mover, so that whatever is wrong with them is said in its log.
pub(crate) fn is_called(arguments: &[OsString]) -> bool {
    arguments.get(1).is_some_and(|first| first == "mover")
}

/// Logs that it was called in the wrong way, and returns the exit status.
pub(crate) fn wrong_usage(arguments: &[OsString], error: &clap::Error) -> u8 {
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let path = |name: &str| given(arguments, name).map(Path::new);
    let log = JobLog::new(path("--termination-log").unwrap_or(args::TERMINATION_LOG.as_ref()));
    let environment = Environment::own();
    if !is_for_original(arguments, &environment) {
        let metrics = job::request_metrics(&log, path("--metrics-file"), &environment);
        warn_of(&log, metrics);
    }
    log.end(&usage(first, "the operations are restore, backup and maintenance"))
}

/// Returns whether arguments that cannot be parsed as a whole ask for what the original script does, which is no
/// restore of ours.
fn is_for_original(arguments: &[OsString], environment: &Environment) -> bool {
    let known = |argument: &&str| contract::dispatch::is_operation(argument);
    let operations = arguments.iter().skip(2).filter_map(|argument| argument.to_str()).filter(known);
    let operations: Vec<_> = operations.map(ToOwned::to_owned).collect();
    matches!(contract::dispatch::task(&operations, environment), Ok(Task::Original(_)))
}

/// Says why there will be no metrics, where something else ends the Job.
fn warn_of(log: &JobLog, metrics: Result<(), SetupError>) {
    if let Err(why) = metrics {
        log.warn(&why.to_string());
    }
}

/// Does what the Job asks for, and returns the exit status.
pub(crate) fn run(
    name: Option<&OsStr>,
    global: &Global,
    args: &args::Mover,
    interrupt: &Arc<Interrupt>,
) -> u8 {
    if args.variables {
        let written = std::io::stdout().write_all(contract::environment::table().as_bytes());
        return u8::from(written.is_err());
    }
    let log = Arc::new(JobLog::new(&args.termination_log));
    let last = log.clone();
    interrupt.say_at_the_end(move |signal, unfinished| {
        let _ = last.end(&stopped(signal, unfinished));
    });
    let last = log.clone();
    process::do_at_panic(move || {
        let _ = last.end(&mistaken());
    });
    let environment = Environment::own();
    let task = contract::dispatch::task(&args.operations, &environment);
    // What the original script does is no restore of ours.
    let metrics = match &task {
        Ok(Task::Original(_)) => Ok(()),
        _ => job::request_metrics(&log, args.metrics_file.as_deref(), &environment),
    };
    if let Some((option, instead)) = foreign_option(global, &environment) {
        warn_of(&log, metrics);
        return log.end(&usage(&format!("{option} is not for the mover"), instead));
    }
    match task {
        Err(Usage(sentence)) => {
            warn_of(&log, metrics);
            log.end(&JobOutcome::new(JobResult::Usage, sentence).of(UNKNOWN))
        }
        Ok(Task::Original(operations)) => {
            let operation = described(&operations, &environment);
            log.info(&format!("{operation} is for the original script"));
            let trouble = contract::dispatch::become_original(&environment, &operations, &log);
            log.end(&JobOutcome::failed(trouble.unable("run the original script")).of(&operation))
        }
        Ok(Task::Restore) if waits(name, &environment) => {
            log.warn(
                "DEBUG_MOVER is set: nothing is restored until the annotation enable-debug-mover is removed",
            );
            log.warn(
                "to restore in this pod, run `kopia-rs mover restore` in it; kopia-rs doctor, ls and \
                others work, too",
            );
            loop {
                std::thread::park();
            }
        }
        Ok(Task::Restore) => {
            let job = Job { environment: &environment, log: &log, interrupt, metrics };
            log.end(&job.run())
        }
    }
}

/// In debug mode the script sleeps, and its copy elsewhere works: here it is the name that makes the
/// difference.
fn waits(name: Option<&OsStr>, environment: &Environment) -> bool {
    contract::dispatch::is_entry(name) && environment.raw(Variable::DebugMover) == Some(OsStr::new("1"))
}

fn described(operations: &[String], environment: &Environment) -> String {
    match operations {
        [] => environment.text(Variable::Direction).ok().flatten().unwrap_or(UNKNOWN).into(),
        operations => operations.join(" "),
    }
}

/// Finds an option of other commands that means nothing here, and says what there is instead. The repository
/// is read as the script does, so an option that names another one than the variable must not be passed over.
fn foreign_option(global: &Global, environment: &Environment) -> Option<(&'static str, &'static str)> {
    const VARIABLES: &str = "its settings are variables";
    let repository = global.repository.as_deref().filter(|text| !text.is_empty());
    let Archive { thaw, days, wait } = global.archive;
    [
        (
            repository.is_some() && repository != environment.raw(Variable::Repository),
            "--repository",
            VARIABLES,
        ),
        (global.config.is_some(), "--config", VARIABLES),
        (global.token.is_some() || global.token_file.is_some() || global.token_stdin, "--token", VARIABLES),
        (!global.stores.options().is_empty(), "options of stores", VARIABLES),
        (global.password_file.is_some(), "--password-file", VARIABLES),
        (global.password_command.is_some(), "--password-command", VARIABLES),
        (global.json, "--json", VARIABLES),
        (global.progress.is_some(), "--progress", VARIABLES),
        (global.degraded, "--degraded", "set KOPIA_RS_DEGRADED=true"),
        (global.deleted, "--deleted", VARIABLES),
        (global.format_blob.is_some(), "--format-blob", VARIABLES),
        (global.cache.is_some(), "--cache", VARIABLES),
        (thaw.is_some(), "--thaw", "set KOPIA_RS_THAW"),
        (days != Archive::DAYS, "--days", "set KOPIA_RS_THAW_DAYS"),
        (wait, "--wait", "set KOPIA_RS_THAW_WAIT=true"),
        (global.io != IoMode::default(), "--io", "leave it out, packs are read in the fastest way"),
        (global.index_dir.is_some(), "--index-dir", "leave it out, the index is held in memory"),
        (global.quiet, "--quiet", "leave it out, the controller reads the log"),
    ]
    .into_iter()
    .find_map(|(given, name, instead)| given.then_some((name, instead)))
}

fn usage(cause: &str, advice: &str) -> JobOutcome {
    JobOutcome::new(JobResult::Usage, StatusLine::unable("start", cause, advice)).of(UNKNOWN)
}

fn stopped(signal: i32, unfinished: &str) -> JobOutcome {
    let cause = format!("stopped by {}{unfinished}", signals::name(signal));
    JobOutcome::new(JobResult::Stopped(signal), StatusLine::unable("finish", &cause, ""))
}

/// Makes the end of a Job that a mistake in this program ended, of which the lines above tell.
fn mistaken() -> JobOutcome {
    let advice = "please report it with the lines above";
    JobOutcome::failed(StatusLine::unable("finish", "this is a mistake in kopia-rs", advice))
}

impl From<SetupError> for JobOutcome {
    fn from(trouble: SetupError) -> Self {
        Self::failed(trouble.unable("restore"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_call_for_something_else_is_no_restore() {
        for (direction, call, expected) in [
            ("destination", "mover backup --typo", true),
            ("destination", "mover --typo maintenance", true),
            ("source", "mover --typo", true),
            ("destination", "mover --typo", false),
            ("source", "mover restore --typo", false),
            ("source", "mover --metrics-file backups restore --typo", false),
        ] {
            let arguments: Vec<_> =
                ["kopia-rs"].into_iter().chain(call.split(' ')).map(OsString::from).collect();
            let environment = [("DIRECTION".into(), direction.into())].into_iter().collect();
            assert_eq!(is_for_original(&arguments, &environment), expected, "{direction} {call}");
        }
    }
}
