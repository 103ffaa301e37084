//! Words of kopia, restic and rustic, each with what it is called here.

/// What an option of others is here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Here {
    /// This option, with the same value if it has one.
    Named(&'static str),
    /// These words, in place of an option without a value; none where it is so in any case.
    Words(&'static [&'static str]),
    /// What its value says; nothing if it says something that cannot be said here.
    Valued(fn(&str) -> Option<Vec<String>>),
    /// Its value as the last argument.
    Last,
}

/// Options of others that mean the same.
#[derive(Debug)]
pub(super) struct Habit {
    /// The command that takes them here; empty for all commands.
    pub(super) of: &'static str,
    pub(super) theirs: &'static [&'static str],
    pub(super) here: Here,
}

/// Commands of one word.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    ("check", "verify"),
    ("dump", "cat"),
    ("list", "ls"),
    ("repoinfo", "status"),
    ("show", "cat"),
    ("version", "--version"),
];

/// Words that have commands below them, what they are alone, and those commands.
type Group = (&'static [&'static str], &'static str, &'static [(&'static str, &'static str)]);

pub(super) const GROUPS: &[Group] = &[
    (&["snapshot", "snap"], "snapshots", &[("list", "snapshots"), ("ls", "snapshots")]),
    (&["repository", "repo"], "status", &[]),
];

/// Options, those of one command before those of all.
pub(super) const OPTIONS: &[Habit] = &[
    habit("snapshots", &["-i"], Here::Named("--incomplete")),
    habit("snapshots", &["--tags"], Here::Named("--tag")),
    // All sources are shown, each snapshot with its id.
    habit(
        "snapshots",
        &["--all", "-a", "--manifest-id", "-m", "--show-identical", "-l", "--human-readable"],
        Here::Words(&[]),
    ),
    habit("ls", &["--error-summary", "-e"], Here::Words(&[])),
    habit("ls", &["-r"], Here::Named("-R")),
    habit("restore", &["--target", "-t"], Here::Last),
    habit("restore", &["-i"], Here::Named("--include")),
    habit("restore", &["-e"], Here::Named("--exclude")),
    habit("restore", &["--include-file"], Here::Named("--include-from")),
    habit("restore", &["--exclude-file"], Here::Named("--exclude-from")),
    habit("restore", &["--delete"], Here::Named("--delete-extra")),
    habit("restore", &["--snapshot-time"], Here::Named("--at")),
    habit("restore", &["--ownership-by-name"], Here::Named("--owners-by-name")),
    habit("restore", &["--no-ownership"], Here::Named("--skip-owners")),
    habit("restore", &["--write-sparse-files"], Here::Named("--sparse")),
    habit("restore", &["--flush-files"], Here::Words(&["--sync", "files"])),
    habit("restore", &["--skip-existing"], Here::Words(&["--existing", "skip"])),
    habit("restore", &["--no-overwrite-files"], Here::Words(&["--existing", "error"])),
    habit("restore", &["-n"], Here::Named("--dry-run")),
    habit("restore", &["--overwrite"], Here::Valued(overwrite)),
    // So it is in any case.
    habit(
        "restore",
        &[
            "--overwrite-files",
            "--overwrite-symlinks",
            "--overwrite-directories",
            "--write-files-atomically",
            "--ignore-permission-errors",
            "--ignore-errors",
            "--numeric-id",
            "--verify-existing",
        ],
        Here::Words(&[]),
    ),
    habit("export", &["--archive", "-a"], Here::Named("--format")),
    habit("export", &["--target", "-t"], Here::Last),
    habit("verify", &["--verify-files-percent"], Here::Named("--percent")),
    habit("verify", &["--sources"], Here::Last),
    habit("verify", &["--read-data-subset"], Here::Valued(subset)),
    habit("verify", &["--read-data", "--with-cache"], Here::Words(&[])),
    habit("find", &["--oldest", "-O"], Here::Named("--after")),
    habit("find", &["--newest", "-N"], Here::Named("--until")),
    habit("find", &["--snapshot", "-s"], Here::Last),
    habit("diff", &["--files", "-f"], Here::Named("--text")),
    habit("diff", &["--stats-only"], Here::Named("--summary")),
    habit("diff", &["--metadata"], Here::Words(&[])),
    // It is answered by that name.
    habit("status", &["-t", "-s"], Here::Named("--reconnect-token")),
    habit("", &["--repo", "-r"], Here::Named("--repository")),
    habit("", &["--filter-host"], Here::Named("--host")),
    habit("", &["--filter-tags"], Here::Named("--tag")),
    habit("", &["--filter-paths"], Here::Named("--source-path")),
    habit("", &["--filter-last"], Here::Named("--last")),
    habit("", &["--no-progress"], Here::Named("--quiet")),
    habit("", &["--no-lock", "--no-cache"], Here::Words(&[])),
];

const fn habit(of: &'static str, theirs: &'static [&'static str], here: Here) -> Habit {
    Habit { of, theirs, here }
}

/// What restic overwrites. Its default compares bytes, too; `if-changed` looks at sizes and times.
fn overwrite(when: &str) -> Option<Vec<String>> {
    let words: &[&str] = match when {
        "always" => &["--existing", "verify"],
        "if-changed" => &["--existing", "skip"],
        "if-newer" => &["--newer"],
        "never" => &["--existing", "error"],
        _ => return None,
    };
    Some(words.iter().map(|word| (*word).into()).collect())
}

/// Which packs restic's `check` reads: some per cent, or part `n` of `t`, counted from 1.
fn subset(which: &str) -> Option<Vec<String>> {
    if let Some(percent) = which.strip_suffix('%') {
        return Some(vec!["--percent".into(), percent.into()]);
    }
    let (part, of) = which.split_once('/')?;
    let part = part.parse::<u32>().ok()?.checked_sub(1)?;
    Some(vec!["--shard".into(), format!("{part}/{of}")])
}
