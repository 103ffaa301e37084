//! The kinds of storage that kopia knows beside a file system, and how people spell them.
//!
//! Authority: the `Type` of each package below Kopia's `repo/blob`, and `repo/api_server_repository.go`.

use std::fmt;

/// A kind of storage that kopia knows, beside a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// Amazon S3 and what speaks its language.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// Backblaze B2 by its own interface.
    B2,
    /// A directory of Google Drive.
    GoogleDrive,
    /// A directory of an SSH server.
    Sftp,
    /// A directory of a WebDAV server.
    WebDav,
    /// Whatever rclone reaches.
    Rclone,
    /// A Kopia repository server, which gives contents and no blobs.
    Server,
}

/// The port of a Kopia repository server.
const SERVER_PORT: &str = ":51515";

impl Backend {
    /// Returns the kind of storage that a `storage.type` in kopia's configuration names.
    pub fn of_type(kind: &str) -> Option<Self> {
        Some(match kind {
            "s3" => Self::S3,
            "gcs" => Self::Gcs,
            "azureBlob" => Self::Azure,
            "b2" => Self::B2,
            "gdrive" => Self::GoogleDrive,
            "sftp" => Self::Sftp,
            "webdav" => Self::WebDav,
            "rclone" => Self::Rclone,
            _ => return None,
        })
    }

    /// Returns the kind of storage that a URL names by its scheme, which is in lower case.
    pub(super) fn of_url(scheme: &str, rest: &str) -> Option<Self> {
        match scheme {
            "kopia" | "unix+http" | "unix+https" => Some(Self::Server),
            "http" | "https" => {
                let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                Some(if host.ends_with(SERVER_PORT) { Self::Server } else { Self::WebDav })
            }
            _ => Self::of_prefix(scheme),
        }
    }

    /// Returns the kind of storage that `scheme:rest` names, as rclone and restic write it.
    pub(super) fn of_prefix(scheme: &str) -> Option<Self> {
        Some(match scheme {
            "s3" => Self::S3,
            "gcs" | "gs" => Self::Gcs,
            "azure" | "azblob" | "azureblob" => Self::Azure,
            "b2" => Self::B2,
            "gdrive" => Self::GoogleDrive,
            "sftp" => Self::Sftp,
            "webdav" | "webdavs" | "http" | "https" => Self::WebDav,
            "rclone" => Self::Rclone,
            _ => return None,
        })
    }
}

impl fmt::Display for Backend {
    /// Writes what people call it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::S3 => "S3",
            Self::Gcs => "Google Cloud Storage",
            Self::Azure => "Azure Blob Storage",
            Self::B2 => "Backblaze B2",
            Self::GoogleDrive => "Google Drive",
            Self::Sftp => "SFTP",
            Self::WebDav => "WebDAV",
            Self::Rclone => "rclone",
            Self::Server => "a Kopia repository server",
        })
    }
}
