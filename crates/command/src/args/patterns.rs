//! The options that say which files are taken.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

use super::values::as_stored;
use crate::terminal::output::count;

/// The heading in the help.
const FILES: &str = "Which files";

/// Which of the two lists something belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    Include,
    Exclude,
}

/// What was given of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Given {
    /// A pattern, and whether case is ignored.
    Pattern(String, bool),
    /// A file of patterns.
    File(PathBuf),
}

/// What was given, in the order of the command line: of patterns the last one that matches counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns(Vec<(List, Given)>);

impl Patterns {
    /// Returns what was given, in its order.
    pub(crate) fn given(&self) -> &[(List, Given)] {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says how much was not taken; nothing where no patterns were given.
    pub(crate) fn left_out(&self, number: u64) -> Option<String> {
        let number = count(number, "entry", "entries");
        (!self.is_empty()).then(|| format!("{number} left out by {}", self.named()))
    }

    /// Names the options that were used, for people.
    fn named(&self) -> &'static str {
        let has = |list| self.0.iter().any(|(given, _)| *given == list);
        match (has(List::Include), has(List::Exclude)) {
            (true, true) => "--include and --exclude",
            (true, false) => "--include",
            (false, _) => "--exclude",
        }
    }
}

/// The options as clap knows them.
#[derive(Debug, Args)]
struct Options {
    /// Take only what matches PATTERN, with the folders that it lies in. As in .gitignore: * ? [a-z] stand for
    /// what is in a name, ** for folders, / at the end for folders alone; with another / it begins at WHAT,
    /// else anywhere. The last pattern that matches counts; !PATTERN takes back.
    #[arg(help_heading = FILES, long, value_name = "PATTERN", value_parser = as_stored())]
    include: Vec<String>,
    /// Leave out what matches PATTERN, also of what --include takes.
    #[arg(help_heading = FILES, long, value_name = "PATTERN", value_parser = as_stored())]
    exclude: Vec<String>,
    /// As --include, with upper and lower case as one.
    #[arg(help_heading = FILES, hide_short_help = true, long, value_name = "PATTERN", value_parser = as_stored())]
    iinclude: Vec<String>,
    /// As --exclude, with upper and lower case as one.
    #[arg(help_heading = FILES, hide_short_help = true, long, value_name = "PATTERN", value_parser = as_stored())]
    iexclude: Vec<String>,
    /// As --include for each line of FILE, which is written as .gitignore is.
    #[arg(help_heading = FILES, hide_short_help = true, long, value_name = "FILE")]
    include_from: Vec<PathBuf>,
    /// As --exclude for each line of FILE.
    #[arg(help_heading = FILES, hide_short_help = true, long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,
}

impl Args for Patterns {
    fn augment_args(command: Command) -> Command {
        Options::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Options::augment_args_for_update(command)
    }
}

impl FromArgMatches for Patterns {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let places = |id| matches.indices_of(id).into_iter().flatten();
        let Options { include, exclude, iinclude, iexclude, include_from, exclude_from } =
            Options::from_arg_matches(matches)?;
        let mut given = Vec::new();
        for (id, list, ignore_case, patterns) in [
            ("include", List::Include, false, include),
            ("exclude", List::Exclude, false, exclude),
            ("iinclude", List::Include, true, iinclude),
            ("iexclude", List::Exclude, true, iexclude),
        ] {
            let pattern = |text| (list, Given::Pattern(text, ignore_case));
            given.extend(places(id).zip(patterns.into_iter().map(pattern)));
        }
        for (id, list, files) in
            [("include_from", List::Include, include_from), ("exclude_from", List::Exclude, exclude_from)]
        {
            given.extend(places(id).zip(files.into_iter().map(|file| (list, Given::File(file)))));
        }
        given.sort_by_key(|(place, _)| *place);
        Ok(Self(given.into_iter().map(|(_, given)| given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stay_in_their_order_whatever_option_gives_them() {
        let command = Patterns::augment_args(Command::new("x"));
        let line = "x --exclude a --iinclude b --exclude-from f --exclude !c --include d";
        let matches = command.try_get_matches_from(line.split(' ')).unwrap();
        let patterns = Patterns::from_arg_matches(&matches).unwrap();
        let pattern = |text: &str, ignore_case| Given::Pattern(text.into(), ignore_case);
        let expected = [
            (List::Exclude, pattern("a", false)),
            (List::Include, pattern("b", true)),
            (List::Exclude, Given::File("f".into())),
            (List::Exclude, pattern("!c", false)),
            (List::Include, pattern("d", false)),
        ];
        assert_eq!(patterns.given(), expected);
        assert_eq!(patterns.named(), "--include and --exclude");
    }
}
