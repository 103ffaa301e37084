//! What a store needs beside its place, under kopia's own names. A URL can say all of it, too.

use std::path::PathBuf;

use kopia_rs::connection::storage::Options;

/// Options of stores.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of stores, beside what URL, configuration or token say")]
pub(crate) struct Stores {
    /// The server of S3; Amazon's if none is given.
    #[arg(long, global = true, hide_short_help = true, value_name = "HOST[:PORT]")]
    endpoint: Option<String>,
    /// The region of S3; it is asked for if none is given.
    #[arg(long, global = true, hide_short_help = true, value_name = "REGION")]
    region: Option<String>,
    /// The id of the access key of S3; an empty one stands for a role [env: AWS_ACCESS_KEY_ID].
    #[arg(long, global = true, hide_short_help = true, value_name = "ID")]
    access_key: Option<String>,
    /// The access key; others can see arguments, so better give AWS_SECRET_ACCESS_KEY.
    #[arg(long, global = true, hide_short_help = true, value_name = "KEY")]
    secret_access_key: Option<String>,
    /// The token of keys that expire; better give AWS_SESSION_TOKEN.
    #[arg(long, global = true, hide_short_help = true, value_name = "TOKEN")]
    session_token: Option<String>,
    /// The section of ~/.aws/config and ~/.aws/credentials to take credentials from [env: AWS_PROFILE].
    #[arg(long, global = true, hide_short_help = true, value_name = "NAME")]
    profile: Option<String>,
    /// Speak HTTP without TLS, with S3 and Azure.
    #[arg(long, global = true, hide_short_help = true)]
    disable_tls: bool,
    /// Take any certificate, with S3.
    #[arg(long, global = true, hide_short_help = true)]
    disable_tls_verification: bool,
    /// Trust these certificates in place of the system's, with S3 and Kopia repository servers.
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    root_ca_pem_path: Option<PathBuf>,
    /// Show the bucket as it was then, with S3, Google and Azure.
    #[arg(long, global = true, hide_short_help = true, value_name = "TIME")]
    point_in_time: Option<String>,
    /// The account of Azure; its key or SAS come from variables [env: AZURE_STORAGE_ACCOUNT].
    #[arg(long, global = true, hide_short_help = true, value_name = "NAME")]
    storage_account: Option<String>,
    /// The file of credentials, with Google.
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    credentials_file: Option<PathBuf>,
    /// The private key, with SFTP.
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    keyfile: Option<PathBuf>,
    /// The keys of servers, with SFTP.
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
    /// The SHA-256 of the server's certificate, with WebDAV and Kopia repository servers.
    #[arg(long, global = true, hide_short_help = true, value_name = "HEX")]
    server_cert_fingerprint: Option<String>,
}

impl Stores {
    /// Returns what is given, by kopia's names.
    pub(crate) fn options(&self) -> Options {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let switch = |is_set: bool| is_set.then(String::new);
        let mut options = Options::default();
        for (name, value) in [
            ("endpoint", self.endpoint.clone()),
            ("region", self.region.clone()),
            ("access-key", self.access_key.clone()),
            ("secret-access-key", self.secret_access_key.clone()),
            ("session-token", self.session_token.clone()),
            ("profile", self.profile.clone()),
            ("disable-tls", switch(self.disable_tls)),
            ("disable-tls-verification", switch(self.disable_tls_verification)),
            ("root-ca-pem-path", path(&self.root_ca_pem_path)),
            ("point-in-time", self.point_in_time.clone()),
            ("storage-account", self.storage_account.clone()),
            ("credentials-file", path(&self.credentials_file)),
            ("keyfile", path(&self.keyfile)),
            ("known-hosts", path(&self.known_hosts)),
            ("server-cert-fingerprint", self.server_cert_fingerprint.clone()),
        ] {
            if let Some(value) = value {
                options.set(name, value);
            }
        }
        options
    }
}
