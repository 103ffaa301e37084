//! Storage as kopia's JSON has it: `{"type":T,"config":{…}}`.
//!
//! The same stands in configurations, in tokens and in what `kopia repository status --json` writes. Speed
//! limits lie among the fields of each kind. Authority: Kopia's `repo/blob/config.go` and the `Options` of
//! each package below `repo/blob`.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kopia_format::Timestamp;
use kopia_format::go_json::{self, Object};
use serde::Deserialize;

use super::{
    Azure, AzureParts, B2, ExternalSsh, Filesystem, Gcs, GoogleAccount, GoogleDrive, Kind, KnownHosts,
    Rclone, S3, S3Role, Server, Sftp, SshKey, Storage, Trust, WebDav,
};
use crate::{Limits, Secret, duration};

/// What is wrong with the JSON of a storage, in words that quote no value.
#[derive(Debug)]
pub(crate) enum Flaw {
    /// It makes no sense.
    Malformed(String),
    /// Its type is not one of kopia's.
    UnknownType(String),
}

impl From<go_json::Error> for Flaw {
    fn from(error: go_json::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

type Result<T, E = Flaw> = std::result::Result<T, E>;

/// Reads a storage, and the limits that lie among its fields.
pub(crate) fn storage(object: &Object<'_>) -> Result<(Storage, Limits)> {
    let name = object.value::<String>("type")?.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Flaw::Malformed("its storage has no type".into()))?;
    let kind = Kind::of_type(&name).ok_or(Flaw::UnknownType(name))?;
    let config = Fields { kind, object: object.pointer("config")?.unwrap_or_default() };
    let storage = match kind {
        Kind::Filesystem => Storage::Filesystem(config.filesystem()?),
        Kind::S3 => Storage::S3(config.s3()?),
        Kind::Gcs => Storage::Gcs(config.gcs()?),
        Kind::Azure => Storage::Azure(config.azure()?),
        Kind::B2 => Storage::B2(config.b2()?),
        Kind::GoogleDrive => Storage::GoogleDrive(config.google_drive()?),
        Kind::Sftp => Storage::Sftp(config.sftp()?),
        Kind::WebDav => Storage::WebDav(config.webdav()?),
        Kind::Rclone => Storage::Rclone(config.rclone()?),
        Kind::Server => return Err(Flaw::UnknownType("apiServer".into())),
    };
    Ok((storage, limits(&config.object)?))
}

/// Reads `apiServer`.
pub(crate) fn server(object: Object<'_>) -> Result<Server> {
    let fields = Fields { kind: Kind::Server, object };
    let trust = fields.optional("serverCertFingerprint")?.map_or(Trust::System, Trust::Fingerprint);
    Ok(Server { url: fields.required("url")?, trust })
}

/// Reads limits; those of writing mean nothing to a reader. Zero, and what is below it, is no limit.
pub(crate) fn limits(object: &Object<'_>) -> Result<Limits, go_json::Error> {
    let rate = |name| Ok::<_, go_json::Error>(object.value::<f64>(name)?.filter(|rate| *rate > 0.0));
    let count = object.value::<i64>("concurrentReads")?.and_then(|count| usize::try_from(count).ok());
    Ok(Limits {
        reads_per_second: rate("readsPerSecond")?,
        lists_per_second: rate("listsPerSecond")?,
        download_bytes_per_second: rate("maxDownloadSpeedBytesPerSecond")?,
        concurrent_reads: count.filter(|count| *count > 0),
    })
}

/// The fields of one kind.
struct Fields<'t> {
    kind: Kind,
    object: Object<'t>,
}

impl<'t> Fields<'t> {
    /// Returns a field, or what stands for zero.
    fn get<T: Deserialize<'t> + Default>(&self, name: &'static str) -> Result<T> {
        Ok(self.object.value(name)?.unwrap_or_default())
    }

    /// Returns a text, unless it is empty.
    fn optional(&self, name: &'static str) -> Result<Option<String>> {
        Ok(self.object.value::<String>(name)?.filter(|text| !text.is_empty()))
    }

    /// Returns a text without which nothing can be reached.
    fn required(&self, name: &'static str) -> Result<String> {
        let missing = || Flaw::Malformed(format!("{} needs {name:?}, which is not given", self.kind));
        self.optional(name)?.ok_or_else(missing)
    }

    fn secret(&self, name: &'static str) -> Result<Option<Secret>> {
        Ok(self.optional(name)?.map(Secret::new))
    }

    fn path(&self, name: &'static str) -> Result<Option<PathBuf>> {
        Ok(self.optional(name)?.map(PathBuf::from))
    }

    fn list(&self, name: &'static str) -> Result<Vec<String>> {
        Ok(self.object.pointer(name)?.unwrap_or_default())
    }

    /// Returns a duration, unless it is zero.
    fn duration(&self, name: &'static str) -> Result<Option<Duration>> {
        let Some(text) = self.object.text(name) else { return Ok(None) };
        // Kopia takes a text alone, and a number is no less clear.
        let text = text.trim_matches('"');
        if text.is_empty() {
            return Ok(None);
        }
        let bad = || Flaw::from(go_json::Error::Field { name });
        let duration = duration::parse(&text.replace(r"\u00b5", "µ")).ok_or_else(bad)?;
        Ok(Some(duration).filter(|duration| !duration.is_zero()))
    }

    fn time(&self, name: &'static str) -> Result<Option<Timestamp>> {
        let Some(text) = self.object.pointer::<String>(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| go_json::Error::Field { name }.into())
    }

    /// Returns bytes, which Go writes in base64.
    fn bytes(&self, name: &'static str) -> Result<Option<Vec<u8>>> {
        let Some(text) = self.optional(name)? else { return Ok(None) };
        STANDARD.decode(text).map(Some).map_err(|_| go_json::Error::Field { name }.into())
    }

    fn filesystem(&self) -> Result<Filesystem> {
        Ok(Filesystem { path: self.required("path")?.into() })
    }

    fn s3(&self) -> Result<S3> {
        let role = S3Role {
            arn: self.get("roleARN")?,
            session_name: self.optional("sessionName")?,
            duration: self.duration("duration")?,
            endpoint: self.optional("roleEndpoint")?,
            region: self.optional("roleRegion")?,
        };
        Ok(S3 {
            bucket: self.required("bucket")?,
            prefix: self.get("prefix")?,
            endpoint: self.optional("endpoint")?,
            region: self.optional("region")?,
            disable_tls: self.get("doNotUseTLS")?,
            disable_tls_verification: self.get("doNotVerifyTLS")?,
            root_ca: self.bytes("rootCA")?,
            access_key: self.optional("accessKeyID")?,
            secret_key: self.secret("secretAccessKey")?,
            session_token: self.secret("sessionToken")?,
            role: Some(role).filter(|role| !role.arn.is_empty()),
            profile: None,
            point_in_time: self.time("pointInTime")?,
        })
    }

    fn gcs(&self) -> Result<Gcs> {
        Ok(Gcs {
            bucket: self.required("bucket")?,
            prefix: self.get("prefix")?,
            account: self.google_account()?,
            point_in_time: self.time("pointInTime")?,
        })
    }

    fn google_drive(&self) -> Result<GoogleDrive> {
        Ok(GoogleDrive { folder_id: self.required("folderID")?, account: self.google_account()? })
    }

    /// Credentials that are embedded go before a file of them.
    fn google_account(&self) -> Result<GoogleAccount> {
        if let Some(json) = self.object.text("credentials") {
            return Ok(GoogleAccount::Json(json.into()));
        }
        Ok(self.path("credentialsFile")?.map_or(GoogleAccount::Ambient, GoogleAccount::File))
    }

    fn azure(&self) -> Result<Azure> {
        let parts = AzureParts {
            sas: self.secret("sasToken")?,
            key: self.secret("storageKey")?,
            tenant: self.optional("TenantID")?,
            client: self.optional("ClientID")?,
            client_secret: self.secret("ClientSecret")?,
            certificate: self.secret("clientCertificate")?,
            token_file: self.path("azureFederatedTokenFile")?,
        };
        Ok(Azure {
            container: self.required("container")?,
            prefix: self.get("prefix")?,
            account: self.get("storageAccount")?,
            domain: self.optional("storageDomain")?,
            disable_tls: self.get("doNotUseTLS")?,
            identity: parts.identity(),
            point_in_time: self.time("pointInTime")?,
        })
    }

    fn b2(&self) -> Result<B2> {
        Ok(B2 {
            bucket: self.required("bucket")?,
            prefix: self.get("prefix")?,
            key_id: self.get("keyID")?,
            key: self.secret("key")?,
        })
    }

    fn sftp(&self) -> Result<Sftp> {
        let key = match (self.secret("keyData")?, self.path("keyfile")?) {
            (Some(text), _) => Some(SshKey::Text(text)),
            (None, file) => file.map(SshKey::File),
        };
        let known_hosts = match (self.optional("knownHostsData")?, self.path("knownHostsFile")?) {
            (Some(text), _) => Some(KnownHosts::Text(text)),
            (None, file) => file.map(KnownHosts::File),
        };
        let external = ExternalSsh {
            command: self.optional("sshCommand")?,
            arguments: super::options::split(&self.get::<String>("sshArguments")?),
        };
        Ok(Sftp {
            path: self.required("path")?,
            host: self.required("host")?,
            port: Some(self.get::<u16>("port")?).filter(|port| *port != 0),
            username: self.get("username")?,
            password: self.secret("password")?,
            key,
            passphrase: None,
            known_hosts,
            external: self.get::<bool>("externalSSH")?.then_some(external),
        })
    }

    fn webdav(&self) -> Result<WebDav> {
        Ok(WebDav {
            url: self.required("url")?,
            username: self.optional("username")?,
            password: self.secret("password")?,
            certificate_fingerprint: self.optional("trustedServerCertificateFingerprint")?,
        })
    }

    fn rclone(&self) -> Result<Rclone> {
        Ok(Rclone {
            remote_path: self.required("remotePath")?,
            program: self.path("rcloneExe")?,
            arguments: self.list("rcloneArgs")?,
            environment: self.list("rcloneEnv")?.into_iter().map(Secret::new).collect(),
            startup_timeout: self.duration("startupTimeout")?,
            embedded_config: self.secret("embeddedConfig")?,
        })
    }
}

#[cfg(test)]
mod tests;
