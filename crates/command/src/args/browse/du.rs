//! The options of `du`, `stats` and `packs`.

use super::{Only, Patterns, WHICH, What, Whats, as_stored};
use crate::terminal::time::When;

#[derive(Debug, clap::Args)]
pub(crate) struct Du {
    #[command(flatten)]
    pub(crate) what: Whats,
    /// How many levels of folders to show.
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    pub(crate) depth: usize,
    /// Also show what each folder takes in the repository: bytes that nothing else needs, and bytes that other
    /// folders or other snapshots need, too. All snapshots are looked at.
    #[arg(long, conflicts_with_all = ["depth", "ncdu"])]
    pub(crate) unique: bool,
    /// Write the whole tree as ncdu reads it: kopia-rs du latest --ncdu | ncdu -f-.
    #[arg(long, conflicts_with_all = ["depth", "json"])]
    pub(crate) ncdu: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Stats {
    /// What to count: `latest`, user@host:/path or a part of it, an id, each with /a/path/below. Without it, all
    /// snapshots.
    #[arg(value_name = "WHAT", value_parser = as_stored())]
    what: Vec<String>,
    /// The newest snapshot made by then.
    #[arg(help_heading = WHICH, long, value_name = "TIME", requires = "what")]
    at: Option<When>,
    /// Also count unfinished snapshots.
    #[arg(help_heading = WHICH, long)]
    pub(crate) incomplete: bool,
    #[command(flatten)]
    pub(crate) only: Only,
}

impl Stats {
    /// Returns what to count, each as other commands take one; nothing stands for all snapshots.
    pub(crate) fn each(&self) -> impl Iterator<Item = What> {
        let (at, only) = (self.at.clone(), self.only.clone());
        What { at, only, incomplete: self.incomplete, ..What::default() }.each(&self.what)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Packs {
    #[command(flatten)]
    pub(crate) what: Whats,
    #[command(flatten)]
    pub(crate) patterns: Patterns,
    /// List every pack, with its ranges and bytes.
    #[arg(long, short)]
    pub(crate) long: bool,
}
