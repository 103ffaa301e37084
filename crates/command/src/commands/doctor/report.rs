//! What `doctor` shows.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use kopia_rs::Status;
use kopia_rs::diagnosis::{Class, Finding, Identity, Weight, space};
use kopia_rs::select::Selection;
use serde::Serialize;

use crate::terminal::output::{self, count, for_terminal, size, thousands};
use crate::terminal::time;
use crate::wording::advice::{change, hint};

/// How many identities are listed.
const LISTED: usize = 20;

/// Everything that was found out.
pub(super) struct Report {
    location: PathBuf,
    /// What the repository is, if it could be opened.
    pub(super) opened: Option<Status>,
    /// Whether a Kopia repository server gave its list of snapshots.
    pub(super) is_served: bool,
    pub(super) identities: Vec<Identity>,
    /// What WHAT means.
    pub(super) found: Option<Selection>,
    target: Option<space::FreeSpace>,
    /// How many plain bytes a second can be read.
    pub(super) pace: Option<f64>,
    /// Where the replica of the format blob was written to.
    pub(super) saved: Option<PathBuf>,
    pub(super) notes: Vec<String>,
    /// In the order in which they matter.
    pub(super) findings: Vec<Finding>,
    /// Whether one of them is why something cannot be done at all.
    pub(super) is_fatal: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Json<'a> {
    location: String,
    opened: bool,
    findings: Vec<FindingJson<'a>>,
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    identities: Option<&'a [Identity]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<FoundJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a space::FreeSpace>,
    /// How long it takes to read and decode what was found; writing it may take longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    reading_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved_format_blob: Option<String>,
}

#[derive(Serialize)]
struct FindingJson<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    weight: Weight,
    class: Class,
    fact: String,
    change: String,
    /// Everything that can be done, where an error says what is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FoundJson {
    /// Absent for objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    path: String,
    /// Absent where a directory does not say what it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<u64>,
}

impl Report {
    pub(super) fn new(location: PathBuf) -> Self {
        Self {
            location,
            opened: None,
            is_served: false,
            identities: Vec::new(),
            found: None,
            target: None,
            pace: None,
            saved: None,
            notes: Vec::new(),
            findings: Vec::new(),
            is_fatal: false,
        }
    }

    /// Adds why something cannot be done.
    pub(super) fn fatal(&mut self, finding: Finding) {
        self.findings.push(finding);
        self.is_fatal = true;
    }

    /// Looks whether a target can be written to, and takes what was found.
    pub(super) fn look_at_target(&mut self, target: &Path) {
        let findings = space::target(target, self.needs());
        for finding in findings {
            self.is_fatal |= finding.weight() == Weight::Problem;
            self.findings.push(finding);
        }
        self.target = space::FreeSpace::of(target);
    }

    /// Looks whether a target can hold what was found, if it can be written to at all. All folders are read for
    /// that, which takes a while.
    pub(super) fn look_at_entries(&mut self, target: &Path) {
        let Some(found) = self.found.as_ref().filter(|_| !self.is_fatal) else { return };
        match space::unfit_entries(target, &found.entry) {
            // The restore would run to its end.
            Ok(unfit) => self.findings.extend(unfit),
            Err(why) => self.notes.push(why),
        }
    }

    /// Returns how many findings and notes there are.
    pub(super) fn told(&self) -> (usize, usize) {
        (self.findings.len(), self.notes.len())
    }

    fn reading_seconds(&self) -> Option<f64> {
        Some(self.needs()?.bytes as f64 / self.pace?)
    }

    fn needs(&self) -> Option<space::Needs> {
        self.found.as_ref().and_then(|found| space::Needs::of(&found.entry))
    }

    pub(super) fn json<'a>(&'a self) -> Json<'a> {
        let finding = |finding: &'a Finding| FindingJson {
            finding,
            weight: finding.weight(),
            class: finding.class(),
            fact: finding.fact(),
            change: change(finding),
            changes: match finding {
                Finding::Failed { hints, .. } => Some(hints.iter().map(hint).collect()),
                _ => None,
            },
        };
        Json {
            location: self.location.to_string_lossy().into_owned(),
            opened: self.opened.is_some() || self.is_served,
            findings: self.findings.iter().map(finding).collect(),
            notes: &self.notes,
            identities: (self.opened.is_some() || self.is_served).then_some(&*self.identities),
            found: self.found.as_ref().map(|selection| found(selection, self.needs())),
            target: self.target.as_ref(),
            reading_seconds: self.reading_seconds(),
            saved_format_blob: self.saved.as_ref().map(|path| path.to_string_lossy().into_owned()),
        }
    }

    pub(super) fn text(&self) -> io::Result<()> {
        let mut out = output::out();
        row(&mut out, "repository", &self.location.display().to_string())?;
        self.tell(&mut out, (0, 0))?;
        let mut row = |name: &str, value: &str| row(&mut out, name, value);
        if let Some(path) = &self.saved {
            row("saved", &format!("a replica of the format blob, in {}", path.display()))?;
        }
        if let Some(status) = &self.opened {
            let packs = count(status.living_packs as u64, "pack", "packs");
            let contents = thousands(status.contents);
            row(
                "opened",
                &format!("format version {}, {contents} contents in {packs}", status.format_version),
            )?;
        }
        if self.is_served {
            row("opened", "through a Kopia repository server, which shows neither packs nor indexes")?;
        }
        for (number, identity) in self.identities.iter().take(LISTED).enumerate() {
            row(if number == 0 { "snapshots" } else { "" }, &identity.describe())?;
        }
        if self.identities.len() > LISTED {
            row("", &format!("… of {} more sources", thousands((self.identities.len() - LISTED) as u64)))?;
        }
        if let Some(found) = self.found.as_ref().map(|selection| found(selection, self.needs())) {
            let snapshot = self.found.as_ref().and_then(|found| found.snapshot.as_ref());
            let time = snapshot.map(|one| time::local(one.start_time(), "%Y-%m-%d %H:%M:%S %Z"));
            let named = [found.source, found.snapshot, time].into_iter().flatten();
            let named: Vec<_> = named.chain(Some(found.path).filter(|path| !path.is_empty())).collect();
            row("found", &named.join(" "))?;
            if let (Some(bytes), Some(files)) = (found.bytes, found.files) {
                let files = count(files, "file", "files");
                row("", &format!("{} in {files}", size(bytes)))?;
            }
        }
        if let Some(room) = &self.target {
            let inodes = room.free_inodes.map(|free| format!(", {} inodes", thousands(free)));
            let text = format!(
                "{}: {} free{}",
                room.path.display(),
                size(room.free_bytes),
                inodes.unwrap_or_default()
            );
            row("target", &text)?;
        }
        if let (Some(seconds), Some(pace)) = (self.reading_seconds(), self.pace) {
            let (time, pace) = (duration(seconds), size(pace as u64));
            row("time", &format!("{time} to read it at {pace}/s; a slow target takes longer"))?;
        }
        out.flush()
    }

    /// Writes what was found since all was written.
    pub(super) fn text_since(&self, told: (usize, usize)) -> io::Result<()> {
        let mut out = output::out();
        self.tell(&mut out, told)?;
        out.flush()
    }

    /// Writes findings and notes, but for the first ones, which were told.
    fn tell(&self, out: &mut impl Write, (findings, notes): (usize, usize)) -> io::Result<()> {
        for finding in &self.findings[findings..] {
            let weight = if finding.weight() == Weight::Problem { "problem" } else { "note" };
            row(out, weight, &finding.fact())?;
            let change = change(finding);
            if !change.is_empty() {
                row(out, "", &format!("→ {change}"))?;
            }
        }
        self.notes[notes..].iter().try_for_each(|note| row(out, "note", note))
    }
}

fn row(out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "{name:<12}{}", for_terminal(value))
}

fn found(found: &Selection, needs: Option<space::Needs>) -> FoundJson {
    let snapshot = found.snapshot.as_ref();
    FoundJson {
        source: snapshot.map(|snapshot| snapshot.source().to_string()),
        snapshot: snapshot.map(|snapshot| snapshot.id().to_string()),
        start_time: snapshot.map(|snapshot| snapshot.start_time().to_string()),
        path: found.path.clone(),
        bytes: needs.map(|needs| needs.bytes),
        files: needs.map(|needs| needs.files),
    }
}

/// Shows a time as people say it.
fn duration(seconds: f64) -> String {
    match seconds.ceil() as u64 {
        seconds if seconds < 120 => count(seconds, "second", "seconds"),
        seconds if seconds < 7200 => count(seconds.div_ceil(60), "minute", "minutes"),
        seconds => count(seconds.div_ceil(3600), "hour", "hours"),
    }
}
