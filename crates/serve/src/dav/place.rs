//! Where things are: `/dav/USER@HOST/SOURCE/TIME/path`, and `latest` beside the times.

use kopia_format::snapshot::Source;
use kopia_repository::{Entry, Result, Snapshot, Snapshots};

use super::names;
use crate::pages::html;
use crate::site::Site;

/// The newest snapshot of a source that is complete.
const LATEST: &str = "latest";

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Place {
    /// A folder of folders that no snapshot has.
    Group(Vec<(String, Option<Snapshot>)>),
    /// A folder whose one file is the root of a snapshot.
    Single(Entry),
    /// Something that a snapshot has.
    Entry(Entry),
}

impl Place {
    /// Finds what lies at a path; nothing if nothing does.
    pub(super) fn find(site: &Site, path: &[&str]) -> Result<Option<Self>> {
        let snapshots = if path.is_empty() { site.fresh_snapshots() } else { site.snapshots() };
        let accounts = accounts(&snapshots);
        let [account, rest @ ..] = path else {
            return Ok(Some(Self::Group(accounts.into_iter().map(|(name, _)| (name, None)).collect())));
        };
        let Some((_, sources)) = accounts.into_iter().find(|(name, _)| name == account) else {
            return Ok(None);
        };
        let [source, rest @ ..] = rest else {
            return Ok(Some(Self::Group(sources.into_iter().map(|(name, _)| (name, None)).collect())));
        };
        let Some((_, source)) = sources.into_iter().find(|(name, _)| name == source) else { return Ok(None) };
        let times = times(&snapshots, source);
        let [time, rest @ ..] = rest else {
            let times = times.into_iter().map(|(name, snapshot)| (name, Some(snapshot.clone())));
            return Ok(Some(Self::Group(times.collect())));
        };
        let Some((_, snapshot)) = times.into_iter().find(|(name, _)| name == time) else { return Ok(None) };
        let root = snapshot.root()?;
        if root.kind() == kopia_format::directory::EntryKind::Directory {
            return Ok(Some(Self::Entry(root.at(&rest.join("/"))?)));
        }
        Ok(match rest {
            [] => Some(Self::Single(root)),
            [name] if *name == single_name(&root) => Some(Self::Entry(root)),
            _ => None,
        })
    }
}

/// Returns the name of a file that is a snapshot's root.
pub(super) fn single_name(root: &Entry) -> &str {
    Some(html::name_of(root)).filter(|name| !name.is_empty()).unwrap_or("file")
}

/// Users and hosts by their names, each with its sources by theirs.
fn accounts(snapshots: &Snapshots) -> Vec<(String, Vec<(String, &Source)>)> {
    let sources = snapshots.sources();
    let groups = sources.chunk_by(|one, other| (&one.user, &one.host) == (&other.user, &other.host));
    let named = groups.filter_map(|group| {
        let first = group.first()?;
        let sources = group.iter().map(|source| (names::plain(&source.path), *source));
        Some((names::plain(&format!("{}@{}", first.user, first.host)), names::told_apart(sources)))
    });
    names::told_apart(named)
}

/// The snapshots of a source by their names, and the latest once more.
fn times<'s>(snapshots: &'s Snapshots, source: &Source) -> Vec<(String, &'s Snapshot)> {
    let of = snapshots.iter().filter(|snapshot| snapshot.source() == source);
    let mut times = names::told_apart(of.map(|snapshot| (names::of_time(snapshot.start_time()), snapshot)));
    times.extend(snapshots.latest(source).ok().map(|snapshot| (LATEST.to_owned(), snapshot)));
    times
}
