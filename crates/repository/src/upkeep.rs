//! What a repository says of its keeping: how long its store keeps blobs, and when maintenance ran.

use kopia_codec::key::FormatKey;
use kopia_format::BlobId;
use kopia_format::format_blob::{BlobRetention, Envelope, RETENTION_ID, RepositoryFormat};
use kopia_format::maintenance::{SCHEDULE_ID, Schedule};
use kopia_storage::BlobStore;

use crate::format_blob::codec_error;
use crate::{Error, OpenOptions, Result};

/// What a repository says of its keeping.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Upkeep {
    /// How long its store is asked to keep blobs.
    pub retention: BlobRetention,
    /// When maintenance ran, and when it is to run.
    pub schedule: Schedule,
}

impl Upkeep {
    /// Reads and opens the blobs that say so, as far as options want it. What is not there says nothing.
    ///
    /// # Errors
    /// [`Error::CorruptBlob`], [`Error::Storage`].
    pub(crate) fn read(
        store: &dyn BlobStore,
        key: &FormatKey,
        envelope: &Envelope,
        format: &RepositoryFormat,
        options: &OpenOptions,
    ) -> Result<Self> {
        let mut upkeep = Self::default();
        if options.retention
            && let Some((id, sealed)) = read(store, RETENTION_ID)?
        {
            let plain = key.open(&envelope.unique_id, &sealed).map_err(|error| codec_error(&id, error))?;
            upkeep.retention = BlobRetention::parse(&plain).map_err(|error| Error::blob(&id, error))?;
        }
        if options.schedule
            && let Some((id, sealed)) = read(store, SCHEDULE_ID)?
        {
            let master_key = format.password_change.then_some(&**format.master_key);
            let plain = key.open_schedule(master_key, &envelope.unique_id, &sealed);
            let plain = plain.map_err(|error| codec_error(&id, error))?;
            upkeep.schedule = Schedule::parse(&plain).map_err(|error| Error::blob(&id, error))?;
        }
        Ok(upkeep)
    }
}

fn read(store: &dyn BlobStore, name: &str) -> Result<Option<(BlobId, Vec<u8>)>> {
    let id = BlobId::new(name).expect("the constant is a name");
    match store.read(&id) {
        Ok(bytes) => Ok(Some((id, bytes))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
