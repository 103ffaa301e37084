//! `export --dry-run`: how much it would be.

use std::collections::HashSet;
use std::io::Write;

use kopia_rs::EntryKind;
use kopia_rs::export::Root;
use kopia_rs::restore::{Figures, Plan};
use serde::Serialize;

use crate::args;
use crate::commands::restore::result::counted;
use crate::commands::restore::sum_up;
use crate::commands::several::joined;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::session::needed::reading;
use crate::terminal::output::{self, escape, log_line, thousands};
use crate::terminal::progress::{Kinds, SHOWN};
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
    fn add(&mut self, root: &Root, figures: &Figures) {
        self.files += figures.files;
        // The root is counted, which has no entry of its own without attributes.
        let has_none = root.entry.kind() == EntryKind::Directory && !root.attributes;
        self.folders += figures.directories - u64::from(has_none).min(figures.directories);
        self.symlinks += figures.symlinks;
        self.bytes += figures.bytes;
        self.bytes_to_read += figures.bytes_to_read;
        self.left_out += figures.left_out;
        self.problem_count += figures.problem_count;
    }
}

pub(super) fn run(
    session: &Session,
    roots: &[Root],
    args: &args::Export,
    report: Option<Report>,
) -> Result<Exit, Failure> {
    let (mut json, mut packs, mut problems) = (Json::default(), HashSet::new(), Vec::new());
    for root in roots {
        let mut options = reading(root.chosen.clone());
        options.max_depth = args.max_depth;
        let plan = Plan::new(&root.entry, &options)?;
        let figures = plan.figures()?;
        json.add(root, &figures);
        if roots.len() == 1 {
            json.packs = figures.packs;
        } else {
            packs.extend(plan.packs(&figures)?.into_iter().map(|pack| pack.blob));
            json.packs = packs.len() as u64;
        }
        problems.extend(figures.problems.into_iter().map(|mut problem| {
            problem.path = joined(&root.path, &problem.path).into_owned();
            problem
        }));
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
    written.map_err(Failure::output).or_else(Failure::unless_reader_left)?;
    if problem_count == 0 {
        return Ok(Exit::Complete);
    }
    sum_up(session, problem_count, 0, kinds, args.report.is_some());
    Ok(Exit::Partial)
}
