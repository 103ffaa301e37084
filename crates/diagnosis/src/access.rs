//! Which files and directories refuse this process (EACCES), and which ids would be allowed.
//!
//! kopia makes files 0600 and directories 0700, so another user cannot read them; and where several users
//! wrote, none can read everything. Whether something refuses us, the kernel is asked by access(2), which
//! opens nothing.

mod remedy;

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
use remedy::{Kind, Tally, remedy};
pub use remedy::{Remedy, SecurityContext};

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
        for _ in 0..LEVELS {
            let mut next = Vec::new();
            for directory in &level {
                // The names of its directories, joined: what the ids of all blobs in it begin with.
                let below = directory.strip_prefix(root).unwrap_or(Path::new("")).as_os_str();
                let joined: Vec<u8> =
                    below.as_encoded_bytes().iter().copied().filter(|&byte| byte != b'/').collect();
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
                    let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                    // No directory of blobs that are read has a dot in its name.
                    if !is_needed(&[&joined[..], name].concat()) || is_directory && name.contains(&b'.') {
                        continue;
                    }
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

fn octal<S: serde::Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{mode:04o}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blobs_that_are_read_matter() {
        for name in ["p", "q12f", "n", "x", "xn0_", "xe3", "xw16", "p0a1b2c3d-s5f.f", "m01.f", "n0123.f"] {
            assert!(is_needed(name.as_bytes()), "{name}");
        }
        for name in
            ["private", "photos", "nextcloud", "music", "xyz", "_lo", "s01", "kopia.log", "p06private", ""]
        {
            assert!(!is_needed(name.as_bytes()), "{name}");
        }
    }
}
