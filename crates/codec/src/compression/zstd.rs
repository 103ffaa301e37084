//! Zstandard (RFC 8878): frames and skippable frames, nothing else before, between or after them.
//!
//! Authority: Kopia's `repo/compression/compressor_zstd.go`. Frames carry a checksum, mostly no content size,
//! and declare windows of up to 32 MiB. An empty content is an empty stream.

#[cfg(feature = "native")]
mod native;
#[cfg(all(feature = "pure-rust", any(test, not(feature = "native"))))]
mod pure;

#[cfg(feature = "native")]
pub(super) use native::Zstd;
#[cfg(not(feature = "native"))]
pub(super) use pure::Zstd;

// Where both are built, they check each other.
#[cfg(all(test, feature = "native", feature = "pure-rust"))]
pub(super) use pure::Zstd as PureZstd;
