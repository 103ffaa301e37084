//! An ext4 in a file, and where it is mounted.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// The least that a file system has, in bytes: on a smaller one, groups of blocks are few.
const LEAST: u64 = 4 << 30;

/// How many times the bytes of what is restored: an aged one is filled before, and ext4 keeps a part for root.
const TIMES: u64 = 6;

/// Returns how large an image must be that so many bytes are restored to.
pub(super) fn size_for(bytes: u64) -> u64 {
    bytes.saturating_mul(TIMES).max(LEAST)
}

/// A file with an ext4.
#[derive(Debug)]
pub(super) struct Image {
    file: PathBuf,
}

impl Image {
    /// Makes an empty one.
    pub(super) fn make(file: &Path, size: u64) -> Result<Self> {
        File::create(file)?.set_len(size)?;
        // All is written now that the kernel would write while it is measured. Twice the usual number of
        // inodes, as an aged one has many small files besides what is restored.
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", "-F", "-i", "8192", "-E", "lazy_itable_init=0,lazy_journal_init=0"]);
        run(make.arg(file))?;
        Ok(Self { file: file.into() })
    }

    /// Takes one that was made before.
    pub(super) fn found(file: &Path) -> Self {
        Self { file: file.into() }
    }

    /// Copies it; what was never written is not written to the copy either.
    pub(super) fn copy(&self, file: &Path) -> Result<Self> {
        run(Command::new("cp").args(["--sparse=always", "--reflink=auto"]).args([&*self.file, file]))?;
        Ok(Self { file: file.into() })
    }

    /// Mounts it at `point`, which is made.
    pub(super) fn mount(&self, point: &Path) -> Result<Mounted> {
        fs::create_dir_all(point)?;
        // A flush of a disk that is a file has the file synced, and whoever reads waits behind it: two seconds, every
        // five seconds, which no disk takes.
        let options = ["-t", "ext4", "-o", "loop,nobarrier"];
        run(Command::new("mount").args(options).args([&*self.file, point]))?;
        Ok(Mounted { point: Some(point.into()) })
    }
}

/// A mounted image. It is unmounted when this is dropped.
#[derive(Debug)]
pub(super) struct Mounted {
    /// None once it is unmounted.
    point: Option<PathBuf>,
}

impl Mounted {
    /// Returns where it is mounted.
    pub(super) fn point(&self) -> &Path {
        self.point.as_deref().expect("it is mounted until it is ended")
    }

    /// Unmounts it.
    pub(super) fn end(mut self) -> Result<()> {
        unmount(self.point.take())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = unmount(self.point.take()) {
            eprintln!("warning: {error}");
        }
    }
}

fn unmount(point: Option<PathBuf>) -> Result<()> {
    point.map_or(Ok(()), |point| run(Command::new("umount").arg(point)))
}

fn run(command: &mut Command) -> Result<()> {
    let name = |command: &Command| OsStr::to_string_lossy(command.get_program()).into_owned();
    let output = command.output().map_err(|error| format!("{}: {error}", name(command)))?;
    if output.status.success() {
        return Ok(());
    }
    // Mounting, mostly, which needs root.
    Err(format!("{}: {}", name(command), String::from_utf8_lossy(&output.stderr).trim()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_what_is_restored_beside_what_was_there() {
        assert_eq!(size_for(1), LEAST);
        assert_eq!(size_for(1 << 30), 6 << 30);
        assert_eq!(size_for(u64::MAX), u64::MAX);
    }

    #[test]
    fn what_fails_is_named() {
        let place = tempfile::tempdir().unwrap();
        let missing = Image::found(&place.path().join("missing"));
        let error = missing.copy(&place.path().join("copy")).unwrap_err().to_string();
        assert!(error.starts_with("cp: "), "{error}");
        assert!(!place.path().join("copy").exists());
    }
}
