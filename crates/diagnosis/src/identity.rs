//! Identities that have snapshots, and which of them is most like one that has none.
//!
//! VolSync makes a user's name from the name of a ReplicationSource and a host's name from its namespace,
//! with `/data` for a path. So a mistake is mostly one of names (`app` for `app-src`), while hosts and paths
//! are the same for many: a user that is quite another is another application, and must not be offered as if
//! it were meant.

use kopia_format::Timestamp;
use kopia_format::snapshot::Source;
use kopia_repository::slip::misspelt;
use kopia_repository::{Snapshot, Snapshots};
use serde::Serialize;

use crate::serialize::text;

/// The path that VolSync's movers see.
const VOLSYNC_PATH: &str = "/data";

/// From here on two names are unlike, in percent.
const UNLIKE: u32 = 50;

/// The source of snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// User, host and path.
    #[serde(serialize_with = "text")]
    pub source: Source,
    /// How many snapshots it has, unfinished ones left out unless there are no others.
    pub snapshots: usize,
    /// Whether all of them are unfinished.
    pub incomplete: bool,
    /// The id of the newest of these.
    pub newest_id: String,
    /// When that began.
    #[serde(serialize_with = "text")]
    pub newest_start: Timestamp,
    /// When that ended.
    #[serde(serialize_with = "text")]
    pub newest_end: Timestamp,
}

/// Lists all identities, sorted.
pub fn all(snapshots: &Snapshots) -> Vec<Identity> {
    let list: Vec<_> = snapshots.iter().collect();
    let of_one = list.chunk_by(|a, b| a.source() == b.source());
    let identity = |of_one: &[&Snapshot]| {
        let complete = of_one.iter().filter(|snapshot| snapshot.is_complete()).count();
        let incomplete = complete == 0;
        let counted = of_one.iter().filter(|snapshot| incomplete || snapshot.is_complete());
        let newest = counted.max_by_key(|one| (one.start_time(), one.manifest().end_time()))?;
        Some(Identity {
            source: newest.source().clone(),
            snapshots: if incomplete { of_one.len() } else { complete },
            incomplete,
            newest_id: newest.id().into(),
            newest_start: newest.start_time(),
            newest_end: newest.manifest().end_time(),
        })
    };
    of_one.filter_map(identity).collect()
}

/// Returns those that are most like `wanted`, best first; of equally good ones the one with the newest
/// snapshot.
pub fn nearest(mut identities: Vec<Identity>, wanted: &Source, most: usize) -> Vec<Identity> {
    identities.sort_by_cached_key(|identity| {
        (
            distance(&identity.source, wanted),
            std::cmp::Reverse(identity.newest_start),
            identity.source.clone(),
        )
    });
    identities.truncate(most);
    identities
}

/// How far apart two identities are. The user counts most.
pub(crate) fn distance(a: &Source, b: &Source) -> u32 {
    5 * unlike(&a.user, &b.user) + 2 * unlike(&a.host, &b.host) + 2 * unlike_paths(&a.path, &b.path)
}

/// Returns whether two identities are so alike that one was probably written for the other.
pub(crate) fn is_probable(found: &Source, wanted: &Source) -> bool {
    let user = unlike(&found.user, &wanted.user) < UNLIKE;
    let host = unlike(&found.host, &wanted.host) < UNLIKE;
    let path = unlike_paths(&found.path, &wanted.path) < UNLIKE;
    // Everything that VolSync backs up has the same path, and all of a namespace the same host.
    user && (host || path) || host && found.path == wanted.path && found.path != VOLSYNC_PATH
}

/// How unlike two names are: 0 if they are equal, 100 if they have nothing in common.
fn unlike(a: &str, b: &str) -> u32 {
    if a == b {
        return 0;
    }
    if a.eq_ignore_ascii_case(b) {
        return 5;
    }
    let (long, short) = if a.len() > b.len() { (a, b) } else { (b, a) };
    let is_part = |rest: Option<&str>, edge: fn(&str) -> Option<char>| {
        rest.and_then(edge).is_some_and(|c| "-_./".contains(c)) && !short.is_empty()
    };
    // `app` and `app-src`, `app` and `volsync-app`, `nas` and `nas.lan`.
    if is_part(long.strip_prefix(short), |rest| rest.chars().next())
        || is_part(long.strip_suffix(short), |rest| rest.chars().next_back())
    {
        return 15;
    }
    misspelt(a, b)
}

/// A directory and one in it are alike, as are paths with the same end.
fn unlike_paths(a: &str, b: &str) -> u32 {
    unlike(a.trim_end_matches('/'), b.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        text.parse().unwrap()
    }

    /// The names of those that are like `wanted`, best first, and whether the first is probably meant.
    fn order(wanted: &str, others: &[&str]) -> (Vec<String>, bool) {
        let identity = |text: &&str| Identity {
            source: source(text),
            snapshots: 1,
            incomplete: false,
            newest_id: String::new(),
            newest_start: Timestamp::default(),
            newest_end: Timestamp::default(),
        };
        let nearest = nearest(others.iter().map(identity).collect(), &source(wanted), 9);
        let probable = is_probable(&nearest[0].source, &source(wanted));
        (nearest.iter().map(|identity| identity.source.to_string()).collect(), probable)
    }

    #[test]
    fn names_that_are_nearly_right_come_first() {
        let others =
            ["zigbee@default:/data", "atuin-src@default:/data", "atuin@media:/srv", "plex@default:/data"];
        let (order, probable) = order("atuin@default:/data", &others);
        assert_eq!(order[..2], ["atuin-src@default:/data", "atuin@media:/srv"]);
        assert!(probable);
    }

    #[test]
    fn another_application_is_not_offered_as_the_one_that_is_meant() {
        for (wanted, other, expected) in [
            ("atuin@default:/data", "plex@default:/data", false),
            ("atuin@default:/data", "atuin-src@default:/data", true),
            ("atuin@default:/data", "atuin@media:/data", true),
            ("atuin@default:/data", "atuim@default:/data", true),
            ("atuin@default:/data", "atuin@default:/config", true),
            ("atuin@default:/data", "Atuin@media:/srv", false),
            ("root@nas:/srv/media", "backup@nas:/srv/media", true),
            ("root@nas:/srv/media", "root@nas.lan:/srv/media/films", true),
            ("a@b:/c", "x@y:/z", false),
        ] {
            assert_eq!(order(wanted, &[other]).1, expected, "{wanted} {other}");
        }
    }

    #[test]
    fn names_of_any_length_cost_the_same() {
        assert_eq!(unlike(&"x".repeat(10_000_000), &"y".repeat(10_000_000)), 100);
    }
}
