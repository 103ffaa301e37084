//! Opens what reads answers to fuzz targets.

use super::listing;
use crate::objects::Listed;

/// Reads an answer as a listing.
pub fn answers(bytes: &[u8]) {
    let Ok(page) = listing::page(bytes) else { return };
    assert!(page.items.len() <= bytes.len() / 7, "{} items in {} bytes", page.items.len(), bytes.len());
    for item in &page.items {
        let _ = (
            item.candidate("k/", std::time::SystemTime::UNIX_EPOCH),
            item.mark(),
            item.is_archived(),
            item.has_version(),
        );
        assert!(item.info("").is_none_or(|info| !info.id.as_str().contains('/')));
    }
}
