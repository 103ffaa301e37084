//! Visits each directory, file and link once, however many snapshots have it.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::rc::Rc;

use kopia_format::directory::{EntryKind, Summary};
use kopia_format::stub::Stub;
use kopia_format::{BlobId, ContentId, ObjectId};

use super::headed::{Headed, Stated};
use crate::choice::{Chosen, Parts};
use crate::object::{Extent, Lists, Made};
use crate::tree::{MAX_WAITING, MAX_WAITING_NAMES, Problem, Visitor, Walk, Walked};
use crate::{Defect, Entry, Error, Repository, Result, Trail};

/// How many files that stand for others are kept.
const MAX_STUBS: usize = 100;

/// From how many directories on, and how many bytes of their names, a walk by path may not have room for all of
/// them to wait: those of one directory, and of all that it lies in. An eighth of them may be of others beside them.
const WIDE: Width =
    Width { directories: MAX_WAITING - MAX_WAITING / 8, names: MAX_WAITING_NAMES - MAX_WAITING_NAMES / 8 };

/// How many directories a directory has, with those of all that it lies in, and how many bytes their names take.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Width {
    directories: usize,
    names: usize,
}

/// The width of the directory that one lies in, once all of its entries were visited.
type Above = Rc<Cell<Width>>;

/// A content that is the target of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) content: ContentId,
    /// Whether it begins with a compression header of its own.
    pub(super) compressed: bool,
}

impl From<&Extent> for Target {
    fn from(extent: &Extent) -> Self {
        Self { content: extent.content, compressed: extent.compressed }
    }
}

/// What lies below some roots. It keeps no more than the index has, whatever directories say.
pub(super) struct Survey<'a> {
    pub(super) repository: &'a Repository,
    seen: HashSet<ObjectId>,
    /// What was walked of directories, if of one something else may be taken by each of its paths.
    parts: Option<Parts>,
    /// Of the directory that is being visited, where it was met first.
    width: Width,
    /// What those in it get.
    above: Above,
    wide: Width,
    /// Those of `seen` that cannot be read whole.
    broken: HashSet<ObjectId>,
    lists: Lists,
    /// The contents that all these need, if they are asked for.
    pub(super) needed: Option<HashSet<ContentId>>,
    /// Those of the contents that are marked deleted, whether or not all are asked for: kopia takes the marks
    /// back, but until then only a snapshot tells that they are needed.
    pub(super) marked: HashSet<ContentId>,
    /// Those that begin with a compression header of their own.
    pub(super) headed: Headed,
    /// Those that are targets of links, and might be by their lengths: only their bytes tell whether they are.
    pub(super) targets: HashSet<Target>,
    /// Directories that cannot be read whole, or that may have entries that cannot be restored as they were.
    pub(super) suspects: HashSet<ObjectId>,
    /// Whether there are any, or that may be so of a root.
    pub(super) any_suspect: bool,
    /// Packs of directories and lists that have to be fetched from an archive first.
    pub(super) cold: HashSet<BlobId>,
    pub(super) directories: u64,
    pub(super) files: u64,
    /// The sizes of these, together.
    pub(super) file_bytes: u64,
    pub(super) left_out: u64,
    pub(super) stub_count: u64,
    pub(super) stubs: Vec<(String, Stub)>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(repository: &'a Repository, needed: Option<HashSet<ContentId>>) -> Self {
        Self {
            repository,
            seen: HashSet::new(),
            parts: None,
            width: Width::default(),
            above: Above::default(),
            wide: WIDE,
            broken: HashSet::new(),
            lists: Lists::default(),
            needed,
            marked: HashSet::new(),
            headed: Headed::new(),
            targets: HashSet::new(),
            suspects: HashSet::new(),
            any_suspect: false,
            cold: HashSet::new(),
            directories: 0,
            files: 0,
            file_bytes: 0,
            left_out: 0,
            stub_count: 0,
            stubs: Vec::new(),
        }
    }

    /// Visits some roots and everything below them, each object once; with a choice, what is taken of them.
    pub(super) fn run<'e>(&mut self, roots: impl Iterator<Item = &'e Entry>, chosen: Option<&Chosen>) {
        let Some(chosen) = chosen else {
            let walked: Vec<_> = roots.flat_map(|root| self.add_root(root)).collect();
            let walk = Walk::new(self.repository).as_it_stands();
            let _ = walk.run(walked.iter().map(|root| (root, Above::default())), self);
            return;
        };
        self.parts = Some(Parts::default());
        let mut walked = Vec::new();
        for root in roots {
            let (_, is_sound) = self.add(root);
            self.any_suspect |= !root.is_whole() || !is_sound;
            walked.extend(Some(root).filter(|root| root.kind() == EntryKind::Directory));
        }
        let walk = Walk::new(self.repository).choosing(chosen);
        let _ = walk.run(walked.into_iter().map(|root| (root, Above::default())), self);
    }

    /// Adds a root, and what names put into it, and returns which directories are to be walked.
    fn add_root(&mut self, root: &Entry) -> Vec<Entry> {
        self.any_suspect |= !root.is_whole();
        let mut walked = Vec::new();
        let own = (!root.is_implied()).then(|| root.clone());
        for entry in own.into_iter().chain(root.placed_entries()) {
            let (is_new, is_sound) = self.add(&entry);
            self.any_suspect |= !is_sound;
            if is_new && entry.kind() == EntryKind::Directory {
                walked.push(entry);
            }
        }
        walked
    }

    /// Adds an entry; returns whether its object is new, and whether it is sound.
    ///
    /// It is sound if it can be restored as it is, as far as its contents are in the index.
    fn add(&mut self, entry: &Entry) -> (bool, bool) {
        let object = entry.object();
        if self.repository.contents().locate(&object.content()).is_err() {
            return (false, false);
        }
        let is_new = self.seen.insert(object);
        if is_new {
            self.add_object(entry);
        }
        if object.is_compressed() && entry.kind() == EntryKind::File {
            self.headed.entry(object.content()).or_default().add(Stated::Entry(entry.size()));
        }
        let is_sound = !self.broken.contains(&object)
            && match entry.kind() {
                EntryKind::Directory => true,
                EntryKind::File => self.length(object).is_none_or(|length| length == entry.size()),
                EntryKind::Symlink => self.add_target(object),
            };
        (is_new, is_sound)
    }

    /// Adds the target of a link; returns whether it may be one, as far as the index tells.
    fn add_target(&mut self, object: ObjectId) -> bool {
        let Some(Made::One(extent)) = self.lists.made(self.repository, object) else { return false };
        let is_target = extent.length.is_none_or(|length| Defect::of_target_length(length).is_none());
        if is_target {
            self.targets.insert(Target::from(&extent));
        }
        is_target
    }

    /// Adds an entry of a directory and returns whether its object was not visited before.
    fn add_entry(&mut self, parent: &Trail, entry: &Entry) -> bool {
        let (is_new, is_sound) = self.add(entry);
        // Where a name leads, only a walk by path can tell.
        if !is_sound || entry.name().contains('/') {
            self.suspect(parent);
        }
        is_new
    }

    /// Counts an object, and looks up its contents.
    fn add_object(&mut self, entry: &Entry) {
        match entry.kind() {
            EntryKind::Directory => self.directories += 1,
            EntryKind::File | EntryKind::Symlink => {
                self.files += 1;
                self.file_bytes = self.file_bytes.saturating_add(entry.size());
            }
        }
        if !self.look_up(entry.object()) {
            self.broken.insert(entry.object());
        }
        if let Some(stub) = entry.stub() {
            self.stub_count += 1;
            if self.stubs.len() < MAX_STUBS {
                self.stubs.push((entry.name().into(), stub));
            }
        }
    }

    /// Looks up every content that an object needs, those of its list included; returns whether each is there and
    /// has the length that its list says, as far as the index tells.
    fn look_up(&mut self, object: ObjectId) -> bool {
        let Self { repository, lists, headed, needed, marked, .. } = self;
        let contents = repository.contents();
        let followed = lists.follow(repository, object, &mut |extent, _| {
            let location = contents.locate(&extent.content)?;
            if let Some(needed) = needed {
                needed.insert(extent.content);
            }
            if location.is_deleted() {
                marked.insert(extent.content);
            }
            if extent.compressed {
                headed.entry(extent.content).or_default().add(Stated::of_list(extent));
                return Ok(true);
            }
            Ok(extent.length.is_none_or(|length| length == location.plain_length()))
        });
        if let Err(defect) = &followed {
            self.cold.extend(defect.cold_blob().cloned());
        }
        followed.is_ok_and(|followed| followed.fits)
    }

    /// Returns how many bytes an object has, unless only its compressed bytes tell.
    fn length(&self, object: ObjectId) -> Option<u64> {
        if object.indirection() > 0 {
            return self.lists.length(object);
        }
        let location = self.repository.contents().locate(&object.content()).ok()?;
        (!object.is_compressed()).then_some(location.plain_length())
    }

    /// Notes that something in a directory may not be restored as it was.
    fn suspect(&mut self, trail: &Trail) {
        self.any_suspect = true;
        self.suspects.extend(trail.object());
    }
}

impl Visitor for Survey<'_> {
    type Directory = Above;

    fn is_known(&mut self, directory: &Walked<Above>) -> bool {
        self.parts.as_mut().is_some_and(|parts| parts.visited(directory).is_some())
    }

    fn enter(&mut self, directory: &mut Walked<Above>) -> ControlFlow<()> {
        if let Some(parts) = &mut self.parts {
            parts.add(directory);
        }
        self.width = directory.attached.get();
        self.above = Above::default();
        ControlFlow::Continue(())
    }

    fn leaf(&mut self, parent: &mut Walked<Above>, entry: Entry) -> ControlFlow<()> {
        self.add_entry(&parent.trail, &entry);
        ControlFlow::Continue(())
    }

    fn directory(
        &mut self,
        parent: &mut Walked<Above>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Above>> {
        self.width.directories += 1;
        self.width.names += entry.name().len();
        let is_new = self.add_entry(&parent.trail, entry);
        if way.is_err() {
            self.suspect(&parent.trail);
        }
        ControlFlow::Continue((is_new || self.parts.is_some()).then(|| self.above.clone()))
    }

    fn left_out(&mut self, _: &mut Walked<Above>, _: &str, entry: Option<&Entry>) {
        let below = entry.map_or(0, Entry::entries_below);
        self.left_out = self.left_out.saturating_add(below.saturating_add(1));
    }

    fn problem(&mut self, parent: &mut Walked<Above>, _: Problem) -> ControlFlow<()> {
        self.suspect(&parent.trail);
        ControlFlow::Continue(())
    }

    fn leave(&mut self, directory: Walked<Above>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        // This walk keeps no names, and of directories no more than the repository has; that of a restore refuses
        // what it has no room for.
        let (width, wide) = (self.width, self.wide);
        let is_wide = width.directories > directory.attached.get().directories
            && (width.directories > wide.directories || width.names > wide.names);
        self.above.set(width);
        let cold = read.as_ref().err().and_then(Error::cold_blob);
        self.cold.extend(cold.cloned());
        if read.is_err() || is_wide {
            self.suspect(&directory.trail);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use kopia_testkit::writer::RepositoryWriter;
    use serde_json::{Value, json};

    use super::super::Subject;
    use super::super::affected::list;
    use super::super::contents::Damaged;
    use super::*;
    use crate::testing::open;

    /// A repository of one snapshot of a root that a writer makes.
    fn repository(root: impl FnOnce(&mut RepositoryWriter) -> String) -> Repository {
        let mut writer = RepositoryWriter::new();
        let root = root(&mut writer);
        writer.snapshot("app@host:/data", directory("data", &root));
        open(writer)
    }

    fn directory(name: &str, object: &str) -> Value {
        json!({"name": name, "type": "d", "obj": object})
    }

    fn root_of(repository: &Repository) -> Entry {
        repository.snapshots().unwrap().iter().next().unwrap().root().unwrap()
    }

    /// A path, why it is lost, and its object.
    type Lost = (String, &'static str, Option<ObjectId>);

    /// Returns what a search loses whose walk lets no more directories wait.
    fn lost(repository: &Repository, root: &Entry, most: usize) -> Vec<Lost> {
        let (subjects, mut lost) = ([Subject::new(None, root)], Vec::new());
        let walk = Walk::new(repository).max_waiting(most);
        let (damaged, suspects) = (Damaged::default(), HashSet::new());
        let untold = list(repository, &subjects, walk, &damaged, &suspects, &mut |entry| {
            lost.push((entry.path, entry.reason.word(), entry.object));
        });
        assert_eq!(untold, 0);
        lost
    }

    #[test]
    fn a_directory_of_more_directories_than_may_wait_is_suspect() {
        let repository = repository(|writer| {
            let empty = writer.directory(&[]);
            writer.directory(&["aaa", "bbb", "ccc"].map(|name| directory(name, &empty)))
        });
        let root = root_of(&repository);
        let of = |directories, names| Width { directories, names };
        for (wide, is_suspect) in [(WIDE, false), (of(3, 9), false), (of(2, 9), true), (of(3, 8), true)] {
            let mut survey = Survey::new(&repository, None);
            survey.wide = wide;
            survey.run([&root].into_iter(), None);
            assert_eq!(
                (survey.any_suspect, survey.suspects.len()),
                (is_suspect, usize::from(is_suspect)),
                "{wide:?}"
            );
        }
        // As a restore loses it.
        assert!(lost(&repository, &root, 3).is_empty());
        let word = Defect::TooManyWaiting { limit: 2 }.word();
        let object = root.at("ccc").unwrap().object();
        assert_eq!(lost(&repository, &root, 2), [("ccc".to_owned(), word, Some(object))]);
    }

    #[test]
    fn a_directory_that_only_a_name_implies_is_lost_without_an_object() {
        let repository = repository(|writer| {
            let (empty, object) = (writer.directory(&[]), writer.file(b"hello"));
            let file = json!({"name": "c/x", "type": "f", "size": 5, "obj": object});
            writer.directory(&[directory("a", &empty), directory("b", &empty), file])
        });
        let word = Defect::TooManyWaiting { limit: 2 }.word();
        assert_eq!(lost(&repository, &root_of(&repository), 2), [("c".to_owned(), word, None)]);
    }

    #[test]
    fn directories_wait_beside_those_that_they_lie_in() {
        let repository = repository(|writer| {
            let empty = writer.directory(&[]);
            let inner = writer.directory(&["x", "y"].map(|name| directory(name, &empty)));
            writer.directory(&[directory("a", &inner), directory("b", &empty), directory("c", &empty)])
        });
        let root = root_of(&repository);
        for (directories, count) in [(5, 0), (4, 1), (3, 1), (2, 2)] {
            let mut survey = Survey::new(&repository, None);
            survey.wide = Width { directories, names: 100 };
            survey.run([&root].into_iter(), None);
            assert_eq!((survey.any_suspect, survey.suspects.len()), (count > 0, count), "{directories}");
        }
        // `b` and `c` wait.
        assert!(lost(&repository, &root, 4).is_empty());
        let word = Defect::TooManyWaiting { limit: 3 }.word();
        let object = root.at("a/y").unwrap().object();
        assert_eq!(lost(&repository, &root, 3), [("a/y".to_owned(), word, Some(object))]);
    }
}
