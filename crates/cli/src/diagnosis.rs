//! Why a repository cannot be opened or a snapshot not found, and what to change.
//!
//! Everything here looks and never touches: it returns values and prints nothing. `doctor` shows all findings, an error's
//! hint is the first of them (`error::advice`), and the mover's last line is the first of them.
//!
//! | who asks | calls |
//! |---|---|
//! | opening failed | [`unopened`] |
//! | an identity has no snapshot | [`identity::no_snapshot`], [`identity::nearest`] |
//! | is the location mounted and empty? | [`Place::look`] |
//! | before a target is written | [`space::target`], [`pace::measure`] |
//! | one sentence | [`Finding::sentence`], [`Finding::brief`], [`Finding::last_line`] |
//!
//! Advice has two voices ([`Voice`]): people at a terminal run commands, readers of a pod's log change manifests.
//!
//! What is looked at is bounded by an [`Effort`], because folders may be huge, slow or hostile: links below the location
//! are never followed, and only regular files are opened, without waiting.

pub(crate) mod access;
pub(crate) mod finding;
pub(crate) mod format_blob;
pub(crate) mod identity;
pub(crate) mod ids;
pub(crate) mod mounts;
pub(crate) mod neighbours;
pub(crate) mod pace;
pub(crate) mod packs;
pub(crate) mod password;
pub(crate) mod place;
pub(crate) mod sentence;
pub(crate) mod space;
mod unopened;
pub(crate) mod upgrade;
pub(crate) mod voice;

use std::time::{Duration, Instant};

pub(crate) use finding::{Cause, Finding, Weight};
pub(crate) use place::Place;
pub(crate) use unopened::{Unopened, unopened};
pub(crate) use voice::Voice;

/// How much may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For a hint beside an error: half a second at most.
    Hint,
    /// For a person who asked: some seconds.
    Doctor,
}

/// How many entries any effort looks at without asking for the time.
const UNHURRIED: usize = 200;

/// What is left of an effort. Every folder and entry that is looked at takes from it.
#[derive(Debug)]
pub(crate) struct Budget {
    folders: usize,
    entries: usize,
    /// How many entries are looked at whatever the clock says, so that a small tree gets the same answer on a machine that
    /// has no time.
    unhurried: usize,
    until: Instant,
}

impl Effort {
    pub(crate) fn budget(self) -> Budget {
        let (folders, entries, milliseconds) = match self {
            Self::Hint => (500, 20_000, 500),
            Self::Doctor => (20_000, 1_000_000, 10_000),
        };
        let until = Instant::now() + Duration::from_millis(milliseconds);
        Budget { folders, entries, unhurried: UNHURRIED, until }
    }
}

impl Budget {
    /// Takes a folder; says no when enough was looked at.
    fn folder(&mut self) -> bool {
        self.folders = self.folders.saturating_sub(1);
        self.folders > 0 && self.entry()
    }

    /// Takes an entry of a folder; says no when enough was looked at.
    fn entry(&mut self) -> bool {
        self.entries = self.entries.saturating_sub(1);
        self.unhurried = self.unhurried.saturating_sub(1);
        self.entries > 0 && (self.unhurried > 0 || Instant::now() < self.until)
    }
}
