//! Where a path lies in its file system, wherever that is mounted: `/proc/self/mountinfo` tells.
//!
//! A bind mount has directories of its own path above it, so whoever asks these for device and inode does not
//! learn what the mounted directory lies in. Authority: proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The longest table that is read, in bytes. Each mount has some 150.
const MAX_LENGTH: u64 = 16 << 20;

/// All mounts that this process sees, in their order: later ones hide earlier ones.
pub(crate) struct MountTable(Vec<Mount>);

struct Mount {
    /// Major and minor number of the file system.
    device: Box<[u8]>,
    /// The directory of the file system that is mounted.
    root: PathBuf,
    /// Where it is mounted.
    point: PathBuf,
    /// What is mounted: a device's path, or a word.
    source: PathBuf,
}

impl MountTable {
    /// Reads the table; `None` where the system has none.
    pub(crate) fn read() -> Option<Self> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open("/proc/self/mountinfo").ok()?;
        file.take(MAX_LENGTH).read_to_end(&mut bytes).ok()?;
        Some(Self::parse(&bytes))
    }

    /// Parses lines of `id parent device root point … - type source …`, and leaves out what is none.
    fn parse(bytes: &[u8]) -> Self {
        let mount = |line: &[u8]| {
            let mut fields = line.split(|&byte| byte == b' ');
            let device = fields.nth(2)?.into();
            let path = |field: &[u8]| PathBuf::from(OsString::from_vec(unescape(field)));
            let (root, point) = (path(fields.next()?), path(fields.next()?));
            let source = fields.skip_while(|field| field != b"-").nth(2).map(path).unwrap_or_default();
            Some(Mount { device, root, point, source })
        };
        Self(bytes.split(|&byte| byte == b'\n').filter_map(mount).collect())
    }

    /// Returns whether a path is a directory or lies in it, as their file system has them.
    ///
    /// Both must be canonical.
    pub(super) fn is_within(&self, path: &Path, directory: &Path) -> bool {
        match (self.locate(path), self.locate(directory)) {
            (Some(path), Some(directory)) => path.0 == directory.0 && path.1.starts_with(directory.1),
            _ => false,
        }
    }

    /// Lists where a device is mounted, by its number, or by a path for which `is_it` says so: Btrfs has numbers
    /// of its own.
    pub(crate) fn points_of(&self, number: &str, is_it: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
        let uses = |mount: &&Mount| {
            *mount.device == *number.as_bytes() || mount.source.is_absolute() && is_it(&mount.source)
        };
        self.0.iter().filter(uses).map(|mount| mount.point.clone()).collect()
    }

    /// Finds the file system that a path lies in, and its path there.
    fn locate(&self, path: &Path) -> Option<(&[u8], PathBuf)> {
        path.ancestors().find_map(|point| {
            let mount = self.0.iter().rev().find(|mount| mount.point == point)?;
            Some((&*mount.device, mount.root.join(path.strip_prefix(point).ok()?)))
        })
    }
}

/// Undoes escapes: blanks, tabs, line breaks and backslashes are `\` and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let octal = |digits: &[u8; 3]| {
        let value =
            digits.iter().try_fold(0_u32, |value, &digit| Some(value << 3 | char::from(digit).to_digit(8)?));
        value.and_then(|value| u8::try_from(value).ok())
    };
    let (mut plain, mut rest) = (Vec::with_capacity(field.len()), field);
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.first_chunk().filter(|_| first == b'\\').and_then(octal);
        plain.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_twice_is_one() {
        let table = MountTable::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
              2 1 8:2 / /srv rw - ext4 /dev/sdb1 rw\n\
              3 1 8:2 /repo/p0 /mnt/x\\040y rw shared:1 - ext4 /dev/sdb1 rw\n\
              4 1 8:3 / /srv/other rw - ext4 /dev/sdc1 rw\n\
              no mount\n\
              5 1 8:2 /elsewhere /hidden rw - ext4 /dev/sdb1 rw\n\
              6 1 8:2 /repo /hidden rw - ext4 /dev/sdb1 rw\n",
        );
        let is_within = |path: &str| table.is_within(Path::new(path), Path::new("/srv/repo"));
        for path in ["/srv/repo", "/srv/repo/a", "/mnt/x y", "/mnt/x y/deep", "/hidden", "/hidden/p0"] {
            assert!(is_within(path), "{path}");
        }
        for path in ["/", "/srv", "/srv/repo2", "/repo", "/mnt/x", "/mnt/x y2", "/srv/other/repo"] {
            assert!(!is_within(path), "{path}");
        }
        assert!(!MountTable::parse(b"").is_within(Path::new("/a"), Path::new("/a")));
    }

    #[test]
    fn a_device_is_found_by_its_number_or_its_path() {
        let table = MountTable::parse(
            b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
              2 1 8:2 / /a\\040b rw shared:1 master:2 - ext4 /dev/sdb1 rw\n\
              3 1 0:44 /@ /btrfs rw - btrfs /dev/sdc1 rw\n\
              4 1 0:45 / /t rw - tmpfs tmpfs rw\n",
        );
        let points = |number: &str, path: &str| table.points_of(number, |source| source == Path::new(path));
        assert_eq!(points("8:2", "/dev/none"), [Path::new("/a b")]);
        assert_eq!(points("8:3", "/dev/sdc1"), [Path::new("/btrfs")]);
        assert!(points("8:4", "tmpfs").is_empty());
    }

    #[test]
    fn only_whole_escapes_are_undone() {
        assert_eq!(unescape(br"a\040b\134\011"), b"a b\\\t");
        assert_eq!(unescape(br"\04\999\777x\"), br"\04\999\777x\");
    }
}
