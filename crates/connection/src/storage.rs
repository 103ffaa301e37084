//! The kinds of storage that Kopia knows, each with what it takes to reach it.
//!
//! The fields are those of Kopia's JSON (`storage.config` in its configuration), under names of Rust; the
//! meaning of each is Kopia's. A field that is empty there is `None` here. Nothing is checked that only a
//! server can know.

mod azure_parts;
mod cloud;
mod directory;
pub(crate) mod display;
pub(crate) mod json;
mod kind;
pub mod options;
mod server;

use azure_parts::AzureParts;
pub use cloud::{Azure, AzureIdentity, B2, Gcs, GoogleAccount, GoogleDrive, S3, S3Role};
pub use directory::{ExternalSsh, Filesystem, KnownHosts, Rclone, Sftp, SshKey, WebDav};
pub use kind::Kind;
pub use options::Options;
pub use server::{Server, Trust};

/// Where a repository is kept.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Storage {
    /// A directory of the local system.
    Filesystem(Filesystem),
    /// Amazon S3 and what speaks its language.
    S3(S3),
    /// Google Cloud Storage.
    Gcs(Gcs),
    /// Azure Blob Storage.
    Azure(Azure),
    /// Backblaze B2 by its own interface.
    B2(B2),
    /// A directory of Google Drive.
    GoogleDrive(GoogleDrive),
    /// A directory of an SSH server.
    Sftp(Sftp),
    /// A directory of a WebDAV server.
    WebDav(WebDav),
    /// Whatever rclone reaches.
    Rclone(Rclone),
    /// A Kopia repository server, which gives contents and no blobs.
    Server(Server),
}
