//! `restore --dry-run`: what would happen.

use std::io::{self, Write};

use kopia_rs::cold::Step;
use kopia_rs::diagnosis::{LocalPath, space};
use kopia_rs::restore::{self, Action, Change, Preview};
use serde::Serialize;

use super::foresight::{self, Requests};
use super::job::Job;
use super::{result, room};
use crate::args;
use crate::commands::several::joined;
use crate::error::{Exit, Failure};
use crate::session::{Session, archive};
use crate::terminal::output::{self, count, escape, for_terminal, log_line, size, thousands};
use crate::terminal::progress::{Kinds, SHOWN};
use crate::terminal::report::{Line, Report};
use crate::wording::advice::sentence;

/// One entry, a line.
#[derive(Debug, Serialize)]
struct Json<'a> {
    action: &'static str,
    path: &'a str,
    /// `directory` or `file`; what is deleted may be anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    bytes: u64,
}

/// The last line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sum<'a> {
    action: &'static str,
    written: u64,
    bytes: u64,
    folders: u64,
    kept: u64,
    /// Files and links that are as new or newer.
    left_as_new: u64,
    deleted: u64,
    mounts_kept: &'a [String],
    restores_kept: &'a [String],
    extras_kept: u64,
    left_out: u64,
    /// How many bytes must be free, at most and at least, and how many are.
    room: u64,
    least_room: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    free: Option<u64>,
    /// How many inodes must be free at least, and how many are.
    least_inodes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_inodes: Option<u64>,
    problems: Vec<Line<'a>>,
    /// What the restore asks for over a network, as into an empty folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Requests>,
    /// What of it lies in an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<archive::Json>,
}

pub(super) fn run(session: &Session, job: &Job, report: Option<Report>) -> Result<Exit, Failure> {
    let (args, name) = (&job.args, job.name.as_deref().unwrap_or_default());
    let target = &*args.places.target;
    let foreseen = foresight::foresee(session, job.parts.iter(), args.prices.as_ref())?;
    let cold = foreseen.as_ref().map(|foreseen| &foreseen.cold).filter(|cold| !cold.is_empty());
    if let (Some(report), Some(cold)) = (&report, cold) {
        archive::write_report(report, cold);
    }
    let store = session.repository.store();
    if let Some(cold) = cold.filter(|cold| cold.step() != Step::Files) {
        // Nothing more can be known before these can be read.
        report.map_or(Ok(()), Report::finish)?;
        if session.json {
            let json = serde_json::json!({ "archive": session.archive.json(store, cold) });
            Failure::unless_shown(output::json(&json))?;
        }
        return Err(session.archive.foresee(store, cold));
    }
    let mut out = io::BufWriter::new(output::out());
    let mut written = Ok(());
    let mut preview = Preview::default();
    for (entry, options) in &job.parts {
        preview.add(restore::preview(entry, target, options, |change| {
            if written.is_ok() {
                let path = joined(name, &change.path);
                written = write(&mut out, session.json, change, &path);
            }
        })?);
    }
    if let Some(finding) = space::loses_attributes(&LocalPath::look(target)) {
        session.note(&sentence(&finding));
    }
    let mut kinds = Kinds::default();
    for problem in &preview.problems {
        kinds.add(problem);
        if let Some(report) = &report {
            report.push(&Line::from(problem));
        }
    }
    let problems = preview.problem_count;
    tell_problems(session, &preview, name);
    let requests = foreseen.as_ref().and_then(|foreseen| foreseen.requests);
    let archive = cold.map(|cold| session.archive.json(store, cold));
    let written = written
        .and_then(|()| sum(&mut out, session.json, &preview, args, (requests, archive)))
        .and_then(|()| out.flush());
    // The exit status says what the restore would find, whether or not somebody reads the list to its end.
    Failure::unless_shown(written)?;
    report.map_or(Ok(()), Report::finish)?;
    if let Some(failure) = room::failure(&preview, args) {
        return Err(failure);
    }
    if let Some(cold) = cold {
        return Err(session.archive.foresee(store, cold));
    }
    if problems == 0 {
        return Ok(super::conclude_attributes(&preview.notes, args));
    }
    if args.fail_fast {
        return Err(super::stopped_at(preview.problems.first(), "restore"));
    }
    super::sum_up(session, problems, preview.undeleted, kinds, args.report.is_some());
    Ok(Exit::Partial)
}

/// Names what could not be restored, up to a number, and what would stay.
pub(super) fn tell_problems(session: &Session, preview: &Preview, name: &str) {
    let named = SHOWN.min(preview.problems.len() as u64);
    for problem in preview.problems.iter().take(named as usize) {
        let path = joined(name, &problem.path).into_owned();
        let problem = restore::Problem { path, ..problem.clone() };
        log_line(format_args!("error: {}", escape(&problem.to_string())));
    }
    if preview.problem_count > named {
        log_line(format_args!("error: … and {} more", thousands(preview.problem_count - named)));
    }
    if preview.doubtful_names > 0 {
        let verb = if preview.doubtful_names == 1 { "has" } else { "have" };
        session.note(&format!(
            "{} {verb} a backslash or colon in the name, which the target may take for something else: the restore \
             tries that, and refuses such names then",
            count(preview.doubtful_names, "entry", "entries")
        ));
    }
    warn_of_missing(session);
    super::note_kept(session, &preview.mounts_kept, &preview.restores_kept, preview.extras_kept);
}

/// Warns of packs that are not there. Which files need them is not known without reading lists of pieces.
/// A server has none to be missed.
fn warn_of_missing(session: &Session) {
    if session.repository.server().is_some() {
        return;
    }
    match session.repository.missing_packs() {
        Ok(missing) if missing.is_empty() => {}
        Ok(missing) => {
            let packs = count(missing.len() as u64, "pack is", "packs are");
            let them = if missing.len() == 1 { "it" } else { "them" };
            log_line(format_args!(
                "warning: {packs} missing: files that need {them} cannot be restored; `kopia-rs verify` \
                 names such files"
            ));
        }
        Err(error) => {
            let error = error.to_string();
            log_line(format_args!("warning: whether packs are missing is not known: {}", escape(&error)));
        }
    }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Write => "write",
        Action::Replace => "replace",
        Action::Change => "change",
        Action::Keep => "keep",
        Action::Leave => "leave",
        Action::Delete => "delete",
        _ => "other",
    }
}

fn write(out: &mut impl Write, json: bool, change: &Change, path: &str) -> io::Result<()> {
    let action = word(change.action);
    if json {
        let kind = match (change.action, change.directory) {
            (Action::Delete, _) => None,
            (_, true) => Some("folder"),
            (_, false) => Some("file"),
        };
        serde_json::to_writer(&mut *out, &Json { action, path, kind, bytes: change.bytes })?;
        writeln!(out)
    } else {
        let slash = if change.directory { "/" } else { "" };
        writeln!(out, "{action:<8}{}{slash}", for_terminal(path))
    }
}

fn sum(
    out: &mut impl Write,
    json: bool,
    preview: &Preview,
    args: &args::Restore,
    (requests, archive): (Option<Requests>, Option<archive::Json>),
) -> io::Result<()> {
    let Preview { written, bytes, directories, kept, left_as_new, deleted, .. } = preview;
    if json {
        let sum = Sum {
            action: "sum",
            written: *written,
            bytes: *bytes,
            folders: *directories,
            kept: *kept,
            left_as_new: *left_as_new,
            deleted: *deleted,
            mounts_kept: &preview.mounts_kept,
            restores_kept: &preview.restores_kept,
            extras_kept: preview.extras_kept,
            left_out: preview.left_out,
            room: preview.room,
            least_room: preview.least_room,
            free: preview.free,
            least_inodes: preview.least_inodes,
            free_inodes: preview.free_inodes,
            problems: preview.problems.iter().map(Line::from).collect(),
            requests,
            archive,
        };
        serde_json::to_writer(&mut *out, &sum)?;
        return writeln!(out);
    }
    let target = args.places.target.display().to_string();
    writeln!(
        out,
        "would write {} ({}) and make {} in {}, keep {}{}, delete {}",
        count(*written, "file or link", "files and links"),
        size(*bytes),
        count(*directories, "folder", "folders"),
        for_terminal(&target),
        thousands(*kept),
        result::left_as_new(*left_as_new, "leave"),
        thousands(*deleted),
    )?;
    if let Some(line) = args.patterns.left_out(preview.left_out) {
        writeln!(out, "{line}")?;
    }
    if let Some(requests) = requests {
        writeln!(out, "it takes {}", requests.words())?;
    }
    room::of_preview(preview, args).map_or(Ok(()), |line| writeln!(out, "{line}"))
}
