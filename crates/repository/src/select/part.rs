//! Sources that are named by a part: a path without user and host, a host, a user, or the last folder.

use kopia_format::snapshot::Source;

use super::{below, is_windows};
use crate::{Error, Result, Snapshots};

/// Finds the sources that a path lies in and the path below each, longest source first: those of this user
/// here, else of this machine, else of any; of several identities the one whose source is the longest, if that is
/// one alone. The path may have a host before it, as in `laptop:/etc`.
pub(super) fn of_path(
    snapshots: &Snapshots,
    name: &str,
    (user, host): (&str, &str),
) -> Option<Vec<(Source, String)>> {
    let is_path = name.starts_with(['/', '\\']) || is_windows(&format!(":{name}"));
    let (on, path) = if is_path {
        (None, name)
    } else {
        let (on, path) = name.split_once(':').filter(|(on, _)| !on.contains(['@', '/']))?;
        (Some(on), path)
    };
    let there = |source: &&Source| on.is_none_or(|on| source.host.eq_ignore_ascii_case(on));
    let with_rest = |source: &Source| {
        let rest = below(source, &format!("{}@{}:{path}", source.user, source.host))?;
        Some((source.clone(), rest))
    };
    let mut all: Vec<_> = snapshots.sources().into_iter().filter(there).filter_map(with_rest).collect();
    all.sort_by_key(|(source, _)| std::cmp::Reverse(source.path.len()));
    let host = on.unwrap_or(host);
    let of = |wanted: &dyn Fn(&Source) -> bool| {
        let of: Vec<_> = all.iter().filter(|(source, _)| wanted(source)).cloned().collect();
        Some(of).filter(|of| !of.is_empty())
    };
    let is_here = |source: &Source| source.host.eq_ignore_ascii_case(host);
    let mine = of(&|source| is_here(source) && source.user.eq_ignore_ascii_case(user));
    if let Some(mine) = mine {
        return Some(mine);
    }
    let here = of(&is_here).unwrap_or_else(|| all.clone());
    let (longest, _) = here.first()?;
    let is_same = |other: &Source| (&other.user, &other.host) == (&longest.user, &longest.host);
    // Several that lie as far down are several answers; those further up are nobody's first thought.
    let is_one = here
        .iter()
        .take_while(|(other, _)| other.path.len() == longest.path.len())
        .all(|(other, _)| is_same(other));
    is_one.then(|| here.iter().filter(|(other, _)| is_same(other)).cloned().collect())
}

impl Snapshots {
    /// Returns the sources that a name stands for: a source itself, a path, `host:/path`, or a user, a host,
    /// both, or the last folder.
    pub fn sources_named(&self, name: &str) -> Vec<&Source> {
        let sources = self.sources().into_iter();
        sources.filter(|source| is_whole(source, name) || is_part(source, name)).collect()
    }
}

/// Returns whether a name is that of a source, with or without user and host.
fn is_whole(source: &Source, name: &str) -> bool {
    let Source { user, host, path } = source;
    [name.to_owned(), format!("{user}@{host}:{name}"), format!("{user}@{name}")]
        .iter()
        .any(|name| below(source, name).is_some_and(|rest| rest.is_empty()))
        && !path.is_empty()
}

/// Returns whether a name is the user, the host, both, or the last folder of a source.
fn is_part(source: &Source, part: &str) -> bool {
    let first_label = source.host.split('.').next().unwrap_or_default();
    let last = source.path.rsplit(['/', '\\']).find(|name| !name.is_empty()).unwrap_or_default();
    let both = format!("{}@{}", source.user, source.host);
    let names = [&*source.user, &*source.host, first_label, last, &*both];
    !part.is_empty() && names.iter().any(|name| name.eq_ignore_ascii_case(part))
}

/// Finds the only source of which a name is the user, the host, both, or the last folder.
///
/// # Errors
/// [`Error::Ambiguous`] if there are several.
pub(crate) fn of_source<'s>(snapshots: &'s Snapshots, part: &str) -> Result<Option<&'s Source>> {
    let named: Vec<_> = snapshots.sources().into_iter().filter(|source| is_part(source, part)).collect();
    match named[..] {
        [] => Ok(None),
        [source] => Ok(Some(source)),
        _ => Err(Error::Ambiguous {
            what: format!("{part:?}"),
            candidates: named.iter().map(ToString::to_string).collect(),
        }),
    }
}
