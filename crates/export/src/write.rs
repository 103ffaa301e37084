//! Takes batches in their order, decides about each entry, and writes the archive.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use kopia_repository::Defect;

use crate::archive::Archive;
use crate::batch::{Batch, Item, Meta, Plain, add_range};
use crate::shared::Shared;
use crate::{Error, Outcome, Problem, Result};

/// What stands for lost bytes, as often as needed.
static ZEROS: [u8; 1 << 12] = [0; 1 << 12];

/// Writes on one thread.
pub(crate) struct Writer<'s, 'a, 'w> {
    shared: &'s Shared<'a>,
    archive: Box<dyn Archive + 'w>,
    outcome: Outcome,
    /// The file that is being written, if it is one of several batches.
    current: Option<Current>,
}

/// A file that is being written.
struct Current {
    path: Box<str>,
    /// How many bytes its header says.
    length: u64,
    written: u64,
    /// The size that its entry states.
    stated: u64,
    /// Why the first lost bytes are lost.
    defect: Option<Defect>,
    lost: Vec<Range<u64>>,
}

impl<'s, 'a, 'w> Writer<'s, 'a, 'w> {
    pub(crate) fn new(shared: &'s Shared<'a>, archive: Box<dyn Archive + 'w>) -> Self {
        Self { shared, archive, outcome: Outcome::default(), current: None }
    }

    /// Writes until no more batches come, and ends the archive.
    pub(crate) fn run(mut self, batches: &Receiver<Arc<Batch>>) -> Result<Outcome> {
        while let Ok(batch) = batches.recv() {
            // Only a thread that panicked stops the export but for this one; that panic is passed on.
            if !self.shared.wait_for(&batch) {
                return Err(Error::Stopped);
            }
            for item in batch.items() {
                if self.shared.observer.stop() {
                    return Err(Error::Stopped);
                }
                self.item(&batch, item)?;
            }
            self.shared.release(&batch);
        }
        self.outcome.checked = self.shared.checked();
        self.outcome.left_out = self.shared.left_out();
        self.outcome.archive_bytes = self.archive.finish().map_err(output)?;
        Ok(self.outcome)
    }

    fn item(&mut self, batch: &Batch, item: &Item) -> Result<()> {
        match item {
            Item::Directory(meta) => {
                // Of files and links the planner has seen to that.
                if let Some(defect) = self.shared.options.format.refusal(&meta.path) {
                    return self.problem(problem(meta, defect), 0);
                }
                self.archive.directory(meta).map_err(output)?;
                self.outcome.directories += 1;
                self.entry(meta);
            }
            Item::Symlink(meta, slot) => return self.symlink(meta, taken(batch, *slot)),
            Item::File(meta, slots) => return self.file(batch, meta, slots.clone()),
            Item::Begin(meta, length) => return self.begin(meta, *length),
            Item::Piece(slot) => return self.piece(taken(batch, *slot), batch.slots[*slot].length),
            Item::End => return self.end(),
            Item::Problem(problem, below) => return self.problem(problem.clone(), *below),
            Item::Stub(path, stub) => self.outcome.add_stub(path, stub),
        }
        Ok(())
    }

    fn symlink(&mut self, meta: &Meta, target: Plain) -> Result<()> {
        match target {
            Ok(target) if target.is_empty() || target.contains(&0) => {
                self.problem(problem(meta, Defect::LinkTarget), 0)
            }
            Ok(target) => {
                self.archive.symlink(meta, &target).map_err(output)?;
                self.outcome.symlinks += 1;
                self.entry(meta);
                if target.len() as u64 == meta.size {
                    return Ok(());
                }
                let defect = Defect::Length { found: target.len() as u64, stated: meta.size };
                self.problem(problem(meta, defect), 0)
            }
            Err(defect) => self.problem(problem(meta, defect), 0),
        }
    }

    /// Writes a file whose bytes are all here, or of which it is known which are not.
    fn file(&mut self, batch: &Batch, meta: &Meta, slots: Range<usize>) -> Result<()> {
        let pieces: Vec<(Plain, u64)> =
            slots.map(|slot| (taken(batch, slot), batch.slots[slot].length)).collect();
        let failed = pieces.iter().find_map(|(plain, _)| plain.as_ref().err());
        if let Some(defect) = failed.filter(|_| !self.shared.options.salvage) {
            let problem = problem(meta, defect.clone());
            pieces.into_iter().for_each(|(plain, _)| self.give_back(plain));
            return self.problem(problem, 0);
        }
        let length =
            |(plain, stated): &(Plain, u64)| plain.as_ref().map_or(*stated, |plain| plain.len() as u64);
        let length = pieces.iter().map(length).fold(0, u64::saturating_add);
        self.begin(meta, length)?;
        for (plain, stated) in pieces {
            self.piece(plain, stated)?;
        }
        self.end()
    }

    fn begin(&mut self, meta: &Meta, length: u64) -> Result<()> {
        self.archive.begin(meta, length).map_err(output)?;
        self.note_name(meta);
        let (path, stated) = (meta.path.clone(), meta.size);
        self.current = Some(Current { path, length, stated, written: 0, defect: None, lost: Vec::new() });
        Ok(())
    }

    /// Writes the next bytes of a file, or zeros for so many that are lost.
    fn piece(&mut self, plain: Plain, stated: u64) -> Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let room = current.length - current.written;
        match plain {
            Ok(plain) => {
                let count = usize::try_from(room).unwrap_or(usize::MAX).min(plain.len());
                current.written += count as u64;
                // A pipe that is full must not keep the observer from stopping.
                for some in plain[..count].chunks(1 << 20) {
                    if self.shared.observer.stop() {
                        return Err(Error::Stopped);
                    }
                    self.archive.bytes(some).map_err(output)?;
                }
                self.shared.observer.bytes(count as u64);
                self.give_back(Ok(plain));
                Ok(())
            }
            Err(defect) => {
                current.defect.get_or_insert(defect);
                self.zeros(stated.min(room))
            }
        }
    }

    /// Writes zeros in place of lost bytes.
    fn zeros(&mut self, mut count: u64) -> Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if count > 0 {
            add_range(&mut current.lost, current.written..current.written + count);
        }
        current.written += count;
        self.shared.observer.bytes(count);
        while count > 0 {
            if self.shared.observer.stop() {
                return Err(Error::Stopped);
            }
            let some = count.min(ZEROS.len() as u64);
            self.archive.bytes(&ZEROS[..some as usize]).map_err(output)?;
            count -= some;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(Current { length, written, .. }) = &self.current else { return Ok(()) };
        // A header promised as many bytes, whatever the second reading of its list said.
        self.zeros(length - written)?;
        let Some(Current { path, length, stated, defect, lost, .. }) = self.current.take() else {
            return Ok(());
        };
        self.archive.end().map_err(output)?;
        self.outcome.files += 1;
        self.outcome.bytes += length;
        self.shared.observer.entry();
        let differs = (length != stated).then_some(Defect::Length { found: length, stated });
        let defect = defect.or((!lost.is_empty()).then_some(Defect::NoPieces)).or(differs);
        match defect {
            Some(defect) => self.problem(Problem { path: path.into(), defect, lost }, 0),
            None => Ok(()),
        }
    }

    /// Counts an entry that is written.
    fn entry(&mut self, meta: &Meta) {
        self.note_name(meta);
        self.shared.observer.entry();
    }

    fn note_name(&mut self, meta: &Meta) {
        let name = meta.path.rsplit('/').next().unwrap_or_default();
        self.outcome.names += u64::from(name.contains('\u{fffd}'));
        self.outcome.foreign_names += u64::from(self.shared.options.format.is_foreign(name));
    }

    fn problem(&mut self, problem: Problem, below: u64) -> Result<()> {
        self.shared.observer.problem(&problem);
        if self.shared.options.fail_fast {
            return Err(Error::Problem(Box::new(problem)));
        }
        self.outcome.add(problem, below);
        Ok(())
    }

    /// Gives the memory of a content back that nothing else needs.
    fn give_back(&self, plain: Plain) {
        if let Some(buffer) = plain.ok().and_then(Arc::into_inner) {
            self.shared.buffers.give(buffer);
        }
    }
}

/// Takes the bytes of a content. A slot that nothing was put in belongs to a step that was not worked on.
fn taken(batch: &Batch, slot: usize) -> Plain {
    batch.slots[slot].take().unwrap_or(Err(Defect::NoPieces))
}

fn problem(meta: &Meta, defect: Defect) -> Problem {
    Problem { path: meta.path.clone().into(), defect, lost: Vec::new() }
}

fn output(source: std::io::Error) -> Error {
    Error::Output { source }
}
