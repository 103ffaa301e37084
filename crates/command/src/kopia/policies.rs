//! `policy list` and `policy show`: what policies say, and what they come to for a source.

mod merge;
mod text;

use kopia_rs::manifest::{Manifest, TYPE_LABEL};
use kopia_rs::{Repository, Source};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call::Call;
use super::snapshots::source;
use super::trouble::Trouble;
use super::words::{self, List};
use crate::terminal::output::for_terminal;
use merge::Effective;

/// The parts of a policy and their fields, in kopia's order.
const PARTS: [(&str, &[&str]); 11] = [
    (
        "retention",
        &[
            "keepLatest",
            "keepHourly",
            "keepDaily",
            "keepWeekly",
            "keepMonthly",
            "keepAnnual",
            "ignoreIdenticalSnapshots",
        ],
    ),
    (
        "files",
        &[
            "ignore",
            "noParentIgnore",
            "ignoreDotFiles",
            "noParentDotFiles",
            "ignoreCacheDirs",
            "maxFileSize",
            "oneFileSystem",
        ],
    ),
    ("errorHandling", &["ignoreFileErrors", "ignoreDirectoryErrors", "ignoreUnknownTypes"]),
    ("scheduling", &["intervalSeconds", "timeOfDay", "noParentTimeOfDay", "manual", "cron", "runMissed"]),
    (
        "compression",
        &[
            "compressorName",
            "onlyCompress",
            "noParentOnlyCompress",
            "neverCompress",
            "noParentNeverCompress",
            "minSize",
            "maxSize",
        ],
    ),
    ("metadataCompression", &["compressorName"]),
    ("splitter", &["algorithm"]),
    ("actions", &["beforeFolder", "afterFolder", "beforeSnapshotRoot", "afterSnapshotRoot"]),
    ("osSnapshots", &["volumeShadowCopy"]),
    ("logging", &["directories", "entries"]),
    ("upload", &["maxParallelSnapshots", "maxParallelFileReads", "parallelUploadAboveSize"]),
];

/// The fields of a field, in kopia's order.
const INNER: [(&str, &[&str]); 3] = [
    ("volumeShadowCopy", &["enable"]),
    ("directories", &["snapshotted", "ignored"]),
    ("entries", &["snapshotted", "ignored", "cacheHit", "cacheMiss"]),
];

/// What stands for no compression.
const NONE: &str = "none";

/// The fields of what is run.
const ACTION: (&[&str], &[&str]) = (
    &["beforeFolder", "afterFolder", "beforeSnapshotRoot", "afterSnapshotRoot"],
    &["path", "args", "script", "timeout", "mode"],
);

/// The policies of a repository.
pub(super) struct Policies(Vec<Manifest>);

impl Policies {
    pub(super) fn read(repository: &Repository) -> Result<Self, Trouble> {
        let all =
            repository.manifests().map_err(|error| Trouble::reading(&error, "unable to find manifests"))?;
        let is_policy =
            |manifest: &Manifest| manifest.labels.get(TYPE_LABEL).is_some_and(|kind| kind == "policy");
        Ok(Self(all.into_iter().filter(is_policy).collect()))
    }

    /// Returns what is said of a target itself.
    fn at(&self, target: &Source) -> Result<Vec<Value>, Trouble> {
        self.0.iter().filter(|manifest| self::target(manifest) == *target).map(stored).collect()
    }

    /// Returns what policies come to for a source.
    pub(super) fn effective(&self, source: &Source) -> Result<Effective, Trouble> {
        let mut above = Vec::new();
        let mut path = source.path.as_str();
        while !path.is_empty() {
            above.push(Source { path: path.into(), ..source.clone() });
            match parent(path) {
                Some(parent) => path = parent,
                None => break,
            }
        }
        above.push(Source { path: String::new(), ..source.clone() });
        above.push(Source { host: source.host.clone(), ..Source::default() });
        above.push(Source::default());
        above.dedup();
        let mut policies = Vec::new();
        for target in above {
            policies.extend(self.at(&target)?.into_iter().map(|policy| (target.clone(), policy)));
        }
        let own = policies.first().filter(|(target, _)| target == source).map(|(_, policy)| policy);
        Ok(merge::merged(&policies, own))
    }
}

/// Returns the path above another, as kopia finds it: of Windows, too.
fn parent(path: &str) -> Option<&str> {
    let slashes = ['/', '\\'];
    let is_drive = path.get(1..2) == Some(":") && path[2..].starts_with(slashes);
    let volume = if is_drive { 2 } else { 0 };
    let rest = &path[volume..];
    let rest = if rest.len() > 1 { rest.strip_suffix(slashes).unwrap_or(rest) } else { rest };
    let end = volume + rest.rfind(slashes)?.max(1);
    (end < path.len()).then(|| &path[..end])
}

/// Returns what a policy says. As with kopia, one that cannot be read is not one that says nothing.
fn stored(manifest: &Manifest) -> Result<Value, Trouble> {
    let id = &manifest.id;
    let failed = |why: &str| {
        Trouble::failed(format!(
            "error loading policy for manifest {id}: unable to unmarshal \"{id}\": {why}"
        ))
    };
    let data = manifest.data.as_ref().ok_or_else(|| failed("unexpected end of JSON input"))?;
    let policy: Value = serde_json::from_str(data.get()).map_err(|error| failed(&error.to_string()))?;
    let is_odd = |(part, _): &&(&str, &[&str])| !matches!(policy[*part], Value::Null | Value::Object(_));
    match PARTS.iter().find(is_odd) {
        _ if !policy.is_object() => Err(failed("it is no JSON object")),
        Some((part, _)) => Err(failed(&format!("{part} is no JSON object"))),
        None => Ok(policy),
    }
}

/// Returns what a policy is of.
fn target(manifest: &Manifest) -> Source {
    let label = |name: &str| manifest.labels.get(name).cloned().unwrap_or_default();
    Source { host: label("hostname"), user: label("username"), path: label("path") }
}

fn target_text(source: &Source) -> String {
    match (&*source.host, &*source.user, &*source.path) {
        ("", "", "") => "(global)".into(),
        (host, user, "") => format!("{user}@{host}"),
        _ => source.to_string(),
    }
}

/// Writes JSON in kopia's order.
fn text(policy: &Value) -> String {
    let parts = PARTS.iter().map(|(part, fields)| format!("{part:?}:{}", part_text(&policy[*part], fields)));
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}

/// As [`text`], of what is stored: that may want no policies above it.
fn stored_text(policy: &Value) -> String {
    let mut text = text(policy);
    if policy["noParent"] == Value::Bool(true) {
        text.pop();
        text += r#","noParent":true}"#;
    }
    text
}

fn part_text(part: &Value, fields: &[&str]) -> String {
    let field = |name: &&str| {
        let inner = INNER.iter().find(|(known, _)| known == name);
        let value = match inner {
            Some((_, fields)) => part_text(&part[*name], fields),
            None if ACTION.0.contains(name) => {
                part_text(part.get(*name).filter(|value| !value.is_null())?, ACTION.1)
            }
            None => part.get(*name)?.to_string(),
        };
        Some(format!("{name:?}:{value}"))
    };
    format!("{{{}}}", fields.iter().filter_map(field).collect::<Vec<_>>().join(","))
}

pub(super) fn list(call: &Call) -> Result<(), Trouble> {
    let mut policies = Policies::read(&call.open()?)?.0;
    policies.sort_by_key(|manifest| target_text(&target(manifest)));
    let stored = policies.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
    let mut list = List::begin(&call.line)?;
    for (manifest, stored) in policies.iter().zip(&stored) {
        let target = target(manifest);
        let head = format!(
            r#"{{"id":{},"target":{},"#,
            json!(manifest.id.to_string()),
            serde_json::to_string(&target).expect("plain values")
        );
        let json = head + &stored_text(stored)[1..];
        list.push(&raw(json), || {
            for_terminal(&format!("{} {}", manifest.id, target_text(&target))).into_owned()
        })?;
    }
    list.end()
}

pub(super) fn show(call: &Call) -> Result<(), Trouble> {
    let is_global = call.line.is_on("global", false);
    if is_global != call.line.arguments.is_empty() {
        return Err(Trouble::failed("must pass either '--global' or a list of path targets"));
    }
    let policies = Policies::read(&call.open()?)?;
    let owner = call.owner();
    let mut targets = Vec::new();
    for number in 0..call.line.arguments.len() {
        let name = call.line.argument(number);
        match policies.0.iter().find(|manifest| manifest.id.to_string() == name) {
            Some(manifest) => targets.push(target(manifest)),
            None => targets.push(source(&name, &owner)?),
        }
    }
    if is_global {
        targets.push(Source::default());
    }
    for target in &targets {
        let effective = policies.effective(target)?;
        match call.line.is_on("json", false) {
            true => words::print_json(&call.line, &raw(text(&effective.policy)))?,
            false => words::print(&text::text(&effective, target))?,
        }
    }
    Ok(())
}

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("JSON")
}

#[cfg(test)]
mod tests;
