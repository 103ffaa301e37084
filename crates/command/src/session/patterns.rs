//! From patterns to what is taken below an entry.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use kopia_rs::choice::{Choice, Chosen};
use kopia_rs::diagnosis::Class;
use kopia_rs::{Entry, Error};

use super::Session;
use crate::args::{Given, List, Patterns};
use crate::error::Failure;
use crate::terminal::output::{escape, log_line};

/// The most that is read of a file of patterns, in bytes.
const LONGEST: u64 = 16 << 20;

/// How many patterns that match nothing are named.
const NAMED: usize = 10;

/// Reads patterns, in the order in which they were given.
fn choice(patterns: &Patterns) -> Result<Choice, Failure> {
    let mut choice = Choice::default();
    for (list, given) in patterns.given() {
        let added = match (list, given) {
            (List::Include, Given::Pattern(text, ignore_case)) => choice.include(text, *ignore_case),
            (List::Exclude, Given::Pattern(text, ignore_case)) => choice.exclude(text, *ignore_case),
            (List::Include, Given::File(file)) => choice.include_lines(&read(file)?, false),
            (List::Exclude, Given::File(file)) => choice.exclude_lines(&read(file)?, false),
        };
        added.map_err(|error| {
            let place = match given {
                Given::File(file) => format!("{}: ", escape(&file.to_string_lossy())),
                Given::Pattern(..) => String::new(),
            };
            Failure::usage(format!("{place}{error}"))
        })?;
    }
    Ok(choice)
}

fn read(file: &Path) -> Result<String, Failure> {
    let failed = |why: &str| {
        Failure::failed(format!("the patterns in {} cannot be read: {why}", escape(&file.to_string_lossy())))
    };
    let system = |error: std::io::Error| failed(&error.to_string()).with_class(Class::of_io(&error));
    let mut text = String::new();
    let opened = File::open(file).map_err(system)?;
    let length = opened.take(LONGEST + 1).read_to_string(&mut text);
    match length.map_err(system)? as u64 {
        length if length > LONGEST => Err(failed("it has more than 16 MiB").with_class(Class::Usage)),
        _ => Ok(text),
    }
}

impl Session {
    /// Finds out what is taken below some entries; nothing stands for everything.
    pub(crate) fn chosen(&self, patterns: &Patterns, roots: &[&Entry]) -> Result<Option<Chosen>, Failure> {
        let choice = choice(patterns)?;
        if choice.is_everything() {
            return Ok(None);
        }
        let chosen = choice.among(roots.iter().copied()).map_err(|error| match error {
            Error::NothingChosen { .. } => Failure::from(error).hint(
                "patterns begin at WHAT, not at the root of its source; `kopia-rs find` looks for names",
            ),
            error => error.into(),
        })?;
        for pattern in chosen.unmatched().iter().take(NAMED) {
            log_line(format_args!("warning: --include {} matches nothing", escape(pattern)));
        }
        let more = chosen.unmatched().len().saturating_sub(NAMED);
        if more > 0 {
            log_line(format_args!("warning: nor do {more} more patterns match anything"));
        }
        Ok(Some(chosen))
    }
}
