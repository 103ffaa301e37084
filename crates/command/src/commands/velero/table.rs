//! The tables of `velero`.

use std::io::{self, Write};

use kopia_rs::Timestamp;
use kopia_rs::diagnosis::velero::{Backup, Volume, VolumeKind};

use super::Row;
use super::backups::BackupRow;
use crate::terminal::colour::Colour;
use crate::terminal::output::{self, count, for_terminal, size, thousands};
use crate::terminal::time;

/// What stands for what is not known.
const NONE: &str = "-";

/// How many characters of a UID stand for a backup without a name.
const SHORT: usize = 8;

/// What rows are sorted by: the volumes of a namespace stand together, each from the oldest backup on.
pub(super) fn order(volume: &Volume) -> (&str, Option<&str>, &str, Timestamp, &str) {
    (&volume.namespace, volume.pod.as_deref(), &volume.name, volume.start_time, &volume.snapshot)
}

pub(super) fn volumes(rows: &[Row]) -> io::Result<()> {
    let head = ["BACKUP", "NAMESPACE", "VOLUME", "KIND", "STARTED", "SIZE", "FILES", "SNAPSHOT", ""];
    let cells = rows.iter().map(|Row { volume, .. }| {
        [
            named(&volume.backup),
            volume.namespace.clone(),
            volume.title(),
            match volume.kind {
                VolumeKind::Files => "files".into(),
                VolumeKind::Block => "block".into(),
            },
            started(volume.start_time),
            size(volume.size),
            thousands(volume.files),
            volume.snapshot.clone(),
            marks(volume),
        ]
    });
    write(head, cells.collect(), &[5, 6])
}

pub(super) fn backups(rows: &[BackupRow]) -> io::Result<()> {
    let head = ["BACKUP", "STARTED", "VOLUMES", "SIZE", "FILES", "NAMESPACES", ""];
    let cells = rows.iter().map(|row| {
        let namespaces: Vec<&str> = row.namespaces.iter().map(String::as_str).collect();
        let incomplete = match row.incomplete {
            0 => String::new(),
            some => count(some, "volume is incomplete", "volumes are incomplete"),
        };
        [
            named(&row.backup),
            started(row.started),
            thousands(row.volumes),
            size(row.size),
            thousands(row.files),
            namespaces.join(","),
            incomplete,
        ]
    });
    write(head, cells.collect(), &[2, 3, 4])
}

/// Names a backup; one of which only the UID is known by the beginning of that, which `--backup` takes.
fn named(backup: &Backup) -> String {
    let uid = || Some(format!("uid:{}", backup.uid.as_deref()?.get(..SHORT)?));
    backup.name.clone().or_else(uid).unwrap_or_else(|| NONE.into())
}

fn started(instant: Timestamp) -> String {
    time::local(instant, "%Y-%m-%d %H:%M:%S %Z")
}

fn marks(volume: &Volume) -> String {
    let incomplete = volume.incomplete.as_ref().map(|why| format!("incomplete: {why}"));
    let deleted = volume.deleted.then(|| "deleted".to_string());
    [deleted, incomplete].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Writes a head and rows; columns of numbers end where their heads do.
fn write<const N: usize>(head: [&str; N], rows: Vec<[String; N]>, numbers: &[usize]) -> io::Result<()> {
    let mut out = output::out();
    if rows.is_empty() {
        return out.flush();
    }
    let head = head.map(Into::into);
    let widths: Vec<usize> = (0..N)
        .map(|column| rows.iter().chain([&head]).map(|row: &[String; N]| output::columns(&row[column])).max())
        .map(Option::unwrap_or_default)
        .collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            let blanks = " ".repeat(width.saturating_sub(output::columns(cell)));
            if numbers.contains(&column) { format!("{blanks}{cell}") } else { format!("{cell}{blanks}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    writeln!(out, "{}", Colour::Bold.paint(&line(&head)))?;
    for row in &rows {
        writeln!(out, "{}", for_terminal(&line(row)))?;
    }
    out.flush()
}
