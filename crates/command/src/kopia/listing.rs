//! `ls`: a folder, as kopia lists it.

use std::io::Write;
use std::ops::ControlFlow;

use kopia_rs::diagnosis::text::escape;
use kopia_rs::{Entry, EntryKind};

use super::call::{Call, info};
use super::objects;
use super::snapshots::mode;
use super::trouble::Trouble;
use super::words;
use crate::terminal::output::{self, Out};

/// How deep folders may lie, so that a damaged repository ends somewhere.
const DEEPEST: usize = 1000;

pub(super) fn run(call: &Call) -> Result<(), Trouble> {
    let name = call.line.argument(0);
    let repository = call.open()?;
    let doing = "unable to get filesystem directory entry";
    let snapshots = repository.snapshots().map_err(|error| Trouble::reading(&error, doing))?;
    let directory = objects::directory(&repository, &snapshots, &name, doing)?;
    let prefix = match call.line.is_on("long", false) {
        true => String::new(),
        false => format!("{}/", name.trim_end_matches('/')),
    };
    let mut out = output::out();
    list(call, &directory, &prefix, 0, &mut out)?;
    Ok(out.flush()?)
}

fn list(call: &Call, directory: &Entry, prefix: &str, depth: usize, out: &mut Out) -> Result<(), Trouble> {
    let failed = |error| Trouble::reading(&error, "error reading directory");
    if depth > DEEPEST {
        return Err(Trouble::failed("error reading directory: folders lie too deep"));
    }
    let mut entries = Vec::new();
    let mut refused = Vec::new();
    let ended = directory.for_each(|entry| {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(one) => refused.push(one),
        }
        ControlFlow::Continue(())
    });
    let summary = ended.map_err(failed)?.continue_value().flatten();
    let is_recursive = call.line.is_on("recursive", false);
    for entry in &entries {
        writeln!(out, "{}", output::for_terminal(&line(call, entry, prefix)))?;
        if is_recursive && entry.kind() == EntryKind::Directory {
            list(call, entry, &format!("{prefix}{}/", entry.name()), depth + 1, out)?;
        }
    }
    for one in &refused {
        out.flush()?;
        info(format_args!("{}{} is not listed: {}", escape(prefix), escape(&one.name), one.why));
    }
    let failed = summary.iter().flat_map(|summary| &summary.errors);
    if call.line.is_on("error-summary", true) && summary.as_ref().is_some_and(|summary| summary.failed > 0) {
        out.flush()?;
        let count = summary.as_ref().map_or(0, |summary| summary.failed);
        info(format_args!("\nNOTE: Encountered {count} errors while snapshotting this directory:\n"));
        failed.for_each(|one| {
            info(format_args!("- Error in \"{}\": {}", escape(&one.path), escape(&one.error)))
        });
    }
    Ok(())
}

fn line(call: &Call, entry: &Entry, prefix: &str) -> String {
    let is_on = |name| call.line.is_on(name, false);
    let suffix = if entry.kind() == EntryKind::Directory { "/" } else { "" };
    let name = match is_on("long") || is_on("recursive") {
        true => format!("{prefix}{}{suffix}", entry.name()),
        false => entry.name().to_owned(),
    };
    let below = entry.summary().map(|summary| summary.failed).filter(|failed| *failed > 0);
    let errors = below.map(|failed| format!(" ({failed} errors)")).unwrap_or_default();
    let object = entry.object().to_string();
    if is_on("long") {
        let size = match entry.summary() {
            Some(summary) if entry.kind() == EntryKind::Directory => summary.size,
            _ => i64::try_from(entry.size()).unwrap_or(i64::MAX),
        };
        let size = if is_on("human-readable") { words::bytes(size) } else { size.to_string() };
        // Of a folder, kopia shows when something in it was modified last.
        let within = entry.summary().filter(|_| entry.kind() == EntryKind::Directory);
        let modified = within.map_or_else(|| entry.modified(), |summary| summary.max_time);
        let time = words::time(&call.line, modified);
        return format!("{} {size:>12} {time} {object:<34} {name}{errors}", mode(entry.kind(), entry.mode()));
    }
    if is_on("show-object-id") { format!("{object:<34} {name}{errors}") } else { format!("{name}{errors}") }
}
