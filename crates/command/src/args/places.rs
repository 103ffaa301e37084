//! Arguments of which all but the last are things to read, and the last is where they go.
//!
//! clap takes options between the two only where both are one list. Help and messages show two all the same.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::builder::OsStringValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use kopia_rs::diagnosis::text::as_stored as stored;

/// The list, as clap knows it.
const LIST: &str = "places";

const WHAT: &str = "<WHAT>...";
const ABOUT_WHAT: &str = "What to read: `latest`, user@host:/path or a part of it, an id, each with \
                          /a/path/below. Several go into one place, each by the last name of its path";

/// The last argument of a command.
struct Last {
    command: &'static str,
    name: &'static str,
    /// As messages and usage write it.
    shown: &'static str,
    about: &'static str,
    is_required: bool,
}

const TARGET: Last = Last {
    command: "restore",
    name: "TARGET",
    shown: "<TARGET>",
    about: "Where to restore to: a folder's contents go into it; a file or link becomes it, or goes into it \
            if it is a folder or ends in /. Of several WHAT each goes into it by the last name of its path",
    is_required: true,
};

#[cfg(feature = "export")]
const FILE: Last = Last {
    command: "export",
    name: "FILE",
    shown: "[FILE]",
    about: "Where to write the archive to: a file, or - for standard output, as without it. Of several \
            arguments the last is FILE",
    is_required: false,
};

/// Things to read, one or several, and the TARGET that they go to.
#[derive(Debug, Clone, Default)]
pub(crate) struct IntoTarget {
    pub(crate) what: Vec<String>,
    pub(crate) target: PathBuf,
}

/// Things to read, one or several, and the FILE that they go to; it may be left out where there is one thing.
#[cfg(feature = "export")]
#[derive(Debug, Clone, Default)]
pub(crate) struct IntoFile {
    pub(crate) what: Vec<String>,
    pub(crate) file: Option<PathBuf>,
}

impl Last {
    fn usage(&self) -> String {
        format!("kopia-rs {} [OPTIONS] {WHAT} {}", self.command, self.shown)
    }

    /// Adds the list to a command.
    fn add(&self, command: Command) -> Command {
        let list = Arg::new(LIST).value_name("WHAT").help(ABOUT_WHAT).num_args(1..).action(ArgAction::Append);
        command.arg(list.value_parser(OsStringValueParser::new())).override_usage(self.usage())
    }

    /// Describes two arguments in place of the list, for help alone.
    fn show(&self, command: Command) -> Command {
        let shown = |id, name, about| Arg::new(id).value_name(name).help(about);
        let rest = Arg::new("rest").num_args(0..).hide(true);
        command
            .mut_arg(LIST, |_| shown(LIST, "WHAT", ABOUT_WHAT).required(true))
            .arg(shown("last", self.name, self.about).required(self.is_required))
            .arg(rest)
    }

    /// Takes the whole list for things to read.
    fn all(&self, matches: &ArgMatches) -> Result<Vec<String>, Error> {
        let list: Vec<&OsString> = matches.get_many(LIST).into_iter().flatten().collect();
        if list.is_empty() {
            return Err(self.missing([WHAT].into_iter()));
        }
        Ok(list.into_iter().map(|what| stored(what.as_bytes())).collect())
    }

    /// Splits the last of the list off, if that is needed.
    fn split(&self, matches: &ArgMatches) -> Result<(Vec<String>, Option<PathBuf>), Error> {
        let mut list: Vec<&OsString> = matches.get_many(LIST).into_iter().flatten().collect();
        let last = if self.is_required || list.len() > 1 { list.pop() } else { None };
        if list.is_empty() {
            // What is there is the thing.
            let what = if last.is_some() { None } else { Some(WHAT) };
            let last = self.is_required.then_some(self.shown);
            return Err(self.missing(what.into_iter().chain(last)));
        }
        if last.is_some_and(|last| last.is_empty()) {
            return Err(self.empty());
        }
        Ok((list.into_iter().map(|what| stored(what.as_bytes())).collect(), last.map(PathBuf::from)))
    }

    fn missing(&self, names: impl Iterator<Item = &'static str>) -> Error {
        let names = names.map(str::to_owned).collect();
        let mut error = Error::new(ErrorKind::MissingRequiredArgument);
        error.insert(ContextKind::InvalidArg, ContextValue::Strings(names));
        let usage = format!("Usage: kopia-rs {} {WHAT} {}", self.command, self.shown);
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage.into()));
        error
    }

    fn empty(&self) -> Error {
        let mut error = Error::new(ErrorKind::InvalidValue);
        let name = format!("<{}>", self.name);
        error.insert(ContextKind::InvalidArg, ContextValue::String(name));
        error.insert(ContextKind::InvalidValue, ContextValue::String(String::new()));
        error
    }
}

/// Has the help of a whole command line show two arguments where there is one list.
pub(super) fn show(command: Command) -> Command {
    let command = command.mut_subcommand(TARGET.command, |command| TARGET.show(command));
    #[cfg(feature = "export")]
    let command = command.mut_subcommand(FILE.command, |command| FILE.show(command));
    command
}

/// Returns whether an option names what takes the place of TARGET.
fn has_disk(matches: &ArgMatches) -> bool {
    ["device", "image"].iter().any(|id| matches.try_contains_id(id).unwrap_or(false))
}

impl FromArgMatches for IntoTarget {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        // Where things were is where they go: each argument is a WHAT.
        if matches.get_flag("in_original_place") || has_disk(matches) {
            return Ok(Self { what: TARGET.all(matches)?, target: PathBuf::new() });
        }
        let (what, target) = TARGET.split(matches)?;
        Ok(Self { what, target: target.unwrap_or_default() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for IntoTarget {
    fn augment_args(command: Command) -> Command {
        TARGET.add(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(feature = "export")]
impl FromArgMatches for IntoFile {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let (what, file) = FILE.split(matches)?;
        Ok(Self { what, file })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(feature = "export")]
impl Args for IntoFile {
    fn augment_args(command: Command) -> Command {
        FILE.add(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(line: &str) -> Result<(Vec<String>, PathBuf), String> {
        let home = Arg::new("in_original_place").long("in-original-place").action(ArgAction::SetTrue);
        let command = IntoTarget::augment_args(Command::new("x").arg(Arg::new("o").long("o")).arg(home));
        let arguments = std::iter::once("x").chain(line.split(' ').filter(|word| !word.is_empty()));
        let matches = command.try_get_matches_from(arguments).map_err(|error| error.to_string())?;
        let places = IntoTarget::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        Ok((places.what, places.target))
    }

    #[test]
    fn the_last_is_the_target_wherever_options_stand() {
        for line in
            ["a b t", "a --o 1 b t", "a b --o 1 t", "--o 1 a b t", "a b t --o 1", "a -- b t", "-- a b t"]
        {
            assert_eq!(target(line), Ok((vec!["a".into(), "b".into()], "t".into())), "{line}");
        }
        assert_eq!(target("a -- -t"), Ok((vec!["a".into()], "-t".into())));
        assert_eq!(target("a --in-original-place b"), Ok((vec!["a".into(), "b".into()], "".into())));
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |line| target(line).unwrap_err();
        assert!(
            missing("a").contains("not provided:\n  <TARGET>\n\nUsage: kopia-rs restore <WHAT>... <TARGET>")
        );
        assert!(missing("a --o 1").contains("not provided:\n  <TARGET>\n"));
        assert!(missing("").contains("not provided:\n  <WHAT>...\n  <TARGET>\n"));
    }

    #[cfg(feature = "export")]
    #[test]
    fn of_several_the_last_is_the_file() {
        let file = |line: &str| {
            let command = IntoFile::augment_args(Command::new("x"));
            let matches = command.try_get_matches_from(line.split(' ')).unwrap();
            IntoFile::from_arg_matches(&matches).map(|places| (places.what.len(), places.file))
        };
        assert_eq!(file("x a").unwrap(), (1, None));
        assert_eq!(file("x a f").unwrap(), (1, Some("f".into())));
        assert_eq!(file("x a b -").unwrap(), (2, Some("-".into())));
        assert!(file("x").unwrap_err().to_string().contains("not provided:\n  <WHAT>...\n"));
    }
}
