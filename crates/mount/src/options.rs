//! What a caller may choose.

/// How something is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Whether other users are let in. Modes and owners then decide what each of them may read; the one user who
    /// is let in otherwise may read everything, as whoever knows the password may. An ordinary user needs
    /// `user_allow_other` in /etc/fuse.conf for it.
    pub allow_other: bool,
    /// How many requests are answered at once; by default four for each core, or 32 where the store's reads
    /// take long.
    pub threads: Option<usize>,
    /// Bytes of parsed directories that are kept: 64 MiB by default. One directory is kept whatever it takes.
    pub directory_cache: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { allow_other: false, threads: None, directory_cache: 64 << 20 }
    }
}
