//! Looks around where a connection leads.

use kopia_connection::Connection;
#[allow(unused_imports, reason = "a build may have no networks")]
use kopia_connection::Storage;
use kopia_storage::{Failure, Surroundings};

use crate::connect::Options;

/// Makes a view of what lies around the place of a connection: `None` where nothing can be looked at.
///
/// It is for explaining why no repository is there. Nothing is asked before something is looked at, but for
/// signing in.
///
/// # Errors
/// What keeps the server from being asked.
pub fn survey(connection: &Connection, options: &Options) -> Result<Option<Box<dyn Surroundings>>, Failure> {
    let limits = &connection.limits;
    match &connection.storage {
        #[cfg(feature = "azure")]
        Storage::Azure(place) => crate::azure::survey(place, limits, options).map(some),
        #[cfg(feature = "b2")]
        Storage::B2(place) => crate::b2::survey(place, limits, options).map(some),
        #[cfg(feature = "gcs")]
        Storage::Gcs(place) => crate::gcs::survey(place, limits, options).map(some),
        #[cfg(feature = "gdrive")]
        Storage::GoogleDrive(place) => crate::gdrive::survey(place, limits, options).map(some),
        #[cfg(feature = "rclone")]
        Storage::Rclone(place) => Ok(some(crate::rclone::survey(place, limits, options))),
        #[cfg(feature = "s3")]
        Storage::S3(place) => crate::s3::survey(place, limits, options).map(some),
        #[cfg(feature = "sftp")]
        Storage::Sftp(place) => crate::sftp::survey(place, options).map(some),
        #[cfg(feature = "webdav")]
        Storage::WebDav(place) => crate::webdav::survey(place, limits, options).map(some),
        _ => {
            let _ = (limits, options);
            Ok(None)
        }
    }
}

#[allow(dead_code, reason = "a build may have no networks")]
fn some(surroundings: impl Surroundings + 'static) -> Option<Box<dyn Surroundings>> {
    Some(Box::new(surroundings))
}
