//! Reads Kopia repositories over networks.
//!
//! [`connect`] opens what a [`Connection`](kopia_connection::Connection) describes: a store of blobs or, for a Kopia repository
//! server, of contents. This crate alone may open network connections and hold the credentials of servers. Of formats it knows
//! the names of blobs and contents, and nothing of what is in them. It writes nothing, neither here nor there.

mod connect;
#[cfg(feature = "runtime")]
#[allow(dead_code, reason = "no client runs on it yet")]
mod runtime;

pub use connect::{Opened, Options, connect};
