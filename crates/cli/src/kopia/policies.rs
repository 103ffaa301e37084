//! `policy list` and `policy show`: what policies say, and what they come to for a source.

use kopia_rs::manifest::{Manifest, TYPE_LABEL};
use kopia_rs::{Repository, Source};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::snapshots::source;
use super::trouble::Trouble;
use super::words::{self, List};

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

/// Lists that are joined, each with the field that stops that.
const JOINED: [(&str, &str); 3] = [
    ("onlyCompress", "noParentOnlyCompress"),
    ("neverCompress", "noParentNeverCompress"),
    ("timeOfDay", "noParentTimeOfDay"),
];

/// Fields of the folder itself, which folders below do not get.
const OWN: [&str; 2] = ["beforeFolder", "afterFolder"];

/// What counts where no policy says anything.
fn defaults() -> Value {
    json!({
        "retention": {"keepLatest": 10, "keepHourly": 48, "keepDaily": 7, "keepWeekly": 4, "keepMonthly": 24,
            "keepAnnual": 3, "ignoreIdenticalSnapshots": false},
        "files": {"ignoreDotFiles": [".kopiaignore"]},
        "errorHandling": {"ignoreFileErrors": false, "ignoreDirectoryErrors": false, "ignoreUnknownTypes": true},
        "scheduling": {"runMissed": true},
        "compression": {"compressorName": "none"},
        "metadataCompression": {"compressorName": "zstd-fastest"},
        "osSnapshots": {"volumeShadowCopy": {"enable": 0}},
        "logging": {"directories": {"snapshotted": 5, "ignored": 5},
            "entries": {"snapshotted": 0, "ignored": 5, "cacheHit": 0, "cacheMiss": 0}},
        "upload": {"maxParallelSnapshots": 1, "parallelUploadAboveSize": 2_147_483_648_u64},
    })
}

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
    fn at(&self, target: &Source) -> impl Iterator<Item = Value> {
        let found = self.0.iter().filter(move |manifest| self::target(manifest) == *target);
        found.filter_map(|manifest| serde_json::from_str(manifest.data.as_ref()?.get()).ok())
    }

    /// Returns what policies come to for a source: the nearest that says something counts.
    pub(super) fn effective(&self, source: &Source) -> Value {
        let mut policies: Vec<Value> = Vec::new();
        let mut above = source.clone();
        while !above.path.is_empty() {
            policies.extend(self.at(&above));
            let parent = match above.path.trim_end_matches('/').rsplit_once('/') {
                Some(("", name)) if !name.is_empty() => "/".to_owned(),
                Some((parent, name)) if !name.is_empty() => parent.to_owned(),
                _ => break,
            };
            if parent == above.path {
                break;
            }
            above.path = parent;
        }
        let own = self.at(source).next().unwrap_or_default();
        above.path.clear();
        if !source.user.is_empty() {
            policies.extend(self.at(&above));
        }
        above.user.clear();
        if !source.host.is_empty() {
            policies.extend(self.at(&above));
        }
        policies.extend(self.at(&Source::default()));
        let stop = policies.iter().position(|policy| policy["noParent"] == Value::Bool(true));
        match stop {
            Some(last) => policies.truncate(last + 1),
            None => policies.push(defaults()),
        }
        merged(&policies, &own)
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

fn merged(policies: &[Value], own: &Value) -> Value {
    let mut whole = Map::new();
    for (part, fields) in PARTS {
        let mut into = Map::new();
        for policy in policies {
            merge(&mut into, &policy[part], fields);
        }
        for name in OWN.iter().filter(|_| part == "actions") {
            if let Some(value) = own[part].get(*name) {
                into.insert((*name).into(), value.clone());
            }
        }
        if let Some(value) = into.get("timeOfDay").filter(|_| part == "scheduling").cloned() {
            into.insert("timeOfDay".into(), sorted(value));
        }
        whole.insert(part.into(), Value::Object(into));
    }
    Value::Object(whole)
}

/// Takes what is not said yet.
fn merge(into: &mut Map<String, Value>, from: &Value, fields: &[&str]) {
    for field in fields.iter().filter(|field| !OWN.contains(field)) {
        if let Some((_, inner)) = INNER.iter().find(|(name, _)| name == field) {
            let known = into.entry(*field).or_insert_with(|| json!({}));
            if let Value::Object(known) = known {
                merge(known, &from[*field], inner);
            }
            continue;
        }
        let Some(value) = from.get(*field).filter(|value| !value.is_null()) else { continue };
        let joined = JOINED.iter().find(|(name, _)| name == field);
        match (into.get_mut(*field), joined) {
            (Some(Value::Array(known)), Some((_, stop))) if into_stops(from, stop) || !known.is_empty() => {
                let more = value.as_array().into_iter().flatten().filter(|one| !known.contains(one)).cloned();
                let more: Vec<_> = more.collect();
                known.extend(more);
            }
            (Some(_), _) => {}
            (None, _) => {
                into.insert((*field).into(), value.clone());
            }
        }
    }
}

fn into_stops(from: &Value, stop: &str) -> bool {
    from[stop] == Value::Bool(true)
}

fn sorted(times: Value) -> Value {
    let Value::Array(mut times) = times else { return times };
    times.sort_by_key(|time| (time["hour"].as_i64(), time["min"].as_i64()));
    Value::Array(times)
}

/// Writes JSON in kopia's order.
fn text(policy: &Value) -> String {
    let parts = PARTS.iter().map(|(part, fields)| format!("{part:?}:{}", part_text(&policy[*part], fields)));
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}

fn part_text(part: &Value, fields: &[&str]) -> String {
    let field = |name: &&str| {
        let inner = INNER.iter().find(|(known, _)| known == name);
        let value = match inner {
            Some((_, fields)) => part_text(&part[*name], fields),
            None => part.get(*name)?.to_string(),
        };
        Some(format!("{name:?}:{value}"))
    };
    format!("{{{}}}", fields.iter().filter_map(field).collect::<Vec<_>>().join(","))
}

pub(super) fn list(call: &Call) -> Result<(), Trouble> {
    let mut policies = Policies::read(&call.open()?)?.0;
    policies.sort_by_key(|manifest| target_text(&target(manifest)));
    let mut list = List::begin(&call.line)?;
    for manifest in &policies {
        let target = target(manifest);
        let stored: Value =
            manifest.data.as_ref().and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default();
        let head = format!(
            r#"{{"id":{},"target":{},"#,
            json!(manifest.id.to_string()),
            serde_json::to_string(&target).expect("plain values")
        );
        let json = head + &text(&stored)[1..];
        let raw = serde_json::value::RawValue::from_string(json).expect("JSON");
        list.push(&raw, || format!("{} {}", manifest.id, target_text(&target)))?;
    }
    list.end()
}

pub(super) fn show(call: &Call) -> Result<(), Trouble> {
    let is_global = call.line.is_on("global", false);
    if is_global != call.line.arguments.is_empty() {
        return Err(Trouble::failed("must pass either '--global' or a list of path targets"));
    }
    if !call.line.is_on("json", false) {
        return Err(Trouble::HandOver("policy show without --json".into()));
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
    targets.iter().try_for_each(|target| words::print(&format!("{}\n", text(&policies.effective(target)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_that_says_something_counts() {
        let near = json!({"retention": {"keepLatest": 1}, "compression": {"onlyCompress": [".b"]}});
        let far =
            json!({"retention": {"keepLatest": 2, "keepDaily": 0}, "compression": {"onlyCompress": [".a"]}});
        let merged = merged(&[near, far, defaults()], &Value::Null);
        assert_eq!(
            (&merged["retention"]["keepLatest"], &merged["retention"]["keepDaily"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(merged["retention"]["keepAnnual"], json!(3));
        assert_eq!(merged["compression"]["onlyCompress"], json!([".b", ".a"]));
        // As kopia 0.23.1 shows the global policy of a new repository.
        let kopia = r#"{"retention":{"keepLatest":10,"keepHourly":48,"keepDaily":7,"keepWeekly":4,"keepMonthly":24,"keepAnnual":3,"ignoreIdenticalSnapshots":false},"files":{"ignoreDotFiles":[".kopiaignore"]},"errorHandling":{"ignoreFileErrors":false,"ignoreDirectoryErrors":false,"ignoreUnknownTypes":true},"scheduling":{"runMissed":true},"compression":{"compressorName":"none"},"metadataCompression":{"compressorName":"zstd-fastest"},"splitter":{},"actions":{},"osSnapshots":{"volumeShadowCopy":{"enable":0}},"logging":{"directories":{"snapshotted":5,"ignored":5},"entries":{"snapshotted":0,"ignored":5,"cacheHit":0,"cacheMiss":0}},"upload":{"maxParallelSnapshots":1,"parallelUploadAboveSize":2147483648}}"#;
        assert_eq!(text(&self::merged(&[defaults()], &Value::Null)), kopia);
    }
}
