//! What a restore did, for people and programs.

use std::io::{self, Write};
use std::path::Path;

use kopia_rs::restore::{Notes, Outcome};
use kopia_rs::select::Selection;
use serde::Serialize;

use super::foresight::Requests;
use crate::args;
use crate::terminal::output::{self, count, for_terminal, size, thousands};
use crate::terminal::report::Line;
use crate::wording::stubs;

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Json<'a> {
    /// Absent if an object was named by its id.
    snapshot: Option<SnapshotJson>,
    object: String,
    /// The path below the snapshot's root.
    path: &'a str,
    target: String,
    files: u64,
    folders: u64,
    symlinks: u64,
    bytes: u64,
    kept: u64,
    /// Files and links that are as new as the snapshot's, or newer.
    left_as_new: u64,
    bytes_kept: u64,
    /// Those of `bytesKept` that are in `bytes` as well.
    bytes_reused: u64,
    /// Where what was replaced and deleted is kept, for `undo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_in: Option<String>,
    /// Whether the restore went on from where an interrupted one had stopped.
    resumed: bool,
    deleted: u64,
    mounts_kept: &'a [String],
    restores_kept: &'a [String],
    extras_kept: u64,
    /// What --include and --exclude do not take.
    left_out: u64,
    problem_count: u64,
    /// The first 10,000; `--report` has all.
    problems: Vec<Line<'a>>,
    notes: NotesJson,
    /// Files that stand for others.
    stub_count: u64,
    /// The first 100 of them.
    stubs: Vec<stubs::Json<'a>>,
    /// What the backup itself could not read.
    made_with_failed_files: i64,
    /// What was asked of a store over a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Requests>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct SnapshotJson {
    id: String,
    source: String,
    start_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<String>,
}

impl SnapshotJson {
    /// Returns nothing where an object was named by its id.
    pub(in crate::commands) fn of(selection: &Selection) -> Option<Self> {
        selection.snapshot.as_ref().map(|snapshot| Self {
            id: snapshot.id().into(),
            source: snapshot.source().to_string(),
            start_time: snapshot.start_time().to_string(),
            incomplete: snapshot.manifest().incomplete().map(Into::into),
        })
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct NotesJson {
    owners: u64,
    special_bits: u64,
    modes: u64,
    times: u64,
    names: u64,
    /// Roots of which the server does not tell the attributes.
    guessed: u64,
}

impl From<&Notes> for NotesJson {
    fn from(notes: &Notes) -> Self {
        let Notes { owners, special_bits, modes, times, names, guessed, .. } = *notes;
        Self { owners, special_bits, modes, times, names, guessed }
    }
}

/// Writes one line.
pub(super) fn text(outcome: &Outcome, args: &args::Restore, seconds: f64) -> io::Result<()> {
    let Outcome { bytes, bytes_reused, kept, deleted, resumed, .. } = outcome;
    let target = args.places.target.display().to_string();
    let mut out = output::out();
    let size = size(*bytes);
    if let Some(shard) = args.shard {
        // Directories are made by whoever comes first, and large files are everybody's.
        let (number, of) = (shard.number(), shard.of());
        writeln!(
            out,
            "restored shard {number} of {of}, {size}, to {} in {seconds:.1} s",
            for_terminal(&target)
        )?;
        writeln!(out, "when all are through: restore --finish {of}")?;
        return out.flush();
    }
    let left_out = args.patterns.left_out(outcome.left_out);
    let nothing = outcome.files + outcome.directories + outcome.symlinks + outcome.problem_count + deleted
        == 0
        && outcome.left_as_new == 0;
    if nothing && *kept > 0 && !resumed {
        writeln!(out, "{} is right already: nothing was written", for_terminal(&target))?;
        left_out.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        return out.flush();
    }
    let reused = output::size(*bytes_reused);
    if *resumed && *bytes_reused == 0 {
        writeln!(out, "finished files from the last run kept, checked by hash")?;
    } else if *resumed {
        writeln!(out, "{reused} from the last run kept, checked by hash")?;
    }
    write!(out, "restored {} to {}", restored(outcome), for_terminal(&target))?;
    if *kept > 0 {
        write!(out, ", kept {} that {} right", thousands(*kept), if *kept == 1 { "was" } else { "were" })?;
    }
    write!(out, "{}", left_as_new(outcome.left_as_new, "left"))?;
    if *deleted > 0 {
        write!(out, ", deleted {}", thousands(*deleted))?;
    }
    writeln!(out, " in {seconds:.1} s")?;
    left_out.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    if let Some(kept) = &outcome.kept_in {
        let kept = kept.display().to_string();
        let kept = for_terminal(&kept);
        writeln!(out, "`kopia-rs undo {kept}` puts back what was there; with --forget it deletes that")?;
    }
    if *bytes_reused > 0 && !resumed {
        writeln!(out, "of these files, {reused} were in the target already")?;
    }
    out.flush()
}

/// Says how many stay because the snapshot's are not newer, after what else is counted.
pub(super) fn left_as_new(number: u64, verb: &str) -> String {
    if number == 0 {
        return String::new();
    }
    format!(", {verb} {} that {} as new or newer", thousands(number), if number == 1 { "is" } else { "are" })
}

/// Counts what was restored, leaving out what there is none of.
fn restored(outcome: &Outcome) -> String {
    let Outcome { files, directories, symlinks, bytes, .. } = outcome;
    counted(*files, *directories, *symlinks, *bytes)
}

/// As [`restored`], of any counts.
pub(in crate::commands) fn counted(files: u64, directories: u64, symlinks: u64, bytes: u64) -> String {
    let size = size(bytes);
    let mut parts = Vec::new();
    if files > 0 || directories + symlinks == 0 {
        parts.push(format!("{} ({size})", count(files, "file", "files")));
    }
    if directories > 0 {
        parts.push(count(directories, "folder", "folders"));
    }
    if symlinks > 0 {
        parts.push(count(symlinks, "link", "links"));
    }
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
}

/// Gathers what `--json` prints.
pub(super) fn json<'a>(
    selection: &'a Selection,
    target: &Path,
    outcome: &'a Outcome,
    requests: Option<Requests>,
    seconds: f64,
) -> Json<'a> {
    Json {
        snapshot: SnapshotJson::of(selection),
        object: selection.entry.object().to_string(),
        path: &selection.path,
        target: target.display().to_string(),
        files: outcome.files,
        folders: outcome.directories,
        symlinks: outcome.symlinks,
        bytes: outcome.bytes,
        kept: outcome.kept,
        left_as_new: outcome.left_as_new,
        bytes_kept: outcome.bytes_kept,
        bytes_reused: outcome.bytes_reused,
        kept_in: outcome.kept_in.as_ref().map(|path| path.display().to_string()),
        resumed: outcome.resumed,
        deleted: outcome.deleted,
        mounts_kept: &outcome.mounts_kept,
        restores_kept: &outcome.restores_kept,
        extras_kept: outcome.extras_kept,
        left_out: outcome.left_out,
        problem_count: outcome.problem_count,
        problems: outcome.problems.iter().map(Line::from).collect(),
        notes: NotesJson::from(&outcome.notes),
        stub_count: outcome.stub_count,
        stubs: outcome.stubs.iter().map(|found| stubs::Json::new(&found.path, &found.stub)).collect(),
        made_with_failed_files: selection.entry.summary().map_or(0, |summary| summary.failed),
        requests,
        seconds,
    }
}
