//! What was backed up: a label, never a permission.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// User, host and path of a snapshot's source, written `user@host:/path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// The name of the machine.
    pub host: String,
    /// The name of the user.
    #[serde(rename = "userName")]
    pub user: String,
    /// The path on that machine.
    pub path: String,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.path)
    }
}

impl FromStr for Source {
    type Err = Error;

    /// Parses `user@host:/path`. The user ends at the first `@`, the host at the first `:` after it.
    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('@').and_then(|(user, rest)| Some((user, rest.split_once(':')?)));
        match parts {
            Some((user, (host, path))) if !user.is_empty() && !host.is_empty() && !path.is_empty() => {
                Ok(Self { host: host.into(), user: user.into(), path: path.into() })
            }
            _ => Err(Error::corrupt("source", format!("{text:?} is not user@host:/path"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text() {
        let source: Source = "app@media:/srv/a:b@c".parse().unwrap();
        assert_eq!((&*source.user, &*source.host, &*source.path), ("app", "media", "/srv/a:b@c"));
        assert_eq!(source.to_string(), "app@media:/srv/a:b@c");
        for bad in ["", "app", "app@media", "@media:/x", "app@:/x", "app@media:"] {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
    }
}
