//! One thread's tools, and its way from a part of a batch to finished directories.

use kopia_format::directory::{Refusal, Refused};
use kopia_repository::Defect;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{Builder, Scope};
use std::time::Instant;

use kopia_repository::contents::{Decoder, Fetched, ReadStep};
use rustix::io::Errno;

use super::attributes::Waiting;
use super::context::Shared;
use super::is_fatal;
use super::writers::{Done, Gauge, Task, Work, units};
use crate::Durability;
use crate::destination::directory::{Directory, DirectoryKind};
use crate::destination::existing::InTarget;
use crate::destination::handles::{self, Handles};
use crate::destination::leftover::Leftover;
use crate::destination::metadata::Metadata;
use crate::destination::naming::{Act, Made, refusal};
use crate::destination::{partial, sync_directory};
use crate::on_panic::AbortOnPanic;
use crate::open_files::OpenFiles;
use crate::plan::batch::{Batch, ContentRef, Step};
use crate::plan::checks::StepDone;
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
    /// What is read of files that may be right already. Writers, of which there are many, keep none of it.
    pub(super) compared: Vec<u8>,
    /// Whether the target lets us wait; nothing while writers do the writing.
    gauge: Option<Gauge>,
    /// Whether what was written last had to wait for other workers rather than for the target.
    pub(super) waited_for_others: bool,
    /// How many units were written last for other workers.
    pub(super) units_of_others: f64,
    /// Files and links of the target that wait for their attributes.
    pub(super) waiting: Vec<Waiting>,
    /// How many bytes their paths have.
    pub(super) waiting_bytes: usize,
    /// The step that is worked on; writers have none.
    pub(super) step: Option<Arc<StepDone>>,
}

/// How many directories a writer keeps open: the one that it writes in, and the one above.
const WRITERS_DIRECTORIES: usize = 2;

/// Where a part of a batch comes from, and how a writer is started.
struct Part<'p> {
    batch: &'p Arc<Batch>,
    step: &'p Arc<StepDone>,
    start_writer: &'p dyn Fn() -> bool,
}

impl<'a> Worker<'a> {
    /// Makes one that keeps so many directories open.
    fn new(shared: &'a Shared<'a>, directories: usize) -> Self {
        Self {
            shared,
            handles: Handles::new(
                shared.staging.handle(),
                directories,
                shared.defaults.creator.sets_modes || shared.options.skip_permissions,
                shared.defaults.new_directory,
            ),
            metadata: Metadata::new(shared.defaults, shared.options),
            buffer: Vec::new(),
            compared: Vec::new(),
            gauge: None,
            waited_for_others: false,
            units_of_others: 0.0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            step: None,
            in_target: InTarget::default(),
        }
    }

    /// Decodes and writes until nothing is left to do. Where the target needs writers, they are started in
    /// `scope`.
    pub(crate) fn decode<'scope>(shared: &'a Shared<'a>, scope: &'scope Scope<'scope, '_>)
    where
        'a: 'scope,
    {
        let _guard = AbortOnPanic(|| shared.abort());
        let _decoding = shared.writers.decoder();
        let OpenFiles { workers, directories, .. } = shared.open_files;
        let mut worker = Self::new(shared, directories / (workers + 1));
        let start_writer = || Builder::new().spawn_scoped(scope, move || Self::write(shared)).is_ok();
        // One that is shared with those who read directories would have buffers for files for each of them.
        let mut decoder = shared.repository.contents().decoder();
        decoder.set_verify_hashes(shared.options.verify_hashes);
        while let Some(mut task) = shared.fetcher.take() {
            if let Some(gauge) = &mut worker.gauge {
                gauge.asked();
            }
            let ahead = task.fetched.take();
            let step = Arc::new(StepDone(shared.checks.clone()));
            worker.step = Some(step.clone());
            let part = Part { batch: &task.batch, step: &step, start_writer: &start_writer };
            match task.batch.step(task.number) {
                Step::Read(read) => worker.read(&mut decoder, &part, read, ahead),
                Step::Check(range) => range.for_each(|number| worker.do_part(&part, Work::Check(number))),
                Step::Chores(range) => range.for_each(|number| worker.do_part(&part, Work::Chore(number))),
            }
            worker.step = None;
            shared.fetcher.done(&task, &mut worker.buffer);
        }
        worker.correct_waiting();
    }

    /// Writes what others have decoded until nothing is left to do.
    fn write(shared: &'a Shared<'a>) {
        let _guard = AbortOnPanic(|| shared.abort());
        let mut worker = Self::new(shared, WRITERS_DIRECTORIES);
        let mut done = None;
        while let Some((lane, task)) = shared.writers.take(done) {
            worker.units_of_others = 0.0;
            worker.work(&task.batch, &task.work);
            // Its bytes count as long as it is not done, and no longer.
            worker.compared = Vec::new();
            done = Some(Done::new(lane, &task, worker.units_of_others));
        }
        worker.correct_waiting();
    }

    /// Decodes what a step reads and has it written.
    fn read(&mut self, decoder: &mut Decoder, part: &Part<'_>, read: &ReadStep, ahead: Option<Fetched>) {
        let contents = self.shared.repository.contents();
        let fetched = ahead.unwrap_or_else(|| contents.fetch(read, std::mem::take(&mut self.buffer)));
        contents.decode(decoder, read, &part.batch.needs, &fetched, |same, plain| {
            self.distribute(part, same, plain.map_err(Reason::from));
        });
        self.buffer = fetched.into_buffer();
    }

    /// Has a content written everywhere.
    fn distribute(&mut self, part: &Part<'_>, uses: &[ContentRef], plain: Result<&[u8], Reason>) {
        let mut copy = None;
        for used in uses {
            match (&plain, used.compressed) {
                (Ok(headed), Some(length)) => {
                    let contents = self.shared.repository.contents();
                    let write = |plain: Vec<u8>| self.write_content(part, used, Ok(&plain), &mut None);
                    if let Err(error) = contents.decompress_headed(&used.content, headed, length, write) {
                        self.write_content(part, used, Err(error.into()), &mut None);
                    }
                }
                (plain, _) => {
                    self.write_content(part, used, plain.as_ref().copied().map_err(Clone::clone), &mut copy);
                }
            }
        }
    }

    /// Has a content written in one place: by writers, if there are any, else here. `copy` is what writers
    /// share if it has other places, too.
    fn write_content(
        &mut self,
        part: &Part<'_>,
        used: &ContentRef,
        plain: Result<&[u8], Reason>,
        copy: &mut Option<Arc<[u8]>>,
    ) {
        if let Ok(bytes) = plain
            && self.shared.writers.are_on()
            && (copy.is_some() || self.shared.writers.have_room(bytes.len()))
        {
            let bytes = copy.get_or_insert_with(|| bytes.into()).clone();
            if self.hand_over(part, Work::Content(*used, bytes)).is_none() {
                return;
            }
        }
        let length = plain.as_ref().map_or(0, |bytes| bytes.len());
        self.measured(length, |worker| worker.deliver(&part.batch.items[used.item], Some(used), plain));
    }

    /// Does what needs no content, or has writers do it.
    fn do_part(&mut self, part: &Part<'_>, work: Work) {
        let left = if self.shared.writers.are_on() { self.hand_over(part, work) } else { Some(work) };
        if let Some(work) = left {
            self.measured(0, |worker| worker.work(part.batch, &work));
        }
    }

    /// Leaves work to writers, unless too much waits for them: then it comes back.
    fn hand_over(&self, part: &Part<'_>, work: Work) -> Option<Work> {
        let task = Task { batch: part.batch.clone(), work, _step: part.step.clone() };
        self.shared.writers.offer(task, part.start_writer).map(|task| task.work)
    }

    /// Writes here, and looks whether the target lets us wait.
    fn measured(&mut self, bytes: usize, write: impl FnOnce(&mut Self)) {
        let begun = Instant::now();
        self.waited_for_others = false;
        self.units_of_others = 0.0;
        write(self);
        let units = units(bytes) + self.units_of_others;
        if self.waited_for_others {
            // It says nothing of the target.
        } else if self.shared.writers.are_on() {
            self.gauge = None;
            self.shared.writers.wrote(units);
        } else if let Some(speed) = self.gauge.get_or_insert_with(Gauge::new).wrote(begun, units) {
            self.shared.writers.wanted(speed);
        }
    }

    fn work(&mut self, batch: &Batch, work: &Work) {
        match work {
            Work::Content(used, bytes) => self.deliver(&batch.items[used.item], Some(used), Ok(bytes)),
            Work::Chore(number) => self.perform(&batch.chores[*number]),
            Work::Check(number) => self.check(&batch.checks[*number]),
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
            // Nothing is in it, and that has been reported.
            _ if directory.is_unseen() => return Ok(()),
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
                        self.shared.room.keep_finished(|| Finished::Moved(directory.clone()));
                    }
                }
            }
            DirectoryKind::Inner => {
                let handle = self.handles.open(directory)?;
                // Its mode may keep us from going up through it.
                self.handles.open_parent(directory, handle.as_fd());
                partial::name_all(handle.as_fd(), directory, self.shared.tally);
                let unset = self.metadata.finish_staged(handle.as_fd(), directory)?;
                self.shared.tally.unset(unset, || directory.path_of(""));
                if self.shared.options.sync == Durability::Files {
                    sync_directory(&*handle)?;
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
    pub(super) fn entry_failed(&self, entry: &SmallEntry, failure: impl Into<Failure>) {
        let made = if entry.symlink { Made::Symlink } else { Made::File };
        self.failed(entry.path(), made, &String::from_utf8_lossy(&entry.name), failure.into(), 0);
    }

    fn directory_failed(&self, directory: &Arc<Directory>, error: io::Error) {
        let (act, below) = match directory.failure() {
            Some(_) if self.gives_up_staged(directory, &error) => return,
            Some(_) => {
                if directory.kind == DirectoryKind::Moved && directory.left != Leftover::Nothing {
                    // It would be moved to its place as it was left.
                    directory.set_unseen();
                }
                (Act::Make, directory.below)
            }
            None => (Act::Fill, 0),
        };
        let failure = Failure { act, error, is_left: false };
        self.failed(directory.path_of(""), Made::Directory, directory.name(), failure, below);
    }

    fn failed(&self, path: String, made: Made, name: &str, Failure { act, error, .. }: Failure, below: u64) {
        let errno = Errno::from_io_error(&error);
        let reason = match errno {
            _ if is_fatal(&error) => {
                return self.shared.give_up(self.shared.target.error("cannot be written any more", error));
            }
            Some(Errno::EXIST) if act == Act::Make && !self.shared.folding.is_nothing() => {
                Reason::NameTaken { by: None }
            }
            Some(Errno::EXIST) if act == Act::Make => {
                Refused { name: name.into(), why: Refusal::Doubled, object: None }.into()
            }
            _ => errno.and_then(|errno| refusal(act, made, name, errno)).unwrap_or_else(|| error.into()),
        };
        self.shared.tally.lost(path, reason, below);
    }
}

/// Why an entry could not be written.
pub(super) struct Failure {
    /// What was being done.
    pub(super) act: Act,
    pub(super) error: io::Error,
    /// Whether what was written of it is to be removed before it is tried again.
    pub(super) is_left: bool,
}

impl Failure {
    /// Says that the entry could not even be made.
    pub(super) fn making(error: io::Error) -> Self {
        Self { act: Act::Make, error, is_left: false }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { act: Act::Fill, error, is_left: false }
    }
}

/// Refuses a content that has another length than the list that it stands in says.
pub(crate) fn as_long_as_stated<'b>(used: Option<&ContentRef>, bytes: &'b [u8]) -> Result<&'b [u8], Reason> {
    match used {
        Some(ContentRef { length: Some(length), content, .. }) if *length != bytes.len() as u64 => {
            let (content, found, stated) = (*content, bytes.len() as u64, *length);
            Err(Defect::ContentLength { content, found, stated }.into())
        }
        _ => Ok(bytes),
    }
}
