//! Blobs in the archive tier: which they are, and fetching them from there.
//!
//! This is the one place that asks Azure to do something, `PUT ?comp=tier`, and only when a caller wants it.
//! Azure makes no copy for some days as S3 does: the blob itself moves to the hot tier, and stays there until
//! somebody moves it back. Its bytes, its version and its time stay as they are. Authority: Microsoft's "Set
//! Blob Tier" and "Blob rehydration from the archive tier".

use std::time::Duration;

use kopia_format::BlobId;
use kopia_storage::{ColdBlob, ColdStorage, Failure, Result, ThawSpeed, ThawTime, Warmth};

use super::AzureStore;
use super::listing::Item;
use crate::http::{Kind, Request, Trouble};
use crate::objects::{Listed, sorted};

/// The tier that nothing can be read from.
pub(super) const ARCHIVE: &str = "Archive";

/// The tier that blobs are fetched to: the one that costs nothing to leave again.
const ONLINE: &str = "Hot";

impl ColdStorage for AzureStore {
    fn list_cold(&self, prefix: &str) -> Result<Vec<ColdBlob>> {
        let mut blobs = Vec::new();
        let listed = self.each(prefix, |item: Item| {
            blobs.extend(item.info(&self.prefix).filter(|_| item.is_archived()));
        });
        listed.map_err(|trouble| trouble.listing(self.place.clone(), &self.client.host()))?;
        Ok(sorted(blobs).into_iter().map(|info| ColdBlob::new(info, ARCHIVE)).collect())
    }

    fn warmth(&self, id: &BlobId) -> Result<Warmth> {
        let head = self
            .request(id)
            .and_then(|request| self.client.call(&self.service, &Request { method: "HEAD", ..request }));
        let answer = head.map_err(|trouble| trouble.reading(id, self.place.clone(), 0, 0))?;
        let is_archived = answer.header("x-ms-access-tier") == Some(ARCHIVE);
        Ok(match answer.header("x-ms-archive-status") {
            Some(status) if status.starts_with("rehydrate-pending") => Warmth::Thawing,
            _ if is_archived => Warmth::Cold { class: ARCHIVE.into() },
            _ => Warmth::Warm { until: None },
        })
    }

    /// Moves a blob to the hot tier, for good: `days` is of no use here.
    fn thaw(&self, id: &BlobId, speed: ThawSpeed, _days: u32) -> Result<Warmth> {
        // A blob of another tier would be moved as well, and is left where it is.
        let warmth = self.warmth(id)?;
        if !matches!(warmth, Warmth::Cold { .. }) {
            return Ok(warmth);
        }
        let priority = if speed == ThawSpeed::Expedited { "High" } else { "Standard" };
        let asked = self.request(id).and_then(|request| {
            let separator = if request.path.contains('?') { '&' } else { '?' };
            let path = format!("{}{separator}comp=tier", request.path);
            let request = Request::new("PUT", path, Kind::Other)
                .with("x-ms-access-tier", ONLINE)
                .with("x-ms-rehydrate-priority", priority);
            self.client.call(&self.service, &request)
        });
        match asked {
            // 200 is done, 202 under way.
            Ok(answer) if answer.status == 200 => self.warmth(id),
            Ok(_) => Ok(Warmth::Thawing),
            // Somebody else asked for it in between.
            Err(Trouble::Failed(Failure::Cold { .. })) => Ok(Warmth::Thawing),
            Err(trouble) => Err(trouble.reading(id, self.place.clone(), 0, 0)),
        }
    }

    /// As Microsoft's "Blob rehydration from the archive tier" has it; above 10 GB high priority takes
    /// longer.
    fn thaw_time(&self, _class: &str, speed: ThawSpeed) -> ThawTime {
        let hour = Duration::from_secs(3600);
        let most = if speed == ThawSpeed::Expedited { hour } else { 15 * hour };
        ThawTime::Within(Duration::ZERO, most)
    }

    fn thaws_for_good(&self) -> bool {
        true
    }
}
