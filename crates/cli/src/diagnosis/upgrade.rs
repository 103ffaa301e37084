//! An upgrade of the repository's format that may have been abandoned.

use std::fs;
use std::path::{Path, PathBuf};

use kopia_rs::Error;

use super::Voice;

/// How many directories are nested below a repository at most.
const DEPTH: usize = 8;

/// Returns what can be done about a repository that is locked by an upgrade. kopia itself waits without end for one whose owner
/// is gone.
pub(crate) fn changes(error: &Error, folder: Option<&Path>, voice: Voice) -> Vec<String> {
    let Error::Locked { owner, backup, backups, .. } = error else { return Vec::new() };
    let several = match backups {
        0 | 1 => "",
        // It goes by age, and the oldest may be from before an upgrade that was completed.
        _ => ", but takes the oldest blob kopia.repository.backup.*: move those of other upgrades away first",
    };
    let undo = format!(
        "if nobody upgrades it any more, `kopia repository upgrade rollback --force` undoes the upgrade{several}"
    );
    let wait = format!("if {owner} still upgrades it, wait until that has ended");
    let Some(backup) = backup else { return vec![undo, wait] };
    let read = voice.choose(
        match folder.and_then(|folder| find(folder, backup.as_str(), 0)) {
            Some(path) => format!("--format-blob {} (or --degraded)", path.display()),
            None => format!("--degraded, by its blob {backup},"),
        },
        "additionalArgs: [--degraded]".into(),
    );
    vec![format!("{undo}; until then {read} reads it as it was before"), wait]
}

/// Finds the file of a blob, wherever a layout puts it: the names of directories and of the file together are its name.
fn find(folder: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    let file = ["", ".f"].iter().map(|suffix| folder.join(format!("{name}{suffix}")));
    if let Some(found) = file.into_iter().find(|path| path.is_file()) {
        return Some(found);
    }
    // No longer one can be a directory of it, and few lengths are used.
    let ends = name.char_indices().skip(1).map(|(end, _)| end).take(if depth < DEPTH { 20 } else { 0 });
    ends.filter(|&end| fs::symlink_metadata(folder.join(&name[..end])).is_ok_and(|found| found.is_dir()))
        .find_map(|end| find(&folder.join(&name[..end]), &name[end..], depth + 1))
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
        for (folder, rest) in [
            ("flat", "kopia.repository.backup.ops@media.f"),
            ("deep", "kop/ia./repository.backup.ops@media.f"),
        ] {
            assert_eq!(find(&place.path().join(folder), name, 0), Some(place.path().join(folder).join(rest)));
        }
        assert_eq!(find(&place.path().join("nothing"), name, 0), None);
    }
}
