//! All options, for those who describe them.

use crate::storage::Kind;

/// An option, under the name that a URL and the command give it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Known {
    /// Its name, without hyphens before it. It is Kopia's where Kopia has such an option.
    pub name: &'static str,
    /// What its value is called; a switch has none.
    pub value: Option<&'static str>,
    /// What it says, in a sentence.
    pub about: &'static str,
    /// The variable that says the same where the option is not given.
    pub variable: Option<&'static str>,
    /// The kinds of storage that know it.
    pub kinds: &'static [Kind],
    /// Whether each of several values counts.
    pub is_list: bool,
    /// Whether it is a secret, which others can see among the arguments of a process.
    pub is_secret: bool,
}

impl Known {
    /// Returns whether it means something to every kind of storage.
    pub fn is_common(&self) -> bool {
        self.kinds.len() == ALL.len()
    }

    const fn new(
        name: &'static str,
        kinds: &'static [Kind],
        value: &'static str,
        about: &'static str,
    ) -> Self {
        Self { name, value: Some(value), about, variable: None, kinds, is_list: false, is_secret: false }
    }

    const fn switch(name: &'static str, kinds: &'static [Kind], about: &'static str) -> Self {
        Self { value: None, ..Self::new(name, kinds, "", about) }
    }

    const fn list(self) -> Self {
        Self { is_list: true, ..self }
    }

    const fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    const fn variable(self, name: &'static str) -> Self {
        Self { variable: Some(name), ..self }
    }
}

use Kind::{Azure, B2, Gcs, GoogleDrive, Rclone, S3, Server, Sftp, WebDav};

const ALL: &[Kind] = &Kind::ALL;

/// All options, those of all kinds first.
pub const KNOWN: &[Known] = &[
    Known::new(
        "limit-download",
        ALL,
        "RATE",
        "Read at most so many bytes per second, such as 500K or 20M; 0 is no limit.",
    ),
    Known::new("read-requests-per-second", ALL, "N", "Make at most so many requests for blobs per second."),
    Known::new("list-requests-per-second", ALL, "N", "Make at most so many requests for lists per second."),
    Known::new("concurrent-reads", ALL, "N", "Have at most so many requests under way."),
    Known::new("prefix", &[S3, Gcs, Azure, B2], "PREFIX", "What all names begin with, byte for byte."),
    Known::new("endpoint", &[S3], "HOST[:PORT]", "The server; Amazon's if none is given."),
    Known::new("region", &[S3], "REGION", "The region; it is asked for if none is given."),
    Known::new("access-key", &[S3], "ID", "The id of the access key; an empty one stands for a role.")
        .variable("AWS_ACCESS_KEY_ID"),
    Known::new("secret-access-key", &[S3], "KEY", "The access key.")
        .secret()
        .variable("AWS_SECRET_ACCESS_KEY"),
    Known::new("session-token", &[S3], "TOKEN", "The token of keys that expire.")
        .secret()
        .variable("AWS_SESSION_TOKEN"),
    Known::new(
        "profile",
        &[S3],
        "NAME",
        "The section of ~/.aws/config and ~/.aws/credentials to take credentials from.",
    )
    .variable("AWS_PROFILE"),
    Known::new("role-arn", &[S3], "ARN", "The role to assume with the keys."),
    Known::switch("disable-tls", &[S3, Azure], "Speak HTTP without TLS."),
    Known::switch("disable-tls-verification", &[S3], "Take any certificate."),
    Known::new(
        "root-ca-pem-path",
        &[S3, Server],
        "FILE",
        "Trust these certificates in place of the system's.",
    ),
    Known::new("root-ca-pem-base64", &[S3, Server], "BASE64", "The same, as a text in base64.")
        .variable("ROOT_CA_PEM_BASE64"),
    Known::new(
        "point-in-time",
        &[S3, Gcs, Azure],
        "TIME",
        "Show the bucket as it was then; it needs versioning.",
    ),
    Known::new("credentials-file", &[Gcs, GoogleDrive], "FILE", "The file of credentials.")
        .variable("GOOGLE_APPLICATION_CREDENTIALS"),
    Known::new("storage-account", &[Azure], "NAME", "The storage account.").variable("AZURE_STORAGE_ACCOUNT"),
    Known::new("storage-key", &[Azure], "KEY", "The account's key.").secret().variable("AZURE_STORAGE_KEY"),
    Known::new("sas-token", &[Azure], "SAS", "A shared access signature.")
        .secret()
        .variable("AZURE_STORAGE_SAS_TOKEN"),
    Known::new(
        "storage-domain",
        &[Azure],
        "DOMAIN",
        "The domain of accounts; Azure's public cloud if none is given.",
    )
    .variable("AZURE_STORAGE_DOMAIN"),
    Known::new("tenant-id", &[Azure], "ID", "The tenant of the application that asks.")
        .variable("AZURE_TENANT_ID"),
    Known::new("client-id", &[Azure], "ID", "The application that asks.").variable("AZURE_CLIENT_ID"),
    Known::new("client-secret", &[Azure], "SECRET", "Its secret.").secret().variable("AZURE_CLIENT_SECRET"),
    Known::new("client-cert", &[Azure], "PEM", "Its certificate and private key.")
        .secret()
        .variable("AZURE_CLIENT_CERTIFICATE"),
    Known::new("azure-federated-token-file", &[Azure], "FILE", "The file of its token: workload identity.")
        .variable("AZURE_FEDERATED_TOKEN_FILE"),
    Known::switch("managed-identity", &[Azure], "Ask as the machine's identity."),
    Known::new("key-id", &[B2], "ID", "The id of the application key.").variable("B2_KEY_ID"),
    Known::new("key", &[B2], "KEY", "The application key.").secret().variable("B2_KEY"),
    Known::new("path", &[Sftp], "DIRECTORY", "The directory on the server."),
    Known::new("username", &[Sftp], "NAME", "The user."),
    Known::new("port", &[Sftp], "PORT", "The port; 22 if none is given."),
    Known::new("sftp-password", &[Sftp], "PASSWORD", "The user's password; it goes before a key.").secret(),
    Known::new("keyfile", &[Sftp], "FILE", "The private key; an agent is asked if none is given."),
    Known::new("key-data", &[Sftp], "KEY", "The private key itself.").secret(),
    Known::new("passphrase", &[Sftp], "PASSPHRASE", "What the private key is locked with.").secret(),
    Known::new("known-hosts", &[Sftp], "FILE", "The keys of servers; ~/.ssh/known_hosts if none is given."),
    Known::new("known-hosts-data", &[Sftp], "LINES", "The keys of servers themselves."),
    Known::switch("external", &[Sftp], "Have ssh connect, with its agent, jump hosts and configuration."),
    Known::new("ssh-command", &[Sftp], "PROGRAM", "What to run in place of ssh."),
    Known::new("ssh-args", &[Sftp], "ARGUMENTS", "Its arguments, split at blanks; the port is one of them."),
    Known::new("url", &[WebDav], "URL", "The directory's URL, http:// or https://."),
    Known::new("webdav-username", &[WebDav], "NAME", "The user.").variable("KOPIA_WEBDAV_USERNAME"),
    Known::new("webdav-password", &[WebDav], "PASSWORD", "The user's password.")
        .secret()
        .variable("KOPIA_WEBDAV_PASSWORD"),
    Known::new("remote-path", &[Rclone], "REMOTE:PATH", "What rclone is to serve."),
    Known::new("rclone-exe", &[Rclone], "PROGRAM", "What to run in place of rclone."),
    Known::new("rclone-args", &[Rclone], "ARGUMENT", "An argument of rclone.").list(),
    Known::new("rclone-env", &[Rclone], "NAME=VALUE", "A variable of rclone; with any, it has no others.")
        .list()
        .secret(),
    Known::new("embed-rclone-config", &[Rclone], "FILE", "The rclone.conf to use."),
    Known::new(
        "rclone-startup-timeout",
        &[Rclone],
        "DURATION",
        "How long rclone may take to start; 15s if it is not given.",
    ),
    Known::new(
        "server-cert-fingerprint",
        &[WebDav, Server],
        "HEX",
        "The SHA-256 of the server's certificate; nothing else of it is checked.",
    ),
    Known::new("override-username", ALL, "NAME", "The user who asks a server, without the host."),
    Known::new("override-hostname", ALL, "NAME", "The host that asks a server."),
];
