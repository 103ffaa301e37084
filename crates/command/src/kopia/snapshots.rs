//! `snapshot list`.

use kopia_rs::diagnosis::text::escape;
use kopia_rs::{EntryKind, Snapshot, SnapshotManifest, Source};
use serde::Serialize;

use super::call::Call;
use super::call::info;
use super::policies::Policies;
use super::retention::{self, ORDER};
use super::trouble::Trouble;
use super::words::{self, List};

/// An element of the list.
#[derive(Serialize)]
struct Element<'a> {
    #[serde(flatten)]
    manifest: &'a SnapshotManifest,
    #[serde(rename = "retentionReason", skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

pub(super) fn run(call: &Call) -> Result<(), Trouble> {
    let line = &call.line;
    let tags = line.all("tags").map(|tag| tag_of(&tag.to_string_lossy())).collect::<Result<Vec<_>, _>>()?;
    let repository = call.open()?;
    let owner = call.owner();
    let snapshots =
        repository.snapshots().map_err(|error| Trouble::reading(&error, "unable to load snapshots"))?;
    let named = match line.argument(0) {
        name if name.is_empty() => None,
        name => Some(source(&name, &owner)?),
    };
    let is_chosen = |snapshot: &&Snapshot| {
        let has = |(key, value): &(String, String)| snapshot.manifest().tags().get(key) == Some(value);
        named.as_ref().is_none_or(|named| lies_at_or_above(snapshot.source(), named)) && tags.iter().all(has)
    };
    let chosen: Vec<&Snapshot> = snapshots.iter().filter(is_chosen).collect();
    let policies = match line.is_on("retention", true) {
        // Behind a server there are none to be had.
        true => Policies::read(&repository).ok(),
        false => None,
    };
    let is_json = line.is_on("json", false);
    let most = line.text("max-results").and_then(|text| text.parse::<usize>().ok()).filter(|most| *most > 0);
    let mut list = List::begin(line)?;
    let mut shown = 0;
    for group in chosen.chunk_by(|one, other| one.source() == other.source()) {
        let source = group[0].source();
        let is_own = (&source.user, &source.host) == (&owner.0, &owner.1);
        if !is_json && !is_own && !line.is_on("all", false) {
            continue;
        }
        let retention = policies.as_ref().and_then(|policies| {
            let effective = policies.effective(source);
            if effective.is_err() {
                info(format_args!(
                    "unable to determine effective policy for {}",
                    escape(&source.to_string())
                ));
            }
            Some(effective.ok()?.policy["retention"].clone())
        });
        // kopia counts what it shows alone, but in text.
        let first = most.map_or(0, |most| group.len().saturating_sub(most));
        let counted = if is_json { &group[first..] } else { group };
        let reasons = match &retention {
            Some(retention) => retention::reasons(counted, retention),
            None => vec![Vec::new(); counted.len()],
        };
        let mut rows: Vec<_> =
            counted.iter().copied().zip(reasons).skip(counted.len() + first - group.len()).collect();
        if line.is_on("reverse", false) {
            rows.reverse();
        }
        if !is_json {
            words::print(&format!("{}{source}\n", if shown > 0 { "\n" } else { "" }))?;
        }
        shown += 1;
        let mut rows = rows.into_iter().peekable();
        while let Some((snapshot, reasons)) = rows.next() {
            if is_json {
                list.push(&Element { manifest: snapshot.manifest(), reasons }, String::new)?;
                continue;
            }
            let is_hidden = |one: &Snapshot| !one.is_complete() && !line.is_on("incomplete", false);
            if is_hidden(snapshot) {
                continue;
            }
            let mut reasons = reasons;
            let (mut same, mut last) = (0, snapshot);
            let is_same = |other: &Snapshot| root(other).is_some() && root(other) == root(snapshot);
            while let Some((other, more)) = rows.next_if(|(other, _)| {
                !line.is_on("show-identical", false) && (is_hidden(other) || is_same(other))
            }) {
                if !is_hidden(other) {
                    (same, last) = (same + 1, other);
                    reasons.extend(more);
                }
            }
            let reasons = if same > 0 { compacted(&reasons) } else { reasons };
            words::print(&row(call, snapshot, &reasons))?;
            if same > 0 {
                let until = words::time(line, last.start_time());
                words::print(&format!("  + {same} identical snapshots until {until}\n"))?;
            }
        }
    }
    if !is_json && shown == 0 && !line.is_on("all", false) && !chosen.is_empty() {
        info("No snapshots found. Pass --all to show snapshots from all users/hosts.\n");
    }
    list.end()
}

fn root(snapshot: &Snapshot) -> Option<kopia_rs::ObjectId> {
    snapshot.root().ok().map(|root| root.object())
}

fn row(call: &Call, snapshot: &Snapshot, reasons: &[String]) -> String {
    let line = &call.line;
    let time = words::time(line, snapshot.start_time());
    let root = match snapshot.root() {
        Ok(root) => root,
        Err(error) => return format!("  {time} <ERROR> {error}\n"),
    };
    let mut bits = Vec::new();
    bits.extend(snapshot.manifest().incomplete().map(|why| format!("incomplete:{why}")));
    let summary = snapshot.manifest().summary().filter(|_| root.kind() == EntryKind::Directory);
    let size = summary.map_or_else(|| i64::try_from(root.size()).unwrap_or(i64::MAX), |summary| summary.size);
    bits.push(if line.is_on("human-readable", true) { words::bytes(size) } else { size.to_string() });
    bits.push(mode(root.kind(), root.mode()));
    if line.is_on("owner", false) {
        let (uid, gid) = root.owner();
        bits.extend([format!("uid:{uid}"), format!("gid:{gid}")]);
    }
    if line.is_on("mtime", false) {
        bits.push(format!("modified:{}", words::time(line, root.modified())));
    }
    if line.is_on("manifest-id", false) {
        bits.push(format!("manifest:{}", snapshot.id()));
    }
    if let Some(summary) = summary {
        bits.extend([format!("files:{}", summary.files), format!("dirs:{}", summary.dirs)]);
        if summary.failed > 0 {
            bits.push(format!("errors:{}", summary.failed));
        }
    }
    if !reasons.is_empty() && line.is_on("retention", true) {
        bits.push(format!("({})", reasons.join(",")));
    }
    let pins = snapshot.manifest().pins();
    if !pins.is_empty() {
        bits.push(format!("pins:{}", pins.join(",")));
    }
    format!("  {time} {} {}\n", root.object(), bits.join(" "))
}

/// Joins neighbours: `daily-1..3`.
fn compacted(reasons: &[String]) -> Vec<String> {
    let mut numbers: Vec<(usize, i64)> = Vec::new();
    let mut others = Vec::new();
    for reason in reasons {
        let parts = reason.rsplit_once('-').and_then(|(period, number)| {
            Some((ORDER.iter().position(|known| *known == period)?, number.parse().ok()?))
        });
        match parts {
            Some(parts) => numbers.push(parts),
            None => others.push(reason.clone()),
        }
    }
    numbers.sort_unstable();
    let runs =
        numbers.chunk_by(|(one, number), (other, next)| one == other && number.checked_add(1) == Some(*next));
    let runs = runs.map(|run| match (run[0], run[run.len() - 1]) {
        ((period, first), (_, last)) if first == last => format!("{}-{first}", ORDER[period]),
        ((period, first), (_, last)) => format!("{}-{first}..{last}", ORDER[period]),
    });
    others.into_iter().chain(runs).collect()
}

/// Writes a mode as Go does.
pub(super) fn mode(kind: EntryKind, mode: u32) -> String {
    let mut text = String::new();
    match kind {
        EntryKind::Directory => text.push('d'),
        EntryKind::Symlink => text.push('L'),
        EntryKind::File => {}
    }
    for (bit, letter) in [(0o4000, 'u'), (0o2000, 'g'), (0o1000, 't')] {
        if mode & bit != 0 {
            text.push(letter);
        }
    }
    if text.is_empty() {
        text.push('-');
    }
    for shift in [6, 3, 0] {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if mode >> shift & bit != 0 { letter } else { '-' });
        }
    }
    text
}

/// Reads a tag filter.
fn tag_of(text: &str) -> Result<(String, String), Trouble> {
    let odd = || Trouble::failed(format!("invalid tag format ({text}). Requires <key>:<value>"));
    let (key, value) = text.split_once(':').filter(|(key, _)| !key.is_empty()).ok_or_else(odd)?;
    Ok((format!("tag:{key}"), value.into()))
}

/// Returns whether a source has a path, or what lies above it.
fn lies_at_or_above(source: &Source, named: &Source) -> bool {
    let is_above = || source.path == "/" || named.path.starts_with(&format!("{}/", source.path));
    (&source.user, &source.host) == (&named.user, &named.host) && (source.path == named.path || is_above())
}

/// Reads the name of a source: `user@host:/path`, `user@host`, or a path of this user and host.
pub(super) fn source(text: &str, owner: &(String, String)) -> Result<Source, Trouble> {
    if text == "(global)" {
        return Ok(Source::default());
    }
    match (text.find('@'), text.find(':')) {
        (Some(at), Some(colon)) if at > 0 && at < colon => Ok(Source {
            user: text[..at].into(),
            host: text[at + 1..colon].into(),
            path: text[colon + 1..].into(),
        }),
        (Some(at), None) if at + 1 < text.len() => {
            Ok(Source { user: text[..at].into(), host: text[at + 1..].into(), path: String::new() })
        }
        (Some(_), None) => {
            Err(Trouble::failed(format!("invalid directory: '{text}': invalid hostname in {text:?}")))
        }
        _ => {
            let path = std::path::absolute(text).unwrap_or_else(|_| text.into());
            let mut clean = std::path::PathBuf::new();
            for part in path.components() {
                match part {
                    std::path::Component::ParentDir => {
                        clean.pop();
                    }
                    part => clean.push(part),
                }
            }
            let path = clean.to_string_lossy().into_owned();
            Ok(Source { user: owner.0.clone(), host: owner.1.clone(), path })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_modes_and_reasons_as_kopia_has_them() {
        let owner = ("me".to_owned(), "here".to_owned());
        let read = |text: &str| source(text, &owner).map(|source| source.to_string()).ok();
        assert_eq!(read("a@b:/c").as_deref(), Some("a@b:/c"));
        assert_eq!(read("/x/../y/").as_deref(), Some("me@here:/y"));
        assert_eq!((read("a@b").as_deref(), read("a@")), (Some("a@b:"), None));
        assert_eq!(mode(EntryKind::Directory, 0o755), "drwxr-xr-x");
        assert_eq!(
            (&*mode(EntryKind::File, 0o4640), &*mode(EntryKind::Symlink, 0o777)),
            ("urw-r-----", "Lrwxrwxrwx")
        );
        let reasons = ["daily-1", "latest-1", "latest-2", "daily-3"].map(String::from);
        assert_eq!(compacted(&reasons), ["latest-1..2", "daily-1", "daily-3"]);
    }
}
