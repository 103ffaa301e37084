//! Commands that look into snapshots and compare them.

mod diff;
mod du;
mod find;
mod gone;
mod log;

use clap::Subcommand;

pub(crate) use diff::{Diff, Other};
pub(crate) use du::{Du, Packs, Stats};
pub(crate) use find::Find;
pub(crate) use gone::Gone;
pub(crate) use log::Log;

use super::only::{Only, WHICH};
use super::patterns::Patterns;
use super::values::as_stored;
use super::what::{What, Whats};

#[derive(Debug, Subcommand)]
pub(crate) enum Browse {
    /// Find files, folders and links by name, size, time or kind, in some snapshots or in all.
    #[command(after_help = "Examples:\n  kopia-rs find 'invoice*.pdf'\n  \
                            kopia-rs find --min-size 1G '*' anna@laptop:/home/anna --all\n\n\
                            Of several snapshots a version is shown once, with the newest snapshot that has it; \
                            `kopia-rs log` shows all versions of one path. --json writes one object a line: path \
                            (below what was searched), type, mode, size, mtime, uid, gid, obj, target of links, \
                            and, where there is one, snapshot, source and startTime.")]
    Find(Find),
    /// Show all versions of a file or folder, and which snapshots have them.
    #[command(after_help = "Examples:\n  kopia-rs log anna@laptop:/home/anna/notes.txt\n  \
                            kopia-rs restore anna@laptop:/home/anna/notes.txt old.txt --version 3\n\n\
                            Versions are counted from the oldest on; --version N of other commands takes one. \
                            Snapshots that have the same, one after the other, are folded. --json writes one object a \
                            line, newest first: version (null where the path is not there), the fields of `ls --json`, \
                            source, changed, grown (bytes), snapshots (how many have it), first and last (snapshot, \
                            startTime).")]
    Log(Log),
    /// Show what was added, removed and changed between two snapshots, or a snapshot and a folder.
    #[command(after_help = "Examples:\n  kopia-rs diff anna@laptop:/home/anna\n  \
                            kopia-rs diff anna@laptop:/home/anna/docs /home/anna/docs --text\n\n\
                            + is only in the newer one, - only in the older one, ~ in both. --json writes one object a \
                            line: change (added, removed, changed), path, changed (kind, content, mode, owner, time), \
                            old and new (type, size, mode, mtime, uid, gid, obj, files below); the last has change \
                            sum, with added, removed and changed (files, folders, bytes) and grown (bytes).")]
    Diff(Diff),
    /// Show what existed once and is not in the newest snapshot, with the last snapshot that has it.
    #[command(after_help = "Examples:\n  kopia-rs gone anna@laptop:/home/anna/photos\n  \
                            kopia-rs gone -0 latest | xargs -0 -n1 kopia-rs ls\n\n\
                            A folder that is gone is one line, unless --recursive is given. --json writes one object a \
                            line, with the keys of `find --json`.")]
    Gone(Gone),
    /// Show how much there is in each folder.
    #[command(after_help = "Examples:\n  kopia-rs du anna@laptop:/home/anna --depth 2\n  \
                            kopia-rs du latest --unique\n\n\
                            The largest folders come first, and all of it last. --json writes one object a line: path \
                            (empty for all), bytes, files, folders, and with --unique the stored bytes unique and \
                            shared.")]
    Du(Du),
    /// Show what snapshots would restore, and what they take in the repository.
    #[command(after_help = "Examples:\n  kopia-rs stats\n  kopia-rs stats latest --json\n\n\
                            --json: snapshots, sources, restored (files, folders, bytes), different (files, folders), \
                            contents, plainBytes, storedBytes, metadataBytes, problemCount.")]
    Stats(Stats),
    /// Show which packs a restore reads, how much of them, and about how long that takes.
    #[command(after_help = "Examples:\n  kopia-rs packs latest --long\n  \
                            kopia-rs packs latest --json | jq -r '.packs[].blob'\n\n\
                            --json: files, bytes, packCount, reads, bytesToRead, seconds, problemCount, and packs (blob, \
                            holds: files or folders, ranges, bytes): what has to be fetched from cold storage.")]
    Packs(Packs),
}
