//! Backups, each with what its volumes have together.

use std::collections::{BTreeMap, BTreeSet};

use kopia_rs::Timestamp;
use kopia_rs::diagnosis::velero::Backup;
use serde::Serialize;

use super::Row;

/// A backup, as `--json` prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackupRow {
    /// Nothing of volumes that do not say to which backup they belong.
    #[serde(flatten)]
    pub(super) backup: Backup,
    pub(super) namespaces: BTreeSet<String>,
    /// When reading its first volume began.
    pub(super) start_time: String,
    /// When reading its last volume ended.
    pub(super) end_time: String,
    pub(super) volumes: u64,
    /// Of these, how many are not complete.
    pub(super) incomplete: u64,
    /// Bytes.
    pub(super) size: u64,
    pub(super) files: u64,
    #[serde(skip)]
    pub(super) started: Timestamp,
}

impl BackupRow {
    /// Sums volumes up, the oldest backup first.
    pub(super) fn all(rows: &[Row]) -> Vec<Self> {
        let mut groups: BTreeMap<&Backup, Vec<&Row>> = BTreeMap::new();
        rows.iter().for_each(|row| groups.entry(&row.volume.backup).or_default().push(row));
        let mut all: Vec<_> =
            groups.into_iter().filter_map(|(backup, rows)| Self::of(backup, &rows)).collect();
        all.sort_by(|one, other| (one.started, &one.backup).cmp(&(other.started, &other.backup)));
        all
    }

    fn of(backup: &Backup, rows: &[&Row]) -> Option<Self> {
        let volumes = || rows.iter().map(|row| &row.volume);
        let started = volumes().map(|volume| volume.start_time).min()?;
        let sum = |of: fn(&kopia_rs::diagnosis::velero::Volume) -> u64| {
            volumes().map(of).fold(0, u64::saturating_add)
        };
        Some(Self {
            backup: backup.clone(),
            namespaces: volumes().map(|volume| volume.namespace.clone()).collect(),
            start_time: started.to_string(),
            end_time: volumes().map(|volume| volume.end_time).max()?.to_string(),
            volumes: rows.len() as u64,
            incomplete: volumes().filter(|volume| volume.incomplete.is_some()).count() as u64,
            size: sum(|volume| volume.size),
            files: sum(|volume| volume.files),
            started,
        })
    }
}
