//! Words of kopia, restic and tar that this command does not have, and what to use instead.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::terminal::output::log_line;

/// Words that mean the same, with what to use instead.
type Answer = (&'static [&'static str], &'static str);

/// Commands, each with what to use instead.
const COMMANDS: &[Answer] = &[
    (
        &["snapshot", "snap", "list", "sources"],
        "`kopia-rs snapshots` lists snapshots; `restore`, `verify` and `ls` are commands of their own",
    ),
    (&["history", "versions"], "`kopia-rs log PATH` shows all versions of a file or folder"),
    (
        &["show", "dump", "get"],
        "`kopia-rs cat WHAT` writes a file's bytes, `kopia-rs ls WHAT` lists a folder, `export` packs it",
    ),
    (&["search", "locate", "grep"], "`kopia-rs find PATTERN` looks for names, in all snapshots or in some"),
    (&["compare"], "`kopia-rs diff WHAT OTHER` compares snapshots, or a snapshot and a folder"),
    (&["mount", "browse", "tui"], "there is none yet; `ls`, `cat` and `restore` need no mount"),
    (&["server", "web", "webdav", "ui"], "`kopia-rs serve` shows snapshots in a web browser and by WebDAV"),
    (&["tar", "zip", "archive"], "`kopia-rs export WHAT FILE.tar.zst` writes an archive"),
    (&["check", "content"], "`kopia-rs verify` checks that everything can be read"),
    (&["info", "usage"], "`kopia-rs status` shows what the repository holds, `stats` what snapshots take"),
    (
        &["repository", "repo", "connect", "init"],
        "nothing has to be connected: give --repository WHERE, or nothing at all where kopia is connected",
    ),
    (&["completion", "autocomplete"], "`kopia-rs completions` prints what a shell needs"),
    (&["manual", "docs"], "`kopia-rs man` writes manual pages, --help shows what a command takes"),
    (
        &[
            "backup",
            "create",
            "policy",
            "maintenance",
            "gc",
            "delete",
            "forget",
            "prune",
            "repair",
            "copy",
            "sync",
        ],
        "kopia-rs only reads repositories; kopia changes them",
    ),
];

/// Commands that this build was made without.
const LEFT_OUT: &[Answer] = &[
    #[cfg(not(feature = "browse"))]
    (
        &["find", "log", "gone", "diff", "du", "stats", "packs"],
        "this build is without it; the feature `browse` adds it",
    ),
    #[cfg(not(feature = "export"))]
    (&["export"], "this build is without it; the feature `export` adds it"),
    #[cfg(not(feature = "serve"))]
    (&["serve"], "this build is without it; the feature `serve` adds it"),
    #[cfg(not(feature = "describe"))]
    (&["completions", "man", "schema"], "this build is without it; the feature `describe` adds it"),
];

/// Options, each with what to use instead.
const OPTIONS: &[Answer] = &[
    (
        &["--include", "--exclude", "--iinclude", "--iexclude", "-i", "-e"],
        "restore, export, verify, packs and ls take --include and --exclude, written out",
    ),
    (
        &["--password", "-p"],
        "a password is never an argument: use KOPIA_PASSWORD, --password-file, --password-command or the prompt",
    ),
    (
        &["--use-keyring", "--use-keychain", "--no-use-keyring", "--no-use-keychain"],
        "leave it out: the key ring is asked where there is no other password, unless KOPIA_USE_KEYRING=false",
    ),
    (
        &["--bucket", "--container", "--url", "--remote-path", "--folder-id"],
        "that is part of the place, as in --repository s3://bucket/prefix; `connections --kinds` lists all",
    ),
    (
        &[
            "--flat",
            "--read-only",
            "--readonly",
            "--embed-credentials",
            "--list-parallelism",
            "--atomic-writes",
            "--rclone-debug",
            "--rclone-nowait-for-transfers",
            "--cache-directory",
            "--no-check-for-updates",
            "--enable-actions",
        ],
        "leave it out: to a reader it means nothing",
    ),
    (
        &["--host", "--path", "--tag", "--user", "-H", "--all", "-a"],
        "name a source, user@host:/path, or as the repository a place: --repository sftp://user@host/path",
    ),
    (&["--tags"], "that is --tag KEY=VALUE"),
    (&["--ownership-by-name"], "that is --owners-by-name"),
    (
        &["--numeric-id", "--numeric-owner", "--numeric-ids"],
        "leave it out: owners are numbers, unless --owners-by-name is given",
    ),
    (
        &["--usermap", "--groupmap", "--chown"],
        "that is --owner-map and --group-map, or --as-uid and --as-gid",
    ),
    (&["--update"], "that is --newer"),
    (&["--target", "-t"], "the target is the last argument: restore WHAT TARGET"),
];

/// Shows an error of the command line, with what to use instead of a word that other programs have, and
/// exits.
pub(crate) fn exit(error: Error) -> ! {
    let Some(hint) = hint(&error) else { error.exit() };
    // What clap adds is about words that look alike, and about values that begin with a hyphen.
    let text = error.render().to_string();
    log_line(text.lines().next().unwrap_or_default());
    log_line(format_args!("hint: {hint}"));
    std::process::exit(error.exit_code());
}

fn hint(error: &Error) -> Option<&'static str> {
    let (kind, words): (_, &[&[Answer]]) = match error.kind() {
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, &[LEFT_OUT, COMMANDS]),
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, &[OPTIONS]),
        _ => return None,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else { return None };
    words.iter().copied().flatten().find(|(names, _)| names.contains(&&**word)).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn hint_of(arguments: &str) -> Option<&'static str> {
        let arguments = std::iter::once("kopia-rs").chain(arguments.split_whitespace());
        hint(&crate::args::Args::try_parse_from(arguments).unwrap_err())
    }

    #[test]
    fn words_of_other_programs_have_an_answer() {
        for (arguments, answer) in [
            ("snapshot list", "kopia-rs snapshots"),
            ("search x", "kopia-rs find"),
            ("compare a b", "kopia-rs diff"),
            ("mount latest", "no mount"),
            ("show x", "kopia-rs cat"),
            ("dump x", "kopia-rs cat"),
            ("tar x", "kopia-rs export"),
            ("server start", "kopia-rs serve"),
            #[cfg(not(feature = "serve"))]
            ("serve", "the feature `serve`"),
            ("restore a b -e c", "written out"),
            ("status --password x", "never an argument"),
            ("status --use-keyring", "the key ring is asked"),
            ("status --bucket x", "s3://bucket/prefix"),
            ("snapshots --flat", "leave it out"),
            #[cfg(not(feature = "browse"))]
            ("find x", "the feature `browse`"),
            #[cfg(not(feature = "export"))]
            ("export latest", "the feature `export`"),
        ] {
            assert!(hint_of(arguments).is_some_and(|hint| hint.contains(answer)), "{arguments}");
        }
        assert_eq!([hint_of("nonsense"), hint_of("ls x --nonsense"), hint_of("restore x")], [None; 3]);
    }
}
