//! The machine that figures belong to.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Result;

/// What a reader must know of a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    /// That a process may use.
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    /// The kind of file system that is read and written.
    pub(crate) file_system: String,
}

impl Machine {
    /// Describes this one; `work` is the folder that is measured in.
    pub(crate) fn look(work: &Path) -> Result<Self> {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
            line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
        };
        let memory = field("/proc/meminfo", "MemTotal");
        let memory_kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let work = work.canonicalize()?;
        let mut file_system = "unknown file system".to_owned();
        if let Some(mount) = mount_of(&mounts, &work) {
            file_system = mount.kind.into();
            if mount.kind == "ext4" && !has_journal(mount.device) {
                file_system.push_str(" without a journal");
                eprintln!(
                    "warning: {} is on an ext4 that seems to have no journal: files are made 10 to 20 times slower \
                     for a while after many were removed. Better use one with a journal, or a tmpfs.",
                    work.display()
                );
            }
        }
        Ok(Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism()?.get(),
            memory_gib: (memory_kib + (1 << 19)) >> 20,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().into(),
            file_system,
        })
    }
}

/// A line of the list of mounts.
#[derive(Debug, PartialEq)]
struct Mount<'a> {
    device: &'a str,
    kind: &'a str,
}

/// The mount with the longest path above `folder`; of two, the later one hides the other.
fn mount_of<'a>(mounts: &'a str, folder: &Path) -> Option<Mount<'a>> {
    let mut best: Option<(usize, Mount<'a>)> = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let (Some(device), Some(point), Some(kind)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let longest = best.as_ref().is_none_or(|(length, _)| point.len() >= *length);
        // Blanks are written in octal.
        if longest && folder.starts_with(point.replace("\\040", " ")) {
            best = Some((point.len(), Mount { device, kind }));
        }
    }
    best.map(|(_, mount)| mount)
}

/// Each journal has a folder in `/proc/fs/jbd2`: the device's name and the number of the inode.
fn has_journal(device: &str) -> bool {
    let device = PathBuf::from(device).canonicalize().unwrap_or_else(|_| device.into());
    let Some(name) = device.file_name().map(|name| name.to_string_lossy().into_owned()) else { return false };
    let Ok(journals) = fs::read_dir("/proc/fs/jbd2") else { return false };
    journals.flatten().any(|journal| {
        let journal = journal.file_name().to_string_lossy().into_owned();
        journal.strip_prefix(&name).is_some_and(|rest| rest.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/a\\040b xfs rw 0 0\n";
        for (folder, device, kind) in [
            ("/work", "/dev/vda", "ext4"),
            ("/tmp/x", "tmpfs", "tmpfs"),
            ("/tmpx", "/dev/vda", "ext4"),
            ("/tmp/a b/c", "/dev/vdb", "xfs"),
        ] {
            assert_eq!(mount_of(mounts, Path::new(folder)), Some(Mount { device, kind }), "{folder}");
        }
    }

    #[test]
    fn this_machine_can_be_described() {
        let machine = Machine::look(Path::new(".")).unwrap();
        assert!(machine.cores > 0 && machine.memory_gib > 0 && !machine.kernel.is_empty());
    }
}
