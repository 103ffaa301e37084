//! What a folder that cannot be used may be of: where it lies and its name tell.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::PREFIX;
use super::folder::KeptFolder;
use super::names::{cut, time_in_name};

/// A restore that a folder which cannot be used may be of, and that goes before another one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preceding {
    /// What was restored: a directory, or a single file.
    pub path: PathBuf,
    /// Whether it goes first as the later one. Otherwise it was to the very path that is asked for, whenever that was.
    pub is_later: bool,
}

/// What a folder may be of.
#[derive(Debug)]
struct Origin {
    /// What was restored: a directory, or a single file.
    path: PathBuf,
    /// What its journal calls the target: of a single file, the directory that has it.
    target: PathBuf,
}

impl Origin {
    /// Returns whether it changed something at a path, or that something in it.
    fn concerns(&self, place: &Path) -> bool {
        place.starts_with(&self.path) || self.path.starts_with(place)
    }
}

impl KeptFolder {
    /// Returns what another folder, which cannot be used, may be of, if it would be undone before this one by
    /// whoever asks to undo what was restored to `place`: a restore to that very path goes before those to
    /// others, and of the rest the latest.
    ///
    /// Where it lies and its name tell, and whether a directory is still where it may have gone. Both paths have
    /// to be absolute and without links, as [`all_kept`](crate::all_kept) returns them.
    pub fn may_precede(&self, other: &Path, place: &Path) -> Option<Preceding> {
        let (directory, name) = (other.parent()?, other.file_name()?.to_str()?);
        let (label, time, number) = parts(name)?;
        let began = time_in_name(self.read.header.began);
        let own = (&*began, self.number());
        let (is_later, is_exact) = ((time, number) >= own, self.target() == place);
        origins(directory, label, place).into_iter().find_map(|origin| {
            let is_of_place = origin.target == place;
            let by_time = is_of_place == is_exact;
            let goes_first = if by_time { is_later && origin.concerns(place) } else { is_of_place };
            goes_first.then_some(Preceding { path: origin.path, is_later: by_time })
        })
    }

    /// Returns its number among those that were made for one target in the same second, from 1 on.
    pub(super) fn number(&self) -> u32 {
        parts(&self.name).map_or(1, |parts| parts.2)
    }
}

/// Finds what a folder in a directory may be of, by what it is named after; `place` has names in full that are
/// cut there.
fn origins(directory: &Path, label: &str, place: &Path) -> Vec<Origin> {
    let is_label = |name: &OsStr| cut(&name.to_string_lossy()) == label;
    let below = place.strip_prefix(directory).ok().and_then(|below| below.components().next());
    let name = below.map(|name| name.as_os_str()).filter(|&name| is_label(name));
    let path = directory.join(name.unwrap_or(OsStr::new(label)));
    let is_directory = fs::symlink_metadata(&path).ok().map(|found| found.is_dir());
    let mut origins = Vec::new();
    // It lies in what was restored where nothing can be made beside that.
    if directory.file_name().map_or(label == "root", is_label) {
        origins.push(Origin { path: directory.into(), target: directory.into() });
    }
    if is_directory != Some(false) {
        origins.push(Origin { path: path.clone(), target: path.clone() });
    }
    if is_directory != Some(true) {
        origins.push(Origin { path, target: directory.into() });
    }
    origins
}

/// Splits the name of a folder: what was restored to, when that began, and its number among those of this second.
fn parts(name: &str) -> Option<(&str, &str, u32)> {
    let is_time = |text: &str| text.len() == "20200102T030405Z".len() && text.ends_with('Z');
    let (before, last) = name.strip_prefix(PREFIX)?.rsplit_once('-')?;
    if is_time(last) {
        return Some((before, last, 1));
    }
    let (label, time) = before.rsplit_once('-')?;
    Some((label, time, last.parse().ok()?)).filter(|_| is_time(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_was_restored_to_and_when() {
        let of = |rest: &str| {
            parts(&format!("{PREFIX}{rest}")).map(|(label, time, number)| (label.len(), time.len(), number))
        };
        assert_eq!(of("my-app-20200102T030405Z"), Some((6, 16, 1)));
        assert_eq!(of("my-app-20200102T030405Z-2"), Some((6, 16, 2)));
        for other in
            ["", "app", "app-20200102T030405", "app-20200102T030405Z-", "app-x-2", "20200102T030405Z"]
        {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(time_in_name(1_577_934_245), "20200102T030405Z");
    }

    #[test]
    fn what_is_there_says_whether_it_may_be_of_a_directory_or_of_a_file() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("home");
        let long = "n".repeat(200);
        fs::create_dir_all(home.join("docs")).unwrap();
        fs::create_dir(home.join(&long)).unwrap();
        fs::write(home.join("notes"), "").unwrap();
        let of = |label: &str, place: &str| -> Vec<_> {
            let origins = origins(&home, label, &home.join(place));
            origins.into_iter().map(|origin| (origin.path, origin.target)).collect()
        };
        let beside = |name: &str| (home.join(name), home.join(name));
        let file = |name: &str| (home.join(name), home.clone());
        assert_eq!(of("docs", ""), [beside("docs")]);
        assert_eq!(of("notes", "docs"), [file("notes")]);
        assert_eq!(of("gone", "gone"), [beside("gone"), file("gone")]);
        assert_eq!(of("home", ""), [(home.clone(), home.clone()), beside("home"), file("home")]);
        assert_eq!(of(cut(&long), &format!("{long}/sub")), [beside(&long)]);
        assert_eq!(origins(Path::new("/"), "root", &home)[0].path, Path::new("/"));
    }
}
