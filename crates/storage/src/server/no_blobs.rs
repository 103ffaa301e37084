//! The store of a repository that has none: a server gives contents, and no blobs.
//!
//! Whatever looks for blobs is told so by one error, instead of finding nothing.

use kopia_format::BlobId;

use crate::{BlobBytes, BlobInfo, BlobStore, Error, ReadProfile, Result};

/// A store whose every call says that a server stands in its place.
#[derive(Debug, Clone)]
pub struct NoBlobs {
    place: String,
}

impl NoBlobs {
    /// Makes one for a server that is called so.
    pub fn new(place: impl Into<String>) -> Self {
        Self { place: place.into() }
    }

    /// Makes the error that every call returns.
    pub fn error(&self) -> Error {
        Error::NoBlobs { place: self.place.clone() }
    }
}

impl BlobStore for NoBlobs {
    fn location(&self) -> String {
        self.place.clone()
    }

    fn list(&self, _: &str) -> Result<Vec<BlobInfo>> {
        Err(self.error())
    }

    fn length(&self, _: &BlobId) -> Result<u64> {
        Err(self.error())
    }

    fn read(&self, _: &BlobId) -> Result<Vec<u8>> {
        Err(self.error())
    }

    fn read_range(&self, _: &BlobId, _: u64, _: usize, _: Vec<u8>) -> Result<BlobBytes> {
        Err(self.error())
    }

    fn profile(&self) -> ReadProfile {
        ReadProfile::SERVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_says_why_there_is_nothing() {
        let store = NoBlobs::new("https://kopia.lan:51515");
        assert_eq!(store.location(), "https://kopia.lan:51515");
        let id = BlobId::new("p1").unwrap();
        let errors = [
            store.list("p").unwrap_err(),
            store.length(&id).unwrap_err(),
            store.read(&id).unwrap_err(),
            store.read_range(&id, 0, 1, Vec::new()).unwrap_err(),
        ];
        for error in errors {
            assert!(!error.is_not_found(), "nothing is known of what there is");
            assert_eq!(
                error.to_string(),
                "https://kopia.lan:51515 is a Kopia repository server: it gives contents, and neither packs \
                 nor indexes"
            );
        }
    }
}
