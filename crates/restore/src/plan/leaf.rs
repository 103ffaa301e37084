//! Planning one file or link.

use std::os::fd::AsFd;
use std::sync::Arc;

use kopia_format::ObjectId;
use kopia_format::directory::EntryKind;
use kopia_repository::Defect;
use kopia_repository::Entry;
use kopia_repository::object::{Extent, Extents};

use super::Planner;
use super::checks::Wrong;
use super::context::Destination;
use super::items::{Check, Chore, Item, LargeFile, SmallEntry};
use crate::decide::existing::{Candidates, ExistingPolicy};
use crate::destination::compare::size;
use crate::destination::directory::Directory;
use crate::destination::leftover::Leftover;
use crate::destination::look;
use crate::destination::metadata::Attributes;
use crate::outcome::Attribute;
use crate::reason::Reason;

impl Planner<'_> {
    /// Plans a file or link: one content as a whole, several as pieces that any worker writes.
    pub(super) fn leaf(
        &mut self,
        directory: &Arc<Directory>,
        name: &[u8],
        entry: &Entry,
        mut found: Candidates,
    ) {
        let begins = self.share.as_mut().map(|share| share.next(entry.size()));
        if entry.object().indirection() == 0 && !self.has(begins, 0) {
            return;
        }
        if let Some(stub) = entry.stub() {
            self.context.tally.stub(directory.path_of(&String::from_utf8_lossy(name)), stub);
        }
        directory.expect_one();
        let mut small = SmallEntry {
            directory: directory.clone(),
            name: name.into(),
            attributes: Attributes::of(entry, self.context.options),
            size: entry.size(),
            symlink: entry.kind() == EntryKind::Symlink,
            object: entry.object(),
            frees: found.frees,
            discard: found.left == Leftover::InTheWay,
        };
        match found.existing {
            Some(ExistingPolicy::Refuse) => {
                self.discard(&mut small, &mut found);
                return self.lost(small, Reason::Exists);
            }
            Some(ExistingPolicy::Trust { owner }) => {
                self.discard(&mut small, &mut found);
                if owner {
                    self.context.tally.note(&small.path(), Attribute::Owner);
                }
                let bytes = if small.symlink { 0 } else { small.size };
                self.context.tally.found(bytes);
                self.context.tally.kept(bytes);
                return self.without(small);
            }
            Some(ExistingPolicy::Leave) => {
                self.discard(&mut small, &mut found);
                self.context.tally.left_as_new(if small.symlink { 0 } else { small.size });
                return self.without(small);
            }
            _ => {}
        }
        // What no shard has left there was moved to its place by a finish that was killed, or is restored
        // now. What is not whole is as good as what an interrupted restore left: it is compared, and what is
        // missing of it is read.
        let is_left = self.context.options.is_finish() && found.left == Leftover::Usable;
        if is_left && self.is_incomplete(&small) {
            if small.size == 0 {
                self.discard(&mut small, &mut found);
            }
        } else if is_left {
            self.batch.checks.push(Check { item: Item::Small(small), extent: None, found });
            return self.hand_over_when_full();
        }
        let object = entry.object();
        if object.is_compressed() && self.share.is_none() {
            // Such a content is named by its compressed bytes, which what is there cannot be compared with.
            self.discard(&mut small, &mut found);
            found.existing = found.existing.map(|_| ExistingPolicy::Replace);
        }
        self.take_room_for(&small, found);
        self.contents(small, found, begins);
    }

    /// Plans the contents of a file or link.
    pub(super) fn contents(&mut self, mut small: SmallEntry, mut found: Candidates, begins: Option<u64>) {
        let object = small.object;
        let is_empty = small.size == 0 && !small.symlink;
        if is_empty && self.context.repository.object_is_empty(object) {
            self.empty(small, found);
            return self.hand_over_when_full();
        }
        let mut extents = Extents::new(self.context.repository, object).assuming(small.size);
        match (extents.next(), extents.next()) {
            // Every shard reads the list; what is no more than one content is written by one of them.
            (None | Some(Ok(_)), None) if !self.has(begins, 0) => self.without(small),
            (Some(Ok(extent)), None) => self.whole(small, extent, object, found),
            (Some(_), Some(_)) if small.symlink => {
                self.discard(&mut small, &mut found);
                self.lost(small, Defect::LongTarget.into());
            }
            (Some(Ok(first)), Some(second)) => {
                self.pieces(small, [Ok(first), second].into_iter().chain(extents), found, begins)
            }
            (Some(Err(error)), _) => {
                self.discard(&mut small, &mut found);
                if self.share.is_some() {
                    // Others may have written what falls to them.
                    self.context.note_incomplete(small.path(), error.to_string());
                }
                self.lost(small, error.into());
            }
            // Its list has pieces without bytes alone.
            (None, _) if is_empty || self.share.is_some() => self.empty(small, found),
            (None, _) => {
                self.discard(&mut small, &mut found);
                self.batch.write(small);
            }
        }
        self.hand_over_when_full();
    }

    /// Has what an interrupted restore left of an entry removed first.
    ///
    /// That is done even if the entry is lost; what several shards write none of them removes.
    fn discard(&mut self, small: &mut SmallEntry, found: &mut Candidates) {
        if self.share.is_none() {
            small.discard |= found.left != Leftover::Nothing;
            found.left = Leftover::Nothing;
        }
    }

    /// Returns whether what shards left of a file or link is not known to be whole: one of them said so of it
    /// or of a directory that it lies in, or it has another size than its entry where several write parts of
    /// it.
    ///
    /// What a shard left that was killed is put right by its next run, unless that cannot read the directory.
    fn is_incomplete(&mut self, small: &SmallEntry) -> bool {
        let said_so = |destination: Destination<'_>| destination.incomplete.concern(&small.path());
        self.context.destination.is_some_and(said_so)
            || small.object.indirection() > 0 && !self.has_size(small)
    }

    /// Returns whether what is left of a file has the size that its entry states.
    fn has_size(&mut self, small: &SmallEntry) -> bool {
        let Some(Ok(directory)) = self.staged.as_mut().map(|staged| staged.open(&small.directory)) else {
            return false;
        };
        let found = look(directory.as_fd(), &*small.name).ok().flatten();
        found.is_some_and(|stat| small.symlink || size(&stat) == small.size)
    }

    /// Returns whether what begins somewhere in an entry is restored by this process.
    fn has(&self, begins: Option<u64>, offset: u64) -> bool {
        match (&self.share, begins) {
            (Some(share), Some(begins)) => share.has(begins.saturating_add(offset)),
            _ => true,
        }
    }

    /// Plans a file without bytes.
    fn empty(&mut self, small: SmallEntry, found: Candidates) {
        if found.is_nothing() {
            self.batch.write(small);
        } else {
            self.batch.checks.push(Check { item: Item::Small(small), extent: None, found });
        }
    }

    fn whole(&mut self, small: SmallEntry, extent: Extent, object: ObjectId, found: Candidates) {
        if !found.is_nothing() {
            return self.batch.checks.push(Check { item: Item::Small(small), extent: Some(extent), found });
        }
        match self.context.repository.contents().assume(&extent.content, extent.length.or(Some(small.size))) {
            Ok(location) => self.batch.add(Item::Small(small), location, &extent),
            Err(error) => {
                tracing::debug!(%object, %error, "no location");
                self.lost(small, error.into());
            }
        }
    }

    fn pieces(
        &mut self,
        small: SmallEntry,
        extents: impl Iterator<Item = kopia_repository::Result<Extent>>,
        found: Candidates,
        begins: Option<u64>,
    ) {
        let size = small.size;
        self.wait_for_large_file();
        self.context.crew.checks().large_file_begun();
        let file = Arc::new(LargeFile::new(small, found));
        self.batch.large_files += 1;
        let mut planned = 0;
        for extent in extents {
            let extent = match extent {
                Ok(extent) => extent,
                Err(error) => {
                    // How long the pieces are that the list would have named is not known.
                    file.fail(error.into(), planned..size.max(planned));
                    // Nor where the file ends, of which other shards may have written more: nothing is cut.
                    file.ends_at(u64::MAX);
                    break;
                }
            };
            planned = extent.start.saturating_add(extent.length.unwrap_or(0));
            file.ends_at(planned);
            if !self.has(begins, extent.start) {
                continue;
            }
            if file.found_no_room() {
                // All of it is tried again.
                break;
            }
            file.expect_one();
            if found.is_nothing() {
                self.piece(file.clone(), extent);
            } else {
                let item = Item::Large(file.clone());
                self.batch.checks.push(Check { item, extent: Some(extent), found });
            }
            if self.is_full() {
                self.hand_over_when_full();
                self.batch.large_files += 1;
            }
        }
        self.large_file_one_done(file);
    }

    /// Waits until one more file may be open. Those that are begun get all their pieces in that time.
    fn wait_for_large_file(&mut self) {
        let (most, checks) = (self.context.large_files, self.context.crew.checks());
        while checks.are_large_files(most) {
            self.hand_over();
            let wrong = checks.wait_for_large_file(most);
            self.take_back(wrong);
        }
    }

    /// Plans to read a piece of a large file.
    fn piece(&mut self, file: Arc<LargeFile>, extent: Extent) {
        match self.context.repository.contents().assume(&extent.content, extent.length) {
            Ok(location) => self.batch.add(Item::Large(file), location, &extent),
            Err(error) => {
                file.fail(
                    error.into(),
                    extent.start..extent.start.saturating_add(extent.length.unwrap_or(0)),
                );
                self.large_file_one_done(file);
            }
        }
    }

    /// Counts down the pieces of a file, and has it finished after the last.
    fn large_file_one_done(&mut self, file: Arc<LargeFile>) {
        if file.one_done() {
            self.batch.chores.push(Chore::FinishFile(file));
        }
    }

    /// Plans what was found not to be there after all.
    pub(super) fn take_back(&mut self, wrong: Vec<Wrong>) {
        let mut last = None;
        for (item, extent) in wrong {
            match item {
                Item::Small(small) => {
                    let found = Candidates::default();
                    let object = ObjectId::of_content(extent.content);
                    self.whole(small, extent, object, found);
                }
                Item::Large(file) => {
                    // It is open until it is written.
                    if last != Some(Arc::as_ptr(&file)) {
                        last = Some(Arc::as_ptr(&file));
                        self.batch.large_files += 1;
                    }
                    self.piece(file, extent);
                }
            }
            if self.is_full() {
                self.hand_over();
                last = None;
            }
        }
    }

    /// A file whose contents cannot even be named.
    fn lost(&mut self, entry: SmallEntry, reason: Reason) {
        self.problem(&entry.directory, &String::from_utf8_lossy(&entry.name), reason);
        self.without(entry);
    }

    /// Goes on without an entry, of which nothing is to be left in the staging tree.
    fn without(&mut self, entry: SmallEntry) {
        if entry.discard {
            self.batch.chores.push(Chore::Discard(entry.directory, vec![entry.name]));
        } else {
            self.child_done(entry.directory);
        }
    }
}
