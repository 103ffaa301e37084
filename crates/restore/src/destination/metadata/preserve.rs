//! Attributes that are left as they are.

use kopia_format::Timestamp;
use rustix::fs::Stat;

use super::super::is_directory;
use super::{Attributes, SETUID, SETUID_SETGID, has_owner};
use crate::Options;

/// What is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Preserve {
    owners: bool,
    permissions: bool,
    times: bool,
}

impl From<&Options> for Preserve {
    fn from(options: &Options) -> Self {
        Self { owners: options.skip_owners, permissions: options.skip_permissions, times: options.skip_times }
    }
}

impl Preserve {
    /// Returns whether everything is restored.
    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Returns whether entries keep the mode that they get here.
    pub(crate) fn permissions(self) -> bool {
        self.permissions
    }

    /// Makes what an entry has what is wanted of it, where that is to be left.
    pub(crate) fn adjust(self, wanted: &Attributes, stat: &Stat) -> Attributes {
        let mut adjusted = *wanted;
        if self.owners {
            // A directory passes its group on, whoever owns it.
            let lends_nothing = is_directory(stat) && stat.st_gid == wanted.gid;
            if !has_owner(stat, wanted) {
                adjusted.mode &= if lends_nothing { !SETUID } else { !SETUID_SETGID };
            }
            (adjusted.uid, adjusted.gid) = (stat.st_uid, stat.st_gid);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setgid_directory_stays_one_where_its_group_is_right() {
        let preserve = Preserve { owners: true, ..Preserve::default() };
        let adjusted = |kind: u32, (uid, gid): (u32, u32), mode| {
            let mut stat = rustix::fs::stat("/").unwrap();
            (stat.st_uid, stat.st_gid, stat.st_mode) = (uid, gid, kind | 0o755);
            let adjusted =
                preserve.adjust(&Attributes { mode, uid: 1, gid: 2, ..Attributes::default() }, &stat);
            assert_eq!((adjusted.uid, adjusted.gid), (uid, gid));
            adjusted.mode
        };
        let (file, directory) = (0o100_000, 0o040_000);
        assert_eq!(adjusted(directory, (1, 2), 0o7755), 0o7755);
        assert_eq!(adjusted(directory, (9, 2), 0o7755), 0o3755);
        assert_eq!(adjusted(directory, (1, 9), 0o7755), 0o1755);
        assert_eq!(adjusted(file, (1, 2), 0o6755), 0o6755);
        assert_eq!(adjusted(file, (9, 2), 0o6755), 0o755);
    }
}
