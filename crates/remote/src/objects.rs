//! What flat object stores have in common: keys, pages of listings, times, and versions.
//!
//! A key is the prefix and the blob's id, joined byte for byte. A repository may lie below another's prefix,
//! and other things beside it, so a listed key that leaves no id behind the prefix is not of this repository.

#[cfg(any(feature = "azure", feature = "gcs"))]
mod store;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kopia_connection::Limits;
use kopia_format::{BlobId, Timestamp};
use kopia_storage::{BlobInfo, Failure, ReadProfile};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

#[cfg(any(feature = "azure", feature = "gcs"))]
pub(crate) use store::{Dialect, Listed, ObjectStore};

/// How many pages a listing may have: a server may put few blobs on each.
const MAX_PAGES: usize = 100_000;

/// How many blobs a listing may have: 10⁷ packs of 20 MB are 200 TB, and take some 2 GB of memory.
const MAX_ITEMS: usize = 10_000_000;

/// How many pages in a row may be empty. Servers may give empty pages where much was deleted.
const MAX_EMPTY_PAGES: usize = 1_000;

/// All but the characters that RFC 3986 lets stand as they are.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns a text as one part of a path or query: a slash is encoded as well.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Returns the blob that a key is, if it is one of a repository with this prefix.
pub(crate) fn id_of(prefix: &str, key: &str) -> Option<BlobId> {
    let id = key.strip_prefix(prefix)?;
    if id.contains('/') { None } else { BlobId::new(id).ok() }
}

/// Returns a time of Kopia's metadata: nanoseconds since 1970 in decimal. Authority:
/// `internal/timestampmeta`.
pub(crate) fn kopia_time(text: &str) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_nanos(text.trim().parse().ok()?))
}

/// Returns a time in RFC 3339.
pub(crate) fn rfc3339(text: &str) -> Option<SystemTime> {
    text.parse().ok().and_then(|time| system_time(&time))
}

/// Returns a time as the system counts it, unless it is before 1970.
pub(crate) fn system_time(time: &Timestamp) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::new(u64::try_from(time.seconds()).ok()?, time.nanoseconds()))
}

/// Sorts what a listing gave, each blob once.
pub(crate) fn sorted(mut blobs: Vec<BlobInfo>) -> Vec<BlobInfo> {
    blobs.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    blobs.dedup_by(|later, earlier| later.id == earlier.id);
    blobs
}

/// One page of a listing.
pub(crate) struct Page<T> {
    /// What is on it.
    pub(crate) items: Vec<T>,
    /// What to ask for the next page with; `None` on the last one.
    pub(crate) next: Option<String>,
}

/// Fetches pages until the last one, and hands each item over. A listing that comes to no end is an error.
pub(crate) fn pages<T, E: From<Failure>>(
    host: &str,
    mut fetch: impl FnMut(Option<&str>) -> Result<Page<T>, E>,
    mut take: impl FnMut(T),
) -> Result<(), E> {
    let endless = |why: &str| Failure::EndlessListing { host: host.into(), why: why.into() };
    // Markers may be long, and are only compared.
    let hasher = RandomState::new();
    let (mut seen, mut next, mut empty, mut items) = (HashSet::new(), None::<String>, 0, 0_usize);
    for _ in 0..MAX_PAGES {
        let page = fetch(next.as_deref())?;
        empty = if page.items.is_empty() { empty + 1 } else { 0 };
        items = items.saturating_add(page.items.len());
        page.items.into_iter().for_each(&mut take);
        if items > MAX_ITEMS {
            return Err(endless(&format!("it has more than {MAX_ITEMS} entries")).into());
        }
        let Some(marker) = page.next else { return Ok(()) };
        if !seen.insert(hasher.hash_one(&marker)) {
            return Err(endless("a page says that one before it comes next").into());
        }
        if empty > MAX_EMPTY_PAGES {
            return Err(endless("there are only empty pages").into());
        }
        next = Some(marker);
    }
    Err(endless("there are too many pages").into())
}

/// Sees that a listing comes back to what it gave before, whatever its markers say.
#[derive(Debug, Default)]
pub(crate) struct Advance(Option<String>);

impl Advance {
    /// Compares what a page begins with with what the one before began with.
    pub(crate) fn check(&mut self, host: &str, first: Option<String>) -> Result<(), Failure> {
        let Some(first) = first else { return Ok(()) };
        if self.0.as_ref() == Some(&first) {
            let why = format!("two pages begin with {first:?}");
            return Err(Failure::EndlessListing { host: host.into(), why });
        }
        self.0 = Some(first);
        Ok(())
    }
}

/// Returns how a store over a network is read best, with no more reads at once than the limit.
pub(crate) fn profile(limits: &Limits) -> ReadProfile {
    let most = ReadProfile::NETWORK.parallel_reads;
    let parallel_reads = limits.concurrent_reads.unwrap_or(most).clamp(1, most);
    ReadProfile { parallel_reads, ..ReadProfile::NETWORK }
}

/// A version of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// What the store calls the version.
    pub(crate) version: String,
    /// What a listing says of the blob.
    pub(crate) info: BlobInfo,
}

/// What a store says of one version, from old to new.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) version: Version,
    /// The instant from which on this version counts.
    pub(crate) since: SystemTime,
    /// The blob was deleted, as far as the view goes.
    pub(crate) deleted: bool,
}

/// Chooses, of the versions of each blob from old to new, the one that was there at an instant.
///
/// It is the last one before the first that came later, unless that is a deletion.
#[derive(Debug)]
pub(crate) struct Chooser {
    at: SystemTime,
    chosen: BTreeMap<BlobId, (Option<Candidate>, bool)>,
}

impl Chooser {
    pub(crate) fn new(at: SystemTime) -> Self {
        Self { at, chosen: BTreeMap::new() }
    }

    /// Looks at the next version of a blob.
    pub(crate) fn look(&mut self, candidate: Candidate) {
        let (chosen, closed) = self.chosen.entry(candidate.version.info.id.clone()).or_default();
        *closed |= candidate.since > self.at;
        if !*closed {
            *chosen = Some(candidate);
        }
    }

    /// Returns the versions that were there, by blob.
    pub(crate) fn finish(self) -> Vec<Version> {
        let chosen = self.chosen.into_values().filter_map(|(candidate, _)| candidate);
        chosen.filter(|candidate| !candidate.deleted).map(|candidate| candidate.version).collect()
    }
}

/// Returns with what the ids begin that are looked for together with this one.
///
/// Packs have random names, so this is one pack in 256: a restore of many packs looks a few hundred times at
/// most, and one of few packs of a large repository sees few others.
pub(crate) fn neighbours(id: &BlobId) -> &str {
    let id = id.as_str();
    id.char_indices().nth(3).map_or(id, |(end, _)| &id[..end])
}

/// The versions that a view of the past shows, as far as they are known.
///
/// What was seen once is kept: a view does not change, and each look is a request.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<BlobId, Option<Version>>>);

impl Known {
    /// Keeps what a listing gave.
    pub(crate) fn keep(&self, versions: &[Version]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(versions.iter().map(|version| (version.info.id.clone(), Some(version.clone()))));
    }

    /// Returns the version of a blob, which `look` finds if it is not known yet.
    pub(crate) fn find<E>(
        &self,
        id: &BlobId,
        look: impl FnOnce() -> Result<Option<Version>, E>,
    ) -> Result<Option<Version>, E> {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Ok(known.clone());
        }
        let found = look()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), found.clone());
        Ok(found)
    }
}

/// Hands over a page that is broken at random, many times: a parser may refuse it, and nothing else.
#[cfg(test)]
pub(crate) fn broken(page: &str, read: impl Fn(&[u8])) {
    let mut random = kopia_testkit::random::Random::of(page);
    for _ in 0..5_000 {
        let mut page = page.as_bytes().to_vec();
        for _ in 0..random.within(1..6) {
            let at = random.within(0..page.len());
            match random.within(0..4) {
                0 => page.truncate(at.max(1)),
                1 => page[at] = random.next() as u8,
                2 => page.insert(at, b"<>&/\"{}9"[random.within(0..8)]),
                _ if page.len() > 1 => drop(page.remove(at)),
                _ => {}
            }
        }
        read(&page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_an_id_only_behind_its_prefix_and_without_slashes() {
        let id = |prefix, key| id_of(prefix, key).map(|id| id.to_string());
        assert_eq!(id("kopia", "kopiakopia.repository").as_deref(), Some("kopia.repository"));
        assert_eq!(id("/a//", "/a//p1").as_deref(), Some("p1"));
        assert_eq!([id("a/", "a/b/p1"), id("a/", "b/p1"), id("a/", "a/")], [None, None, None]);
    }

    #[test]
    fn times_are_read_or_none() {
        let second = Duration::from_secs(1_700_000_000);
        assert_eq!(
            kopia_time("1700000000000000005"),
            UNIX_EPOCH.checked_add(second + Duration::from_nanos(5))
        );
        assert_eq!(rfc3339("2023-11-14T22:13:20Z"), UNIX_EPOCH.checked_add(second));
        assert_eq!(
            [kopia_time(""), kopia_time("-1"), kopia_time("99999999999999999999"), rfc3339("x")],
            [None; 4]
        );
    }

    #[test]
    fn a_listing_without_end_is_an_error() {
        let run = |next: &dyn Fn(usize) -> Option<String>, items: usize| {
            let mut page = 0;
            let mut taken = 0;
            let fetch = |_: Option<&str>| {
                page += 1;
                Ok::<_, Failure>(Page { items: vec![(); items], next: next(page) })
            };
            pages("h", fetch, |()| taken += 1).map(|()| taken)
        };
        assert_eq!(run(&|page| (page < 3).then(|| page.to_string()), 2), Ok(6));
        assert!(matches!(run(&|page| Some((page % 2).to_string()), 1), Err(Failure::EndlessListing { .. })));
        assert!(matches!(run(&|page| Some(page.to_string()), 1), Err(Failure::EndlessListing { .. })));
        assert!(matches!(run(&|page| Some(page.to_string()), 0), Err(Failure::EndlessListing { .. })));
        let many = run(&|page| Some(page.to_string()), 100_000).unwrap_err().to_string();
        assert!(many.contains("more than 10000000"), "{many}");
    }

    #[test]
    fn a_page_that_begins_like_the_one_before_is_an_error() {
        let mut advance = Advance::default();
        let mut check = |first: Option<&str>| advance.check("h", first.map(str::to_string)).is_ok();
        assert_eq!(
            [check(Some("a")), check(None), check(Some("b")), check(Some("b"))],
            [true, true, true, false]
        );
    }

    #[test]
    fn packs_are_looked_for_with_those_that_begin_alike() {
        let neighbours = |id: &str| neighbours(&BlobId::new(id).unwrap()).to_string();
        assert_eq!([neighbours("p1"), neighbours("pab0c1"), neighbours("äöüß")], ["p1", "pab", "äöü"]);
    }

    fn candidate(id: &str, version: &str, since: u64, deleted: bool) -> Candidate {
        let info = BlobInfo::new(BlobId::new(id).unwrap(), 1);
        let since = UNIX_EPOCH + Duration::from_secs(since);
        Candidate { version: Version { version: version.into(), info }, since, deleted }
    }

    #[test]
    fn the_last_version_before_the_instant_is_the_one_unless_it_is_a_deletion() {
        let mut chooser = Chooser::new(UNIX_EPOCH + Duration::from_secs(10));
        for (id, version, since, deleted) in [
            ("p1", "old", 1, false),
            ("p1", "at", 10, false),
            ("p1", "new", 11, false),
            ("p1", "odd", 5, false),
            ("p2", "gone", 3, false),
            ("p2", "marker", 4, true),
            ("p3", "there", 3, false),
            ("p3", "marker", 12, true),
            ("p4", "later", 12, false),
        ] {
            chooser.look(candidate(id, version, since, deleted));
        }
        let chosen = chooser.finish();
        let names: Vec<_> = chosen.iter().map(|v| (v.info.id.as_str(), &*v.version)).collect();
        assert_eq!(names, [("p1", "at"), ("p3", "there")]);

        let known = Known::default();
        known.keep(&chosen);
        let find = |id: &str, look: Option<Version>| {
            let found = known.find(&BlobId::new(id).unwrap(), || Ok::<_, ()>(look)).unwrap();
            found.map(|found| found.version)
        };
        assert_eq!(find("p1", None).as_deref(), Some("at"));
        assert_eq!(find("p9", None), None);
        assert_eq!(find("p9", chosen.first().cloned()), None, "what is not there is not looked for again");
    }
}
