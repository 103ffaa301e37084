//! The spellings of where a repository is.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use crate::{BlobStore, Error, FilesystemStore, IoMode, Result};

const FILESYSTEM: &str = "filesystem";
const FILE: &str = "file";

/// Where a repository is.
///
/// | text | means |
/// |---|---|
/// | `/srv/kopia`, `../kopia` | a folder |
/// | `filesystem:///srv/kopia` | a folder, by its absolute path without `..`; as VolSync's `KOPIA_REPOSITORY` has it |
/// | `file:///srv/kopia` | the same |
/// | `s3://bucket/prefix`, `sftp:user@host:/path` and others | storage that cannot be read yet |
///
/// ```
/// use kopia_storage::{Error, Location};
///
/// assert_eq!(Location::parse("filesystem:///srv/kopia")?, Location::Folder("/srv/kopia".into()));
/// assert!(matches!(Location::parse("s3://bucket"), Err(Error::UnsupportedBackend { .. })));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A folder of a local or mounted file system.
    Folder(PathBuf),
}

impl Location {
    /// Parses a path or a URL. There is no escaping: a path is taken as it stands, `%` included.
    ///
    /// # Errors
    /// [`Error::UnsupportedBackend`] for storage that cannot be read yet, [`Error::BadLocation`] for what is none.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self> {
        let text = text.as_ref();
        let bad = |why| Error::BadLocation { text: text.to_string_lossy().into_owned(), why };
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        // What is not UTF-8 is no URL but may be a path.
        let Some((scheme, rest)) = text.to_str().and_then(split_scheme) else {
            return match text.to_str().and_then(network) {
                Some(name) => Err(Error::UnsupportedBackend { name }),
                None => Ok(Self::Folder(text.into())),
            };
        };
        if scheme != FILESYSTEM && scheme != FILE {
            return Err(Error::UnsupportedBackend { name: backend(&scheme) });
        }
        let path = Path::new(rest);
        if !path.is_absolute() {
            return Err(bad("the path after `filesystem://` does not begin with `/`"));
        }
        if path.components().any(|component| component == Component::ParentDir) {
            return Err(bad("the path after `filesystem://` holds `..`"));
        }
        Ok(Self::Folder(path.into()))
    }

    /// Opens the store there.
    ///
    /// # Errors
    /// As [`FilesystemStore::open_with`].
    pub fn open(&self, io: IoMode) -> Result<Box<dyn BlobStore>> {
        let Self::Folder(path) = self;
        Ok(Box::new(FilesystemStore::open_with(path, io)?))
    }
}

impl FromStr for Location {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// Splits `scheme://rest`; the scheme comes in lower case.
fn split_scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    is_scheme.then(|| (scheme.to_ascii_lowercase(), rest))
}

/// Returns the storage that `scheme:rest` names, as rclone and restic write it. A folder of such a name is written `./scheme:…`.
fn network(text: &str) -> Option<String> {
    let (scheme, _) = text.split_once(':')?;
    known(&scheme.to_ascii_lowercase()).map(Into::into)
}

/// Names the storage that a scheme stands for.
fn backend(scheme: &str) -> String {
    known(scheme).map_or_else(|| format!("{scheme}://"), Into::into)
}

fn known(scheme: &str) -> Option<&'static str> {
    Some(match scheme {
        "s3" => "S3",
        "azure" | "azblob" => "Azure Blob Storage",
        "gcs" | "gs" => "Google Cloud Storage",
        "b2" => "Backblaze B2",
        "sftp" => "SFTP",
        "webdav" | "webdavs" | "http" | "https" => "WebDAV",
        "rclone" => "rclone",
        "gdrive" => "Google Drive",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn folders() {
        for (text, path) in [
            ("/srv/kopia", "/srv/kopia"),
            ("../kopia", "../kopia"),
            ("a:b", "a:b"),
            ("./s3://x", "./s3://x"),
            ("./sftp:u@h:/x", "./sftp:u@h:/x"),
            ("C:/x", "C:/x"),
            ("filesystem:///srv/kopia", "/srv/kopia"),
            ("filesystem:///", "/"),
            ("FileSystem:///a%20b", "/a%20b"),
        ] {
            assert_eq!(Location::parse(text).unwrap(), Location::Folder(path.into()), "{text}");
        }
        let bytes = OsStr::from_bytes(b"/a\xff");
        assert_eq!(Location::parse(bytes).unwrap(), Location::Folder(bytes.into()));
    }

    #[test]
    fn bad_urls_are_refused() {
        for text in ["", "filesystem://", "filesystem://srv", "filesystem:///srv/../etc", "filesystem:///.."]
        {
            assert!(matches!(text.parse::<Location>(), Err(Error::BadLocation { .. })), "{text}");
        }
    }

    #[test]
    fn other_storage_is_named() {
        for (text, name) in [
            ("s3://b/p", "S3"),
            ("gs://b", "Google Cloud Storage"),
            ("foo+bar://x", "foo+bar://"),
            ("sftp:u@h:/x", "SFTP"),
            ("B2:bucket", "Backblaze B2"),
            ("rclone:r:p", "rclone"),
        ] {
            match Location::parse(text) {
                Err(Error::UnsupportedBackend { name: found }) => assert_eq!(found, name),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
