//! How things are shown.

use kopia_format::Timestamp;

/// How a time is written.
type ShowTime = Box<dyn Fn(Timestamp) -> String + Send + Sync>;

/// How things are shown.
#[non_exhaustive]
pub struct Options {
    /// Writes a time, in 19 columns at most; the default is RFC 3339.
    pub time: ShowTime,
    /// Whether there are colours; bold and reversed letters tell enough without them. The default is none.
    pub colour: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { time: Box::new(|time| time.to_string()), colour: false }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("colour", &self.colour).finish_non_exhaustive()
    }
}
