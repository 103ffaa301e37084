//! Keys, ciphers, hashes, compression and error correction, as Kopia repositories use them.
//!
//! This crate holds the secrets. It turns stored bytes into plain ones, and reports when they are not what
//! was written; it does no I/O and does not know what the bytes mean. In the chain of crates
//! `kopia-repository` is its only user.
//!
//! | module | what | Kopia's own source |
//! |---|---|---|
//! | [`key`] | password → keys, the format blob's envelope | `repo/format`, `internal/crypto` |
//! | [`cipher`] | one content or index blob, opened and checked | `repo/encryption` |
//! | [`hash`] | content ids | `repo/hashing` |
//! | [`compression`] | one content, decompressed | `repo/compression` |
//! | [`ecc`] | damaged bytes, repaired | `repo/ecc` |
//!
//! Features: `native` (default) uses aws-lc, zstd and libdeflate, built with a C compiler; `pure-rust` needs
//! none. `seal` adds the writing side for programs that make test repositories.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

#[cfg(not(any(feature = "native", feature = "pure-rust")))]
compile_error!("kopia-codec needs one of the features `native` (default) and `pure-rust`");

pub mod cipher;
pub mod compression;
pub mod ecc;
mod error;
pub mod hash;
pub mod key;
mod wipe;

pub use error::{Error, Result};
