//! The options of `restore`.

use std::path::PathBuf;

use kopia_rs::Shard;
use kopia_rs::restore::{self, Existing, PageCache};

use super::disk::Disk;
use super::owners::Owners;
use super::patterns::Patterns;
use super::places::IntoTarget;
use super::prices::Prices;
use super::values::{about_existing, about_page_cache, about_sync, one_of};
use super::what::{What, Which};

/// Headings in the help.
const TARGET: &str = "What exists in TARGET";
const HOME: &str = "Home again";
const ERRORS: &str = "Errors";
const ATTRIBUTES: &str = "Attributes";
const SPEED: &str = "Speed, space and safety";

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) places: IntoTarget,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    pub(crate) patterns: Patterns,
    #[command(flatten)]
    pub(crate) disk: Disk,
    /// Leave the first N names out of all paths below WHAT, as tar does; what has no more than those falls
    /// away.
    #[arg(
        help_heading = TARGET,
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
    )]
    pub(crate) strip_components: Option<u32>,
    /// Restore to where it was when it was backed up, after showing what that changes and asking. What is
    /// replaced is kept until `kopia-rs undo` puts it back, or `kopia-rs undo --forget` deletes it.
    #[arg(
        help_heading = HOME,
        long,
        group = "asks",
        conflicts_with_all = [
            "strip_components", "shard", "finish", "in_place", "salvage", "no_root_attributes",
        ],
    )]
    pub(crate) in_original_place: bool,
    /// With --in-original-place: the snapshot is of this other host, and is to be restored here all the same.
    #[arg(help_heading = HOME, long, hide_short_help = true, value_name = "HOST", requires = "in_original_place")]
    pub(crate) from_host: Option<String>,
    /// With --in-original-place and --device: do not ask.
    #[arg(help_heading = HOME, long, short, requires = "asks")]
    pub(crate) yes: bool,
    /// Keep what is replaced and deleted in a folder beside TARGET, for `kopia-rs undo`.
    #[arg(
        help_heading = TARGET,
        long,
        conflicts_with_all = ["strip_components", "shard", "finish", "in_place", "salvage"],
    )]
    pub(crate) keep_replaced: bool,
    /// Show what would be written, kept and deleted, and what would fail; change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// What to do with files and links that exist in TARGET.
    #[arg(
        help_heading = TARGET,
        long,
        value_name = "HOW",
        default_value = "verify",
        value_parser = one_of(&Existing::NAMES, about_existing),
    )]
    pub(crate) existing: Existing,
    /// Replace files and links that exist in TARGET only where the snapshot's were modified later.
    ///
    /// The others stay as they are, whatever is in them. Folders that exist are filled, and keep owner, mode and time
    /// unless the snapshot's are newer. A file in the place of a folder that is not newer is an error.
    #[arg(help_heading = TARGET, long, conflicts_with = "shard")]
    pub(crate) newer: bool,
    /// Change large files of TARGET in place where they differ, instead of replacing them whole; if the run
    /// is killed, they hold old and new pieces until the next run has ended.
    #[arg(help_heading = TARGET, hide_short_help = true, long, conflicts_with = "newer")]
    pub(crate) in_place: bool,
    /// Delete what is in TARGET but not in the snapshot, once all of the snapshot is restored; never on
    /// another file system, nor what --include and --exclude do not take.
    #[arg(help_heading = TARGET, long)]
    pub(crate) delete_extra: bool,
    /// With --delete-extra: leave the folder lost+found of TARGET.
    #[arg(help_heading = TARGET, hide_short_help = true, long, requires = "delete_extra")]
    pub(crate) keep_lost_found: bool,
    /// Stop at the first error.
    #[arg(help_heading = ERRORS, long)]
    pub(crate) fail_fast: bool,
    /// Write files that have lost pieces as NAME.partial, with zeros in place of these.
    #[arg(help_heading = ERRORS, long)]
    pub(crate) salvage: bool,
    /// Restore only part I, counted from 0, of N parts that other processes restore into the same TARGET;
    /// nothing is visible before --finish.
    #[arg(
        help_heading = SPEED,
        hide_short_help = true,
        long,
        value_name = "I/N",
        conflicts_with_all = ["finish", "dry_run", "delete_extra", "in_place", "salvage"],
    )]
    pub(crate) shard: Option<Shard>,
    /// Finish a restore whose N shards have all ended.
    #[arg(
        help_heading = SPEED,
        hide_short_help = true,
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with_all = ["dry_run", "in_place", "salvage"],
    )]
    pub(crate) finish: Option<u32>,
    /// How many threads decode and write; by default as many as there are cores for this process.
    #[arg(
        help_heading = SPEED,
        hide_short_help = true,
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=1024),
    )]
    pub(crate) parallel: Option<u16>,
    /// How many more threads write; by default as many as the target makes worth it, none on a local disk.
    #[arg(
        help_heading = SPEED,
        hide_short_help = true,
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=1024),
    )]
    pub(crate) writers: Option<u16>,
    /// Leave owner, mode and times of TARGET itself alone.
    #[arg(help_heading = ATTRIBUTES, hide_short_help = true, long)]
    pub(crate) no_root_attributes: bool,
    /// Do not restore owners: files belong to the current user.
    #[arg(
        help_heading = ATTRIBUTES,
        long,
        conflicts_with_all = ["owner_map", "group_map", "as_uid", "as_gid", "owners_by_name"],
    )]
    pub(crate) skip_owners: bool,
    /// Do not restore modes: only the owner of the files may read them.
    #[arg(help_heading = ATTRIBUTES, long)]
    pub(crate) skip_permissions: bool,
    /// Do not restore modification times.
    #[arg(help_heading = ATTRIBUTES, long)]
    pub(crate) skip_times: bool,
    #[command(flatten)]
    pub(crate) owners: Owners,
    /// Do not restore folders nested more than N deep; each is an error.
    #[arg(
        help_heading = SPEED,
        hide_short_help = true,
        long,
        value_name = "N",
        default_value_t = restore::Options::default().max_depth,
    )]
    pub(crate) max_depth: usize,
    /// Compare every content with its hash; the encryption authenticates it in any case.
    #[arg(help_heading = SPEED, hide_short_help = true, long)]
    pub(crate) verify_hashes: bool,
    /// What is forced to disk before the end: nothing, the target's file system once, or every file.
    #[arg(
        help_heading = SPEED,
        hide_short_help = true,
        long,
        value_name = "WHAT",
        default_value = "none",
        value_parser = one_of(&restore::Durability::NAMES, about_sync),
    )]
    pub(crate) sync: restore::Durability,
    /// Leave blocks of zeros out of files, as holes that take no room on the disk.
    #[arg(help_heading = SPEED, hide_short_help = true, long)]
    pub(crate) sparse: bool,
    /// Which written files stay in the page cache: only small ones, or all.
    #[arg(
        help_heading = SPEED,
        hide_short_help = true,
        long,
        value_name = "WHAT",
        default_value = "auto",
        value_parser = one_of(&PageCache::NAMES, about_page_cache),
    )]
    pub(crate) page_cache: PageCache,
    /// How many MiB may be read ahead from networks and spinning disks.
    #[arg(
        help_heading = SPEED,
        hide_short_help = true,
        long,
        value_name = "MIB",
        default_value_t = 64,
        value_parser = clap::value_parser!(u64).range(1..=1 << 20),
    )]
    pub(crate) read_ahead: u64,
    /// Say before the start what it costs to read it all, at these prices for 1,000 requests, or a gigabyte:
    /// listings=0.005,reads=0.0004,gigabyte=0.09,thaws=0.05,thawed-gigabyte=0.01. Those that are left out are
    /// 0.
    #[arg(help_heading = SPEED, hide_short_help = true, long, value_name = "LIST")]
    pub(crate) prices: Option<Prices>,
    /// End with exit status 3 if an owner, mode, time or name could not be restored exactly.
    #[arg(help_heading = ERRORS, hide_short_help = true, long)]
    pub(crate) strict_attributes: bool,
    /// Write every problem to this file, one JSON object a line; with --strict-attributes every attribute
    /// that could not be set, too.
    #[arg(help_heading = ERRORS, long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Write how it ended to this file as Prometheus text, whole or not at all.
    ///
    /// The names are those of the mover: whether it ended well, the class of what went wrong, what was
    /// written and kept, how far it came. It is written as well where the repository cannot be opened.
    #[arg(
        help_heading = ERRORS,
        long,
        value_name = "FILE",
        hide_short_help = true,
        conflicts_with_all = ["dry_run", "device"],
    )]
    pub(crate) metrics: Option<PathBuf>,
}

impl Restore {
    /// Returns each thing to restore as commands take one.
    pub(crate) fn each(&self) -> Vec<What> {
        self.which.each(&self.places.what)
    }
}
