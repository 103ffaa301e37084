//! What trees take in the repository, where each content is stored once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use kopia_format::directory::{EntryKind, Summary};
use kopia_format::{BlobId, ContentId, ObjectId};

use crate::choice::{Chosen, Parts};
use crate::object::Lists;
use crate::tree::{Problem, Visitor, Walk, Walked};
use crate::{ContentLocation, Defect, Entry, Error, Repository, Result, Trail};

/// What some trees need of a repository, each content counted once.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stored {
    /// Different files and links.
    pub files: u64,
    /// Different directories.
    pub directories: u64,
    /// Contents, those of directories and of the lists of large files included.
    pub contents: u64,
    /// Their bytes before compression.
    pub plain_bytes: u64,
    /// Their bytes as they are stored.
    pub stored_bytes: u64,
    /// Those of them that hold directories, and lists of the contents of large files.
    pub metadata_bytes: u64,
    /// Objects that could not be read or found, the first 1,000.
    pub problems: Vec<(ObjectId, Defect)>,
    /// How many these are in all.
    pub problem_count: u64,
}

/// What several trees take, one beside the other.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Shares {
    /// Of each tree, in their order.
    pub each: Vec<Share>,
    /// Of all of them together.
    pub all: Share,
    /// What could not be read or found.
    pub problem_count: u64,
}

/// What a tree takes, in stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Share {
    /// Only this tree needs them: they would be freed without it.
    pub unique: u64,
    /// Others need them, too.
    pub shared: u64,
}

/// The most problems that are kept.
const MAX_PROBLEMS: usize = 1000;

/// Adds up what trees need, each object and content once. For that some 100 bytes of memory are used for each.
pub fn stored<'e>(repository: &Repository, roots: impl IntoIterator<Item = &'e Entry>) -> Stored {
    let mut known = HashSet::new();
    let mut sums = (0, 0, 0, 0);
    let mut gather =
        Gather::new(repository, |content: ContentId, location: &ContentLocation, is_metadata| {
            if known.insert(content) {
                let length = repository.contents().origin(location).length;
                sums.0 += 1;
                sums.1 += location.plain_length();
                sums.2 += length;
                sums.3 += if is_metadata { length } else { 0 };
            }
        });
    gather.run(roots);
    let Gather { mut stored, .. } = gather;
    (stored.contents, stored.plain_bytes, stored.stored_bytes, stored.metadata_bytes) = sums;
    stored
}

/// What is read of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackRead {
    /// The pack.
    pub blob: BlobId,
    /// How many ranges of it are read.
    pub ranges: u64,
    /// The bytes of these ranges.
    pub bytes: u64,
}

impl PackRead {
    /// Tells what is read of a pack.
    pub fn new(blob: BlobId, ranges: u64, bytes: u64) -> Self {
        Self { blob, ranges, bytes }
    }
}

/// Finds the packs that hold the directories below an entry and the lists of its large files, sorted by name;
/// each content counts as a range. With a choice, only what is taken counts.
pub fn metadata_packs(repository: &Repository, root: &Entry, chosen: Option<&Chosen>) -> Vec<PackRead> {
    let mut known = HashSet::new();
    let mut packs: BTreeMap<BlobId, (u64, u64)> = BTreeMap::new();
    let mut gather =
        Gather::new(repository, |content: ContentId, location: &ContentLocation, is_metadata| {
            if is_metadata && known.insert(content) {
                let origin = repository.contents().origin(location);
                let pack = packs.entry(origin.blob).or_default();
                pack.0 += 1;
                pack.1 += origin.length;
            }
        });
    match chosen.filter(|_| root.kind() == EntryKind::Directory) {
        Some(chosen) => gather.run_part(root, chosen),
        None => gather.run([root]),
    }
    packs.into_iter().map(|(blob, (ranges, bytes))| PackRead::new(blob, ranges, bytes)).collect()
}

/// Who needs a content.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The tree of this number alone.
    One(u32),
    /// Several of the trees, but no other.
    Several,
    /// Others, too.
    Others,
}

/// Finds out what each of some trees takes alone, and what it shares with the rest or with `others`.
pub fn shares<'e>(
    repository: &Repository,
    trees: &[Entry],
    others: impl IntoIterator<Item = &'e Entry>,
) -> Shares {
    let mut owners: HashMap<ContentId, (Owner, u64)> = HashMap::new();
    let mut shares = Shares { each: vec![Share::default(); trees.len()], ..Shares::default() };
    let mut total = vec![0; trees.len()];
    for (number, tree) in (0_u32..).zip(trees) {
        let mut own = HashSet::new();
        let mut gather = Gather::new(repository, |content: ContentId, location: &ContentLocation, _| {
            let length = repository.contents().origin(location).length;
            if own.insert(content) {
                total[number as usize] += length;
            }
            let owner = owners.entry(content).or_insert((Owner::One(number), length));
            if owner.0 != Owner::One(number) {
                owner.0 = Owner::Several;
            }
        });
        gather.run([tree]);
        shares.problem_count += gather.stored.problem_count;
    }
    let mut gather = Gather::new(repository, |content: ContentId, _: &ContentLocation, _| {
        if let Some(owner) = owners.get_mut(&content) {
            owner.0 = Owner::Others;
        }
    });
    gather.run(others);
    shares.problem_count += gather.stored.problem_count;
    for (owner, length) in owners.values() {
        match owner {
            Owner::One(number) => {
                shares.each[*number as usize].unique += length;
                shares.all.unique += length;
            }
            Owner::Several => shares.all.unique += length,
            Owner::Others => shares.all.shared += length,
        }
    }
    for (share, total) in shares.each.iter_mut().zip(total) {
        share.shared = total - share.unique;
    }
    shares
}

/// Visits each object once, and each content of it.
struct Gather<'r, F> {
    repository: &'r Repository,
    seen: HashSet<ObjectId>,
    lists: Lists,
    /// Those of which a problem was noted.
    faulty: HashSet<ObjectId>,
    /// What was visited of directories, if of one something else may be taken by each of its paths.
    parts: Option<Parts>,
    stored: Stored,
    visit: F,
}

impl<'r, F: FnMut(ContentId, &ContentLocation, bool)> Gather<'r, F> {
    fn new(repository: &'r Repository, visit: F) -> Self {
        let (seen, faulty) = (HashSet::new(), HashSet::new());
        let (lists, stored) = (Lists::default(), Stored::default());
        Self { repository, seen, lists, faulty, parts: None, stored, visit }
    }

    fn run<'e>(&mut self, roots: impl IntoIterator<Item = &'e Entry>) {
        let mut walked = Vec::new();
        for root in roots {
            let own = (!root.is_implied()).then(|| root.clone());
            for entry in own.into_iter().chain(root.placed_entries()) {
                if self.add(&entry) && entry.kind() == EntryKind::Directory {
                    walked.push(entry);
                }
            }
        }
        let walk = Walk::new(self.repository).as_it_stands();
        let _ = walk.run(walked.iter().map(|root| (root, ())), self);
    }

    /// As [`Self::run`], of what is taken below a directory.
    fn run_part(&mut self, root: &Entry, chosen: &Chosen) {
        self.parts = Some(Parts::default());
        self.add(root);
        let _ = Walk::new(self.repository).choosing(chosen).run([(root, ())], self);
    }

    /// Adds an entry and returns whether its object is new.
    fn add(&mut self, entry: &Entry) -> bool {
        let object = entry.object();
        if !self.seen.insert(object) {
            return false;
        }
        let is_directory = entry.kind() == EntryKind::Directory;
        *(if is_directory { &mut self.stored.directories } else { &mut self.stored.files }) += 1;
        if let Err(defect) = self.contents(object, is_directory) {
            self.problem(object, defect);
        }
        true
    }

    fn contents(&mut self, object: ObjectId, is_metadata: bool) -> Result<(), Defect> {
        let Self { repository, lists, visit, .. } = self;
        let followed = lists.follow(repository, object, &mut |extent, is_list| {
            let location = repository.contents().locate(&extent.content)?;
            visit(extent.content, &location, is_metadata || is_list);
            Ok(true)
        });
        followed.map(drop)
    }

    /// Notes what is wrong with an object: of a directory, what it lacks shows once more when it is read.
    fn problem(&mut self, object: ObjectId, defect: Defect) {
        if !self.faulty.insert(object) {
            return;
        }
        self.stored.problem_count += 1;
        if self.stored.problems.len() < MAX_PROBLEMS {
            self.stored.problems.push((object, defect));
        }
    }
}

impl<F: FnMut(ContentId, &ContentLocation, bool)> Visitor for Gather<'_, F> {
    type Directory = ();

    fn is_known(&mut self, directory: &Walked<()>) -> bool {
        self.parts.as_mut().is_some_and(|parts| parts.visited(directory).is_some())
    }

    fn enter(&mut self, directory: &mut Walked<()>) -> ControlFlow<()> {
        if let Some(parts) = &mut self.parts {
            parts.add(directory);
        }
        ControlFlow::Continue(())
    }

    fn leaf(&mut self, _: &mut Walked<()>, entry: Entry) -> ControlFlow<()> {
        self.add(&entry);
        ControlFlow::Continue(())
    }

    fn directory(
        &mut self,
        _: &mut Walked<()>,
        entry: &Entry,
        _: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<()>> {
        let is_new = self.add(entry);
        ControlFlow::Continue((is_new || self.parts.is_some()).then_some(()))
    }

    fn problem(&mut self, _: &mut Walked<()>, _: Problem) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn leave(&mut self, directory: Walked<()>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        if let (Err(error), Some(object)) = (read, directory.trail.object()) {
            self.problem(object, error.into());
        }
        ControlFlow::Continue(())
    }
}
