//! The kinds of storage by their names.

use std::fmt;
use std::path::Path;

use super::Storage;

/// A kind of storage. Authority: the `Type` of each package below Kopia's `repo/blob`, and
/// `repo/api_server_repository.go`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A directory of the local system.
    Filesystem,
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

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Filesystem,
        Self::S3,
        Self::Gcs,
        Self::Azure,
        Self::B2,
        Self::GoogleDrive,
        Self::Sftp,
        Self::WebDav,
        Self::Rclone,
        Self::Server,
    ];

    /// Returns how its places are written, as [`url`](crate::url) reads them.
    pub fn spelling(self) -> &'static str {
        match self {
            Self::Filesystem => "/path, or filesystem:///path",
            Self::S3 => "s3://BUCKET/PREFIX",
            Self::Gcs => "gs://BUCKET/PREFIX",
            Self::Azure => "azblob://CONTAINER/PREFIX",
            Self::B2 => "b2://BUCKET/PREFIX",
            Self::GoogleDrive => "gdrive://FOLDER-ID",
            Self::Sftp => "sftp://USER:PASSWORD@HOST:PORT/PATH, or sftp:USER@HOST:PATH",
            Self::WebDav => "webdavs://USER:PASSWORD@HOST:PORT/PATH, or webdav://… without TLS",
            Self::Rclone => "rclone:REMOTE:PATH",
            Self::Server => "kopia://USER@HOST@SERVER:PORT, or kopia+http://USER@SERVER:PORT without TLS",
        }
    }

    /// Returns the kind that a `storage.type` in kopia's configuration names.
    pub fn of_type(name: &str) -> Option<Self> {
        Some(match name {
            "filesystem" => Self::Filesystem,
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

    /// Returns Kopia's name for it: the `storage.type`, or the field beside `storage` for a server.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azureBlob",
            Self::B2 => "b2",
            Self::GoogleDrive => "gdrive",
            Self::Sftp => "sftp",
            Self::WebDav => "webdav",
            Self::Rclone => "rclone",
            Self::Server => "apiServer",
        }
    }
}

impl fmt::Display for Kind {
    /// Writes what people call it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filesystem => "a directory",
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

impl Storage {
    /// Returns what kind it is of.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Filesystem(_) => Kind::Filesystem,
            Self::S3(_) => Kind::S3,
            Self::Gcs(_) => Kind::Gcs,
            Self::Azure(_) => Kind::Azure,
            Self::B2(_) => Kind::B2,
            Self::GoogleDrive(_) => Kind::GoogleDrive,
            Self::Sftp(_) => Kind::Sftp,
            Self::WebDav(_) => Kind::WebDav,
            Self::Rclone(_) => Kind::Rclone,
            Self::Server(_) => Kind::Server,
        }
    }

    /// Returns the directory, if it is one of the local system.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Filesystem(filesystem) => Some(&filesystem.path),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kopias_types_are_known_by_their_exact_names() {
        for name in ["filesystem", "s3", "gcs", "azureBlob", "b2", "gdrive", "sftp", "webdav", "rclone"] {
            assert_eq!(Kind::of_type(name).unwrap().type_name(), name);
        }
        assert_eq!(["S3", "Filesystem", "azure", "apiServer", "flux", ""].map(Kind::of_type), [None; 6]);
    }
}
