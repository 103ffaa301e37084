//! What happens to a restore from outside: it is killed, told to stop, or short of room and handles.
//!
//! The real binary, as these are things that only a process has. Some need root and mount namespaces, and say
//! so where there are none.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

mod bombs;
mod common;
mod handles;
#[cfg(feature = "networks")]
mod hostile;
mod kills;
#[cfg(feature = "networks")]
mod network;
mod rollback;
mod room;
mod signals;
mod tight_kills;
mod undone;
