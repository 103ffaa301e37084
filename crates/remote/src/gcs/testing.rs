//! Opens what reads answers to fuzz targets.

use crate::objects::Listed;
use std::time::SystemTime;

use super::listing;

/// Reads an answer as a listing.
pub fn answers(bytes: &[u8]) {
    let Some(page) = listing::page(bytes) else { return };
    for item in &page.items {
        let _ = (item.candidate("", SystemTime::UNIX_EPOCH), item.mark());
        assert!(item.info("").is_none_or(|info| !info.id.as_str().contains('/')));
    }
}
