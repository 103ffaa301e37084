//! Small files that all belong to one user.

use std::fs;
use std::os::unix::fs::lchown;
use std::path::Path;

use rustix::process::{getegid, geteuid};

use super::small;
use crate::Result;

/// What part of the small set it has: 1,000 files, 5 MB.
const SMALL: f64 = 0.01;

/// Whoever restores is somebody else.
const STRANGER: (u32, u32) = (1000, 1000);

pub(super) fn make_own(root: &Path, scale: f64) -> Result<()> {
    small::make(root, SMALL * scale)?;
    give(root, (geteuid().as_raw(), getegid().as_raw()))
}

pub(super) fn make_foreign(root: &Path, scale: f64) -> Result<()> {
    small::make(root, SMALL * scale)?;
    give(root, STRANGER).map_err(|error| format!("files of others are for root to make: {error}").into())
}

fn give(path: &Path, owner: (u32, u32)) -> Result<()> {
    lchown(path, Some(owner.0), Some(owner.1))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), owner)?;
        }
    }
    Ok(())
}
