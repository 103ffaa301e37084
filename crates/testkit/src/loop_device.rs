//! Block devices for tests: loop devices over sparse files.
//!
//! Making one needs root, and a kernel that has any: otherwise the test is skipped, and that is said.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A loop device, detached at the end.
#[derive(Debug)]
pub struct LoopDevice {
    path: PathBuf,
}

impl LoopDevice {
    /// Makes a file of so many bytes, all of them zero, and a device of it; `options` are those of `losetup`.
    ///
    /// # Panics
    /// If the file cannot be made.
    pub fn attach(file: &Path, bytes: u64, options: &[&str]) -> Option<Self> {
        let made = File::options().create(true).truncate(false).write(true).open(file);
        made.and_then(|made| made.set_len(bytes)).expect("a folder for the file of the device");
        let attached = Command::new("losetup").args(["--find", "--show"]).args(options).arg(file).output();
        let path = attached.ok().filter(|ran| ran.status.success()).map(|ran| ran.stdout);
        let Some(path) = path.and_then(|path| String::from_utf8(path).ok()) else {
            crate::facilities::left_out("no loop devices here");
            return None;
        };
        Some(Self { path: path.trim().into() })
    }

    /// Returns the path of the device.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.path).status();
    }
}
