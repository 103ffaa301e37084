//! Which characters of names a file system takes for something else.
//!
//! To Windows, and to what hands names on to it as they are, `d\n` is `n` in the directory `d`, and `f:s` is the
//! stream `s` of the file `f`, which no listing shows. Both can be written, and neither is the entry that was
//! asked for. Which it is depends on how a share is mounted, so it is tried.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::file_system::FileSystem;
use super::open_directory;
use super::remove::remove_tree;
use crate::reason::{Reason, Unfit};

/// The characters that a file system takes for something else than a part of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reserved {
    pub(crate) backslash: bool,
    pub(crate) colon: bool,
}

impl Reserved {
    const ALL: Self = Self { backslash: true, colon: true };

    /// Makes entries of such names in the staging directory, looks whether they are listed, and removes them.
    /// File systems of Linux have them as they are, and are not asked. `left` is told by which name something was
    /// left that cannot be removed.
    pub(crate) fn probe(staging: BorrowedFd<'_>, left: impl FnOnce(String)) -> Self {
        if Self::may_be(staging) { Self::probed(staging, left) } else { Self::default() }
    }

    /// Returns whether a file system may take characters for something else, without trying.
    pub(crate) fn may_be(directory: BorrowedFd<'_>) -> bool {
        matches!(FileSystem::of(directory), FileSystem::Share | FileSystem::Foreign)
    }

    /// Takes what cannot be found out for reserved, as on a full disk that has room again a moment later: what is
    /// refused is named and can be restored again, and what becomes part of another file is lost in it.
    fn probed(staging: BorrowedFd<'_>, left: impl FnOnce(String)) -> Self {
        Self::probe_below(staging, left).unwrap_or_else(|error| {
            tracing::warn!(%error, "whether names may have \\ and : cannot be found out, so they are refused");
            Self::ALL
        })
    }

    /// In a directory of its own: it is listed, and what is made there may be something else than its name says.
    fn probe_below(staging: BorrowedFd<'_>, left: impl FnOnce(String)) -> io::Result<Self> {
        // Shards probe the same directory at the same time, on other machines.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let own = format!(".probe-names-{}-{}", std::process::id(), now.as_nanos());
        rustix::fs::mkdirat(staging, &*own, Mode::RWXU)?;
        let found = open_directory(staging, &own).and_then(|directory| {
            rustix::fs::mkdirat(&directory, "d", Mode::RWXU)?;
            Ok(Self::of(|name| is_listed(directory.as_fd(), name)))
        });
        // Shares may refuse that for a moment, as what was closed is still open there.
        if let Err(error) = remove_tree(staging, own.as_bytes(), None) {
            tracing::debug!(%error, own, "what was made to find out about names stays in the unfinished folder");
            left(own);
        }
        found
    }

    /// Asks whether what is made by a name is listed by it.
    fn of(mut is_listed: impl FnMut(&str) -> Option<bool>) -> Self {
        let mut is_reserved = |name| is_listed(name) != Some(true);
        Self { backslash: is_reserved("d\\n"), colon: is_reserved("d:n") }
    }

    /// Returns why no entry of this name can be made, if it would be something else.
    pub(crate) fn refusal(self, name: &[u8]) -> Option<Reason> {
        let is_reserved = self.backslash && name.contains(&b'\\') || self.colon && name.contains(&b':');
        is_reserved.then(|| Reason::Unfit { what: Unfit::Name, error: Arc::new(Errno::INVAL.into()) })
    }
}

/// Makes a file and returns whether the directory lists it.
fn is_listed(directory: BorrowedFd<'_>, name: &str) -> Option<bool> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR).ok()?;
    let names: Result<Vec<_>, Errno> = Dir::read_from(directory).ok()?.collect();
    Some(names.ok()?.iter().any(|entry| entry.file_name().to_bytes() == name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use kopia_testkit::refuse::{Call, refusing};

    use super::*;

    #[test]
    fn names_are_taken_as_they_are_here_and_nothing_is_left() {
        let place = tempfile::tempdir().unwrap();
        let directory = std::fs::File::open(place.path()).unwrap();
        assert_eq!(
            Reserved::probe_below(directory.as_fd(), |own| panic!("{own}")).unwrap(),
            Reserved::default()
        );
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        assert_eq!(is_listed(directory.as_fd(), "d:n"), Some(true));
        // What is there already was not made, and of what cannot be made nothing is known.
        assert_eq!(is_listed(directory.as_fd(), "d:n"), None);
        // As a share has it to which this is a path.
        std::fs::create_dir(place.path().join("d")).unwrap();
        assert_eq!(is_listed(directory.as_fd(), "d/n"), Some(false));
    }

    #[test]
    fn what_is_made_and_not_listed_by_its_name_is_refused() {
        for (backslash, colon) in [(false, false), (true, false), (false, true), (true, true)] {
            let reserved = Reserved { backslash, colon };
            assert_eq!(Reserved::of(|name| Some(reserved.refusal(name.as_bytes()).is_none())), reserved);
            let is_refused = |name: &[u8]| match reserved.refusal(name) {
                None => false,
                Some(Reason::Unfit { what: Unfit::Name, .. }) => true,
                Some(reason) => panic!("{reason}"),
            };
            let names: [&[u8]; 4] = [b"..\\x", b"a:b", b"plain", b"\xff"];
            assert_eq!(names.map(is_refused), [backslash, colon, false, false]);
        }
        assert_eq!(Reserved::of(|_| None), Reserved::ALL);
    }

    #[test]
    fn what_cannot_be_found_out_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let directory = std::fs::File::open(place.path()).unwrap();
        for (call, error) in [(Call::MakeDirectory, Errno::NOSPC), (Call::Open, Errno::DQUOT)] {
            let probed = refusing(&[(call, Some(error))], || Reserved::probed(directory.as_fd(), |_| {}));
            assert!(probed.is_none_or(|probed| probed == Reserved::ALL), "{call:?} {probed:?}");
        }
    }

    #[test]
    fn what_was_found_out_counts_where_the_probe_cannot_be_removed() {
        let place = tempfile::tempdir().unwrap();
        let directory = std::fs::File::open(place.path()).unwrap();
        for error in [Errno::NOTEMPTY, Errno::ACCESS] {
            let mut left = None;
            let probe = || Reserved::probed(directory.as_fd(), |own| left = Some(own));
            let Some(probed) = refusing(&[(Call::Unlink, Some(error))], probe) else { return };
            let left = left.expect("it is told");
            assert_eq!((probed, place.path().join(left).is_dir()), (Reserved::default(), true), "{error}");
        }
    }
}
