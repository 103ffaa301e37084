//! Content ids: an optional letter and the hash of the plain bytes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The id of a content: an optional one-letter prefix `g`–`z` and 1–32 bytes of hash.
///
/// Contents of files have no prefix, `k` are directories, `m` manifests, `x` lists of pieces. `Copy`, 34
/// bytes.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentId {
    /// 0 for none, so that ids order as their keys do.
    prefix: u8,
    length: u8,
    /// Zero beyond `length`.
    hash: [u8; 32],
}

impl ContentId {
    /// The longest key of a content in an index: prefix and 32 bytes of hash.
    pub const MAX_KEY_LENGTH: usize = 33;

    /// Makes an id of a prefix and a hash.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the prefix is not `g`–`z` or the hash is empty or longer than 32 bytes.
    pub fn new(prefix: Option<char>, hash: &[u8]) -> Result<Self> {
        let prefix = match prefix {
            None => 0,
            Some(letter @ 'g'..='z') => letter as u8,
            Some(letter) => {
                return Err(Error::corrupt("content id", format!("prefix {letter:?} is not g–z")));
            }
        };
        let mut id = Self { prefix, length: hash.len() as u8, hash: [0; 32] };
        match id.hash.get_mut(..hash.len()) {
            Some(place) if !hash.is_empty() => place.copy_from_slice(hash),
            _ => return Err(Error::corrupt("content id", format!("hash of {} bytes, not 1–32", hash.len()))),
        }
        Ok(id)
    }

    /// Parses a key of an index: the prefix byte (0 for none), then the hash.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn from_key(key: &[u8]) -> Result<Self> {
        match key.split_first() {
            Some((0, hash)) => Self::new(None, hash),
            Some((&letter, hash)) => Self::new(Some(letter.into()), hash),
            None => Err(Error::corrupt("content id", "empty key")),
        }
    }

    /// Returns the letter before the hash.
    pub fn prefix(&self) -> Option<char> {
        (self.prefix != 0).then_some(self.prefix.into())
    }

    /// Returns the hash, 1–32 bytes.
    #[expect(
        clippy::indexing_slicing,
        reason = "no constructor lets `length` exceed 32; ids are compared often"
    )]
    pub fn hash(&self) -> &[u8] {
        &self.hash[..usize::from(self.length)]
    }

    /// Returns the prefix byte of the key in an index: 0 for none.
    pub fn prefix_byte(&self) -> u8 {
        self.prefix
    }
}

impl PartialEq for ContentId {
    fn eq(&self, other: &Self) -> bool {
        self.prefix == other.prefix && self.hash() == other.hash()
    }
}

impl Eq for ContentId {}

impl Hash for ContentId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.prefix);
        state.write(self.hash());
    }
}

impl PartialOrd for ContentId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ContentId {
    /// Orders as the keys of an index do: by prefix, none first, then by hash.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.prefix.cmp(&other.prefix).then_with(|| self.hash().cmp(other.hash()))
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(letter) = self.prefix() {
            write!(f, "{letter}")?;
        }
        self.hash().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self})")
    }
}

impl FromStr for ContentId {
    type Err = Error;

    /// Parses a letter and lowercase hexadecimal digits, as kopia writes them.
    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::corrupt("content id", format!("{:?} {why}", text.chars().take(80).collect::<String>()))
        };
        let (prefix, digits) = match text.as_bytes() {
            [letter @ b'g'..=b'z', digits @ ..] => (*letter, digits),
            digits => (0, digits),
        };
        let (pairs, odd) = digits.as_chunks();
        if !(1..=32).contains(&pairs.len()) || !odd.is_empty() {
            return Err(bad("has not 2–64 hexadecimal digits in pairs"));
        }
        let digit = |c: u8| match c {
            b'0'..=b'9' => Ok(c.wrapping_sub(b'0')),
            b'a'..=b'f' => Ok(c.wrapping_sub(b'a' - 10)),
            _ => Err(bad("has a character that is no lowercase hexadecimal digit")),
        };
        let mut id = Self { prefix, length: pairs.len() as u8, hash: [0; 32] };
        for (byte, &[high, low]) in id.hash.iter_mut().zip(pairs) {
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Ok(id)
    }
}

impl TryFrom<String> for ContentId {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ContentId> for String {
    fn from(id: ContentId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_key_agree() {
        let id: ContentId = "k0a1b2c".parse().unwrap();
        assert_eq!(id, ContentId::from_key(&[b'k', 0x0a, 0x1b, 0x2c]).unwrap());
        assert_eq!(id.to_string(), "k0a1b2c");
        let plain: ContentId = "0a1b2c".parse().unwrap();
        assert_eq!(plain, ContentId::from_key(&[0, 0x0a, 0x1b, 0x2c]).unwrap());
        assert!(plain < id, "no prefix comes first");
    }

    #[test]
    fn ids_of_equal_prefix_and_hash_are_equal_and_ordered_as_keys() {
        let hashed = |id: &ContentId| {
            let mut hasher = std::hash::DefaultHasher::new();
            Hash::hash(id, &mut hasher);
            hasher.finish()
        };
        let ids: Vec<ContentId> =
            ["01", "0100", "02", "k01", "k02", "m01"].map(|id| id.parse().unwrap()).into();
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0].partial_cmp(&pair[1]).unwrap().is_lt()));
        for (number, id) in ids.iter().enumerate() {
            assert_eq!(ids.iter().position(|other| other == id), Some(number), "{id}");
            assert_eq!(ids.iter().position(|other| hashed(other) == hashed(id)), Some(number), "{id}");
            assert_eq!(serde_json::to_value(id).unwrap(), serde_json::json!(id.to_string()));
        }
        assert_eq!((ids[0].prefix_byte(), ids[3].prefix_byte()), (0, b'k'));
        assert_eq!((ids[1].prefix(), ids[1].hash()), (None, &[1, 0][..]));
    }

    #[test]
    fn hashes_have_up_to_32_bytes() {
        let longest = "0123456789abcdef".repeat(4);
        assert_eq!(longest.parse::<ContentId>().unwrap().to_string(), longest);
        assert_eq!(ContentId::from_key(&[0; 33]).unwrap().hash(), [0; 32]);
        assert!(ContentId::new(None, &[]).is_err());
        assert!(ContentId::new(Some('G'), &[1]).is_err());
    }

    #[test]
    fn malformed_ids_are_refused() {
        for bad in ["", "k", "abc", "0A", "zz", "f", "k0g", "é0", &"00".repeat(33), "a0 ", "-0"] {
            assert!(bad.parse::<ContentId>().is_err(), "{bad:?}");
        }
        assert!(ContentId::from_key(&[]).is_err());
        assert!(ContentId::from_key(&[b'a', 1]).is_err(), "a prefix below g would read as a digit");
        assert!(ContentId::from_key(&[0; 34]).is_err());
    }
}
