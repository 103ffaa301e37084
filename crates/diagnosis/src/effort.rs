//! Bounds on how much is looked at.

use std::time::{Duration, Instant};

/// How much may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For a hint beside an error: half a second at most.
    Hint,
    /// For a person who asked: some seconds. Packs are read, too, where the format blob is lost.
    Doctor,
}

/// How many entries any effort looks at without asking for the time.
const UNHURRIED: usize = 200;

/// What is left of an effort. Every directory and entry that is looked at takes from it.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) directories: usize,
    pub(crate) entries: usize,
    /// How many entries are looked at whatever the clock says, so that a small tree gets the same answer on a
    /// machine that has no time.
    pub(crate) unhurried: usize,
    pub(crate) until: Instant,
}

impl Effort {
    pub(crate) fn budget(self) -> Budget {
        let (directories, entries, milliseconds) = match self {
            Self::Hint => (500, 20_000, 500),
            Self::Doctor => (20_000, 1_000_000, 10_000),
        };
        let until = Instant::now() + Duration::from_millis(milliseconds);
        Budget { directories, entries, unhurried: UNHURRIED, until }
    }
}

impl Budget {
    /// Takes a directory; returns whether that was within the budget.
    pub(crate) fn directory(&mut self) -> bool {
        self.directories = self.directories.saturating_sub(1);
        self.directories > 0 && self.entry()
    }

    /// Takes an entry of a directory; returns whether that was within the budget.
    pub(crate) fn entry(&mut self) -> bool {
        self.entries = self.entries.saturating_sub(1);
        self.unhurried = self.unhurried.saturating_sub(1);
        self.entries > 0 && (self.unhurried > 0 || Instant::now() < self.until)
    }
}
