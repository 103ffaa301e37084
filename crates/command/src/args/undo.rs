//! The options of `undo`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Undo {
    /// What to undo: the folder that a restore kept things in, or what was restored. Without it, the newest
    /// in or above the current folder.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// List what restores have kept, in or above FOLDER.
    #[arg(long, conflicts_with = "forget")]
    pub(crate) list: bool,
    /// Delete what was kept, instead of putting it back; it is gone then.
    #[arg(long)]
    pub(crate) forget: bool,
    /// With --forget: do not ask.
    #[arg(long, short, requires = "forget")]
    pub(crate) yes: bool,
}
