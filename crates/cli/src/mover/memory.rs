//! Whether the pod may use as much memory as the repository takes.
//!
//! A restore that is killed for memory leaves a pod that is started again and again, and a log that ends in the middle. So the
//! limit of the control group is compared with what is needed before anything is written.

use std::fs;
use std::path::{Path, PathBuf};

use super::sentence::Trouble;

/// What any volume needs of a repository with up to [`CONTENTS`] contents, in bytes.
const BASE: u64 = 256 << 20;

/// How many contents that covers.
const CONTENTS: u64 = 2_000_000;

/// What each further content takes: its row in the merged index, in bytes.
const ROW: u64 = 40;

/// Returns how many bytes a restore from a repository with so many contents may take.
pub(crate) fn needed(contents: u64) -> u64 {
    BASE.saturating_add(contents.saturating_sub(CONTENTS).saturating_mul(ROW))
}

/// Compares what is needed with the limit of this process's control group.
pub(crate) fn check(contents: u64) -> Result<(), Trouble> {
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limit = limit(Path::new("/sys/fs/cgroup"), &membership);
    compare(contents, limit)
}

fn compare(contents: u64, limit: Option<u64>) -> Result<(), Trouble> {
    let needed = needed(contents);
    match limit.filter(|limit| *limit < needed) {
        None => Ok(()),
        Some(limit) => Err(Trouble::new(
            format!(
                "the memory limit is {}, and a repository of {contents} contents needs {}",
                mebibytes(limit, false),
                mebibytes(needed, true)
            ),
            format!("set moverResources.limits.memory to {}", mebibytes(needed, true).replace(" MiB", "Mi")),
        )),
    }
}

/// Shows what is there rounded down, and what is needed rounded up: the two never look equal.
fn mebibytes(bytes: u64, up: bool) -> String {
    let whole = if up { bytes.div_ceil(1 << 20) } else { bytes >> 20 };
    format!("{whole} MiB")
}

/// Finds the lowest limit of a process's group and all groups that it lies in, for both versions of control groups.
///
/// A container sees its own group as the root, or sees the path that the group has outside: so every beginning of the path is
/// tried, and the root.
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
        assert!(compare(0, None).is_ok() && compare(0, Some(256 << 20)).is_ok());
        let trouble = compare(10_000_000, Some(512 << 20)).unwrap_err().to_string();
        assert!(
            trouble.contains("512 MiB") && trouble.contains("562 MiB") && trouble.contains("562Mi"),
            "{trouble}"
        );
        let close = compare(0, Some((256 << 20) - 1)).unwrap_err().to_string();
        assert!(close.contains("255 MiB") && close.contains("256 MiB"), "{close}");
    }

    fn put(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn the_lowest_limit_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
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
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "memory/memory.limit_in_bytes", "9223372036854771712\n");
        let membership = "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n";
        assert_eq!(limit(root, membership), None);
        put(root, "memory/docker/abc/memory.limit_in_bytes", "104857600\n");
        assert_eq!(limit(root, membership), Some(104_857_600));
        assert_eq!(limit(root, "4:memory,hugetlb:/docker/abc\n"), Some(104_857_600));
    }
}
