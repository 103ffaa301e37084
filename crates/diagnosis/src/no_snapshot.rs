//! Which identities there are in place of one that has no snapshot.

use kopia_format::snapshot::Source;
use kopia_repository::{Error, Snapshots};

use crate::finding::Finding;
use crate::identity::{all, is_probable, nearest};

/// How many identities are named.
const NAMED: usize = 5;

/// Finds that an identity has no snapshot, and which ones have; `None` if it has some.
pub fn no_snapshot(snapshots: &Snapshots, wanted: &Source) -> Option<Finding> {
    let all = all(snapshots);
    if all.iter().any(|identity| identity.source == *wanted) {
        return None;
    }
    let identities = all.len();
    let nearest = nearest(all, wanted, NAMED);
    let probable = nearest.first().is_some_and(|first| is_probable(&first.source, wanted));
    Some(Finding::NoSnapshot { wanted: wanted.clone(), nearest, probable, identities })
}

/// Finds that the identity of a name has no snapshot, if looking it up ended in `error`; `None` if something
/// else is missing, such as a path in a snapshot.
pub fn not_found(snapshots: &Snapshots, error: &Error, name: &str) -> Option<Finding> {
    let wanted: Source = name.parse().ok().filter(|_| matches!(error, Error::NotFound { .. }))?;
    let has_path = snapshots.sources().iter().any(|source| is_in(source, &wanted));
    if has_path { None } else { no_snapshot(snapshots, &wanted) }
}

/// Returns whether `wanted` is the directory of a source, or lies in it.
fn is_in(source: &Source, wanted: &Source) -> bool {
    let rest = wanted.path.strip_prefix(source.path.trim_end_matches('/'));
    (&source.user, &source.host) == (&wanted.user, &wanted.host)
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
