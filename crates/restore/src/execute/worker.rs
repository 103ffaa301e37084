//! One thread's tools, and its way from a part of a batch to finished directories.

use kopia_format::directory::{Refusal, Refused};
use kopia_repository::Defect;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use kopia_repository::contents::{Decoder, Fetched, ReadStep};
use rustix::io::Errno;

use super::context::{AbortOnPanic, Shared};
use super::is_fatal;
use crate::Durability;
use crate::destination::directory::{Directory, DirectoryKind};
use crate::destination::existing::InTarget;
use crate::destination::handles::{self, Handles};
use crate::destination::leftover::Leftover;
use crate::destination::metadata::Metadata;
use crate::destination::naming::{Folding, Made, refusal};
use crate::destination::partial;
use crate::open_files::OpenFiles;
use crate::plan::batch::{Batch, ContentRef, Step};
use crate::plan::items::{Chore, Item, SmallEntry};
use crate::plan::room::{Finished, Postponed};
use crate::reason::Reason;

/// One thread's tools.
pub(crate) struct Worker<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) handles: Handles<'a>,
    pub(super) in_target: InTarget,
    pub(super) metadata: Metadata,
    /// What packs are read into where they are not mapped.
    buffer: Vec<u8>,
    /// What is read of files that may be right already.
    pub(super) compared: Vec<u8>,
}

impl<'a> Worker<'a> {
    /// Makes one that writes.
    pub(crate) fn new(shared: &'a Shared<'a>) -> Self {
        let OpenFiles { workers, directories, .. } = shared.open_files;
        Self {
            shared,
            handles: Handles::new(
                shared.staging.handle(),
                directories / (workers + 1),
                shared.defaults.creator.sets_modes || shared.options.skip_permissions,
            ),
            metadata: Metadata::new(shared.defaults, shared.options),
            buffer: Vec::new(),
            compared: Vec::new(),
            in_target: InTarget::default(),
        }
    }

    /// Works until nothing is left to do.
    pub(crate) fn run(mut self) {
        let _guard = AbortOnPanic(self.shared);
        // One that is shared with those who read directories would have buffers for files for each of them.
        let mut decoder = self.shared.repository.contents().decoder();
        decoder.set_verify_hashes(self.shared.options.verify_hashes);
        while let Some(mut task) = self.shared.fetcher.take() {
            let ahead = task.fetched.take();
            let batch = &*task.batch;
            match batch.step(task.number) {
                Step::Read(read) => self.read(&mut decoder, batch, read, ahead),
                Step::Check(checks) => checks.iter().for_each(|check| self.check(check)),
                Step::Chores(chores) => chores.iter().for_each(|chore| self.perform(chore)),
            }
            self.shared.fetcher.done(&task, &mut self.buffer);
            self.shared.checks.done();
        }
    }

    /// Decodes what a step reads and writes it.
    fn read(&mut self, decoder: &mut Decoder, batch: &Batch, read: &ReadStep, ahead: Option<Fetched>) {
        let contents = self.shared.repository.contents();
        let fetched = ahead.unwrap_or_else(|| contents.fetch(read, std::mem::take(&mut self.buffer)));
        contents.decode(decoder, read, &batch.needs, &fetched, |same, plain| {
            self.distribute(batch, same, plain.map_err(Reason::from));
        });
        self.buffer = fetched.into_buffer();
    }

    /// Writes a content everywhere.
    fn distribute(&mut self, batch: &Batch, uses: &[ContentRef], plain: Result<&[u8], Reason>) {
        for item in uses {
            let entry = &batch.items[item.item];
            match (&plain, item.compressed) {
                (Ok(headed), Some(length)) => {
                    let contents = self.shared.repository.contents();
                    let plain = contents.decompress_headed(&item.content, headed, length);
                    let plain = plain.map_err(Reason::from);
                    self.deliver(entry, Some(item), plain.as_deref().map_err(Clone::clone));
                }
                (plain, _) => self.deliver(entry, Some(item), plain.as_ref().copied().map_err(Clone::clone)),
            }
        }
    }

    fn deliver(&mut self, item: &Item, used: Option<&ContentRef>, plain: Result<&[u8], Reason>) {
        if self.shared.stopped() {
            return;
        }
        let plain = plain.and_then(|bytes| as_long_as_stated(used, bytes));
        match item {
            Item::Small(entry) => self.small(entry, plain),
            Item::Large(file) => match used {
                Some(used) => self.piece(file, used, plain),
                None => self.large_file_one_done(file),
            },
        }
    }

    /// Does what needs no content.
    fn perform(&mut self, chore: &Chore) {
        if self.shared.stopped() {
            return;
        }
        match chore {
            Chore::Write(entry) => self.small(entry, Ok(&[])),
            Chore::FinishFile(file) => self.finish_large_file(file),
            Chore::FinishDirectory(directory) => self.finish_upwards(directory.clone()),
            Chore::Discard(directory, names) => {
                names.iter().for_each(|name| self.discard_by_name(directory, name));
                self.child_done(directory.clone());
            }
            Chore::OpenUp(directory, side) => self.open_up(directory, *side),
            Chore::Tag => self.shared.staging.tag(),
            Chore::Publish => self.publish(),
            Chore::Flush => self.flush(),
        }
    }

    /// Notes that a child of a directory is finished, and finishes those directories that waited for nothing
    /// else.
    pub(super) fn child_done(&mut self, directory: Arc<Directory>) {
        if directory.one_done() {
            self.finish_upwards(directory);
        }
    }

    /// Finishes a directory in which everything is, and those that waited for nothing else.
    fn finish_upwards(&mut self, directory: Arc<Directory>) {
        let mut next = Some(directory);
        while let Some(directory) = next {
            if !self.shared.stopped()
                && let Err(error) = self.finish_directory(&directory)
            {
                if self.shared.room.may_postpone(&error) {
                    self.handles.forget(&directory);
                    return self.shared.room.postpone(Postponed::Directory(directory), &error);
                }
                // What it lies in has its own problem if it could not be made.
                let above = directory.parent.as_ref().is_some_and(|parent| parent.is_lost());
                if !above || is_fatal(&error) {
                    self.directory_failed(&directory, error);
                }
            }
            self.handles.forget(&directory);
            next = directory.parent.clone().filter(|parent| parent.one_done());
        }
    }

    fn finish_directory(&mut self, directory: &Arc<Directory>) -> io::Result<()> {
        match directory.kind {
            // Others may still write in it; who finishes the restore finishes the directory.
            _ if self.shared.options.is_shard() => {
                return directory.failure().map_or(Ok(()), |error| Err(handles::copy(error)));
            }
            // Finished where they end up. One that nothing is staged in was never made.
            DirectoryKind::Existing => {
                directory.failure().map_or(Ok(()), |error| Err(handles::copy(error)))?;
                if let Some(parent) = &directory.parent {
                    if directory.identity().is_some() {
                        self.shared.room.keep_finished(|| Finished::Directory(directory.clone()));
                    } else if directory.left == Leftover::InTheWay {
                        self.discard_by_name(parent, directory.name().as_bytes());
                    }
                }
            }
            DirectoryKind::Moved => {
                let handle = self.handles.open(directory)?;
                partial::name_all(handle.as_fd(), directory, self.shared.tally);
                if let Some(parent) = &directory.parent {
                    parent.one_staged();
                    if directory.replaces() {
                        let (directory, name) = (parent.clone(), directory.name().into());
                        self.shared.room.keep_finished(|| Finished::Entry { directory, name });
                    }
                }
            }
            DirectoryKind::Inner => {
                let handle = self.handles.open(directory)?;
                // Its mode may keep us from going up through it.
                self.handles.open_parent(directory, handle.as_fd());
                partial::name_all(handle.as_fd(), directory, self.shared.tally);
                let unset = self.metadata.finish_directory(handle.as_fd(), &directory.attributes)?;
                self.shared.tally.unset(unset, || directory.path_of(""));
                if self.shared.options.sync == Durability::Files {
                    rustix::fs::fsync(&*handle)?;
                }
            }
        }
        // A single file has no directory of its own.
        if directory.parent.is_some() || self.shared.target.name.is_none() {
            self.shared.tally.directory();
        }
        Ok(())
    }

    /// Reports that an entry could not be written, or ends the restore if no entry could.
    pub(super) fn entry_failed(&self, entry: &SmallEntry, error: io::Error) {
        let made = if entry.symlink { Made::Symlink } else { Made::File };
        self.failed(entry.path(), made, &entry.name, error, 0);
    }

    fn directory_failed(&self, directory: &Arc<Directory>, error: io::Error) {
        let below = if directory.failure().is_some() { directory.below } else { 0 };
        self.failed(directory.path_of(""), Made::Directory, directory.name(), error, below);
    }

    fn failed(&self, path: String, made: Made, name: &str, error: io::Error, below: u64) {
        let errno = Errno::from_io_error(&error);
        let reason = match errno {
            _ if is_fatal(&error) => {
                return self.shared.give_up(self.shared.target.error("cannot be written any more", error));
            }
            Some(Errno::EXIST) if self.shared.folding != Folding::Nothing => {
                Reason::NameTaken { other: None }
            }
            Some(Errno::EXIST) => Refused { name: name.into(), why: Refusal::Doubled, object: None }.into(),
            _ => errno.and_then(|errno| refusal(made, name, errno)).unwrap_or_else(|| error.into()),
        };
        self.shared.tally.lost(path, reason, below);
    }
}

/// Refuses a content that has another length than the list that it stands in says.
fn as_long_as_stated<'b>(used: Option<&ContentRef>, bytes: &'b [u8]) -> Result<&'b [u8], Reason> {
    match used {
        Some(ContentRef { length: Some(length), content, .. }) if *length != bytes.len() as u64 => {
            let (content, found, stated) = (*content, bytes.len() as u64, *length);
            Err(Defect::ContentLength { content, found, stated }.into())
        }
        _ => Ok(bytes),
    }
}
