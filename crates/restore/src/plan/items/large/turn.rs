//! Whose turn it is to write a file: the system lets one write at a time, so others need not wait for that.
//!
//! One who decodes a piece while another writes leaves a copy with the file and goes on. Who writes takes all
//! that waits before it does anything else, so nothing waits where nobody writes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::lock;
use crate::plan::checks::StepDone;

/// A decoded piece that waits for one who writes.
pub(crate) struct Waiting {
    pub(crate) bytes: Vec<u8>,
    /// Where it belongs in the file, in bytes.
    pub(crate) offset: u64,
    /// Held until it is written.
    pub(crate) step: Arc<StepDone>,
}

/// Those who write a file, and what waits for them.
#[derive(Default)]
pub(crate) struct Turn(Mutex<State>);

#[derive(Default)]
struct State {
    writing: usize,
    waiting: VecDeque<Waiting>,
}

impl Turn {
    /// Returns whether anybody writes: then a piece may be left to them.
    pub(crate) fn is_taken(&self) -> bool {
        lock::lock(&self.0).writing > 0
    }

    /// Leaves a piece to who writes; gives it back if nobody does.
    pub(crate) fn leave(&self, piece: Waiting) -> Option<Waiting> {
        let mut state = lock::lock(&self.0);
        if state.writing == 0 {
            return Some(piece);
        }
        state.waiting.push_back(piece);
        None
    }

    /// Begins to write, whoever else does.
    pub(crate) fn begin(&self) -> Writing<'_> {
        let mut state = lock::lock(&self.0);
        state.writing += 1;
        Writing { turn: self, shared: state.writing > 1, ended: false }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

/// One who writes a file.
pub(crate) struct Writing<'f> {
    turn: &'f Turn,
    /// Whether others wrote at the same time: then it may have waited for them.
    pub(crate) shared: bool,
    ended: bool,
}

impl Writing<'_> {
    /// Takes a piece that others left; ends if there is none, and must not be called again.
    pub(crate) fn next(&mut self) -> Option<Waiting> {
        let mut state = lock::lock(&self.turn.0);
        self.shared |= state.writing > 1;
        let next = state.waiting.pop_front();
        if next.is_none() {
            state.writing -= 1;
            self.ended = true;
        }
        next
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        // After a panic nobody may come for what waits, and its step must not seem to be under way.
        while !self.ended {
            self.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u64, step: &Arc<StepDone>) -> Waiting {
        Waiting { bytes: vec![1], offset, step: step.clone() }
    }

    #[test]
    fn what_is_left_is_taken_by_who_writes_before_it_ends() {
        let (turn, step) = (Turn::default(), Arc::new(StepDone(Arc::default())));
        assert!(!turn.is_taken());
        assert!(turn.leave(piece(0, &step)).is_some(), "nobody would ever come for it");
        let mut writing = turn.begin();
        assert!(turn.is_taken() && !writing.shared);
        assert!(turn.leave(piece(1, &step)).is_none());
        assert!(turn.leave(piece(2, &step)).is_none());
        // Whoever ends first takes it.
        let mut other = turn.begin();
        assert!(other.shared);
        assert_eq!(other.next().map(|piece| piece.offset), Some(1));
        assert!(other.shared);
        assert_eq!(writing.next().map(|piece| piece.offset), Some(2));
        assert!(writing.shared);
        assert!(other.next().is_none() && turn.is_taken());
        drop(other);
        assert!(writing.next().is_none() && !turn.is_taken());
        let mut alone = turn.begin();
        assert!(alone.next().is_none() && !alone.shared);
        // One that has ended takes nothing from who begins later.
        let _later = turn.begin();
        assert!(turn.leave(piece(3, &step)).is_none());
        drop(writing);
        assert_eq!(Arc::strong_count(&step), 2);
    }

    #[test]
    fn a_panic_while_writing_holds_up_no_step() {
        let (turn, step) = (Turn::default(), Arc::new(StepDone(Arc::default())));
        let writing = turn.begin();
        assert!(turn.leave(piece(1, &step)).is_none());
        drop(writing);
        assert_eq!(Arc::strong_count(&step), 1);
        assert!(!turn.is_taken());
    }
}
