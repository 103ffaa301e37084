//! The account of a restore as Prometheus text, for a collector that reads files.
//!
//! `restore --metrics` and the mover write the same names. Those that begin with `progress_` are the keys of
//! `--progress json`.

use std::fmt::Display;

use kopia_rs::Snapshot;
use kopia_rs::diagnosis::Class;
use kopia_rs::restore::{Notes, Outcome};
use serde::Serialize;

use super::progress::{Phase, State};
use super::prometheus::{gauge, labels};
use super::time;

/// What is known of a restore; what is not known is left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct RestoreMetrics {
    /// Whose snapshot it is, so that restores of many applications can be told apart.
    pub(crate) identity: Option<String>,
    pub(crate) exit_code: u8,
    /// What went wrong.
    pub(crate) class: Option<Class>,
    pub(crate) seconds: f64,
    pub(crate) snapshot: Option<BackedUp>,
    pub(crate) counts: Option<Counts>,
    pub(crate) progress: Option<(Phase, State)>,
}

/// The snapshot that was chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackedUp {
    /// When it began, in seconds since 1970.
    pub(crate) start_seconds: i64,
    /// Entries that the backup itself could not read.
    pub(crate) failed: u64,
}

/// What was done.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) files: u64,
    pub(crate) folders: u64,
    pub(crate) symlinks: u64,
    pub(crate) bytes: u64,
    pub(crate) kept: u64,
    pub(crate) deleted: u64,
    pub(crate) problems: u64,
    pub(crate) owners_not_set: u64,
    pub(crate) special_bits_lost: u64,
    pub(crate) modes_not_set: u64,
    pub(crate) times_not_set: u64,
    pub(crate) names_changed: u64,
    pub(crate) roots_not_told: u64,
}

impl From<&Snapshot> for BackedUp {
    fn from(snapshot: &Snapshot) -> Self {
        let summary = snapshot.manifest().summary();
        let failed = summary.map_or(0, |summary| summary.failed.saturating_add(summary.ignored_errors));
        let failed = u64::try_from(failed).unwrap_or_default();
        Self { start_seconds: snapshot.start_time().seconds(), failed }
    }
}

impl From<&Outcome> for Counts {
    fn from(outcome: &Outcome) -> Self {
        let Notes { owners, special_bits, modes, times, names, guessed, .. } = outcome.notes;
        Self {
            files: outcome.files,
            folders: outcome.directories,
            symlinks: outcome.symlinks,
            bytes: outcome.bytes,
            kept: outcome.kept,
            deleted: outcome.deleted,
            problems: outcome.problem_count,
            owners_not_set: owners,
            special_bits_lost: special_bits,
            modes_not_set: modes,
            times_not_set: times,
            names_changed: names,
            roots_not_told: guessed,
        }
    }
}

impl RestoreMetrics {
    /// Writes all metrics as of now.
    pub(crate) fn text(&self) -> String {
        let identity = self.identity.as_deref().map(|identity| ("identity", identity));
        let all = labels(identity.as_slice());
        let with = |name, value| labels(&identity.into_iter().chain([(name, value)]).collect::<Vec<_>>());
        let mut text = String::new();
        let mut metric = |name: &str, help: &str, labels: &str, value: &dyn Display| {
            gauge(&mut text, &format!("kopia_rs_restore_{name}"), help, labels, value);
        };
        let is_success = u8::from(self.exit_code == 0);
        metric("success", "Whether the last restore ended well.", &all, &is_success);
        metric("exit_code", "The exit status of the last restore.", &all, &self.exit_code);
        if let Some(class) = self.class {
            let labels = with("class", class.code());
            metric("error", "1, with the class of what went wrong in the last restore.", &labels, &1);
        }
        metric("duration_seconds", "How long it took.", &all, &self.seconds);
        let end = time::now().seconds();
        metric("end_timestamp_seconds", "When it ended, in seconds since 1970.", &all, &end);
        if let Some(snapshot) = self.snapshot {
            let help = "When the restored snapshot began, in seconds since 1970.";
            metric("snapshot_timestamp_seconds", help, &all, &snapshot.start_seconds);
            metric("failed_in_backup", "Entries that the backup could not read.", &all, &snapshot.failed);
        }
        for (name, help, value) in self.counts.iter().flat_map(Counts::all) {
            metric(name, help, &all, &value);
        }
        if let Some((phase, state)) = &self.progress {
            let labels = with("phase", phase.word());
            metric(
                "progress_phase",
                "1, with the phase that the last restore was in at its end.",
                &labels,
                &1,
            );
            for (name, help, value) in state.metrics() {
                metric(name, help, &all, &value);
            }
        }
        text
    }
}

impl Counts {
    fn all(&self) -> [(&'static str, &'static str, u64); 13] {
        [
            ("files", "Files that were written.", self.files),
            ("folders", "Folders of the snapshot.", self.folders),
            ("symlinks", "Symbolic links that were written.", self.symlinks),
            ("bytes", "Bytes of the files that were written.", self.bytes),
            ("kept", "Files and links that were there already.", self.kept),
            ("deleted", "Entries that were deleted because the snapshot does not have them.", self.deleted),
            ("problems", "Entries that are missing, doubled or incomplete.", self.problems),
            ("owners_not_set", "Entries whose owner could not be set.", self.owners_not_set),
            ("special_bits_lost", "Entries that lost setuid, setgid or sticky bits.", self.special_bits_lost),
            ("modes_not_set", "Folders that kept another mode.", self.modes_not_set),
            ("times_not_set", "Entries that kept another time.", self.times_not_set),
            (
                "names_changed",
                "Entries whose names were not UTF-8 when they were backed up.",
                self.names_changed,
            ),
            (
                "roots_not_told",
                "Roots of which the server tells neither owner nor permissions nor time.",
                self.roots_not_told,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::progress::Count;

    #[test]
    fn text_is_well_formed() {
        let count = |done, total| Count { done, total };
        let state = State {
            bytes: count(5, Some(9)),
            entries: Some(count(2, None)),
            kept: 4,
            checked: 0,
            problems: 1,
        };
        let metrics = RestoreMetrics {
            identity: Some("a\"b\\@h:/data".into()),
            exit_code: 3,
            class: Some(Class::Full),
            counts: Some(Counts { files: 7, ..Counts::default() }),
            progress: Some((Phase::Working, state)),
            ..RestoreMetrics::default()
        };
        let text = metrics.text();
        let identity = "identity=\"a\\\"b\\\\@h:/data\"";
        for line in [
            format!("kopia_rs_restore_success{{{identity}}} 0"),
            format!("kopia_rs_restore_error{{{identity},class=\"Full\"}} 1"),
            format!("kopia_rs_restore_files{{{identity}}} 7"),
            format!("kopia_rs_restore_progress_phase{{{identity},phase=\"working\"}} 1"),
            format!("kopia_rs_restore_progress_bytes{{{identity}}} 5"),
            format!("kopia_rs_restore_progress_bytes_total{{{identity}}} 9"),
            format!("kopia_rs_restore_progress_bytes_kept{{{identity}}} 4"),
            format!("kopia_rs_restore_progress_entries{{{identity}}} 2"),
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("entries_total") && !text.contains("snapshot_timestamp"), "{text}");
        for lines in text.lines().collect::<Vec<_>>().chunks(3) {
            let [help, kind, value] = lines else { panic!("{lines:?}") };
            let name = help.split(' ').nth(2).unwrap();
            assert_eq!(*kind, format!("# TYPE {name} gauge"));
            assert!(value.starts_with(&format!("{name}{{")), "{value}");
        }
        assert!(RestoreMetrics::default().text().contains("\nkopia_rs_restore_success 1\n"));
    }
}
