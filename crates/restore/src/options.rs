//! What a caller may choose. The defaults are what is safe.

use std::num::NonZeroUsize;

/// How a restore is done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How many threads decode and write; by default as many as the cores that this process may use.
    pub parallel: Option<NonZeroUsize>,
    /// Whether the target folder itself gets owner, mode and times of the snapshot's root.
    pub root_attributes: bool,
    /// How many folders may be nested: 10,000 by default.
    pub max_depth: usize,
    /// Whether every content's hash is compared with its id. Off by default, as in kopia: the encryption authenticates
    /// every content already.
    pub verify_hashes: bool,
    /// What is forced to disk before the restore ends.
    pub sync: Sync,
    /// Whether blocks of zeros are left out of files, as holes that take no room. Off by default: files get the room that
    /// they need, so that the disk cannot be full later.
    pub sparse: bool,
    /// What stays of the written bytes in the system's memory.
    pub page_cache: PageCache,
    /// How many bytes may be read ahead of the workers, or wait for them, where the store's reads take long: 64 MiB by
    /// default. One read may have more by itself.
    pub read_ahead: u64,
}

/// What is forced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Sync {
    /// Nothing, as `cp`, `tar` and kopia do: the system writes when it likes.
    #[default]
    None,
    /// The target's file system, once, after everything is written and before anything gets its final name.
    Filesystem,
    /// Every file when it is finished; then as [`Self::Filesystem`].
    Files,
}

/// What stays of written bytes in the system's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PageCache {
    /// What is written in pieces of less than a megabyte; of larger pieces nothing, where Linux (from 6.14 on) and the file
    /// system can do that. Their pages are used again and again, which costs less than new ones and pushes nothing else out
    /// of memory.
    #[default]
    Auto,
    /// Everything, for programs that read it at once.
    Keep,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parallel: None,
            root_attributes: true,
            max_depth: 10_000,
            verify_hashes: false,
            sync: Sync::None,
            sparse: false,
            page_cache: PageCache::Auto,
            read_ahead: 64 << 20,
        }
    }
}

impl Options {
    /// Returns the number of threads that decode and write.
    pub(crate) fn workers(&self) -> usize {
        // The standard library knows affinity and cgroup quotas.
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.parallel.map_or_else(cores, NonZeroUsize::get)
    }
}
