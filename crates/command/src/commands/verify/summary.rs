//! What a run says in a few lines: whether everything can be restored, and as of when.

use kopia_rs::verify::{Report, Rotated, Standing};
use kopia_rs::{Timestamp, Unreadable};
use serde::Serialize;

use crate::terminal::output::{count, thousands};
use crate::terminal::time;

/// What came out of a run over a whole repository, or a part of it.
pub(super) struct Summary<'a> {
    pub(super) verified: &'a Report,
    /// What was left out when the repository was opened.
    pub(super) lost: &'a [Unreadable],
    /// When the run began.
    pub(super) began: Timestamp,
    pub(super) seconds: f64,
    /// Within how many days packs are read in turn, if they are.
    pub(super) days: Option<u32>,
    /// Whether snapshots were named, and the others were not looked at.
    pub(super) is_part: bool,
    /// Whether snapshots are missing from the list, or may be, and that makes the run incomplete.
    pub(super) has_gaps: bool,
}

/// What `--json` says of packs that are read in turn.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Json {
    days: u32,
    packs: u64,
    sound_packs: u64,
    damaged_packs: u64,
    /// When all packs will have been read, if runs come regularly.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete_by: Option<String>,
}

impl Summary<'_> {
    /// Returns whether nothing is wrong with what was looked at, and no snapshot is missing from the list.
    pub(super) fn is_sound(&self) -> bool {
        self.is_sound_as_listed() && !self.has_gaps
    }

    /// Returns whether nothing is wrong with what was looked at.
    pub(super) fn is_sound_as_listed(&self) -> bool {
        self.verified.is_sound()
            && self.lost.is_empty()
            && self.verified.rotated.as_ref().is_none_or(|rotated| rotated.standing.damaged == 0)
    }

    /// Returns the time as of which everything can be restored, as all of it was read since then.
    pub(super) fn restorable_as_of(&self) -> Option<Timestamp> {
        if !self.is_sound() || self.is_part {
            return None;
        }
        match &self.verified.rotated {
            Some(rotated) => rotated.standing.since,
            None => Some(self.began).filter(|_| self.verified.packs.verified == self.verified.packs.of),
        }
    }

    pub(super) fn json(&self) -> Option<Json> {
        let Rotated { standing, .. } = self.verified.rotated.as_ref()?;
        Some(Json {
            days: self.days?,
            packs: standing.packs,
            sound_packs: standing.sound,
            damaged_packs: standing.damaged,
            complete_by: standing.complete_by.map(|time| time.to_string()),
        })
    }

    /// Says it in one line.
    pub(super) fn line(&self) -> Option<String> {
        let local = |time| time::local(time, "%Y-%m-%d %H:%M:%S %Z");
        if self.is_part {
            return None;
        }
        if let Some(since) = self.restorable_as_of() {
            let packs = count(self.verified.packs.of, "pack was", "packs were");
            return Some(format!(
                "restorable as of {}: {packs} read since then, and found sound",
                local(since)
            ));
        }
        if !self.is_sound() {
            return Some("not restorable as a whole: see the errors".into());
        }
        let Standing { packs, sound, complete_by, .. } = self.verified.rotated.as_ref()?.standing;
        let by = complete_by.map(|by| format!("; the rest by {}", local(by))).unwrap_or_default();
        Some(format!(
            "not everything was read yet: {} of {} so far, and found sound{by}",
            thousands(sound),
            count(packs, "pack", "packs")
        ))
    }
}
