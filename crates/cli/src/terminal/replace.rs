//! A file that is replaced in one step: a reader sees the old one or the new one.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use kopia_rs::restore::is_outside;

use super::output::check_close;

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
    let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    // Collectors take files by their ending, which this one does not have.
    let mut new = OsString::from(".");
    new.push(name);
    new.push(format!(".{}.new", std::process::id()));
    let new = directory(file).join(new);
    // One that was left by a process of the same number, as all containers' first ones are.
    let _ = fs::remove_file(&new);
    let written = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new);
    let done = written.and_then(|mut opened| {
        opened.write_all(bytes)?;
        opened.sync_all()?;
        check_close(&opened)?;
        fs::rename(&new, file)
    });
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done
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
