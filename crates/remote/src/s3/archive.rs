//! Blobs in cold storage classes: which they are, and fetching them from there.
//!
//! This is the one place that asks S3 to do something, `POST ?restore`, and only when a caller wants it. The
//! blob stays in its class; what is fetched is a copy for some days.

use std::time::{Duration, SystemTime};

use kopia_format::BlobId;
use kopia_storage::{ColdBlob, ColdStorage, Failure, Result, ThawSpeed, ThawTime, Warmth};

use super::S3Store;
use crate::http::{Answer, Kind, Request, Trouble, date};

/// The classes that cannot be read from at once.
const COLD: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

impl ColdStorage for S3Store {
    fn list_cold(&self, prefix: &str) -> Result<Vec<ColdBlob>> {
        let blobs = self.entries(prefix, |entry| {
            let is_cold = COLD.contains(&&*entry.class);
            let info = self.info(&entry, prefix).filter(|_| is_cold)?;
            Some(ColdBlob::new(info, entry.class))
        });
        let mut blobs =
            blobs.map_err(|trouble| trouble.listing(super::location(&self.place), &self.host()))?;
        blobs.sort_unstable_by(|a, b| a.info.id.cmp(&b.info.id));
        blobs.dedup_by(|later, earlier| later.info.id == earlier.info.id);
        Ok(blobs)
    }

    fn warmth(&self, id: &BlobId) -> Result<Warmth> {
        let answer = self.with(|target| {
            let request = Request { method: "HEAD", ..self.request(target, id)? };
            target.client.call(target, &request)
        });
        answer.map(|answer| warmth(&answer)).map_err(|trouble| self.reading(trouble, id, 0, 0))
    }

    fn thaw(&self, id: &BlobId, speed: ThawSpeed, days: u32) -> Result<Warmth> {
        let tier = match speed {
            ThawSpeed::Standard => "Standard",
            ThawSpeed::Expedited => "Expedited",
            _ => "Bulk",
        };
        let body = format!(
            "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Days>{}</Days>\
             <GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters></RestoreRequest>",
            days.max(1)
        );
        let asked = self.with(|target| {
            let mut path = self.request(target, id)?.path;
            path.push_str(if path.contains('?') { "&restore" } else { "?restore" });
            let request = Request::new("POST", path, Kind::Other).with_body("application/xml", body.clone());
            target.client.call(target, &request)
        });
        match asked {
            // It was fetched already.
            Ok(answer) if answer.status == 200 => self.warmth(id),
            Ok(_) => Ok(Warmth::Thawing),
            Err(Trouble::Failed(Failure::Refusal { status, .. }))
                if status == "409 RestoreAlreadyInProgress" =>
            {
                Ok(Warmth::Thawing)
            }
            // It is in no archive.
            Err(Trouble::Failed(Failure::Cold { .. })) => self.warmth(id),
            Err(trouble) => Err(self.reading(trouble, id, 0, 0)),
        }
    }

    /// As Amazon's "Understanding archive retrieval options" has it.
    fn thaw_time(&self, class: &str, speed: ThawSpeed) -> ThawTime {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
        let is_deep = class.contains("DEEP_ARCHIVE");
        match speed {
            ThawSpeed::Expedited if is_deep => ThawTime::NotOffered,
            ThawSpeed::Expedited => ThawTime::Within(minute, 5 * minute),
            ThawSpeed::Standard if is_deep => ThawTime::Within(hour, 12 * hour),
            ThawSpeed::Standard => ThawTime::Within(3 * hour, 5 * hour),
            _ if is_deep => ThawTime::Within(hour, 48 * hour),
            _ => ThawTime::Within(5 * hour, 12 * hour),
        }
    }
}

/// Reads from the head of a blob whether it can be read.
fn warmth(answer: &Answer) -> Warmth {
    let class = answer.header("x-amz-storage-class").unwrap_or_default();
    // Blobs that are moved by use have one class and may be archived all the same.
    let archived = answer.header("x-amz-archive-status");
    let restore = answer.header("x-amz-restore").unwrap_or_default();
    if restore.contains("ongoing-request=\"true\"") {
        return Warmth::Thawing;
    }
    if restore.contains("ongoing-request=\"false\"") {
        return Warmth::Warm { until: expiry(restore) };
    }
    match archived {
        Some(status) => Warmth::Cold { class: format!("{class} {status}").trim().into() },
        None if COLD.contains(&class) => Warmth::Cold { class: class.into() },
        None => Warmth::Warm { until: None },
    }
}

fn expiry(restore: &str) -> Option<SystemTime> {
    let (_, rest) = restore.split_once("expiry-date=\"")?;
    date::parse(rest.split('"').next()?)
}
