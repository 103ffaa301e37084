//! The storage of a configuration, made of the options of its kind.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::fields::Fields;
use super::{Given, Ordered, bad};
use crate::{Error, Result, Secret, config_file, file, token};

/// How files and directories are made where nothing else is said: for their owner alone.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// Where a repository is kept, as kopia's configuration has it.
#[derive(Clone)]
pub struct Place {
    /// The field of the configuration that it stands in: `storage` or `apiServer`.
    pub(super) field: &'static str,
    pub(super) json: Zeroizing<String>,
    /// The password that came with it, by a token.
    password: Option<Secret>,
}

impl Place {
    /// Makes it of what follows `kopia repository connect`: a kind, and its options.
    ///
    /// # Errors
    /// [`Error::Option`] for an option that is missing, unknown or makes no sense, [`Error::UnknownStorage`],
    /// [`Error::Read`] for files that are to be embedded, and those of [`token::parse`] and
    /// [`Configuration::read`](config_file::Configuration::read).
    pub fn new(kind: &str, given: Given) -> Result<Self> {
        let mut fields = Fields::new(given);
        let name = match kind {
            "filesystem" => filesystem(&mut fields).map(|()| "filesystem"),
            "s3" => s3(&mut fields).map(|()| "s3"),
            "azure" => azure(&mut fields).map(|()| "azureBlob"),
            "gcs" => gcs(&mut fields).map(|()| "gcs"),
            "b2" => b2(&mut fields).map(|()| "b2"),
            "sftp" => sftp(&mut fields).map(|()| "sftp"),
            "webdav" => webdav(&mut fields).map(|()| "webdav"),
            "rclone" => rclone(&mut fields).map(|()| "rclone"),
            "gdrive" => gdrive(&mut fields).map(|()| "gdrive"),
            "server" => return server(fields),
            "from-config" => return from_config(fields),
            _ => return Err(Error::UnknownStorage { name: kind.into() }),
        }?;
        let config = text(&fields.finish()?);
        Ok(Self::storage(Zeroizing::new(format!(r#"{{"type":"{name}","config":{}}}"#, &*config))))
    }

    fn storage(json: Zeroizing<String>) -> Self {
        Self { field: "storage", json, password: None }
    }

    /// Returns the password that came with it.
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }
}

/// Secrets may be in it, so errors and `Debug` show nothing.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("field", &self.field).finish_non_exhaustive()
    }
}

fn text(fields: &Ordered) -> Zeroizing<String> {
    Zeroizing::new(serde_json::to_string(fields).expect("plain values"))
}

fn filesystem(fields: &mut Fields) -> Result<()> {
    let path = fields.filled("path").unwrap_or_default();
    if !Path::new(&path).is_absolute() {
        return Err(bad("path", "filesystem repository path must be absolute"));
    }
    fields.object.put("path", path);
    // What is no number is left out, as kopia does.
    let mut mode = |option, default| {
        let given = fields.filled(option).and_then(|text| u32::from_str_radix(&text, 8).ok());
        given.unwrap_or(default)
    };
    let (files, directories) = (mode("file-mode", FILE_MODE), mode("dir-mode", DIRECTORY_MODE));
    fields.object.put("fileMode", files);
    fields.object.put("dirMode", directories);
    fields.whole_if("owner-uid", "uid")?;
    fields.whole_if("owner-gid", "gid")?;
    fields.sharded()
}

fn s3(fields: &mut Fields) -> Result<()> {
    fields.text("bucket", "bucket");
    fields.text_if("prefix", "prefix");
    let endpoint = fields.filled("endpoint").unwrap_or_else(|| "s3.amazonaws.com".into());
    fields.object.put("endpoint", endpoint);
    fields.switch_if("disable-tls", "doNotUseTLS");
    fields.switch_if("disable-tls-verification", "doNotVerifyTLS");
    let encoded = fields.filled("root-ca-pem-base64");
    let file = fields.filled("root-ca-pem-path");
    match (encoded, file) {
        (Some(text), _) => {
            STANDARD.decode(&text).map_err(|_| bad("root-ca-pem-base64", "it is no base64"))?;
            fields.object.put("rootCA", text);
        }
        (None, Some(name)) => {
            let bytes = file::read(Path::new(&name))?;
            fields.object.put("rootCA", STANDARD.encode(bytes.as_bytes()));
        }
        (None, None) => {}
    }
    fields.text("access-key", "accessKeyID");
    fields.text("secret-access-key", "secretAccessKey");
    fields.text("session-token", "sessionToken");
    for field in ["roleARN", "sessionName"] {
        fields.object.put(field, "");
    }
    fields.object.put("duration", "0s");
    for field in ["roleEndpoint", "roleRegion"] {
        fields.object.put(field, "");
    }
    fields.text_if("region", "region");
    fields.limits()?;
    fields.time_if("point-in-time", "pointInTime")
}

fn azure(fields: &mut Fields) -> Result<()> {
    fields.text("container", "container");
    for (option, field) in [
        ("prefix", "prefix"),
        ("storage-account", "storageAccount"),
        ("storage-key", "storageKey"),
        ("sas-token", "sasToken"),
        ("tenant-id", "TenantID"),
        ("client-id", "ClientID"),
        ("client-secret", "ClientSecret"),
        ("client-cert", "clientCertificate"),
        ("azure-federated-token-file", "azureFederatedTokenFile"),
        ("storage-domain", "storageDomain"),
    ] {
        fields.text_if(option, field);
    }
    fields.limits()?;
    fields.time_if("point-in-time", "pointInTime")
}

fn gcs(fields: &mut Fields) -> Result<()> {
    fields.text("bucket", "bucket");
    fields.text_if("prefix", "prefix");
    fields.google()?;
    fields.limits()?;
    fields.time_if("point-in-time", "pointInTime")
}

fn gdrive(fields: &mut Fields) -> Result<()> {
    fields.text("folder-id", "folderID");
    fields.google()?;
    fields.limits()
}

fn b2(fields: &mut Fields) -> Result<()> {
    fields.text("bucket", "bucket");
    fields.text_if("prefix", "prefix");
    fields.text("key-id", "keyID");
    fields.text("key", "key");
    fields.limits()
}

fn sftp(fields: &mut Fields) -> Result<()> {
    let absolute = |name: String| {
        let path = std::path::absolute(&name).unwrap_or_else(|_| name.into());
        path.to_string_lossy().into_owned()
    };
    fields.text("path", "path");
    fields.text("host", "host");
    let port = fields.whole("port")?.unwrap_or(22);
    fields.object.put("port", port);
    fields.text("username", "username");
    let (password, external) = (fields.take("sftp-password").unwrap_or_default(), fields.is_on("external"));
    let mut key = (fields.filled("keyfile"), fields.filled("key-data"));
    let mut hosts = (fields.filled("known-hosts"), fields.filled("known-hosts-data"));
    if fields.is_on("embed-credentials") && !external {
        for pair in [&mut key, &mut hosts] {
            if let (Some(name), None) = &pair {
                *pair = (None, Some(file::read(Path::new(name))?.to_string()));
            }
        }
    }
    if !external && password.is_empty() && key == (None, None) {
        return Err(bad("keyfile", "must provide either --sftp-password, --keyfile or --key-data"));
    }
    if !external && hosts == (None, None) {
        return Err(bad("known-hosts", "must provide either --known-hosts or --known-hosts-data"));
    }
    fields.object.put("password", password);
    for (field, text) in [
        ("keyfile", key.0.map(absolute)),
        ("keyData", key.1),
        ("knownHostsFile", hosts.0.map(absolute)),
        ("knownHostsData", hosts.1),
    ] {
        if let Some(text) = text {
            fields.object.put(field, text);
        }
    }
    fields.object.put("externalSSH", external);
    let command = fields.filled("ssh-command").unwrap_or_else(|| "ssh".into());
    fields.object.put("sshCommand", command);
    fields.text_if("ssh-args", "sshArguments");
    fields.sharded()
}

fn webdav(fields: &mut Fields) -> Result<()> {
    fields.text("url", "url");
    fields.text_if("webdav-username", "username");
    fields.text_if("webdav-password", "password");
    let atomic = fields.is_on("atomic-writes");
    fields.object.put("atomicWrites", atomic);
    fields.sharded()
}

fn rclone(fields: &mut Fields) -> Result<()> {
    fields.text("remote-path", "remotePath");
    fields.text_if("rclone-exe", "rcloneExe");
    for (option, field) in [("rclone-args", "rcloneArgs"), ("rclone-env", "rcloneEnv")] {
        let list: Vec<_> = fields.all(option).iter().map(|text| text.reveal().to_owned()).collect();
        if !list.is_empty() {
            fields.object.put(field, list);
        }
    }
    fields.duration_if("rclone-startup-timeout", "startupTimeout", "15s")?;
    fields.switch_if("rclone-debug", "debug");
    fields.switch_if("rclone-nowait-for-transfers", "noWaitForTransfers");
    if let Some(name) = fields.filled("embed-rclone-config") {
        let text = file::read(Path::new(&name))?;
        fields.object.put("embeddedConfig", text.to_string());
    }
    let atomic = fields.take("atomic-writes").is_none_or(|value| value == "true");
    fields.object.put("atomicWrites", atomic);
    fields.sharded()
}

fn server(mut fields: Fields) -> Result<Place> {
    let url = fields.filled("url").unwrap_or_default();
    fields.object.put("url", url.trim_end_matches('/'));
    let fingerprint = fields.take("server-cert-fingerprint").unwrap_or_default().to_ascii_lowercase();
    fields.object.put("serverCertFingerprint", fingerprint);
    let algorithm =
        fields.filled("local-cache-key-derivation-algorithm").unwrap_or_else(|| "scrypt-65536-8-1".into());
    fields.object.put("localCacheKeyDerivationAlgorithm", algorithm);
    Ok(Place { field: "apiServer", json: text(&fields.finish()?), password: None })
}

/// Takes the storage of another configuration, or of a token.
fn from_config(mut fields: Fields) -> Result<Place> {
    if let Some(name) = fields.filled("file") {
        let text = file::read(Path::new(&name))?;
        // It is parsed as a whole first, so that what is wrong with it is said.
        let parsed = config_file::Configuration::parse(&text, &name)?;
        let servers_too = "connection file does not specify blob storage connection parameters, kopia server \
                           connections are not supported";
        let none = || Error::Config { what: name.clone(), why: servers_too.into() };
        let storage = config_file::storage_text(&text).filter(|_| parsed.storage.is_some());
        return Ok(Place::storage(Zeroizing::new(storage.ok_or_else(none)?.to_owned())));
    }
    let given = match (fields.filled("token"), fields.filled("token-file")) {
        (Some(token), _) => Zeroizing::new(token),
        (None, Some(name)) => file::read(Path::new(&name))?,
        (None, None) => {
            return Err(bad(
                "file",
                "one of --file, --token-file, --token-stdin or --token must be provided",
            ));
        }
    };
    let connection = token::parse(&given)?;
    let json = token::decoded(&given)?;
    let storage = config_file::storage_text(&json).unwrap_or_default().to_owned();
    let password =
        connection.password.map(|password| String::from_utf8_lossy(password.as_bytes()).into_owned());
    Ok(Place { password: password.map(Secret::new), ..Place::storage(Zeroizing::new(storage)) })
}

impl Place {
    /// Describes it as kopia does where no description is given.
    pub(super) fn description(&self) -> String {
        let fields: serde_json::Value = serde_json::from_str(&self.json).unwrap_or_default();
        let text = |name: &str| fields["config"][name].as_str().unwrap_or_default().to_owned();
        if self.field == "apiServer" {
            return format!("API Server: {}", fields["url"].as_str().unwrap_or_default());
        }
        let place = match fields["type"].as_str().unwrap_or_default() {
            "filesystem" => format!("Filesystem: {}", text("path")),
            "s3" => format!("S3: {} {}", text("endpoint"), text("bucket")),
            "azureBlob" => format!("Azure: {}", text("container")),
            "gcs" => format!("GCS: {}", text("bucket")),
            "b2" => format!("B2: {}", text("bucket")),
            "gdrive" => format!("Google Drive: {}", text("folderID")),
            "rclone" => format!("RClone {}", text("remotePath")),
            "sftp" => format!("SFTP {}@{}", text("username"), text("host")),
            "webdav" => format!("WebDAV: {}", text("url")),
            other => other.to_owned(),
        };
        format!("Repository in {place}")
    }
}
