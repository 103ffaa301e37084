//! `restore` and `snapshot restore`, with kopia's options.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kopia_rs::diagnosis::Class;
use kopia_rs::diagnosis::text::escape;
use kopia_rs::restore::{self, Durability, Existing, Observer, Options, Outcome, Problem};
use kopia_rs::select::Query;
use kopia_rs::{Entry, ObjectId, Repository, Snapshots};

use super::call::{Call, info};
use super::line::Line;
use super::objects;
use super::snapshots::source;
use super::trouble::{self, Flaw, Trouble};
use super::words;
use crate::terminal::signals::{self, Interrupt};
use crate::terminal::time::{self, When};
use crate::wording::attributes::settable;

/// How many problems are named.
const SHOWN: usize = 100;

/// What ends so is an archive to kopia.
const ARCHIVES: [&str; 4] = [".zip", ".tar", ".tar.gz", ".tgz"];

/// Returns what of a line is for kopia.
pub(super) fn for_kopia(line: &Line) -> Option<&'static str> {
    let mode = line.text("mode");
    let is_local = matches!(mode.as_deref(), None | Some("auto" | "local"));
    let is_archive = line.arguments.get(1).is_some_and(|target| {
        let target = target.to_string_lossy();
        ARCHIVES.iter().any(|end| target.ends_with(end))
    });
    let others = [
        (!is_local || is_archive && mode.as_deref() != Some("local"), "restore to an archive"),
        (line.text("shallow").is_some(), "restore --shallow"),
        (line.arguments.len() != 2, "restore of placeholders, or to where a path was"),
        (line.is_on("consistent-attributes", false), "restore --consistent-attributes"),
    ];
    others.into_iter().find_map(|(is_other, words)| is_other.then_some(words))
}

pub(super) fn run(call: &Call) -> Result<(), Trouble> {
    let line = &call.line;
    let (name, target) = (line.argument(0), line.arguments.get(1).map(PathBuf::from));
    let target = std::path::absolute(target.unwrap_or_default())
        .map_err(|error| Trouble::failed(format!("restore can't resolve path: {error}")))?;
    refuse_directory(call, &target)?;
    let options = options(call)?;
    let repository = call.open()?;
    let snapshots =
        repository.snapshots().map_err(|error| Trouble::reading(&error, "unable to load snapshots"))?;
    let shown = line.text("parallel").unwrap_or_else(|| "8".into());
    info(format_args!(
        "Restoring to local filesystem ({}) with parallelism={shown}...",
        escape(&target.to_string_lossy())
    ));
    let entry = find(call, &repository, &snapshots, &name)?;
    let observer = Watch { interrupt: call.interrupt, flaws: Mutex::default() };
    call.interrupt.leaves(signals::UNFINISHED_FOLDER);
    call.interrupt.will_ask();
    let restored = restore::restore_observed(&entry, &target, &options, &observer);
    let outcome = match (restored, call.interrupt.signal()) {
        (Err(restore::Error::Stopped { .. }), Some(signal)) => {
            return Err(Trouble::failed(format!(
                "error restoring: restore error: stopped by {}; the same call goes on from there",
                signals::name(signal)
            )));
        }
        (restored, _) => restored?,
    };
    conclude(call, &outcome, &observer.flaws.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Refuses to write into a folder that has something in it, where that is not wanted.
fn refuse_directory(call: &Call, target: &Path) -> Result<(), Trouble> {
    let has_any = || target.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    match !call.line.is_on("overwrite-directories", true) && has_any() {
        true => Err(Trouble::failed(format!(
            "error restoring: restore error: error copying: non-empty directory already exists, not overwriting it: {}",
            target.display()
        ))),
        false => Ok(()),
    }
}

fn options(call: &Call) -> Result<Options, Trouble> {
    let line = &call.line;
    let is_on = |name| line.is_on(name, false);
    let mut options = Options::default();
    if let Some(text) = line.text("parallel") {
        let odd =
            || Trouble::failed(format!("kopia: error: strconv.ParseInt: parsing {text:?}: invalid syntax"));
        options.parallel = NonZeroUsize::new(text.parse::<usize>().map_err(|_| odd())?.min(1024));
    }
    options.skip_owners = is_on("skip-owners");
    options.skip_permissions = is_on("skip-permissions");
    options.skip_times = is_on("skip-times");
    options.sparse = is_on("write-sparse-files");
    options.delete_extra = is_on("delete-extra");
    if is_on("flush-files") {
        options.sync = Durability::Files;
    }
    // One switch for files and one for links, where there is but one choice here: the careful one counts.
    let may_replace = line.is_on("overwrite-files", true) && line.is_on("overwrite-symlinks", true);
    options.existing = match (is_on("skip-existing"), may_replace) {
        (true, _) => Existing::Skip,
        (false, true) => Existing::Verify,
        (false, false) => Existing::Error,
    };
    Ok(options)
}

/// Finds what is to be restored: an id, or a path that was backed up.
fn find(call: &Call, repository: &Repository, snapshots: &Snapshots, name: &str) -> Result<Entry, Trouble> {
    let head = name.split('/').next().unwrap_or_default();
    let is_id = head.parse::<ObjectId>().is_ok() || snapshots.iter().any(|snapshot| snapshot.id() == head);
    if is_id {
        return objects::entry(repository, snapshots, name, "unable to get filesystem entry");
    }
    let source = source(name, &call.owner())?;
    if source.path.is_empty() {
        return Err(Trouble::failed("the source must contain a path element"));
    }
    let when = call.line.text("snapshot-time").filter(|text| text != "latest");
    let odd = |why| Trouble::failed(format!("Invalid time spec: {why}"));
    let when = when.map(|text| text.parse::<When>().map_err(odd)).transpose()?;
    let whole = source.to_string();
    let query = Query {
        name: &whole,
        at: when.as_ref().and_then(|when| when.at),
        pick: when.as_ref().map(|when| when.pick).unwrap_or_default(),
        now: time::now(),
        ..Query::default()
    };
    let none = format!("no snapshots contain data for {name}");
    let selected = repository.select(&query).map_err(|error| match Class::of(&error) {
        Class::NotFound | Class::Other => Trouble::failed(&none),
        _ => Trouble::reading(&error, &none),
    })?;
    if let Some(snapshot) = &selected.snapshot {
        let time = words::time(&call.line, snapshot.start_time());
        let (path, object) = (selected.path.trim_matches('/'), selected.entry.object());
        info(format_args!(
            "Restoring from\n   Snapshot source: {}\n   Snapshot time: {time}\n   Relative path: {}\n   Object ID: {object}",
            escape(&snapshot.source().to_string()),
            escape(path)
        ));
    }
    Ok(selected.entry)
}

/// Collects what goes wrong, and stops for a signal.
struct Watch<'a> {
    interrupt: &'a Arc<Interrupt>,
    flaws: Mutex<Vec<Flaw>>,
}

impl Observer for Watch<'_> {
    fn stop(&self) -> bool {
        self.interrupt.signal().is_some()
    }

    fn problem(&self, problem: &Problem) {
        let mut flaws = self.flaws.lock().unwrap_or_else(PoisonError::into_inner);
        if flaws.len() < SHOWN {
            flaws.push(Flaw {
                place: problem.path.clone(),
                class: Class::of_reason(&problem.reason),
                why: problem.reason.to_string(),
            });
        }
    }
}

/// Says what was restored, and what was not.
fn conclude(call: &Call, outcome: &Outcome, flaws: &[Flaw]) -> Result<(), Trouble> {
    let line = &call.line;
    let ignores = line.is_on("ignore-errors", false);
    let skipped = if outcome.kept > 0 { format!(", skipped {}", outcome.kept) } else { String::new() };
    let deleted = if outcome.deleted > 0 { format!(", deleted {}", outcome.deleted) } else { String::new() };
    let ignored = match outcome.problem_count {
        count if ignores && count > 0 => format!(", ignored {count} errors"),
        _ => String::new(),
    };
    let summary = format!(
        "Restored {} files, {} directories and {} symbolic links ({}){skipped}{deleted}{ignored}.",
        outcome.files,
        outcome.directories,
        outcome.symlinks,
        words::size(outcome.bytes)
    );
    let named = flaws.iter().map(|flaw| escape(&format!("{}: {}", flaw.place, flaw.why)).into_owned());
    if outcome.problem_count > 0 && !ignores {
        let count = outcome.problem_count;
        let words =
            format!("error restoring: restore error: error copying: {count} entries are not restored");
        let failure = flaws.first().map_or(words.clone(), |first| first.begin(&words));
        let mut lines = trouble::named(&failure, named, count);
        lines.insert(0, failure);
        lines.push(summary);
        return Err(Trouble::Failed(lines));
    }
    if !line.is_on("ignore-permission-errors", true) && !settable(&outcome.notes).is_empty() {
        let lines = ["error restoring: restore error: error copying: unable to set attributes: operation not permitted".into(), summary];
        return Err(Trouble::Failed(lines.into()));
    }
    named.for_each(info);
    info(summary);
    Ok(())
}
