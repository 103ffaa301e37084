//! A file that is replaced in one step: a reader sees the old one or the new one.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kopia_rs::restore::is_outside;

use super::unfinished::Unfinished;

/// What blobs of a repository's format are called where blobs are files, with and without kopia's suffix.
const FORMAT_BLOBS: [&str; 2] = ["kopia.repository.f", "kopia.repository"];

/// What to do about a file that must not lie where it would.
pub(crate) const ELSEWHERE: &str = "name a file elsewhere";

/// Says why a file may not be written, in words that follow its name, and what to do; nothing is ever written
/// to a repository.
pub(crate) fn refusal(file: &Path, repository: Option<&Path>) -> Option<(String, &'static str)> {
    let failed = |error: io::Error| Some((format!("cannot be written: {error}"), ""));
    let directory = match directory(file).canonicalize() {
        Ok(directory) => directory,
        Err(error) => return failed(error),
    };
    if file.file_name().is_none() || file.is_dir() {
        return Some(("is a folder".into(), "name a file"));
    }
    // Replacing a link, or a device such as /dev/stdout, would take it away from others.
    if file.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Some(("is a link, or no ordinary file".into(), "name a file"));
    }
    match is_outside(&directory, repository?) {
        Ok(true) => None,
        Ok(false) => Some(("would lie in the repository".into(), ELSEWHERE)),
        // Nothing lies in a repository that is not there, which opening it will say.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => failed(error),
    }
}

/// As [`refusal`], where it is not known yet which repository is meant, or will never be: it may lie in none.
pub(crate) fn refusal_by_any(file: &Path) -> Option<(String, &'static str)> {
    let is_repository =
        |folder: &Path| FORMAT_BLOBS.iter().any(|name| folder.join(name).symlink_metadata().is_ok());
    let lies_in_one =
        directory(file).canonicalize().is_ok_and(|folder| folder.ancestors().any(is_repository));
    lies_in_one.then(|| ("would lie in a repository".into(), ELSEWHERE))
}

/// Replaces a file, or makes it, with this mode.
pub(crate) fn replace(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    write(file, bytes, mode)?.finish(file, true)
}

/// As [`replace`], and does not wait for the disk, which may take seconds: for metrics, whose readers need none of
/// it, and which a signal leaves less than one.
pub(crate) fn replace_unsynced(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    write(file, bytes, mode)?.give_name(file, true)
}

/// Makes a file, with this mode.
///
/// # Errors
/// What the system says; [`io::ErrorKind::AlreadyExists`] if something has that name.
pub(crate) fn create(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    write(file, bytes, mode)?.finish(file, false)
}

/// Writes a file that has no name yet, or one of its own.
fn write(file: &Path, bytes: &[u8], mode: u32) -> io::Result<Unfinished> {
    if file.file_name().is_none() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // Collectors take files by their ending, which this one does not have.
    let new = Unfinished::create(&directory(file), ".kopia-rs-new-", mode)?;
    new.file().write_all(bytes)?;
    Ok(new)
}

/// Returns the folder that a file lies in.
pub(crate) fn directory(file: &Path) -> PathBuf {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).into()
}

/// Returns whether two paths name one place, where something is or not.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    resolved(one) == resolved(other) || identity(one).is_some_and(|one| identity(other) == Some(one))
}

/// Returns a path without symlinks, as far as something is there.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|ancestor| {
        let named = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        Some(named.canonicalize().ok()?.join(path.strip_prefix(ancestor).ok()?))
    });
    existing.unwrap_or_else(|| path.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    type Replace = fn(&Path, &[u8], u32) -> io::Result<()>;

    #[test]
    fn what_another_process_of_the_same_number_writes_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("x");
        let another = place.path().join(format!(".x.{}.new", std::process::id()));
        fs::write(&another, "another").unwrap();
        let writes = [
            ("first", replace as Replace),
            ("second", replace as Replace),
            ("third", replace_unsynced as Replace),
        ];
        for (text, write) in writes {
            write(&file, text.as_bytes(), 0o600).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(fs::read_to_string(another).unwrap(), "another");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
    }
}
