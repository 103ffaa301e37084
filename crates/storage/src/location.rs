//! Where a repository is, and the spellings of it.
//!
//! Programs take a text from a person or a configuration, parse it here and open the store, whatever kind of
//! storage it names. What only one kind needs, such as how files are read, is a part of its location and not
//! of opening.

mod backend;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use crate::{BlobStore, Error, FilesystemStore, IoMode, Result};

pub use backend::Backend;

const FILESYSTEM: &str = "filesystem";
const FILE: &str = "file";

/// Where a repository is.
///
/// | text | means |
/// |---|---|
/// | `/srv/kopia`, `../kopia` | a directory |
/// | `filesystem:///srv/kopia` | a directory, by its absolute path without `..`: VolSync's `KOPIA_REPOSITORY` |
/// | `file:///srv/kopia`, `file://localhost/srv/kopia`, `file:/srv/kopia` | the same |
/// | `s3://bucket/prefix`, `sftp:user@host:/path` and others | a [`Backend`], which cannot be opened yet |
/// | `kopia://host`, `https://host:51515` | a Kopia repository server, which cannot be opened yet |
///
/// A directory whose name looks like one of these is written `./s3:…`.
///
/// ```
/// use kopia_storage::location::{Backend, Location};
///
/// assert_eq!(Location::parse("filesystem:///srv/kopia")?, Location::filesystem("/srv/kopia"));
/// let bucket = Location::parse("s3://bucket/prefix")?;
/// assert_eq!(bucket, Location::Unsupported(Backend::S3));
/// assert!(bucket.open().is_err_and(|error| error.to_string().contains("S3 cannot be read yet")));
/// # Ok::<(), kopia_storage::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A directory of a local or mounted file system.
    #[non_exhaustive]
    Filesystem {
        /// The directory.
        path: PathBuf,
        /// How its files are read.
        io: IoMode,
    },
    /// Storage of a kind that kopia knows and that cannot be opened here yet. What else the text said is not
    /// kept: it may hold a password.
    Unsupported(Backend),
    /// Something that looks like storage of a kind that nobody knows, by its name, such as `foo://`.
    Unknown(String),
}

impl Location {
    /// Makes the location of a directory, read by the [default](IoMode::Auto) mode.
    pub fn filesystem(path: impl Into<PathBuf>) -> Self {
        Self::Filesystem { path: path.into(), io: IoMode::default() }
    }

    /// Parses a path or a URL. There is no escaping: a path is taken as it stands, `%` included.
    ///
    /// # Errors
    /// [`Error::BadLocation`] for what is neither.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self> {
        let text = text.as_ref();
        let bad = |why| Error::BadLocation { text: text.to_string_lossy().into_owned(), why };
        if text.is_empty() {
            return Err(bad("it is empty"));
        }
        // What is not UTF-8 is no URL but may be a path.
        match text.to_str().and_then(Spelling::of) {
            None => Ok(Self::filesystem(text)),
            Some(Spelling::Directory(path)) => absolute(path).map(Self::filesystem).map_err(bad),
            Some(Spelling::Backend(backend)) => Ok(Self::Unsupported(backend)),
            Some(Spelling::Scheme(scheme)) => Ok(Self::Unknown(format!("{scheme}://"))),
        }
    }

    /// Returns the directory, if it is one of a file system.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Filesystem { path, .. } => Some(path),
            Self::Unsupported(_) | Self::Unknown(_) => None,
        }
    }

    /// Refuses storage that cannot be opened yet.
    ///
    /// # Errors
    /// [`Error::UnsupportedBackend`].
    pub fn supported(self) -> Result<Self> {
        match self {
            Self::Filesystem { .. } => Ok(self),
            Self::Unsupported(_) | Self::Unknown(_) => Err(self.refused()),
        }
    }

    fn refused(&self) -> Error {
        Error::UnsupportedBackend { name: self.to_string() }
    }

    /// Opens the store there.
    ///
    /// # Errors
    /// As [`Self::supported`], and as [`FilesystemStore::open_with`].
    pub fn open(&self) -> Result<Box<dyn BlobStore>> {
        match self {
            Self::Filesystem { path, io } => Ok(Box::new(FilesystemStore::open_with(path, *io)?)),
            Self::Unsupported(_) | Self::Unknown(_) => Err(self.refused()),
        }
    }
}

impl fmt::Display for Location {
    /// Writes the path, or what people call the storage.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filesystem { path, .. } => path.display().fmt(f),
            Self::Unsupported(backend) => backend.fmt(f),
            Self::Unknown(name) => f.write_str(name),
        }
    }
}

impl FromStr for Location {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

/// What a text is that is more than a path.
enum Spelling<'t> {
    /// A URL of a directory, and the path in it.
    Directory(&'t str),
    Backend(Backend),
    /// A URL of a scheme that nobody knows, in lower case.
    Scheme(String),
}

impl<'t> Spelling<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        let is_directory = matches!(&*scheme, FILESYSTEM | FILE);
        let Some(rest) = rest.strip_prefix("//").filter(|_| is_scheme(&scheme)) else {
            if is_directory && rest.starts_with('/') {
                return Some(Self::Directory(rest));
            }
            return Backend::of_prefix(&scheme).map(Self::Backend);
        };
        if is_directory {
            let local = rest.strip_prefix("localhost").filter(|path| scheme == FILE && path.starts_with('/'));
            return Some(Self::Directory(local.unwrap_or(rest)));
        }
        Some(Backend::of_url(&scheme, rest).map_or(Self::Scheme(scheme), Self::Backend))
    }
}

/// Returns whether a text can be the scheme of a URL.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Returns the path of a URL, which leads to one directory whatever the current one is.
fn absolute(path: &str) -> Result<&Path, &'static str> {
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err("the path after `filesystem://` does not begin with `/`");
    }
    if path.components().any(|component| component == Component::ParentDir) {
        return Err("the path after `filesystem://` holds `..`");
    }
    Ok(path)
}

#[cfg(test)]
mod tests;
