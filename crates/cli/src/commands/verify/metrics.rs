//! `verify --metrics FILE`: the result as Prometheus text, for a collector that reads files, or that there is
//! none.

use std::cell::Cell;
use std::fmt::Display;
use std::path::Path;
use std::time::Instant;

use kopia_rs::diagnosis::Class;

use super::summary::Summary;
use crate::error::Failure;
use crate::session::Choice;
use crate::terminal::output::log_line;
use crate::terminal::prometheus::{gauge, labels};
use crate::terminal::replace::refusal_by_any;
use crate::terminal::time;

const SUCCESS: &str = "Whether the last run found nothing wrong.";
const SECONDS: &str = "How long it took.";
const END: &str = "When it ended, in seconds since 1970.";

/// The metrics of one run.
pub(super) struct Metrics<'a> {
    file: Option<&'a Path>,
    /// Where the repository is, if that is known.
    place: Option<String>,
    start: Instant,
    /// Whether there is a result, of which the file tells.
    has_result: Cell<bool>,
}

impl<'a> Metrics<'a> {
    /// Begins a run, unless the file must not be written.
    pub(super) fn of(file: Option<&'a Path>, choice: Option<&Choice>) -> Result<Self, Failure> {
        let connection = choice.map(|choice| &choice.connection);
        if let Some(file) = file {
            let directory = connection.and_then(|connection| connection.storage.directory());
            super::may_write("the metrics file", file, directory)?;
            // Which repository is meant may not be known, or come to be known.
            super::refuse("the metrics file", file, refusal_by_any(file))?;
        }
        let place = connection.map(|connection| connection.location());
        Ok(Self { file, place, start: Instant::now(), has_result: Cell::new(false) })
    }

    /// Writes the result.
    pub(super) fn write(&self, summary: &Summary<'_>, place: &str) -> Result<(), Failure> {
        self.has_result.set(true);
        self.file.map_or(Ok(()), |file| super::write(file, &text(summary, place)))
    }

    /// Writes that there is no result, if there is none: an old file goes on telling of an earlier run.
    pub(super) fn tell_of(&self, failure: &Failure) {
        let Some(file) = self.file.filter(|_| !self.has_result.get()) else { return };
        let seconds = (self.start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        // Why there is no result matters more.
        if let Err(unwritten) = super::write(file, &failed(failure.class(), self.place.as_deref(), seconds)) {
            log_line(format_args!("warning: the metrics file {}", unwritten.message()));
        }
    }
}

/// Writes what is known of a run without a result.
fn failed(class: Class, place: Option<&str>, seconds: f64) -> String {
    let place = place.map(|place| ("repository", place));
    let all = labels(place.as_slice());
    let with_class = labels(&place.into_iter().chain([("class", class.code())]).collect::<Vec<_>>());
    let mut text = String::new();
    let mut metric = |name: &str, help: &str, labels: &str, value: &dyn Display| {
        gauge(&mut text, &format!("kopia_rs_verify_{name}"), help, labels, value);
    };
    metric("success", SUCCESS, &all, &0);
    metric("error", "1, with the class of what kept the last run from a result.", &with_class, &1);
    metric("duration_seconds", SECONDS, &all, &seconds);
    metric("end_timestamp_seconds", END, &all, &time::now().seconds());
    text
}

/// Writes all metrics; those that are not known are left out.
fn text(summary: &Summary<'_>, place: &str) -> String {
    let mut text = String::new();
    let labels = labels(&[("repository", place)]);
    let mut metric = |name: &str, help: &str, value: &dyn Display| {
        gauge(&mut text, &format!("kopia_rs_verify_{name}"), help, &labels, value);
    };
    let verified = summary.verified;
    metric("success", SUCCESS, &u8::from(summary.is_sound()));
    metric("duration_seconds", SECONDS, &summary.seconds);
    metric("end_timestamp_seconds", END, &time::now().seconds());
    if let Some(since) = summary.restorable_as_of() {
        metric(
            "restorable_as_of_timestamp_seconds",
            "Since when everything was read and found sound, in seconds since 1970.",
            &since.seconds(),
        );
    }
    for (name, help, value) in [
        ("packs", "Packs that hold contents.", verified.packs.of),
        ("packs_read", "Packs that the last run read.", verified.packs.verified),
        ("stored_bytes", "Stored bytes of contents.", verified.stored_bytes.of),
        ("stored_bytes_read", "Stored bytes that the last run read.", verified.stored_bytes.verified),
        ("damaged_contents", "Contents that could not be read.", verified.damage_count),
        (
            "lost_entries",
            "Entries of snapshots that cannot be restored as they were.",
            verified.affected_count,
        ),
    ] {
        metric(name, help, &value);
    }
    let Some(rotated) = &verified.rotated else { return text };
    let standing = rotated.standing;
    metric("packs_sound", "Packs that this run or one before read and found sound.", &standing.sound);
    metric("packs_damaged", "Packs of which something could not be read.", &standing.damaged);
    text
}
