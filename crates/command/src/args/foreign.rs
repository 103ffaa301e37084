//! Words of kopia, restic, rustic and tar that this command does not have, and what to use instead. What it has by
//! another name is understood (`habits`).

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::terminal::output::log_line;

/// Words that mean the same, with what to use instead.
type Answer = (&'static [&'static str], &'static str);

/// Commands, each with what to use instead.
const COMMANDS: &[Answer] = &[
    (&["sources"], "`kopia-rs snapshots` lists snapshots, by source"),
    (&["history", "versions"], "`kopia-rs log PATH` shows all versions of a file or folder"),
    (
        &["get", "extract"],
        "`kopia-rs restore WHAT TARGET` restores; `cat WHAT` writes a file's bytes, `export` packs a folder",
    ),
    (&["search", "locate", "grep"], "`kopia-rs find PATTERN` looks for names, in all snapshots or in some"),
    (&["compare"], "`kopia-rs diff WHAT OTHER` compares snapshots, or a snapshot and a folder"),
    (&["server", "web", "webdav", "ui"], "`kopia-rs serve` shows snapshots in a web browser and by WebDAV"),
    (&["tui", "explore"], "`kopia-rs browse` walks through snapshots and folders on the terminal"),
    (&["tar", "zip", "archive"], "`kopia-rs export WHAT FILE.tar.zst` writes an archive"),
    (
        &["content", "blob"],
        "`kopia-rs verify` checks that all of them can be read; `packs WHAT` lists what a restore reads",
    ),
    (
        &["index", "manifest", "object", "session", "logs"],
        "`kopia-rs status` and `doctor` show what the repository is; `kopia` shows its inner parts",
    ),
    (
        &["estimate"],
        "`kopia-rs du WHAT` and `stats` show sizes; `restore --dry-run` what a restore would write",
    ),
    (&["cache"], "nothing is cached unless --cache DIR says where; `rm -r DIR` empties it"),
    (&["info", "usage"], "`kopia-rs status` shows what the repository holds, `stats` what snapshots take"),
    (
        &["connect", "disconnect", "reconnect"],
        "nothing has to be connected: give --repository WHERE, or nothing at all where kopia is connected",
    ),
    (&["completion", "autocomplete"], "`kopia-rs completions` prints what a shell needs"),
    (&["manual", "docs"], "`kopia-rs man` writes manual pages, --help shows what a command takes"),
    (
        &["backup", "create", "tag", "pin"],
        "kopia-rs never writes to a repository: use `kopia snapshot create PATH`, or `kopia snapshot pin ID`",
    ),
    (
        &["forget", "delete", "expire"],
        "kopia-rs never writes to a repository: use `kopia snapshot expire`, or `kopia snapshot delete ID`",
    ),
    (
        &["prune", "gc", "maintenance"],
        "kopia-rs never writes to a repository: use `kopia maintenance run --full`",
    ),
    (&["init"], "kopia-rs never writes to a repository: use `kopia repository create`"),
    (&["policy"], "kopia-rs never writes to a repository: use `kopia policy set`, or `kopia policy show`"),
    (
        &["repair", "recover", "rebuild-index"],
        "kopia-rs never writes to a repository: `doctor` finds what is wrong, --degraded reads what is left; use \
         `kopia index recover` or `kopia snapshot fix`",
    ),
    (
        &["copy", "sync", "sync-to", "merge", "copy-history", "move-history"],
        "kopia-rs never writes to a repository: use `kopia repository sync-to` or `kopia snapshot copy-history`",
    ),
    (
        &[
            "fix",
            "rewrite",
            "migrate",
            "key",
            "passwd",
            "change-password",
            "set-parameters",
            "set-client",
            "config",
        ],
        "kopia-rs never writes to a repository: use `kopia snapshot fix`, `kopia repository change-password` or \
         `kopia repository set-parameters`",
    ),
    (&["unlock"], "kopia has no locks that a reader would wait for: nothing has to be unlocked"),
    (
        &["user", "users", "acl", "notification", "throttle", "benchmark"],
        "that is a matter of kopia's own: use `kopia` for it",
    ),
    (&["self-update", "generate", "options", "features"], "--help describes what there is"),
];

/// Commands that this build was made without.
const LEFT_OUT: &[Answer] = &[
    #[cfg(not(feature = "browse"))]
    (
        &["find", "log", "gone", "diff", "du", "stats", "packs"],
        "this build is without it; the feature `browse` adds it",
    ),
    #[cfg(not(target_os = "linux"))]
    (&["mount"], "only Linux has it; `ls`, `cat` and `restore` need no mount"),
    #[cfg(all(target_os = "linux", not(feature = "mount")))]
    (
        &["mount"],
        "this build is without it; the feature `mount` adds it, and `ls`, `cat` and `restore` need none",
    ),
    #[cfg(not(feature = "export"))]
    (&["export"], "this build is without it; the feature `export` adds it"),
    #[cfg(not(feature = "terminal-browser"))]
    (
        &["browse"],
        "this build is without it; the feature `terminal-browser` adds it, and `ls` and `cat` show the same",
    ),
    #[cfg(not(feature = "serve"))]
    (&["serve"], "this build is without it; the feature `serve` adds it"),
    #[cfg(not(feature = "kopia-words"))]
    (&["kopia"], "this build is without it; the feature `kopia-words` adds it"),
    #[cfg(not(feature = "describe"))]
    (&["completions", "man", "schema"], "this build is without it; the feature `describe` adds it"),
];

/// Options, each with what to use instead.
const OPTIONS: &[Answer] = &[
    (
        &["--include", "--exclude", "--iinclude", "--iexclude", "-i", "-e", "--glob", "--iglob"],
        "restore, export, verify, packs and ls take --include and --exclude, written out; of find, the pattern is \
         the first argument",
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
        &["--host", "--tag", "--user", "-H", "--all", "-a", "--source-path"],
        "name a source, user@host:/path; what chooses among several takes --host, --user, --source-path and --tag",
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
    (&["--target", "-t"], "the target is the last argument: restore WHAT TARGET, export WHAT FILE"),
    (
        &["--mode"],
        "`kopia-rs export WHAT FILE` writes a tar or zip; `kopia-rs stats` counts all that restic's modes do",
    ),
    (&["--shallow", "--shallow-minsize"], "there are no placeholders: --include and --exclude take a part"),
    (
        &["--consistent-attributes"],
        "leave it out: every attribute that could not be set is counted; --strict-attributes fails",
    ),
    (&["--verify"], "leave it out: --existing verify is the default, and a second run checks all of TARGET"),
    (
        &["--max-errors", "--file-parallelism", "--file-queue-length", "--directory-id", "--file-id"],
        "leave it out: verify reads everything on all cores, and names every error; an object's id is a WHAT",
    ),
    (
        &["--delta", "-d", "--storage-stats", "--retention", "--mtime", "--owner"],
        "leave it out: `kopia-rs log PATH` shows how it grew, `stats` what it takes, --json all that kopia wrote down",
    ),
    (
        &["--group-by", "-g", "--compact", "-c", "--long"],
        "leave it out: snapshots are listed by source, a line each",
    ),
    (
        &["--reconnect-token", "--reconnect-token-with-password"],
        "`kopia repository status` shows tokens; --token takes one",
    ),
    (&["--ncdu"], "`kopia-rs du WHAT --ncdu` writes what ncdu reads"),
    (&["--read-data-subset"], "say --percent 10, or --shard 0/5 for the first of five parts"),
    (
        &["--blob", "--tree", "--pack", "--show-pack-id"],
        "`kopia-rs packs WHAT` lists packs; `verify` names what damage costs",
    ),
    (
        &["--no-content", "--diff-command"],
        "`kopia-rs diff --text` shows lines, by the program that KOPIA_DIFF names",
    ),
    (&["--exclude-xattr", "--include-xattr"], "leave it out: kopia does not back up extended attributes"),
    (
        &["--iinclude-file", "--iexclude-file"],
        "write the patterns to --iinclude and --iexclude, or take --include-from",
    ),
    (&["--overwrite"], "that is --existing overwrite, verify, skip or error, or --newer"),
    (
        &["--verbose", "-v", "--log-level", "--log-file", "--log-dir"],
        "leave it out: what matters is said; -q is the opposite",
    ),
    (
        &["--show-misses", "--numeric-uid-gid", "--reverse", "-R"],
        "leave it out: `find` shows every version once, newest first",
    ),
];

/// Shows an error of the command line, with what to use instead of a word that other programs have, and
/// exits.
pub(crate) fn exit(error: Error) -> ! {
    let Some(hint) = hint(&error) else { error.exit() };
    // What clap adds is about words that look alike, and about values that begin with a hyphen.
    let text = error.render().to_string();
    let lines: Vec<_> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    log_line(lines.join(" "));
    log_line(format_args!("hint: {hint}"));
    std::process::exit(error.exit_code());
}

pub(super) fn hint(error: &Error) -> Option<&'static str> {
    let (kind, words): (_, &[&[Answer]]) = match error.kind() {
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, &[LEFT_OUT, COMMANDS]),
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, &[OPTIONS]),
        ErrorKind::MissingRequiredArgument => return of_devices(error),
        _ => return None,
    };
    let Some(ContextValue::String(word)) = error.get(kind) else { return None };
    words.iter().copied().flatten().find(|(names, _)| names.contains(&&**word)).map(|(_, hint)| *hint)
}

/// Returns what to use instead of an option of devices, where there is no device: restic has `--verify` as well.
fn of_devices(error: &Error) -> Option<&'static str> {
    let Some(ContextValue::Strings(names)) = error.get(ContextKind::InvalidArg) else { return None };
    let is_device = matches!(&names[..], [name] if name.starts_with("--device "));
    is_device.then_some(
        "leave it out: into a folder, --existing verify is the default, and a second run checks all of TARGET",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_of(arguments: &str) -> Option<&'static str> {
        let arguments = std::iter::once("kopia-rs").chain(arguments.split_whitespace());
        let arguments: Vec<_> = arguments.map(Into::into).collect();
        hint(&crate::args::Args::parse_line(&arguments).unwrap_err())
    }

    #[test]
    fn words_of_other_programs_have_an_answer() {
        for (arguments, answer) in [
            ("snapshot create /etc", "kopia snapshot create"),
            ("repository connect s3", "nothing has to be connected"),
            ("prune", "kopia-rs never writes to a repository: use `kopia maintenance"),
            ("search x", "kopia-rs find"),
            ("compare a b", "kopia-rs diff"),
            ("tui", "kopia-rs browse"),
            #[cfg(not(feature = "terminal-browser"))]
            ("browse latest", "the feature `terminal-browser`"),
            #[cfg(not(feature = "mount"))]
            ("mount latest", "need none"),
            ("tar x", "kopia-rs export"),
            ("server start", "kopia-rs serve"),
            #[cfg(not(feature = "serve"))]
            ("serve", "the feature `serve`"),
            ("status -e c", "written out"),
            ("status --password x", "never an argument"),
            ("status --use-keyring", "the key ring is asked"),
            ("status --bucket x", "s3://bucket/prefix"),
            ("snapshots --flat", "leave it out"),
            ("restore latest t --verify", "leave it out: into a folder"),
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
