//! The options of `ls`.

use clap::ValueEnum;

use super::patterns::Patterns;
use super::what::Whats;

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    pub(crate) what: Whats,
    #[command(flatten)]
    pub(crate) patterns: Patterns,
    /// Show mode, numbers of owner and group, size and time.
    #[arg(long, short)]
    pub(crate) long: bool,
    /// Also list the folders below.
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    /// With --long: sizes in kB, MB, GB.
    #[arg(long, requires = "long")]
    pub(crate) human_readable: bool,
    /// Show the id of each object, which is a WHAT of its own.
    #[arg(long, short = 'o', visible_alias = "show-object-id")]
    pub(crate) object_ids: bool,
    /// Sort each folder: by name, size (largest first) or time (newest first).
    #[arg(long, short, value_name = "KEY")]
    pub(crate) sort: Option<SortKey>,
    /// List each folder in reverse order.
    #[arg(long)]
    pub(crate) reverse: bool,
    /// End each entry with a NUL byte instead of a line break, and escape nothing.
    #[arg(long, short = '0', conflicts_with = "json")]
    pub(crate) null: bool,
}

/// What folders are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortKey {
    /// Names, byte by byte.
    Name,
    /// Sizes of files, the largest first.
    Size,
    /// Modification times, the newest first.
    Time,
}
