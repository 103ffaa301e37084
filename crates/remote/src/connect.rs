//! Opens what a connection describes.

use std::fmt;
use std::sync::Arc;

use kopia_connection::{Connection, Environment, Limits, Storage};
use kopia_storage::{BlobStore, ContentServer, Error, FilesystemStore, IoMode, Result};

use crate::paced::PacedStore;
use crate::patience::Patience;

/// What was opened.
#[non_exhaustive]
pub enum Opened {
    /// A store of blobs.
    Blobs(Box<dyn BlobStore>),
    /// A server of contents.
    Contents(Box<dyn ContentServer>),
}

/// How to open and to read, whatever it is.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Where credentials are looked for that the connection does not hold. Nothing but this is looked at.
    pub environment: Environment,
    /// Takes notes of one line, such as that a host is waited for. They may come from any thread.
    pub notice: Arc<dyn Fn(&str) + Send + Sync>,
    /// How the files of a local directory are read.
    pub io: IoMode,
    /// Bytes that may be read per second, beside the limits of the connection.
    pub limit_download: Option<f64>,
    /// How long servers are waited for.
    pub patience: Patience,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            environment: Environment::empty(),
            notice: Arc::new(|_| {}),
            io: IoMode::default(),
            limit_download: None,
            patience: Patience::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { environment, notice: _, io, limit_download, patience } = self;
        f.debug_struct("Options")
            .field("environment", environment)
            .field("io", io)
            .field("limit_download", limit_download)
            .field("patience", patience)
            .finish_non_exhaustive()
    }
}

/// Opens a store of blobs or, for a Kopia repository server, of contents.
///
/// It blocks, as all reads do, and may be called from anywhere: what is asynchronous inside runs on threads
/// of its own, so that a caller within a runtime neither panics nor has to own one. Such a caller's thread
/// waits all the same, so a busy one calls it where blocking is allowed, as by `tokio::task::spawn_blocking`.
///
/// A store asks its server for as little as it can: that a key or a name is wrong may show at the first read.
/// A server of contents is signed in to at once, with the connection's password, user and host. Time is
/// bounded by [`Options::patience`]; nothing is written anywhere.
///
/// ```
/// use kopia_connection::Connection;
/// use kopia_remote::{Opened, Options, connect};
///
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
/// match connect(&Connection::parse(folder)?, &Options::default())? {
///     Opened::Blobs(store) => assert!(!store.list("x")?.is_empty()),
///     Opened::Contents(server) => println!("{} holds contents", server.location()),
///     _ => {}
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::UnsupportedBackend`] for storage that this build cannot read, and what the store says.
pub fn connect(connection: &Connection, options: &Options) -> Result<Opened> {
    match &connection.storage {
        #[cfg(feature = "server")]
        Storage::Server(server) => crate::server::open(server, connection, options).map(Opened::Contents),
        Storage::Filesystem(directory) => {
            let store = FilesystemStore::open_with(&directory.path, options.io);
            if connection.limits == Limits::default() && options.limit_download.is_none() {
                return blobs(store);
            }
            blobs(store.map(|store| PacedStore::new(store, &connection.limits, options)))
        }
        #[cfg(feature = "azure")]
        Storage::Azure(place) => blobs(crate::azure::open(place, &connection.limits, options)),
        #[cfg(feature = "b2")]
        Storage::B2(place) => blobs(crate::b2::open(place, &connection.limits, options)),
        #[cfg(feature = "gcs")]
        Storage::Gcs(place) => blobs(crate::gcs::open(place, &connection.limits, options)),
        #[cfg(feature = "gdrive")]
        Storage::GoogleDrive(place) => blobs(crate::gdrive::open(place, &connection.limits, options)),
        #[cfg(feature = "rclone")]
        Storage::Rclone(place) => blobs(crate::rclone::open(place, &connection.limits, options)),
        #[cfg(feature = "s3")]
        Storage::S3(place) => blobs(crate::s3::open(place, &connection.limits, options)),
        #[cfg(feature = "sftp")]
        Storage::Sftp(place) => blobs(crate::sftp::open(place, &connection.limits, options)),
        #[cfg(feature = "webdav")]
        Storage::WebDav(place) => blobs(crate::webdav::open(place, &connection.limits, options)),
        other => Err(Error::UnsupportedBackend { name: other.kind().to_string() }),
    }
}

fn blobs(store: Result<impl BlobStore>) -> Result<Opened> {
    store.map(|store| Opened::Blobs(Box::new(store)))
}
