//! What was verified, for people and programs.

use std::io::{self, Write};

use kopia_rs::diagnosis::Class;
use kopia_rs::diagnosis::text::chain;
use kopia_rs::verify::{AffectedEntry, Coverage, Damage};
use kopia_rs::{BlobId, Error, Unreadable};
use serde::Serialize;

use super::summary::{self, Summary};
use crate::terminal::output::{self, count, size, thousands};
use crate::terminal::report::ReasonLine;
use crate::wording::stubs;

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Json<'a> {
    packs: CoverageJson,
    contents: CoverageJson,
    stored_bytes: CoverageJson,
    plain_bytes: u64,
    folders: u64,
    files: u64,
    /// Contents that snapshots need although they are marked deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    needed_deleted_count: Option<u64>,
    damage_count: u64,
    /// The first 10,000; `--report` has all.
    damage: Vec<DamageLine<'a>>,
    loss_count: u64,
    /// The first 10,000; `--report` has all but those that are counted only.
    losses: Vec<AffectedLine<'a>>,
    /// Those that are counted only, as their folders lie in very many places.
    #[serde(skip_serializing_if = "Option::is_none")]
    untold_loss_count: Option<u64>,
    /// Files that stand for others.
    stub_count: u64,
    /// The first 100 of them, by their names.
    stubs: Vec<stubs::Json<'a>>,
    /// Packs that an index blob should name that is missing.
    unindexed_packs: Vec<&'a str>,
    /// What cannot be read of the list of snapshots.
    unlisted: Vec<String>,
    /// The same as data.
    unlisted_parts: Vec<PartLine<'a>>,
    /// Whether snapshots are missing from the list, or may be, with `--degraded`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    has_gaps: bool,
    /// Why it is not known whether there are packs that an index blob should name that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsearched: Option<String>,
    /// What was left out when the repository was opened with `--degraded`.
    lost: Vec<String>,
    /// The same as data.
    lost_parts: Vec<PartLine<'a>>,
    /// Since when everything was read and found sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    restorable_as_of: Option<String>,
    /// With `--rotate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation: Option<summary::Json>,
    /// With `--percent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    seconds: f64,
}

/// A part of the indexes, or of the list of snapshots, that cannot be read.
#[derive(Debug, Serialize)]
struct PartLine<'a> {
    /// What it is; of the list of snapshots always `snapshots`.
    part: &'static str,
    class: Class,
    /// Why it cannot be read, if that is more than that something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob: Option<&'a str>,
    message: String,
}

#[derive(Debug, Serialize)]
struct CoverageJson {
    verified: u64,
    of: u64,
}

/// A content that cannot be read.
#[derive(Debug, Serialize)]
pub(super) struct DamageLine<'a> {
    kind: &'static str,
    content: String,
    blob: &'a str,
    offset: u64,
    class: Class,
    reason: &'static str,
    message: String,
}

/// An entry that cannot be restored as it was.
#[derive(Debug, Serialize)]
pub(super) struct AffectedLine<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(flatten)]
    reason: ReasonLine<'a>,
}

impl<'a> From<&'a Unreadable> for PartLine<'a> {
    fn from(part: &'a Unreadable) -> Self {
        Self {
            part: part.word(),
            // Where no error says more, something is missing.
            class: part.error().map_or(Class::Damaged, Class::of),
            reason: part.error().map(Error::word),
            content: None,
            blob: part.blob_id().map(BlobId::as_str),
            message: part.to_string(),
        }
    }
}

impl<'a> From<&'a Error> for PartLine<'a> {
    fn from(error: &'a Error) -> Self {
        Self {
            part: "snapshots",
            class: Class::of(error),
            reason: Some(error.word()),
            content: error.content_id().map(|content| content.to_string()),
            blob: error.blob_id().map(BlobId::as_str),
            message: error.to_string(),
        }
    }
}

impl From<Coverage> for CoverageJson {
    fn from(coverage: Coverage) -> Self {
        Self { verified: coverage.verified, of: coverage.of }
    }
}

impl<'a> From<&'a Damage> for DamageLine<'a> {
    fn from(damage: &'a Damage) -> Self {
        Self {
            kind: "content",
            content: damage.content.to_string(),
            blob: damage.pack.as_str(),
            offset: damage.offset,
            class: Class::of(&damage.error),
            reason: damage.error.word(),
            message: chain(&damage.error),
        }
    }
}

impl<'a> From<&'a AffectedEntry> for AffectedLine<'a> {
    fn from(entry: &'a AffectedEntry) -> Self {
        Self {
            kind: "entry",
            snapshot: entry.snapshot.as_ref().map(kopia_rs::Snapshot::id),
            source: entry.snapshot.as_ref().map(|snapshot| snapshot.source().to_string()),
            path: &entry.path,
            object: entry.object.map(|object| object.to_string()),
            reason: (&entry.reason).into(),
        }
    }
}

pub(super) fn json<'a>(summary: &Summary<'a>, seed: Option<u64>) -> Json<'a> {
    let Summary { verified: report, lost, .. } = *summary;
    Json {
        packs: report.packs.into(),
        contents: report.contents.into(),
        stored_bytes: report.stored_bytes.into(),
        plain_bytes: report.plain_bytes,
        folders: report.directories,
        files: report.files,
        needed_deleted_count: Some(report.needed_deleted_count).filter(|&count| count > 0),
        damage_count: report.damage_count,
        damage: report.damage.iter().map(DamageLine::from).collect(),
        loss_count: report.affected_count,
        losses: report.affected.iter().map(AffectedLine::from).collect(),
        untold_loss_count: Some(report.untold_count).filter(|&count| count > 0),
        stub_count: report.stub_count,
        stubs: report.stubs.iter().map(|(name, stub)| stubs::Json::new(name, stub)).collect(),
        unlisted: report.unlisted.iter().map(ToString::to_string).collect(),
        unlisted_parts: report.unlisted.iter().map(|error| PartLine::from(&**error)).collect(),
        has_gaps: summary.has_gaps,
        unsearched: report.unsearched.as_ref().map(|error| chain(error)),
        lost: lost.iter().map(ToString::to_string).collect(),
        lost_parts: lost.iter().map(PartLine::from).collect(),
        unindexed_packs: report.unexpected().map(|pack| pack.id.as_str()).collect(),
        restorable_as_of: summary.restorable_as_of().map(|time| time.to_string()),
        rotation: summary.json(),
        seed,
        seconds: summary.seconds,
    }
}

pub(super) fn text(summary: &Summary<'_>, lost_indexes: usize, degraded: bool) -> io::Result<()> {
    let (report, seconds) = (summary.verified, summary.seconds);
    let mut out = output::out();
    let mut row = |name: &str, value: String| writeln!(out, "{name:<10}{value}");
    let of = |coverage: Coverage| format!("{} of {}", thousands(coverage.verified), thousands(coverage.of));
    row("contents", format!("{}, in {} packs", of(report.contents), of(report.packs)))?;
    let stored = report.stored_bytes;
    let rate = size((stored.verified as f64 / seconds.max(0.001)) as u64);
    row(
        "size",
        format!(
            "{} of {} stored, {} plain, {rate}/s",
            size(stored.verified),
            size(stored.of),
            size(report.plain_bytes)
        ),
    )?;
    row(
        "folders",
        format!(
            "{}, with {}",
            thousands(report.directories),
            count(report.files, "file or link", "files and links")
        ),
    )?;
    if report.needed_deleted_count > 0 {
        let contents = count(report.needed_deleted_count, "content", "contents");
        let needed = "needed by snapshots; kopia's next full maintenance takes the marks back";
        row("deleted", format!("{contents}, {needed}"))?;
    }
    let damage = match (report.damage_count, report.affected_count) {
        (0, 0) => "none".into(),
        (0, entries) => {
            format!(
                "none, but {} of snapshots cannot be restored as {}",
                count(entries, "entry", "entries"),
                if entries == 1 { "it was" } else { "they were" }
            )
        }
        (contents, _) => format!(
            "{}, {} of snapshots",
            count(contents, "content", "contents"),
            count(report.affected_count, "entry", "entries")
        ),
    };
    row("damage", damage)?;
    if lost_indexes > 0 {
        let instead = if degraded { "; the packs were asked instead" } else { "" };
        row("indexes", format!("{} lost{instead}", thousands(lost_indexes as u64)))?;
    }
    if !report.unlisted.is_empty() {
        row("list", count(report.unlisted.len() as u64, "part cannot be read", "parts cannot be read"))?;
    }
    if report.unsearched.is_some() {
        row("unindexed", "not known".into())?;
    }
    let unindexed = report.unexpected().count() as u64;
    if unindexed > 0 {
        row("unindexed", count(unindexed, "pack that no index names", "packs that no index names"))?;
    }
    summary.line().map_or(Ok(()), |line| writeln!(out, "{line}"))?;
    out.flush()
}
