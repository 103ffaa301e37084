//! When a batch is full and goes to the workers, and what has to be on disk before it does.
//!
//! What they find to be wrong comes back with the next batch and is planned once more, so that it is read. What has to
//! be done before the planner can go on, such as opening up a closed directory, is handed over at once and waited for.

use super::items::Chore;
use super::{NOT_KEPT, Planner};
use crate::destination::staging::pending::Pending;
use crate::kept::Keeping;

/// When a batch is handed over: entries, bytes of plain contents, and files written in pieces, which stay
/// open meanwhile.
const ENTRIES: usize = 16_384;
const BYTES: u64 = 128 << 20;
pub(super) const LARGE_FILES: usize = 32;

/// The same where each read takes long: then a batch takes whole packs along, as far as memory goes. Of
/// 100,000 small files 1.6 times as many bytes were read by the smaller batches.
const FAR_ENTRIES: usize = 65_536;
const FAR_BYTES: u64 = 1 << 30;

impl Planner<'_> {
    /// Waits until everything that was handed out is done. What is found to be wrong has to be read after
    /// all.
    pub(super) fn drain(&mut self) {
        loop {
            self.hand_over();
            let wrong = self.context.crew.checks().wait();
            if wrong.is_empty() {
                return;
            }
            self.take_back(wrong);
        }
    }

    /// Has the unfinished directory tagged before what is planned is read: until then, a backup would take it
    /// along if the restore were killed.
    pub(super) fn tag_first(&mut self) {
        let planned = std::mem::take(&mut self.batch);
        self.batch.chores.push(Chore::Tag);
        self.hand_over();
        self.batch = planned;
    }

    pub(super) fn is_full(&self) -> bool {
        let is_far = self.context.repository.contents().is_far();
        let (entries, bytes) = if is_far { (FAR_ENTRIES, FAR_BYTES) } else { (ENTRIES, BYTES) };
        self.batch.is_full(entries, bytes)
    }

    pub(super) fn hand_over_when_full(&mut self) {
        if self.is_full() {
            self.hand_over();
            let wrong = self.context.crew.checks().take();
            self.take_back(wrong);
        }
    }

    /// Has the journal of what is replaced on disk before workers open up closed directories.
    fn sync_closed(&self) {
        let kept = self.context.destination.and_then(|destination| destination.kept);
        if let Err(error) = kept.map_or(Ok(()), Keeping::sync_closed) {
            self.context.give_up_target(NOT_KEPT, &error);
        }
    }

    pub(super) fn hand_over(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        batch.schedule(self.context.repository.contents(), self.context.read_at_least);
        self.sync_closed();
        self.pending.iter_mut().for_each(Pending::write);
        self.context.crew.take(batch);
    }
}
