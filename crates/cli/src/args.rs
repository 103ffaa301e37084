//! The command line, as clap reads it.

pub(crate) mod foreign;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};
use kopia_rs::restore::{Existing, PageCache};
use kopia_rs::storage::IoMode;
use kopia_rs::verify::Shard;
use kopia_rs::{OpenOptions, restore};

use crate::terminal::time::When;

/// Restores snapshots of Kopia repositories without kopia.
#[derive(Debug, Parser)]
#[command(
    name = "kopia-rs",
    version,
    max_term_width = 100,
    // Without a command clap would print the help alone; every failure is to say `error:`.
    arg_required_else_help = false,
    after_help = "WHAT is `latest`, user@host:/path, a snapshot's id or at least four digits of it, or an object's id, \
                  each with /a/path/below.\n\n\
                  The password is taken from --password-file, else from KOPIA_PASSWORD, else asked for on a terminal.\n\n\
                  Examples:\n  \
                  export KOPIA_REPOSITORY=/backups/kopia\n  \
                  kopia-rs snapshots\n  \
                  kopia-rs ls anna@laptop:/home/anna\n  \
                  kopia-rs restore anna@laptop:/home/anna/photos restored\n\n\
                  Exit status: 0 everything is there; 1 failed; 2 wrong usage; 3 ended, but entries are missing or \
                  incomplete, or verify or doctor found damage; 128 + n ended by signal n."
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Global {
    /// The folder of the repository, also as filesystem:///absolute/path.
    #[arg(long, global = true, env = "KOPIA_REPOSITORY", hide_env_values = true, value_name = "DIR")]
    pub(crate) repository: Option<OsString>,
    /// A file that holds the password; one line break at its end is cut.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Write the result to standard output as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How packs are read: mapped into memory where that is safe, or never.
    #[arg(long, global = true, value_name = "HOW", default_value = "auto", value_parser = one_of(&IoMode::NAMES, about_io))]
    pub(crate) io: IoMode,
    /// Open a damaged repository as far as that can be done: leave out index blobs that cannot be read, and
    /// ask the packs.
    #[arg(long, global = true)]
    pub(crate) degraded: bool,
    /// Use snapshots and contents that were deleted, too, as far as maintenance has not removed them yet.
    #[arg(long, global = true)]
    pub(crate) deleted: bool,
    /// Use this copy of a format blob that is lost or damaged, as `doctor --save-format-blob` found it in a
    /// pack.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) format_blob: Option<PathBuf>,
    /// Show no progress and no notes.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

impl Global {
    /// How the repository is opened.
    pub(crate) fn open_options(&self) -> OpenOptions {
        let mut options = OpenOptions::default();
        options.degraded = self.degraded;
        options.deleted = self.deleted;
        options
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what the repository is and holds.
    Status,
    /// List snapshots.
    #[command(
        after_help = "Examples:\n  kopia-rs snapshots\n  kopia-rs snapshots anna@laptop:/home/anna --json"
    )]
    Snapshots(Snapshots),
    /// List a folder.
    #[command(after_help = "Examples:\n  kopia-rs ls -l latest\n  kopia-rs ls -R c5b35e31/docs\n\n\
                            Line breaks and control characters in names are written as they are, but escaped on a \
                            terminal; --null and --json are safe for programs.")]
    Ls(Ls),
    /// Write a file's bytes to standard output.
    #[command(
        after_help = "Example:\n  kopia-rs cat anna@laptop:/home/anna/notes.txt --at 2026-03 > notes.txt"
    )]
    Cat(What),
    /// Restore a folder, file or link.
    #[command(after_help = "Examples:\n  kopia-rs restore latest restored\n  \
                            kopia-rs restore anna@laptop:/home/anna/photos photos --at 2026-03-02\n  \
                            kopia-rs restore c5b35e31/etc/fstab . --dry-run\n\n\
                            A restore that was interrupted goes on when the same command is run again. Signal USR1 shows \
                            how far it is.")]
    Restore(Restore),
    /// Find out why a repository, snapshot or target does not work, and what to change.
    Doctor(Doctor),
    /// Check that backups can be restored; list files that damage affects.
    Verify(Verify),
    /// Restore as a VolSync mover (reads the Job's environment; the same when called as entry.sh).
    #[command(after_help = "Its settings are the variables of the Job; --variables lists them.\n\n\
                            Exit status: 0 everything is there, or there is no backup yet; 1 failed or incomplete; 2 wrong\n\
                            usage; 128 + n ended by signal n.")]
    Mover(Mover),
}

/// Where kubelet takes a container's message from, unless the pod says otherwise.
pub(crate) const TERMINATION_LOG: &str = "/dev/termination-log";

#[derive(Debug, clap::Args)]
pub(crate) struct Mover {
    /// What to do: restore; backup and maintenance are done by the original script. Without it, DIRECTION
    /// says so.
    #[arg(value_name = "OP")]
    pub(crate) operations: Vec<String>,
    /// Write the result to this file as Prometheus text.
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics_file: Option<PathBuf>,
    /// Where the container's message goes, one line of JSON, if that file exists.
    #[arg(long, value_name = "FILE", default_value = TERMINATION_LOG)]
    pub(crate) termination_log: PathBuf,
    /// List the variables that movers are given, and what is done with each.
    #[arg(long)]
    pub(crate) variables: bool,
}

/// A thing to read, and which of its snapshots.
#[derive(Debug, clap::Args)]
pub(crate) struct What {
    /// What to read: `latest`, user@host:/path, an id, each with /a/path/below.
    #[arg(value_name = "WHAT", value_parser = as_stored())]
    pub(crate) what: String,
    /// The newest snapshot made by then: 2026-03, 2026-03-02, "2026-03-02 10:30", or RFC 3339.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<When>,
    /// Choose among unfinished snapshots, too.
    #[arg(long)]
    pub(crate) incomplete: bool,
}

/// As [`What`], where a thing need not be named.
#[derive(Debug, clap::Args)]
pub(crate) struct OptionalWhat {
    /// What to look at, and no more: `latest`, user@host:/path, an id, each with /a/path/below. Without it,
    /// the whole repository.
    #[arg(value_name = "WHAT", value_parser = as_stored())]
    what: Option<String>,
    /// The newest snapshot made by then.
    #[arg(long, value_name = "TIME", requires = "what")]
    at: Option<When>,
    /// Choose among unfinished snapshots, too.
    #[arg(long, requires = "what")]
    incomplete: bool,
}

impl OptionalWhat {
    /// Returns what is named, if anything is.
    pub(crate) fn get(&self) -> Option<What> {
        let what = self.what.clone()?;
        Some(What { what, at: self.at.clone(), incomplete: self.incomplete })
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Snapshots {
    /// Show only this source: user@host:/path.
    #[arg(value_name = "SOURCE", value_parser = as_stored())]
    pub(crate) source: Option<String>,
    /// Show unfinished snapshots, too; --json always does.
    #[arg(long)]
    pub(crate) incomplete: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    pub(crate) what: What,
    /// Show mode, owner, size and time.
    #[arg(long, short)]
    pub(crate) long: bool,
    /// List the folders below, too.
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    /// End each entry with a NUL byte instead of a line break, and escape nothing.
    #[arg(long, short = '0', conflicts_with = "json")]
    pub(crate) null: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) what: What,
    /// Where to: a folder's contents go into it; a file or link becomes it, or goes into it if it is a folder
    /// or ends in /.
    #[arg(value_name = "TARGET")]
    pub(crate) target: PathBuf,
    /// Show what would be written, kept and deleted, and what would fail; change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// What to do with files and links that TARGET has already.
    #[arg(help_heading = "What TARGET has already", long, value_name = "HOW", default_value = "verify", value_parser = one_of(&Existing::NAMES, about_existing))]
    pub(crate) existing: Existing,
    /// Write into large files of TARGET where they differ, instead of replacing them whole; a run that is
    /// killed leaves them with old and new pieces until the next one has come to its end.
    #[arg(help_heading = "What TARGET has already", long)]
    pub(crate) in_place: bool,
    /// Delete what is in TARGET but not in the snapshot, once all of the snapshot is restored; never on
    /// another file system.
    #[arg(help_heading = "What TARGET has already", long)]
    pub(crate) delete_extra: bool,
    /// With --delete-extra: leave the folder lost+found of TARGET.
    #[arg(help_heading = "What TARGET has already", long, requires = "delete_extra")]
    pub(crate) keep_lost_found: bool,
    /// Stop at the first error.
    #[arg(help_heading = "Errors", long)]
    pub(crate) fail_fast: bool,
    /// Write files of which pieces are lost as NAME.partial, with zeros in their place.
    #[arg(help_heading = "Errors", long)]
    pub(crate) salvage: bool,
    /// Restore only part I, counted from 0, of N parts that other processes restore into the same TARGET;
    /// nothing is visible before --finish.
    #[arg(help_heading = "Speed, space and safety", long, value_name = "I/N", conflicts_with_all = ["finish", "dry_run", "delete_extra", "in_place", "salvage"])]
    pub(crate) shard: Option<Shard>,
    /// Finish what N shards restored: all must have come to their end.
    #[arg(help_heading = "Speed, space and safety", long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["dry_run", "in_place", "salvage"])]
    pub(crate) finish: Option<u32>,
    /// How many threads decode and write; by default as many as there are cores for this process.
    #[arg(help_heading = "Speed, space and safety", long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) parallel: Option<u16>,
    /// Leave owner, mode and times of TARGET itself alone.
    #[arg(help_heading = "Attributes", long)]
    pub(crate) no_root_attributes: bool,
    /// Do not restore owners: files belong to the current user.
    #[arg(help_heading = "Attributes", long)]
    pub(crate) skip_owners: bool,
    /// Do not restore modes: only the owner of the files may read them.
    #[arg(help_heading = "Attributes", long)]
    pub(crate) skip_permissions: bool,
    /// Do not restore modification times.
    #[arg(help_heading = "Attributes", long)]
    pub(crate) skip_times: bool,
    /// How many folders may be nested.
    #[arg(help_heading = "Speed, space and safety", long, value_name = "N", default_value_t = restore::Options::default().max_depth)]
    pub(crate) max_depth: usize,
    /// Compare every content with its hash; the encryption authenticates it in any case.
    #[arg(help_heading = "Speed, space and safety", long)]
    pub(crate) verify_hashes: bool,
    /// What is forced to disk before the end: nothing, the target's file system once, or every file.
    #[arg(help_heading = "Speed, space and safety", long, value_name = "WHAT", default_value = "none", value_parser = one_of(&restore::Sync::NAMES, about_sync))]
    pub(crate) sync: restore::Sync,
    /// Leave blocks of zeros out of files, as holes that take no room on the disk.
    #[arg(help_heading = "Speed, space and safety", long)]
    pub(crate) sparse: bool,
    /// What stays of written files in the system's memory: only the small ones, or everything.
    #[arg(help_heading = "Speed, space and safety", long, value_name = "WHAT", default_value = "auto", value_parser = one_of(&PageCache::NAMES, about_page_cache))]
    pub(crate) page_cache: PageCache,
    /// How many MiB may be read ahead from networks and spinning disks.
    #[arg(help_heading = "Speed, space and safety", long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    pub(crate) read_ahead: u64,
    /// End with exit status 3 if an owner, mode, time or name could not be restored exactly.
    #[arg(help_heading = "Errors", long)]
    pub(crate) strict_attributes: bool,
    /// Write every problem to this file, one JSON object a line; with --strict-attributes every attribute
    /// that could not be set, too.
    #[arg(help_heading = "Errors", long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) what: OptionalWhat,
    /// A folder that something is to be restored to: whether it can be written to and, with WHAT, has room
    /// for that.
    #[arg(long, value_name = "DIR")]
    pub(crate) target: Option<PathBuf>,
    /// Look for a replica of the format blob in packs and write it to this file, which must be new, for
    /// --format-blob.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_format_blob: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) what: OptionalWhat,
    /// Read only part I, counted from 0, of N equal parts of the packs; all N together are everything.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Read only so many percent of the packs, from a random one on: every run takes others.
    #[arg(long, value_name = "P", value_parser = percent)]
    pub(crate) percent: Option<f64>,
    /// Write everything that is wrong to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// Takes a name as kopia stores it: with U+FFFD for each byte that is not UTF-8.
fn as_stored() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|text| stored(&text.into_vec()))
}

fn stored(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err("a percentage is above 0, and 100 at most".into()),
    }
}

/// Parses an option that takes one of a few names, each with what it does.
fn one_of<T>(values: &'static [(&str, T)], about: fn(&T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    let values = values.iter().map(|(name, value)| PossibleValue::new(*name).help(about(value)));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<T>())
}

fn about_io(mode: &IoMode) -> &'static str {
    match mode {
        IoMode::Auto => "The fastest as measured, which is pread",
        IoMode::Map => "By memory maps on local file systems",
        IoMode::Pread => "Never by maps",
    }
}

fn about_existing(existing: &Existing) -> &'static str {
    match existing {
        Existing::Verify => "Keep them if all their bytes are right, replace them otherwise",
        Existing::Skip => "Keep them if size and modification time are right, replace them otherwise",
        Existing::Overwrite => "Replace them",
        Existing::Error => "Leave them alone, and call that an error",
        _ => "",
    }
}

fn about_sync(sync: &restore::Sync) -> &'static str {
    match sync {
        restore::Sync::None => "As cp and tar do",
        restore::Sync::Filesystem => "Once, before anything gets its final name",
        restore::Sync::Files => "Every file when it is written",
        _ => "",
    }
}

fn about_page_cache(page_cache: &PageCache) -> &'static str {
    match page_cache {
        PageCache::Auto => "Files of up to a megabyte",
        PageCache::Keep => "Everything, for programs that read it at once",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn definitions_are_sound() {
        super::Args::command().debug_assert();
    }

    #[test]
    fn names_are_taken_as_kopia_stores_them() {
        assert_eq!(super::stored("ä/b".as_bytes()), "ä/b");
        // Go replaces every byte of a sequence that is cut off.
        assert_eq!(super::stored(b"a\xff/\xe2\x82b\xc3"), "a\u{fffd}/\u{fffd}\u{fffd}b\u{fffd}");
    }
}
