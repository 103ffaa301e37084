//! The command as people and programs use it: the real binary, its output and its exit status.
//!
//! What is restored, byte for byte, is tested in `golden`; what damage costs is tested with the crates below.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

mod archives;
mod attributes;
#[cfg(feature = "terminal-browser")]
mod browsing;
mod caching;
mod cat;
mod colours;
mod common;
mod connected;
mod describing;
mod devices;
mod diffing;
mod doctor;
mod errors;
mod existing;
mod exporting;
mod failing;
mod finding;
mod folding;
mod gone;
mod guide;
mod habits;
mod incomplete;
mod json_keys;
mod key_ring;
mod layouts;
mod left_behind;
mod listing;
mod memory;
mod mounts;
mod networks;
mod owners;
mod password;
mod patterns;
mod pieces;
mod progress;
mod restoring;
mod schema;
mod secrets;
mod selecting;
#[cfg(feature = "serve")]
mod serving;
mod several;
mod slashes;
mod stopping;
mod stores;
mod target;
mod terminal;
mod undoing;
mod usage;
mod velero;
mod velero_golden;
mod verifying;
mod versions;
