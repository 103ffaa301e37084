//! Which entries below a root are taken, as patterns in the syntax of gitignore(5) say.
//!
//! A [`Choice`] has two lists. An entry is taken if a pattern of the first one (`include`) matches it or a
//! directory that it lies in, or if that list is empty; and if the second one (`exclude`) matches neither. In
//! each list the last pattern that matches decides. Directories on the way to something that is taken are
//! taken with their attributes; those that nothing can match in are not read.
//!
//! [`Choice::among`] looks below roots, so that directories without anything to be taken can be left out, and
//! gives what a [`Walk`](crate::tree::Walk::choosing) takes.
//!
//! ```
//! use kopia_repository::choice::Choice;
//! # use kopia_codec::key::Password;
//! # use kopia_repository::Repository;
//! # use kopia_storage::FilesystemStore;
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! # let repository = Repository::open(FilesystemStore::open(directory)?, &Password::new("golden"))?;
//! let root = repository.snapshots()?.iter().next().expect("there is one").root()?;
//! let mut choice = Choice::default();
//! choice.include("*.txt", false)?;
//! choice.exclude("/cache/", false)?;
//! let chosen = choice.among([&root])?;
//! assert!(chosen.unmatched().is_empty(), "the first pattern matches something");
//! // Hand `chosen` to the options of a restore or an export, or to a walk.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod glob;
mod lines;
mod rule;
mod rules;
mod scope;
mod survey;

use std::sync::Arc;

use crate::{Entry, Error, Result};
pub use rule::BadRule;
use rule::Rule;
use rules::Rules;
pub use scope::{Chosen, Scope};
pub(crate) use scope::{Part, Parts};

/// Patterns of what is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    include: Vec<Rule>,
    exclude: Vec<Rule>,
}

impl Choice {
    /// Adds a pattern of what is taken; with the first one, nothing else is.
    ///
    /// # Errors
    /// [`BadRule`], such as for a bracket that is not closed.
    pub fn include(&mut self, pattern: &str, ignore_case: bool) -> Result<(), BadRule> {
        self.include.push(Rule::new(pattern, ignore_case)?);
        Ok(())
    }

    /// Adds a pattern of what is left out.
    ///
    /// # Errors
    /// As for [`Self::include`].
    pub fn exclude(&mut self, pattern: &str, ignore_case: bool) -> Result<(), BadRule> {
        self.exclude.push(Rule::new(pattern, ignore_case)?);
        Ok(())
    }

    /// Adds the patterns of a file in the form of `.gitignore` to those of what is taken: one a line, without
    /// empty lines and those that begin with `#`.
    ///
    /// # Errors
    /// [`BadRule`] that names the line.
    pub fn include_lines(&mut self, text: &str, ignore_case: bool) -> Result<(), BadRule> {
        lines::patterns(text).try_for_each(|(line, pattern)| {
            self.include(pattern, ignore_case).map_err(|error| error.in_line(line))
        })
    }

    /// As [`Self::include_lines`], for what is left out.
    ///
    /// # Errors
    /// As for [`Self::include_lines`].
    pub fn exclude_lines(&mut self, text: &str, ignore_case: bool) -> Result<(), BadRule> {
        lines::patterns(text).try_for_each(|(line, pattern)| {
            self.exclude(pattern, ignore_case).map_err(|error| error.in_line(line))
        })
    }

    /// Returns whether there are no patterns, so that everything is taken.
    pub fn is_everything(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Looks for what is taken below some roots.
    ///
    /// Without patterns of what is taken, this reads nothing. Otherwise it reads the directories in which
    /// they may match something, each once, however many places it lies in, and keeps some 20 bytes for each, and
    /// some 60 for each entry that is one in which something is taken. Of more than six million of these, directories
    /// are taken in which nothing is. Roots that are no directories are taken whatever the patterns say.
    ///
    /// # Errors
    /// [`Error::NothingChosen`] if no pattern matches anything.
    pub fn among<'e>(&self, roots: impl IntoIterator<Item = &'e Entry>) -> Result<Chosen> {
        let rules = Arc::new(Rules::new(self));
        let roots: Vec<_> = roots.into_iter().collect();
        let chosen = survey::run(rules, &roots);
        if chosen.is_nothing() {
            let patterns = self.include.iter().map(|rule| rule.text().to_owned()).collect();
            return Err(Error::NothingChosen { patterns });
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests;
