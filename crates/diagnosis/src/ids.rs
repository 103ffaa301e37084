//! The ids that permissions of this process are checked against.

use serde::Serialize;

/// User and groups of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ids {
    /// The effective user.
    pub uid: u32,
    /// The effective group and all others, sorted.
    pub gids: Vec<u32>,
}

impl Ids {
    /// Returns those of this process.
    pub fn own() -> Self {
        let mut gids = vec![rustix::process::getegid().as_raw()];
        gids.extend(rustix::process::getgroups().unwrap_or_default().iter().map(|gid| gid.as_raw()));
        gids.sort_unstable();
        gids.dedup();
        Self { uid: rustix::process::geteuid().as_raw(), gids }
    }
}
