//! Opens what reads answers to fuzz targets.

use super::answers;

/// Reads an answer as each that there is.
pub fn answers(bytes: &[u8]) {
    if let Some(page) = answers::files(bytes) {
        for file in &page.items {
            assert!(file.info("").is_none_or(|info| !info.id.as_str().contains('/')));
        }
    }
    let _ = (answers::authorization(bytes), answers::bucket(bytes, "b"), answers::refusal(bytes));
}
