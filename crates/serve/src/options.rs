//! What a caller may choose.

use std::fmt;
use std::num::NonZero;

use kopia_format::Timestamp;
use kopia_repository::select::Filter;

/// How snapshots are shown, and within which limits.
#[non_exhaustive]
pub struct Options {
    /// Which snapshots are shown; all by default.
    pub filter: Filter,
    /// Writes times for people; RFC 3339 in UTC by default.
    pub time: Box<dyn Fn(Timestamp) -> String + Send + Sync>,
    /// Is told, in a sentence, of what could not be read; by default nobody is.
    pub notice: Box<dyn Fn(&str) + Send + Sync>,
    /// How many connections are served at a time, 32 by default; others wait. Each may have two decoded
    /// contents in memory, of up to 8 MiB with kopia's usual splitter.
    pub connections: NonZero<usize>,
    /// How many archives are made at a time, 2 by default; each takes 32 MiB and threads of its own.
    pub archives: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            time: Box::new(|time| time.to_string()),
            notice: Box::new(|_| {}),
            connections: NonZero::new(32).unwrap_or(NonZero::<usize>::MIN),
            archives: 2,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { filter, connections, archives, .. } = self;
        let mut options = f.debug_struct("Options");
        options.field("filter", filter).field("connections", connections).field("archives", archives);
        options.finish_non_exhaustive()
    }
}
