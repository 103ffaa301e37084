//! The command line as kingpin reads it: options anywhere, `--no-x` for switches, `--x=value` or `--x value`, letters
//! together, `--` before arguments that look like options.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::table::{self, COMMANDS, Command, Flag, GLOBAL};

/// What was given.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The kind of storage, of `repository connect`.
    pub(super) kind: Option<String>,
    flags: Vec<(&'static str, OsString)>,
    pub(super) arguments: Vec<OsString>,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It begins with other words than those of commands that are done here: these.
    Unknown(String),
    /// An option is not known here; what kopia would say of it.
    Flag(String),
    /// Anything else; what kopia says of it.
    Line(String),
    /// Nothing: it asks for the version.
    Version,
    /// Nothing: it asks for help.
    Help,
}

impl Line {
    /// A line with these options.
    #[cfg(test)]
    pub(super) fn of(flags: &[(&'static str, &str)]) -> Self {
        Self { flags: flags.iter().map(|(name, value)| (*name, value.into())).collect(), ..Self::default() }
    }

    /// Returns all values of an option.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &OsStr> {
        self.flags.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value.as_os_str())
    }

    /// Returns the value of an option, the last of several.
    pub(super) fn value(&self, name: &str) -> Option<&OsStr> {
        self.all(name).last()
    }

    /// As [`Self::value`], as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(|value| value.to_string_lossy().into_owned())
    }

    /// Returns whether a switch is on; `default` where it is not given.
    pub(super) fn is_on(&self, name: &str, default: bool) -> bool {
        self.value(name).map_or(default, |value| value == "true")
    }

    /// Returns an argument as text.
    pub(super) fn argument(&self, number: usize) -> String {
        self.arguments.get(number).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Reads a line.
pub(super) fn parse(arguments: &[OsString]) -> Result<(&'static Command, Line), Wrong> {
    let mut rest: VecDeque<OsString> = arguments.iter().cloned().collect();
    let mut line = Line::default();
    let command = words(&mut rest, &mut line)?;
    let mut flags: Vec<Flag> = command.flags.to_vec();
    if table::name(command) == "repository connect" {
        let kind = next_word(&mut rest, &mut line)?;
        let of_kind = kind.as_deref().and_then(table::of_kind);
        match (of_kind, kind) {
            (Some(of_kind), kind) => (flags, line.kind) = (of_kind, kind),
            (None, Some(kind)) => return Err(Wrong::Flag(expected(&kind))),
            (None, None) => {
                return Err(Wrong::Line(
                    "kopia: error: must select a subcommand of 'repository connect', try --help".into(),
                ));
            }
        }
    }
    read(rest, &flags, &mut line)?;
    complete(&flags, &mut line)?;
    let count = line.arguments.len();
    if count < *command.arguments.start() {
        return Err(Wrong::Line(format!(
            "kopia: error: required argument '{}' not provided, try --help",
            command.argument.split(' ').nth(count).unwrap_or_default()
        )));
    }
    if count > *command.arguments.end() {
        let odd = line.arguments[*command.arguments.end()].to_string_lossy();
        return Err(Wrong::Line(format!("kopia: error: unexpected {odd}, try --help")));
    }
    Ok((command, line))
}

fn expected(word: &str) -> String {
    format!("kopia: error: expected command but got {word:?}, try --help")
}

/// Takes the words of a command.
fn words(rest: &mut VecDeque<OsString>, line: &mut Line) -> Result<&'static Command, Wrong> {
    let mut given: Vec<String> = Vec::new();
    loop {
        let Some(word) = next_word(rest, line)? else {
            return Err(Wrong::Unknown(given.join(" ")));
        };
        given.push(word);
        let fits = |command: &&Command| {
            given.iter().zip(command.words).all(|(word, words)| words.contains(&&**word))
        };
        let mut fitting =
            COMMANDS.iter().filter(fits).filter(|command| command.words.len() >= given.len()).peekable();
        if fitting.peek().is_none() {
            return Err(Wrong::Unknown(given.join(" ")));
        }
        if let Some(command) = fitting.find(|command| command.words.len() == given.len()) {
            return Ok(command);
        }
    }
}

/// Takes options of all commands up to the next word.
fn next_word(rest: &mut VecDeque<OsString>, line: &mut Line) -> Result<Option<String>, Wrong> {
    while let Some(token) = rest.pop_front() {
        if !is_option(&token) {
            return Ok(Some(token.to_string_lossy().into_owned()));
        }
        // Options of a command may stand before its words: to kingpin they are unknown there.
        option(&token, rest, &[], line)?;
    }
    Ok(None)
}

fn is_option(token: &OsStr) -> bool {
    token.as_bytes().starts_with(b"-") && token.len() > 1
}

/// Takes what follows the words of a command.
fn read(mut rest: VecDeque<OsString>, flags: &[Flag], line: &mut Line) -> Result<(), Wrong> {
    while let Some(token) = rest.pop_front() {
        if token == "--" {
            line.arguments.extend(rest);
            return Ok(());
        }
        if is_option(&token) { option(&token, &mut rest, flags, line)? } else { line.arguments.push(token) }
    }
    Ok(())
}

/// Takes one option, or several letters.
fn option(
    token: &OsStr,
    rest: &mut VecDeque<OsString>,
    flags: &[Flag],
    line: &mut Line,
) -> Result<(), Wrong> {
    let bytes = token.as_bytes();
    let known = || flags.iter().chain(GLOBAL);
    let Some(long) = bytes.strip_prefix(b"--") else { return letters(&bytes[1..], rest, flags, line) };
    let (name, value) = match long.iter().position(|byte| *byte == b'=') {
        Some(end) => (&long[..end], Some(OsString::from_vec(long[end + 1..].to_vec()))),
        None => (long, None),
    };
    let name = String::from_utf8_lossy(name);
    let positive = name.strip_prefix("no-");
    let found = known().find(|flag| flag.name == name).map(|flag| (flag, "true"));
    let denied =
        || known().find(|flag| flag.is_switch && Some(flag.name) == positive).map(|flag| (flag, "false"));
    let Some((flag, on)) = found.or_else(denied) else {
        return Err(match &*name {
            "version" => Wrong::Version,
            "help" | "help-long" | "help-full" => Wrong::Help,
            _ => Wrong::Flag(format!("kopia: error: unknown long flag '--{name}', try --help")),
        });
    };
    let value = match (flag.is_switch, value) {
        (true, None) => on.into(),
        (true, Some(value)) => {
            return Err(Wrong::Line(format!(
                "kopia: error: unexpected {}, try --help",
                value.to_string_lossy()
            )));
        }
        (false, Some(value)) => value,
        (false, None) => next_value(rest, &format!("--{name}"))?,
    };
    line.flags.push((flag.name, value));
    Ok(())
}

fn letters(
    letters: &[u8],
    rest: &mut VecDeque<OsString>,
    flags: &[Flag],
    line: &mut Line,
) -> Result<(), Wrong> {
    let text = String::from_utf8_lossy(letters);
    for (place, letter) in text.char_indices() {
        let Some(flag) = flags.iter().chain(GLOBAL).find(|flag| flag.short == Some(letter)) else {
            return Err(Wrong::Flag(format!("kopia: error: unknown short flag '-{letter}', try --help")));
        };
        if flag.is_switch {
            line.flags.push((flag.name, "true".into()));
            continue;
        }
        let attached = &text[place + letter.len_utf8()..];
        let value = match attached {
            "" => next_value(rest, &format!("-{letter}"))?,
            attached => attached.into(),
        };
        line.flags.push((flag.name, value));
        break;
    }
    Ok(())
}

/// Takes the value of an option, which must not look like one itself.
fn next_value(rest: &mut VecDeque<OsString>, shown: &str) -> Result<OsString, Wrong> {
    match rest.pop_front() {
        Some(value) if !is_option(&value) => Ok(value),
        _ => Err(Wrong::Line(format!("kopia: error: expected argument for flag '{shown}', try --help"))),
    }
}

/// Takes values from variables, and says which are missing.
fn complete(flags: &[Flag], line: &mut Line) -> Result<(), Wrong> {
    let mut missing = Vec::new();
    for flag in flags.iter().chain(GLOBAL) {
        if line.value(flag.name).is_some() {
            continue;
        }
        let set = flag.variable.and_then(std::env::var_os).filter(|value| !value.is_empty());
        match set {
            Some(value) if flag.is_switch => {
                let is_on = matches!(value.to_str(), Some("1" | "t" | "T" | "TRUE" | "true" | "True"));
                line.flags.push((flag.name, if is_on { "true" } else { "false" }.into()));
            }
            Some(value) => line.flags.push((flag.name, value)),
            None if flag.is_required => missing.push(format!("'--{}'", flag.name)),
            None => {}
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Wrong::Line(format!(
            "kopia: error: required flag(s) {} not provided, try --help",
            missing.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Line), Wrong> {
        let arguments: Vec<_> = text.split_whitespace().map(OsString::from).collect();
        parse(&arguments).map(|(command, line)| (table::name(command), line))
    }

    #[test]
    fn lines_as_tools_write_them() {
        let (name, line) = read("--log-level error snap ls --json a@b:/c -an5 --no-retention").unwrap();
        assert_eq!((&*name, line.argument(0)), ("snapshot list", "a@b:/c".into()));
        assert!(line.is_on("all", false) && !line.is_on("retention", true) && line.is_on("json", false));
        assert_eq!(line.text("max-results").as_deref(), Some("5"));
        let (name, line) =
            read("repo connect s3 --bucket=b --access-key= --secret-access-key= --readonly").unwrap();
        assert_eq!((&*name, line.kind.as_deref()), ("repository connect", Some("s3")));
        assert_eq!(
            (line.text("access-key").as_deref(), line.text("bucket").as_deref()),
            (Some(""), Some("b"))
        );
        let (_, line) =
            read("repository connect rclone --remote-path r:p --rclone-args=--config=/c --rclone-args=-v")
                .unwrap();
        assert_eq!(line.all("rclone-args").collect::<Vec<_>>(), ["--config=/c", "-v"]);
        assert_eq!(read("show -- -x").unwrap().1.argument(0), "-x");
        let (name, line) =
            read("--profile-cpu --profile-memory-rate 5 show --no-profile-store-on-exit k1").unwrap();
        assert_eq!((&*name, line.argument(0)), ("show", "k1".into()));
    }

    #[test]
    fn what_is_wrong_is_said_in_kopias_words() {
        let line = |text: &str| Err::<(), _>(Wrong::Line(format!("kopia: error: {text}, try --help")));
        let flag = |text: &str| Err::<(), _>(Wrong::Flag(format!("kopia: error: {text}, try --help")));
        let unknown = |text: &str| Err::<(), _>(Wrong::Unknown(text.into()));
        for (text, wrong) in [
            ("repository status --frob", flag("unknown long flag '--frob'")),
            ("repository connect nix", flag("expected command but got \"nix\"")),
            ("repository connect filesystem", line("required flag(s) '--path' not provided")),
            ("repository connect filesystem --path --readonly", line("expected argument for flag '--path'")),
            ("show", line("required argument 'object-path' not provided")),
            ("show a b", line("unexpected b")),
            ("snapshot list --json=false", line("unexpected false")),
            ("ls -x k1", flag("unknown short flag '-x'")),
            ("snapshot create /data --json", unknown("snapshot create")),
            ("repository", unknown("repository")),
            ("", unknown("")),
            ("--version", Err(Wrong::Version)),
            ("--no-progress repository status --version", Err(Wrong::Version)),
            ("snapshot list --help --json", Err(Wrong::Help)),
            ("--help-full", Err(Wrong::Help)),
            // kopia knows it in its own tests.
            (
                "--ignore-missing-required-features ls k1",
                flag("unknown long flag '--ignore-missing-required-features'"),
            ),
        ] {
            assert_eq!(read(text).map(|_| ()), wrong, "{text}");
        }
    }

    #[test]
    fn no_two_options_of_a_command_have_one_name() {
        for command in COMMANDS {
            let all: Vec<_> = command.flags.iter().chain(GLOBAL).map(|flag| flag.name).collect();
            let unique: std::collections::BTreeSet<_> = all.iter().collect();
            assert_eq!(unique.len(), all.len(), "{}", table::name(command));
        }
    }
}
