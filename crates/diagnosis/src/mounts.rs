//! What is mounted where, as `/proc/self/mountinfo` tells it. Authority: proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The longest table that is read, in bytes. Each mount has some 150.
const MAX_LENGTH: u64 = 16 << 20;

/// File systems that hold no backups, and in which looking around can take long or do something.
const SPECIAL: [&str; 20] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Such as `ext4` or `nfs4`.
    pub file_system: String,
    /// Such as `/dev/sda1` or `server:/export`.
    pub source: String,
}

/// All mounts that this process sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// Reads the table; `None` where the system has none.
    pub fn read() -> Option<Self> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open("/proc/self/mountinfo").ok()?;
        file.take(MAX_LENGTH).read_to_end(&mut bytes).ok()?;
        Some(Self::parse(&bytes))
    }

    /// Reads lines of `id parent device root point options [fields …] - type source options`; leaves out what
    /// is none.
    pub fn parse(bytes: &[u8]) -> Self {
        let line = |line: &[u8]| {
            let mut fields = line.split(|&byte| byte == b' ');
            let point = PathBuf::from(OsString::from_vec(unescape(fields.nth(4)?)));
            let mut after = fields.skip_while(|field| *field != b"-").skip(1);
            let mut text = || Some(String::from_utf8_lossy(&unescape(after.next()?)).into_owned());
            Some(Mount { point, file_system: text()?, source: text()? })
        };
        Self(bytes.split(|&byte| byte == b'\n').filter_map(line).collect())
    }

    /// Returns the mount whose mount point is this path, which must be canonical. The last one hides those
    /// before it.
    pub fn at(&self, point: &Path) -> Option<&Mount> {
        self.0.iter().rev().find(|mount| mount.point == point)
    }

    /// Returns the mount that a path, which must be canonical, lies in.
    pub fn holding(&self, path: &Path) -> Option<&Mount> {
        path.ancestors().find_map(|path| self.at(path))
    }

    /// Returns whether a mount point is to be left alone when looking around.
    pub fn is_special(&self, point: &Path) -> bool {
        self.at(point).is_some_and(Mount::is_special)
    }

    /// Returns all mounts, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.0.iter()
    }
}

impl Mount {
    /// Returns whether it holds no backups.
    pub fn is_special(&self) -> bool {
        SPECIAL.contains(&&*self.file_system)
    }

    /// Returns whether a server decides about permissions, so that kubelet's fsGroup changes nothing.
    pub fn is_remote(&self) -> bool {
        ["nfs", "cifs", "smb", "fuse", "9p", "ceph", "glusterfs", "virtiofs", "afs"]
            .iter()
            .any(|kind| self.file_system.starts_with(kind))
    }
}

/// Undoes escapes: blanks, tabs, line breaks and backslashes are `\` and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let octal = |digits: &[u8; 3]| {
            digits.iter().try_fold(0u32, |value, digit| Some(value << 3 | char::from(*digit).to_digit(8)?))
        };
        let escaped = after.first_chunk().filter(|_| first == b'\\').and_then(octal);
        match escaped.and_then(|value| u8::try_from(value).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[3..];
            }
            None => {
                plain.push(first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = br"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
23 22 0:20 / /proc rw,nosuid - proc proc rw
24 22 0:33 / /mnt/my\040volume\134n rw,relatime master:2 propagate_from:3 - nfs4 nas.lan:/ex\011port rw,addr=1.2.3.4
25 22 0:33 / /repository rw - nfs4 old:/x rw
26 22 0:34 /sub /repository rw - fuse.rclone new:/x rw
nonsense
27 22 0:1 / /short rw -
";

    #[test]
    fn mounts_are_found_by_the_path_they_hide() {
        let mounts = Mounts::parse(TABLE);
        assert_eq!(mounts.0.len(), 5);
        let volume = mounts.at(Path::new("/mnt/my volume\\n")).unwrap();
        assert_eq!((&*volume.file_system, &*volume.source), ("nfs4", "nas.lan:/ex\tport"));
        assert!(volume.is_remote());
        let holding = |path: &str| mounts.holding(Path::new(path)).unwrap().source.clone();
        assert_eq!(holding("/repository/a/b"), "new:/x");
        assert_eq!(holding("/repositories"), "/dev/root");
        assert_eq!(mounts.at(Path::new("/repository/a")), None);
        assert!(mounts.is_special(Path::new("/proc")) && !mounts.is_special(Path::new("/")));
        assert!(!mounts.at(Path::new("/")).unwrap().is_remote());
    }

    #[test]
    fn only_whole_escapes_are_undone() {
        for (field, plain) in [
            (&br"a\040b"[..], &b"a b"[..]),
            (br"\\040", br"\ "),
            (br"\04", br"\04"),
            (br"\048", br"\048"),
            (br"\777", br"\777"),
            (br"\", br"\"),
            (br"\012\377", b"\n\xff"),
        ] {
            assert_eq!(unescape(field), plain, "{field:?}");
        }
    }

    #[test]
    fn this_system_has_a_root() {
        if let Some(mounts) = Mounts::read() {
            assert!(mounts.holding(Path::new("/proc/self")).is_some());
        }
    }
}
