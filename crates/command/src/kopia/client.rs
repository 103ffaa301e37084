//! What changes a configuration alone: `set-client`, `throttle`, `disconnect`.

use std::fs;
use std::path::{Component, Path, PathBuf};

use kopia_rs::connection::connecting::{Edit, Limit, set_limit};
use kopia_rs::connection::stored_password;
use serde_json::{Map, Value};

use super::call::{self, Call, info};
use super::trouble::Trouble;
use super::words::{self, bytes_per_second};

const LIMITS: &str = "throttlingLimits";

fn edit(call: &Call) -> Result<Edit, Trouble> {
    let file = call.config_file();
    Ok(Edit::parse(&call.config_text()?, &file.display().to_string())?)
}

fn save(call: &Call, edit: &Edit) -> Result<(), Trouble> {
    let unwritten = |error| Trouble::failed(format!("error writing file: {error}"));
    call::write_private(&call.config_file(), &edit.text()).map_err(unwritten)
}

/// Sets who uses the repository. It is opened first, as kopia does.
pub(super) fn set(call: &Call) -> Result<(), Trouble> {
    let mut edit = edit(call)?;
    call.open()?;
    let line = &call.line;
    let is_read_only = edit.get("readonly") == Some(Value::Bool(true));
    let mut changes = 0;
    for (option, is_set, words) in [("read-only", true, "read-only"), ("read-write", false, "read-write")] {
        if !line.is_on(option, false) {
            continue;
        }
        if is_read_only == is_set {
            info(format_args!("Repository is already in {words} mode."));
            continue;
        }
        info(format_args!("Setting repository to {words} mode."));
        if is_set {
            edit.set("readonly", true)
        } else {
            edit.remove("readonly")
        }
        changes += 1;
    }
    for (option, words) in
        [("description", "description"), ("username", "local username"), ("hostname", "local hostname")]
    {
        if let Some(value) = line.all(option).next() {
            let value = value.to_string_lossy();
            info(format_args!("Setting {words} to {value}"));
            edit.set(option, &*value);
            changes += 1;
        }
    }
    if let Some(text) = line.text("repository-format-cache-duration") {
        let odd = || Trouble::failed(format!("kopia: error: time: invalid duration {text:?}"));
        let duration = kopia_rs::connection::parse_duration(&text).ok_or_else(odd)?;
        info(format_args!("Setting format blob cache duration to {text}"));
        edit.set("formatBlobCacheDuration", i64::try_from(duration.as_nanos()).map_err(|_| odd())?);
        changes += 1;
    }
    if line.is_on("disable-repository-format-cache", false) {
        info("Disabling format blob cache");
        edit.set("formatBlobCacheDuration", -1);
        changes += 1;
    }
    if changes == 0 {
        return Err(Trouble::failed("no changes"));
    }
    save(call, &edit)
}

/// Sets how much may be asked of the store; reading keeps to it here as well.
pub(super) fn set_throttle(call: &Call) -> Result<(), Trouble> {
    let mut edit = edit(call)?;
    call.open()?;
    let mut limits = limits(&edit);
    let mut changes = 0;
    for limit in Limit::ALL {
        let Some(text) = call.line.text(limit.option).filter(|text| !text.is_empty()) else { continue };
        changes += 1;
        if matches!(&*text, "unlimited" | "-") {
            info(format_args!("Setting {} to a unlimited.", limit.words));
            set_limit(&mut limits, limit, None);
            continue;
        }
        let odd = || Trouble::failed(format!("can't parse the {} {text:?}: invalid syntax", limit.words));
        let value: f64 = match limit.is_whole {
            true => text.parse::<u32>().map(f64::from).map_err(|_| odd())?,
            false => text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(odd)?,
        };
        let shown = if limit.is_bytes { bytes_per_second(value) } else { value.to_string() };
        info(format_args!("Setting {} to {shown}.", limit.words));
        set_limit(&mut limits, limit, Some(value));
    }
    if changes == 0 {
        info("No changes made.");
        return Ok(());
    }
    edit.set(LIMITS, &limits);
    save(call, &edit)
}

/// Shows how much may be asked of the store.
pub(super) fn get_throttle(call: &Call) -> Result<(), Trouble> {
    let limits = limits(&edit(call)?);
    if call.line.is_on("json", false) {
        let order = [
            "readsPerSecond",
            "writesPerSecond",
            "listsPerSecond",
            "maxUploadSpeedBytesPerSecond",
            "maxDownloadSpeedBytesPerSecond",
            "concurrentReads",
            "concurrentWrites",
        ];
        let fields = order.iter().filter_map(|name| Some(format!("{name:?}:{}", limits.get(*name)?)));
        return words::print(&format!("{{{}}}\n", fields.collect::<Vec<_>>().join(",")));
    }
    let labels = [
        "Max Download Speed:",
        "Max Upload Speed:",
        "Max Read Requests Per Second:",
        "Max Write Requests Per Second:",
        "Max List Requests Per Second:",
        "Max Concurrent Reads:",
        "Max Concurrent Writes:",
    ];
    let mut text = String::new();
    for (limit, label) in Limit::ALL.iter().zip(labels) {
        let value = limits.get(limit.field).and_then(Value::as_f64).filter(|value| *value != 0.0);
        let shown = match value {
            None => "(unlimited)".into(),
            Some(value) if limit.is_bytes => bytes_per_second(value),
            Some(value) => format!("{value:.0}"),
        };
        text += &format!("{label:<30} {shown}\n");
    }
    words::print(&text)
}

fn limits(edit: &Edit) -> Map<String, Value> {
    match edit.get(LIMITS) {
        Some(Value::Object(limits)) => limits,
        _ => Map::new(),
    }
}

/// Removes the configuration, the password beside it, and kopia's cache that it names.
pub(super) fn disconnect(call: &Call) -> Result<(), Trouble> {
    let file = call.config_file();
    let gone = |error: std::io::Error| {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        Trouble::failed(format!(
            "unable to disconnect from repository: error loading config file: open {}: {why}",
            file.display()
        ))
    };
    let text = fs::read_to_string(&file).map_err(gone)?;
    let edit = Edit::parse(&text, &file.display().to_string())?;
    let named =
        edit.get("caching").and_then(|caching| Some(caching.get("cacheDirectory")?.as_str()?.to_owned()));
    if let Some(name) = named.filter(|name| !name.is_empty()) {
        remove_cache(&file.parent().unwrap_or(Path::new(".")).join(name));
    }
    let _ = fs::remove_file(stored_password::file(&file));
    fs::remove_file(&file).map_err(gone)
}

/// Removes a cache, if it looks like one of kopia: a configuration may name anything.
fn remove_cache(directory: &Path) {
    let Ok(directory) = std::path::absolute(directory) else { return };
    let plain: PathBuf = directory.components().filter(|part| !matches!(part, Component::CurDir)).collect();
    if plain.join("kopia.repository").is_file()
        || plain.join("metadata").is_dir() && plain.join("contents").is_dir()
    {
        let _ = fs::remove_dir_all(&plain);
    }
}
