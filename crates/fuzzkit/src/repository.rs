//! A whole small repository whose plain bytes are hostile: what somebody with the keys could write.
//!
//! The input is cut into sections at `\n%%`. The first byte of a section says what the rest is:
//!
//! | | |
//! |---|---|
//! | `p` | a content without prefix |
//! | `g`–`z` but `p` | a content with that prefix: `k` for directories, `x` for lists of pieces; `m` is packed by gzip first |
//! | `M` | an `m` content as it is |
//! | `C` | a compressed content: its prefix (`p` for none), its plain length u24, compression header, stream |
//! | `I` | an index blob, in place of the right one |
//! | `P` | the index at the end of the pack; the repository is opened without index blobs, degraded |
//!
//! Contents are numbered as they come, and a content's hash is its number in one byte: the third one, if it
//! is a directory, is `k02`. So ids stay right when the fuzzer changes what they name. All contents lie in
//! the pack `p0`, one after the other.

mod build;
mod exercise;
mod index;

pub use build::{Section, join};

/// Opens the repository that `bytes` describe, lists it, reads it, verifies it and restores it.
pub fn repository(bytes: &[u8]) {
    let (store, degraded) = build::build(bytes);
    exercise::exercise(store, degraded);
}
