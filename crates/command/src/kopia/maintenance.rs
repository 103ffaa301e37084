//! `maintenance info`. Authority: Kopia's `cli/command_maintenance_info.go`.

mod summary;

use kopia_rs::maintenance::{Cycle, Parameters, Run, Schedule, TYPE};
use kopia_rs::manifest::TYPE_LABEL;
use kopia_rs::{OpenOptions, Repository, Timestamp};
use serde::Serialize;

use super::call::Call;
use super::line::Line;
use super::trouble::Trouble;
use super::words;
use crate::terminal::output::for_terminal;
use crate::terminal::time;

/// A second, in nanoseconds.
const SECOND: i128 = 1_000_000_000;

/// What `--json` prints, in kopia's order.
#[derive(Serialize)]
struct Info<'a> {
    #[serde(flatten)]
    parameters: &'a Parameters,
    schedule: &'a Schedule,
}

pub(super) fn info(call: &Call) -> Result<(), Trouble> {
    let mut options = OpenOptions::default();
    options.schedule = true;
    let repository = call.open_as(&options)?;
    let none = || Trouble::failed("operation supported only on direct repository");
    let schedule = &repository.upkeep().ok_or_else(none)?.schedule;
    let parameters = parameters(&repository)?;
    if call.line.is_on("json", false) {
        return words::print_json(&call.line, &Info { parameters: &parameters, schedule });
    }
    words::print(&text(&call.line, &parameters, schedule, time::now()))
}

/// Returns how often maintenance is to run: what the newest manifest says, or what kopia does without one.
fn parameters(repository: &Repository) -> Result<Parameters, Trouble> {
    let doing = "unable to get maintenance params: error looking for maintenance manifest";
    let all = repository.manifests().map_err(|error| Trouble::reading(&error, doing))?;
    let of_maintenance = all.iter().filter(|one| one.labels.get(TYPE_LABEL).is_some_and(|kind| kind == TYPE));
    match of_maintenance.max_by_key(|one| one.modified).and_then(|one| one.data.as_ref()) {
        None => Ok(Parameters::default()),
        Some(data) => Parameters::parse(data.get()).map_err(|error| {
            Trouble::failed(format!("unable to get maintenance params: error loading manifest: {error}"))
        }),
    }
}

fn text(line: &Line, parameters: &Parameters, schedule: &Schedule, now: Timestamp) -> String {
    let mut text = format!("Owner: {}\nQuick Cycle:\n", for_terminal(&parameters.owner));
    text += &cycle(line, parameters.quick, schedule.next_quick_maintenance, now);
    text += "Full Cycle:\n";
    text += &cycle(line, parameters.full, schedule.next_full_maintenance, now);
    let logs = parameters.log_retention.or_default();
    text += &format!("Log Retention:\n  max count:       {}\n", logs.max_count);
    text += &format!("  max age of logs: {}\n", words::duration(logs.max_age.into()));
    text += &format!("  max total size:  {}\n", words::bytes(logs.max_total_size));
    let extends = if parameters.extend_object_locks { "enabled" } else { "disabled" };
    text += &format!("Object Lock Extension: {extends}\n");
    if parameters.list_parallelism != 0 {
        text += &format!("List parallelism: {}\n", parameters.list_parallelism);
    }
    text += "Recent Maintenance Runs:\n";
    // kopia shows what ran in any order.
    for (name, runs) in schedule.runs.iter().flatten() {
        text += &format!("  {}:\n", for_terminal(name));
        runs.iter().for_each(|run| text += &one(line, run));
    }
    text
}

fn cycle(line: &Line, cycle: Cycle, next: Timestamp, now: Timestamp) -> String {
    let mut text = format!("  scheduled: {}\n", cycle.enabled);
    if !cycle.enabled {
        return text;
    }
    text += &format!("  interval: {}\n", words::duration(cycle.interval.into()));
    if now < next {
        let left = whole_seconds(next.as_nanoseconds() - now.as_nanoseconds());
        text + &format!("  next run: {} (in {left})\n", words::time(line, next))
    } else {
        text + "  next run: now\n"
    }
}

fn one(line: &Line, run: &Run) -> String {
    let took = whole_seconds(run.end.as_nanoseconds() - run.start.as_nanoseconds());
    let done: String = run.extra.iter().filter_map(summary::of).collect();
    let said = match (run.success, &*done) {
        (false, _) => format!("ERROR: {}", run.error),
        (true, "") => "SUCCESS".to_owned(),
        (true, done) => format!("SUCCESS: {done}"),
    };
    format!("    {} ({took}) {}\n", words::time(line, run.start), for_terminal(&said))
}

fn whole_seconds(nanoseconds: i128) -> String {
    words::duration(nanoseconds / SECOND * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_kopia_writes_it() {
        let schedule = r#"{"nextFullMaintenance":"2026-01-03T03:04:05.5Z","nextQuickMaintenance":"2026-01-02T04:04:05Z",
            "runs":{"full-rewrite-contents":[{"start":"2026-01-02T03:04:05Z","end":"2026-01-02T03:05:06.9Z","error":"none left"}],
            "cleanup-logs":[{"start":"2026-01-02T03:04:05Z","end":"2026-01-02T03:04:05.9Z","success":true,
              "extra":[{"kind":"cleanupLogsStats","data":{"toDeleteBlobCount":1,"toDeleteBlobSize":1500,"retainedBlobCount":3,"retainedBlobSize":12}}]}],
            "index-compaction":[{"start":"2026-01-02T03:04:05Z","end":"2026-01-02T03:04:05Z","success":true,
              "extra":[{"kind":"ofALaterKopia","data":[]}]}]}}"#;
        let schedule = Schedule::parse(schedule.as_bytes()).unwrap();
        let parameters = r#"{"owner":"a@b","quick":{"enabled":true,"interval":3600000000000},
            "full":{"enabled":true,"interval":86400000000000},"listParallelism":4}"#;
        let mut parameters = Parameters::parse(parameters).unwrap();
        let now = "2026-01-02T04:04:06Z".parse().unwrap();
        let line = Line::of(&[("timezone", "utc")]);
        let expected = "Owner: a@b\nQuick Cycle:\n  scheduled: true\n  interval: 1h0m0s\n  next run: now\n\
            Full Cycle:\n  scheduled: true\n  interval: 24h0m0s\n  next run: 2026-01-03 03:04:05 UTC (in 22h59m59s)\n\
            Log Retention:\n  max count:       10000\n  max age of logs: 720h0m0s\n  max total size:  1.1 GB\n\
            Object Lock Extension: disabled\nList parallelism: 4\nRecent Maintenance Runs:\n  cleanup-logs:\n\
            \x20   2026-01-02 03:04:05 UTC (0s) SUCCESS: Found 1(1.5 KB) logs blobs for deletion and deleted 0(0 B) of them. Retained 3(12 B) log blobs.\n\
            \x20 full-rewrite-contents:\n    2026-01-02 03:04:05 UTC (1m1s) ERROR: none left\n\
            \x20 index-compaction:\n    2026-01-02 03:04:05 UTC (0s) SUCCESS\n";
        assert_eq!(text(&line, &parameters, &schedule, now), expected);
        parameters.quick.enabled = false;
        let text = text(&line, &parameters, &schedule, now);
        assert!(text.starts_with("Owner: a@b\nQuick Cycle:\n  scheduled: false\nFull Cycle:\n"), "{text}");
    }
}
