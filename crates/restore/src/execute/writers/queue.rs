//! What waits to be written, by the directory or file that it goes into.
//!
//! A system changes a directory for one caller at a time, and a network file system keeps it locked for the
//! whole round trip. So writers spread over directories, and stay in one as long as it has work for them:
//! then its handle is open already.
//!
//! What waits is bounded, and so is the memory of what waits or is being done: a task holds its bytes until
//! its writer is through with it.

use std::collections::{BTreeSet, HashMap, VecDeque};

/// How many tasks may wait: the more directories they are in, the better writers can spread.
const TASKS: usize = 4096;

/// How many bytes all tasks may hold together, those that are being done included.
const BYTES: usize = 32 << 20;

/// What is queued: tasks in lanes, of which one belongs to one directory or large file.
pub(super) struct Queue<T> {
    lanes: HashMap<usize, Lane<T>>,
    /// Lanes that have tasks: those with the fewest writers first, then the oldest.
    waiting: BTreeSet<(usize, u64, usize)>,
    /// How many lanes there have been.
    made: u64,
    /// Tasks that wait.
    tasks: usize,
    /// Bytes of those that wait, and of those that were taken and are not done.
    held: usize,
}

struct Lane<T> {
    /// Tasks with the bytes that they hold.
    tasks: VecDeque<(T, usize)>,
    writers: usize,
    number: u64,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { lanes: HashMap::new(), waiting: BTreeSet::new(), made: 0, tasks: 0, held: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks == 0
    }

    /// Returns whether a task that holds so many bytes may ever wait. Any other is for who decodes.
    pub(super) fn fits(bytes: usize) -> bool {
        bytes <= BYTES
    }

    /// Returns whether one more task may wait, which holds so many bytes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.tasks < TASKS && self.held.saturating_add(bytes) <= BYTES
    }

    /// Adds a task that holds so many bytes.
    pub(super) fn push(&mut self, lane: usize, task: T, bytes: usize) {
        let key = lane;
        let lane = self.lanes.entry(key).or_insert_with(|| {
            self.made += 1;
            Lane { tasks: VecDeque::new(), writers: 0, number: self.made }
        });
        lane.tasks.push_back((task, bytes));
        self.tasks += 1;
        self.held += bytes;
        if lane.tasks.len() == 1 {
            self.waiting.insert((lane.writers, lane.number, key));
        }
    }

    /// Takes a task for a writer, who notes itself in its lane; `last` is the lane that it comes from. The
    /// task's bytes count until it is done.
    pub(super) fn take(&mut self, last: Option<usize>) -> Option<(usize, T)> {
        let first = *self.waiting.first()?;
        let stays = last.filter(|last| {
            self.lanes.get(last).is_some_and(|lane| !lane.tasks.is_empty() && lane.writers <= first.0)
        });
        let key = stays.unwrap_or(first.2);
        let lane = self.lanes.get_mut(&key)?;
        self.waiting.remove(&(lane.writers, lane.number, key));
        let (task, _) = lane.tasks.pop_front()?;
        lane.writers += 1;
        self.tasks -= 1;
        if !lane.tasks.is_empty() {
            self.waiting.insert((lane.writers, lane.number, key));
        }
        Some((key, task))
    }

    /// Notes that a writer has done what it took from a lane, which held so many bytes.
    pub(super) fn done(&mut self, key: usize, bytes: usize) {
        self.held -= bytes;
        let Some(lane) = self.lanes.get_mut(&key) else { return };
        let waits = self.waiting.remove(&(lane.writers, lane.number, key));
        lane.writers -= 1;
        if waits {
            self.waiting.insert((lane.writers, lane.number, key));
        } else if lane.writers == 0 {
            self.lanes.remove(&key);
        }
    }

    /// Throws away what waits.
    pub(super) fn clear(&mut self) {
        for (_, _, key) in std::mem::take(&mut self.waiting) {
            if let Some(lane) = self.lanes.get_mut(&key) {
                self.held -= lane.tasks.drain(..).map(|(_, bytes)| bytes).sum::<usize>();
                if lane.writers == 0 {
                    self.lanes.remove(&key);
                }
            }
        }
        self.tasks = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(tasks: &[(usize, &'static str)]) -> Queue<&'static str> {
        let mut queue = Queue::new();
        for &(lane, task) in tasks {
            queue.push(lane, task, task.len());
        }
        queue
    }

    #[test]
    fn writers_spread_over_lanes_and_stay_in_theirs() {
        let mut queue = queue(&[(1, "a"), (1, "b"), (1, "c"), (2, "d"), (2, "e"), (2, "f")]);
        assert_eq!(queue.take(None), Some((1, "a")));
        assert_eq!(queue.take(None), Some((2, "d")));
        queue.done(1, 1);
        assert_eq!(queue.take(Some(1)), Some((1, "b")), "the other lane has a writer");
        queue.done(2, 1);
        assert_eq!(queue.take(Some(2)), Some((2, "e")));
        // A third writer shares one.
        assert_eq!(queue.take(None), Some((1, "c")));
        queue.done(1, 1);
        queue.done(1, 1);
        assert_eq!(queue.take(Some(1)), Some((2, "f")), "nothing is left in its own");
        queue.done(2, 1);
        queue.done(2, 1);
        assert_eq!(queue.take(Some(2)), None);
        assert!(queue.is_empty() && queue.lanes.is_empty() && queue.waiting.is_empty());
    }

    #[test]
    fn the_oldest_lane_comes_first() {
        let mut queue = queue(&[(2, "a"), (3, "b"), (1, "c")]);
        assert_eq!([(); 3].map(|()| queue.take(None).unwrap()), [(2, "a"), (3, "b"), (1, "c")]);
    }

    #[test]
    fn a_writer_stays_where_work_is_left() {
        let mut queue = queue(&[(1, "a"), (2, "b"), (2, "c"), (1, "d")]);
        assert_eq!(queue.take(Some(2)), Some((2, "b")), "the other lane is older");
        assert_eq!(queue.take(None), Some((1, "a")));
        queue.push(3, "e", 1);
        queue.done(2, 1);
        assert_eq!(queue.take(Some(2)), Some((2, "c")));
        assert_eq!(queue.take(Some(2)), Some((3, "e")), "one is in its lane still, which has nothing left");
    }

    #[test]
    fn a_writer_stays_where_no_more_are_than_elsewhere() {
        let mut queue = queue(&[(1, "a"), (1, "b"), (2, "c"), (2, "d")]);
        assert_eq!(queue.take(None), Some((1, "a")));
        assert_eq!(queue.take(None), Some((2, "c")));
        assert_eq!(queue.take(Some(2)), Some((2, "d")), "each lane has one writer");
        assert_eq!(queue.take(Some(2)), Some((1, "b")));
    }

    #[test]
    fn a_lane_of_which_all_is_being_written_keeps_nobody() {
        let mut queue = queue(&[(1, "a"), (2, "b"), (2, "c")]);
        assert_eq!(queue.take(None), Some((1, "a")));
        assert_eq!(queue.take(None), Some((2, "b")));
        assert_eq!(queue.take(Some(1)), Some((2, "c")), "as many are in both");
    }

    #[test]
    fn a_lane_without_a_writer_comes_first() {
        let mut queue = queue(&[(1, "a"), (1, "b"), (1, "c")]);
        assert_eq!(queue.take(None), Some((1, "a")));
        assert_eq!(queue.take(None), Some((1, "b")));
        queue.push(2, "d", 1);
        queue.done(1, 1);
        assert_eq!(queue.take(Some(1)), Some((2, "d")), "another is in the first lane still");
    }

    #[test]
    fn it_says_what_it_holds() {
        let mut queue = queue(&[(1, "aa"), (2, "bbb"), (1, "c")]);
        assert!(!queue.is_empty());
        assert_eq!((queue.tasks, queue.held), (3, 6));
        let (lane, _) = queue.take(None).unwrap();
        assert_eq!((queue.tasks, queue.held), (2, 6), "its bytes are in memory still");
        queue.clear();
        assert_eq!((queue.tasks, queue.held, queue.take(None)), (0, 2, None));
        queue.done(lane, 2);
        assert!(queue.lanes.is_empty() && queue.held == 0);
    }

    #[test]
    fn bytes_take_room_until_they_are_written() {
        const PIECE: usize = 8 << 20;
        let mut queue = Queue::new();
        for lane in 0..BYTES / PIECE {
            assert!(queue.has_room(PIECE));
            queue.push(lane, lane, PIECE);
        }
        assert!(!queue.has_room(1) && queue.has_room(0), "what holds nothing may wait");
        // As many writers as there are tasks take them all.
        let taken: Vec<_> = (0..BYTES / PIECE).map(|_| queue.take(None).unwrap().0).collect();
        assert!(queue.is_empty() && !queue.has_room(1), "none is written");
        queue.done(taken[0], PIECE);
        assert!(queue.has_room(PIECE) && !queue.has_room(PIECE + 1));
        taken[1..].iter().for_each(|lane| queue.done(*lane, PIECE));
        assert!(queue.has_room(BYTES), "one may take all of it");
        assert!(Queue::<()>::fits(BYTES) && !Queue::<()>::fits(BYTES + 1));
    }

    #[test]
    fn only_so_many_tasks_wait() {
        let mut queue = Queue::new();
        for number in 0..TASKS {
            assert!(queue.has_room(0));
            queue.push(number % 7, number, 0);
        }
        assert!(!queue.has_room(0));
        queue.take(None).unwrap();
        assert!(queue.has_room(0), "the number of those that are being written is that of the writers");
    }
}
