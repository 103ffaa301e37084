//! A restore to the block device of a volume whose `volumeMode` is `Block`.

use std::path::Path;

use kopia_rs::diagnosis::Class;
use kopia_rs::restore::{
    self, Access, Device, DeviceOptions, DeviceOutcome, FilesFound, only_file, restore_to_device,
    size_on_device,
};
use kopia_rs::{Entry, Snapshot};

use super::Job;
use crate::mover::account::advice;
use crate::mover::account::line::StatusLine;
use crate::mover::account::outcome::{JobOutcome, JobResult};
use crate::mover::contract::environment::Variable;
use crate::mover::contract::settings::Settings;
use crate::terminal::metrics::Counts;
use crate::terminal::output::{escape, size};
use crate::terminal::progress::{Progress, ProgressMode};
use crate::terminal::signals;

/// What to do about a device that holds a part of the disk.
const GOES_ON: &str =
    "--only-differences in KOPIA_ADDITIONAL_ARGS has the next Job write only what is missing";

/// Opens the device before anything is read: nothing else may use it.
pub(super) fn open(path: &Path, settings: &Settings) -> Result<Device, JobOutcome> {
    Device::open(path, Access::Write).map_err(|error| failed(settings, &error))
}

/// Finds the file that is the disk.
pub(super) fn the_file(root: &Entry, settings: &Settings) -> Result<Entry, JobOutcome> {
    let what = format!("restore {}", settings.wanted.identity);
    let unable = |why: &str, advice: &str| {
        JobOutcome::failed(StatusLine::unable(&what, why, advice).with_class(Class::NotFound))
    };
    match only_file(root) {
        Ok(FilesFound::One(_, entry)) => Ok(*entry),
        Ok(FilesFound::Several(paths)) => {
            let names: Vec<_> = paths.iter().map(|path| escape(path)).collect();
            let why = format!("the snapshot has several files: {}", names.join(", "));
            let variable = Variable::Device.name();
            Err(unable(&why, &format!("leave out {variable}, or restore one of them by hand")))
        }
        Ok(_) => Err(unable("the snapshot has no file that could be a disk", "")),
        Err(error) => Err(failed(settings, &error)),
    }
}

/// Restores a file to a device, and returns how that ended.
pub(super) fn restore(
    job: &Job<'_>,
    (snapshot, file): (&Snapshot, &Entry),
    device: &Device,
    settings: &Settings,
) -> Result<JobOutcome, JobOutcome> {
    let mut how = DeviceOptions::default();
    how.only_differences = settings.device_only_differences;
    how.verify = settings.device_verify;
    how.true_size = restore::true_size(snapshot);
    let held = device.signature().map_err(|error| failed(settings, &error))?;
    let length = size_on_device(file, how).map_err(|error| failed(settings, &error))?;
    let path = device.path().display();
    let has = size(device.size());
    job.log.info(&format!("{path} has {has} and holds {held}; its first {} are written", size(length)));
    let progress = Progress::new(file, None, job.interrupt.clone(), ProgressMode::Log);
    job.interrupt.will_ask();
    // A device may take longer to write down what it has than a signal waits.
    let log = job.log.clone();
    job.interrupt.say_at_the_end(move |signal, _| {
        let _ = log.end(&stopped(signal));
    });
    let restored = progress.watch(|| restore_to_device(file, device, &settings.options, how, &progress));
    job.log.note(|report| report.progress = Some(progress.standing(restored.is_ok())));
    // It has no report that could fail to be written.
    let _ = progress.finish();
    let outcome = restored.map_err(|error| match (&error, job.interrupt.signal()) {
        (restore::Error::Stopped { .. }, Some(signal)) => stopped(signal),
        (restore::Error::Target { .. }, _) => failed(settings, &error).detail(format!("INFO: {GOES_ON}")),
        _ => failed(settings, &error),
    })?;
    job.log.note(|report| report.counts = Some(counts(&outcome)));
    job.log.info(&format!(
        "wrote {}, left {} of zeros to the device, kept {} that were right already",
        size(outcome.written),
        size(outcome.zeroed),
        size(outcome.kept)
    ));
    if let Some(verified) = outcome.verified {
        job.log.info(&format!("read again and right: {}", size(verified)));
    }
    Ok(conclude(snapshot, &outcome, settings))
}

/// Makes the end of a Job that a signal stopped: nothing lies in a folder, and the same Job would begin anew.
fn stopped(signal: i32) -> JobOutcome {
    let line = StatusLine::unable("finish", signals::name(signal), GOES_ON);
    JobOutcome::new(JobResult::Stopped(signal), line)
}

fn counts(outcome: &DeviceOutcome) -> Counts {
    Counts {
        files: u64::from(outcome.is_complete()),
        bytes: outcome.size.saturating_sub(outcome.lost_bytes),
        problems: outcome.lost_count + u64::from(outcome.goes_on),
        ..Counts::default()
    }
}

/// Decides whether everything was restored.
fn conclude(snapshot: &Snapshot, outcome: &DeviceOutcome, settings: &Settings) -> JobOutcome {
    let from = format!("{} from {}", settings.wanted.identity, snapshot.start_time());
    if outcome.is_complete() {
        return JobOutcome::new(
            JobResult::Restored,
            StatusLine::restored(&format!("{from}, {}", size(outcome.size))),
        );
    }
    let first = outcome.lost.first();
    let class = first.map_or(Class::Damaged, |lost| Class::of_reason(&lost.reason));
    let first =
        first.map(|lost| format!("bytes {} to {}: {}", lost.range.start, lost.range.end, lost.reason));
    let first = first.unwrap_or_else(|| "it goes on after the size that the snapshot states".into());
    let line = StatusLine::unable(
        &format!("restore {} of {from} completely", size(outcome.size)),
        &first,
        "the lines above name each range",
    );
    JobOutcome::new(JobResult::Partial, line.with_class(class))
}

fn failed(settings: &Settings, error: &restore::Error) -> JobOutcome {
    JobOutcome::failed(advice::target(&format!("restore {}", settings.wanted.identity), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_says_how_the_next_job_goes_on() {
        let outcome = stopped(signal_hook::consts::SIGTERM);
        let line = outcome.line().as_str();
        assert_eq!(line, format!("ERROR: unable to finish: SIGTERM: {GOES_ON}"));
        assert!(line.contains("--only-differences") && outcome.status() == 143, "{line}");
    }
}
