//! Decides what a call asks for: this program restores, the original script does everything else.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::arguments::{self, Foreign};
use super::environment::{Environment, Variable};
use crate::mover::account::line::{SetupError, StatusLine};
use crate::mover::account::log::JobLog;
use crate::process;

/// The name under which the controller starts the mover.
const ENTRY: &str = "entry.sh";

/// Where the image keeps the original script.
const ORIGINAL: &str = "/mover-kopia/entry.original.sh";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    Restore,
    /// The original script does it, with these operations.
    Original(Vec<String>),
}

/// Why it is not known what to do: exit status 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Usage(pub(crate) StatusLine);

/// Returns whether the mover was called by the name that the controller knows.
pub(crate) fn is_entry(name: Option<&OsStr>) -> bool {
    name.is_some_and(|name| Path::new(name).file_name() == Some(OsStr::new(ENTRY)))
}

/// Makes the call by that name a call of the subcommand.
pub(crate) fn arguments(all: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<_> = all.into_iter().collect();
    if is_entry(all.first().map(OsString::as_os_str)) {
        all.insert(1, "mover".into());
    }
    all
}

/// Returns whether the original script knows an operation.
pub(crate) fn is_operation(name: &str) -> bool {
    matches!(name, "restore" | "backup" | "maintenance")
}

/// Finds out what is to be done: operations go before DIRECTION.
pub(crate) fn task(operations: &[String], environment: &Environment) -> Result<Task, Usage> {
    let usage = |cause: String, advice: &str| Usage(StatusLine::unable("start", &cause, advice));
    if let Some(unknown) = operations.iter().find(|operation| !is_operation(operation)) {
        return Err(usage(
            format!("unknown operation: {unknown}"),
            "the operations are restore, backup and maintenance",
        ));
    }
    if !operations.is_empty() {
        let restores = operations.iter().filter(|operation| *operation == "restore").count();
        return match restores {
            0 => Ok(Task::Original(operations.to_vec())),
            all if all == operations.len() => Ok(Task::Restore),
            _ => Err(usage(
                format!("{} are for different programs", operations.join(" and ")),
                "use a Job for each",
            )),
        };
    }
    match environment.text(Variable::Direction) {
        Ok(Some("destination")) => Ok(Task::Restore),
        Ok(Some("source" | "maintenance")) => Ok(Task::Original(Vec::new())),
        Ok(None) => Err(usage(
            "no operation is given".into(),
            "give restore as argument, or set DIRECTION=destination",
        )),
        Ok(Some(other)) => {
            Err(usage(format!("unknown DIRECTION: {other}"), "set DIRECTION=destination to restore"))
        }
        Err(trouble) => Err(usage(trouble.to_string(), "")),
    }
}

/// Becomes the original script, with the same environment but for options that only this program has. Returns
/// only if that cannot be done.
pub(crate) fn become_original(environment: &Environment, operations: &[String], log: &JobLog) -> SetupError {
    let path = match original(environment) {
        Ok(path) => path,
        Err(trouble) => return trouble,
    };
    let mut script = Command::new(&path);
    script.args(operations);
    let arguments = environment.text(Variable::AdditionalArgs).ok().flatten().map(arguments::without_own);
    if let Some(Foreign { rest, taken }) = arguments.filter(|foreign| !foreign.taken.is_empty()) {
        let name = Variable::AdditionalArgs.name();
        if rest.is_empty() {
            script.env_remove(name)
        } else {
            script.env(name, rest)
        };
        let taken: Vec<_> = taken.iter().map(|option| format!("--{option}")).collect();
        log.warn(&format!("the original script does not know {}, which is left out", taken.join(", ")));
    }
    let error = script.exec();
    SetupError::new(format!("{} cannot be run: {error}", path.display()), "")
}

/// Finds the original script.
fn original(environment: &Environment) -> Result<PathBuf, SetupError> {
    const NAME: &str = "KOPIA_RS_FALLBACK";
    let given = environment.raw(Variable::Fallback);
    let path = PathBuf::from(given.unwrap_or(OsStr::new(ORIGINAL)));
    if !path.is_absolute() {
        return Err(SetupError::setting(NAME, format!("is {}, not an absolute path", path.display())));
    }
    let file = path.metadata().map_err(|error| {
        let advice = "kopia-rs only restores; keep the original script in the image and name it with \
            KOPIA_RS_FALLBACK";
        SetupError::new(format!("the original script {} is not there ({error})", path.display()), advice)
    })?;
    if process::is_ourselves(&file) {
        return Err(SetupError::new(
            format!("{} is kopia-rs itself", path.display()),
            "name the original script with KOPIA_RS_FALLBACK",
        ));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(direction: Option<&str>, operations: &[&str]) -> Result<Task, String> {
        let variables = direction.map(|direction| ("DIRECTION".into(), direction.into()));
        let operations: Vec<_> = operations.iter().map(ToString::to_string).collect();
        task(&operations, &variables.into_iter().collect()).map_err(|usage| usage.0.to_string())
    }

    #[test]
    fn operations_go_before_the_direction() {
        let original =
            |operations: &[&str]| Ok(Task::Original(operations.iter().map(ToString::to_string).collect()));
        assert_eq!(with(None, &["restore"]), Ok(Task::Restore));
        assert_eq!(with(Some("maintenance"), &["restore", "restore"]), Ok(Task::Restore));
        assert_eq!(with(Some("destination"), &["backup"]), original(&["backup"]));
        assert_eq!(with(Some("destination"), &[]), Ok(Task::Restore));
        assert_eq!(with(Some("source"), &[]), original(&[]));
        assert_eq!(with(Some("maintenance"), &[]), original(&[]));
        assert!(with(None, &[]).unwrap_err().contains("no operation"));
        assert!(with(Some(""), &[]).unwrap_err().contains("no operation"));
        assert!(
            with(Some("up"), &[])
                .unwrap_err()
                .contains("unknown DIRECTION: up: set DIRECTION=destination to restore")
        );
        assert!(with(None, &["restore", "destroy"]).unwrap_err().contains("unknown operation: destroy"));
        assert!(with(None, &["restore", "backup"]).unwrap_err().contains("a Job for each"));
    }

    #[test]
    fn the_name_counts() {
        assert!(
            is_entry(Some(OsStr::new("/mover-kopia/entry.sh"))) && is_entry(Some(OsStr::new("entry.sh")))
        );
        assert!(!is_entry(Some(OsStr::new("/entry.sh/kopia-rs"))) && !is_entry(None));
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(
            arguments(words(&["/m/entry.sh", "restore"])),
            words(&["/m/entry.sh", "mover", "restore"])
        );
        assert_eq!(arguments(words(&["kopia-rs", "ls"])), words(&["kopia-rs", "ls"]));
    }

    #[test]
    fn the_original_is_never_ourselves() {
        let own = std::env::current_exe().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("entry.sh");
        std::os::unix::fs::symlink(&own, &link).unwrap();
        let missing = directory.path().join("missing");
        let log = JobLog::new(&directory.path().join("log"));
        for (path, says) in [(&own, "itself"), (&link, "itself"), (&missing, "not there")] {
            let environment = [("KOPIA_RS_FALLBACK".into(), path.into())].into_iter().collect();
            assert!(become_original(&environment, &[], &log).to_string().contains(says));
        }
        let environment = [("KOPIA_RS_FALLBACK".into(), "bash".into())].into_iter().collect();
        assert!(become_original(&environment, &[], &log).to_string().contains("absolute"));
    }
}
