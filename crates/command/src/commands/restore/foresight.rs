//! What a restore asks of a network: requests, bytes, what they cost, and what lies in an archive.

use kopia_rs::cold::ColdBlobs;
use kopia_rs::restore::Options;
use kopia_rs::{Entry, Repository, Traffic};
use serde::Serialize;

use crate::args::Prices;
use crate::error::Failure;
use crate::session::Session;
use crate::session::needed::planned;
use crate::terminal::output::{count, size};

/// What is asked of a store, and what the provider takes for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(in crate::commands) struct Requests {
    listings: u64,
    reads: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
}

/// What is known before a restore begins.
pub(super) struct Foresight {
    /// What the command asks for from its first step to its last, where somebody counts.
    pub(super) requests: Option<Requests>,
    pub(super) cold: ColdBlobs,
}

impl Requests {
    /// Returns what was asked of a store so far.
    pub(in crate::commands) fn so_far(repository: &Repository, prices: Option<&Prices>) -> Option<Self> {
        are_counted(repository, prices).then(|| Self::of(repository.traffic(), prices))
    }

    fn of(traffic: Traffic, prices: Option<&Prices>) -> Self {
        let Traffic { listings, reads, bytes, .. } = traffic;
        Self { listings, reads, bytes, cost: prices.map(|prices| prices.of_requests(listings, reads, bytes)) }
    }

    /// Says it in words.
    pub(in crate::commands) fn words(&self) -> String {
        let cost = self.cost.map(|cost| format!(", for {cost:.4}")).unwrap_or_default();
        let listings = count(self.listings, "listing", "listings");
        format!("{listings} and {} of {} in all{cost}", count(self.reads, "read", "reads"), size(self.bytes))
    }
}

/// Returns whether requests matter: over a network, or where they have a price. A server's are not known.
fn are_counted(repository: &Repository, prices: Option<&Prices>) -> bool {
    repository.server().is_none() && (repository.contents().is_far() || prices.is_some())
}

/// Adds up what a restore of one thing, or of its parts, into an empty directory asks for; `None` where nobody wants to know.
pub(super) fn foresee<'a>(
    session: &Session,
    parts: impl Iterator<Item = &'a (Entry, Options)>,
    prices: Option<&Prices>,
) -> Result<Option<Foresight>, Failure> {
    let repository = &session.repository;
    if !are_counted(repository, prices) {
        return Ok(None);
    }
    // What opened the repository, found the snapshot and looked at its root was asked for already.
    let mut all = repository.traffic();
    let mut cold: Option<ColdBlobs> = None;
    for (entry, options) in parts {
        let plan = match planned(repository, entry, options)? {
            Ok(plan) => plan,
            Err(cold) => return Ok(Some(Foresight { requests: None, cold })),
        };
        let figures = plan.figures()?;
        all.reads += figures.metadata_reads + figures.ranges;
        all.bytes += figures.metadata_bytes + figures.bytes_to_read;
        let more = plan.cold_of(&figures)?;
        match &mut cold {
            Some(cold) => cold.join(more),
            None => cold = Some(more),
        }
    }
    let Some(cold) = cold else { return Ok(None) };
    let mut requests = Requests::of(all, prices);
    if let (Some(cost), Some(prices)) = (&mut requests.cost, prices) {
        *cost += prices.of_thaw(cold.blobs().len() as u64, cold.bytes());
    }
    Ok(Some(Foresight { requests: Some(requests), cold }))
}
