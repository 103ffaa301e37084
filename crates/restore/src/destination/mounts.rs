//! Tells directories of the target's own file system from what is mounted in it.
//!
//! A device number alone does not: a bind mount has that of its file system, and a Btrfs subvolume has
//! another without being mounted at all. Nothing is deleted in either, and nothing can be renamed into
//! either.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Stat, Statx, StatxFlags};
use rustix::io::Errno;

use super::look;

/// Returns whether a directory belongs to another mount or device than the one that it is in.
pub(crate) fn is_boundary(parent: BorrowedFd<'_>, name: &[u8], stat: &Stat, device: u64) -> io::Result<bool> {
    Ok(stat.st_dev != device || is_mounted(parent, name)?)
}

/// Returns whether an entry is where something is mounted, be it a part of the same file system.
///
/// The first system call that knows the answer gives it: `statx` since Linux 5.8, `openat2` since 5.6,
/// `/proc` since 3.15. Sandboxes refuse some of them.
pub(crate) fn is_mounted(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<bool> {
    let known = by_statx(parent, name).or_else(|| by_openat2(parent, name)).or_else(|| by_proc(parent, name));
    if let Some(mounted) = known {
        return Ok(mounted);
    }
    // What is left to compare: a mount of the same file system shows only when it is to be removed (EBUSY).
    let device = |stat: Option<Stat>| stat.map(|stat| stat.st_dev);
    Ok(device(look(parent, name)?) != Some(rustix::fs::fstat(parent)?.st_dev))
}

fn by_statx(parent: BorrowedFd<'_>, name: &[u8]) -> Option<bool> {
    let id = |name: &[u8], flags| {
        let flags = flags | AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        told_id(&rustix::fs::statx(parent, name, flags, StatxFlags::MNT_ID).ok()?)
    };
    Some(id(name, AtFlags::empty())? != id(b"", AtFlags::EMPTY_PATH)?)
}

/// Returns which mount `statx` says: older kernels leave that out without an error.
fn told_id(found: &Statx) -> Option<u64> {
    (found.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(found.stx_mnt_id)
}

fn by_openat2(parent: BorrowedFd<'_>, name: &[u8]) -> Option<bool> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV) {
        Ok(_) => Some(false),
        Err(Errno::XDEV) => Some(true),
        Err(_) => None,
    }
}

fn by_proc(parent: BorrowedFd<'_>, name: &[u8]) -> Option<bool> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = rustix::fs::openat(parent, name, flags, Mode::empty()).ok()?;
    Some(mount_id(entry.as_fd())? != mount_id(parent)?)
}

/// Reads which mount a handle belongs to.
fn mount_id(handle: BorrowedFd<'_>) -> Option<u64> {
    let mut text = String::new();
    let info = std::fs::File::open(format!("/proc/self/fdinfo/{}", handle.as_raw_fd())).ok()?;
    info.take(1 << 16).read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use kopia_testkit::refuse::{Call, refusing};

    use super::*;

    #[test]
    fn what_belongs_to_another_device_is_a_boundary_without_being_mounted() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("subvolume")).unwrap();
        let parent = std::fs::File::open(place.path()).unwrap();
        let stat = look(parent.as_fd(), "subvolume").unwrap().unwrap();
        let is_boundary = |device| is_boundary(parent.as_fd(), b"subvolume", &stat, device).unwrap();
        assert!(is_boundary(stat.st_dev + 1) && !is_boundary(stat.st_dev));
    }

    #[test]
    fn a_kernel_that_does_not_tell_the_mount_is_not_taken_to_have_told_it() {
        let flags = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        let Ok(mut found) = rustix::fs::statx(rustix::fs::CWD, ".", AtFlags::empty(), flags) else { return };
        found.stx_mnt_id = 7;
        for (mask, told) in [(flags, Some(7)), (StatxFlags::MNT_ID, Some(7)), (StatxFlags::BASIC_STATS, None)]
        {
            found.stx_mask = mask.bits();
            assert_eq!(told_id(&found), told, "{mask:?}");
        }
    }

    #[test]
    fn where_no_system_call_knows_mounts_what_is_of_another_device_is_one() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("plain")).unwrap();
        let [root, plain] = [Path::new("/"), place.path()].map(|path| std::fs::File::open(path).unwrap());
        // What rustix finds out by the first of these calls, it takes for true in the whole process.
        by_statx(root.as_fd(), b"proc");
        let refused = [Call::Statx, Call::OpenBeneath, Call::Open].map(|call| (call, Some(Errno::PERM)));
        refusing(&refused, || {
            for (parent, name, mounted) in [(&root, &b"proc"[..], true), (&plain, b"plain", false)] {
                let parent = parent.as_fd();
                let known = [by_statx(parent, name), by_openat2(parent, name), by_proc(parent, name)];
                assert_eq!((known, is_mounted(parent, name).unwrap()), ([None; 3], mounted));
            }
        });
    }

    /// Names the directory for the run of the same test in a mount namespace of its own.
    const PLACE: &str = "KOPIA_RS_TEST_MOUNTS";

    #[test]
    fn a_bind_mount_of_the_same_file_system_is_seen_by_each_system_call() {
        if let Some(place) = std::env::var_os(PLACE) {
            return look_at(Path::new(&place));
        }
        let place = tempfile::tempdir().unwrap();
        for directory in ["other", "bound", "plain"] {
            std::fs::create_dir(place.path().join(directory)).unwrap();
        }
        std::fs::write(place.path().join("file"), b"").unwrap();
        std::fs::write(place.path().join("bound-file"), b"").unwrap();
        std::os::unix::fs::symlink("bound", place.path().join("link")).unwrap();
        let script = r#"cd "$1" && mount --bind other bound && mount --bind file bound-file || exit 9
            shift; exec "$@" --exact destination::mounts::tests::a_bind_mount_of_the_same_file_system_is_seen_by_each_system_call"#;
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(place.path());
        command.arg(std::env::current_exe().unwrap()).env(PLACE, place.path());
        kopia_testkit::facilities::once_more(&mut command, "no mount namespaces here");
    }

    fn look_at(place: &Path) {
        let parent = std::fs::File::open(place).unwrap();
        let parent = parent.as_fd();
        // Old kernels know not all of them, but one at least.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let has_openat2 =
            rustix::fs::openat2(parent, ".", flags, Mode::empty(), ResolveFlags::empty()).is_ok();
        let tells_ids = rustix::fs::statx(parent, ".", AtFlags::empty(), StatxFlags::MNT_ID)
            .is_ok_and(|found| told_id(&found).is_some());
        for (name, mounted) in
            [("bound", true), ("bound-file", true), ("plain", false), ("file", false), ("link", false)]
        {
            let name = name.as_bytes();
            let answers = [by_statx(parent, name), by_openat2(parent, name), by_proc(parent, name)];
            let expected = [tells_ids, has_openat2, true].map(|knows| knows.then_some(mounted));
            assert_eq!(answers, expected, "by statx, openat2 and /proc");
            assert_eq!(is_mounted(parent, name).unwrap(), mounted);
            let stat = look(parent, name).unwrap().unwrap();
            let device = rustix::fs::fstat(parent).unwrap().st_dev;
            assert_eq!(is_boundary(parent, name, &stat, device).unwrap(), mounted, "of the same device");
        }
    }
}
