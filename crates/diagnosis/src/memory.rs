//! Compares the memory limit of the control group (cgroup) with what a repository takes.
//!
//! A restore in a pod that is killed for memory is started again and again, and its log ends in the middle.
//! So the limit is compared with what is needed before anything is written.

use std::fs;
use std::path::{Path, PathBuf};

/// What any volume needs of a repository with up to [`CONTENTS`] contents, in bytes.
const BASE: u64 = 256 << 20;

/// How many contents that covers.
const CONTENTS: u64 = 2_000_000;

/// What each further content takes: its row in the merged index, in bytes.
const ROW: u64 = 40;

/// Returns how many bytes a restore from a repository with so many contents may take.
pub fn needed(contents: u64) -> u64 {
    BASE.saturating_add(contents.saturating_sub(CONTENTS).saturating_mul(ROW))
}

/// A limit of memory that is too low.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// What the control group allows, in bytes.
    pub limit: u64,
    /// What is needed, in bytes.
    pub needed: u64,
}

/// Compares what a restore from a repository with so many contents needs with the limit of this process's
/// control group; `None` if that is enough, or there is none.
pub fn shortage(contents: u64) -> Option<Shortage> {
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    compare(contents, limit(Path::new("/sys/fs/cgroup"), &membership))
}

fn compare(contents: u64, limit: Option<u64>) -> Option<Shortage> {
    let needed = needed(contents);
    limit.filter(|limit| *limit < needed).map(|limit| Shortage { limit, needed })
}

/// Finds the lowest limit of a process's group and all groups that it lies in, for both versions of control
/// groups.
///
/// A container sees its own group as the root, or sees the path that the group has outside: so every
/// beginning of the path is tried, and the root.
fn limit(root: &Path, membership: &str) -> Option<u64> {
    let groups = membership.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        Some((controllers, path.trim_start_matches('/')))
    });
    let mut limits = Vec::new();
    for (controllers, path) in groups {
        let (roots, file): (&[PathBuf], _) = if controllers.is_empty() {
            (&[root.to_path_buf(), root.join("unified")], "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            (&[root.join("memory")], "memory.limit_in_bytes")
        } else {
            continue;
        };
        for root in roots {
            let group = root.join(path);
            let within = group.ancestors().take_while(|group| group.starts_with(root));
            limits.extend(within.filter_map(|group| read(&group.join(file))));
        }
    }
    limits.into_iter().min()
}

/// Reads a limit; `max` and the largest number that version 1 knows are none.
fn read(file: &Path) -> Option<u64> {
    let bytes: u64 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (bytes < i64::MAX as u64 & !0xffff).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed() {
        assert_eq!(needed(0), 256 << 20);
        assert_eq!(needed(2_000_000), 256 << 20);
        assert_eq!(needed(3_000_000), (256 << 20) + 40_000_000);
        assert_eq!(needed(u64::MAX), u64::MAX);
        assert_eq!([compare(0, None), compare(0, Some(256 << 20))], [None, None]);
        let short = compare(10_000_000, Some(512 << 20));
        assert_eq!(short, Some(Shortage { limit: 512 << 20, needed: (256 << 20) + 320_000_000 }));
        assert_eq!(compare(0, Some((256 << 20) - 1)).map(|short| short.needed), Some(256 << 20));
    }

    fn put(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn the_lowest_limit_counts() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        assert_eq!(limit(root, "0::/kubepods/pod1/c\n"), None);
        put(root, "memory.max", "max\n");
        assert_eq!(limit(root, "0::/\n"), None);
        put(root, "kubepods/pod1/c/memory.max", "300\n");
        put(root, "kubepods/memory.max", "200\n");
        assert_eq!(limit(root, "0::/kubepods/pod1/c\n"), Some(200));
        assert_eq!(limit(root, "0::/kubepods/other\n"), Some(200));
        assert_eq!(limit(root, "0::/elsewhere\n"), None);
        // A container's own group is its root.
        put(root, "memory.max", "100\n");
        assert_eq!(limit(root, "0::/\n"), Some(100));
        assert_eq!(limit(root, "0::/../pod2\n"), Some(100));
        assert_eq!(limit(root, "nonsense\n\n1:x\n"), None);
    }

    #[test]
    fn version_1() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        put(root, "memory/memory.limit_in_bytes", "9223372036854771712\n");
        let membership = "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n";
        assert_eq!(limit(root, membership), None);
        put(root, "memory/docker/abc/memory.limit_in_bytes", "104857600\n");
        assert_eq!(limit(root, membership), Some(104_857_600));
        assert_eq!(limit(root, "4:memory,hugetlb:/docker/abc\n"), Some(104_857_600));
    }
}
