//! The ids that would be allowed what this process is refused.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ids::Ids;

/// What would help against refusals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Remedy {
    /// Run with other ids.
    RunAs(SecurityContext),
    /// Nobody may read all of it: it must get one owner.
    Chown {
        /// The owner that most of it has.
        uid: u32,
        /// The group that most of it has.
        gid: u32,
    },
    /// The modes would let us: an access list, a security module or the file server refuses.
    Elsewhere,
}

/// The part of a pod's securityContext that matters to files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityContext {
    /// The user that the process has to be, if it must be another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<u32>,
    /// The group that the process has to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<u32>,
    /// The group that kubelet gives to all files of a volume, unless that is a network file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fs_group: Option<u32>,
    /// Further groups that it has to have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supplemental_groups: Vec<u32>,
}

/// Owner, group, mode, and what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
    pub(super) want: u32,
}

/// How many of a kind were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) seen: usize,
    pub(super) refused: usize,
}

impl Kind {
    /// Returns whether the mode lets somebody. Root without capabilities is a user like others.
    pub(super) fn lets(&self, uid: u32, gids: &[u32]) -> bool {
        let bits = if uid == self.uid {
            self.mode >> 6
        } else if gids.contains(&self.gid) {
            self.mode >> 3
        } else {
            self.mode
        };
        bits & self.want == self.want
    }
}

/// Finds who would be let by everything that was looked at.
pub(super) fn remedy(kinds: &BTreeMap<Kind, Tally>, ids: &Ids, remote: bool) -> Remedy {
    let refused = || kinds.iter().filter(|(_, tally)| tally.refused > 0).map(|(kind, _)| kind);
    let lets_all = |uid: u32, gids: &[u32]| kinds.keys().all(|kind| kind.lets(uid, gids));
    if refused().any(|kind| kind.lets(ids.uid, &ids.gids)) {
        return Remedy::Elsewhere;
    }
    // More groups change the least.
    let groups = sorted(refused().map(|kind| kind.gid));
    if lets_all(ids.uid, &[&ids.gids[..], &groups].concat()) {
        return Remedy::RunAs(SecurityContext { supplemental_groups: groups, ..SecurityContext::default() });
    }
    for owner in sorted(refused().map(|kind| kind.uid)) {
        let own = kinds.keys().find(|kind| kind.uid == owner).map_or(owner, |kind| kind.gid);
        let others = sorted(kinds.keys().map(|kind| kind.gid).filter(|&gid| gid != own));
        for others in [Vec::new(), others] {
            if lets_all(owner, &[&[own], &others[..]].concat()) {
                return Remedy::RunAs(SecurityContext {
                    run_as_user: Some(owner),
                    run_as_group: Some(own),
                    supplemental_groups: others,
                    fs_group: None,
                });
            }
        }
    }
    let most = kinds.iter().max_by_key(|(_, tally)| tally.seen).map(|(kind, _)| *kind);
    match most {
        // Kubelet gives all files of such a volume to the group, and lets it read them.
        Some(kind) if !remote => {
            Remedy::RunAs(SecurityContext { fs_group: Some(kind.gid), ..SecurityContext::default() })
        }
        Some(Kind { uid, gid, .. }) => Remedy::Chown { uid, gid },
        None => Remedy::Elsewhere,
    }
}

fn sorted(ids: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut ids: Vec<u32> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::super::{PASS, READ, WRITE};
    use super::*;

    const US: u32 = 999;

    fn ids(gids: &[u32]) -> Ids {
        Ids { uid: US, gids: gids.to_vec() }
    }

    /// What would help against files of these owners, groups and modes, seen so many times.
    fn against(files: &[(u32, u32, u32, usize)], remote: bool) -> Remedy {
        let ids = ids(&[US]);
        let kinds = files.iter().map(|&(uid, gid, mode, seen)| {
            let kind = Kind { uid, gid, mode, want: READ };
            let refused = if kind.lets(ids.uid, &ids.gids) { 0 } else { seen };
            (kind, Tally { seen, refused })
        });
        remedy(&kinds.collect(), &ids, remote)
    }

    fn run_as(user: Option<u32>, group: Option<u32>, groups: &[u32]) -> Remedy {
        let supplemental_groups = groups.to_vec();
        Remedy::RunAs(SecurityContext {
            run_as_user: user,
            run_as_group: group,
            fs_group: None,
            supplemental_groups,
        })
    }

    #[test]
    fn a_group_helps_where_groups_may_read() {
        assert_eq!(against(&[(1000, 2000, 0o640, 5)], true), run_as(None, None, &[2000]));
        let two = [(1000, 2000, 0o640, 5), (1001, 2001, 0o640, 5), (0, 0, 0o644, 5)];
        assert_eq!(against(&two, true), run_as(None, None, &[2000, 2001]));
    }

    #[test]
    fn the_owner_helps_where_only_owners_may_read() {
        // As kopia writes.
        assert_eq!(against(&[(1000, 1000, 0o600, 5)], true), run_as(Some(1000), Some(1000), &[]));
        assert_eq!(against(&[(0, 0, 0o600, 5), (0, 0, 0o644, 1)], true), run_as(Some(0), Some(0), &[]));
        let mixed = [(1000, 1000, 0o600, 5), (1001, 2001, 0o640, 5)];
        assert_eq!(against(&mixed, true), run_as(Some(1000), Some(1000), &[2001]));
    }

    #[test]
    fn nobody_helps_where_several_wrote() {
        let mixed = [(1000, 1000, 0o600, 5), (568, 568, 0o600, 7)];
        assert_eq!(against(&mixed, true), Remedy::Chown { uid: 568, gid: 568 });
        // What we may read now must stay so.
        let ours = [(1000, 1000, 0o600, 5), (US, US, 0o600, 7)];
        assert_eq!(against(&ours, true), Remedy::Chown { uid: US, gid: US });
        // Kubelet can change a volume of its own.
        let fs_group = SecurityContext { fs_group: Some(568), ..SecurityContext::default() };
        assert_eq!(against(&mixed, false), Remedy::RunAs(fs_group));
    }

    #[test]
    fn modes_do_not_explain_everything() {
        let kind = Kind { uid: 0, gid: 0, mode: 0o644, want: READ };
        let kinds = BTreeMap::from([(kind, Tally { seen: 1, refused: 1 })]);
        assert_eq!(remedy(&kinds, &ids(&[US]), true), Remedy::Elsewhere);
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let lets = |uid, gid, mode, want| Kind { uid, gid, mode, want }.lets(US, &[US, 5]);
        assert!(!lets(US, US, 0o077, READ), "an owner who may not is no other");
        assert!(!lets(0, 5, 0o707, READ), "nor is a group");
        assert!(lets(0, 0, 0o001, PASS) && !lets(0, 0, 0o001, READ | PASS));
        assert!(lets(0, 5, 0o050, READ | PASS) && !lets(0, 5, 0o050, WRITE));
    }
}
