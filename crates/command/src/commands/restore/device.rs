//! `restore WHAT --device DEVICE`: a file to a block device.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kopia_rs::diagnosis::Class;
use kopia_rs::restore::{
    self, Access, Device, DeviceOptions, DeviceOutcome, LostRange, Options, Signature, restore_to_device,
    size_on_device,
};
use kopia_rs::select::Selection;
use serde::Serialize;

use super::result::SnapshotJson;
use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::session::needed::{self, Ahead};
use crate::terminal::output::{self, for_terminal, log_last, log_line, size};
use crate::terminal::progress::Progress;
use crate::terminal::question;
use crate::terminal::report::{ReasonLine, Report};
use crate::terminal::signals::{self, Interrupt};

/// What to do about a device that holds a part of the disk.
const GOES_ON: &str = "the same command with --only-differences goes on from there";

/// What `--json` prints, also of a dry run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    /// Absent if an object was named by its id.
    snapshot: Option<SnapshotJson>,
    object: String,
    /// The path below the snapshot's root.
    path: &'a str,
    device: String,
    device_size: u64,
    /// What the device held before: `zeros`, `unknown`, or what its beginning is.
    held: String,
    /// How many bytes belong on the device, and how many the file has.
    size: u64,
    file_size: u64,
    #[serde(flatten)]
    done: Option<Done<'a>>,
}

/// What was done; of a dry run there is nothing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Done<'a> {
    bytes_written: u64,
    bytes_zeroed: u64,
    bytes_kept: u64,
    bytes_lost: u64,
    /// Absent unless it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_verified: Option<u64>,
    /// The first 10,000 lost ranges.
    lost: Vec<Lost<'a>>,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Lost<'a> {
    start: u64,
    end: u64,
    #[serde(flatten)]
    reason: ReasonLine<'a>,
}

/// What is to be written where.
struct Job<'a> {
    selection: &'a Selection,
    device: Device,
    held: Signature,
    size: u64,
}

pub(super) fn run(
    session: &Session,
    args: &args::Restore,
    (path, selection): (&Path, &Selection),
    options: &Options,
    archived: &Ahead,
    interrupt: &Arc<Interrupt>,
) -> Result<Exit, Failure> {
    let mut how = DeviceOptions::default();
    how.only_differences = args.disk.only_differences;
    how.verify = args.disk.verify;
    how.true_size = selection.snapshot.as_ref().and_then(restore::true_size);
    let directory = session.repository.store().directory();
    let report = args.report.as_deref().map(|path| Report::create(path, directory.as_deref())).transpose()?;
    let device = Device::open(path, if args.dry_run { Access::Look } else { Access::Write })?;
    let held = device.signature()?;
    let size = size_on_device(&selection.entry, how)?;
    let job = Job { selection, device, held, size };
    job.device.room_for(size)?;
    super::announce(session, selection, if args.dry_run { "would restore" } else { "restoring" }, path);
    session.note(&job.sentence());
    if args.dry_run {
        report.map_or(Ok(()), Report::finish)?;
        let written = if session.json { output::json(&job.json(None)) } else { job.foresee() };
        Failure::unless_shown(written)?;
        return Ok(Exit::Complete);
    }
    let cold =
        || needed::cold_of_all(&session.repository, archived, std::iter::once((&selection.entry, options)));
    session.warm_all(report.as_ref(), cold)?;
    job.confirm(args)?;
    let progress = Progress::new(&selection.entry, report, interrupt.clone(), session.progress);
    interrupt.will_ask();
    // A device may take longer to write down what it has than a signal waits.
    interrupt.say_at_the_end(|signal, _| {
        let signal = signals::name(signal);
        log_last(format_args!(
            "error: stopped by {signal}; the device may hold only a part of the disk; {GOES_ON}"
        ));
    });
    let start = Instant::now();
    let restored =
        progress.watch(|| restore_to_device(&selection.entry, &job.device, options, how, &progress));
    let seconds = start.elapsed().as_secs_f64();
    let (kinds, percent) = (progress.kinds(), progress.percent());
    let reported = progress.finish();
    let outcome = restored.map_err(|error| match (&error, interrupt.signal()) {
        (restore::Error::Stopped { .. }, Some(signal)) => {
            Failure::stopped(signal, percent, &format!("the device holds a part of the disk; {GOES_ON}"))
        }
        (restore::Error::Target { .. }, _) => Failure::from(error)
            .hint("the device holds a part of the disk; --only-differences goes on from there"),
        _ => error.into(),
    })?;
    reported?;
    if !outcome.is_complete() {
        sum_up(&outcome, args.salvage);
        super::hint_of(session, kinds);
    }
    let exit = if outcome.is_complete() { Exit::Complete } else { Exit::Partial };
    let done = if session.json {
        output::json(&job.json(Some(done(&outcome, seconds))))
    } else {
        text(&outcome, path, seconds)
    };
    exit.after(done)
}

impl Job<'_> {
    /// Says what is to be written, and what is there.
    fn sentence(&self) -> String {
        let Self { device, held, .. } = self;
        let path = device.path().display().to_string();
        let whole = match device.size() - self.size {
            0 => "all of it is overwritten".into(),
            rest => format!("its first {} are overwritten, the last {} stay", size(self.size), size(rest)),
        };
        format!("{} has {} and holds {held}: {whole}", for_terminal(&path), size(device.size()))
    }

    /// Asks on a terminal, unless there is nothing to be lost. Elsewhere the option itself is the answer.
    fn confirm(&self, args: &args::Restore) -> Result<(), Failure> {
        if args.yes || self.held == Signature::Zeros || args.disk.only_differences || !question::can_ask() {
            return Ok(());
        }
        match question::ask("Overwrite it?").map_err(Failure::output)? {
            true => Ok(()),
            false => Err(Failure::failed("nothing was written").with_class(Class::Stopped)),
        }
    }

    fn foresee(&self) -> io::Result<()> {
        let mut out = output::out();
        let path = self.device.path().display().to_string();
        writeln!(out, "would write {} to {}", size(self.size), for_terminal(&path))?;
        out.flush()
    }

    fn json<'a>(&'a self, done: Option<Done<'a>>) -> Json<'a> {
        let Selection { entry, path, .. } = self.selection;
        Json {
            snapshot: SnapshotJson::of(self.selection),
            object: entry.object().to_string(),
            path,
            device: self.device.path().display().to_string(),
            device_size: self.device.size(),
            held: match self.held {
                Signature::Zeros => "zeros".into(),
                Signature::Unknown => "unknown".into(),
                held => held.to_string(),
            },
            size: self.size,
            file_size: entry.size(),
            done,
        }
    }
}

fn done<'o>(outcome: &'o DeviceOutcome, seconds: f64) -> Done<'o> {
    let lost = |lost: &'o LostRange| {
        let (start, end) = (lost.range.start, lost.range.end);
        Lost { start, end, reason: (&lost.reason).into() }
    };
    Done {
        bytes_written: outcome.written,
        bytes_zeroed: outcome.zeroed,
        bytes_kept: outcome.kept,
        bytes_lost: outcome.lost_bytes,
        bytes_verified: outcome.verified,
        lost: outcome.lost.iter().map(lost).collect(),
        seconds,
    }
}

fn text(outcome: &DeviceOutcome, path: &Path, seconds: f64) -> io::Result<()> {
    let DeviceOutcome { written, zeroed, kept, verified, .. } = outcome;
    let path = path.display().to_string();
    let mut out = output::out();
    write!(out, "restored {} to {}: {} written", size(outcome.size), for_terminal(&path), size(*written))?;
    if *zeroed > 0 {
        write!(out, ", {} of zeros left to the device", size(*zeroed))?;
    }
    if *kept > 0 {
        write!(out, ", {} were right already", size(*kept))?;
    }
    writeln!(out, ", in {seconds:.1} s")?;
    if let Some(verified) = verified {
        writeln!(out, "read again and right: {}", size(*verified))?;
    }
    out.flush()
}

/// Sums up which bytes are lost; the ranges were named already.
fn sum_up(outcome: &DeviceOutcome, salvage: bool) {
    if outcome.goes_on {
        log_line(
            "error: the disk has more bytes than its snapshot states; `--image FILE` restores all of them",
        );
    }
    if outcome.lost_count == 0 {
        return;
    }
    let lost = size(outcome.lost_bytes);
    let now = if salvage { "are zeros now" } else { "are what the device had there before" };
    log_line(format_args!("error: {lost} of the disk are lost, and {now}"));
    if !salvage {
        log_line("hint: --salvage makes zeros of what is lost");
    }
}
