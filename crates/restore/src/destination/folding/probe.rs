//! Asks a file system which names are one, by making files and looking for them by other names.

use std::os::fd::BorrowedFd;
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::{Case, Folding, Form};
use crate::destination::look;

impl Folding {
    /// Makes files in the staging directory, looks for them by other names and removes them.
    ///
    /// Files of its own: where such file systems are only played, what was found by another name may go by it
    /// afterwards.
    pub(crate) fn probe(staging: BorrowedFd<'_>) -> Self {
        // Shards probe the same directory at the same time, on other machines.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let own = format!(".probe-{}-{}", std::process::id(), now.as_nanos());
        Self::of(|name, other| finds(staging, &format!("{own}-{name}"), &format!("{own}-{other}")))
    }

    /// Asks by names whether one of them is found by another.
    fn of(mut found: impl FnMut(&str, &str) -> Option<bool>) -> Self {
        let mut is_one = |name, other| found(name, other) == Some(true);
        let case = if !is_one("case", "CASE") {
            Case::None
        } else if !is_one("æ", "Æ") {
            Case::Ascii
        } else if !is_one("ß", "ss") {
            Case::Simple
        } else {
            Case::Full
        };
        // The last has no case, so that nothing but its form can make it another.
        let form = if !is_one("é", "e\u{301}") {
            Form::None
        } else if !is_one("\u{f900}", "\u{8c48}") {
            Form::Apple
        } else {
            Form::All
        };
        Self { case, form }
    }
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

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn nothing_is_folded_here_and_nothing_is_left() {
        let place = tempfile::tempdir().unwrap();
        let directory = std::fs::File::open(place.path()).unwrap();
        assert_eq!(Folding::probe(directory.as_fd()), Folding::default());
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        std::fs::write(place.path().join("ONE"), b"").unwrap();
        assert_eq!(finds(directory.as_fd(), "probe", "ONE"), Some(true));
        assert_eq!(finds(directory.as_fd(), "probe", "Probe"), Some(false));
    }

    #[test]
    fn case_and_form_are_asked_of_the_file_system() {
        use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
        let place = tempfile::tempdir().unwrap();
        let directory = std::fs::File::open(place.path()).unwrap();
        let Ok(watch) = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) else {
            return kopia_testkit::facilities::left_out("no inotify here");
        };
        if add_watch(&watch, place.path(), WatchFlags::CREATE).is_err() {
            return kopia_testkit::facilities::left_out("no more can be watched here");
        }
        assert!(Folding::probe(directory.as_fd()).is_nothing());
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let (mut events, mut made) = (Reader::new(&watch, &mut buffer), Vec::new());
        while let Ok(event) = events.next() {
            made.extend(event.file_name().map(|name| name.to_str().unwrap().to_owned()));
        }
        // Where these are not found by another name, no more is asked.
        let asked: Vec<_> = made.iter().filter_map(|name| name.rsplit('-').next()).collect();
        assert_eq!(asked, ["case", "é"]);
    }

    #[test]
    fn what_is_one_is_told_by_examples() {
        // A file system is what it folds names to.
        for case in [Case::None, Case::Ascii, Case::Simple, Case::Full] {
            for form in [Form::None, Form::Apple, Form::All] {
                let folding = Folding { case, form };
                let found = Folding::of(|name, other| Some(folding.key(name) == folding.key(other)));
                assert_eq!(found, folding);
            }
        }
        assert!(Folding::of(|_, _| None).is_nothing(), "names that cannot be made say nothing");
    }
}
