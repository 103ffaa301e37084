//! Which index blobs of epochs are active, by their names alone.
//!
//! | name | what |
//! |---|---|
//! | `xn<E>_…` | an index blob written in epoch E |
//! | `xs<E>_…` | epoch E compacted |
//! | `xr<E1>_<E2>_…` | epochs E1 to E2 compacted |
//! | `xe<E>` | epoch E has begun |
//! | `xw<seconds>` | contents deleted at or before this Unix time are gone |
//!
//! Compactions of several blobs end in `-s<set>-c<n>`: the set is complete when n blobs share it.
//! Authority: `internal/epoch/epoch_manager.go`, `epoch_range.go`, `epoch_utils.go`.

use std::collections::{BTreeMap, BTreeSet};

use crate::BlobId;

/// The index blobs to read, and what their names tell without reading them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActiveSet {
    /// The active index blobs, sorted.
    pub blobs: Vec<BlobId>,
    /// Deleted contents whose time is at or before this Unix time do not exist.
    pub deletion_watermark: Option<i64>,
    /// The epoch that is being written.
    pub write_epoch: u64,
    /// Compacted blobs that are left out because other blobs of their set are missing.
    pub incomplete: Vec<BlobId>,
    /// Epochs, first to last of each gap, that have no active blob although a later one has begun.
    ///
    /// Kopia ends no epoch that is empty (`epoch_advance.go`), so their blobs are lost or not copied yet.
    pub missing: Vec<(u64, u64)>,
}

/// Blobs of one compaction, by the set that their names end in.
type Sets<'a> = BTreeMap<&'a str, Vec<&'a BlobId>>;

/// Chooses the active index blobs among all blobs whose names begin with `x`.
pub fn active_set(blobs: &[BlobId]) -> ActiveSet {
    let mut uncompacted: BTreeMap<u64, Vec<&BlobId>> = BTreeMap::new();
    let mut single: BTreeMap<u64, Sets<'_>> = BTreeMap::new();
    let mut ranges: BTreeMap<(u64, u64), Sets<'_>> = BTreeMap::new();
    let mut result = ActiveSet::default();
    let names: BTreeSet<&BlobId> = blobs.iter().collect();
    for blob in names {
        match parse(blob.as_str()) {
            Some(Name::Uncompacted(epoch)) => uncompacted.entry(epoch).or_default().push(blob),
            Some(Name::Single(epoch)) => add(single.entry(epoch).or_default(), blob),
            Some(Name::Range(first, last)) => add(ranges.entry((first, last)).or_default(), blob),
            Some(Name::Marker(epoch)) => result.write_epoch = result.write_epoch.max(epoch),
            Some(Name::Watermark(seconds)) => {
                result.deletion_watermark = result.deletion_watermark.max(Some(seconds));
            }
            None => {}
        }
    }
    let single = complete(single, &mut result.incomplete);
    let ranges = complete(ranges, &mut result.incomplete);

    let chain = longest_chain(ranges.keys().copied());
    let mut active: Vec<&BlobId> =
        chain.iter().filter_map(|range| ranges.get(range)).flatten().copied().collect();
    let first = chain.last().map_or(0, |&(_, last)| last.saturating_add(1));
    let last = result.write_epoch.saturating_add(1);
    // Iterates over the epochs in names, not over a range of numbers: a marker may claim any epoch.
    let epochs: BTreeSet<u64> = uncompacted.keys().chain(single.keys()).copied().collect();
    let mut expected = first;
    for epoch in epochs.into_iter().filter(|epoch| (first..=last).contains(epoch)) {
        // An epoch is settled, and its compaction final, once two later ones have begun.
        let settled = epoch.checked_add(2).is_some_and(|later| later <= result.write_epoch);
        let blobs = match single.get(&epoch).filter(|_| settled) {
            Some(set) => set,
            None => match uncompacted.get(&epoch) {
                Some(blobs) => blobs,
                None => continue,
            },
        };
        active.extend(blobs);
        result.missing.extend(gap(expected, epoch.min(result.write_epoch)));
        expected = epoch.saturating_add(1);
    }
    result.missing.extend(gap(expected, result.write_epoch));
    result.blobs = active.into_iter().cloned().collect();
    result.blobs.sort_unstable();
    result
}

/// Returns the epochs from `first` on, and before `end`, as the first and the last of them.
fn gap(first: u64, end: u64) -> Option<(u64, u64)> {
    end.checked_sub(1).filter(|last| first <= *last).map(|last| (first, last))
}

enum Name {
    Uncompacted(u64),
    Single(u64),
    Range(u64, u64),
    Marker(u64),
    Watermark(i64),
}

/// Parses a name; returns `None` if it lacks the numbers that its kind needs.
fn parse(name: &str) -> Option<Name> {
    let kind = name.get(..2)?;
    let mut parts = name.get(2..)?.split('_');
    let first = parts.next()?;
    match kind {
        "xn" => Some(Name::Uncompacted(first.parse().ok()?)),
        "xs" => Some(Name::Single(first.parse().ok()?)),
        "xe" => Some(Name::Marker(first.parse().ok()?)),
        "xw" => Some(Name::Watermark(first.parse().ok()?)),
        "xr" => {
            let range = (first.parse().ok()?, parts.next()?.parse().ok()?);
            parts.next()?;
            (range.0 <= range.1).then_some(Name::Range(range.0, range.1))
        }
        _ => None,
    }
}

/// Splits `…-s<set>-c<n>` into the set with its count, and the count.
fn set_of(name: &str) -> Option<(&str, usize)> {
    let (rest, count) = name.rsplit_once("-c")?;
    let start = rest.rfind("-s")?;
    Some((&name[start..], count.parse().ok()?))
}

fn add<'a>(sets: &mut Sets<'a>, blob: &'a BlobId) {
    let name = blob.as_str();
    sets.entry(set_of(name).map_or(name, |(set, _)| set)).or_default().push(blob);
}

/// Keeps the first complete set of each compaction.
fn complete<'a, K: Ord + Copy>(
    compactions: BTreeMap<K, Sets<'a>>,
    incomplete: &mut Vec<BlobId>,
) -> BTreeMap<K, Vec<&'a BlobId>> {
    let mut result = BTreeMap::new();
    for (key, sets) in compactions {
        for (set, blobs) in sets {
            let wanted = set_of(set).map_or(1, |(_, count)| count);
            if blobs.len() < wanted {
                incomplete.extend(blobs.into_iter().cloned());
            } else {
                result.insert(key, blobs);
                break;
            }
        }
    }
    result
}

/// Finds the chain of ranges from epoch 0 that reaches furthest, with the fewest links.
fn longest_chain(ranges: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    // For each epoch that a chain reaches: the number of links, and the last of them. Ranges come sorted by
    // their first epoch, so all chains to an epoch are known before a link that starts there is visited.
    let mut reached: BTreeMap<u64, (usize, Option<(u64, u64)>)> = BTreeMap::from([(0, (0, None))]);
    for (first, last) in ranges {
        let (Some(&(links, _)), Some(next)) = (reached.get(&first), last.checked_add(1)) else { continue };
        let known = reached.get(&next).map_or(usize::MAX, |&(links, _)| links);
        let links = links.saturating_add(1);
        if links < known {
            reached.insert(next, (links, Some((first, last))));
        }
    }
    let mut chain = Vec::new();
    let mut end = reached.last_key_value().map_or(0, |(&end, _)| end);
    while let Some(&(_, Some(link))) = reached.get(&end) {
        chain.push(link);
        end = link.0;
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(names: &str) -> Vec<String> {
        let ids: Vec<_> = names.split_whitespace().map(|name| BlobId::new(name).unwrap()).collect();
        active_set(&ids).blobs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn which_blobs_count() {
        for (present, expected) in [
            // One epoch, and one written ahead.
            ("xn0_a xn0_b xn1_c xn2_d", "xn0_a xn0_b xn1_c"),
            // A compaction counts once two later epochs have begun.
            ("xe1 xn0_a xs0_b xn1_c", "xn0_a xn1_c"),
            ("xe2 xn0_a xs0_b xn1_c", "xn1_c xs0_b"),
            // Of several compactions of one epoch the first complete one.
            ("xe2 xn0_a xs0_b-s1-c2 xs0_c-s2-c1 xs0_d-s3-c1", "xs0_c-s2-c1"),
            ("xe2 xn0_a xs0_b-s1-c2", "xn0_a"),
            ("xe2 xn0_a xs0_b-s1-c2 xs0_c-s1-c2", "xs0_b-s1-c2 xs0_c-s1-c2"),
            // All uncompacted blobs, whatever their set.
            ("xn0_a-s1-c2 xn0_b-s2-c1", "xn0_a-s1-c2 xn0_b-s2-c1"),
            // Ranges chain from epoch 0 on; the longest chain, then the fewest links.
            ("xe9 xr0_1_a xr2_3_b xr0_3_c xn4_d xn1_e", "xn4_d xr0_3_c"),
            ("xe9 xr0_1_a xr2_5_b xr0_3_c xn4_d xn6_e", "xn6_e xr0_1_a xr2_5_b"),
            ("xe9 xr1_4_a xn0_b xn2_c", "xn0_b xn2_c"),
            // Of two chains that reach as far by as many links the first one, as in kopia.
            ("xe9 xr0_1_a xr0_2_b xr2_3_c xr3_3_d", "xr0_1_a xr2_3_c"),
            ("xe9 xr0_0_a xr1_1_b xn0_c xn1_d xn2_e", "xn2_e xr0_0_a xr1_1_b"),
            // Names that are none.
            ("xn_a xq0_b xr0_a xr0_1 xr3_1_a xnx_a xn-1_a x xs", ""),
            ("xe18446744073709551615 xn18446744073709551615_a xs7_b", "xn18446744073709551615_a xs7_b"),
        ] {
            assert_eq!(active(present).join(" "), expected, "of {present}");
        }
    }

    #[test]
    fn epochs_without_blobs_are_missing_once_another_has_begun() {
        for (present, expected) in [
            ("", &[][..]),
            ("xn0_a", &[]),
            // The epoch that is written may have none yet, and the one ahead is not begun.
            ("xe1 xn0_a", &[]),
            ("xe1 xn0_a xn2_b", &[]),
            ("xe1 xn1_a", &[(0, 0)]),
            ("xe5 xn0_a xn3_b xn5_c", &[(1, 2), (4, 4)]),
            ("xe3", &[(0, 2)]),
            // Compactions stand for their epochs.
            ("xe4 xr0_2_a xn3_b", &[]),
            ("xe9 xr0_2_a xs3_b xs5_c xn8_d", &[(4, 4), (6, 7)]),
            ("xe9 xr1_7_a xn8_d", &[(0, 7)]),
            // One whose epoch is not settled is not looked at, nor is part of one.
            ("xe1 xs0_a", &[(0, 0)]),
            ("xe2 xs0_a-s1-c2 xn1_b", &[(0, 0)]),
            ("xe2 xs0_a-s1-c2 xn0_b xn1_b", &[]),
            // Whatever a marker claims.
            ("xe18446744073709551615 xn0_a", &[(1, u64::MAX - 1)]),
            ("xn18446744073709551615_a xe18446744073709551615", &[(0, u64::MAX - 1)]),
        ] {
            let ids: Vec<_> = present.split_whitespace().map(|name| BlobId::new(name).unwrap()).collect();
            assert_eq!(active_set(&ids).missing, expected, "of {present}");
        }
    }

    #[test]
    fn markers() {
        let ids = ["xw5", "xw70", "xwx", "xe3", "xe12", "xs0_a-s1-c2"].map(|name| BlobId::new(name).unwrap());
        let set = active_set(&ids);
        assert_eq!((set.deletion_watermark, set.write_epoch), (Some(70), 12));
        assert_eq!(set.incomplete, [BlobId::new("xs0_a-s1-c2").unwrap()]);
    }
}
