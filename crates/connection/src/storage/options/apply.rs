//! What each option means to each kind of storage.

use std::path::{Path, PathBuf};

use super::{Options, bad, put, split};
use crate::storage::{
    Azure, AzureIdentity, AzureParts, B2, ExternalSsh, GoogleAccount, KnownHosts, Rclone, S3, S3Role, Server,
    Sftp, SshKey, Storage, Trust, WebDav,
};
use crate::{Environment, Result, Secret, duration, file};

impl Storage {
    /// Applies options. They replace what was said before.
    ///
    /// # Errors
    /// [`Error::Option`](crate::Error::Option) for one that means nothing to this kind of storage, or makes no sense.
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
    /// [`Error::Option`](crate::Error::Option) for `ROOT_CA_PEM_BASE64` that is no base64.
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
        put(&mut self.path, given.text("path"));
        put(&mut self.username, given.text("username"));
        put(&mut self.password, given.secret("sftp-password").map(Some));
        put(&mut self.port, given.port("port")?.map(Some));
        // Texts go before files, as with kopia.
        put(&mut self.key, given.path("keyfile").map(|file| Some(SshKey::File(absolute(&file)))));
        put(&mut self.key, given.secret("key-data").map(|text| Some(SshKey::Text(text))));
        put(&mut self.passphrase, given.secret("passphrase").map(Some));
        put(
            &mut self.known_hosts,
            given.path("known-hosts").map(|file| Some(KnownHosts::File(absolute(&file)))),
        );
        put(&mut self.known_hosts, given.text("known-hosts-data").map(|text| Some(KnownHosts::Text(text))));
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
        put(&mut self.url, given.text("url"));
        put(&mut self.username, given.text("webdav-username").map(Some));
        put(&mut self.password, given.secret("webdav-password").map(Some));
        put(&mut self.certificate_fingerprint, given.text("server-cert-fingerprint").map(Some));
    }
}

impl Rclone {
    fn apply(&mut self, given: &mut Options) -> Result<()> {
        put(&mut self.remote_path, given.text("remote-path"));
        put(&mut self.program, given.path("rclone-exe").map(Some));
        // Each is one argument, whatever blanks it has.
        let reveal = |all: Vec<Secret>| all.iter().map(|one| one.reveal().to_owned()).collect::<Vec<_>>();
        put(&mut self.arguments, given.all("rclone-args").map(reveal));
        put(&mut self.environment, given.all("rclone-env"));
        if let Some(path) = given.path("embed-rclone-config") {
            self.embedded_config = Some(Secret::new(file::read(&path)?.as_str()));
        }
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
