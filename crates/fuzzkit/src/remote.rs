//! What servers answer, and files that are read to speak with them.
//!
//! The bodies lie beside the parsers, which nobody else sees.

use kopia_remote::testing::{answers_of_webdav, challenges, netrc, profiles};
pub use kopia_remote::testing::{
    azure_answers, b2_answers, gcs_answers, gdrive_answers, google_credentials, http_headers, known_hosts,
    rclone_words, s3_answers, server_messages, sftp_packets,
};

/// Listings of WebDAV servers, or how they want to be shown who one is: the first byte says which.
pub fn webdav_answers(bytes: &[u8]) {
    match bytes.split_first() {
        Some((b'#', rest)) => challenges(rest),
        _ => answers_of_webdav(bytes),
    }
}

/// Files of keys and passwords that other programs write: of AWS's, and `~/.netrc`.
pub fn key_files(bytes: &[u8]) {
    profiles(bytes);
    netrc(bytes);
}
