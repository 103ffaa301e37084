//! Storage whose bytes have to be fetched from an archive before they can be read.
//!
//! Such blobs are listed as all others, and reading them fails with [`Failure::Cold`](crate::Failure::Cold). A store that has an
//! archive says so by [`BlobStore::cold`](crate::BlobStore::cold): then it can be asked which blobs lie there, and told to fetch
//! some. That takes minutes to days and costs money, so nothing but a person's wish begins it. The blobs themselves stay as they
//! are: what is fetched is a copy that vanishes after some days.

use std::fmt::Debug;
use std::time::SystemTime;

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
    /// It returns at once. Asking again changes nothing but, where it has been fetched, until when it is readable.
    ///
    /// # Errors
    /// As [`BlobStore::length`](crate::BlobStore::length).
    fn thaw(&self, id: &BlobId, speed: ThawSpeed, days: u32) -> Result<Warmth>;
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
