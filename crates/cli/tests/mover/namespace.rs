//! Mounts that only the mover sees: volumes that are mounted and empty, read-only file systems, limits.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::OnceLock;

use crate::common::{Job, is_root};

/// Has a shell set up mounts of its own before it becomes the mover. `None` where the system lets nobody do
/// that; the test then shows nothing, and says so.
pub(crate) fn with_mounts(job: Job, setup: &str) -> Option<Job> {
    static POSSIBLE: OnceLock<bool> = OnceLock::new();
    // Without root, a user of one's own may mount as well.
    let options: &[&str] = if is_root() { &["-m"] } else { &["-rm"] };
    let possible =
        || Command::new("unshare").args(options).arg("true").status().is_ok_and(|status| status.success());
    if !POSSIBLE.get_or_init(possible) {
        kopia_testkit::facilities::left_out("this system gives nobody a mount namespace");
        return None;
    }
    let script = format!("set -e; mount --make-rprivate /; {setup}; exec \"$0\" \"$@\"");
    let words: Vec<&OsStr> =
        [&["unshare"], options, &["sh", "-c", &script]].concat().into_iter().map(OsStr::new).collect();
    // `env_clear` takes PATH from the shell, too.
    Some(job.within(&words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
}

/// The command that makes a folder a mount point, with all that is in it.
pub(crate) fn volume(at: &std::path::Path) -> String {
    format!("mount --bind '{0}' '{0}'", at.display())
}
