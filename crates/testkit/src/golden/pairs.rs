//! Finds for every expected snapshot the one that kopia lists.

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, Expected, Listed};

/// See [`Case::pairs`].
pub(super) fn pairs(case: &Case) -> Vec<(Listed, Expected)> {
    let mut listed = listed_by_source(case);
    let named: BTreeSet<&str> = case.snapshots.iter().map(|expected| expected.source.as_str()).collect();
    // An empty source is the one that no expected snapshot names.
    let unnamed: Vec<&Listed> = listed
        .iter()
        .filter(|(source, _)| !named.contains(source.as_str()))
        .flat_map(|(_, snapshots)| snapshots.iter().copied())
        .collect();
    listed.insert(String::new(), unnamed);

    let mut pairs: Vec<(usize, Listed, Expected)> = Vec::new();
    for source in named {
        let expected: Vec<(usize, &Expected)> = case
            .snapshots
            .iter()
            .enumerate()
            .filter(|(_, expected)| expected.source == source && !expected.expired)
            .collect();
        let mut found = listed.remove(source).unwrap_or_default();
        found.sort_by_key(|snapshot| sortable(&snapshot.start_time));
        if expected.iter().any(|(_, expected)| expected.latest_only) {
            assert_eq!(expected.len(), 1, "{}, {source:?}: latest_only stands alone", case.name);
            found.drain(..found.len().saturating_sub(1));
        }
        assert_eq!(found.len(), expected.len(), "{}, {source:?}: listed and expected snapshots", case.name);
        let joined = expected.into_iter().zip(found);
        pairs.extend(joined.map(|((place, expected), found)| (place, found.clone(), expected.clone())));
    }
    pairs.sort_by_key(|(place, _, _)| *place);
    pairs.into_iter().map(|(_, listed, expected)| (listed, expected)).collect()
}

fn listed_by_source(case: &Case) -> BTreeMap<String, Vec<&Listed>> {
    let mut by_source: BTreeMap<String, Vec<&Listed>> = BTreeMap::new();
    for snapshot in &case.listed {
        by_source.entry(snapshot.source.to_string()).or_default().push(snapshot);
    }
    by_source
}

/// A time in UTC without its `Z`, so that `…05` sorts before `…05.1`.
pub(super) fn sortable(time: &str) -> &str {
    time.strip_suffix('Z').unwrap_or_else(|| panic!("{time}: not in UTC"))
}
