//! `index list`, `blob list`, `manifest list` and `manifest show`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use kopia_rs::Timestamp;
use kopia_rs::manifest::{Manifest, TYPE_LABEL};
use serde::Serialize;

use super::call::Call;
use super::trouble::Trouble;
use super::words::{self, List};

/// A blob, as kopia lists it.
#[derive(Serialize)]
struct Blob {
    id: String,
    length: u64,
    timestamp: Timestamp,
}

/// An index blob.
#[derive(Serialize)]
struct Index {
    #[serde(flatten)]
    blob: Blob,
    /// kopia names what a blob replaces only where it lists replaced ones.
    #[serde(rename = "Superseded")]
    superseded: Option<()>,
}

/// A manifest.
#[derive(Serialize)]
struct Item<'a> {
    id: String,
    length: usize,
    labels: &'a BTreeMap<String, String>,
    mtime: Timestamp,
}

fn time_of(modified: Option<SystemTime>) -> Timestamp {
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    Timestamp::new(i64::try_from(since.as_secs()).unwrap_or_default(), since.subsec_nanos())
        .unwrap_or_default()
}

fn failed(error: impl Into<kopia_rs::Error>, doing: &str) -> Trouble {
    Trouble::reading(&error.into(), doing)
}

pub(super) fn indexes(call: &Call) -> Result<(), Trouble> {
    let line = &call.line;
    let repository = call.open()?;
    let doing = "error listing index blobs";
    let active = repository.index_blobs().map_err(|error| failed(error, doing))?;
    // Their times are those of the listing.
    let mut times = HashMap::new();
    for prefix in ["x", "n"] {
        let listed = repository.store().list(prefix).map_err(|error| failed(error, doing))?;
        times.extend(listed.into_iter().map(|blob| (blob.id, blob.modified)));
    }
    let mut blobs: Vec<_> = active
        .into_iter()
        .map(|blob| Blob {
            timestamp: time_of(times.get(&blob.id).copied().flatten()),
            id: blob.id.to_string(),
            length: blob.length,
        })
        .collect();
    match line.text("sort").as_deref() {
        None | Some("time") => blobs.sort_by_key(|blob| blob.timestamp),
        Some("size") => blobs.sort_by_key(|blob| blob.length),
        Some("name") => {}
        Some(other) => {
            return Err(Trouble::failed(format!(
                "kopia: error: enum value must be one of time,size,name, got '{other}', try --help"
            )));
        }
    }
    let count = blobs.len();
    let mut list = List::begin(line)?;
    for blob in blobs {
        let text = format!("{:<60} {:>10} {} []", blob.id, blob.length, words::precise(line, blob.timestamp));
        list.push(&Index { blob, superseded: None }, || text)?;
    }
    list.end()?;
    match line.is_on("summary", false) && !line.is_on("json", false) {
        true => words::print(&format!("total {count} indexes\n")),
        false => Ok(()),
    }
}

/// What begins so is no data: indexes, logs, and what kopia keeps of itself.
const NO_DATA: [&str; 4] = ["n", "x", "_log", "kopia."];

pub(super) fn blobs(call: &Call) -> Result<(), Trouble> {
    let line = &call.line;
    let number = |name: &str| {
        let odd = |text: &String| {
            Trouble::failed(format!("kopia: error: strconv.ParseInt: parsing {text:?}: invalid syntax"))
        };
        line.text(name).map(|text| text.parse::<u64>().map_err(|_| odd(&text))).transpose()
    };
    let (least, most) = (number("min-size")?.unwrap_or(0), number("max-size")?.filter(|most| *most > 0));
    let excluded: Vec<_> =
        line.all("exclude-prefix").map(|text| text.to_string_lossy().into_owned()).collect();
    let repository = call.open()?;
    if repository.server().is_some() {
        return Err(Trouble::failed("operation supported only on direct repository"));
    }
    let prefix = line.text("prefix").unwrap_or_default();
    let listed = repository.store().list(&prefix).map_err(|error| failed(error, "error listing blobs"))?;
    let is_data_only = line.is_on("data-only", false);
    let mut list = List::begin(line)?;
    for blob in listed {
        let begins = |prefix: &str| blob.id.as_str().starts_with(prefix);
        if blob.length < least
            || most.is_some_and(|most| blob.length > most)
            || excluded.iter().any(|prefix| begins(prefix))
            || is_data_only && NO_DATA.into_iter().any(begins)
        {
            continue;
        }
        let shown = Blob { timestamp: time_of(blob.modified), id: blob.id.to_string(), length: blob.length };
        let text = || format!("{:<70} {:>10} {}", shown.id, shown.length, words::time(line, shown.timestamp));
        list.push(&shown, text)?;
    }
    list.end()
}

fn length(manifest: &Manifest) -> usize {
    manifest.data.as_ref().map_or(0, |data| data.get().len())
}

pub(super) fn manifests(call: &Call) -> Result<(), Trouble> {
    let line = &call.line;
    let mut filters = Vec::new();
    for filter in line.all("filter") {
        let filter = filter.to_string_lossy();
        let odd = || Trouble::failed(format!("invalid list filter {filter:?}, missing ':'"));
        let (key, value) = filter.split_once(':').filter(|(key, _)| !key.is_empty()).ok_or_else(odd)?;
        filters.push((key.to_owned(), value.to_owned()));
    }
    let keys: Vec<_> = line.all("sort").map(|key| key.to_string_lossy().into_owned()).collect();
    let repository = call.open()?;
    let mut found = repository.manifests().map_err(|error| failed(error, "unable to find manifests"))?;
    found.retain(|manifest| filters.iter().all(|(key, value)| manifest.labels.get(key) == Some(value)));
    found.sort_by(|one, other| {
        let by_key = keys.iter().map(|key| one.labels.get(key).cmp(&other.labels.get(key)));
        by_key.fold(Ordering::Equal, Ordering::then).then(one.modified.cmp(&other.modified))
    });
    let mut list = List::begin(line)?;
    for manifest in &found {
        let item = Item {
            id: manifest.id.to_string(),
            length: length(manifest),
            labels: &manifest.labels,
            mtime: manifest.modified,
        };
        list.push(&item, || {
            let labels = manifest.labels.iter().filter(|(key, _)| *key != TYPE_LABEL);
            let labels = labels.map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>().join(" ");
            let kind = manifest.labels.get(TYPE_LABEL).map_or("", |kind| kind);
            let time = words::time(line, manifest.modified);
            format!("{} {:>10} {time} type:{kind} {labels}", item.id, item.length)
        })?;
    }
    list.end()
}

pub(super) fn show_manifest(call: &Call) -> Result<(), Trouble> {
    let repository = call.open()?;
    let all = repository.manifests().map_err(|error| failed(error, "unable to find manifests"))?;
    for number in 0..call.line.arguments.len() {
        let name = call.line.argument(number);
        let none =
            || Trouble::failed(format!("error getting metadata for {name:?}: manifest {name}: not found"));
        let manifest = all.iter().find(|manifest| manifest.id.to_string() == name).ok_or_else(none)?;
        let time = words::time(&call.line, manifest.modified);
        let mut text = format!("// id: {name}\n// length: {}\n// modified: {time}\n", length(manifest));
        for (key, value) in &manifest.labels {
            text += &format!("// label {key}:{value}\n");
        }
        let data = manifest.data.as_ref().map_or("null", |data| data.get());
        words::print(&(text + &words::indented(data)))?;
    }
    Ok(())
}
