//! A golden repository before it is damaged: what each path of its snapshots needs, and what it must be.

use std::collections::BTreeMap;
use std::ops::Range;

use kopia_repository::contents::Origin;
use kopia_repository::object::Extents;
use kopia_rs::storage::MemoryStore;
use kopia_rs::{ContentId, Entry, EntryKind, ObjectId, Password, Repository, Result};
use kopia_testkit::damage::{Blobs, Change};
use kopia_testkit::golden::Case;
use kopia_testkit::tree::Tree;

use crate::shards;

/// The repository, open, and what it holds. It reads from a store whose blobs can be changed.
pub(crate) struct Sound {
    pub(crate) case: Case,
    pub(crate) blobs: Blobs,
    pub(crate) store: MemoryStore,
    pub(crate) repository: Repository,
    pub(crate) snapshots: Vec<Snapshot>,
    manifests: Vec<ContentId>,
    contents: Vec<ContentId>,
    /// The percentage of error correction.
    pub(crate) percent: Option<u32>,
}

/// A snapshot, and what restoring it must give.
pub(crate) struct Snapshot {
    pub(crate) id: String,
    pub(crate) root: Entry,
    pub(crate) expected: Tree,
    /// The contents of each path, without those of the folders that it lies in.
    needs: BTreeMap<String, Vec<ContentId>>,
}

/// What damage may do to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It is there.
    Kept,
    /// Whether it is there cannot be said: an older copy of it may be found, or its error correction may
    /// still fit.
    Either,
    /// It cannot be there.
    Lost,
}

/// The fate of every path of a snapshot.
pub(crate) type Fates = BTreeMap<String, Fate>;

pub(crate) fn store(blobs: &Blobs) -> MemoryStore {
    blobs.iter().map(|(id, bytes)| (id.parse().unwrap(), bytes.clone())).collect()
}

pub(crate) fn open(store: &MemoryStore, case: &Case, degraded: bool) -> Result<Repository> {
    let open = if degraded { Repository::open_degraded } else { Repository::open };
    open(store.clone(), &Password::from(&*case.password))
}

impl Sound {
    pub(crate) fn new(case: Case, blobs: Blobs, degraded: bool) -> Self {
        let store = store(&blobs);
        let repository = open(&store, &case, degraded).unwrap();
        let all = repository.snapshots().unwrap();
        let snapshot = |id: &str| all.iter().find(|snapshot| snapshot.id() == id).unwrap().clone();
        let pairs = case.pairs().into_iter();
        let snapshots = pairs.map(|(listed, expected)| {
            let root = snapshot(&listed.id).root().unwrap();
            let mut needs = BTreeMap::new();
            gather(&root, String::new(), &mut needs);
            Snapshot { id: listed.id, root, expected: expected.load(), needs }
        });
        let snapshots = snapshots.collect();
        let (mut manifests, mut contents) = (Vec::new(), Vec::new());
        repository.contents().for_each(|content, place| {
            if !place.is_deleted() {
                contents.push(content);
                manifests.extend((content.prefix() == Some('m')).then_some(content));
            }
        });
        let percent = repository.status().unwrap().error_correction.map(|(_, percent)| percent);
        Self { case, blobs, store, repository, snapshots, manifests, contents, percent }
    }

    /// Says whether it has error correction.
    pub(crate) fn corrects(&self) -> bool {
        self.percent.is_some()
    }

    /// What is sealed at once in a blob: contents in a pack, all of another blob.
    pub(crate) fn units(&self, id: &str) -> Vec<Range<usize>> {
        if !id.starts_with(['p', 'q']) {
            return std::iter::once(0..self.blobs[id].len()).collect();
        }
        let here = self.contents.iter().filter(|content| self.pack_of(content) == id);
        let range = |content| self.origin_of(content).range();
        here.map(range).map(|range| range.start as usize..range.end as usize).collect()
    }

    /// The ids of the blobs that begin so.
    pub(crate) fn ids<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a String> {
        self.blobs.keys().filter(move |id| id.starts_with(prefix))
    }

    /// Changes the blobs that the open repository reads.
    pub(crate) fn change(&self, changes: &[Change]) {
        change(&self.store, changes);
    }

    /// Puts them back.
    pub(crate) fn undo(&self, changes: &[Change]) {
        for Change { id, .. } in changes {
            self.store.insert(id.parse().unwrap(), self.blobs[id].clone());
        }
    }

    /// Says what changes to packs do to a content: nothing if the bytes that are its own are the same.
    pub(crate) fn fate_of(&self, content: &ContentId, changes: &[Change]) -> Fate {
        let origin = self.origin_of(content);
        let pack = origin.blob.as_str();
        let Some(change) = changes.iter().find(|change| change.id == pack) else { return Fate::Kept };
        let range = origin.range().start as usize..origin.range().end as usize;
        let before = &self.blobs[pack][range.clone()];
        let after = change.after.as_ref().and_then(|bytes| bytes.get(range));
        self.fate_of_unit(before, after)
    }

    /// The fate of a blob that is sealed as a whole.
    pub(crate) fn fate_of_blob(&self, change: &Change) -> Fate {
        self.fate_of_unit(&self.blobs[&change.id], change.after.as_deref())
    }

    /// The fate of what is sealed at once.
    fn fate_of_unit(&self, before: &[u8], after: Option<&[u8]>) -> Fate {
        if after == Some(before) {
            return Fate::Kept;
        }
        let (Some(percent), Some(after)) = (self.percent, after) else { return Fate::Lost };
        match shards::is_repaired(percent, before, after) {
            Some(true) => Fate::Kept,
            Some(false) => Fate::Lost,
            None => Fate::Either,
        }
    }

    /// Says what damage does to each path: by what it consists of alone. No content is read for a file
    /// without bytes, if the index of the repository says that it has none.
    pub(crate) fn own_fates(
        &self,
        snapshot: &Snapshot,
        repository: &Repository,
        fate_of: impl Fn(&ContentId) -> Fate,
    ) -> Fates {
        let is_needed = |content: &&ContentId| {
            !repository.contents().locate(content).is_ok_and(|place| place.plain_length() == 0)
        };
        let worst = |contents: &Vec<ContentId>| {
            contents.iter().filter(is_needed).map(&fate_of).max().unwrap_or(Fate::Kept)
        };
        snapshot.needs.iter().map(|(path, contents)| (path.clone(), worst(contents))).collect()
    }

    /// The fate of the list of snapshots.
    pub(crate) fn fate_of_list(&self, fate_of: impl Fn(&ContentId) -> Fate) -> Fate {
        self.manifests.iter().map(fate_of).max().unwrap_or(Fate::Kept)
    }

    /// The worst fate among all contents.
    pub(crate) fn fate_of_all(&self, changes: &[Change]) -> Fate {
        self.contents.iter().map(|content| self.fate_of(content, changes)).max().unwrap_or(Fate::Kept)
    }

    /// Says whether something is damaged and all of it is repaired.
    pub(crate) fn is_repaired(&self, changes: &[Change]) -> bool {
        let differs = |content: &ContentId| {
            let origin = self.origin_of(content);
            let pack = origin.blob.as_str();
            let change = changes.iter().find(|change| change.id == pack);
            let range = origin.range().start as usize..origin.range().end as usize;
            let before = self.blobs[pack].get(range.clone());
            change.is_some_and(|change| change.after.as_ref().and_then(|bytes| bytes.get(range)) != before)
        };
        self.percent.is_some() && self.fate_of_all(changes) == Fate::Kept && self.contents.iter().any(differs)
    }

    /// Where the contents of a pack end in it.
    pub(crate) fn end_of_contents(&self, pack: &str) -> usize {
        let origins = self.contents.iter().map(|content| self.origin_of(content));
        let here = origins.filter(|origin| origin.blob.as_str() == pack);
        here.map(|origin| origin.range().end as usize).max().unwrap_or_default()
    }

    /// Says whether a pack holds contents that another view of the repository does not know.
    pub(crate) fn hides(&self, repository: &Repository, pack: &str) -> bool {
        let mut here = self.contents.iter().filter(|content| self.pack_of(content) == pack);
        here.any(|content| repository.contents().locate(content).is_err())
    }

    /// The name of the pack that a content is in.
    pub(crate) fn pack_of(&self, content: &ContentId) -> String {
        self.origin_of(content).blob.to_string()
    }

    /// Returns where a content is stored.
    fn origin_of(&self, content: &ContentId) -> Origin {
        let contents = self.repository.contents();
        contents.origin(&contents.locate(content).unwrap())
    }
}

pub(crate) fn change(store: &MemoryStore, changes: &[Change]) {
    for Change { id, after } in changes {
        let id = id.parse().unwrap();
        match after {
            Some(bytes) => store.insert(id, bytes.clone()),
            None => drop(store.remove(&id)),
        }
    }
}

/// The worst of a path's own fate and those of the folders that it lies in.
pub(crate) fn with_ancestors(own: &Fates) -> Fates {
    let mut all = Fates::new();
    // A folder sorts before what lies in it.
    for (path, fate) in own {
        let above = parent(path).map_or(Fate::Kept, |parent| all[parent]);
        all.insert(path.clone(), above.max(*fate));
    }
    all
}

/// The path of the folder that something lies in; the root lies in none.
pub(crate) fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        Some((parent, _)) => Some(parent),
        None if path.is_empty() => None,
        None => Some(""),
    }
}

fn gather(entry: &Entry, path: String, needs: &mut BTreeMap<String, Vec<ContentId>>) {
    if entry.kind() == EntryKind::Directory {
        for child in entry.directory().unwrap().entries {
            let name = child.name();
            let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            gather(&child, below, needs);
        }
    }
    needs.insert(path, contents(entry.repository(), entry.object()));
}

/// The contents that an object consists of, those of its lists included.
pub(crate) fn contents(repository: &Repository, object: ObjectId) -> Vec<ContentId> {
    let mut all = object.list().map(|list| contents(repository, list)).unwrap_or_default();
    all.extend(Extents::new(repository, object).map(|extent| extent.unwrap().content));
    all
}
