//! How fast contents can be read here and now.
//!
//! Nothing is written to find that out, so how fast a target is remains unknown: a restore takes at least as
//! long.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kopia_format::ContentId;
use kopia_repository::Repository;

/// How long it is measured.
const TIME: Duration = Duration::from_millis(1500);

/// How many packs are read, spread over all.
const PACKS: usize = 16;

/// Reads and decodes packs for a while, as a restore does, and returns plain bytes a second; `None` if there
/// is too little to measure.
pub fn measure(repository: &Repository) -> Option<f64> {
    let step = (repository.status().ok()?.packs / PACKS).max(1);
    let mut chosen: BTreeMap<u32, Vec<ContentId>> = BTreeMap::new();
    repository.contents().for_each(|content, location| {
        if content.prefix().is_none() && (location.group() as usize).is_multiple_of(step) {
            chosen.entry(location.group()).or_default().push(content);
        }
    });
    let (start, bytes) = (Instant::now(), AtomicU64::new(0));
    for contents in chosen.values() {
        repository.contents().read_many(contents, |_, plain| {
            bytes.fetch_add(plain.map_or(0, |plain| plain.len() as u64), Ordering::Relaxed);
        });
        if start.elapsed() >= TIME {
            break;
        }
    }
    let (bytes, seconds) = (bytes.into_inner(), start.elapsed().as_secs_f64());
    // Less than this says more about the first read than about those to come.
    const LEAST: u64 = 16 << 20;
    (bytes >= LEAST && seconds > 0.0).then(|| bytes as f64 / seconds)
}
