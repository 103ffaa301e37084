//! An upgrade of the repository's format that may have been abandoned.

use std::fs;
use std::path::{Path, PathBuf};

use kopia_repository::Error;

use crate::finding::Hint;

/// How many directories are nested below a repository at most.
const DEPTH: usize = 8;

/// Returns what can be done about a repository that is locked by an upgrade; nothing for any other error.
///
/// kopia itself waits without end for an upgrade whose owner is gone.
pub(crate) fn hints(error: &Error, directory: Option<&Path>) -> Vec<Hint> {
    let Error::Locked { owner, backup, backups, .. } = error else { return Vec::new() };
    let file = backup.as_ref().zip(directory).and_then(|(blob, directory)| find(directory, blob.as_str(), 0));
    // A rollback goes by age, and the oldest backup may be from before an upgrade that was completed.
    let undo = Hint::UndoUpgrade { several: *backups > 1, backup: backup.clone(), file };
    let wait = Hint::AwaitUpgrade { owner: owner.clone() };
    vec![undo, wait]
}

/// Finds the file of a blob, whatever the layout: directories and file together spell its name.
fn find(directory: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    let file = ["", ".f"].iter().map(|suffix| directory.join(format!("{name}{suffix}")));
    if let Some(found) = file.into_iter().find(|path| path.is_file()) {
        return Some(found);
    }
    // No longer one can be a directory of it, and few lengths are used.
    let ends = name.char_indices().skip(1).map(|(end, _)| end).take(if depth < DEPTH { 20 } else { 0 });
    ends.filter(|&end| fs::symlink_metadata(directory.join(&name[..end])).is_ok_and(|found| found.is_dir()))
        .find_map(|end| find(&directory.join(&name[..end]), &name[end..], depth + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_found_in_any_layout() {
        let place = tempfile::tempdir().unwrap();
        let name = "kopia.repository.backup.ops@media";
        for path in [
            "kopia.repository.backup.ops@media",
            "flat/kopia.repository.backup.ops@media.f",
            "deep/kop/ia./repository.backup.ops@media.f",
        ] {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
        }
        assert_eq!(find(place.path(), name, 0), Some(place.path().join(name)));
        for (directory, rest) in [
            ("flat", "kopia.repository.backup.ops@media.f"),
            ("deep", "kop/ia./repository.backup.ops@media.f"),
        ] {
            assert_eq!(
                find(&place.path().join(directory), name, 0),
                Some(place.path().join(directory).join(rest))
            );
        }
        assert_eq!(find(&place.path().join("nothing"), name, 0), None);
    }
}
