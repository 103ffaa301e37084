//! What is needed and lies in an archive: says so, asks for it and waits, as the options want.

use std::time::{Duration, Instant};

use kopia_rs::cold::{ColdBlobs, ColdClass, Step};
use kopia_rs::diagnosis::Class;
use kopia_rs::diagnosis::text::chain;
use kopia_rs::storage::{BlobStore, ErrorKind, ThawSpeed, ThawTime};
use kopia_rs::{Error, Repository};
use serde::Serialize;

use crate::args::{self, Global};
use crate::error::Failure;
use crate::terminal::output::{self, count, escape, log_line, size, thousands};
use crate::terminal::report::Report;
use crate::terminal::signals::take_progress_request;

/// How long is waited before the second look; each further one waits twice as long.
const SOON: Duration = Duration::from_secs(1);

/// How often a store may fail in a row while nothing but waiting is to be done.
const FAILURES: u32 = 12;

/// How long to sleep before a signal that asks for progress is answered.
const NAP: Duration = Duration::from_millis(200);

/// What the options say about archives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Archive {
    speed: Option<ThawSpeed>,
    days: u32,
    wait: bool,
    json: bool,
    quiet: bool,
    /// What a line begins with that is no error.
    lead: &'static str,
}

/// What lies in an archive, for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Json {
    /// `opening`, `directories` or `files`: the step that needs it.
    needed_for: &'static str,
    packs: u64,
    bytes: u64,
    /// Those that are being fetched.
    thawing: u64,
    classes: Vec<ClassJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClassJson {
    class: String,
    packs: u64,
    bytes: u64,
    /// How long fetching usually takes, from and to.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<(u64, u64)>,
}

/// One blob in a report.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// Always `archive`.
    kind: &'static str,
    blob: &'a str,
    class: &'a str,
    bytes: u64,
    thawing: bool,
}

impl Archive {
    pub(crate) fn of(global: &Global) -> Self {
        let args::Archive { thaw, days, wait } = global.archive;
        Self { speed: thaw, days, wait, json: global.json, quiet: global.quiet, lead: "note" }
    }

    /// Takes what the variables of a Job ask for.
    pub(crate) fn of_job(speed: Option<ThawSpeed>, days: Option<u32>, wait: bool) -> Self {
        let days = days.unwrap_or(args::Archive::DAYS);
        Self { speed, days, wait, json: false, quiet: false, lead: "INFO" }
    }

    /// Returns whether blobs are asked for.
    pub(crate) fn asks(&self) -> bool {
        self.speed.is_some()
    }

    /// Returns whether something is asked for now that is to be read by a later command.
    pub(crate) fn is_for_later(&self) -> bool {
        self.speed.is_some() && !self.wait
    }

    /// Returns what is known of it, for `--json`.
    pub(crate) fn json(&self, store: &dyn BlobStore, cold: &ColdBlobs) -> Json {
        let seconds = |class: &str| match self.time(store, class, self.speed.unwrap_or_default()) {
            ThawTime::Within(from, to) => Some((from.as_secs(), to.as_secs())),
            _ => None,
        };
        let classes = cold.classes().into_iter().map(|class| ClassJson {
            seconds: seconds(&class.class),
            packs: class.blobs,
            bytes: class.bytes,
            class: class.class,
        });
        Json {
            needed_for: word(cold.step()),
            packs: cold.blobs().len() as u64,
            bytes: cold.bytes(),
            thawing: cold.thawing(),
            classes: classes.collect(),
            tier: self.speed.map(|speed| speed.to_string()),
        }
    }

    /// Makes the failure of a dry run: nothing has been asked for.
    pub(crate) fn foresee(&self, store: &dyn BlobStore, cold: &ColdBlobs) -> Failure {
        match self.speed {
            Some(speed) if !is_thawing(cold) => {
                let failure = Failure::later(what(cold));
                let times = self.times(store, cold);
                failure.hint(format!("without --dry-run they are asked for with tier {speed}; {times}"))
            }
            _ => self.failure(store, cold),
        }
    }

    /// Sees to it that some blobs can be read: asks for them if that is wanted, and waits if that is.
    ///
    /// # Errors
    /// What a command ends with that can read them only later, or not without being told to ask for them.
    pub(crate) fn settle(
        &self,
        store: &dyn BlobStore,
        mut cold: ColdBlobs,
        report: Option<&Report>,
    ) -> Result<(), Failure> {
        if cold.is_empty() {
            return Ok(());
        }
        if let Some(speed) = self.speed.filter(|_| !is_thawing(&cold)) {
            self.ask(store, &mut cold, speed)?;
        }
        if self.wait && is_thawing(&cold) {
            self.wait(store, &mut cold)?;
        }
        if cold.is_empty() {
            return Ok(());
        }
        if let Some(report) = report {
            write_report(report, &cold);
        }
        if self.json {
            let failure = self.failure(store, &cold);
            let class = failure.class().code();
            let json = serde_json::json!({ "archive": self.json(store, &cold), "class": class });
            Failure::unless_shown(output::json(&json))?;
            return Err(failure.told());
        }
        Err(self.failure(store, &cold))
    }

    /// Does something that opening begins with; what of that lies in an archive is seen to first.
    ///
    /// # Errors
    /// That it cannot be read yet. What else goes wrong is the result inside.
    pub(crate) fn warm_to_open<R>(
        &self,
        store: &dyn BlobStore,
        work: impl Fn() -> kopia_rs::Result<R>,
    ) -> Result<kopia_rs::Result<R>, Failure> {
        let result = work();
        if result.as_ref().err().and_then(Error::cold_blob).is_none() {
            return Ok(result);
        }
        let cold = ColdBlobs::to_open(store)?;
        if cold.is_empty() {
            return Ok(result);
        }
        self.settle(store, cold, None)?;
        Ok(work())
    }

    /// As above, of something that reads snapshots or directories.
    ///
    /// # Errors
    /// That it cannot be read yet. What else goes wrong is the result inside.
    pub(crate) fn warm<R>(
        &self,
        repository: &Repository,
        work: impl Fn() -> kopia_rs::Result<R>,
    ) -> Result<kopia_rs::Result<R>, Failure> {
        let mut last = None;
        loop {
            let result = work();
            let Some(blob) = result.as_ref().err().and_then(Error::cold_blob).cloned() else {
                return Ok(result);
            };
            let cold = repository.cold_metadata(std::slice::from_ref(&blob))?;
            // What can be read by what the archive says, and cannot be read, is told as any other error.
            if cold.is_empty() && last.as_ref() == Some(&blob) {
                return Ok(result);
            }
            self.settle(repository.store(), cold, None)?;
            last = Some(blob);
        }
    }

    /// Sees to it that what `find` finds can be read, step by step.
    ///
    /// # Errors
    /// That it cannot be read yet.
    pub(crate) fn warm_all(
        &self,
        store: &dyn BlobStore,
        report: Option<&Report>,
        find: impl Fn() -> Result<Option<ColdBlobs>, Failure>,
    ) -> Result<(), Failure> {
        if store.cold().is_none() {
            return Ok(());
        }
        loop {
            let Some(cold) = find()?.filter(|cold| !cold.is_empty()) else { return Ok(()) };
            self.settle(store, cold, report)?;
        }
    }

    /// Asks for what nobody has asked for yet.
    fn ask(&self, store: &dyn BlobStore, cold: &mut ColdBlobs, speed: ThawSpeed) -> Result<(), Failure> {
        for class in cold.classes() {
            if self.time(store, &class.class, speed) == ThawTime::NotOffered {
                let message = format!("{} cannot be fetched with --thaw {speed}", class.class);
                return Err(Failure::failed(message)
                    .with_class(Class::Archived)
                    .hint("--thaw standard or --thaw bulk can; they take longer"));
            }
        }
        self.note(&format!("{}; they are asked for with tier {speed}", what(cold)));
        if store.cold().is_some_and(|archive| archive.thaws_for_good()) {
            self.note(
                "they move to a tier that can be read and costs more, and stay there: --days does nothing",
            );
        }
        cold.thaw(store, speed, self.days).map_err(|error| {
            Failure::from(error)
                .hint("what was asked for before that is being fetched; the same command asks for the rest")
        })
    }

    /// Waits until all of them can be read, looking now and then.
    fn wait(&self, store: &dyn BlobStore, cold: &mut ColdBlobs) -> Result<(), Failure> {
        let all = cold.blobs().len();
        let line = |left: usize| format!("{} of {} can be read", thousands((all - left) as u64), packs(all));
        let (mut interval, mut failures) = (SOON, 0);
        self.note(&format!("waiting for {}; {}", packs(all), self.times(store, cold)));
        loop {
            let before = cold.blobs().len();
            match cold.look(store) {
                Ok(()) => failures = 0,
                Err(error) if error.storage_kind() == Some(ErrorKind::TryAgain) && failures < FAILURES => {
                    failures += 1;
                    self.note(&format!("looking again later: {}", chain(&error)));
                }
                Err(error) => return Err(error.into()),
            }
            let left = cold.blobs().len();
            if left < before {
                self.note(&line(left));
            }
            if left == 0 {
                return Ok(());
            }
            let start = Instant::now();
            while let Some(rest) = interval.checked_sub(start.elapsed()) {
                std::thread::sleep(rest.min(NAP));
                if take_progress_request() {
                    log_line(line(left));
                }
            }
            interval = (interval * 2).min(longest(self.speed));
        }
    }

    /// Makes the failure of what cannot be read yet.
    fn failure(&self, store: &dyn BlobStore, cold: &ColdBlobs) -> Failure {
        let (message, times) =
            (format!("{}; nothing was read or written", what(cold)), self.times(store, cold));
        let failure = if self.speed.is_some() || is_thawing(cold) {
            let hint = "run the same command again when they can be read, or at once with --wait";
            Failure::later(message).hint(format!("{hint}; {times}"))
        } else {
            let hint =
                "the same command with --thaw bulk (or standard, expedited) asks for these and no others";
            Failure::failed(message)
                .with_class(Class::Archived)
                .hint(format!("{hint}; {times}; the provider takes money for it"))
        };
        match cold.step() {
            Step::Opening => failure.hint(
                "without these the repository cannot be opened; its directories and files may lie in an archive as \
                 well, and are looked for after that",
            ),
            Step::Directories => failure.hint(
                "these are the packs of all directories, as which of them are needed stands in them; the packs of \
                 files are looked for after that",
            ),
            _ => failure,
        }
    }

    /// Says how long fetching usually takes.
    fn times(&self, store: &dyn BlobStore, cold: &ColdBlobs) -> String {
        let speeds: Vec<ThawSpeed> = match self.speed {
            Some(speed) => vec![speed],
            None => ThawSpeed::NAMES.into_iter().map(|(_, speed)| speed).collect(),
        };
        let longest = |speed: ThawSpeed| {
            let times = cold.classes().into_iter().map(|class| self.time(store, &class.class, speed));
            times.fold(None, |longest: Option<(Duration, Duration)>, time| match time {
                ThawTime::Within(from, to) => {
                    Some(longest.map_or((from, to), |(least, most)| (least.max(from), most.max(to))))
                }
                _ => longest,
            })
        };
        let parts: Vec<String> = speeds
            .into_iter()
            .filter_map(|speed| longest(speed).map(|(from, to)| format!("{speed} {}", within(from, to))))
            .collect();
        match parts.is_empty() {
            true => "how long it takes, the provider says".into(),
            false => format!("it usually takes: {}", parts.join(", ")),
        }
    }

    fn time(&self, store: &dyn BlobStore, class: &str, speed: ThawSpeed) -> ThawTime {
        store.cold().map_or(ThawTime::Unknown, |cold| cold.thaw_time(class, speed))
    }

    fn note(&self, text: &str) {
        if !self.quiet {
            log_line(format_args!("{}: {}", self.lead, escape(text)));
        }
    }
}

/// Returns whether all are being fetched.
fn is_thawing(cold: &ColdBlobs) -> bool {
    !cold.is_empty() && cold.thawing() == cold.blobs().len() as u64
}

/// Says how many blobs cannot be read, of which class, with how many bytes.
fn what(cold: &ColdBlobs) -> String {
    let (number, thawing) = (cold.blobs().len() as u64, cold.thawing());
    let subject = match cold.step() {
        Step::Opening => count(number, "blob that opening needs", "blobs that opening needs"),
        Step::Directories => count(number, "pack of directories", "packs of directories"),
        _ => count(number, "pack that is to be read", "packs that are to be read"),
    };
    let verb = match (number, thawing == number) {
        (1, false) => "lies in",
        (_, false) => "lie in",
        (1, true) => "is being fetched from",
        (_, true) => "are being fetched from",
    };
    let class = |class: ColdClass| {
        let name = if class.class.is_empty() { "unknown" } else { &class.class };
        format!("{} in {name} ({})", thousands(class.blobs), size(class.bytes))
    };
    let classes: Vec<_> = cold.classes().into_iter().map(class).collect();
    let some = match thawing {
        0 => String::new(),
        _ if thawing == number => String::new(),
        _ => format!(
            "; {} of them {} being fetched",
            thousands(thawing),
            if thawing == 1 { "is" } else { "are" }
        ),
    };
    format!("{subject} {verb} an archive: {}{some}", classes.join(", "))
}

/// How long is waited between two looks at most: a bulk that takes half a day is not asked for every second.
fn longest(speed: Option<ThawSpeed>) -> Duration {
    Duration::from_secs(match speed {
        Some(ThawSpeed::Expedited) => 30,
        _ => 300,
    })
}

fn packs(number: usize) -> String {
    count(number as u64, "pack", "packs")
}

fn word(step: Step) -> &'static str {
    match step {
        Step::Opening => "opening",
        Step::Directories => "directories",
        _ => "files",
    }
}

/// Words a range of time in hours, or in minutes if it is that short.
fn within(from: Duration, to: Duration) -> String {
    let unit = |duration: Duration, seconds| duration.as_secs().div_ceil(seconds);
    let (seconds, name) = if to.as_secs() < 3600 { (60, "min") } else { (3600, "h") };
    match unit(from, seconds) {
        0 => format!("up to {} {name}", unit(to, seconds)),
        from => format!("{from} to {} {name}", unit(to, seconds)),
    }
}

/// Names every blob in the report.
pub(crate) fn write_report(report: &Report, cold: &ColdBlobs) {
    for frozen in cold.blobs() {
        report.push(&Line {
            kind: "archive",
            blob: frozen.blob.info.id.as_str(),
            class: &frozen.blob.class,
            bytes: frozen.blob.info.length,
            thawing: frozen.thawing,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_worded_in_hours_or_minutes() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        assert_eq!(within(hours(5), hours(12)), "5 to 12 h");
        assert_eq!(within(Duration::ZERO, hours(15)), "up to 15 h");
        assert_eq!(within(minutes(1), minutes(5)), "1 to 5 min");
    }
}
