//! `verify --metrics FILE`: the result as Prometheus text, for a collector that reads files, or that there is
//! none.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use kopia_rs::diagnosis::Class;

use super::summary::Summary;
use crate::error::Failure;
use crate::process;
use crate::session::Choice;
use crate::terminal::metrics_file::MetricsFile;
use crate::terminal::output::log_line;
use crate::terminal::prometheus::{gauge, labels};
use crate::terminal::replace::refusal_by_any;
use crate::terminal::signals::Interrupt;
use crate::terminal::time;

const SUCCESS: &str = "Whether the last run found nothing wrong.";
const SECONDS: &str = "How long it took.";
const END: &str = "When it ended, in seconds since 1970.";

/// The metrics of one run.
pub(super) struct Metrics {
    file: Option<Arc<MetricsFile>>,
    /// Where the repository is, if that is known.
    place: Option<String>,
}

impl Metrics {
    /// Begins a run, unless the file must not be written. A signal that ends it is told of, too.
    pub(super) fn of(
        file: Option<&Path>,
        choice: Option<&Choice>,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let connection = choice.map(|choice| &choice.connection);
        if let Some(file) = file {
            let directory = connection.and_then(|connection| connection.storage.directory());
            super::may_write("the metrics file", file, directory)?;
            // Which repository is meant may not be known, or come to be known.
            super::refuse("the metrics file", file, refusal_by_any(file))?;
        }
        let place = connection.map(|connection| connection.location());
        let file = file.map(|file| Arc::new(MetricsFile::new(file)));
        if let Some(file) = &file {
            // The process ends, whether it can be written or not.
            let tell = |class| {
                let (file, place) = (file.clone(), place.clone());
                move || drop(file.write(|seconds| failed(class, place.as_deref(), seconds)))
            };
            let stopped = tell(Class::Stopped);
            interrupt.do_at_the_end(move |_| stopped());
            process::do_at_panic(tell(Class::Other));
        }
        Ok(Self { file, place })
    }

    /// Writes the result.
    pub(super) fn write(&self, summary: &Summary<'_>, place: &str) -> Result<(), Failure> {
        self.write_once(|_| text(summary, place))
    }

    /// Writes that there is no result, if there is none: an old file goes on telling of an earlier run.
    pub(super) fn tell_of(&self, failure: &Failure) {
        let written = self.write_once(|seconds| failed(failure.class(), self.place.as_deref(), seconds));
        // Why there is no result matters more.
        if let Err(unwritten) = written {
            log_line(format_args!("warning: the metrics file {}", unwritten.message()));
        }
    }

    fn write_once(&self, text: impl FnOnce(f64) -> String) -> Result<(), Failure> {
        let Some(file) = &self.file else { return Ok(()) };
        file.write(text).map_err(|error| super::unwritten(file.path(), &error))
    }
}

/// Writes that a command line could not be parsed.
pub(crate) fn wrong_usage(seconds: f64) -> String {
    failed(Class::Usage, None, seconds)
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
