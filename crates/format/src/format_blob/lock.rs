//! An upgrade of the repository, announced or under way.
//!
//! The owner announces it, waits until every client has noticed, and then changes the layout. Authority:
//! `repo/format/upgrade_lock.go`, `upgrade_lock_intent.go`.

use serde::Deserialize;

use crate::Timestamp;

/// The announcement. Durations are nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpgradeLock {
    /// The client that upgrades, by its own name.
    #[serde(rename = "ownerID")]
    pub owner_id: String,
    /// When it was announced.
    pub creation_time: Timestamp,
    /// How long before the upgrade it was announced.
    pub advance_notice_duration: i64,
    /// How long operations that are under way may take to finish.
    pub io_drain_timeout: i64,
    /// What to tell the user.
    pub message: String,
    /// How far clocks may differ.
    pub max_permitted_clock_drift: i64,
}

impl UpgradeLock {
    /// Returns whether the layout may be changing at `now`, so that nobody may read.
    pub fn in_force(&self, now: Timestamp) -> bool {
        let timeout = i128::from(self.io_drain_timeout);
        let drain = i128::from(self.max_permitted_clock_drift).saturating_add(timeout.saturating_mul(2));
        let left = i128::from(self.advance_notice_duration).saturating_sub(drain);
        left < 0 || now >= self.creation_time.saturating_add(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_force_once_operations_must_have_drained() {
        let at = |seconds| Timestamp::new(seconds, 0).unwrap();
        let lock = UpgradeLock {
            creation_time: at(1000),
            advance_notice_duration: 100_000_000_000,
            io_drain_timeout: 10_000_000_000,
            max_permitted_clock_drift: 5_000_000_000,
            ..UpgradeLock::default()
        };
        assert!(!lock.in_force(at(1074)));
        assert!(lock.in_force(at(1075)));
        let none_left = UpgradeLock { advance_notice_duration: 25_000_000_000, ..lock.clone() };
        assert!(!none_left.in_force(at(999)) && none_left.in_force(at(1000)));
        let short = UpgradeLock { advance_notice_duration: 24_000_000_000, ..lock };
        assert!(short.in_force(at(0)));
    }
}
