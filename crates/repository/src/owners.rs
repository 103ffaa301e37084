//! Whose entries become when they leave a snapshot: other numbers for the owners and groups that it has.
//!
//! Kopia stores the numbers of owners and groups, and no names. Where the same people have other numbers,
//! [`Owners`] says which: by [`Rules`] that somebody wrote, or by names, where [`Accounts`] of the machine that
//! was backed up say which name each number had.
//!
//! ```
//! use kopia_repository::owners::{Accounts, Owners, Rules};
//!
//! let there = Accounts::parse(b"anna:x:1000:1000:Anna:/home/anna:/bin/sh\n");
//! let here = |name: &str| (name == "anna").then_some(2000);
//! let mut owners = Owners::default();
//! owners.users = "5000-5999:105000".parse::<Rules>()?.resolve(None, here)?;
//! assert_eq!(owners.users.add_names(&there, here), [""; 0], "all names are known here");
//! assert_eq!([1000, 5003, 1].map(|uid| owners.users.get(uid)), [2000, 105_003, 1]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accounts;
mod id_map;
mod rules;

use kopia_format::directory::EntryKind;

pub use accounts::Accounts;
pub use id_map::{IdMap, NoSuchId};
pub use rules::{Account, Rules, Unresolved};

use crate::Entry;

const SETUID_SETGID: u32 = 0o6000;

/// Whose entries become. By default they belong to whom they belonged when they were backed up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Owners {
    /// The numbers of users.
    pub users: IdMap,
    /// The numbers of groups.
    pub groups: IdMap,
}

impl Owners {
    /// Returns the owner and group that an entry gets.
    pub fn of(&self, entry: &Entry) -> (u32, u32) {
        let (uid, gid) = entry.owner();
        (self.users.get(uid), self.groups.get(gid))
    }

    /// Returns the mode that an entry gets.
    ///
    /// A file keeps setuid and setgid only where its new owner and group stand for the old ones, not where
    /// they are those of all other numbers ([`IdMap::set_rest`]). Nothing becomes setuid root that was not. A
    /// folder keeps both: it lends nobody's rights.
    pub fn mode(&self, entry: &Entry) -> u32 {
        let (uid, gid) = entry.owner();
        let keeps_identity = || self.users.keeps_identity(uid) && self.groups.keeps_identity(gid);
        if entry.kind() == EntryKind::File && !keeps_identity() {
            return entry.mode() & !SETUID_SETGID;
        }
        entry.mode()
    }

    /// Returns the owner and group of a folder that no entry describes, and that would get these.
    pub fn of_undescribed(&self, (uid, gid): (u32, u32)) -> (u32, u32) {
        (self.users.rest().unwrap_or(uid), self.groups.rest().unwrap_or(gid))
    }
}
