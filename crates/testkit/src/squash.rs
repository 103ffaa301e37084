//! Simulates shares whose server gives to nobody what root makes, as NFS with `root_squash` does.
//!
//! The kernel has a user for files in each thread, beside the one that the process runs as; nothing that root may
//! do with the files of others is left to a thread in which that is another user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::panic::resume_unwind;
use std::path::Path;

use nix::unistd::{Uid, setfsuid};

/// The user that files belong to on such a share.
pub const NOBODY: u32 = 65534;

/// Makes a directory that belongs to nobody, and lets everybody into the one that it lies in; false where this
/// does not run as root, or nobody gets there all the same.
///
/// # Panics
///
/// When it cannot be made.
pub fn share(path: &Path) -> bool {
    fs::create_dir(path).expect("a directory");
    if chown(path, Some(NOBODY), None).is_err() {
        crate::facilities::left_out("only root can make a folder of another user");
        return false;
    }
    let above = path.parent().expect("it lies in another");
    for path in [above, path] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("its mode");
    }
    let gets_there = squashed(|| fs::read_dir(path).is_ok());
    if gets_there == Some(false) {
        crate::facilities::left_out("only some may go where temporary folders are");
    }
    gets_there == Some(true)
}

/// Runs something in a thread of its own, whose files belong to [`NOBODY`] while it runs as root; so do those of
/// the threads that it starts. `None` where it does not run as root.
///
/// Whatever starts threads that stay, as a pool does, is to be used before.
pub fn squashed<T: Send>(run: impl FnOnce() -> T + Send) -> Option<T> {
    let nobody = Uid::from_raw(NOBODY);
    let work = || {
        // It returns the user from before, whether it does anything or not.
        setfsuid(nobody);
        if setfsuid(nobody) != nobody {
            crate::facilities::left_out("only root can act as another user");
            return None;
        }
        Some(run())
    };
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn files_belong_to_nobody_in_one_thread_only() {
        let place = tempfile::tempdir().unwrap();
        let (path, beside) = (place.path().join("share"), place.path().join("beside"));
        if !share(&path) {
            return;
        }
        let file = path.join("file");
        squashed(|| {
            fs::write(&file, b"").unwrap();
            assert!(chown(&file, Some(0), None).is_err(), "nothing can be given away");
            fs::write(&beside, b"").unwrap_err();
            assert!(nix::unistd::geteuid().is_root());
        })
        .unwrap();
        assert_eq!(fs::metadata(&file).unwrap().uid(), NOBODY);
        fs::write(&beside, b"").unwrap();
        assert_eq!(fs::metadata(&beside).unwrap().uid(), 0);
    }
}
