//! The identities that there are instead, as the controller reads them from the log.
//!
//! It looks for a header and, after it, for lines that hold one JSON object each whose keys come in this
//! order, and takes each for one snapshot. All of that must be in the last 1,024 bytes of what its filter
//! leaves, together with the last line.

use kopia_rs::diagnosis::Identity;
use kopia_rs::{Source, Timestamp};
use serde::Serialize;

/// What the lines follow.
pub(crate) const HEADER: &str = "=== Discovery Mode: Available Snapshots ===";

/// How many identities are listed.
const MOST: usize = 3;

/// How many bytes header, list and last line may take together, line breaks included.
pub(crate) const BUDGET: usize = 900;

/// One identity, by its newest snapshot.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    #[serde(rename = "userName")]
    user: &'a str,
    #[serde(rename = "hostName")]
    host: &'a str,
    path: &'a str,
    #[serde(rename = "startTime")]
    start: Timestamp,
    #[serde(rename = "endTime")]
    end: Timestamp,
}

/// Writes header and list, as many as fit beside a last line of so many bytes; nothing if there is nobody to
/// list.
pub(crate) fn lines(identities: &[Identity], last_line: usize) -> Vec<String> {
    let mut room = BUDGET.saturating_sub(HEADER.len() + 1 + last_line + 1);
    let mut lines = Vec::new();
    for identity in identities.iter().take(MOST) {
        let Some(line) = json(identity) else { continue };
        // One that is too long is left out; the next may be shorter.
        if let Some(left) = room.checked_sub(line.len() + 1) {
            room = left;
            lines.push(line);
        }
    }
    if !lines.is_empty() {
        lines.insert(0, HEADER.into());
    }
    lines
}

fn json(identity: &Identity) -> Option<String> {
    let Source { user, host, path } = &identity.source;
    // Fractions of seconds take room, and nobody asks for them.
    let [start, end] = [identity.newest_start, identity.newest_end]
        .map(|time| Timestamp::new(time.seconds(), 0).unwrap_or(time));
    serde_json::to_string(&Line { id: &identity.newest_id, user, host, path, start, end }).ok()
}
