//! Small files and one that is not: enough to see what each costs where requests are slow.

use std::path::Path;

use super::mixed;
use crate::Result;

/// What part of the small set it has: 5,000 files, 25 MB.
const SMALL: f64 = 0.05;

/// What part of the huge set it has: 160 MB.
const HUGE: f64 = 153.0 / 3072.0;

pub(super) fn make(root: &Path, scale: f64) -> Result<()> {
    mixed::make_of(root, SMALL * scale, HUGE * scale)
}
