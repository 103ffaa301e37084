//! Which names, links and sizes a file system does not take.
//!
//! Most that are not made for Unix take no `:` or `?`. Which they are is known when one is refused.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::io::Errno;

use super::file_system::FileSystem;
use super::look;
use crate::reason::{Reason, Unfit};

/// Returns whether Windows refuses a name, or takes it for something else than a name.
pub(crate) fn is_refused_by_windows(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let numbered = |device: &str| {
        let (start, number) = stem.split_at_checked(3).unwrap_or_default();
        start.eq_ignore_ascii_case(device) && number.len() == 1 && number.as_bytes()[0].is_ascii_digit()
    };
    let devices = ["CON", "PRN", "AUX", "NUL"];
    name.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|'])
        || name.chars().any(|letter| letter < ' ')
        || name.ends_with(['.', ' '])
        || devices.iter().any(|device| stem.eq_ignore_ascii_case(device))
        || numbered("COM")
        || numbered("LPT")
}

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    File,
    Directory,
    Symlink,
}

/// What was being done when the system refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Making the entry by its name: `openat`, `mkdirat`, `symlinkat`.
    Make,
    /// Making a symlink by a name that is taken elsewhere: what is refused is what it leads to.
    Link,
    /// Filling and finishing what was made: `pwrite`, `ftruncate`, `fsync`, `close`. That says nothing of its
    /// name.
    Fill,
}

/// Returns why an entry cannot be in the target's file system, if that is what an error of an act says.
pub(crate) fn refusal(act: Act, made: Made, name: &str, errno: Errno) -> Option<Reason> {
    let what = match errno {
        Errno::FBIG => Unfit::Size,
        _ if act == Act::Fill => return None,
        Errno::NAMETOOLONG if act == Act::Link => Unfit::LinkLength,
        Errno::NAMETOOLONG => Unfit::NameLength,
        Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS if made == Made::Symlink => Unfit::Symlink,
        Errno::INVAL | Errno::ILSEQ => Unfit::Name,
        // Shares answer with what they have: that there is no such name, or no right to it.
        Errno::NOENT | Errno::ACCESS | Errno::PERM if is_refused_by_windows(name) => Unfit::Name,
        _ => return None,
    };
    Some(Reason::Unfit { what, error: Arc::new(errno.into()) })
}

/// Foresees what [`refusal`] would say, by looking for the name in a directory of the target's file system.
/// Bytes that are no UTF-8 are one each, however the name is shown.
pub(crate) fn foresee_refusal(made: Made, name: &[u8], directory: BorrowedFd<'_>) -> Option<Reason> {
    foresee(made, name, directory, || FileSystem::of(directory).is_fat())
}

fn foresee(
    made: Made,
    name: &[u8],
    directory: BorrowedFd<'_>,
    is_fat: impl FnOnce() -> bool,
) -> Option<Reason> {
    let shown = String::from_utf8_lossy(name);
    let shown = &*shown;
    // Names of letters and digits are taken everywhere.
    let is_odd = is_refused_by_windows(shown) || name.len() > ODD;
    if !is_odd && made != Made::Symlink {
        return None;
    }
    if is_fat() {
        if made == Made::Symlink {
            return refusal(Act::Make, made, shown, Errno::PERM);
        }
        if is_refused_by_windows(shown.trim_end_matches('.')) {
            return refusal(Act::Make, made, shown, Errno::INVAL);
        }
    }
    let looked = if is_odd { look(directory, name).err() } else { None };
    let errno = looked.as_ref().and_then(Errno::from_io_error)?;
    let is_of_name = matches!(errno, Errno::INVAL | Errno::ILSEQ | Errno::NAMETOOLONG);
    is_of_name.then(|| refusal(Act::Make, made, shown, errno))?
}

/// The longest name that every file system takes, in bytes.
const ODD: usize = 100;

/// Returns the size in bytes of the largest file that the file system of a directory takes, where that is known
/// from its kind.
pub(crate) fn largest_file(directory: BorrowedFd<'_>) -> Option<u64> {
    FileSystem::of(directory).largest_file()
}

/// Returns what [`refusal`] says of a file that is larger.
pub(crate) fn too_large() -> Reason {
    Reason::Unfit { what: Unfit::Size, error: Arc::new(Errno::FBIG.into()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::fs::Mode;

    use super::super::DIRECTORY;
    use super::*;

    #[test]
    fn names_that_windows_refuses() {
        for name in [
            "a:b", "a\\b", "what?", "*", "a\"", "<", ">", "|", "end.", "end ", "\u{1}", "con", "NUL.txt",
            "com1", "LPT9.log",
        ] {
            assert!(is_refused_by_windows(name), "{name}");
        }
        for name in
            ["a", "a b", ".hidden", "a.b", "console", "com", "com10", "lpt", "nullable", "é", "com\u{b9}x"]
        {
            assert!(!is_refused_by_windows(name), "{name}");
        }
    }

    #[test]
    fn refusals_are_told_from_failures() {
        let is_unfit =
            |made, name, errno| matches!(refusal(Act::Make, made, name, errno), Some(Reason::Unfit { .. }));
        assert!(is_unfit(Made::File, "a:b", Errno::INVAL) && is_unfit(Made::Directory, "a:b", Errno::NOENT));
        assert!(is_unfit(Made::File, "a", Errno::NAMETOOLONG) && is_unfit(Made::File, "a", Errno::FBIG));
        assert!(is_unfit(Made::Symlink, "a", Errno::PERM) && !is_unfit(Made::File, "a", Errno::PERM));
        assert!(!is_unfit(Made::File, "a", Errno::NOENT) && !is_unfit(Made::File, "a:b", Errno::NOSPC));
    }

    #[test]
    fn only_making_an_entry_says_something_of_its_name() {
        let what = |act, errno| match refusal(act, Made::Symlink, "a:b", errno) {
            None => None,
            Some(Reason::Unfit { what, .. }) => Some(what),
            Some(reason) => panic!("{reason}"),
        };
        for (errno, made, linked, filled) in [
            (Errno::NAMETOOLONG, Some(Unfit::NameLength), Some(Unfit::LinkLength), None),
            (Errno::INVAL, Some(Unfit::Name), Some(Unfit::Name), None),
            (Errno::PERM, Some(Unfit::Symlink), Some(Unfit::Symlink), None),
            (Errno::NOENT, Some(Unfit::Name), Some(Unfit::Name), None),
            (Errno::FBIG, Some(Unfit::Size), Some(Unfit::Size), Some(Unfit::Size)),
        ] {
            let found = [Act::Make, Act::Link, Act::Fill].map(|act| what(act, errno));
            assert_eq!(found, [made, linked, filled], "{errno:?}");
        }
    }

    #[test]
    fn what_fat_refuses_is_foreseen_there_alone() {
        let place = tempfile::tempdir().unwrap();
        let directory = rustix::fs::open(place.path(), DIRECTORY, Mode::empty()).unwrap();
        let foresee =
            |made, name: &str, is_fat| match foresee(made, name.as_bytes(), directory.as_fd(), || is_fat) {
                None => None,
                Some(Reason::Unfit { what, .. }) => Some(what),
                Some(reason) => panic!("{reason}"),
            };
        use Made::{Directory, File, Symlink};
        for (made, name, expected) in [
            (Symlink, "plain", Some(Unfit::Symlink)),
            (Symlink, "a:b", Some(Unfit::Symlink)),
            (File, "a:b", Some(Unfit::Name)),
            (Directory, "a?", Some(Unfit::Name)),
            // It leaves out the dot.
            (File, "end.", None),
            (File, "plain", None),
        ] {
            assert_eq!((foresee(made, name, true), foresee(made, name, false)), (expected, None), "{name}");
        }
    }

    #[test]
    fn long_names_are_foreseen() {
        let place = tempfile::tempdir().unwrap();
        let directory = rustix::fs::open(place.path(), DIRECTORY, Mode::empty()).unwrap();
        let foresee_bytes = |name: &[u8]| foresee_refusal(Made::File, name, directory.as_fd());
        let foresee = |name: &str| foresee_bytes(name.as_bytes());
        assert!(matches!(foresee(&"é".repeat(200)), Some(Reason::Unfit { .. })));
        assert!(
            foresee(&"e".repeat(200)).is_none() && foresee("a:b").is_none() && foresee("plain").is_none()
        );
        // Shown it has three bytes for each.
        assert!(foresee_bytes(&[0xff; 200]).is_none() && foresee_bytes(&[0xff; 256]).is_some());
    }
}
