//! `repository status`.

use kopia_rs::connection::connecting::Edit;
use kopia_rs::{BlobRetention, EpochParameters, OpenOptions};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::call::Call;
use super::connect::hex;
use super::trouble::Trouble;
use super::words;

/// What `--json` prints, in kopia's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    config_file: String,
    #[serde(rename = "uniqueIDHex")]
    unique_id: String,
    client_options: Box<RawValue>,
    storage: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<Volume>,
    content_format: ContentFormat,
    object_format: ObjectFormat,
    blob_retention: BlobRetention,
}

#[derive(Serialize)]
struct Volume {
    capacity: u64,
    available: u64,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContentFormat {
    #[serde(skip_serializing_if = "String::is_empty")]
    hash: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    encryption: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    ecc: String,
    #[serde(skip_serializing_if = "is_zero")]
    ecc_overhead_percent: u32,
    #[serde(skip_serializing_if = "is_zero")]
    version: u32,
    #[serde(skip_serializing_if = "is_zero_size")]
    max_pack_size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    index_version: u32,
    epoch_parameters: EpochParameters,
    enable_password_change: bool,
}

#[derive(Default, Serialize)]
struct ObjectFormat {
    #[serde(skip_serializing_if = "String::is_empty")]
    splitter: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_zero_size(number: &u64) -> bool {
    *number == 0
}

/// The fields of a configuration that say who uses the repository, in kopia's order.
const CLIENT: [&str; 8] = [
    "hostname",
    "username",
    "readonly",
    "permissiveCacheLoading",
    "description",
    "enableActions",
    "formatBlobCacheDuration",
    "throttlingLimits",
];

pub(super) fn run(call: &Call) -> Result<(), Trouble> {
    let mut options = OpenOptions::default();
    options.retention = true;
    let repository = call.open_as(&options)?;
    let file = call.config_file();
    let config = Edit::parse(&call.config_text()?, &file.display().to_string())?;
    let directory = repository.server().is_none().then(|| repository.store().directory()).flatten();
    let (content_format, object_format, unique_id, more) = match repository.server() {
        // kopia shows a server without a format, too.
        Some(_) => (ContentFormat::default(), ObjectFormat::default(), String::new(), None),
        None => {
            let status =
                repository.status().map_err(|error| Trouble::reading(&error, "unable to get status"))?;
            let (ecc, percent) = status.error_correction.unwrap_or_default();
            let format = ContentFormat {
                hash: status.hash,
                encryption: status.encryption,
                ecc,
                ecc_overhead_percent: percent,
                version: status.format_version,
                max_pack_size: status.max_pack_size,
                index_version: status.index_version,
                epoch_parameters: status.epoch_parameters,
                enable_password_change: status.password_change,
            };
            let more = More { features: status.required_features, write_epoch: status.write_epoch };
            (format, ObjectFormat { splitter: status.splitter }, hex(&status.unique_id), Some(more))
        }
    };
    let status = Status {
        config_file: file.display().to_string(),
        unique_id,
        client_options: client_options(&config),
        storage: config.place(),
        volume: directory.and_then(|directory| volume(&directory)),
        content_format,
        object_format,
        blob_retention: repository.upkeep().map(|upkeep| upkeep.retention.clone()).unwrap_or_default(),
    };
    if call.line.is_on("json", false) {
        return words::print_json(&call.line, &status);
    }
    words::print(&text(&status, more.as_ref(), &config))?;
    match call.line.is_on("reconnect-token", false) && more.is_some() {
        true => words::print(&token(call, &config)?),
        false => Ok(()),
    }
}

/// What is shown to people only.
struct More {
    features: Vec<String>,
    write_epoch: Option<u64>,
}

fn client_options(config: &Edit) -> Box<RawValue> {
    let field = |name: &&str| {
        let value = config.get(name)?;
        let is_left_out =
            matches!(*name, "readonly" | "permissiveCacheLoading") && value == Value::Bool(false);
        (!is_left_out).then(|| format!("{name:?}:{value}"))
    };
    let fields = CLIENT.iter().filter_map(field).collect::<Vec<_>>().join(",");
    RawValue::from_string(format!("{{{fields}}}")).expect("JSON")
}

fn volume(directory: &std::path::Path) -> Option<Volume> {
    let of = rustix::fs::statvfs(directory).ok()?;
    Some(Volume {
        capacity: of.f_blocks.saturating_mul(of.f_frsize),
        available: of.f_bavail.saturating_mul(of.f_frsize),
    })
}

fn text(status: &Status, more: Option<&More>, config: &Edit) -> String {
    let field = |name: &str| match config.get(name) {
        Some(Value::String(text)) => text,
        Some(Value::Null) | None => String::new(),
        Some(value) => value.to_string(),
    };
    let is_read_only = config.get("readonly") == Some(Value::Bool(true));
    let mut text = format!("Config file:         {}\n\n", status.config_file);
    text += &format!("Description:         {}\n", field("description"));
    text +=
        &format!("Hostname:            {}\nUsername:            {}\n", field("hostname"), field("username"));
    text += &format!("Read-only:           {is_read_only}\n");
    let nanoseconds =
        config.get("formatBlobCacheDuration").and_then(|value| value.as_i64()).unwrap_or_default();
    let cached = if nanoseconds > 0 { words::duration(nanoseconds.into()) } else { "disabled".into() };
    text += &format!("Format blob cache:   {cached}\n");
    // Of a server kopia knows no more.
    let Some(more) = more else { return text };
    let kind = config.get("storage").and_then(|storage| storage["type"].as_str().map(str::to_owned));
    text += &format!("\nStorage type:        {}\n", kind.unwrap_or_default());
    match &status.volume {
        Some(volume) => {
            text += &format!("Storage capacity:    {}\n", words::size(volume.capacity));
            text += &format!("Storage available:   {}\n", words::size(volume.available));
        }
        None => text += "Storage capacity:    unbounded\n",
    }
    let place = Edit::parse(status.storage.get(), "storage").ok();
    let pretty = words::indented(place.as_ref().and_then(|place| place.raw("config")).unwrap_or("null"));
    text += &format!("Storage config:      {}\n", pretty.replace('\n', &format!("\n{:21}", "")));
    let format = &status.content_format;
    text += &format!("\nUnique ID:           {}\n", status.unique_id);
    text += &format!("Hash:                {}\nEncryption:          {}\n", format.hash, format.encryption);
    text += &format!("Splitter:            {}\n", status.object_format.splitter);
    text += &format!("Format version:      {}\n", format.version);
    text += &format!("Content compression: {}\n", format.index_version >= 2);
    text += &format!("Password changes:    {}\n", format.enable_password_change);
    if !more.features.is_empty() {
        text += &format!("Required Features:   {}\n", more.features.join(" "));
    }
    text += &format!("Max pack length:     {}\n", words::size(format.max_pack_size));
    text += &format!("Index Format:        v{}\n", format.index_version);
    text += &epochs(&format.epoch_parameters, more.write_epoch);
    if status.blob_retention.is_enabled() {
        text += &format!("\nBlob retention mode:     {}\n", status.blob_retention.mode);
        text +=
            &format!("Blob retention period:   {}\n", words::duration(status.blob_retention.period.into()));
    }
    text
}

fn epochs(parameters: &EpochParameters, current: Option<u64>) -> String {
    if !parameters.enabled {
        return "Epoch Manager:       disabled\n".into();
    }
    let duration = |nanoseconds: i64| words::duration(nanoseconds.into());
    let mut text = "\nEpoch Manager:       enabled\n".to_owned();
    if let Some(current) = current {
        text += &format!("Current Epoch: {current}\n");
    }
    text += &format!("\nEpoch refresh frequency: {}\n", duration(parameters.epoch_refresh_frequency));
    text += &format!(
        "Epoch advance on:        {} blobs or {}, minimum {}\n",
        parameters.epoch_advance_on_count_threshold,
        words::bytes(parameters.epoch_advance_on_total_size_bytes_threshold),
        duration(parameters.min_epoch_duration)
    );
    text += &format!("Epoch cleanup margin:    {}\n", duration(parameters.cleanup_safety_margin));
    text + &format!("Epoch range-compaction every: {} epochs\n", parameters.full_checkpoint_frequency)
}

/// Writes a token, by which another computer connects; the password is in it where that is asked for.
fn token(call: &Call, config: &Edit) -> Result<String, Trouble> {
    let password = match call.line.is_on("reconnect-token-with-password", false) {
        true => Some(call.password(call.connection()?.password.as_ref())?),
        false => None,
    };
    let none = || Trouble::failed("error computing repository token: the configuration names no storage");
    let token = config.token(password.as_ref()).ok_or_else(none)?;
    let mut text = format!(
        "\nTo reconnect to the repository use:\n\n$ kopia repository connect from-config --token {}\n\n",
        *token
    );
    if password.is_some_and(|password| !password.as_bytes().is_empty()) {
        text += "NOTICE: The token printed above can be trivially decoded to reveal the repository password. Do not \
            store it in an unsecured place.\n";
    }
    Ok(text)
}
