//! What a file system makes of names: which are one there, and which it does not take.
//!
//! exFAT, NTFS, CIFS, HFS+ and directories of ext4 with the casefold flag find `readme` by `README`, and most
//! of them take no `:` or `?`. Whether names are folded is asked of the file system; which names it takes is
//! known when one is refused.

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{DIRECTORY, Identity, look};
use crate::reason::{Reason, Unfit};

/// Which names are one in a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Folding {
    /// None but those that are equal.
    #[default]
    Nothing,
    /// Those that differ in the case of letters of ASCII.
    Ascii,
    /// Those that differ in the case of any letters.
    Unicode,
}

impl Folding {
    /// Makes files in the staging directory, looks for them by other names and removes them.
    ///
    /// Files of its own: where such file systems are only played, what was found by another name may go by it
    /// afterwards.
    pub(crate) fn probe(staging: BorrowedFd<'_>) -> Self {
        // Shards probe the same directory at the same time, on other machines.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let own = format!(".probe-{}-{}", std::process::id(), now.as_nanos());
        let found =
            |name: &str, other: &str| finds(staging, &format!("{own}-{name}"), &format!("{own}-{other}"));
        match (found("case", "CASE"), found("é", "É")) {
            (Some(true), Some(false)) => Self::Ascii,
            (Some(true), _) => Self::Unicode,
            _ => Self::Nothing,
        }
    }

    /// Finds out what [`Self::probe`] will, without making anything: by a name that is there in the target or
    /// beside the directories that it lies in, or by the kind of file system.
    pub(crate) fn foresee(target: &Path) -> Self {
        let existing = target.ancestors().find_map(|path| {
            // The last ancestor of a relative path is "", the current directory.
            std::fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()
        });
        let Some(existing) = existing else { return Self::Nothing };
        let Ok(directory) = rustix::fs::open(&existing, DIRECTORY, Mode::empty()) else {
            return Self::Nothing;
        };
        let folds = by_names(directory.as_fd()).or_else(|| by_ancestors(&existing, &directory));
        let folds = folds.unwrap_or_else(|| FileSystem::of(directory.as_fd()).folds());
        if folds { Self::Unicode } else { Self::Nothing }
    }

    /// Returns what is equal for all names that are one.
    pub(crate) fn key(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::Nothing => name.into(),
            Self::Ascii => name.to_ascii_lowercase().into(),
            // Character by character: as file systems do it, no name becomes longer (ß stays ß).
            Self::Unicode => {
                let fold = |letter: char| {
                    let mut lower = letter.to_lowercase();
                    match (lower.next(), lower.next()) {
                        (Some(one), None) => one,
                        _ => letter,
                    }
                };
                name.chars().map(fold).collect::<String>().into()
            }
        }
    }
}

/// Returns whether a file system folds case, as far as looking can tell.
pub fn folds_names(target: &Path) -> bool {
    Folding::foresee(target) != Folding::Nothing
}

/// Looks for an entry by its name in other case; `None` if it has no letters, or is not there.
fn finds_by_other_case(directory: BorrowedFd<'_>, name: &[u8]) -> Option<bool> {
    let swapped: Vec<u8> = name.iter().map(|&byte| swap_case(byte)).collect();
    if swapped == name {
        return None;
    }
    // Held open, as in `finds`; only of a file is it known that opening it does nothing.
    let is_file = FileType::from_raw_mode(look(directory, name).ok()??.st_mode) == FileType::RegularFile;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let _held = is_file.then(|| rustix::fs::openat(directory, name, flags, Mode::empty()));
    let other = look(directory, &*swapped).ok()?;
    // Afterwards, so that it is its own name by which it was found last.
    let own = Identity::from(&look(directory, name).ok()??);
    Some(other.is_some_and(|other| Identity::from(&other) == own))
}

fn swap_case(byte: u8) -> u8 {
    if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }
}

/// Makes a file and returns whether it is found by another name.
fn finds(staging: BorrowedFd<'_>, name: &str, other: &str) -> Option<bool> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Held open while it is looked for: FUSE file systems that map names onto another directory may find it
    // by the other name and then ask there for its attributes by that name.
    let _held = rustix::fs::openat(staging, name, flags, Mode::RUSR | Mode::WUSR).ok()?;
    let found = look(staging, other);
    rustix::fs::unlinkat(staging, name, AtFlags::empty()).ok()?;
    Some(found.ok()?.is_some())
}

/// How many names are looked at for one that has letters.
const NAMES: usize = 100;

fn by_names(directory: BorrowedFd<'_>) -> Option<bool> {
    let mut names = Dir::read_from(directory).ok()?.take(NAMES).flatten();
    names.find_map(|entry| finds_by_other_case(directory, entry.file_name().to_bytes()))
}

/// Asks by the names of directories that the target lies in.
///
/// Only those on its file system can tell.
fn by_ancestors(path: &Path, directory: &OwnedFd) -> Option<bool> {
    let device = rustix::fs::fstat(directory).ok()?.st_dev;
    path.ancestors().find_map(|path| {
        let parent = rustix::fs::open(path.parent()?, DIRECTORY, Mode::empty()).ok()?;
        let is_same = rustix::fs::fstat(&parent).ok()?.st_dev == device;
        is_same.then(|| finds_by_other_case(parent.as_fd(), path.file_name()?.as_encoded_bytes())).flatten()
    })
}

/// The file systems of which is known what they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileSystem {
    Fat,
    ExFat,
    /// A share of Windows or of something like it.
    Share,
    Apple,
    Other,
}

impl FileSystem {
    fn of(directory: BorrowedFd<'_>) -> Self {
        // The magic numbers of statfs(2).
        match rustix::fs::fstatfs(directory).map(|found| found.f_type as u64 & 0xffff_ffff) {
            Ok(0x4d44) => Self::Fat,
            Ok(0x2011_bab0) => Self::ExFat,
            Ok(0xff53_4d42 | 0xfe53_4d42 | 0x517b) => Self::Share,
            Ok(0x4244 | 0x482b) => Self::Apple,
            _ => Self::Other,
        }
    }

    fn folds(self) -> bool {
        self != Self::Other
    }

    fn is_fat(self) -> bool {
        matches!(self, Self::Fat | Self::ExFat)
    }
}

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

/// Returns why an entry cannot be in the target's file system, if that is what an error says.
pub(crate) fn refusal(made: Made, name: &str, errno: Errno) -> Option<Reason> {
    let what = match errno {
        Errno::NAMETOOLONG => Unfit::NameLength,
        Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS if made == Made::Symlink => Unfit::Symlink,
        Errno::INVAL | Errno::ILSEQ => Unfit::Name,
        // Shares answer with what they have: that there is no such name, or no right to it.
        Errno::NOENT | Errno::ACCESS | Errno::PERM if is_refused_by_windows(name) => Unfit::Name,
        Errno::FBIG => Unfit::Size,
        _ => return None,
    };
    Some(Reason::Unfit { what, error: Arc::new(errno.into()) })
}

/// Foresees what [`refusal`] would say, by looking for the name in a directory of the target's file system.
pub(crate) fn foresee_refusal(made: Made, name: &str, directory: BorrowedFd<'_>) -> Option<Reason> {
    // Names of letters and digits are taken everywhere.
    let is_odd = is_refused_by_windows(name) || name.len() > ODD;
    if !is_odd && made != Made::Symlink {
        return None;
    }
    let file_system = FileSystem::of(directory);
    if file_system.is_fat() && made == Made::Symlink {
        return refusal(made, name, Errno::PERM);
    }
    if file_system.is_fat() && is_refused_by_windows(name.trim_end_matches('.')) {
        return refusal(made, name, Errno::INVAL);
    }
    let looked = if is_odd { look(directory, name).err() } else { None };
    let errno = looked.as_ref().and_then(Errno::from_io_error)?;
    matches!(errno, Errno::INVAL | Errno::ILSEQ | Errno::NAMETOOLONG).then(|| refusal(made, name, errno))?
}

/// The longest name that every file system takes, in bytes.
const ODD: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_refuses() {
        for name in [
            "a:b", "a\\b", "what?", "*", "a\"", "<", ">", "|", "end.", "end ", "\u{1}", "con", "NUL.txt",
            "com1", "LPT9.log",
        ] {
            assert!(is_refused_by_windows(name), "{name}");
        }
        for name in ["a", ".hidden", "a.b", "console", "com", "com10", "lpt", "nullable", "é", "com\u{b9}x"]
        {
            assert!(!is_refused_by_windows(name), "{name}");
        }
    }

    #[test]
    fn names_that_are_one_have_one_key() {
        let one = |folding: Folding, a: &str, b: &str| folding.key(a) == folding.key(b);
        assert!(!one(Folding::Nothing, "a", "A") && one(Folding::Nothing, "a", "a"));
        assert!(one(Folding::Ascii, "a", "A") && !one(Folding::Ascii, "é", "É"));
        assert!(one(Folding::Unicode, "éA", "Éa") && !one(Folding::Unicode, "ß", "ss"));
        // Its lower case is two characters, which no file system makes of it.
        assert!(!one(Folding::Unicode, "İ", "i"));
    }

    #[test]
    fn refusals_are_told_from_failures() {
        let is_unfit = |made, name, errno| matches!(refusal(made, name, errno), Some(Reason::Unfit { .. }));
        assert!(is_unfit(Made::File, "a:b", Errno::INVAL) && is_unfit(Made::Directory, "a:b", Errno::NOENT));
        assert!(is_unfit(Made::File, "a", Errno::NAMETOOLONG) && is_unfit(Made::File, "a", Errno::FBIG));
        assert!(is_unfit(Made::Symlink, "a", Errno::PERM) && !is_unfit(Made::File, "a", Errno::PERM));
        assert!(!is_unfit(Made::File, "a", Errno::NOENT) && !is_unfit(Made::File, "a:b", Errno::NOSPC));
    }

    #[test]
    fn nothing_is_folded_here() {
        let place = tempfile::tempdir().unwrap();
        let directory = rustix::fs::open(place.path(), DIRECTORY, Mode::empty()).unwrap();
        std::fs::create_dir(place.path().join("Known")).unwrap();
        assert_eq!(finds_by_other_case(directory.as_fd(), b"Known"), Some(false));
        assert_eq!(finds_by_other_case(directory.as_fd(), b"unknown"), None);
        assert_eq!(finds_by_other_case(directory.as_fd(), b"123"), None);
        assert_eq!(Folding::probe(directory.as_fd()), Folding::Nothing);
        assert_eq!(Folding::foresee(&place.path().join("new/target")), Folding::Nothing);
        // Two names of one file, as where case is folded.
        std::fs::write(place.path().join("one"), b"").unwrap();
        std::fs::hard_link(place.path().join("one"), place.path().join("ONE")).unwrap();
        assert_eq!(finds_by_other_case(directory.as_fd(), b"one"), Some(true));
        // A name of its own for each probe.
        let names = || std::fs::read_dir(place.path()).unwrap().count();
        let before = names();
        assert_eq!(Folding::probe(directory.as_fd()), Folding::Nothing);
        assert_eq!(names(), before, "nothing is left");
        std::fs::write(place.path().join("ONE "), b"").unwrap();
        assert_eq!(finds(directory.as_fd(), "probe", "ONE "), Some(true));
        assert_eq!(finds(directory.as_fd(), "probe", "Probe"), Some(false));
    }

    #[test]
    fn long_names_are_foreseen() {
        let place = tempfile::tempdir().unwrap();
        let directory = rustix::fs::open(place.path(), DIRECTORY, Mode::empty()).unwrap();
        let foresee = |name: &str| foresee_refusal(Made::File, name, directory.as_fd());
        assert!(matches!(foresee(&"é".repeat(200)), Some(Reason::Unfit { .. })));
        assert!(
            foresee(&"e".repeat(200)).is_none() && foresee("a:b").is_none() && foresee("plain").is_none()
        );
    }
}
