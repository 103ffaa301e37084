//! The parsers of what servers and files say, for fuzz targets: with all kinds of stores and the feature
//! `testing` alone.
//!
//! Each takes any bytes, hands them to everything that reads such, and panics where a promise is broken.

pub use crate::azure::testing::answers as azure_answers;
pub use crate::b2::testing::answers as b2_answers;
pub use crate::gcs::testing::answers as gcs_answers;
pub use crate::gdrive::testing::answers as gdrive_answers;
pub use crate::google::testing::credentials as google_credentials;
pub use crate::http::testing::headers as http_headers;
pub use crate::rclone::testing::words as rclone_words;
pub use crate::s3::testing::{answers as s3_answers, profiles};
pub use crate::server::testing::messages as server_messages;
pub use crate::sftp::testing::{known_hosts, packets as sftp_packets};
pub use crate::webdav::testing::{answers as answers_of_webdav, challenges, netrc};
