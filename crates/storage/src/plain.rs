//! A store of one's own in a few lines: what every store does again is done here.

use std::fmt::Debug;
use std::io;
use std::ops::Range;

use kopia_format::BlobId;

use crate::{BlobBytes, BlobInfo, BlobStore, Error, ReadProfile, Result, WHOLE_BLOB_LIMIT};

/// Lists and reads blobs in whatever way; [`CheckedStore`] makes a [`BlobStore`] of it.
///
/// Errors are those of the system or the server. One of the kind [`NotFound`](io::ErrorKind::NotFound) says
/// that a blob is not there.
pub trait PlainStore: Send + Sync + Debug + 'static {
    /// Names the store in messages, without credentials.
    fn location(&self) -> String;

    /// Lists all blobs that begin with `prefix`, in any order, and others if that is simpler.
    ///
    /// # Errors
    /// That not all could be listed.
    fn list(&self, prefix: &str) -> io::Result<Vec<BlobInfo>>;

    /// Returns the length of a blob in bytes.
    ///
    /// # Errors
    /// That it is not there, or is not known.
    fn length(&self, id: &BlobId) -> io::Result<u64>;

    /// Reads some bytes of a blob, given by their places in it. They are never none.
    ///
    /// Where the blob ends before, it may return what there is, or any error.
    ///
    /// # Errors
    /// That it is not there, or cannot be read.
    fn read(&self, id: &BlobId, range: Range<u64>) -> io::Result<Vec<u8>>;

    /// Returns how it is best read.
    fn profile(&self) -> ReadProfile {
        ReadProfile::NETWORK
    }
}

/// A [`BlobStore`] of what lists and reads: sorts, checks lengths and ranges, and tells errors apart.
///
/// `examples/own-store` has one on top of the crate `object_store`.
#[derive(Debug, Clone)]
pub struct CheckedStore<S>(pub S);

impl<S: PlainStore> CheckedStore<S> {
    fn failed(&self, blob: &BlobId, offset: u64, source: io::Error) -> Error {
        let (blob, place) = (blob.clone(), self.location());
        match source.kind() {
            io::ErrorKind::NotFound => Error::NotFound { blob, place },
            _ => Error::Read { blob, place, offset, source },
        }
    }
}

impl<S: PlainStore> BlobStore for CheckedStore<S> {
    fn location(&self) -> String {
        self.0.location()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let listed = self.0.list(prefix);
        let mut blobs = listed.map_err(|source| Error::List { place: self.location(), source })?;
        blobs.retain(|blob| blob.id.as_str().starts_with(prefix));
        blobs.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        Ok(blobs)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        self.0.length(id).map_err(|error| self.failed(id, 0, error))
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        let length = self.length(id)?;
        match usize::try_from(length) {
            Ok(whole) if length <= WHOLE_BLOB_LIMIT => {
                Ok(self.read_range(id, 0, whole, Vec::new())?.into_buffer())
            }
            _ => Err(Error::TooLarge { blob: id.clone(), place: self.location(), length }),
        }
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, _buffer: Vec<u8>) -> Result<BlobBytes> {
        let wanted = length as u64;
        let end = offset.saturating_add(wanted);
        // Nothing is wanted, or what lies behind the last place there can be.
        let read = if end == offset { Ok(Vec::new()) } else { self.0.read(id, offset..end) };
        match read {
            Ok(bytes) if wanted > 0 && bytes.len() == length => return Ok(bytes.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.failed(id, offset, error));
            }
            _ => {}
        }
        // Some cut a range that is too long, some refuse it.
        let (blob, place, length) = (id.clone(), self.location(), self.length(id)?);
        let unexpected =
            || io::Error::new(io::ErrorKind::UnexpectedEof, "other bytes came than were asked for");
        match read {
            _ if end > length => Err(Error::Short { blob, place, offset, wanted, length }),
            Ok(_) if wanted == 0 => Ok(Vec::new().into()),
            Ok(_) => Err(Error::Read { blob, place, offset, source: unexpected() }),
            Err(source) => Err(Error::Read { blob, place, offset, source }),
        }
    }

    fn profile(&self) -> ReadProfile {
        self.0.profile()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::testing::conformance;

    /// What it does with a range that ends behind its blob.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Manners {
        Cuts,
        Refuses,
        /// It also gives too little of what is there.
        Lies,
    }

    #[derive(Debug)]
    struct Plain(Vec<(BlobId, Vec<u8>)>, Manners);

    impl Plain {
        fn get(&self, id: &BlobId) -> io::Result<&[u8]> {
            let found = self.0.iter().find(|(other, _)| other == id);
            found.map(|(_, bytes)| &**bytes).ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }

    impl PlainStore for Plain {
        fn location(&self) -> String {
            "plain".into()
        }

        fn list(&self, _: &str) -> io::Result<Vec<BlobInfo>> {
            let info = |(id, bytes): &(BlobId, Vec<u8>)| BlobInfo::new(id.clone(), bytes.len() as u64);
            Ok(self.0.iter().rev().map(info).collect())
        }

        fn length(&self, id: &BlobId) -> io::Result<u64> {
            Ok(self.get(id)?.len() as u64)
        }

        fn read(&self, id: &BlobId, range: Range<u64>) -> io::Result<Vec<u8>> {
            assert!(!range.is_empty());
            let bytes = self.get(id)?;
            let begin = (range.start as usize).min(bytes.len());
            let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(bytes.len());
            match self.1 {
                Manners::Refuses if range.end > bytes.len() as u64 => Err(io::ErrorKind::InvalidInput.into()),
                Manners::Lies => Ok(bytes[begin..end.max(begin + 1) - 1].to_vec()),
                _ => Ok(bytes[begin..end].to_vec()),
            }
        }
    }

    #[test]
    fn it_keeps_the_contract_whatever_ranges_do() {
        for manners in [Manners::Cuts, Manners::Refuses] {
            conformance::check(|blobs| CheckedStore(Plain(blobs.to_vec(), manners)));
        }
    }

    #[test]
    fn too_few_bytes_are_an_error_and_no_data() {
        let id: BlobId = "p1".parse().unwrap();
        let store = CheckedStore(Plain(vec![(id.clone(), vec![7; 10])], Manners::Lies));
        let error = store.read_range(&id, 2, 5, Vec::new()).unwrap_err();
        assert!(matches!(error, Error::Read { offset: 2, .. }), "{error:?}");
        assert!(store.read(&id).is_err_and(|error| error.kind() != ErrorKind::NotFound));
        assert!(
            store.read_range(&id, 2, 9, Vec::new()).is_err_and(|error| matches!(error, Error::Short { .. }))
        );
    }

    /// Says that a blob has so many bytes, and gives none.
    #[derive(Debug)]
    struct Lengths(u64);

    impl PlainStore for Lengths {
        fn location(&self) -> String {
            "lengths".into()
        }

        fn list(&self, _: &str) -> io::Result<Vec<BlobInfo>> {
            Ok(Vec::new())
        }

        fn length(&self, _: &BlobId) -> io::Result<u64> {
            Ok(self.0)
        }

        fn read(&self, _: &BlobId, _: Range<u64>) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    #[test]
    fn what_is_gone_when_it_is_read_is_not_there() {
        let error =
            CheckedStore(Lengths(5)).read_range(&"p1".parse().unwrap(), 0, 5, Vec::new()).unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
    }

    #[test]
    fn too_long_blobs_are_not_read_whole() {
        let read = |length| CheckedStore(Lengths(length)).read(&"p1".parse().unwrap()).unwrap_err();
        assert!(read(WHOLE_BLOB_LIMIT).is_not_found(), "it is asked for");
        assert!(matches!(read(WHOLE_BLOB_LIMIT + 1), Error::TooLarge { .. }));
    }
}
