//! The kind of disk that a local file system lies on, by what `/sys` says of it.
//!
//! A spinning disk wants one reader and long reads, where a solid one wants many. Whatever is not known
//! counts as solid.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// How a disk is read best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    /// One disk with a moving head.
    Spinning,
    /// Several of them.
    SpinningArray,
    /// Solid state, memory, or unknown.
    Other,
}

/// The makers of spinning disks, as disks name themselves; `ATA` is what Linux writes for all SATA disks.
///
/// Virtual disks and network volumes claim to spin without knowing it, and one reader at a time would be
/// wrong for them.
const MAKERS: [&str; 9] = ["ATA", "SEAGATE", "Seagate", "HGST", "HITACHI", "Hitachi", "TOSHIBA", "WD", "WDC"];

/// What is in the models of virtual SATA disks.
const VIRTUAL: [&str; 3] = ["QEMU", "VBOX", "Virtual"];

impl Disk {
    /// Looks at the disk below an open file.
    pub(super) fn of(file: impl AsFd) -> Self {
        let Ok(stat) = rustix::fs::fstat(file) else { return Self::Other };
        let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        Self::of_device(&Path::new("/sys/dev/block").join(format!("{major}:{minor}")))
    }

    /// Looks at a block device as `/sys` describes it; file systems that span devices have none of their own.
    fn of_device(device: &Path) -> Self {
        let Ok(mut device) = device.canonicalize() else { return Self::Other };
        // A partition lies in the directory of its disk.
        if device.join("partition").exists() {
            device.pop();
        }
        let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A mapped device (LVM, LUKS) or an array names what it lies on.
        let below: Vec<PathBuf> = std::fs::read_dir(device.join("slaves"))
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        match &below[..] {
            [] => {}
            [only] => return Self::of_device(only),
            several => {
                let spins = several.iter().any(|device| Self::of_device(device) != Self::Other);
                return if spins { Self::SpinningArray } else { Self::Other };
            }
        }
        let read =
            |file: &str| std::fs::read_to_string(device.join(file)).unwrap_or_default().trim().to_string();
        let (vendor, model) = (read("device/vendor"), read("device/model"));
        let made = MAKERS.contains(&&*vendor) && !VIRTUAL.iter().any(|part| model.contains(part));
        let spins = name.starts_with("sd") && made && read("queue/rotational") == "1";
        if spins { Self::Spinning } else { Self::Other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Describes devices as `/sys` does: what each lies in, whether it says that it spins, and what it lies
    /// on.
    fn disk(device: &str) -> Disk {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for (name, vendor, model, rotational) in [
            ("sda", "ATA     ", "ST8000NM0055", "1"),
            ("sdb", "SEAGATE ", "ST8000NM0065", "1"),
            ("sdc", "ATA     ", "Samsung SSD 870", "0"),
            ("sdd", "Msft    ", "Virtual Disk", "1"),
            ("sde", "ATA     ", "QEMU HARDDISK", "1"),
            ("vda", "", "", "1"),
            ("dm-0", "", "", "1"),
            ("md0", "", "", "1"),
        ] {
            for directory in ["queue", "slaves", "device"] {
                std::fs::create_dir_all(path(name).join(directory)).unwrap();
            }
            std::fs::write(path(name).join("queue/rotational"), format!("{rotational}\n")).unwrap();
            std::fs::write(path(name).join("device/vendor"), format!("{vendor}\n")).unwrap();
            std::fs::write(path(name).join("device/model"), format!("{model}\n")).unwrap();
        }
        std::fs::create_dir(path("sda/sda1")).unwrap();
        std::fs::write(path("sda/sda1/partition"), "1\n").unwrap();
        for (above, below) in [("dm-0", "sda/sda1"), ("md0", "sda"), ("md0", "sdb")] {
            let name = below.replace('/', "-");
            std::os::unix::fs::symlink(path(below), path(above).join("slaves").join(name)).unwrap();
        }
        Disk::of_device(&path(device))
    }

    #[test]
    fn devices_are_told_apart() {
        for (device, expected) in [
            ("sda", Disk::Spinning),
            ("sda/sda1", Disk::Spinning),
            ("sdc", Disk::Other),
            ("sdd", Disk::Other),
            ("sde", Disk::Other),
            ("vda", Disk::Other),
            ("dm-0", Disk::Spinning),
            ("md0", Disk::SpinningArray),
            ("none", Disk::Other),
        ] {
            assert_eq!(disk(device), expected, "{device}");
        }
    }
}
