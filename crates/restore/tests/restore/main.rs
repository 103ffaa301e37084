//! Restores of repositories that the tests write themselves: what kopia would never write, and targets that
//! nobody wants.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod choosing;
mod common;
mod damage;
mod deep;
mod delta;
mod empty_pieces;
mod existing;
mod extra;
mod failing;
mod figures;
mod hostile;
mod in_place;
mod latency;
mod living;
mod memory;
mod newer;
mod owners;
mod placeholders;
mod preview;
mod random;
mod reading;
mod reasons;
mod refusing;
mod resuming;
mod rights;
mod salvage;
mod shards;
mod skipping;
mod slashes;
mod squashed;
mod swapping;
mod target;
mod tight;
mod undoing;
mod writers;
mod writing;
