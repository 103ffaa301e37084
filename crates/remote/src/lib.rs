//! Reads Kopia repositories over networks.
//!
//! [`connect`] opens what a [`Connection`](kopia_connection::Connection) describes: a store of blobs or, for a Kopia repository
//! server, of contents. This crate alone may open network connections and hold the credentials of servers. Of
//! formats it knows the names of blobs and contents, and nothing of what is in them. It writes nothing,
//! neither here nor there; where a store has an archive, blobs are fetched from it if a caller asks for that
//! ([`ColdStorage`](kopia_storage::ColdStorage)).

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "b2")]
mod b2;
mod connect;
#[cfg(any(feature = "webdav", feature = "rclone", feature = "sftp"))]
#[allow(dead_code, reason = "each kind of store uses a part of it")]
mod directories;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(feature = "gdrive")]
mod gdrive;
#[cfg(test)]
#[cfg(all(feature = "azure", feature = "gcs"))]
mod golden;
#[cfg(feature = "google")]
mod google;
#[cfg(feature = "http")]
#[allow(dead_code, reason = "each kind of store uses a part of it")]
mod http;
#[cfg(any(feature = "google", feature = "azure"))]
#[allow(dead_code, reason = "each kind of store uses a part of it")]
mod jwt;
#[cfg(feature = "key-ring")]
pub mod key_ring;
#[cfg(any(feature = "google", feature = "azure", feature = "b2"))]
#[allow(dead_code, reason = "each kind of store uses a part of it")]
mod lease;
#[cfg(any(feature = "google", feature = "azure"))]
mod oauth;
#[cfg(feature = "http")]
#[allow(dead_code, reason = "each kind of store uses a part of it")]
mod objects;
#[allow(dead_code, reason = "each kind of store uses a part of it")]
mod pace;
mod paced;
#[allow(dead_code, reason = "only what waits uses it")]
mod patience;
#[cfg(feature = "rclone")]
mod rclone;
#[cfg(feature = "runtime")]
#[allow(dead_code, reason = "each kind of store uses a part of it")]
mod runtime;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "sftp")]
mod sftp;
#[cfg(all(test, any(feature = "b2", feature = "gdrive")))]
#[path = "../tests/support/mod.rs"]
mod support;
mod survey;
#[cfg(all(feature = "testing", feature = "s3", feature = "azure", feature = "b2", feature = "gdrive"))]
#[cfg(all(feature = "gcs", feature = "webdav", feature = "rclone", feature = "sftp", feature = "server"))]
#[doc(hidden)]
pub mod testing;
#[cfg(feature = "tls")]
#[allow(dead_code, reason = "each kind of store uses a part of it")]
mod tls;
#[cfg(feature = "webdav")]
mod webdav;
#[cfg(any(feature = "azure", feature = "s3", feature = "webdav"))]
#[allow(dead_code, reason = "not all of them use it")]
mod xml;

pub use connect::{Opened, Options, connect};
pub use patience::Patience;
pub use survey::survey;
