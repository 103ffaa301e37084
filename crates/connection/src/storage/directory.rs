//! Directories, near and far: blobs lie in shard directories, as in Kopia's `repo/blob/sharded`.

use std::path::PathBuf;
use std::time::Duration;

use crate::Secret;

/// A directory of the local system. Authority: Kopia's `repo/blob/filesystem/filesystem_options.go`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Filesystem {
    /// The directory.
    pub path: PathBuf,
}

/// A directory of an SSH server. Authority: Kopia's `repo/blob/sftp/sftp_options.go`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Sftp {
    /// The directory on the server.
    pub path: String,
    /// The server.
    pub host: String,
    /// The port; 22 if there is none.
    pub port: Option<u16>,
    /// The user.
    pub username: String,
    /// A password. It goes before a key.
    pub password: Option<Secret>,
    /// A private key; an agent is asked if there is neither a key nor a password. Kopia asks no agent.
    pub key: Option<SshKey>,
    /// The passphrase of the key. Kopia has no such field.
    pub passphrase: Option<Secret>,
    /// Which servers are known; `~/.ssh/known_hosts` if it is not given.
    pub known_hosts: Option<KnownHosts>,
    /// The program that makes the connection, if Kopia's own client does not.
    pub external: Option<ExternalSsh>,
}

/// A private key.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SshKey {
    /// Its text.
    Text(Secret),
    /// The file that it is in.
    File(PathBuf),
}

/// The keys of servers, in the form of `known_hosts`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum KnownHosts {
    /// The text.
    Text(String),
    /// The file.
    File(PathBuf),
}

/// A program such as `ssh` that connects standard input and output with the SFTP server.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ExternalSsh {
    /// The program; `ssh` if there is none.
    pub command: Option<String>,
    /// Its arguments, split at single blanks.
    pub arguments: Vec<String>,
}

/// A directory of a WebDAV server. Authority: Kopia's `repo/blob/webdav/webdav_options.go`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct WebDav {
    /// The directory's URL.
    pub url: String,
    /// The user.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The SHA-256 of the server's certificate in hex; nothing else of it is checked then.
    pub certificate_fingerprint: Option<String>,
}

/// What rclone reaches. Authority: Kopia's `repo/blob/rclone/rclone_options.go`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Rclone {
    /// `remote:path`.
    pub remote_path: String,
    /// The program; `rclone` if there is none.
    pub program: Option<PathBuf>,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Its whole environment as `NAME=value`, unless it is empty.
    pub environment: Vec<Secret>,
    /// How long it may take to start; 15 s if it is not given.
    pub startup_timeout: Option<Duration>,
    /// The text of an `rclone.conf`.
    pub embedded_config: Option<Secret>,
}
