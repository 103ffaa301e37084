//! `export --dry-run`: how much it would be.

use std::io::Write;

use kopia_rs::choice::Chosen;
use kopia_rs::restore::Plan;
use kopia_rs::select::Selection;
use serde::Serialize;

use crate::args;
use crate::commands::restore::result::counted;
use crate::commands::restore::sum_up;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::session::needed::reading;
use crate::terminal::output::{self, escape, log_line, thousands};
use crate::terminal::progress::{Kinds, SHOWN};
use crate::terminal::report::{Line, Report};

/// What `--json` prints.
#[derive(Debug, Serialize)]
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

pub(super) fn run(
    session: &Session,
    selection: &Selection,
    args: &args::Export,
    chosen: Option<Chosen>,
    report: Option<Report>,
) -> Result<Exit, Failure> {
    let mut options = reading(chosen);
    options.max_depth = args.max_depth;
    let figures = Plan::new(&selection.entry, &options)?.figures()?;
    let mut kinds = Kinds::default();
    for (number, problem) in figures.problems.iter().enumerate() {
        kinds.add(problem);
        if let Some(report) = &report {
            report.push(&Line::from(problem));
        }
        if (number as u64) < SHOWN {
            log_line(format_args!("error: {}", escape(&problem.to_string())));
        }
    }
    let more = figures.problem_count.saturating_sub(SHOWN.min(figures.problems.len() as u64));
    if more > 0 {
        log_line(format_args!("error: … and {} more", thousands(more)));
    }
    report.map_or(Ok(()), Report::finish)?;
    let written = if session.json {
        output::json(&Json {
            files: figures.files,
            folders: figures.directories,
            symlinks: figures.symlinks,
            bytes: figures.bytes,
            packs: figures.packs,
            bytes_to_read: figures.bytes_to_read,
            left_out: figures.left_out,
            problem_count: figures.problem_count,
            problems: figures.problems.iter().map(Line::from).collect(),
        })
    } else {
        let entries = counted(figures.files, figures.directories, figures.symlinks, figures.bytes);
        let left_out = args.patterns.left_out(figures.left_out);
        let mut out = output::out();
        writeln!(out, "would export {entries}")
            .and_then(|()| left_out.iter().try_for_each(|line| writeln!(out, "{line}")))
            .and_then(|()| out.flush())
    };
    written.map_err(Failure::output).or_else(Failure::unless_reader_left)?;
    if figures.problem_count == 0 {
        return Ok(Exit::Complete);
    }
    sum_up(session, figures.problem_count, 0, kinds, args.report.is_some());
    Ok(Exit::Partial)
}
