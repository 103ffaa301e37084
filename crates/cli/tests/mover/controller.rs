//! What the controller makes of a mover's log, rule by rule.
//!
//! It keeps some lines, takes the last 1,024 bytes of them as the status, and looks in the status of a failed
//! Job for the identity that was asked for and those that there are. Its pattern language is Go's; the rules
//! are written out here.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// How much of the log reaches the status, in bytes.
const STATUS: usize = 1024;

/// How much of that the tests look at: what a person sees at the end.
const SEEN: usize = 900;

/// The longest line that its scanner takes.
pub(crate) const LONGEST_LINE: usize = 64 << 10;

/// Returns the variables of a Job as the controller makes it, in the order of its manifest, which the tests
/// of the admission policies use as well. `None` is a key of the Secret that need not be there.
pub(crate) fn variables(job: &str) -> Vec<(String, Option<String>)> {
    let jobs =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/kubernetes/policies/test/jobs/ours");
    let manifest = fs::read_to_string(jobs.join(format!("{job}.yaml"))).unwrap();
    let (_, rest) = manifest.split_once("          env:\n").expect("a container has variables");
    let mut variables: Vec<(String, Option<String>)> = Vec::new();
    for line in rest.lines().take_while(|line| line.starts_with("            ")) {
        if let Some(name) = line.strip_prefix("            - name: ") {
            variables.push((name.into(), None));
        } else if let (Some(value), Some(last)) =
            (line.strip_prefix("              value: "), variables.last_mut())
        {
            last.1 = Some(value.trim_matches(['\'', '"']).into());
        }
    }
    variables
}

/// Returns what the status shows of a log.
pub(crate) fn status(log: &str) -> String {
    let kept: Vec<_> = log.lines().filter(|line| keeps(line)).collect();
    last(&kept.join("\n"), STATUS)
}

/// Returns the end of the status.
pub(crate) fn seen(log: &str) -> String {
    last(&status(log), SEEN)
}

fn last(text: &str, bytes: usize) -> String {
    let bytes = &text.as_bytes()[text.len().saturating_sub(bytes)..];
    String::from_utf8_lossy(bytes).into_owned()
}

/// Says whether a line passes the filter.
pub(crate) fn keeps(line: &str) -> bool {
    let lower = line.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    ["error", "failed", "unable to"].iter().any(|word| lower.contains(word))
        || has(&["=== Discovery Mode", "Available Snapshots", "No snapshots found"])
        || is_listing(line)
        || line.contains("\"userName\"") && line.contains("\"hostName\"")
        || has(&[
            "Snapshot created successfully",
            "Snapshot restore completed",
            "Repository connected",
            "No eligible snapshots",
        ])
}

/// `^[^@]+@[^:]+:.+\s+\d{4}-\d{2}-\d{2}`
fn is_listing(line: &str) -> bool {
    let rest = line.split_once('@').filter(|(user, _)| !user.is_empty()).and_then(|(_, rest)| {
        rest.split_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, rest)| rest)
    });
    let Some(rest) = rest else { return false };
    let is_date = |text: &str| {
        let form: String = text.chars().take(10).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        form == "0000-00-00"
    };
    rest.char_indices().any(|(place, c)| {
        let before = &rest[..place];
        c.is_ascii_digit()
            && is_date(&rest[place..])
            && before.ends_with([' ', '\t'])
            && !before.trim_end_matches([' ', '\t']).is_empty()
    })
}

/// What the controller reads from the status of a failed Job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Discovered {
    /// `user@host`
    pub(crate) requested: Option<String>,
    /// `user@host` and the end of the newest snapshot.
    pub(crate) available: Vec<(String, String)>,
}

/// Reads a status.
pub(crate) fn discover(status: &str) -> Discovered {
    let mut discovered = Discovered { requested: None, available: Vec::new() };
    let mut listing = false;
    for line in status.lines().map(str::trim) {
        if line.contains("=== Discovery Mode: Available Snapshots ===") {
            listing = true;
        } else if let Some((_, identity)) = line.split_once("No snapshots found for ") {
            let (user, rest) = identity.split_once('@').unwrap();
            discovered.requested = Some(format!("{user}@{}", rest.split_once(':').unwrap().0));
        } else if listing && is_snapshot(line) {
            // A line that is no JSON is passed over.
            let Ok(json) = serde_json::from_str::<Value>(line) else { continue };
            let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
            for time in ["startTime", "endTime"] {
                assert!(text(time).parse::<jiff::Timestamp>().is_ok(), "{line}");
            }
            let identity = format!("{}@{}", text("userName"), text("hostName"));
            discovered.available.push((identity, text("endTime")));
        }
    }
    discovered
}

/// `^\{.*"id".*"userName".*"hostName".*\}`
fn is_snapshot(line: &str) -> bool {
    let place = |key: &str| line.find(key);
    let order = [place("\"id\""), place("\"userName\""), place("\"hostName\"")];
    line.starts_with('{') && line.ends_with('}') && order.iter().all(Option::is_some) && order.is_sorted()
}

#[test]
fn the_filter_is_the_controllers() {
    for line in [
        "ERROR: x",
        "2 errors",
        "Failed to",
        "UNABLE TO",
        "app@media:/data  2026-01-01 10:00:00",
        "=== Discovery Mode: Available Snapshots ===",
        "No snapshots found for a@b:/c",
        "No eligible snapshots found",
        "INFO: Snapshot restore completed successfully",
        r#"{"userName":"a","hostName":"b"}"#,
    ] {
        assert!(keeps(line), "{line}");
    }
    for line in [
        "",
        "INFO: 3 of 4 entries",
        "app@media:/data",
        "@media:/data 2026-01-01",
        "a@b: 2026-01-01",
        "a@b:c2026-01-01",
    ] {
        assert!(!keeps(line), "{line}");
    }
}
