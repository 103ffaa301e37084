//! Who may read what: owner, group and mode of what refuses us, against our own ids, and the ids that would do.
//!
//! kopia makes files 0600 and folders 0700, so another user cannot read them; and where several users wrote, none can read
//! everything. Whether something refuses us, the system is asked (`access`), which opens nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;
use serde::Serialize;

use super::finding::path;
use super::ids::Ids;
use super::place::{Place, State};
use super::{Budget, Effort};

/// How many kinds of owner, group and mode are told apart.
const MAX_KINDS: usize = 64;

/// How many files of a folder are looked at.
const FILES_A_FOLDER: usize = 8;

/// How many levels of folders a layout may have.
const LEVELS: usize = 6;

/// What is wanted of a folder or file, as bits of a mode.
const READ: u32 = 0o4;
const WRITE: u32 = 0o2;
const PASS: u32 = 0o1;

/// What refuses us, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refusals {
    /// The first folder or file that refuses us.
    #[serde(serialize_with = "path")]
    pub(crate) path: PathBuf,
    pub(crate) is_folder: bool,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The twelve bits of its mode.
    #[serde(serialize_with = "octal")]
    pub(crate) mode: u32,
    /// How many refuse us, of those looked at.
    pub(crate) refused: usize,
    pub(crate) looked_at: usize,
    /// Who we are.
    pub(crate) ids: Ids,
    pub(crate) remedy: Remedy,
}

/// What would help against refusals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Remedy {
    /// To be somebody else.
    RunAs(SecurityContext),
    /// Nobody may read all of it: it must get one owner, such as the one that most of it has.
    Chown { uid: u32, gid: u32 },
    /// The modes would let us: an access list, a security module or the file server refuses.
    Elsewhere,
}

/// The part of a pod's securityContext that matters to files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecurityContext {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_as_user: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_as_group: Option<u32>,
    /// Has kubelet change the group of a volume's files; it does so only on volumes that are no network file systems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fs_group: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) supplemental_groups: Vec<u32>,
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

/// Looks at the folders on the way to a repository, its folder, and as many of its files as the effort allows; `None` if
/// nothing refuses us.
pub(crate) fn of_repository(place: &Place, effort: Effort) -> Option<Refusals> {
    let mut survey = Survey::default();
    if survey.root(place) {
        survey.blobs(&place.given, &mut effort.budget());
    }
    survey.judge(place)
}

/// Looks at the folders on the way to a repository, its folder, and the files that it must have there.
pub(crate) fn of_folder(place: &Place) -> Option<Refusals> {
    let mut survey = Survey::default();
    survey.root(place);
    survey.judge(place)
}

/// Looks whether a folder, or the one that it would be made in, can be written to.
pub(crate) fn of_target(place: &Place) -> Option<Refusals> {
    let mut survey = Survey::default();
    if survey.way(place) && place.existing.is_dir() {
        survey.look(&place.existing, WRITE | PASS);
    }
    survey.judge(place)
}

impl Survey {
    /// Looks at one thing; says whether it lets us. What is not there refuses nobody.
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

    /// Looks at all folders that the place lies in; says whether they let us pass.
    fn way(&mut self, place: &Place) -> bool {
        let mut folders: Vec<&Path> = place.given.ancestors().skip(1).collect();
        folders.reverse();
        folders.into_iter().all(|folder| self.look(folder, PASS))
    }

    /// Looks at the way to a repository, at its folder, and at what must be there; says whether the folder can be listed.
    fn root(&mut self, place: &Place) -> bool {
        if !self.way(place) || place.state != State::Folder {
            return false;
        }
        let may_list = self.look(&place.given, READ | PASS);
        for name in ["kopia.repository.f", "kopia.repository", ".shards"] {
            self.look(&place.given.join(name), READ);
        }
        may_list
    }

    /// Looks at folders and files of blobs that reading needs, level by level.
    fn blobs(&mut self, root: &Path, budget: &mut Budget) {
        let mut level = vec![root.to_path_buf()];
        for depth in 0..LEVELS {
            let mut next = Vec::new();
            for folder in &level {
                if !budget.folder() {
                    return;
                }
                let Ok(entries) = folder.read_dir() else { continue };
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
                    let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    if is_folder && self.look(&entry.path(), READ | PASS) {
                        next.push(entry.path());
                    } else if !is_folder && is_blob(name) && files < FILES_A_FOLDER {
                        files += 1;
                        self.look(&entry.path(), READ);
                    }
                }
            }
            level = next;
        }
    }

    fn judge(self, place: &Place) -> Option<Refusals> {
        let (path, is_folder, kind) = self.first?;
        let ids = Ids::own();
        let remote = place.mount.as_ref().is_none_or(super::mounts::Mount::is_remote);
        let remedy = remedy(&self.kinds, &ids, remote);
        let Kind { uid, gid, mode, .. } = kind;
        let (refused, looked_at) = (self.refused, self.looked_at);
        Some(Refusals { path, is_folder, uid, gid, mode, refused, looked_at, ids, remedy })
    }
}

/// Asks the system. What it cannot say is taken for leave.
fn lets_us(path: &Path, want: u32) -> bool {
    let mut access = Access::empty();
    for (bit, flag) in [(READ, Access::READ_OK), (WRITE, Access::WRITE_OK), (PASS, Access::EXEC_OK)] {
        if want & bit != 0 {
            access |= flag;
        }
    }
    rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS) != Err(Errno::ACCESS)
}

/// Returns whether a blob, or a folder of blobs, is read by anything: packs and indexes are; logs, sessions and the schedule of
/// maintenance, which other users may have written, are not. Nor is what does not have the name of a blob.
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
    /// Says whether the mode lets somebody. Root without capabilities is a user like others.
    fn lets(&self, uid: u32, gids: &[u32]) -> bool {
        let bits = match () {
            () if uid == self.uid => self.mode >> 6,
            () if gids.contains(&self.gid) => self.mode >> 3,
            () => self.mode,
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
