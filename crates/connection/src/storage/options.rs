//! What may be said about storage beside its place: by the query of a URL, and by options of a command.
//!
//! The names are those of kopia's own options (`cli/storage_*.go`); what kopia has no option for has a name
//! in the same style.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kopia_format::Timestamp;

use super::{
    Azure, AzureIdentity, AzureParts, B2, ExternalSsh, GoogleAccount, KnownHosts, Rclone, S3, S3Role, Server,
    Sftp, SshKey, Storage, Trust, WebDav,
};
use crate::{Environment, Error, Result, Secret, duration, file};

/// Options by their names, without hyphens before them.
#[derive(Debug, Clone, Default)]
pub struct Options(BTreeMap<String, Secret>);

impl Options {
    /// Takes an option, in place of an earlier one of that name. A switch has the value `true`, or none.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Secret>) {
        self.0.insert(name.into(), value.into());
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn secret(&mut self, name: &str) -> Option<Secret> {
        self.0.remove(name)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.secret(name).map(|value| value.reveal().into())
    }

    fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    fn switch(&mut self, name: &str) -> Result<Option<bool>> {
        let read = |value: String| match &*value {
            "" | "true" | "1" | "yes" => Ok(true),
            "false" | "0" | "no" => Ok(false),
            _ => Err(bad(name, "it is neither true nor false")),
        };
        self.text(name).map(read).transpose()
    }

    fn time(&mut self, name: &str) -> Result<Option<Timestamp>> {
        let read =
            |text: String| text.parse().map_err(|_| bad(name, "it is no time such as 2026-03-02T12:00:00Z"));
        self.text(name).map(read).transpose()
    }

    /// Returns certificates: from a file, or in base64.
    fn root_ca(&mut self) -> Result<Option<Vec<u8>>> {
        if let Some(path) = self.path("root-ca-pem-path") {
            return file::read(&path).map(|text| Some(text.as_bytes().into()));
        }
        let name = "root-ca-pem-base64";
        let read = |text: String| STANDARD.decode(text.trim()).map_err(|_| bad(name, "it is no base64"));
        self.text(name).map(read).transpose()
    }
}

fn bad(name: &str, why: impl Into<String>) -> Error {
    Error::Option { name: name.into(), why: why.into() }
}

/// Splits at single blanks, as kopia splits arguments of ssh. Nothing at all is no argument.
pub(super) fn split(arguments: &str) -> Vec<String> {
    if arguments.is_empty() {
        return Vec::new();
    }
    arguments.split(' ').map(Into::into).collect()
}

/// Replaces a field if a value is given.
fn put<T>(field: &mut T, value: Option<impl Into<T>>) {
    if let Some(value) = value {
        *field = value.into();
    }
}

impl Storage {
    /// Applies options. They replace what was said before.
    ///
    /// # Errors
    /// [`Error::Option`] for one that means nothing to this kind of storage, or makes no sense.
    pub fn apply(&mut self, mut options: Options) -> Result<()> {
        let given = &mut options;
        match self {
            Self::Filesystem(_) => {}
            Self::S3(s3) => s3.apply(given)?,
            Self::Gcs(gcs) => {
                put(&mut gcs.prefix, given.text("prefix"));
                put(&mut gcs.account, given.path("credentials-file").map(GoogleAccount::File));
                put(&mut gcs.point_in_time, given.time("point-in-time")?.map(Some));
            }
            Self::Azure(azure) => azure.apply(given)?,
            Self::B2(b2) => b2.apply(given),
            Self::GoogleDrive(drive) => {
                put(&mut drive.account, given.path("credentials-file").map(GoogleAccount::File));
            }
            Self::Sftp(sftp) => sftp.apply(given)?,
            Self::WebDav(webdav) => webdav.apply(given),
            Self::Rclone(rclone) => rclone.apply(given)?,
            Self::Server(server) => server.apply(given)?,
        }
        let unknown = options.0.into_keys().next();
        unknown.map_or(Ok(()), |name| Err(bad(&name, format!("it means nothing to {}", self.kind()))))
    }

    /// Takes from variables what kopia takes from them when it connects, where nothing else said it.
    ///
    /// # Errors
    /// [`Error::Option`] for `ROOT_CA_PEM_BASE64` that is no base64.
    pub fn complete(&mut self, environment: &Environment) -> Result<()> {
        let owned = |name| environment.var(name).map(str::to_owned);
        match self {
            Self::S3(s3) if s3.root_ca.is_none() => {
                let mut options = Options::default();
                if let Some(certificates) = owned("ROOT_CA_PEM_BASE64") {
                    options.set("root-ca-pem-base64", certificates);
                }
                s3.root_ca = options.root_ca()?;
            }
            Self::Azure(azure) => azure.complete(environment),
            Self::B2(b2) => {
                if b2.key_id.is_empty() {
                    put(&mut b2.key_id, owned("B2_KEY_ID"));
                }
                b2.key = b2.key.take().or_else(|| owned("B2_KEY").map(Secret::new));
            }
            Self::WebDav(webdav) => {
                webdav.username = webdav.username.take().or_else(|| owned("KOPIA_WEBDAV_USERNAME"));
                let password = || owned("KOPIA_WEBDAV_PASSWORD").map(Secret::new);
                webdav.password = webdav.password.take().or_else(password);
            }
            _ => {}
        }
        Ok(())
    }
}

impl S3 {
    fn apply(&mut self, given: &mut Options) -> Result<()> {
        put(&mut self.prefix, given.text("prefix"));
        put(
            &mut self.endpoint,
            given.text("endpoint").map(|endpoint| Some(endpoint).filter(|it| !it.is_empty())),
        );
        put(&mut self.region, given.text("region").map(Some));
        put(&mut self.disable_tls, given.switch("disable-tls")?);
        put(&mut self.disable_tls_verification, given.switch("disable-tls-verification")?);
        put(&mut self.root_ca, given.root_ca()?.map(Some));
        put(
            &mut self.access_key,
            given.text("access-key").map(|key| Some(key).filter(|key| !key.is_empty())),
        );
        let secret = |secret: Secret| Some(secret).filter(|secret| !secret.reveal().is_empty());
        put(&mut self.secret_key, given.secret("secret-access-key").map(secret));
        put(&mut self.session_token, given.secret("session-token").map(secret));
        put(&mut self.profile, given.text("profile").map(Some));
        put(&mut self.role, given.text("role-arn").map(|arn| Some(S3Role { arn, ..S3Role::default() })));
        put(&mut self.point_in_time, given.time("point-in-time")?.map(Some));
        self.without_scheme();
        Ok(())
    }

    /// Takes the scheme from the endpoint, as people write one where kopia wants none.
    fn without_scheme(&mut self) {
        let Some(endpoint) = &self.endpoint else { return };
        if let Some(host) = endpoint.strip_prefix("https://") {
            self.endpoint = Some(host.trim_end_matches('/').into());
        } else if let Some(host) = endpoint.strip_prefix("http://") {
            self.disable_tls = true;
            self.endpoint = Some(host.trim_end_matches('/').into());
        }
    }
}

impl Azure {
    fn apply(&mut self, given: &mut Options) -> Result<()> {
        put(&mut self.prefix, given.text("prefix"));
        put(&mut self.account, given.text("storage-account"));
        put(&mut self.domain, given.text("storage-domain").map(Some));
        put(&mut self.disable_tls, given.switch("disable-tls")?);
        put(&mut self.point_in_time, given.time("point-in-time")?.map(Some));
        let parts = AzureParts {
            sas: given.secret("sas-token"),
            key: given.secret("storage-key"),
            tenant: given.text("tenant-id"),
            client: given.text("client-id"),
            client_secret: given.secret("client-secret"),
            certificate: given.secret("client-cert"),
            token_file: given.path("azure-federated-token-file"),
        };
        if given.switch("managed-identity")?.unwrap_or_default() {
            self.identity = Some(AzureIdentity::Managed { client: parts.client });
            return Ok(());
        }
        let is_partial = parts.tenant.is_some() || parts.client.is_some();
        let identity = parts.identity();
        if is_partial && identity.is_none() {
            let why = "it needs tenant-id, client-id and one of client-secret, client-cert, azure-federated-token-file";
            return Err(bad("client-id", why));
        }
        put(&mut self.identity, identity.map(Some));
        Ok(())
    }

    fn complete(&mut self, environment: &Environment) {
        let owned = |name| environment.var(name).map(str::to_owned);
        if self.account.is_empty() {
            put(&mut self.account, owned("AZURE_STORAGE_ACCOUNT"));
        }
        self.domain = self.domain.take().or_else(|| owned("AZURE_STORAGE_DOMAIN"));
        let parts = || AzureParts {
            sas: owned("AZURE_STORAGE_SAS_TOKEN").map(Secret::new),
            key: owned("AZURE_STORAGE_KEY").map(Secret::new),
            tenant: owned("AZURE_TENANT_ID"),
            client: owned("AZURE_CLIENT_ID"),
            client_secret: owned("AZURE_CLIENT_SECRET").map(Secret::new),
            certificate: owned("AZURE_CLIENT_CERTIFICATE").map(Secret::new),
            token_file: owned("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
        };
        self.identity = self.identity.take().or_else(|| parts().identity());
    }
}

impl B2 {
    fn apply(&mut self, given: &mut Options) {
        put(&mut self.prefix, given.text("prefix"));
        put(&mut self.key_id, given.text("key-id"));
        put(&mut self.key, given.secret("key").map(Some));
    }
}

impl Sftp {
    fn apply(&mut self, given: &mut Options) -> Result<()> {
        put(&mut self.username, given.text("username"));
        put(&mut self.password, given.secret("sftp-password").map(Some));
        put(&mut self.key, given.path("keyfile").map(|file| Some(SshKey::File(absolute(&file)))));
        put(&mut self.passphrase, given.secret("passphrase").map(Some));
        put(
            &mut self.known_hosts,
            given.path("known-hosts").map(|file| Some(KnownHosts::File(absolute(&file)))),
        );
        let (command, arguments) = (given.text("ssh-command"), given.text("ssh-args"));
        match given.switch("external")? {
            Some(false) => self.external = None,
            None if command.is_none() && arguments.is_none() => {}
            _ => {
                let external = self.external.get_or_insert_with(ExternalSsh::default);
                put(&mut external.command, command.map(Some));
                put(&mut external.arguments, arguments.map(|text| split(&text)));
            }
        }
        Ok(())
    }
}

/// Returns a path that leads to the same file wherever this process, or a child, is.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

impl WebDav {
    fn apply(&mut self, given: &mut Options) {
        put(&mut self.username, given.text("webdav-username").map(Some));
        put(&mut self.password, given.secret("webdav-password").map(Some));
        put(&mut self.certificate_fingerprint, given.text("server-cert-fingerprint").map(Some));
    }
}

impl Rclone {
    fn apply(&mut self, given: &mut Options) -> Result<()> {
        put(&mut self.program, given.path("rclone-exe").map(Some));
        put(&mut self.arguments, given.text("rclone-args").map(|text| split(&text)));
        let name = "rclone-startup-timeout";
        let timeout = given.text(name);
        let read =
            |text: String| duration::parse(&text).ok_or_else(|| bad(name, "it is no duration such as 30s"));
        put(&mut self.startup_timeout, timeout.map(read).transpose()?.map(Some));
        Ok(())
    }
}

impl Server {
    fn apply(&mut self, given: &mut Options) -> Result<()> {
        put(&mut self.trust, given.text("server-cert-fingerprint").map(Trust::Fingerprint));
        put(&mut self.trust, given.root_ca()?.map(Trust::Roots));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
