//! Ids that are names: of blobs in storage, of manifests in the repository.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The name of a blob, such as `p1a00d…` (a pack) or `kopia.repository`.
///
/// It is a name and never a path: not empty, no `/`, no NUL, at most 255 bytes, not `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobId(Box<str>);

impl BlobId {
    /// Checks that `name` can be the name of a blob.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is empty, too long or could lead out of its directory.
    pub fn new(name: &str) -> Result<Self> {
        check_name("blob id", name)?;
        Ok(Self(name.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a manifest: 32 hexadecimal digits in every repository seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ManifestId(Box<str>);

impl ManifestId {
    /// Checks that `name` can be the id of a manifest.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is empty, too long or holds a `/` or NUL.
    pub fn new(name: &str) -> Result<Self> {
        check_name("manifest id", name)?;
        Ok(Self(name.into()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_name(what: &'static str, name: &str) -> Result<()> {
    let why = match name {
        "" => "is empty",
        "." | ".." => "is a folder of every folder",
        _ if name.len() > 255 => "is longer than 255 bytes",
        _ if name.contains(['/', '\0']) => "holds a `/` or NUL",
        _ => return Ok(()),
    };
    Err(Error::corrupt(what, format!("{:?} {why}", name.chars().take(80).collect::<String>())))
}

macro_rules! name_traits {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = Error;
            fn from_str(name: &str) -> Result<Self> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $type {
            type Error = Error;
            fn try_from(name: String) -> Result<Self> {
                Self::new(&name)
            }
        }

        impl From<$type> for String {
            fn from(id: $type) -> Self {
                id.0.into()
            }
        }
    };
}

name_traits!(BlobId);
name_traits!(ManifestId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_directory() {
        assert_eq!(BlobId::new("kopia.repository").unwrap().as_str(), "kopia.repository");
        for bad in ["", ".", "..", "a/b", "/etc/passwd", "a\0b", &"x".repeat(256)] {
            assert!(BlobId::new(bad).is_err(), "{bad:?}");
            assert!(serde_json::from_value::<BlobId>(bad.into()).is_err(), "{bad:?}");
            assert!(serde_json::from_value::<ManifestId>(bad.into()).is_err(), "{bad:?}");
        }
        let longest = "x".repeat(255);
        assert_eq!(BlobId::new(&longest).unwrap().as_str(), longest);
    }

    #[test]
    fn names_are_written_as_they_are() {
        let (blob, manifest) = (BlobId::new("p12").unwrap(), ManifestId::new("0d85").unwrap());
        assert_eq!((blob.as_str(), manifest.as_str()), ("p12", "0d85"));
        assert_eq!(format!("{blob:>5}|{manifest:<5}|"), "  p12|0d85 |");
        assert_eq!(serde_json::to_value((&blob, &manifest)).unwrap(), serde_json::json!(["p12", "0d85"]));
        assert_eq!(("p12".parse(), "0d85".parse()), (Ok(blob), Ok(manifest)));
    }
}
