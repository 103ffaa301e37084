//! Whether a file that is written beside a target lies in it.

use std::path::Path;

use kopia_rs::restore::is_outside;

use super::replace::{is_same, resolved};

/// Why what lies in a target may not be written, in words that follow its name.
pub(crate) const WHY: &str = "would be the target, or lie in it";

/// Returns whether a place is a target, or lies in it if that is a tree; also where neither is there yet.
pub(crate) fn is_in(place: &Path, target: &Path, is_tree: bool) -> bool {
    if target.as_os_str().is_empty() {
        return false;
    }
    let is_below = || {
        is_outside(place, target).is_ok_and(|outside| !outside)
            || resolved(place).starts_with(resolved(target))
    };
    is_same(place, target) || is_tree && is_below()
}
