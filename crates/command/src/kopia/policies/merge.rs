//! What policies come to, field by field, and where each was said. Authority: Kopia's
//! `snapshot/policy/policy_merge.go` and the `Merge` of each part.

use std::collections::{BTreeSet, HashMap};

use kopia_rs::Source;
use serde_json::{Map, Value, json};

use super::{INNER, PARTS};

/// Lists that are joined, each with the field that stops that.
const JOINED: [(&str, &str); 2] =
    [("onlyCompress", "noParentOnlyCompress"), ("neverCompress", "noParentNeverCompress")];

/// As [`JOINED`], of times.
const TIMES: (&str, &str) = ("timeOfDay", "noParentTimeOfDay");

/// Fields of which nothing is said by `0`, `false` and what is empty.
const NON_ZERO: [&str; 12] = [
    "ignore",
    "noParentIgnore",
    "ignoreDotFiles",
    "noParentDotFiles",
    "maxFileSize",
    "intervalSeconds",
    "manual",
    "cron",
    "compressorName",
    "minSize",
    "maxSize",
    "algorithm",
];

/// Fields of the folder itself, which folders below do not get.
const OWN: [&str; 2] = ["beforeFolder", "afterFolder"];

/// What policies come to.
#[derive(Debug)]
pub(in crate::kopia) struct Effective {
    pub(in crate::kopia) policy: Value,
    /// Where fields were said, by part and name: `retention.keepLatest`.
    definitions: HashMap<String, Source>,
}

impl Effective {
    /// Returns where a field was said; what nobody says counts as said for all.
    pub(super) fn defined_at(&self, field: &str) -> Source {
        self.definitions.get(field).cloned().unwrap_or_default()
    }
}

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

/// Merges policies, each with what it is of, the nearest first. One that wants no parents ends it; else `own`, what is
/// said of the target itself, has the fields that are not inherited.
pub(super) fn merged(policies: &[(Source, Value)], own: Option<&Value>) -> Effective {
    let mut merging = Merging { whole: Map::new(), definitions: HashMap::new() };
    PARTS.iter().for_each(|(part, _)| drop(merging.whole.insert((*part).into(), json!({}))));
    for (of, policy) in policies {
        merging.add(policy, of);
        if policy["noParent"] == Value::Bool(true) {
            return merging.done();
        }
    }
    merging.add(&defaults(), &Source::default());
    for name in OWN {
        if let Some(value) = own.and_then(|own| own["actions"].get(name)).filter(|value| !value.is_null()) {
            merging.whole["actions"][name] = value.clone();
        }
    }
    merging.done()
}

struct Merging {
    whole: Map<String, Value>,
    definitions: HashMap<String, Source>,
}

impl Merging {
    fn add(&mut self, policy: &Value, of: &Source) {
        for (part, fields) in PARTS {
            let Some(Value::Object(into)) = self.whole.get_mut(part) else { continue };
            merge(into, &policy[part], fields, &mut |field| {
                self.definitions.insert(format!("{part}.{field}"), of.clone());
            });
        }
    }

    fn done(self) -> Effective {
        Effective { policy: Value::Object(self.whole), definitions: self.definitions }
    }
}

/// Takes what is not said yet; `said` is told the names of fields that count from now on.
fn merge(into: &mut Map<String, Value>, from: &Value, fields: &[&str], said: &mut dyn FnMut(&str)) {
    for field in fields.iter().copied().filter(|field| !OWN.contains(field)) {
        if let Some((_, inner)) = INNER.iter().find(|(name, _)| *name == field) {
            let known = into.entry(field).or_insert_with(|| json!({}));
            if let Value::Object(known) = known {
                merge(known, &from[field], inner, &mut |name| said(&format!("{field}.{name}")));
            }
        } else if field == TIMES.0 {
            join_times(into, from, said);
        } else if let Some((_, stop)) = JOINED.iter().find(|(name, _)| *name == field) {
            join(into, from, (field, stop), said);
        } else if field != TIMES.1 && JOINED.iter().all(|(_, stop)| *stop != field) {
            let value = from.get(field).filter(|value| !value.is_null());
            let value = value.filter(|value| !NON_ZERO.contains(&field) || !is_zero(value));
            if let (Some(value), None) = (value, into.get(field)) {
                into.insert(field.into(), value.clone());
                said(field);
            }
        }
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(_) => false,
    }
}

fn is_on(value: Option<&Value>) -> bool {
    value == Some(&Value::Bool(true))
}

/// Adds texts to a list that is sorted, unless a nearer policy stops that.
fn join(
    into: &mut Map<String, Value>,
    from: &Value,
    (field, stop): (&str, &str),
    said: &mut dyn FnMut(&str),
) {
    if is_on(into.get(stop)) {
        return;
    }
    let texts = |list: Option<&Value>| {
        let texts = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let mut more = texts(from.get(field));
    if !more.is_empty() {
        said(field);
        more.extend(texts(into.get(field)));
        into.insert(field.into(), json!(more));
    }
    if is_on(from.get(stop)) {
        into.insert(stop.into(), Value::Bool(true));
    }
}

/// Adds times of the day. As with kopia, who said some last is named even where its times do not count.
fn join_times(into: &mut Map<String, Value>, from: &Value, said: &mut dyn FnMut(&str)) {
    let (field, stop) = TIMES;
    let times = |list: Option<&Value>| {
        let times = list.and_then(Value::as_array).into_iter().flatten();
        let number = |time: &Value, name: &str| time[name].as_i64().unwrap_or_default();
        times.map(|time| (number(time, "hour"), number(time, "min"))).collect::<BTreeSet<_>>()
    };
    let mut all = times(from.get(field));
    if !all.is_empty() {
        said(field);
        if !is_on(into.get(stop)) {
            all.extend(times(into.get(field)));
            let all: Vec<_> = all.into_iter().map(|(hour, min)| json!({"hour": hour, "min": min})).collect();
            into.insert(field.into(), all.into());
        }
    }
    if is_on(from.get(stop)) {
        into.insert(stop.into(), Value::Bool(true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> Source {
        Source { host: "h".into(), user: "u".into(), path: path.into() }
    }

    #[test]
    fn the_nearest_that_says_something_counts() {
        let near = json!({"retention": {"keepLatest": 1}, "compression": {"onlyCompress": [".b"], "minSize": 0},
            "files": {"ignore": []}, "splitter": {"algorithm": ""}, "scheduling": {"manual": false}});
        let far = json!({"retention": {"keepLatest": 2, "keepDaily": 0},
            "compression": {"onlyCompress": [".a"], "minSize": 5}, "files": {"ignore": ["x"]},
            "splitter": {"algorithm": "FIXED"}, "scheduling": {"manual": true}});
        let merged = merged(&[(of("/a/b"), near), (of("/a"), far)], None);
        let policy = &merged.policy;
        assert_eq!(
            (&policy["retention"]["keepLatest"], &policy["retention"]["keepDaily"]),
            (&json!(1), &json!(0))
        );
        assert_eq!(policy["retention"]["keepAnnual"], json!(3));
        assert_eq!(policy["compression"]["onlyCompress"], json!([".a", ".b"]));
        assert_eq!(policy["compression"]["minSize"], json!(5));
        assert_eq!(
            (&policy["files"]["ignore"], &policy["splitter"]["algorithm"]),
            (&json!(["x"]), &json!("FIXED"))
        );
        assert_eq!(policy["scheduling"]["manual"], json!(true));
        let defined = |field| merged.defined_at(field).path;
        assert_eq!((&*defined("retention.keepLatest"), &*defined("retention.keepDaily")), ("/a/b", "/a"));
        assert_eq!((&*defined("compression.onlyCompress"), &*defined("retention.keepAnnual")), ("/a", ""));
    }

    #[test]
    fn lists_are_joined_until_one_says_no_parent() {
        let policy = |end: &str, stops: bool| {
            json!({"compression": {"onlyCompress": [end], "noParentOnlyCompress": stops, "neverCompress": [end]},
                "scheduling": {"timeOfDay": [{"hour": end.len(), "min": 0}], "noParentTimeOfDay": stops}})
        };
        let all = [
            (of("/a/b/c"), policy(".c", false)),
            (of("/a/b"), policy(".bb", true)),
            (of("/a"), policy(".aaa", false)),
        ];
        let effective = merged(&all, None);
        let compression = &effective.policy["compression"];
        assert_eq!(compression["onlyCompress"], json!([".bb", ".c"]));
        assert_eq!(compression["noParentOnlyCompress"], json!(true));
        assert_eq!(compression["neverCompress"], json!([".aaa", ".bb", ".c"]));
        assert_eq!(compression.get("noParentNeverCompress"), None);
        let times = json!([{"hour": 2, "min": 0}, {"hour": 3, "min": 0}]);
        assert_eq!(effective.policy["scheduling"]["timeOfDay"], times);
        assert_eq!(effective.defined_at("compression.onlyCompress").path, "/a/b");
        assert_eq!(effective.defined_at("scheduling.timeOfDay").path, "/a");
    }

    #[test]
    fn one_that_wants_no_parents_ends_it() {
        let own = json!({"noParent": true, "actions": {"beforeFolder": {"path": "/x"}}});
        let effective = merged(&[(of("/a"), own.clone())], Some(&own));
        assert_eq!(effective.policy["retention"], json!({}));
        assert_eq!(effective.policy["actions"], json!({}));
        let own = json!({"actions": {"beforeFolder": {"path": "/x"}}});
        assert_eq!(merged(&[(of("/a"), own.clone())], Some(&own)).policy["actions"], own["actions"]);
    }
}
