//! Storage whose bytes have to be fetched from an archive before they can be read.
//!
//! Such blobs are listed as all others, and reading them fails with [`Failure::Cold`](crate::Failure::Cold).
//! A store that has an archive says so by [`BlobStore::cold`](crate::BlobStore::cold): then it can be asked
//! which blobs lie there, and told to fetch some. That takes minutes to days and costs money, so nothing but
//! a person's wish begins it. The blobs themselves stay as they are: what is fetched is a copy that vanishes
//! after some days.

use std::fmt::{self, Debug, Display};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use kopia_format::BlobId;

use crate::{BlobInfo, Result};

/// A store that has an archive.
pub trait ColdStorage: Send + Sync + Debug {
    /// Lists the blobs whose id begins with `prefix` and that lie in the archive, sorted by id.
    ///
    /// They may have been fetched from there: [`warmth`](Self::warmth) tells.
    ///
    /// # Errors
    /// As [`BlobStore::list`](crate::BlobStore::list).
    fn list_cold(&self, prefix: &str) -> Result<Vec<ColdBlob>>;

    /// Returns whether a blob can be read now.
    ///
    /// # Errors
    /// As [`BlobStore::length`](crate::BlobStore::length).
    fn warmth(&self, id: &BlobId) -> Result<Warmth>;

    /// Asks for a blob to be fetched from the archive, and to be readable for so many days then.
    ///
    /// It returns at once. Asking again changes nothing but, where it has been fetched, until when it is
    /// readable.
    ///
    /// # Errors
    /// As [`BlobStore::length`](crate::BlobStore::length).
    fn thaw(&self, id: &BlobId, speed: ThawSpeed, days: u32) -> Result<Warmth>;

    /// Returns how long fetching from a storage class usually takes.
    fn thaw_time(&self, class: &str, speed: ThawSpeed) -> ThawTime {
        let _ = (class, speed);
        ThawTime::Unknown
    }

    /// Returns whether what is fetched stays readable for good, whatever number of days is asked for.
    fn thaws_for_good(&self) -> bool {
        false
    }
}

/// How long fetching a blob takes, as the provider says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThawTime {
    /// From so long to so long.
    Within(Duration, Duration),
    /// Nothing is known of it.
    Unknown,
    /// The class has no such speed.
    NotOffered,
}

/// A blob in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColdBlob {
    /// What a listing says of it.
    pub info: BlobInfo,
    /// Its storage class, as the server calls it.
    pub class: String,
}

impl ColdBlob {
    /// Makes the entry of a blob in an archive.
    pub fn new(info: BlobInfo, class: impl Into<String>) -> Self {
        Self { info, class: class.into() }
    }
}

/// Whether a blob can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warmth {
    /// It can be read.
    Warm {
        /// Until when, if it was fetched from the archive.
        until: Option<SystemTime>,
    },
    /// It lies in the archive.
    Cold {
        /// The storage class, as the server calls it.
        class: String,
    },
    /// It is being fetched.
    Thawing,
}

/// How fast a blob is fetched from an archive: faster costs more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ThawSpeed {
    /// The cheapest: up to two days.
    #[default]
    Bulk,
    /// Some hours.
    Standard,
    /// Minutes, where it can be had.
    Expedited,
}

impl ThawSpeed {
    /// All of them, each with the name of its tier as Amazon has it in small letters.
    pub const NAMES: [(&'static str, Self); 3] =
        [("bulk", Self::Bulk), ("standard", Self::Standard), ("expedited", Self::Expedited)];
}

impl FromStr for ThawSpeed {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let found = Self::NAMES.into_iter().find(|(other, _)| *other == name);
        found.map(|(_, speed)| speed).ok_or_else(|| format!("{name:?} is no tier of an archive"))
    }
}

impl Display for ThawSpeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::NAMES.into_iter().find(|(_, speed)| speed == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_have_the_names_of_amazons_tiers() {
        for (name, speed) in ThawSpeed::NAMES {
            assert_eq!((name.parse(), speed.to_string()), (Ok(speed), name.to_string()));
        }
        assert_eq!("Bulk".parse::<ThawSpeed>(), Err("\"Bulk\" is no tier of an archive".into()));
    }
}
