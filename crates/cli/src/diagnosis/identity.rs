//! Identities that have snapshots, and which of them is most like one that has none.
//!
//! VolSync makes a user's name from the name of a ReplicationSource and a host's name from its namespace, with `/data` for a
//! path. So a mistake is mostly one of names (`app` for `app-src`), while hosts and paths are the same for many: a user
//! that is quite another is another application, and must not be offered as if it were meant.

use kopia_rs::{Error, Snapshots, Source, Timestamp};
use serde::Serialize;

use super::Finding;
use super::finding::text;

/// How many identities are named.
const NAMED: usize = 5;

/// How many characters of a name are compared.
const COMPARED: usize = 64;

/// The path that VolSync's movers see.
const VOLSYNC_PATH: &str = "/data";

/// From here on two names are unlike, in percent.
const UNLIKE: u32 = 50;

/// The source of snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Identity {
    #[serde(serialize_with = "text")]
    pub(crate) source: Source,
    /// How many snapshots it has, unfinished ones left out unless there are no others.
    pub(crate) snapshots: usize,
    /// Whether all of them are unfinished.
    pub(crate) incomplete: bool,
    /// The newest of these.
    pub(crate) newest_id: String,
    #[serde(serialize_with = "text")]
    pub(crate) newest_start: Timestamp,
    #[serde(serialize_with = "text")]
    pub(crate) newest_end: Timestamp,
}

/// How a restore names an identity in a ReplicationDestination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceIdentity {
    /// `sourceIdentity`, from which VolSync makes these names again.
    Names { name: String, namespace: String, path: Option<String> },
    /// `username` and `hostname`, because VolSync would make other names of these.
    Explicit { username: String, hostname: String, path: Option<String> },
}

/// Lists all identities, sorted.
pub(crate) fn all(snapshots: &Snapshots) -> Vec<Identity> {
    let list: Vec<_> = snapshots.iter().collect();
    let of_one = list.chunk_by(|a, b| a.source() == b.source());
    let identity = |of_one: &[&kopia_rs::Snapshot]| {
        let complete = of_one.iter().filter(|snapshot| snapshot.manifest().incomplete().is_none()).count();
        let incomplete = complete == 0;
        let counted =
            of_one.iter().filter(|snapshot| incomplete || snapshot.manifest().incomplete().is_none());
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

/// Says that an identity has no snapshot, and which ones have; `None` if it has some.
pub(crate) fn no_snapshot(snapshots: &Snapshots, wanted: &Source) -> Option<Finding> {
    let all = all(snapshots);
    if all.iter().any(|identity| identity.source == *wanted) {
        return None;
    }
    let identities = all.len();
    let nearest = nearest(all, wanted, NAMED);
    let probable = nearest.first().is_some_and(|first| is_probable(&first.source, wanted));
    Some(Finding::NoSnapshot { wanted: wanted.clone(), nearest, probable, identities })
}

/// Says that the identity has no snapshot that a name stands for, if looking it up ended in `error`; `None` if it is
/// something else that is missing, such as a path in a snapshot.
pub(crate) fn not_found(snapshots: &Snapshots, error: &Error, name: &str) -> Option<Finding> {
    let wanted: Source = name.parse().ok().filter(|_| matches!(error, Error::NotFound { .. }))?;
    let has_path = snapshots.sources().iter().any(|source| is_in(source, &wanted));
    if has_path { None } else { no_snapshot(snapshots, &wanted) }
}

/// Says whether `wanted` is the folder of a source, or lies in it.
fn is_in(source: &Source, wanted: &Source) -> bool {
    let rest = wanted.path.strip_prefix(source.path.trim_end_matches('/'));
    (&source.user, &source.host) == (&wanted.user, &wanted.host)
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns those that are most like `wanted`, best first; of equally good ones the one with the newest snapshot.
pub(crate) fn nearest(mut identities: Vec<Identity>, wanted: &Source, most: usize) -> Vec<Identity> {
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
fn distance(a: &Source, b: &Source) -> u32 {
    5 * unlike(&a.user, &b.user) + 2 * unlike(&a.host, &b.host) + 2 * unlike_paths(&a.path, &b.path)
}

/// Says whether two identities are so alike that one was probably written for the other.
fn is_probable(found: &Source, wanted: &Source) -> bool {
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
    let chars = |text: &str| text.chars().take(COMPARED).collect::<Vec<_>>();
    let (a, b) = (chars(a), chars(b));
    let length = a.len().max(b.len()).max(1);
    (20 + 80 * edits(&a, &b) / length).min(100) as u32
}

/// A folder and one in it are alike, as are paths with the same end.
fn unlike_paths(a: &str, b: &str) -> u32 {
    unlike(a.trim_end_matches('/'), b.trim_end_matches('/'))
}

/// How many characters must be put in, taken out or replaced to make one text of the other.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl SourceIdentity {
    /// Says how VolSync is told to restore this source.
    pub(crate) fn of(source: &Source) -> Self {
        let path = Some(source.path.clone()).filter(|path| path != VOLSYNC_PATH);
        let (user, host) = (source.user.clone(), source.host.clone());
        match is_kept(&user, "_-", 50) && is_kept(&host, ".-", 253) {
            true => Self::Names { name: user, namespace: host, path },
            false => Self::Explicit { username: user, hostname: host, path },
        }
    }
}

/// Says whether VolSync leaves a name as it is: it drops other characters, trims these, and cuts what is longer.
fn is_kept(name: &str, inner: &str, longest: usize) -> bool {
    (1..=longest).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || inner.contains(c))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
}

impl std::fmt::Display for SourceIdentity {
    /// As YAML on one line, to be put into `spec.kopia` of a ReplicationDestination.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Names { name, namespace, path } => {
                write!(
                    f,
                    "sourceIdentity: {{sourceName: {}, sourceNamespace: {}",
                    yaml(name),
                    yaml(namespace)
                )?;
                path.iter().try_for_each(|path| write!(f, ", sourcePathOverride: {}", yaml(path)))?;
                f.write_str("}")
            }
            Self::Explicit { username, hostname, path } => {
                write!(f, "username: {}, hostname: {}", yaml(username), yaml(hostname))?;
                // The destination has no field for it beside these two.
                path.iter().try_for_each(|path| write!(f, ", KOPIA_SOURCE_PATH_OVERRIDE={path}"))
            }
        }
    }
}

/// Quotes what YAML would not take for a text.
fn yaml(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./@".contains(c))
        && !matches!(
            &*text.to_ascii_lowercase(),
            "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain { text.into() } else { format!("'{}'", text.replace('\'', "''")) }
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
    fn edits_are_counted() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("abc", "ac", 1), ("äb", "ab", 1)]
        {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(edits(&chars(a), &chars(b)), expected, "{a} {b}");
            assert_eq!(edits(&chars(b), &chars(a)), expected, "{b} {a}");
        }
        // Names of any length cost the same.
        assert_eq!(unlike(&"x".repeat(10_000_000), &"y".repeat(10_000_000)), 100);
    }

    #[test]
    fn what_to_write_into_the_destination() {
        for (of, expected) in [
            ("app-src@default:/data", "sourceIdentity: {sourceName: app-src, sourceNamespace: default}"),
            (
                "app@media:/srv/x",
                "sourceIdentity: {sourceName: app, sourceNamespace: media, sourcePathOverride: /srv/x}",
            ),
            ("no@1:/data", "sourceIdentity: {sourceName: 'no', sourceNamespace: '1'}"),
            // VolSync drops dots of names and replaces underscores of hosts.
            ("my.app@media:/data", "username: 'my.app', hostname: media"),
            ("app@my_host:/x", "username: app, hostname: my_host, KOPIA_SOURCE_PATH_OVERRIDE=/x"),
            ("it's me@h:/data", "username: 'it''s me', hostname: h"),
        ] {
            let expected = expected.replace("'my.app'", "my.app");
            assert_eq!(SourceIdentity::of(&source(of)).to_string(), expected);
        }
    }
}
