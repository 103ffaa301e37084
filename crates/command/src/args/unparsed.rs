//! What a command line asks for that cannot be parsed as a whole.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::CommandFactory;

use super::{Args, habits};

/// The metrics that a command line asks for.
pub(crate) struct Metrics {
    pub(crate) command: OsString,
    pub(crate) file: PathBuf,
    /// All other words and values of options: some of them may be places.
    pub(crate) others: Vec<OsString>,
}

impl Metrics {
    /// Finds the file that `--metrics` names.
    pub(crate) fn of(arguments: &[OsString]) -> Option<Self> {
        let line = habits::spelled_out(arguments);
        let at = place_of_command(&line)?;
        let file = given(&line, "--metrics")?;
        // Such a word is the next option.
        if file.is_empty() || file.as_bytes().starts_with(b"-") {
            return None;
        }
        let words = line.iter().enumerate().skip(1).filter(|(place, _)| *place != at);
        let others = words.map(|(_, word)| value(word)).filter(|word| !std::ptr::eq(*word, file));
        let others = others.map(OsStr::to_owned).collect();
        Some(Self { command: line[at].clone(), file: file.into(), others })
    }
}

/// Finds the command. Where a word that is none stands in its place, that may be the value of an option that is not
/// known, and the command one of those with metrics behind it.
fn place_of_command(line: &[OsString]) -> Option<usize> {
    let at = habits::place_of_command(line)?;
    if Args::command().find_subcommand(&line[at]).is_some() {
        return Some(at);
    }
    let mut later = line.iter().enumerate().skip(at).take_while(|(_, word)| *word != "--");
    later.find(|(_, word)| *word == "restore" || *word == "verify").map(|(place, _)| place)
}

/// Returns the value of an option; behind `--` there is none.
pub(crate) fn given<'a>(arguments: &'a [OsString], name: &str) -> Option<&'a OsStr> {
    arguments.iter().take_while(|argument| *argument != "--").zip(1..).find_map(|(argument, next)| {
        match argument.as_bytes().strip_prefix(name.as_bytes())? {
            b"" => arguments.get(next).map(OsString::as_os_str),
            value => value.strip_prefix(b"=").map(OsStr::from_bytes),
        }
    })
}

/// Returns what follows `=` in a word that begins as an option, and any other word.
fn value(word: &OsStr) -> &OsStr {
    let bytes = word.as_bytes();
    let equals = bytes.iter().position(|byte| *byte == b'=').filter(|_| bytes.starts_with(b"-"));
    equals.map_or(word, |equals| OsStr::from_bytes(&bytes[equals + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn options_are_found_whatever_stands_beside_them() {
        let arguments =
            ["kopia-rs", "mover", "--nonsense", "--a=x y", "--b", "z", "--abc"].map(OsString::from);
        let of = |name| given(&arguments, name).and_then(OsStr::to_str);
        assert_eq!([of("--a"), of("--b"), of("--c"), of("--abc")], [Some("x y"), Some("z"), None, None]);
    }

    #[test]
    fn metrics_are_found_with_the_command_and_all_that_may_be_a_place() {
        for line in
            ["restore a --metrics m t --nonsense --x=y", "snapshot restore a --metrics=m t --nonsense --x=y"]
        {
            let found = Metrics::of(&words(&format!("kopia-rs --repository r {line}"))).unwrap();
            assert_eq!((found.command, found.file), ("restore".into(), "m".into()), "{line}");
            for place in ["r", "a", "t", "y"] {
                assert!(found.others.contains(&place.into()), "{place} in {line}");
            }
            assert!(!found.others.contains(&"m".into()), "{line}");
        }
        // The value of an option that is not known stands before the command.
        for (line, command) in [
            ("--frobnicate r restore a t --metrics m", "restore"),
            ("--frobnicate r snapshot restore a t --metrics m", "restore"),
            ("--frobnicate r --x verify --metrics m", "verify"),
            ("--frobnicate=r cat restore --metrics m", "cat"),
        ] {
            let found = Metrics::of(&words(&format!("kopia-rs {line}"))).unwrap();
            assert_eq!((found.command, found.file), (command.into(), "m".into()), "{line}");
        }
        // The target is called as the file is.
        let same = Metrics::of(&words("kopia-rs restore a --metrics m m")).unwrap();
        assert!(same.others.contains(&"m".into()));
        for line in [
            "restore a t",
            "restore a t --metrics",
            "restore a t --metrics --json",
            "restore a -- --metrics m",
            "--frobnicate r --metrics m -- restore",
        ] {
            assert!(Metrics::of(&words(&format!("kopia-rs {line}"))).is_none(), "{line}");
        }
    }
}
