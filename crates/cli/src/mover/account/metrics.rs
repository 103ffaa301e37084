//! The file that gets the metrics of a restore.

use std::io;
use std::path::Path;

use super::line::SetupError;
use super::report::JobReport;
use crate::terminal::replace::{refusal, refusal_by_any, replace};

/// Checks before the restore whether the file may be written: nothing is ever written to a repository, also
/// where settings do not say which one is meant.
pub(crate) fn check(file: &Path, repository: Option<&Path>) -> Result<(), SetupError> {
    let refused = refusal(file, repository).or_else(|| refusal_by_any(file));
    let name = format!("the metrics file {}", file.display());
    refused.map_or(Ok(()), |(why, hint)| Err(SetupError::new(format!("{name} {why}"), hint)))
}

/// Replaces the file in one step: a reader sees the old text or the new one.
pub(crate) fn write(file: &Path, report: &JobReport) -> io::Result<()> {
    replace(file, report.metrics().text().as_bytes(), 0o644)
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
            assert!(check(&place.path().join(bad), inside).is_err(), "{bad}");
        }
        check(&file, inside).unwrap();
        // Whose repository it is is not known while settings are wrong.
        let in_another = repository.join("p/x.prom");
        check(&in_another, None).unwrap();
        fs::write(repository.join("kopia.repository.f"), "").unwrap();
        assert!(check(&in_another, None).is_err());
        assert!(write(Path::new("/nonexistent/x"), &JobReport::default()).is_err());
    }
}
