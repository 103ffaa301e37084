//! The options of `find`.

use clap::ValueEnum;
use kopia_rs::EntryKind;

use super::values::{as_stored, bytes};
use super::what::What;
use crate::terminal::time::When;

/// Headings in the help.
const MATCH: &str = "What matches";
const OUTPUT: &str = "What is shown";

#[derive(Debug, clap::Args)]
pub(crate) struct Find {
    /// What to look for: a name, where `*` and `?` stand for what is unknown; with a `/`, the end of a path,
    /// where `**` stands for folders.
    #[arg(value_name = "PATTERN", value_parser = as_stored())]
    pub(crate) pattern: String,
    /// Where to look: `latest`, user@host:/path, an id, each with /a/path/below. Without it, in all snapshots.
    #[arg(value_name = "WHAT", value_parser = as_stored())]
    what: Vec<String>,
    /// Look in all snapshots that have WHAT, not only in the one that is meant.
    #[arg(long, short)]
    pub(crate) all: bool,
    /// The newest snapshot made by then: 2026-03, 2026-03-02, "2026-03-02 10:30", or RFC 3339.
    #[arg(long, value_name = "TIME", requires = "what", conflicts_with = "all")]
    at: Option<When>,
    /// Also look in unfinished snapshots.
    #[arg(long)]
    pub(crate) incomplete: bool,
    /// PATTERN is a regular expression that matches anywhere in a path.
    #[arg(help_heading = MATCH, long)]
    pub(crate) regex: bool,
    /// Take upper and lower case for the same.
    #[arg(help_heading = MATCH, long, short)]
    pub(crate) ignore_case: bool,
    /// Only files, folders or links; may be repeated.
    #[arg(help_heading = MATCH, long, short, value_name = "KIND")]
    pub(crate) r#type: Vec<Kind>,
    /// Only files of at least so many bytes: 500, 20k, 1.5M, 2G, or 2GiB for powers of 1024.
    #[arg(help_heading = MATCH, long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) min_size: Option<u64>,
    /// Only files of at most so many bytes.
    #[arg(help_heading = MATCH, long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) max_size: Option<u64>,
    /// Only what was modified after this year, month, day or time.
    #[arg(help_heading = MATCH, long, value_name = "TIME")]
    pub(crate) after: Option<When>,
    /// Only what was modified by the end of this year, month, day or time.
    #[arg(help_heading = MATCH, long, value_name = "TIME")]
    pub(crate) until: Option<When>,
    /// Show mode, owner, size and time.
    #[arg(help_heading = OUTPUT, long, short)]
    pub(crate) long: bool,
    /// With --long: sizes in kB, MB, GB.
    #[arg(help_heading = OUTPUT, long, requires = "long")]
    pub(crate) human_readable: bool,
    /// Write ID/PATH, which other commands take as WHAT, each with a NUL byte at its end, and escape nothing.
    #[arg(help_heading = OUTPUT, long, short = '0', conflicts_with_all = ["json", "long"])]
    pub(crate) null: bool,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// Files.
    #[value(alias = "file")]
    F,
    /// Folders.
    #[value(alias = "folder", alias = "dir")]
    D,
    /// Symbolic links.
    #[value(alias = "link", alias = "s")]
    L,
}

impl From<Kind> for EntryKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::F => Self::File,
            Kind::D => Self::Directory,
            Kind::L => Self::Symlink,
        }
    }
}

impl Find {
    /// Returns where to look, each as other commands take one; nothing stands for all snapshots.
    pub(crate) fn each(&self) -> impl Iterator<Item = What> {
        What { at: self.at.clone(), incomplete: self.incomplete, ..What::default() }.each(&self.what)
    }
}
