//! Which files and directories refuse this process (EACCES), and which ids would be allowed.
//!
//! kopia makes files 0600 and directories 0700, so another user cannot read them; and where several users
//! wrote, none can read everything. Whether something refuses us, the kernel is asked by access(2), which
//! opens nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;
use serde::Serialize;

use crate::effort::{Budget, Effort};
use crate::ids::Ids;
use crate::local_path::{LocalPath, PathState};
use crate::mounts::Mount;
use crate::serialize::path as as_path;

/// How many kinds of owner, group and mode are told apart.
const MAX_KINDS: usize = 64;

/// How many files of a directory are looked at.
const FILES_A_DIRECTORY: usize = 8;

/// How many levels of directories a layout may have.
const LEVELS: usize = 6;

/// What is wanted of a directory or file, as bits of a mode.
const READ: u32 = 0o4;
const WRITE: u32 = 0o2;
const PASS: u32 = 0o1;

/// What refuses us, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusals {
    /// The first directory or file that refuses us.
    #[serde(serialize_with = "as_path")]
    pub path: PathBuf,
    /// Whether it is a directory.
    #[serde(rename = "isFolder")]
    pub is_directory: bool,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// The twelve bits of its mode.
    #[serde(serialize_with = "octal")]
    pub mode: u32,
    /// How many refuse us.
    pub refused: usize,
    /// How many were looked at.
    pub looked_at: usize,
    /// The ids of this process.
    pub ids: Ids,
    /// What would help.
    pub remedy: Remedy,
}

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
struct Kind {
    uid: u32,
    gid: u32,
    mode: u32,
    want: u32,
}

/// How many of a kind were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tally {
    seen: usize,
    refused: usize,
}

/// Everything that was looked at.
#[derive(Default)]
struct Survey {
    kinds: BTreeMap<Kind, Tally>,
    first: Option<(PathBuf, bool, Kind)>,
    looked_at: usize,
    refused: usize,
}

/// Looks at the way to a repository, its directory, and as many of its files as the effort allows; `None` if
/// nothing refuses us.
pub fn of_repository(path: &LocalPath, effort: Effort) -> Option<Refusals> {
    let mut survey = Survey::default();
    if survey.root(path) {
        survey.blobs(&path.given, &mut effort.budget());
    }
    survey.into_refusals(path)
}

/// Looks at the way to a repository, its directory, and the files that it must have there.
pub fn of_directory(path: &LocalPath) -> Option<Refusals> {
    let mut survey = Survey::default();
    survey.root(path);
    survey.into_refusals(path)
}

/// Looks whether a directory, or the one that it would be made in, can be written to.
pub fn of_target(path: &LocalPath) -> Option<Refusals> {
    let mut survey = Survey::default();
    if survey.way(path) && path.existing.is_dir() {
        survey.look(&path.existing, WRITE | PASS);
    }
    survey.into_refusals(path)
}

impl Survey {
    /// Looks at one path; returns whether it lets us. A path that is missing refuses nobody.
    fn look(&mut self, path: &Path, want: u32) -> bool {
        let Ok(metadata) = path.metadata() else { return true };
        if !metadata.is_file() && !metadata.is_dir() {
            return true;
        }
        let kind = Kind { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() & 0o7777, want };
        self.looked_at += 1;
        let lets_us = lets_us(path, want);
        if !lets_us {
            self.refused += 1;
            self.first.get_or_insert_with(|| (path.into(), metadata.is_dir(), kind));
        }
        if self.kinds.len() < MAX_KINDS || self.kinds.contains_key(&kind) {
            let tally = self.kinds.entry(kind).or_default();
            tally.seen += 1;
            tally.refused += usize::from(!lets_us);
        }
        lets_us
    }

    /// Looks at all directories above a path; returns whether they let us pass.
    fn way(&mut self, path: &LocalPath) -> bool {
        let mut directories: Vec<&Path> = path.given.ancestors().skip(1).collect();
        directories.reverse();
        directories.into_iter().all(|directory| self.look(directory, PASS))
    }

    /// Looks at the way to a repository and at what its directory must hold; returns whether that can be
    /// listed.
    fn root(&mut self, path: &LocalPath) -> bool {
        if !self.way(path) || path.state != PathState::Directory {
            return false;
        }
        let may_list = self.look(&path.given, READ | PASS);
        for name in ["kopia.repository.f", "kopia.repository", ".shards"] {
            self.look(&path.given.join(name), READ);
        }
        may_list
    }

    /// Looks at directories and files of blobs that reading needs, level by level.
    fn blobs(&mut self, root: &Path, budget: &mut Budget) {
        let mut level = vec![root.to_path_buf()];
        for depth in 0..LEVELS {
            let mut next = Vec::new();
            for directory in &level {
                if !budget.directory() {
                    return;
                }
                let Ok(entries) = directory.read_dir() else { continue };
                let mut files = 0;
                for entry in entries {
                    if !budget.entry() {
                        return;
                    }
                    let Ok(entry) = entry else { break };
                    let name = entry.file_name();
                    let name = name.as_encoded_bytes();
                    if depth == 0 && !is_needed(name) {
                        continue;
                    }
                    let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    if is_directory && self.look(&entry.path(), READ | PASS) {
                        next.push(entry.path());
                    } else if !is_directory && is_blob(name) && files < FILES_A_DIRECTORY {
                        files += 1;
                        self.look(&entry.path(), READ);
                    }
                }
            }
            level = next;
        }
    }

    fn into_refusals(self, path: &LocalPath) -> Option<Refusals> {
        let (first, is_directory, kind) = self.first?;
        let ids = Ids::own();
        let remote = path.mount.as_ref().is_none_or(Mount::is_remote);
        let remedy = remedy(&self.kinds, &ids, remote);
        let Kind { uid, gid, mode, .. } = kind;
        let (refused, looked_at) = (self.refused, self.looked_at);
        Some(Refusals { path: first, is_directory, uid, gid, mode, refused, looked_at, ids, remedy })
    }
}

/// Asks the kernel (access(2)); any answer but EACCES counts as allowed.
fn lets_us(path: &Path, want: u32) -> bool {
    let mut access = Access::empty();
    for (bit, flag) in [(READ, Access::READ_OK), (WRITE, Access::WRITE_OK), (PASS, Access::EXEC_OK)] {
        if want & bit != 0 {
            access |= flag;
        }
    }
    rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS) != Err(Errno::ACCESS)
}

/// Returns whether a blob, or a directory of blobs, is read by anything: packs and indexes are; logs,
/// sessions and the schedule of maintenance, which other users may have written, are not. Nor is what does
/// not have the name of a blob.
fn is_needed(name: &[u8]) -> bool {
    match name {
        [b'p' | b'q' | b'n' | b'm', rest @ ..] => is_id(rest),
        // Indexes of epochs: `xn0_…`, `xe…`, `xs…`, `xr…` and `xw…`.
        [b'x'] => true,
        [b'x', b'n' | b'e' | b's' | b'r' | b'w', rest @ ..] => is_id(rest),
        _ => false,
    }
}

/// Returns whether the rest of a name may be a number, digits, and what stands behind a `-`.
fn is_id(rest: &[u8]) -> bool {
    let stem = rest.split(|&byte| matches!(byte, b'-' | b'.')).next().unwrap_or_default();
    stem.iter().all(|&byte| byte.is_ascii_hexdigit() || byte == b'_')
}

/// Returns whether a file may be a blob; in a copy of an object store it has no `.f`.
fn is_blob(name: &[u8]) -> bool {
    name.ends_with(b".f") || !name.contains(&b'.')
}

impl Kind {
    /// Returns whether the mode lets somebody. Root without capabilities is a user like others.
    fn lets(&self, uid: u32, gids: &[u32]) -> bool {
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
fn remedy(kinds: &BTreeMap<Kind, Tally>, ids: &Ids, remote: bool) -> Remedy {
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

fn octal<S: serde::Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mode:04o}"))
}

#[cfg(test)]
mod tests {
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
    fn only_blobs_that_are_read_matter() {
        for name in ["p", "q12f", "n", "x", "xn0_", "xe3", "xw16", "p0a1b2c3d-s5f.f", "m01.f", "n0123.f"] {
            assert!(is_needed(name.as_bytes()), "{name}");
        }
        for name in ["private", "photos", "nextcloud", "music", "xyz", "_lo", "s01", "kopia.log", ""] {
            assert!(!is_needed(name.as_bytes()), "{name}");
        }
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
