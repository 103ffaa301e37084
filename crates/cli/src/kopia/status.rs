//! `repository status`.

use kopia_rs::EpochParameters;
use kopia_rs::connection::connecting::Edit;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::call::Call;
use super::connect::hex;
use super::trouble::Trouble;
use super::words;

/// What `--json` prints, in kopia's order. Kopia adds `blobRetention`, which is not read here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    config_file: String,
    #[serde(rename = "uniqueIDHex")]
    unique_id: String,
    client_options: Box<RawValue>,
    storage: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<Volume>,
    content_format: ContentFormat,
    object_format: ObjectFormat,
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
    let is_asked = |name| call.line.is_on(name, false);
    if is_asked("reconnect-token") || is_asked("reconnect-token-with-password") {
        return Err(Trouble::HandOver("repository status --reconnect-token".into()));
    }
    let repository = call.open()?;
    let file = call.config_file();
    let config = Edit::parse(&call.config_text()?, &file.display().to_string())?;
    let directory = repository.server().is_none().then(|| repository.store().directory()).flatten();
    let (content_format, object_format, unique_id) = match repository.server() {
        // kopia shows a server without a format, too.
        Some(_) => (ContentFormat::default(), ObjectFormat::default(), String::new()),
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
            (format, ObjectFormat { splitter: status.splitter }, hex(&status.unique_id))
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
    };
    if call.line.is_on("json", false) {
        words::print_json(&call.line, &status)
    } else {
        text(&status, &config)
    }
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

fn text(status: &Status, config: &Edit) -> Result<(), Trouble> {
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
    if nanoseconds > 0 {
        text += &format!("Format blob cache:   {}\n", duration(nanoseconds));
    } else if nanoseconds < 0 {
        text += "Format blob cache:   disabled\n";
    }
    text += "\n";
    let kind = status.storage["type"].as_str().unwrap_or("apiServer");
    text += &format!("Storage type:        {kind}\n");
    if let Some(volume) = &status.volume {
        let size = |bytes: u64| words::bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
        text += &format!("Storage capacity:    {}\n", size(volume.capacity));
        text += &format!("Storage available:   {}\n", size(volume.available));
    }
    let pretty = serde_json::to_string_pretty(&status.storage["config"]).unwrap_or_default();
    text += &format!("Storage config:      {}\n", pretty.replace('\n', &format!("\n{:21}", "")));
    let format = &status.content_format;
    text += &format!("\nUnique ID:           {}\n", status.unique_id);
    text += &format!("Hash:                {}\nEncryption:          {}\n", format.hash, format.encryption);
    if !format.ecc.is_empty() {
        text +=
            &format!("Error correction:    {} with {}% overhead\n", format.ecc, format.ecc_overhead_percent);
    }
    text += &format!("Splitter:            {}\n", status.object_format.splitter);
    text += &format!("Format version:      {}\n", format.version);
    text += &format!("Content compression: {}\n", format.index_version >= 2);
    text += &format!("Password changes:    {}\n", format.enable_password_change);
    text += &format!(
        "Max pack length:     {}\n",
        words::bytes(i64::try_from(format.max_pack_size).unwrap_or(i64::MAX))
    );
    text += &format!("Index Format:        v{}\n\n", format.index_version);
    text += &format!(
        "Epoch Manager:       {}\n",
        if format.epoch_parameters.enabled { "enabled" } else { "disabled" }
    );
    words::print(&text)
}

/// Writes whole seconds as Go does: `15m0s`.
pub(super) fn duration(nanoseconds: i64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}
