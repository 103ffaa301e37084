//! Many small files and a large one: what a network is asked for in most restores.

use std::fs;
use std::path::Path;

use super::{finish, huge, small};
use crate::Result;

/// What part of the small set it has: 20,000 files, 100 MB.
const SMALL: f64 = 0.2;

/// What part of the huge set it has: 524 MB.
const HUGE: f64 = 500.0 / 3072.0;

pub(super) fn make(root: &Path, scale: f64) -> Result<()> {
    make_of(root, SMALL * scale, HUGE * scale)
}

/// Makes one of so much of the small and of the huge set.
pub(super) fn make_of(root: &Path, small: f64, huge: f64) -> Result<()> {
    for (name, part, make) in
        [("small", small, small::make as fn(&Path, f64) -> Result<()>), ("large", huge, huge::make)]
    {
        let folder = root.join(name);
        fs::create_dir(&folder)?;
        make(&folder, part)?;
    }
    finish(root, 0o755, 1_600_000_000_000_000_000)
}
