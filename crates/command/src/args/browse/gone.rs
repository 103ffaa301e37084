//! The options of `gone`.

use super::{Only, WHICH, as_stored};

#[derive(Debug, clap::Args)]
pub(crate) struct Gone {
    /// Where to look: user@host:/path or a part of it, as /path of this machine; or `latest` or a snapshot's id
    /// with /a/path/below. Without it, in all sources.
    #[arg(value_name = "PATH", value_parser = as_stored())]
    pub(crate) what: Option<String>,
    /// Also list what was in folders that are gone.
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    /// Also look at unfinished snapshots.
    #[arg(help_heading = WHICH, long)]
    pub(crate) incomplete: bool,
    #[command(flatten)]
    pub(crate) only: Only,
    /// Show mode, owner, size and time.
    #[arg(long, short)]
    pub(crate) long: bool,
    /// With --long: sizes in kB, MB, GB.
    #[arg(long, requires = "long")]
    pub(crate) human_readable: bool,
    /// Write ID/PATH, which other commands take as WHAT, each with a NUL byte at its end, and escape nothing.
    #[arg(long, short = '0', conflicts_with_all = ["json", "long"])]
    pub(crate) null: bool,
}
