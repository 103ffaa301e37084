//! From what a person types to the entry that is meant.
//!
//! A name is tried in this order: `latest`, `latest~N` and `oldest`; `user@host:/path`, which is a source or
//! lies below one; a path alone, of this machine before others; `host:/path`; the full id of a snapshot; the
//! id of an object; the beginning of a snapshot's id, at least four digits long and unique; a part of a
//! source, if only one has it. Each may be followed by `/a/path/below`. Where a path lies below several
//! sources, the newest snapshot that has it counts.
//!
//! After `latest` and ids, a `:` may stand before the path, as restic writes it: `latest:/home/anna/notes`. It is
//! looked for below the snapshot's root first, and then as the path that it had when it was backed up.

mod filter;
mod part;

use kopia_format::snapshot::Source;
use kopia_format::{ObjectId, Timestamp};

use crate::{Entry, Error, Repository, Result, Snapshot, Snapshots};

/// The shortest beginning of an id that is accepted.
const MIN_PREFIX: usize = 4;

pub use filter::{Filter, Tag};
pub(crate) use part::of_source;

/// A name and what narrows its choice.
#[derive(Debug, Clone, Default)]
pub struct Query<'a> {
    /// What the person typed.
    pub name: &'a str,
    /// Only snapshots that began by then.
    pub at: Option<At>,
    /// Which of the snapshots that are left is meant.
    pub pick: Pick,
    /// Only snapshots that it admits.
    pub filter: Filter,
    /// User and host whose sources a path alone names first; nobody's in particular if they are empty.
    pub here: (&'a str, &'a str),
    /// Whether unfinished snapshots may be chosen.
    pub incomplete: bool,
    /// Owner and group of an entry that is named by object id alone.
    pub owner: (u32, u32),
    /// The time of such an entry.
    pub now: Timestamp,
}

/// A bound for the time at which a snapshot began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Before this instant: the end of the unit that was named, such as a day.
    Before(Timestamp),
    /// At this instant at the latest.
    Until(Timestamp),
}

/// Which snapshot is meant, of those of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// So many before the newest: 0 is the newest itself.
    Newest(usize),
    /// The oldest.
    Oldest,
}

/// What a query found.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The snapshot, unless an object was named.
    pub snapshot: Option<Snapshot>,
    /// The entry: the root, or what lies at the path below it.
    pub entry: Entry,
    /// The path below the root, empty for the root.
    pub path: String,
    /// The newest snapshot of a source that was passed over.
    ///
    /// The name begins with this source, but another one has a newer snapshot of the same path.
    pub passed_over: Option<Snapshot>,
}

impl Default for Pick {
    fn default() -> Self {
        Self::Newest(0)
    }
}

impl Pick {
    /// Returns which snapshot of all is meant by a name that says it without a source: `latest`, `latest~N`,
    /// `oldest`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "latest" => Some(Self::default()),
            "oldest" => Some(Self::Oldest),
            _ => name.strip_prefix("latest~")?.parse().ok().map(Self::Newest),
        }
    }
}

impl At {
    /// Returns whether a snapshot that began at `time` may be chosen.
    pub fn admits(self, time: Timestamp) -> bool {
        match self {
            Self::Before(bound) => time < bound,
            Self::Until(bound) => time <= bound,
        }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Before(bound) => write!(f, "before {bound}"),
            Self::Until(bound) => write!(f, "by {bound}"),
        }
    }
}

impl Repository {
    /// Finds what a query names.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::Ambiguous`] with what there is instead; [`Error::NothingToChoose`] if
    /// a time or `incomplete` comes with an id; as for [`Repository::snapshots`] and [`Entry::at`].
    pub fn select(&self, query: &Query<'_>) -> Result<Selection> {
        match self.select_once(query) {
            // It may have been written since the indexes were read.
            Err(Error::NotFound { .. }) if self.refresh().unwrap_or_default() => self.select_once(query),
            selected => selected,
        }
    }

    fn select_once(&self, query: &Query<'_>) -> Result<Selection> {
        let name = query.name.trim_end_matches('/');
        let (head, path) = after_colon(name).unwrap_or_else(|| name.split_once('/').unwrap_or((name, "")));
        // Objects need no list of snapshots, so that they can be had even when it is damaged. A snapshot's id
        // is made of digits alone and would be an object's as well, so only those with a letter of their own
        // come first.
        let object = head.parse::<ObjectId>().ok();
        if let Some(object) =
            object.filter(|id| id.is_directory() || id.indirection() > 0 || id.is_compressed())
        {
            return self.object(query, head, object, path);
        }
        let all = self.snapshots()?;
        let admitted;
        let snapshots = if query.filter == Filter::default() {
            &all
        } else {
            admitted = all.clone().some_admitted(&query.filter)?;
            &admitted
        };
        if let Some(pick) = Pick::named(head) {
            let sources = snapshots.sources();
            if let [_, _, ..] = sources[..] {
                let candidates = sources.iter().map(ToString::to_string).collect();
                return Err(Error::Ambiguous { what: head.into(), candidates });
            }
            let query = Query { pick: if head == "latest" { query.pick } else { pick }, ..query.clone() };
            return found_or_like(choose(snapshots, &query, None)?, path);
        }
        if let Some(sources) = sources_of(snapshots, query.name, query.here) {
            return newest_of(snapshots, query, &sources);
        }
        // An id names one thing, whatever the others are narrowed to.
        if let Some(snapshot) = all.iter().find(|snapshot| snapshot.id() == head) {
            query.must_not_narrow(head)?;
            return found_or_like(snapshot, path);
        }
        if let Some(object) = object.filter(|object| self.contents().locate(&object.content()).is_ok()) {
            return self.object(query, head, object, path);
        }
        match by_prefix(&all, head, query.name) {
            Ok(snapshot) => {
                query.must_not_narrow(head)?;
                found_or_like(snapshot, path)
            }
            Err(unknown @ Error::NotFound { .. }) => match part::of_source(snapshots, head)? {
                Some(source) => {
                    newest_of(snapshots, query, &[(source.clone(), path.trim_matches('/').into())])
                }
                None => Err(unknown),
            },
            Err(error) => Err(error),
        }
    }

    fn object(&self, query: &Query<'_>, head: &str, object: ObjectId, path: &str) -> Result<Selection> {
        query.must_not_narrow(head)?;
        self.contents().locate(&object.content())?;
        let (root, path) =
            (Entry::of_object(self, object, query.owner, query.now)?, path.trim_start_matches('/'));
        let entry = root.at(path).map_err(|error| like(error, &root, path))?;
        Ok(Selection { snapshot: None, entry, path: path.into(), passed_over: None })
    }
}

impl Query<'_> {
    fn must_not_narrow(&self, id: &str) -> Result<()> {
        let picks = self.pick != Pick::default() || self.filter != Filter::default();
        let narrows = self.at.is_some() || self.incomplete || picks;
        if narrows { Err(Error::NothingToChoose { id: id.into() }) } else { Ok(()) }
    }

    fn admits(&self, snapshot: &Snapshot) -> bool {
        (self.incomplete || snapshot.is_complete())
            && self.at.is_none_or(|at| at.admits(snapshot.start_time()))
    }
}

/// Splits `latest:/path` or `ID:/path`, as restic and rustic write them; the path keeps its `/`.
fn after_colon(name: &str) -> Option<(&str, &str)> {
    let (head, path) = name.split_once(':')?;
    let is_id = head.len() >= MIN_PREFIX && head.bytes().all(|byte| byte.is_ascii_hexdigit());
    // A host may be called like the beginning of an object's id, but hardly like all of it.
    let is_object = head.len() >= 32 && head.parse::<ObjectId>().is_ok();
    let is_known = is_id || is_object || Pick::named(head).is_some();
    is_known.then_some((head, path))
}

/// Finds what lies at a path below a snapshot's root; one that begins with `/` may also be where it was when it
/// was backed up.
fn found(snapshot: &Snapshot, path: &str) -> Result<Selection> {
    let root = snapshot.root()?;
    let at = |path: &str| {
        let entry = root.at(path)?;
        Ok(Selection { snapshot: Some(snapshot.clone()), entry, path: path.into(), passed_over: None })
    };
    let below_root = at(path.trim_start_matches('/'));
    if let (true, Err(Error::NotFound { .. } | Error::WrongKind { .. })) =
        (path.starts_with('/'), &below_root)
    {
        let source = snapshot.source();
        let whole = format!("{}@{}:{path}", source.user, source.host);
        if let Some(selection) = below(source, &whole).and_then(|rest| at(&rest).ok()) {
            return Ok(selection);
        }
    }
    below_root
}

/// As [`found`]; where nothing lies there, the error has the name that is most like it.
fn found_or_like(snapshot: &Snapshot, path: &str) -> Result<Selection> {
    found(snapshot, path).map_err(|error| match snapshot.root() {
        Ok(root) => like(error, &root, path),
        Err(_) => error,
    })
}

/// Adds to the error of a path that leads nowhere the one that was probably meant.
fn like(error: Error, root: &Entry, path: &str) -> Error {
    match error {
        Error::NotFound { what, .. } => {
            Error::NotFound { what, candidates: root.nearest(path).into_iter().collect() }
        }
        error => error,
    }
}

/// Chooses among several sources that a path lies in, with the path below each, longest source first: the
/// newest snapshot that has it. The first source decides where none has.
fn newest_of(snapshots: &Snapshots, query: &Query<'_>, sources: &[(Source, String)]) -> Result<Selection> {
    let Some(((longest, rest), others)) = sources.split_first() else {
        return Err(Error::NotFound { what: format!("source {:?}", query.name), candidates: Vec::new() });
    };
    let first = choose(snapshots, query, Some(longest)).and_then(|snapshot| found_or_like(snapshot, rest));
    if query.pick != Pick::default() {
        // What comes before the newest is counted in one source.
        return first;
    }
    // As in the choice among the snapshots of one source.
    let order =
        |snapshot: &Snapshot| (!snapshot.is_deleted(), snapshot.start_time(), snapshot.manifest().end_time());
    let bound = first.as_ref().ok().and_then(|selection| selection.snapshot.as_ref()).map(order);
    let below = |snapshot: &Snapshot| {
        others.iter().find(|(source, _)| snapshot.source() == source).map(|(_, rest)| rest.clone())
    };
    let mut newer: Vec<_> = snapshots
        .iter()
        .filter(|snapshot| query.admits(snapshot) && bound.is_none_or(|bound| order(snapshot) > bound))
        .filter_map(|snapshot| Some((snapshot, below(snapshot)?)))
        .collect();
    newer.sort_by_key(|(snapshot, _)| std::cmp::Reverse(order(snapshot)));
    for (snapshot, rest) in newer {
        match found(snapshot, &rest) {
            // The path came or went between two snapshots.
            Err(Error::NotFound { .. } | Error::WrongKind { .. }) => {}
            selection => {
                let passed_over = first.ok().and_then(|first| first.snapshot);
                return Ok(Selection { passed_over, ..selection? });
            }
        }
    }
    first
}

/// Chooses the snapshot of a source, or of all, that is picked.
fn choose<'s>(snapshots: &'s Snapshots, query: &Query<'_>, source: Option<&Source>) -> Result<&'s Snapshot> {
    let of_source = |snapshot: &Snapshot| source.is_none_or(|source| snapshot.source() == source);
    let picked = snapshots.picked(query.pick, |snapshot| of_source(snapshot) && query.admits(snapshot));
    picked.ok_or_else(|| {
        let same: Vec<_> = snapshots.iter().filter(|snapshot| of_source(snapshot)).collect();
        let mut what = String::from(if query.incomplete { "snapshot" } else { "complete snapshot" });
        if let Pick::Newest(back @ 1..) = query.pick {
            what += &format!(" number {back} before the newest");
        }
        source.iter().for_each(|source| what += &format!(" of {source}"));
        query.at.iter().for_each(|at| what += &format!(" {at}"));
        let candidates = match &same[..] {
            [] => snapshots.sources().iter().map(ToString::to_string).collect(),
            same => same.iter().map(|snapshot| describe(snapshot)).collect(),
        };
        Error::NotFound { what, candidates }
    })
}

/// Finds the sources that a path lies in and the path below each, longest source first: `user@host:/path`, a
/// path alone, or one with a host before it.
pub(crate) fn sources_of(
    snapshots: &Snapshots,
    name: &str,
    here: (&str, &str),
) -> Option<Vec<(Source, String)>> {
    split(snapshots, name).or_else(|| part::of_path(snapshots, name, here))
}

/// Finds the sources that `user@host:/path` lies in and the path below each, longest source first; a source
/// of that name where there is none. They are compared component by component, as they are written, because a
/// user's name may hold `@`.
fn split(snapshots: &Snapshots, name: &str) -> Option<Vec<(Source, String)>> {
    let known = snapshots.sources().into_iter();
    let mut known: Vec<_> = known.filter_map(|source| Some((source.clone(), below(source, name)?))).collect();
    known.sort_by_key(|(source, _)| std::cmp::Reverse(source.to_string().len()));
    if known.is_empty() {
        known.push((name.parse().ok()?, String::new()));
    }
    Some(known)
}

/// Returns the path below a source that a name stands for, without `/` around it; nothing if the name lies
/// elsewhere.
fn below(source: &Source, name: &str) -> Option<String> {
    let (mut source, mut name) = (source.to_string(), name.to_string());
    if is_windows(&source) {
        // Windows takes both, kopia stores the names of entries without either.
        (source, name) = (source.replace('\\', "/"), name.replace('\\', "/"));
    }
    let rest = name.strip_prefix(source.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/').to_string())
}

/// Returns whether the path of a source begins with a drive, as `user@host:C:\folder` does, or names a share
/// of a server.
fn is_windows(source: &str) -> bool {
    let path = source.split_once(':').map_or("", |(_, path)| path);
    path.starts_with("\\\\")
        || matches!(path.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

pub(crate) fn by_prefix<'s>(snapshots: &'s Snapshots, prefix: &str, name: &str) -> Result<&'s Snapshot> {
    let digits = prefix.len() >= MIN_PREFIX && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    let matching: Vec<_> =
        snapshots.iter().filter(|snapshot| digits && snapshot.id().starts_with(prefix)).collect();
    match &matching[..] {
        [snapshot] => Ok(snapshot),
        [] => Err(unknown(snapshots, prefix, name)),
        several => Err(Error::Ambiguous {
            what: format!("snapshot {prefix:?}"),
            candidates: several.iter().map(|snapshot| describe(snapshot)).collect(),
        }),
    }
}

/// Reports a name that stands for nothing: a path alone, or one with a host, is nearly a source.
fn unknown(snapshots: &Snapshots, head: &str, name: &str) -> Error {
    let is_path = name.starts_with(['/', '\\']) || is_windows(&format!(":{name}"));
    let (host, path) = if is_path {
        ("", Some(name))
    } else {
        name.split_once(':').map_or(("", None), |(host, path)| (host, Some(path)))
    };
    let mut sources = snapshots.sources();
    let what = match path {
        Some(path) => {
            // Sources of that path come first, then those that it lies below; of these the longest.
            sources.sort_by_key(|source| {
                let rest = below(source, &format!("{}@{}:{path}", source.user, source.host));
                let other_host = !host.is_empty() && source.host != host;
                (rest.is_none(), rest.map(|rest| rest.len()), other_host)
            });
            format!("source {name:?}")
        }
        None => format!("snapshot, source or object {head:?}"),
    };
    Error::NotFound { what, candidates: sources.iter().map(ToString::to_string).collect() }
}

fn describe(snapshot: &Snapshot) -> String {
    let note = snapshot.manifest().incomplete().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{} {} {}{note}", snapshot.id(), snapshot.start_time(), snapshot.source())
}
