//! Checks whether a target can be written to, and has space for what is to be restored.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use kopia_format::directory::EntryKind;
use kopia_repository::{Defect, Entry};
use kopia_restore::{Existing, FoldedNames, Options, Problem, Reason};
use rustix::fs::{StatVfs, StatVfsMountFlags};
use serde::Serialize;

use crate::access;
use crate::finding::Finding;
use crate::local_path::{LocalPath, PathState};
use crate::serialize::path;
use crate::text::{chain, count, escape};

/// File systems that store files as long as they are, so that what does not fit does not fit. Others
/// compress.
const PLAIN: [&str; 6] = ["ext2", "ext3", "ext4", "xfs", "tmpfs", "vfat"];

/// Returns whether files take as much space at a path as they are long.
pub fn is_plain(path: &LocalPath) -> bool {
    path.mount.as_ref().is_some_and(|mount| PLAIN.contains(&&*mount.file_system))
}

/// What a restore needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The sizes of all files, in bytes.
    pub bytes: u64,
    /// How many files there are.
    pub files: u64,
    /// How many files, symlinks and directories there are.
    pub entries: u64,
}

/// What is free where a target is, or will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FreeSpace {
    /// The target, or its nearest ancestor that exists.
    #[serde(serialize_with = "path")]
    pub path: PathBuf,
    /// How many bytes this process may still write.
    pub free_bytes: u64,
    /// How many entries can be made; `None` where the file system makes inodes as it needs them.
    pub free_inodes: Option<u64>,
    #[serde(skip)]
    block: u64,
    #[serde(skip)]
    is_read_only: bool,
}

impl Needs {
    /// Takes what an entry says of itself; `None` where a directory does not say what it holds.
    pub fn of(entry: &Entry) -> Option<Self> {
        if entry.kind() != EntryKind::Directory {
            return Some(Self { bytes: entry.size(), files: 1, entries: 1 });
        }
        // One that is named by its object id has the summary inside.
        let read = || entry.for_each(|_| ControlFlow::Continue(())).ok()?.continue_value().flatten();
        let summary = entry.summary().cloned().or_else(read)?;
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let entries = [summary.files, summary.symlinks, summary.dirs].map(number);
        Some(Self {
            bytes: number(summary.size),
            files: number(summary.files),
            entries: entries.into_iter().fold(0, u64::saturating_add),
        })
    }
}

/// Returns whether a file system has space for bytes, but not for more files. What was given up is often
/// removed again, so that a few inodes are free.
pub fn has_no_inodes(target: &Path) -> bool {
    const FEW: u64 = 16;
    FreeSpace::of(target)
        .is_some_and(|room| room.free_bytes > 0 && room.free_inodes.is_some_and(|free| free < FEW))
}

impl FreeSpace {
    /// Asks the file system that a target is in, or its nearest ancestor that exists.
    pub fn of(target: &Path) -> Option<Self> {
        let path = LocalPath::look(target).existing;
        let StatVfs { f_bfree, f_bavail, f_ffree, f_favail, f_files, f_frsize, f_flag, .. } =
            rustix::fs::statvfs(&path).ok()?;
        // Root may use what is kept back for it.
        let is_root = rustix::process::geteuid().is_root();
        let (blocks, inodes) = if is_root { (f_bfree, f_ffree) } else { (f_bavail, f_favail) };
        Some(Self {
            path,
            free_bytes: blocks.saturating_mul(f_frsize),
            free_inodes: (f_files > 0).then_some(inodes),
            block: f_frsize,
            is_read_only: f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }

    /// Returns about how many bytes everything takes here.
    pub fn needed(&self, needs: Needs) -> u64 {
        // The last block of a file is half full, on the average.
        needs.bytes.saturating_add(needs.files.saturating_mul(self.block / 2))
    }

    /// Returns whether there may be too little room for all files.
    pub fn lacks_bytes(&self, needs: Needs) -> bool {
        self.needed(needs) > self.free_bytes
    }

    /// Returns whether there is too little room for the bytes of all files, however little each takes beside
    /// them: empty files take no block at all, and some file systems keep small ones with their attributes.
    fn surely_lacks_bytes(&self, needs: Needs) -> bool {
        needs.bytes > self.free_bytes
    }

    /// Finds what it lacks.
    fn lacks(&self, needs: Needs) -> Vec<Finding> {
        let target = self.path.clone();
        let mut findings = Vec::new();
        if self.lacks_bytes(needs) {
            findings.push(Finding::NoSpace {
                target: target.clone(),
                needed: self.needed(needs),
                free: self.free_bytes,
                certain: self.surely_lacks_bytes(needs),
            });
        }
        if let Some(free) = self.free_inodes.filter(|free| needs.entries > *free) {
            findings.push(Finding::NoFiles { target, needed: needs.entries, free });
        }
        findings
    }
}

/// File systems without owners, modes and symbolic links of their own.
const WITHOUT_ATTRIBUTES: [&str; 5] = ["vfat", "msdos", "exfat", "fuse.exfat", "ntfs"];

/// Those on which it is for a server, a driver or the options of the mount to keep them.
const MAYBE_WITHOUT: [&str; 19] = [
    "9p",
    "cifs",
    // davfs2 and others that do not say what they are.
    "fuse",
    "fuse.blobfuse",
    "fuse.blobfuse2",
    "fuse.curlftpfs",
    "fuse.gcsfuse",
    "fuse.goofys",
    "fuse.gvfsd-fuse",
    "fuse.mountpoint-s3",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "fuse.vmhgfs-fuse",
    "fuseblk",
    "ntfs3",
    "smb3",
    "smbfs",
    "vboxsf",
];

/// Looks whether a target lies in a file system that is known to lose attributes and links, and nothing but
/// them.
pub fn loses_attributes(path: &LocalPath) -> Option<Finding> {
    let mount = path.mount.as_ref()?;
    let file_system = &*mount.file_system;
    let maybe = MAYBE_WITHOUT.contains(&file_system);
    (maybe || WITHOUT_ATTRIBUTES.contains(&file_system)).then(|| Finding::LosesAttributes {
        target: path.existing.clone(),
        file_system: file_system.into(),
        maybe,
    })
}

/// Looks at a target before anything is written to it.
///
/// What it holds already, and what a quota allows, is not known here: a restore over an older one may need
/// less, and room may run out earlier.
pub fn target(target: &Path, needs: Option<Needs>) -> Vec<Finding> {
    let place = LocalPath::look(target);
    if let PathState::Other(what) = place.state {
        return vec![Finding::NotADirectory { given: place.given, what }];
    }
    let Some(room) = FreeSpace::of(target) else { return Vec::new() };
    let mut findings = Vec::new();
    if room.is_read_only {
        findings.push(Finding::ReadOnlyTarget { target: room.path.clone() });
    } else {
        findings.extend(access::of_target(&place).map(Finding::TargetRefused));
    }
    findings.extend(needs.iter().flat_map(|needs| room.lacks(*needs)));
    findings.extend(loses_attributes(&place));
    findings.extend(folds_names(room.path, kopia_restore::folded_names(target)));
    findings
}

fn folds_names(target: PathBuf, FoldedNames { by_case, by_form }: FoldedNames) -> Option<Finding> {
    (by_case || by_form).then_some(Finding::FoldsNames { target, by_case, by_form })
}

/// Of how many entries a snapshot is looked through: all its directories are read for that.
const MOST_ENTRIES: u64 = 100_000;

/// File systems that take all names of up to 255 bytes, and links and files of nearly every length.
const OF_UNIX: [&str; 8] = ["bcachefs", "btrfs", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"];

/// Looks whether the file system of a target can hold all entries of a snapshot, as the dry run of a restore
/// does: whether it takes their names, links and sizes, and no name for that of another entry.
///
/// All directories of the snapshot are read for that, and no file, also none of the target's. Whatever else
/// keeps an entry from being restored is left to the dry run, and so are snapshots of more than 100,000 entries;
/// but where a directory cannot be read, nothing is known of what lies in it.
///
/// # Errors
/// Why it is not known of all entries, and which command tells more, on one line.
pub fn unfit_entries(target: &Path, entry: &Entry) -> Result<Option<Finding>, String> {
    let unknown_but = |why: &str, hint: &str| {
        let target = target.display();
        escape(&format!("whether {target} can hold all entries is not known: {why}; {hint}")).into_owned()
    };
    let unknown = |why: &str| unknown_but(why, "`restore --dry-run` looks at all of them");
    let entries = Needs::of(entry).map_or(0, |needs| needs.entries);
    if entries > MOST_ENTRIES {
        let why = format!("{} would be looked at", count(entries, "entry", "entries"));
        return if is_of_unix(target) { Ok(None) } else { Err(unknown(&why)) };
    }
    let mut options = Options::default();
    // So that nothing is compared.
    options.existing = Existing::Overwrite;
    let preview = kopia_restore::preview(entry, target, &options, |_| ());
    let preview = preview.map_err(|error| unknown(&chain(&error)))?;
    let is_unfit =
        |problem: &&Problem| matches!(problem.reason, Reason::Unfit { .. } | Reason::NameTaken { .. });
    let is_unread = |problem: &&Problem| matches!(problem.reason.defect(), Some(Defect::Unreadable(_)));
    let unread = preview.problems.iter().find(is_unread);
    let mut unfit = preview.problems.iter().filter(is_unfit);
    let Some(first) = unfit.next() else {
        return match unread {
            // The dry run could not read it either: this is one.
            Some(problem) => Err(unknown_but(&problem.to_string(), "`verify` names all that cannot be read")),
            None if preview.may_lack_problems() => Err(unknown("there are too many other problems")),
            None => Ok(None),
        };
    };
    Ok(Some(Finding::UnfitEntries {
        target: target.into(),
        entries: 1 + unfit.count() as u64,
        more: unread.is_some() || preview.may_lack_problems() || preview.unfit_below > 0,
        example: first.to_string(),
    }))
}

/// Returns whether hardly any entry is refused at a path, or taken for another.
fn is_of_unix(path: &Path) -> bool {
    let FoldedNames { by_case, by_form } = kopia_restore::folded_names(path);
    let mount = LocalPath::look(path).mount;
    !by_case && !by_form && mount.is_some_and(|mount| OF_UNIX.contains(&&*mount.file_system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_inodes_must_do() {
        let room = FreeSpace {
            path: "/t".into(),
            free_bytes: 1000,
            free_inodes: Some(10),
            block: 100,
            is_read_only: false,
        };
        let lacks = |bytes, files, entries| room.lacks(Needs { bytes, files, entries }).len();
        assert_eq!(lacks(500, 10, 10), 0);
        assert_eq!(lacks(501, 10, 10), 1);
        assert_eq!(lacks(500, 10, 11), 1);
        assert_eq!(lacks(u64::MAX, u64::MAX, u64::MAX), 2);
        // That blocks are half full is an average: only the bytes themselves are certain to be needed.
        let certain = |bytes, files| match &room.lacks(Needs { bytes, files, entries: 0 })[..] {
            [finding @ Finding::NoSpace { certain, .. }] => (*certain, finding.weight()),
            findings => panic!("{findings:?}"),
        };
        assert_eq!(certain(0, 21), (false, crate::Weight::Note));
        assert_eq!(certain(1000, 1), (false, crate::Weight::Note));
        assert_eq!(certain(1001, 0), (true, crate::Weight::Problem));
        // As btrfs has it.
        let endless = FreeSpace { free_inodes: None, ..room };
        assert_eq!(endless.lacks(Needs { bytes: 0, files: 0, entries: u64::MAX }), []);
    }

    #[test]
    fn lost_attributes_are_foreseen() {
        let mut place = LocalPath::look(Path::new("/"));
        let mut found = |file_system: &str| {
            place.mount = Some(crate::mounts::Mount {
                point: "/".into(),
                file_system: file_system.into(),
                source: "somewhere".into(),
            });
            let finding = loses_attributes(&place)?;
            assert_eq!(finding.weight(), crate::Weight::Note);
            Some(finding.fact())
        };
        let fact = |keeps: &str, takes: &str| {
            let bits = "no owners, modes and special bits";
            Some(format!("/ lies in a file system ({keeps} {bits}, and {takes} symbolic links"))
        };
        assert_eq!(found("vfat"), fact("vfat) that keeps", "refuses"));
        for may_refuse in ["cifs", "fuseblk", "fuse.rclone", "fuse.gvfsd-fuse", "fuse", "vboxsf"] {
            let keeps = format!("{may_refuse}) that may keep");
            assert_eq!(found(may_refuse), fact(&keeps, "may refuse"));
        }
        assert_eq!(found("ext4"), None);
    }

    #[test]
    fn what_folds_names_is_found() {
        let found = |by_case, by_form| {
            let finding = folds_names("/t".into(), FoldedNames { by_case, by_form })?;
            assert_eq!(finding.weight(), crate::Weight::Note);
            Some(finding)
        };
        assert_eq!(found(false, false), None);
        for (by_case, by_form) in [(true, false), (false, true), (true, true)] {
            let expected = Finding::FoldsNames { target: "/t".into(), by_case, by_form };
            assert_eq!(found(by_case, by_form), Some(expected));
        }
    }

    #[test]
    fn what_is_there_is_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let room = FreeSpace::of(&directory.path().join("a/b")).unwrap();
        assert_eq!(room.path, directory.path().canonicalize().unwrap());
        assert!(room.free_bytes > 0);
        assert_eq!(target(&directory.path().join("a/b"), None), []);
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(&target(&file, None)[..], [Finding::NotADirectory { .. }]));
    }
}
