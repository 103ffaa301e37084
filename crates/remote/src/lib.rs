//! Reads Kopia repositories over networks.
//!
//! [`connect`] opens what a [`Connection`](kopia_connection::Connection) describes: a store of blobs or, for a Kopia repository
//! server, of contents. This crate alone may open network connections and hold the credentials of servers. Of formats it knows
//! the names of blobs and contents, and nothing of what is in them. It writes nothing, neither here nor there.

mod connect;
#[cfg(feature = "http")]
#[allow(dead_code, reason = "each kind of store uses a part of it")]
mod http;
#[allow(dead_code, reason = "only what waits uses it")]
mod patience;
#[cfg(feature = "runtime")]
#[allow(dead_code, reason = "no client runs on it yet")]
mod runtime;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "tls")]
#[allow(dead_code, reason = "each kind of store uses a part of it")]
mod tls;

pub use connect::{Opened, Options, connect};
pub use patience::Patience;
