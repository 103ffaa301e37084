//! Attributes that are left as they are.

use kopia_format::Timestamp;
use rustix::fs::Stat;

use super::metadata::{Attributes, SETUID_SETGID};
use crate::Options;

/// What is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Skip {
    owners: bool,
    permissions: bool,
    times: bool,
}

impl From<&Options> for Skip {
    fn from(options: &Options) -> Self {
        Self { owners: options.skip_owners, permissions: options.skip_permissions, times: options.skip_times }
    }
}

impl Skip {
    /// Says whether everything is restored.
    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Says whether entries keep the mode that they get here.
    pub(super) fn permissions(self) -> bool {
        self.permissions
    }

    /// Makes what an entry has what is wanted of it, where that is to be left.
    pub(super) fn adjust(self, wanted: &Attributes, stat: &Stat) -> Attributes {
        let mut adjusted = *wanted;
        if self.owners {
            let differs = (stat.st_uid, stat.st_gid) != (wanted.uid, wanted.gid);
            (adjusted.uid, adjusted.gid) = (stat.st_uid, stat.st_gid);
            if differs {
                adjusted.mode &= !SETUID_SETGID;
            }
        }
        if self.permissions {
            adjusted.mode = stat.st_mode & 0o7777;
        }
        if self.times {
            let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
            adjusted.modified = Timestamp::new(stat.st_mtime, nanoseconds).unwrap_or(wanted.modified);
        }
        adjusted
    }
}
