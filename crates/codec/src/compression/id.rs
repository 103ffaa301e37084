//! The numbers and names of the compressors.
//!
//! Authority: Kopia's `repo/compression/compression_ids.go`, and `RegisterCompressor` in `compressor_*.go`.

use crate::{Error, Result};

/// One of Kopia's compressors; the discriminant is its header id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
#[expect(
    missing_docs,
    reason = "the names say it all: Kopia's own, of which name() gives the exact spelling"
)]
pub enum Compression {
    Gzip = 0x1000,
    GzipBestSpeed = 0x1001,
    GzipBestCompression = 0x1002,
    Zstd = 0x1100,
    ZstdFastest = 0x1101,
    ZstdBetterCompression = 0x1102,
    ZstdBestCompression = 0x1103,
    S2Default = 0x1200,
    S2Better = 0x1201,
    S2Parallel4 = 0x1202,
    S2Parallel8 = 0x1203,
    Pgzip = 0x1300,
    PgzipBestSpeed = 0x1301,
    PgzipBestCompression = 0x1302,
    Lz4 = 0x1400,
    DeflateDefault = 0x1500,
    DeflateBestSpeed = 0x1501,
    DeflateBestCompression = 0x1502,
}

impl Compression {
    /// Every compressor, by ascending id.
    pub const ALL: [Self; 18] = [
        Self::Gzip,
        Self::GzipBestSpeed,
        Self::GzipBestCompression,
        Self::Zstd,
        Self::ZstdFastest,
        Self::ZstdBetterCompression,
        Self::ZstdBestCompression,
        Self::S2Default,
        Self::S2Better,
        Self::S2Parallel4,
        Self::S2Parallel8,
        Self::Pgzip,
        Self::PgzipBestSpeed,
        Self::PgzipBestCompression,
        Self::Lz4,
        Self::DeflateDefault,
        Self::DeflateBestSpeed,
        Self::DeflateBestCompression,
    ];

    /// Finds the compressor of a header id.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the number in hex for an unknown one.
    pub fn from_id(id: u32) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|compression| compression.id() == id);
        known.ok_or_else(|| Error::Unsupported { what: "compression", found: format!("{id:#06x}") })
    }

    /// Returns the id, as it stands before a stream and in the index.
    pub const fn id(self) -> u32 {
        self as u32
    }

    /// Returns Kopia's name, as policies spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::GzipBestSpeed => "gzip-best-speed",
            Self::GzipBestCompression => "gzip-best-compression",
            Self::Zstd => "zstd",
            Self::ZstdFastest => "zstd-fastest",
            Self::ZstdBetterCompression => "zstd-better-compression",
            Self::ZstdBestCompression => "zstd-best-compression",
            Self::S2Default => "s2-default",
            Self::S2Better => "s2-better",
            Self::S2Parallel4 => "s2-parallel-4",
            Self::S2Parallel8 => "s2-parallel-8",
            Self::Pgzip => "pgzip",
            Self::PgzipBestSpeed => "pgzip-best-speed",
            Self::PgzipBestCompression => "pgzip-best-compression",
            Self::Lz4 => "lz4",
            Self::DeflateDefault => "deflate-default",
            Self::DeflateBestSpeed => "deflate-best-speed",
            Self::DeflateBestCompression => "deflate-best-compression",
        }
    }

    pub(super) const fn format(self) -> Format {
        match self {
            Self::Gzip | Self::GzipBestSpeed | Self::GzipBestCompression => Format::Gzip,
            Self::Pgzip | Self::PgzipBestSpeed | Self::PgzipBestCompression => Format::Gzip,
            Self::Zstd | Self::ZstdFastest => Format::Zstd,
            Self::ZstdBetterCompression | Self::ZstdBestCompression => Format::Zstd,
            Self::S2Default | Self::S2Better | Self::S2Parallel4 | Self::S2Parallel8 => Format::S2,
            Self::Lz4 => Format::Lz4,
            Self::DeflateDefault | Self::DeflateBestSpeed | Self::DeflateBestCompression => Format::Deflate,
        }
    }
}

/// A stream format: one row of the table in the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Gzip,
    Zstd,
    S2,
    Lz4,
    Deflate,
}

impl Format {
    /// Returns its name in errors.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Gzip => "gzip stream",
            Self::Zstd => "zstd stream",
            Self::S2 => "S2 stream",
            Self::Lz4 => "LZ4 stream",
            Self::Deflate => "deflate stream",
        }
    }

    /// Returns the most plain bytes that `stream` bytes can hold, so that an impossible length allocates
    /// nothing.
    pub(super) const fn at_most(self, stream: usize) -> usize {
        stream.saturating_mul(match self {
            // 258 bytes in two bits.
            Self::Gzip | Self::Deflate => 1032,
            // A 128 KiB block of one byte repeated takes 4 bytes.
            Self::Zstd => 1 << 15,
            // A chunk of at most 4 MiB has 8 bytes before its first tag.
            Self::S2 => 1 << 19,
            // A byte of a match's length counts 255 at most.
            Self::Lz4 => 256,
        })
    }
}
