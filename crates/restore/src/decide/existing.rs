//! What happens to a file or link that the target has already.

use kopia_repository::Entry;
use rustix::fs::{FileType, Stat};

use super::file_type;
use crate::destination::is_directory;
use crate::destination::leftover::Leftover;
use crate::destination::metadata::keep::{Creator, found_as_settable};
use crate::destination::metadata::{Attributes, has_time, is_newer};
use crate::{Existing, Options};

/// Where the bytes of a file or link may be already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Candidates {
    /// What is to be done about what the target has, if it has something.
    pub(crate) existing: Option<ExistingPolicy>,
    /// What an interrupted restore left in the staging tree.
    pub(crate) left: Leftover,
    /// The bytes that are freed when what the target has is replaced.
    ///
    /// Nothing if that is a directory, or there is nothing.
    pub(crate) frees: Option<u64>,
    /// Whether what the target has was changed in place already, when it was tried before.
    pub(crate) mixed: bool,
}

impl Candidates {
    /// Decides about a file or link, from what the target has in its place.
    pub(crate) fn of(found: Option<&Stat>, entry: &Entry, options: &Options, creator: Creator) -> Self {
        Self {
            existing: found.map(|stat| ExistingPolicy::decide(stat, entry, options, creator)),
            left: Leftover::Nothing,
            frees: found
                .filter(|stat| !is_directory(stat))
                .map(|stat| if options.keep_replaced { 0 } else { freed_bytes(stat) }),
            mixed: false,
        }
    }

    /// Returns whether there is nothing that could spare work.
    pub(crate) fn is_nothing(self) -> bool {
        self.left != Leftover::Usable && matches!(self.existing, None | Some(ExistingPolicy::Replace))
    }
}

/// What happens to a file or link that the target has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExistingPolicy {
    /// Nothing there helps: what is restored goes to its place, whatever is in it.
    Replace,
    /// It may have the right bytes, so it is read.
    Compare,
    /// It is taken for right by its size, time and attributes.
    Trust {
        /// Whether it has another owner than the snapshot's, because no other can be set.
        owner: bool,
    },
    /// The snapshot's is not newer, and it stays as it is.
    Leave,
    /// It is not to be replaced.
    Refuse,
}

impl ExistingPolicy {
    fn decide(found: &Stat, entry: &Entry, options: &Options, creator: Creator) -> Self {
        let attributes = Attributes::of(entry, options);
        let kind = FileType::from_raw_mode(found.st_mode);
        let wanted = file_type(entry.kind());
        match options.existing {
            Existing::Error => Self::Refuse,
            _ if options.newer && !is_directory(found) && !is_newer(attributes.modified, found) => {
                Self::Leave
            }
            // What has other names is not ours to change, not even its owner and time.
            _ if kind != wanted || found.st_nlink != 1 => Self::Replace,
            Existing::Skip
                if kind == FileType::RegularFile
                    && u64::try_from(found.st_size) == Ok(entry.size())
                    && has_time(found, &attributes) =>
            {
                // Where something else is to be put right, it is opened anyway.
                found_as_settable(found, &attributes, creator)
                    .map_or(Self::Compare, |owner| Self::Trust { owner: !owner })
            }
            Existing::Verify | Existing::Skip => Self::Compare,
            Existing::Overwrite if options.in_place => Self::Compare,
            Existing::Overwrite => Self::Replace,
        }
    }
}

/// Returns the bytes that are freed when an entry is replaced: none as long as it has other names.
pub(crate) fn freed_bytes(stat: &Stat) -> u64 {
    // Blocks of 512 bytes, whatever the file system's unit is.
    let bytes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
    if stat.st_nlink > 1 { 0 } else { bytes }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, FileTimes, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use kopia_codec::key::Password;
    use kopia_repository::Repository;
    use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
    use rustix::fs::lstat;
    use rustix::process::{getegid, geteuid};
    use serde_json::json;

    use super::*;

    const SECONDS: u64 = 1_577_934_245;

    /// Makes a snapshot's file of five bytes, and returns it with what keeps its repository.
    fn entry() -> (tempfile::TempDir, Entry) {
        let place = tempfile::tempdir().unwrap();
        let mut writer = RepositoryWriter::new();
        let object = writer.file(b"bytes");
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let file = json!({"name": "f", "type": "f", "mode": "0640", "size": 5, "uid": uid, "gid": gid,
            "mtime": "2020-01-02T03:04:05.000000006Z", "obj": object});
        let root = writer.directory(&[file]);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "obj": root}));
        writer.finish_in(&place.path().join("repository")).unwrap();
        let store = kopia_storage::FilesystemStore::open(place.path().join("repository")).unwrap();
        let repository = Repository::open(store, &Password::from(PASSWORD)).unwrap();
        let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        (place, root.at("f").unwrap())
    }

    /// Makes a file with the attributes of the snapshot's, so many nanoseconds later.
    fn make(path: &Path, bytes: &[u8], mode: u32, later: u32) {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::new(SECONDS, 6 + later);
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_times(FileTimes::new().set_modified(time))
            .unwrap();
    }

    #[test]
    fn what_is_there_decides_with_what_is_asked_for() {
        use ExistingPolicy::{Compare, Refuse, Replace, Trust};
        let (place, entry) = entry();
        let at = |name: &str| place.path().join(name);
        make(&at("right"), b"other", 0o640, 0);
        make(&at("longer"), b"longer", 0o640, 0);
        make(&at("later"), b"other", 0o640, 1);
        make(&at("mode"), b"other", 0o600, 0);
        make(&at("linked"), b"other", 0o640, 0);
        fs::hard_link(at("linked"), at("link")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        symlink("right", at("symlink")).unwrap();
        let skipped = [
            ("right", Trust { owner: false }),
            ("longer", Compare),
            ("later", Compare),
            ("mode", Compare),
            ("linked", Replace),
            ("directory", Replace),
            ("symlink", Replace),
        ];
        for (name, skipped) in skipped {
            let decide = |existing, in_place| {
                let options = Options { existing, in_place, ..Options::default() };
                let found = lstat(at(name)).unwrap();
                Candidates::of(Some(&found), &entry, &options, Creator::of_process()).existing.unwrap()
            };
            let is_file = !matches!(name, "linked" | "directory" | "symlink");
            let compared = if is_file { Compare } else { Replace };
            assert_eq!(decide(Existing::Verify, false), compared, "{name}");
            assert_eq!(decide(Existing::Skip, false), skipped, "{name}");
            assert_eq!(decide(Existing::Overwrite, false), Replace, "{name}");
            assert_eq!(decide(Existing::Overwrite, true), compared, "{name}");
            assert_eq!(decide(Existing::Error, false), Refuse, "{name}");
        }
    }

    #[test]
    fn what_is_as_new_as_the_snapshots_stays() {
        let (place, entry) = entry();
        let at = |name: &str| place.path().join(name);
        for (name, later) in [("same", 0), ("later", 1)] {
            make(&at(name), b"other", 0o640, later);
        }
        make(&at("earlier"), b"other", 0o640, 0);
        let time = SystemTime::UNIX_EPOCH + Duration::new(SECONDS, 5);
        File::options().write(true).open(at("earlier")).unwrap().set_modified(time).unwrap();
        fs::create_dir(at("directory")).unwrap();
        symlink("same", at("symlink")).unwrap();
        for existing in [Existing::Verify, Existing::Skip, Existing::Overwrite] {
            let stays = |name: &str| {
                let options = Options { existing, newer: true, ..Options::default() };
                let found = lstat(at(name)).unwrap();
                let found = Candidates::of(Some(&found), &entry, &options, Creator::of_process());
                found.existing == Some(ExistingPolicy::Leave)
            };
            assert!(stays("same") && stays("later") && stays("symlink"), "{existing:?}");
            assert!(!stays("earlier") && !stays("directory"), "{existing:?}");
        }
    }

    #[test]
    fn only_what_is_no_directory_and_has_one_name_frees_bytes() {
        let (place, entry) = entry();
        let at = |name: &str| place.path().join(name);
        make(&at("file"), &[1; 20_000], 0o640, 0);
        make(&at("linked"), &[1; 20_000], 0o640, 0);
        fs::hard_link(at("linked"), at("link")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        let frees = |name: &str| {
            let found = lstat(at(name)).unwrap();
            Candidates::of(Some(&found), &entry, &Options::default(), Creator::of_process()).frees
        };
        let blocks = u64::try_from(lstat(at("file")).unwrap().st_blocks).unwrap();
        assert_eq!((frees("file"), frees("linked"), frees("directory")), (Some(512 * blocks), Some(0), None));
        assert!(blocks > 0);
        let nothing = Candidates::of(None, &entry, &Options::default(), Creator::of_process());
        assert_eq!(nothing, Candidates::default());
    }

    #[test]
    fn only_what_may_be_right_spares_work() {
        use ExistingPolicy::{Compare, Replace};
        let is_nothing = |existing, left| Candidates { existing, left, ..Candidates::default() }.is_nothing();
        assert!(is_nothing(None, Leftover::Nothing) && is_nothing(Some(Replace), Leftover::InTheWay));
        assert!(!is_nothing(Some(Compare), Leftover::Nothing));
        assert!(!is_nothing(None, Leftover::Usable) && !is_nothing(Some(Replace), Leftover::Usable));
    }
}
