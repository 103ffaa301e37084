//! Finds out which names will be one in a target, without making anything there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, FileType, IFlags, Mode};
use unicode_normalization::UnicodeNormalization;

use super::{Case, Folding, Form};
use crate::destination::file_system::FileSystem;
use crate::destination::outside::nearest_existing;
use crate::destination::{DIRECTORY, FILE, Identity, look};

/// Which names that differ are one in a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FoldedNames {
    /// Those that differ in the case of letters.
    pub by_case: bool,
    /// Those that look the same and differ in their Unicode normalization form (NFC, NFD).
    pub by_form: bool,
}

/// Returns which names a target's file system takes for one, as far as looking can tell.
pub fn folded_names(target: &Path) -> FoldedNames {
    let folding = Folding::foresee(target);
    FoldedNames { by_case: folding.case != Case::None, by_form: folding.form != Form::None }
}

impl Folding {
    /// Finds out what [`Self::probe`] will: by the directory's flags, by names that are there in the target or
    /// beside the directories that it lies in, or by the kind of file system.
    pub(crate) fn foresee(target: &Path) -> Self {
        let existing = nearest_existing(target);
        let Ok(directory) = rustix::fs::open(&existing, DIRECTORY, Mode::empty()) else {
            return Self::default();
        };
        Self::foresee_in(FileSystem::of(directory.as_fd()), &existing, &directory)
    }

    fn foresee_in(kind: FileSystem, path: &Path, directory: &OwnedFd) -> Self {
        if kind == FileSystem::Flagged {
            return Self::of_flags(rustix::fs::ioctl_getflags(directory).unwrap_or(IFlags::empty()));
        }
        let expected = Self::of_kind(kind);
        let found = |other: Other| {
            by_names(directory.as_fd(), other).or_else(|| by_ancestors(path, directory, other))
        };
        let case = match found(other_case) {
            Some(true) if expected.case == Case::None => Case::Simple,
            Some(false) => Case::None,
            _ => expected.case,
        };
        let form = match found(other_form) {
            Some(true) if expected.form == Form::None => Form::All,
            Some(false) => Form::None,
            _ => expected.form,
        };
        Self { case, form }
    }

    /// Each directory says for itself whether names are folded in it, and hands that on to those made in it.
    fn of_flags(flags: IFlags) -> Self {
        // FS_CASEFOLD_FL of linux/fs.h.
        const CASEFOLD: u32 = 0x4000_0000;
        let folds = flags.bits() & CASEFOLD != 0;
        if folds { Self { case: Case::Full, form: Form::All } } else { Self::default() }
    }

    /// Returns what is known of a kind of file system.
    fn of_kind(kind: FileSystem) -> Self {
        let (case, form) = match kind {
            FileSystem::Fat | FileSystem::ExFat | FileSystem::Share => (Case::Simple, Form::None),
            FileSystem::Apple => (Case::Simple, Form::Apple),
            FileSystem::Foreign | FileSystem::Flagged | FileSystem::Other => (Case::None, Form::None),
        };
        Self { case, form }
    }
}

/// Returns another name than the given one that may be the same; none if there is no such.
type Other = fn(&[u8]) -> Option<Vec<u8>>;

fn other_case(name: &[u8]) -> Option<Vec<u8>> {
    let swap = |&byte: &u8| {
        if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() }
    };
    let swapped: Vec<u8> = name.iter().map(swap).collect();
    (swapped != name).then_some(swapped)
}

fn other_form(name: &[u8]) -> Option<Vec<u8>> {
    let name = std::str::from_utf8(name).ok()?;
    let forms = [name.nfd().collect::<String>(), name.nfc().collect()];
    forms.into_iter().find(|form| form != name).map(String::into_bytes)
}

/// Looks for an entry by its other name; `None` if it has none, or is not there.
fn finds_by_other(directory: BorrowedFd<'_>, name: &[u8], other: Other) -> Option<bool> {
    let other = other(name)?;
    // Held open, as where it is probed; only of a file is it known that opening it does nothing.
    let is_file = FileType::from_raw_mode(look(directory, name).ok()??.st_mode) == FileType::RegularFile;
    let _held = is_file.then(|| rustix::fs::openat(directory, name, FILE, Mode::empty()));
    let other = look(directory, &*other).ok()?;
    // Afterwards, so that it is its own name by which it was found last.
    let own = Identity::from(&look(directory, name).ok()??);
    Some(other.is_some_and(|other| Identity::from(&other) == own))
}

/// How many names are looked at for one that has another.
const NAMES: usize = 100;

fn by_names(directory: BorrowedFd<'_>, other: Other) -> Option<bool> {
    let mut names = Dir::read_from(directory).ok()?.take(NAMES).flatten();
    names.find_map(|entry| finds_by_other(directory, entry.file_name().to_bytes(), other))
}

/// Asks by the names of directories that the target lies in.
///
/// Only those on its file system can tell.
fn by_ancestors(path: &Path, directory: &OwnedFd, other: Other) -> Option<bool> {
    let device = rustix::fs::fstat(directory).ok()?.st_dev;
    path.ancestors().find_map(|path| {
        let parent = rustix::fs::open(path.parent()?, DIRECTORY, Mode::empty()).ok()?;
        let is_same = rustix::fs::fstat(&parent).ok()?.st_dev == device;
        is_same.then(|| finds_by_other(parent.as_fd(), path.file_name()?.as_encoded_bytes(), other)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_entry_is_looked_for_by_its_other_name() {
        let place = tempfile::tempdir().unwrap();
        let directory = fs::File::open(place.path()).unwrap();
        let directory = directory.as_fd();
        let find = |name: &str, other| finds_by_other(directory, name.as_bytes(), other);
        fs::create_dir(place.path().join("Known")).unwrap();
        assert_eq!((find("Known", other_case), find("Known", other_form)), (Some(false), None));
        assert_eq!((find("unknown", other_case), find("123", other_case)), (None, None));
        // Two names of one file, as where names are folded.
        for (name, second, other) in [
            ("one", "ONE", other_case as Other),
            ("é", "e\u{301}", other_form),
            ("e\u{300}", "è", other_form),
        ] {
            fs::write(place.path().join(name), b"").unwrap();
            assert_eq!(find(name, other), Some(false), "{name}");
            fs::hard_link(place.path().join(name), place.path().join(second)).unwrap();
            assert_eq!((find(name, other), find(second, other)), (Some(true), Some(true)), "{name}");
        }
        fs::write(place.path().join("é "), b"").unwrap();
        fs::write(place.path().join("e\u{301} "), b"").unwrap();
        assert_eq!(find("é ", other_form), Some(false), "another file");
    }

    #[test]
    fn nothing_is_folded_here() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("Known é")).unwrap();
        for target in [place.path().to_owned(), place.path().join("new/target"), "/proc".into()] {
            assert!(Folding::foresee(&target).is_nothing());
            assert_eq!(folded_names(&target), FoldedNames::default());
        }
        let directory = rustix::fs::open(place.path(), DIRECTORY, Mode::empty()).unwrap();
        assert_eq!(by_names(directory.as_fd(), other_form), Some(false));
        assert_eq!(by_names(directory.as_fd(), other_case), Some(false));
        let inner = place.path().join("Known é");
        let directory = rustix::fs::open(&inner, DIRECTORY, Mode::empty()).unwrap();
        assert_eq!(by_names(directory.as_fd(), other_case), None);
        assert_eq!(by_ancestors(&inner, &directory, other_case), Some(false));
        assert_eq!(by_ancestors(&inner, &directory, other_form), Some(false));
        let root = rustix::fs::open("/", DIRECTORY, Mode::empty()).unwrap();
        assert_eq!(by_ancestors(Path::new("/"), &root, other_case), None, "it lies in nothing");
    }

    /// Opening a pipe lets whoever waits for a reader go on.
    #[test]
    fn only_a_file_is_opened() {
        use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
        let place = tempfile::tempdir().unwrap();
        let directory = fs::File::open(place.path()).unwrap();
        fs::create_dir(place.path().join("Directory")).unwrap();
        fs::write(place.path().join("File"), b"").unwrap();
        rustix::fs::mknodat(&directory, "Pipe", FileType::Fifo, Mode::RUSR, 0).unwrap();
        let Ok(watch) = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) else {
            return kopia_testkit::facilities::left_out("no inotify here");
        };
        if add_watch(&watch, place.path(), WatchFlags::OPEN).is_err() {
            return kopia_testkit::facilities::left_out("no more can be watched here");
        }
        for name in ["Directory", "Pipe", "File"] {
            assert_eq!(finds_by_other(directory.as_fd(), name.as_bytes(), other_case), Some(false), "{name}");
        }
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let (mut events, mut opened) = (Reader::new(&watch, &mut buffer), Vec::new());
        while let Ok(event) = events.next() {
            opened.extend(event.file_name().map(ToOwned::to_owned));
        }
        assert_eq!(opened, [c"File".to_owned()]);
    }

    /// Makes two names of one file, as where names are folded; those without a letter of ASCII have no other case.
    fn make_twins(place: &Path) {
        for (name, second) in [("one", "ONE"), ("각", "\u{1100}\u{1161}\u{11a8}")] {
            fs::write(place.join(name), b"").unwrap();
            fs::hard_link(place.join(name), place.join(second)).unwrap();
        }
    }

    /// Names the directory for the run of the same test in a mount namespace of its own.
    const PLACE: &str = "KOPIA_RS_TEST_FORESEEN";

    #[test]
    fn a_target_to_be_made_is_foreseen_by_the_names_beside_it() {
        if let Some(place) = std::env::var_os(PLACE) {
            let place = Path::new(&place);
            make_twins(place);
            let target = place.join("new/target");
            assert_eq!(Folding::foresee(&target), Folding { case: Case::Simple, form: Form::All });
            assert_eq!(folded_names(&target), FoldedNames { by_case: true, by_form: true });
            return;
        }
        let place = tempfile::tempdir().unwrap();
        // Neither its kind nor a flag says anything of names.
        let script = r#"mount -t ramfs ramfs "$1" || exit 9; shift
            exec "$@" --exact destination::folding::foresee::tests::a_target_to_be_made_is_foreseen_by_the_names_beside_it"#;
        let mut command = std::process::Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(place.path());
        command.arg(std::env::current_exe().unwrap()).env(PLACE, place.path());
        kopia_testkit::facilities::once_more(&mut command, "no mount namespaces here");
    }

    #[test]
    fn names_that_are_there_say_it_before_the_kind_of_file_system() {
        let place = tempfile::tempdir().unwrap();
        let directory = rustix::fs::open(place.path(), DIRECTORY, Mode::empty()).unwrap();
        let foresee = |kind| Folding::foresee_in(kind, place.path(), &directory);
        make_twins(place.path());
        let (case, form) = (Case::Simple, Form::Apple);
        assert_eq!(foresee(FileSystem::Apple), Folding { case, form });
        assert_eq!(foresee(FileSystem::Other), Folding { case, form: Form::All });
        assert!(foresee(FileSystem::Flagged).is_nothing(), "its flag says it");
        for second in ["ONE", "각"] {
            fs::remove_file(place.path().join(second)).unwrap();
        }
        assert!(foresee(FileSystem::Apple).is_nothing());
    }

    #[test]
    fn flags_and_kinds_say_it_where_no_name_does() {
        let full = Folding { case: Case::Full, form: Form::All };
        assert_eq!(Folding::of_flags(IFlags::from_bits_retain(0x4008_0000)), full);
        assert!(!full.is_nothing());
        assert!(Folding::of_flags(IFlags::from_bits_retain(0x8_0000)).is_nothing());
        let of = |kind| (Folding::of_kind(kind).case, Folding::of_kind(kind).form);
        assert_eq!(of(FileSystem::Apple), (Case::Simple, Form::Apple));
        assert_eq!(of(FileSystem::ExFat), (Case::Simple, Form::None));
        assert_eq!(of(FileSystem::Other), (Case::None, Form::None));
    }
}
