//! Who this process is to file systems.

use serde::Serialize;

/// User and groups that permissions are checked against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Ids {
    pub(crate) uid: u32,
    /// The effective group and all others, sorted.
    pub(crate) gids: Vec<u32>,
}

impl Ids {
    pub(crate) fn own() -> Self {
        let mut gids = vec![rustix::process::getegid().as_raw()];
        gids.extend(rustix::process::getgroups().unwrap_or_default().iter().map(|gid| gid.as_raw()));
        gids.sort_unstable();
        gids.dedup();
        Self { uid: rustix::process::geteuid().as_raw(), gids }
    }
}
