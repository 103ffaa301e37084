//! The file that gets the metrics of a restore.

use std::io;
use std::path::Path;

use super::line::SetupError;
use super::report::JobReport;
use crate::terminal::inside::{WHY, is_in};
use crate::terminal::replace::{ELSEWHERE, refusal, refusal_by_any, replace_unsynced};

/// Checks before the restore whether the file may be written: nothing is ever written to a repository, also
/// where settings do not say which one is meant. In the folder that is restored into it would be an extra, or
/// take the place of a file of the snapshot.
pub(crate) fn check(file: &Path, repository: Option<&Path>, target: Option<&Path>) -> Result<(), SetupError> {
    let in_target = || {
        let lies_in_it = target.is_some_and(|target| is_in(file, target, true));
        lies_in_it.then(|| (WHY.into(), ELSEWHERE))
    };
    let refused = refusal(file, repository).or_else(|| refusal_by_any(file)).or_else(in_target);
    let name = format!("the metrics file {}", file.display());
    refused.map_or(Ok(()), |(why, hint)| Err(SetupError::new(format!("{name} {why}"), hint)))
}

/// Replaces the file in one step: a reader sees the old text or the new one.
pub(crate) fn write(file: &Path, report: &JobReport) -> io::Result<()> {
    replace_unsynced(file, report.metrics().text().as_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_never_in_the_repository() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("restore.prom");
        for _ in 0..2 {
            write(&file, &JobReport::default()).unwrap();
            assert!(fs::read_to_string(&file).unwrap().contains("kopia_rs_restore_success 1\n"));
            assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        }
        let repository = place.path().join("repository");
        fs::create_dir_all(repository.join("p")).unwrap();
        let inside = Some(repository.as_path());
        for bad in [
            "repository/x.prom",
            "repository/p/x.prom",
            "repository/../repository/x",
            "missing/x",
            "repository",
        ] {
            assert!(check(&place.path().join(bad), inside, None).is_err(), "{bad}");
        }
        check(&file, inside, None).unwrap();
        // Whose repository it is is not known while settings are wrong.
        let in_another = repository.join("p/x.prom");
        check(&in_another, None, None).unwrap();
        fs::write(repository.join("kopia.repository.f"), "").unwrap();
        assert!(check(&in_another, None, None).is_err());
        assert!(write(Path::new("/nonexistent/x"), &JobReport::default()).is_err());
    }

    #[test]
    fn no_file_lies_where_the_restore_writes() {
        let place = tempfile::tempdir().unwrap();
        let volume = place.path().join("volume");
        fs::create_dir_all(volume.join("folder")).unwrap();
        std::os::unix::fs::symlink(&volume, place.path().join("link")).unwrap();
        for bad in ["volume/x.prom", "volume/folder/x.prom", "link/folder/x.prom"] {
            let error = check(&place.path().join(bad), None, Some(&volume)).unwrap_err().to_string();
            assert!(error.contains("would be the target, or lie in it"), "{bad}: {error}");
        }
        let beside = place.path().join("volume.prom");
        check(&beside, None, Some(&volume)).unwrap();
        check(&volume.join("x.prom"), None, None).unwrap();
    }
}
