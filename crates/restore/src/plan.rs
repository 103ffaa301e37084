//! Walks the snapshot and gathers batches of bounded size.
//!
//! A batch is all that is known of some thousand files: names, attributes, and for every content its place in a pack. The
//! planner keeps two batches ahead of the workers, so memory does not grow with the number of files; only folders that
//! are unfinished, or that the target has already, are kept. It decides about order and writes nothing itself, but for folders that turn out to be finished when it leaves them.

pub(crate) mod batch;

use std::os::fd::AsFd;
use std::sync::Arc;

use kopia_format::ObjectId;
use kopia_format::directory::EntryKind;
use kopia_repository::object::{Pieces, Run};
use kopia_repository::{Entry, Fetched};

use crate::destination::folder::{Folder, FolderKind};
use crate::destination::merge::{Merge, open_existing};
use crate::destination::metadata::Attributes;
use crate::destination::{is_folder, look};
use crate::execute::{LargeFile, Shared, SmallEntry, Worker};
use crate::outcome::{Cause, Note};
use batch::{Batch, Item};

/// When a batch is handed over: entries, bytes of plain contents, and files written in pieces, which stay open meanwhile.
const ENTRIES: usize = 16_384;
const BYTES: u64 = 128 << 20;
const LARGE_FILES: usize = 32;

/// Walks the tree on one thread.
pub(crate) struct Planner<'a> {
    shared: &'a Shared<'a>,
    worker: Worker<'a>,
    batch: Batch,
    merge: Merge,
    /// Folders still to be walked, the next one last.
    folders: Vec<Arc<Folder>>,
    /// Folders found in the one that is being walked, in their order.
    folders_found: Vec<Arc<Folder>>,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(shared: &'a Shared<'a>, worker: Worker<'a>) -> Self {
        let (batch, merge) = Default::default();
        Self { shared, worker, batch, merge, folders: Vec::new(), folders_found: Vec::new() }
    }

    /// Plans everything below a root and returns what is to be done at the end.
    pub(crate) fn run(mut self, root: &Entry) -> Merge {
        let folder = Folder::root(root.object(), root.into());
        self.merge.existing.push(folder.clone());
        match (&self.shared.target.name, root.kind()) {
            (Some(name), EntryKind::File | EntryKind::Symlink) => {
                self.leaf(&folder, name, root);
                self.leave(folder);
            }
            _ => self.folders.push(folder),
        }
        while !self.folders.is_empty() && !self.shared.stopped() {
            // The next folders are read at once; on many cores one thread could not keep the workers busy.
            let objects = self.folders.iter().rev().map(|folder| folder.object);
            let fetched = Entry::fetch_some(root.repository(), objects);
            let next = self.folders.split_off(self.folders.len() - fetched.len());
            let mut below = Vec::new();
            for (folder, fetched) in next.into_iter().rev().zip(fetched) {
                self.visit(&folder, fetched);
                self.leave(folder);
                below.push(std::mem::take(&mut self.folders_found));
            }
            // What lies in the first of them comes first.
            self.folders.extend(below.into_iter().rev().flat_map(|found| found.into_iter().rev()));
        }
        self.hand_over();
        self.merge
    }

    /// Plans the entries of a folder; its folders come next, in their order.
    fn visit(&mut self, folder: &Arc<Folder>, fetched: Fetched) {
        let existing = match folder.kind {
            FolderKind::Existing => open_existing(self.shared.target.folder.as_fd(), folder).ok(),
            FolderKind::Moved | FolderKind::Inner => None,
        };
        // Kopia sorts entries by name, so two of one name are neighbours.
        let mut last = String::new();
        let read = fetched.for_each(|entry| match entry {
            _ if self.shared.stopped() => {}
            Err(refused) => self.problem(folder, &refused.name, Cause::Entry(refused.why)),
            Ok(entry) if entry.name() == last => self.problem(folder, entry.name(), doubled()),
            Ok(entry) => {
                last.clear();
                last.push_str(entry.name());
                if entry.name().contains('\u{fffd}') {
                    self.shared.tally.note(Note::Name);
                }
                match entry.kind() {
                    EntryKind::Directory => {
                        let found = existing.as_ref().map(|handle| look(handle.as_fd(), entry.name()));
                        let kind = match (folder.kind, found) {
                            (FolderKind::Existing, Some(Ok(Some(stat)))) if is_folder(&stat) => {
                                // Nothing can be moved to another file system.
                                if stat.st_dev != self.shared.target.device {
                                    return self.problem(folder, entry.name(), mounted());
                                }
                                FolderKind::Existing
                            }
                            (FolderKind::Existing, _) => FolderKind::Moved,
                            _ => FolderKind::Inner,
                        };
                        self.folder(folder, &entry, kind);
                    }
                    EntryKind::File | EntryKind::Symlink => self.leaf(folder, entry.name(), &entry),
                }
            }
        });
        if let Err(error) = read {
            self.shared.tally.problem(folder.path_of(""), error);
        }
    }

    /// Plans a folder, unless it is nested too deep or in itself.
    fn folder(&mut self, parent: &Arc<Folder>, entry: &Entry, kind: FolderKind) {
        if parent.depth >= self.shared.options.max_depth {
            let why = format!("folders are nested more than {} deep", self.shared.options.max_depth);
            return self.problem(parent, entry.name(), Cause::Entry(why));
        }
        if parent.ancestors().any(|ancestor| ancestor.object == entry.object()) {
            return self.problem(parent, entry.name(), Cause::Entry("the folder contains itself".into()));
        }
        let folder = parent.child(entry.name(), entry.object(), entry.into(), kind);
        match kind {
            FolderKind::Existing => self.merge.existing.push(folder.clone()),
            FolderKind::Moved => self.merge.moved.push(folder.clone()),
            FolderKind::Inner => {}
        }
        self.folders_found.push(folder);
    }

    /// Plans a file or link: one content as a whole, several as pieces that any worker writes.
    fn leaf(&mut self, folder: &Arc<Folder>, name: &str, entry: &Entry) {
        folder.expect_one();
        let small = SmallEntry {
            folder: folder.clone(),
            name: name.into(),
            attributes: Attributes::from(entry),
            size: entry.size(),
            symlink: entry.kind() == EntryKind::Symlink,
        };
        // No content is read for a file without bytes; the index tells whether it has none.
        let object = entry.object();
        let place = || self.shared.repository.find(&object.content());
        let single = object.indirection() == 0 && !object.is_compressed();
        if entry.size() == 0
            && !small.symlink
            && single
            && place().is_ok_and(|place| place.original_length == 0)
        {
            self.batch.empty.push(Item::Small(small));
            return self.hand_over_when_full();
        }
        let mut runs = Pieces::new(entry.repository(), entry.object());
        match (runs.next(), runs.next()) {
            (Some(Ok(run)), None) => self.whole(small, &run, entry.object()),
            (Some(_), Some(_)) if small.symlink => {
                self.lost(small, Cause::Entry("it is a link whose target is longer than one content".into()));
            }
            (Some(Ok(first)), Some(second)) => {
                self.pieces(small, [Ok(first), second].into_iter().chain(runs))
            }
            (Some(Err(error)), _) => self.lost(small, error.into()),
            (None, _) => self.batch.empty.push(Item::Small(small)),
        }
        self.hand_over_when_full();
    }

    fn whole(&mut self, small: SmallEntry, run: &Run, object: ObjectId) {
        match self.shared.repository.find(&run.content) {
            Ok(place) => self.batch.add(Item::Small(small), place, run),
            Err(error) => {
                tracing::debug!(%object, %error, "no place");
                self.lost(small, error.into());
            }
        }
    }

    fn pieces(&mut self, small: SmallEntry, runs: impl Iterator<Item = kopia_repository::Result<Run>>) {
        let file = Arc::new(LargeFile::new(small));
        self.batch.large_files += 1;
        for run in runs {
            let place = run.and_then(|run| Ok((run, self.shared.repository.find(&run.content)?)));
            match place {
                Ok((run, place)) => {
                    file.expect_one();
                    self.batch.add(Item::Large(file.clone()), place, &run);
                }
                Err(error) => {
                    file.fail(error.into());
                    break;
                }
            }
            if self.batch.is_full() {
                self.hand_over();
                self.batch.large_files += 1;
            }
        }
        self.worker.large_file_one_done(&file);
    }

    /// A file whose contents cannot even be named.
    fn lost(&mut self, entry: SmallEntry, cause: Cause) {
        self.problem(&entry.folder, &entry.name, cause);
        self.worker.child_done(entry.folder);
    }

    /// Notes that no more is added to a folder, and finishes it if everything in it is.
    fn leave(&mut self, folder: Arc<Folder>) {
        self.worker.child_done(folder);
    }

    fn problem(&self, folder: &Arc<Folder>, name: &str, cause: Cause) {
        self.shared.tally.problem(folder.path_of(name), cause);
    }

    fn hand_over_when_full(&mut self) {
        if self.batch.is_full() {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        batch.schedule(self.shared.limits);
        self.shared.ahead.queue().push(batch);
    }
}

/// What is said of a folder that lies on another file system than the target.
fn mounted() -> Cause {
    Cause::Entry("another file system is mounted there; restore this folder into it by itself".into())
}

/// What is said of the second entry of a name.
pub(crate) fn doubled() -> Cause {
    Cause::Entry("another entry of the folder has this name; only one of them is restored".into())
}
