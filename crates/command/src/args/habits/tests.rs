use clap::error::ErrorKind;

use super::tables::{COMMANDS, GROUPS, OPTIONS};
use super::*;

/// What the guide says of the words of others.
const GUIDE: &str = include_str!("../../../../kopia-rs/guide/coming-from.md");

fn words(line: &str) -> Vec<OsString> {
    std::iter::once("kopia-rs").chain(line.split_whitespace()).map(OsString::from).collect()
}

/// What clap makes of a line, or its complaint; help and version are no complaints.
fn parsed(line: &str) -> Result<String, clap::Error> {
    match Args::parse_line(&words(line)) {
        Ok(args) => Ok(format!("{args:?}")),
        Err(shown) if [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion].contains(&shown.kind()) => {
            Ok(shown.to_string())
        }
        Err(error) => Err(error),
    }
}

/// Returns the rows of all tables: what is typed elsewhere, what it is here, and whether that is understood.
fn rows() -> impl Iterator<Item = (Vec<&'static str>, Vec<&'static str>, bool)> {
    let spans = |cell: &'static str| cell.split('`').skip(1).step_by(2).collect::<Vec<_>>();
    GUIDE.lines().filter(|line| line.starts_with("| `")).map(move |line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(|cell| cell.trim()).collect();
        let [theirs, here, understood] = cells[..] else { panic!("three cells: {line}") };
        assert!(["yes", "no"].contains(&understood), "{line}");
        (spans(theirs), spans(here), understood == "yes")
    })
}

#[test]
#[cfg(all(feature = "browse", feature = "export"))]
fn every_command_that_the_guide_names_is_one() {
    for (theirs, here, _) in rows() {
        for line in here {
            let parsed = parsed(line);
            assert!(parsed.is_ok(), "{theirs:?}: {line}: {parsed:?}");
        }
    }
    assert!(rows().count() > 60, "the tables are there");
}

#[test]
#[cfg(all(feature = "browse", feature = "export"))]
fn what_the_guide_says_is_understood_means_the_same() {
    for (theirs, here, _) in rows().filter(|(.., understood)| *understood) {
        for line in theirs {
            let typed = parsed(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(here.iter().any(|here| parsed(here).is_ok_and(|here| here == typed)), "{line}: {typed}");
        }
    }
}

#[test]
#[cfg(all(feature = "browse", feature = "export"))]
fn what_is_not_understood_is_answered() {
    for (theirs, ..) in rows().filter(|(.., understood)| !understood) {
        for line in theirs {
            let Err(error) = parsed(line) else { panic!("{line} is understood") };
            assert!(crate::args::foreign::hint(&error).is_some(), "{line}: {error}");
        }
    }
}

#[test]
fn no_word_of_this_command_changes_its_meaning() {
    let command = Args::command();
    let names: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
    let theirs = COMMANDS
        .iter()
        .map(|(theirs, _)| *theirs)
        .chain(GROUPS.iter().flat_map(|(names, ..)| *names).copied());
    for word in theirs {
        assert!(!names.contains(&word), "{word} is a command");
    }
    let global: Vec<_> = command.get_arguments().collect();
    for habit in OPTIONS {
        let takes = |sub: &&clap::Command| habit.of.is_empty() || sub.get_name() == habit.of;
        for sub in command.get_subcommands().filter(takes) {
            let known = sub.get_arguments().chain(global.iter().copied());
            let names: Vec<_> = known.flat_map(names_of).collect();
            for word in habit.theirs {
                assert!(!names.contains(&(*word).to_owned()), "{} {word} is an option", sub.get_name());
            }
        }
    }
}

/// Returns all names of an option, as they are typed.
fn names_of(arg: &clap::Arg) -> Vec<String> {
    let long = arg.get_long_and_visible_aliases().unwrap_or_default().into_iter();
    let hidden = arg.get_all_aliases().unwrap_or_default().into_iter();
    let short = arg.get_short_and_visible_aliases().unwrap_or_default().into_iter();
    long.chain(hidden).map(|name| format!("--{name}")).chain(short.map(|name| format!("-{name}"))).collect()
}

#[test]
fn options_of_all_commands_may_come_first() {
    let spelled = |line: &str| spelled_out(&words(line)).join(OsStr::new(" ")).into_string().unwrap();
    for (typed, here) in [
        ("-r /repo snap ls -a", "--repository /repo snapshots"),
        ("--repo=/repo --json snapshot", "--repository=/repo --json snapshots"),
        ("--password-file show -q show x", "--password-file show -q cat x"),
        ("snapshots -r /repo", "snapshots --repository /repo"),
        ("ls -lr x -- -r", "ls -lR x -- -r"),
        ("restore latest --target=t -i *.txt", "restore latest --include *.txt t"),
        ("restore latest -t t -- -x", "restore latest t -- -x"),
        ("dump -H host latest /etc/fstab", "cat -H host latest:/etc/fstab"),
        ("dump latest /etc -a zip -t x", "export latest:/etc --format zip x"),
        ("check --read-data-subset 2/5", "verify --shard 1/5"),
        ("check --read-data-subset=1G", "verify --read-data-subset=1G"),
        ("repository connect s3", "connect s3"),
        ("-- show x", "-- show x"),
        ("--help", "--help"),
        ("", ""),
    ] {
        assert_eq!(spelled(typed), format!("kopia-rs {here}").trim_end(), "{typed}");
    }
}
