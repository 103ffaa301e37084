//! What is mounted where, as the kernel lists it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Returns the number of the device that is mounted last at a path without links, such as `0:52`.
///
/// Nothing is asked of the file system that is mounted there.
pub(crate) fn device_at(point: &Path) -> Option<Vec<u8>> {
    let list = fs::read("/proc/self/mountinfo").ok()?;
    device_in(&list, point)
}

fn device_in(list: &[u8], point: &Path) -> Option<Vec<u8>> {
    let point = escaped(point.as_os_str().as_bytes());
    let lines = list.split(|&byte| byte == b'\n');
    let device = |line: &[u8]| {
        let mut fields = line.split(|&byte| byte == b' ');
        let device = fields.nth(2)?.to_vec();
        (fields.nth(1)? == point).then_some(device)
    };
    lines.filter_map(device).next_back()
}

/// Writes a path as the list has it.
fn escaped(path: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(path.len());
    for &byte in path {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => escaped.extend(format!("\\{byte:03o}").into_bytes()),
            _ => escaped.push(byte),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_mounts_counts() {
        let list = b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
            30 1 8:2 / /mnt rw - ext4 /dev/sdb1 rw\n\
            31 30 0:52 / /mnt ro,nosuid - fuse.kopia-rs kopia-rs ro\n\
            32 1 0:53 / /a\\040b ro - fuse.kopia-rs kopia-rs ro\n";
        let device = |path: &str| {
            device_in(list, Path::new(path)).map(|device| String::from_utf8(device).unwrap_or_default())
        };
        assert_eq!(device("/mnt").as_deref(), Some("0:52"));
        assert_eq!(device("/a b").as_deref(), Some("0:53"));
        assert_eq!(device("/").as_deref(), Some("8:1"));
        assert_eq!(device("/other"), None);
    }
}
