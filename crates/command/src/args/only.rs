//! Which snapshots are looked at, for every command that chooses or lists some.

use kopia_rs::select::{Filter, Tag};

use super::values::as_stored;

/// The heading of what chooses snapshots.
pub(super) const WHICH: &str = "Which snapshots";

/// Filters; several of one kind mean any of them, several tags all of them.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Only {
    /// Only snapshots of this host.
    #[arg(help_heading = WHICH, long, short = 'H', value_name = "HOST")]
    host: Vec<String>,
    /// Only snapshots of this user.
    #[arg(help_heading = WHICH, long, short = 'u', value_name = "USER")]
    user: Vec<String>,
    /// Only sources that are this folder or lie below it. (--path is the folder on an SFTP server.)
    #[arg(help_heading = WHICH, long, value_name = "PATH", value_parser = as_stored())]
    source_path: Vec<String>,
    /// Only snapshots with this tag; KEY alone takes any value.
    #[arg(help_heading = WHICH, long, value_name = "KEY=VALUE")]
    tag: Vec<Tag>,
}

impl Only {
    /// Returns the filter that the library takes.
    pub(crate) fn filter(&self) -> Filter {
        Filter {
            hosts: self.host.clone(),
            users: self.user.clone(),
            paths: self.source_path.clone(),
            tags: self.tag.clone(),
        }
    }
}
