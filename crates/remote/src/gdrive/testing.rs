//! Opens what reads answers to fuzz targets.

use super::listing;

/// Reads an answer as a listing.
pub fn answers(bytes: &[u8]) {
    let Some(page) = listing::page(bytes) else { return };
    for file in &page.items {
        let _ = (file.length(), file.modified());
    }
}
