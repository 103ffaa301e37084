//! Opens what reads rclone's words to fuzz targets.

use std::io::Cursor;
use std::time::Duration;

use super::remote;
use super::words::{Secrets, Words};

/// Reads bytes as what rclone says, and as the place that it serves.
///
/// # Panics
/// If an address is found that is not of this machine.
pub fn words(bytes: &[u8]) {
    let words = Words::heard(Cursor::new(bytes.to_vec()), Secrets(vec!["s3cr3t".into()]));
    match words.addresses(Duration::ZERO) {
        Ok((served, control)) => {
            for address in [served, control] {
                assert!(address.starts_with("http://127.0.0.1:") && !address.contains('@'), "{address}");
            }
        }
        Err(failure) => assert!(!failure.to_string().contains("s3cr3t") && failure.to_string().len() < 2000),
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (remote::shown(text), remote::values(text));
    }
}
