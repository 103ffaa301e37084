//! The real kopia: where it is, and becoming it.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::line::Line;
use super::{UNABLE, restore, table};
use crate::process;
use crate::terminal::output::log_line;

/// Names the real kopia. For the mover it names VolSync's script, which is no kopia.
const FALLBACK: &str = "KOPIA_RS_FALLBACK";

/// Returns what is for the real kopia of a line whose command is known here. It is known from the line alone: what
/// this process does to itself before it works would be inherited.
pub(super) fn of_line(command: &table::Command, line: &Line) -> Option<&'static str> {
    let is_on = |name| line.is_on(name, false);
    match &*table::name(command) {
        "restore" | "snapshot restore" => restore::for_kopia(line),
        "snapshot list" if is_on("storage-stats") || is_on("delta") => {
            Some("snapshot list --storage-stats or --delta")
        }
        "index list" if is_on("superseded") => Some("index list --superseded"),
        "mount" if is_on("webdav") || is_on("browse") => Some("mount --webdav or --browse"),
        "mount" if !cfg!(all(feature = "mount", target_os = "linux")) => Some("mount"),
        _ => None,
    }
}

/// Finds the real kopia: what the variable names, else the next one on PATH.
///
/// # Errors
/// What is missing, and what to do about it.
pub(super) fn find() -> Result<PathBuf, String> {
    let named = std::env::var_os(FALLBACK).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty());
    if let Some(path) = named.filter(|path| path.extension() != Some(OsStr::new("sh"))) {
        if !path.is_absolute() {
            return Err(format!("{FALLBACK} is {}, not an absolute path", path.display()));
        }
        return match path.metadata() {
            Ok(file) if process::is_ourselves(&file) => Err(format!("{FALLBACK} names kopia-rs itself")),
            Ok(_) => Ok(path),
            Err(error) => Err(format!("{}, which {FALLBACK} names, cannot be used: {error}", path.display())),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    on_path(std::env::split_paths(&path)).ok_or_else(|| {
        format!("no other kopia is on PATH: put the real kopia there, or name it with {FALLBACK}")
    })
}

/// Finds the next kopia on PATH: after this program's own place there, so that two copies of it never call each other
/// in turn.
fn on_path(directories: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let found: Vec<_> =
        directories.map(|directory| directory.join(super::NAME)).filter(|path| is_program(path)).collect();
    let is_own = |path: &PathBuf| path.metadata().is_ok_and(|file| process::is_ourselves(&file));
    let next = found.iter().rposition(is_own).map_or(0, |own| own + 1);
    found.into_iter().nth(next)
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Becomes it. Returns the exit status if that cannot be done.
pub(super) fn become_kopia(kopia: &Path, arguments: &[OsString]) -> u8 {
    let error = Command::new(kopia).args(arguments).exec();
    log_line(format_args!("kopia: error: {} cannot be run: {error}", kopia.display()));
    UNABLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_after_ourselves_counts() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let place = directory.path().join(name);
            std::fs::create_dir(&place).unwrap();
            place
        };
        let (before, own, after, none) = (place("a"), place("b"), place("c"), place("d"));
        for other in [&before, &after] {
            std::fs::write(other.join("kopia"), "").unwrap();
            std::fs::set_permissions(other.join("kopia"), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::fs::write(none.join("kopia"), "").unwrap();
        std::fs::set_permissions(none.join("kopia"), std::fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(std::env::current_exe().unwrap(), own.join("kopia")).unwrap();
        let find = |places: &[&PathBuf]| on_path(places.iter().map(|place| (*place).clone()));
        assert_eq!(find(&[&none, &before, &own, &after]), Some(after.join("kopia")));
        assert_eq!(find(&[&before, &own]), None);
        assert_eq!(find(&[&none, &before]), Some(before.join("kopia")));
    }
}
