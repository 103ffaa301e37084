//! What uses a device: mounts, swap, volumes made of it, and the same of its partitions.
//!
//! Authorities: proc_pid_mountinfo(5), proc_swaps(5), and `Documentation/ABI/stable/sysfs-block` of Linux.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::destination::mount_table::MountTable;

/// Names everything that is seen to use a device or one of its partitions, as in "mounted at /data".
pub(super) fn holders(number: u64) -> Vec<String> {
    let folder = folder(number);
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let mounts = MountTable::read();
    let of_one = |number, folder: &Path| of_one(number, folder, mounts.as_ref(), &swaps);
    let mut all = of_one(number, &folder);
    for partition in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = partition.path();
        if !path.join("partition").exists() {
            continue;
        }
        let name = partition.file_name().to_string_lossy().into_owned();
        let of_partition = number_in(&path).map(|number| of_one(number, &path)).unwrap_or_default();
        all.extend(of_partition.into_iter().map(|holder| format!("its partition {name} is {holder}")));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Returns whether the kernel lets nobody write to a device.
pub(super) fn is_read_only(number: u64) -> bool {
    fs::read_to_string(folder(number).join("ro")).is_ok_and(|text| text.trim() == "1")
}

fn of_one(number: u64, folder: &Path, mounts: Option<&MountTable>, swaps: &str) -> Vec<String> {
    let is_it = |path: &Path| fs::metadata(path).is_ok_and(|found| found.rdev() == number);
    let mut all = Vec::new();
    if let Some(table) = mounts {
        let points = table.points_of(&text(number), is_it);
        all.extend(points.iter().map(|point| format!("mounted at {}", point.display())));
    }
    let names = swaps.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().next());
    if names.map(Path::new).any(is_it) {
        all.push("used as swap".into());
    }
    for holder in fs::read_dir(folder.join("holders")).into_iter().flatten().flatten() {
        all.push(format!("part of /dev/{}", holder.file_name().to_string_lossy()));
    }
    all
}

/// Returns a device's folder in sysfs.
fn folder(number: u64) -> PathBuf {
    Path::new("/sys/dev/block").join(text(number))
}

/// Reads the number of a device in its folder.
fn number_in(folder: &Path) -> Option<u64> {
    let text = fs::read_to_string(folder.join("dev")).ok()?;
    let (major, minor) = text.trim().split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

fn text(number: u64) -> String {
    format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_partition_has_its_number() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(number_in(place.path()), None);
        let expected = Some(rustix::fs::makedev(259, 3));
        for (text, expected) in [("259:3\n", expected), ("259\n", None), ("259:x\n", None), ("", None)] {
            fs::write(place.path().join("dev"), text).unwrap();
            assert_eq!(number_in(place.path()), expected, "{text:?}");
        }
    }
}
