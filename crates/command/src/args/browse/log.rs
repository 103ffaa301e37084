//! The options of `log`.

use super::{Only, WHICH, as_stored};

#[derive(Debug, clap::Args)]
pub(crate) struct Log {
    /// The path: user@host:/path or a part of it, as /path of this machine; or `latest` or a snapshot's id with
    /// /a/path/below. It need not be there any more.
    #[arg(value_name = "PATH", value_parser = as_stored())]
    pub(crate) what: String,
    /// Also look at unfinished snapshots.
    #[arg(help_heading = WHICH, long)]
    pub(crate) incomplete: bool,
    #[command(flatten)]
    pub(crate) only: Only,
}
