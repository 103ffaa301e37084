//! How much may be asked of a server.
//!
//! People set limits for cost or for others on the same line, so a reader honours them. Authority: Kopia's
//! `repo/blob/throttling`.

/// Limits of what is asked of a store. `None` is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Limits {
    /// Reads of blobs, per second.
    pub reads_per_second: Option<f64>,
    /// Requests for lists, per second.
    pub lists_per_second: Option<f64>,
    /// Bytes that are read, per second.
    pub download_bytes_per_second: Option<f64>,
    /// Reads that are under way at once.
    pub concurrent_reads: Option<usize>,
}
