//! The account of a restore as Prometheus text, for a collector that reads files.

use std::fmt::Display;
use std::io;
use std::path::Path;

use super::line::SetupError;
use super::report::JobReport;
use crate::terminal::prometheus::{gauge, label};
use crate::terminal::replace::{refusal, replace};

/// Checks before the restore whether the file may be written: nothing is ever written to a repository.
pub(crate) fn check(file: &Path, repository: Option<&Path>) -> Result<(), SetupError> {
    let refused = refusal(file, repository);
    let name = format!("the metrics file {}", file.display());
    refused.map_or(Ok(()), |(why, hint)| Err(SetupError::new(format!("{name} {why}"), hint)))
}

/// Replaces the file in one step: a reader sees the old text or the new one.
pub(crate) fn write(file: &Path, report: &JobReport) -> io::Result<()> {
    replace(file, text(report).as_bytes(), 0o644)
}

/// Writes all metrics; those that are not known are left out.
fn text(report: &JobReport) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, help: &str, value: &dyn Display| {
        gauge(&mut text, &format!("kopia_rs_restore_{name}"), help, &labels(report), value);
    };
    metric("success", "Whether the last restore ended well.", &u8::from(report.is_success()));
    metric("exit_code", "The exit status of the last restore.", &report.exit_code());
    metric("duration_seconds", "How long it took.", &report.seconds());
    metric(
        "end_timestamp_seconds",
        "When it ended, in seconds since 1970.",
        &crate::terminal::time::now().seconds(),
    );
    if let Some(snapshot) = &report.snapshot {
        metric(
            "snapshot_timestamp_seconds",
            "When the restored snapshot began, in seconds since 1970.",
            &snapshot.start_seconds(),
        );
        metric("failed_in_backup", "Entries that the backup could not read.", &snapshot.failed_in_backup());
    }
    let Some(counts) = &report.counts else { return text };
    for (name, help, value) in [
        ("files", "Files that were written.", counts.files),
        ("folders", "Folders of the snapshot.", counts.folders),
        ("symlinks", "Symbolic links that were written.", counts.symlinks),
        ("bytes", "Bytes of the files that were written.", counts.bytes),
        ("kept", "Files and links that were there already.", counts.kept),
        ("deleted", "Entries that were deleted because the snapshot does not have them.", counts.deleted),
        ("problems", "Entries that are missing, doubled or incomplete.", counts.problems),
        ("owners_not_set", "Entries whose owner could not be set.", counts.owners_not_set),
        ("special_bits_lost", "Entries that lost setuid, setgid or sticky bits.", counts.special_bits_lost),
        ("modes_not_set", "Folders that kept another mode.", counts.modes_not_set),
        ("times_not_set", "Entries that kept another time.", counts.times_not_set),
        (
            "names_changed",
            "Entries whose names were not UTF-8 when they were backed up.",
            counts.names_changed,
        ),
    ] {
        metric(name, help, &value);
    }
    text
}

/// The identity, so that restores of many applications can be told apart.
fn labels(report: &JobReport) -> String {
    let Some(identity) = &report.identity else { return String::new() };
    label("identity", identity)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn text_is_well_formed() {
        let mut report = JobReport::default();
        report.identity = Some("a\"b\\@h:/data".into());
        report.counts = Some(super::super::report::Counts { files: 7, ..Default::default() });
        let text = text(&report);
        assert!(text.contains("\nkopia_rs_restore_files{identity=\"a\\\"b\\\\@h:/data\"} 7\n"), "{text}");
        for lines in text.lines().collect::<Vec<_>>().chunks(3) {
            let [help, kind, value] = lines else { panic!("{lines:?}") };
            let name = help.split(' ').nth(2).unwrap();
            assert_eq!(*kind, format!("# TYPE {name} gauge"));
            assert!(value.starts_with(&format!("{name}{{")), "{value}");
        }
    }

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
        assert!(write(Path::new("/nonexistent/x"), &JobReport::default()).is_err());
    }
}
