//! `export --dry-run`: how much it would be.

use std::collections::HashSet;
use std::io::Write;

use kopia_rs::EntryKind;
use kopia_rs::export::{self, Options, Outcome, Root};
use kopia_rs::restore::{Figures, Plan};
use serde::Serialize;

use crate::args;
use crate::commands::restore::result::counted;
use crate::commands::restore::{stopped_at, sum_up};
use crate::commands::several::joined;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::session::needed::reading;
use crate::terminal::output::{self, escape, log_line, thousands};
use crate::terminal::progress::{Kinds, SHOWN, of_export};
use crate::terminal::report::{Line, Report};

/// What `--json` prints.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    files: u64,
    folders: u64,
    symlinks: u64,
    bytes: u64,
    packs: u64,
    /// What is read of the packs, files that do not fit into the window once.
    bytes_to_read: u64,
    left_out: u64,
    problem_count: u64,
    problems: Vec<Line<'a>>,
}

impl Json<'_> {
    fn add(&mut self, root: &Root, options: &Options, figures: &Figures) {
        self.files += figures.files;
        // The root is counted, which has no entry of its own without attributes.
        let has_none = root.entry.kind() == EntryKind::Directory && !root.attributes;
        self.folders += figures.directories - u64::from(has_none).min(figures.directories);
        self.symlinks += figures.symlinks;
        self.bytes += figures.bytes;
        if options.salvage {
            self.files += figures.partial_files;
            self.bytes += figures.partial_bytes;
        }
        self.bytes_to_read += figures.bytes_to_read;
        self.left_out += figures.left_out;
        self.problem_count += figures.problem_count;
    }

    /// Takes off what has no place in such an archive.
    fn refuse(&mut self, refused: &Outcome) {
        self.files = self.files.saturating_sub(refused.files);
        self.folders = self.folders.saturating_sub(refused.directories);
        self.symlinks = self.symlinks.saturating_sub(refused.symlinks);
        self.bytes = self.bytes.saturating_sub(refused.bytes);
        self.problem_count += refused.problem_count;
    }
}

/// Returns where a problem of what is planned below a root lies in the archive.
fn path_of(root: &Root, path: &str) -> String {
    // A file or link has that path itself.
    let is_leaf = root.entry.kind() != EntryKind::Directory && !root.path.is_empty();
    if is_leaf { root.path.clone() } else { joined(&root.path, path).into_owned() }
}

pub(super) fn run(
    session: &Session,
    (roots, options): (&[Root], &Options),
    args: &args::Export,
    report: Option<Report>,
) -> Result<Exit, Failure> {
    let (mut json, mut packs, mut problems) = (Json::default(), HashSet::new(), Vec::new());
    for root in roots {
        let mut reading = reading(root.chosen.clone());
        reading.max_depth = args.max_depth;
        let plan = Plan::new(&root.entry, &reading)?;
        let mut figures = plan.figures()?;
        for problem in &mut figures.problems {
            problem.path = path_of(root, &problem.path);
        }
        // Of files and links that are lost as well the figures have said that.
        let refused = export::refused(root, options);
        json.add(root, options, &figures);
        json.refuse(&refused);
        if roots.len() == 1 {
            json.packs = figures.packs;
        } else {
            packs.extend(plan.packs(&figures)?.into_iter().map(|pack| pack.blob));
            json.packs = packs.len() as u64;
        }
        problems.extend(figures.problems);
        problems.extend(refused.problems.iter().map(of_export));
    }
    let mut kinds = Kinds::default();
    for (number, problem) in problems.iter().enumerate() {
        kinds.add(problem);
        if let Some(report) = &report {
            report.push(&Line::from(problem));
        }
        if (number as u64) < SHOWN {
            log_line(format_args!("error: {}", escape(&problem.to_string())));
        }
    }
    let more = json.problem_count.saturating_sub(SHOWN.min(problems.len() as u64));
    if more > 0 {
        log_line(format_args!("error: … and {} more", thousands(more)));
    }
    report.map_or(Ok(()), Report::finish)?;
    let (problem_count, left) = (json.problem_count, json.left_out);
    let written = if session.json {
        json.problems = problems.iter().map(Line::from).collect();
        output::json(&json)
    } else {
        let entries = counted(json.files, json.folders, json.symlinks, json.bytes);
        let left_out = args.patterns.left_out(left);
        let mut out = output::out();
        writeln!(out, "would export {entries}")
            .and_then(|()| left_out.iter().try_for_each(|line| writeln!(out, "{line}")))
            .and_then(|()| out.flush())
    };
    Failure::unless_shown(written)?;
    if problem_count == 0 {
        return Ok(Exit::Complete);
    }
    if args.fail_fast {
        return Err(stopped_at(problems.first(), "export"));
    }
    sum_up(session, problem_count, 0, kinds, args.report.is_some());
    Ok(Exit::Partial)
}
