//! Object ids: a content, a list of pieces, or a compressed content of format version 1.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ContentId;
use crate::{Error, Result};

/// The id of an object: `I` for each level of lists, or `Z` for compressed bytes (format version 1), then a
/// content id.
///
/// An `I` object's list is the object of the same id with one `I` less. A legacy `D` before the content id is
/// accepted and ignored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectId {
    indirection: u8,
    compressed: bool,
    content: ContentId,
}

impl ObjectId {
    /// The deepest nesting of lists that is accepted.
    ///
    /// Kopia's lists hold thousands of pieces each, so three levels address more than any file system holds.
    pub const MAX_INDIRECTION: u8 = 16;

    /// Returns the id of the object that is one content.
    pub fn of_content(content: ContentId) -> Self {
        Self { indirection: 0, compressed: false, content }
    }

    /// Returns how many levels of lists stand above the contents.
    pub fn indirection(&self) -> u8 {
        self.indirection
    }

    /// Returns whether the content begins with a compression header (`Z`).
    pub fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Returns the content of the object, or of its list.
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// Returns the object that holds this object's list, or `None` if the object is no list.
    pub fn list(&self) -> Option<Self> {
        Some(Self { indirection: self.indirection.checked_sub(1)?, ..*self })
    }

    /// Returns whether the object is a directory: `k…`, or `I…k…` if its JSON was split.
    pub fn is_directory(&self) -> bool {
        !self.compressed && self.content.prefix() == Some('k')
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for _ in 0..self.indirection {
            f.write_str("I")?;
        }
        if self.compressed {
            f.write_str("Z")?;
        }
        write!(f, "{}", self.content)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

impl FromStr for ObjectId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let levels = text.bytes().take_while(|&byte| byte == b'I').count();
        let rest = text.trim_start_matches('I');
        let indirection = u8::try_from(levels)
            .ok()
            .filter(|&levels| levels <= Self::MAX_INDIRECTION)
            .ok_or_else(|| Error::corrupt("object id", format!("{levels} levels of lists")))?;
        let (compressed, rest) = match rest.strip_prefix('Z') {
            Some(_) if indirection > 0 => return Err(Error::corrupt("object id", "both I and Z")),
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let content = rest.strip_prefix('D').unwrap_or(rest).parse()?;
        Ok(Self { indirection, compressed, content })
    }
}

impl TryFrom<String> for ObjectId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ObjectId> for String {
    fn from(id: ObjectId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let id = |text: &str| text.parse::<ObjectId>().unwrap();
        assert_eq!(id("IIxab").list(), Some(id("Ixab")));
        assert_eq!(id("xab").list(), None);
        assert!(id("Zab").is_compressed());
        assert_eq!(id("Dab"), id("ab"));
        assert!(id("kab").is_directory() && id("Ikab").is_directory());
        assert!(!id("ab").is_directory() && !id("mab").is_directory());
        assert!(!id("Zkab").is_directory() && !id("kab").is_compressed());
        assert_eq!(ObjectId::of_content("kab".parse().unwrap()), id("kab"));
        assert_eq!(id("kab").content(), "kab".parse().unwrap());
        assert_eq!((id("IIkab").indirection(), id("kab").indirection()), (2, 0));
        for text in ["IIkab", "Zab", "ab", &format!("{}ab", "I".repeat(16))] {
            assert_eq!(id(text).to_string(), text);
            assert_eq!(serde_json::to_value(id(text)).unwrap(), serde_json::json!(text));
        }
    }

    #[test]
    fn malformed_ids_are_refused() {
        for bad in [
            "",
            "I",
            "IZab",
            "ZIab",
            "ZZab",
            "DDab",
            "ZDIab",
            "I ab",
            &format!("{}ab", "I".repeat(17)),
            &"I".repeat(300),
        ] {
            assert!(bad.parse::<ObjectId>().is_err(), "{bad:?}");
        }
    }
}
