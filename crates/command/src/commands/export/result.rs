//! What an export did, for people and programs.

use std::io::{self, Write};
use std::path::Path;

use kopia_rs::export::{Format, Outcome};
use kopia_rs::restore::Problem;
use kopia_rs::select::Selection;
use serde::Serialize;

use crate::commands::restore::foresight::Requests;
use crate::commands::restore::result::{SnapshotJson, counted};
use crate::commands::several::Part;
use crate::terminal::output::{self, for_terminal, log_line, size};
use crate::terminal::progress::of_export;
use crate::terminal::report::Line;
use crate::wording::stubs;

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Json<'a> {
    /// What was exported, if that is one thing.
    #[serde(flatten)]
    one: Option<PartJson<'a>>,
    /// What was exported, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PartJson<'a>>,
    /// The file, or `-` for standard output.
    target: String,
    format: &'static str,
    files: u64,
    folders: u64,
    symlinks: u64,
    /// Of the files.
    bytes: u64,
    /// Of the archive.
    archive_bytes: u64,
    problem_count: u64,
    /// The first 10,000; `--report` has all.
    problems: Vec<serde_json::Value>,
    /// Names that were not UTF-8 when they were backed up.
    names: u64,
    /// Names in a zip that Windows takes for something else.
    foreign_names: u64,
    /// What --include and --exclude do not take.
    left_out: u64,
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

/// One thing that was exported.
#[derive(Debug, Serialize)]
struct PartJson<'a> {
    /// Absent if an object was named by its id.
    snapshot: Option<SnapshotJson>,
    object: String,
    /// The path below the snapshot's root.
    path: &'a str,
    /// Its path in the archive, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

impl<'a> PartJson<'a> {
    fn of((place, selection): (usize, &'a Selection), parts: &'a [Part]) -> Self {
        Self {
            snapshot: SnapshotJson::of(selection),
            object: selection.entry.object().to_string(),
            path: &selection.path,
            name: parts.iter().find(|part| part.place == place).and_then(|part| part.name.as_deref()),
        }
    }
}

/// Says what was written, in one sentence.
pub(super) fn sentence(outcome: &Outcome, file: &Path, seconds: f64) -> String {
    let Outcome { files, directories, symlinks, bytes, archive_bytes, .. } = outcome;
    let entries = counted(*files, *directories, *symlinks, *bytes);
    format!("exported {entries} to {} ({}) in {seconds:.1} s", file.display(), size(*archive_bytes))
}

/// Writes one line.
pub(super) fn text(outcome: &Outcome, file: &Path, seconds: f64) -> io::Result<()> {
    let mut out = output::out();
    writeln!(out, "{}", for_terminal(&sentence(outcome, file, seconds)))?;
    out.flush()
}

/// Writes JSON to standard error, in one line.
pub(super) fn to_stderr(json: &Json<'_>) -> io::Result<()> {
    log_line(serde_json::to_string(json)?);
    Ok(())
}

/// Gathers what `--json` prints.
pub(super) fn json<'a>(
    (selections, parts): (&'a [Selection], &'a [Part]),
    file: Option<&Path>,
    format: Format,
    outcome: &'a Outcome,
    requests: Option<Requests>,
    seconds: f64,
) -> Json<'a> {
    let problems: Vec<Problem> = outcome.problems.iter().map(of_export).collect();
    let line = |problem| serde_json::to_value(Line::from(problem)).unwrap_or_default();
    let name = Format::NAMES.iter().find(|(_, known)| *known == format).map_or("", |(name, _)| *name);
    let failed = |selection: &Selection| selection.entry.summary().map_or(0, |summary| summary.failed);
    let mut named: Vec<_> = selections.iter().enumerate().map(|named| PartJson::of(named, parts)).collect();
    Json {
        one: if named.len() == 1 { named.pop() } else { None },
        parts: named,
        target: file.map_or("-".into(), |file| file.display().to_string()),
        format: name,
        files: outcome.files,
        folders: outcome.directories,
        symlinks: outcome.symlinks,
        bytes: outcome.bytes,
        archive_bytes: outcome.archive_bytes,
        problem_count: outcome.problem_count,
        problems: problems.iter().map(line).collect(),
        names: outcome.names,
        foreign_names: outcome.foreign_names,
        left_out: outcome.left_out,
        stub_count: outcome.stub_count,
        stubs: outcome.stubs.iter().map(|found| stubs::Json::new(&found.path, &found.stub)).collect(),
        made_with_failed_files: selections.iter().map(failed).sum(),
        requests,
        seconds,
    }
}
