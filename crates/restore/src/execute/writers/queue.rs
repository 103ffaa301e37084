//! What waits to be written, by the directory or file that it goes into.
//!
//! A system changes a directory for one caller at a time, and a network file system keeps it locked for the
//! whole round trip. So writers spread over directories, and stay in one as long as it has work for them:
//! then its handle is open already.

use std::collections::{BTreeSet, HashMap, VecDeque};

/// What is queued: tasks in lanes, of which one belongs to one directory or large file.
pub(super) struct Queue<T> {
    lanes: HashMap<usize, Lane<T>>,
    /// Lanes that have tasks: those with the fewest writers first, then the oldest.
    waiting: BTreeSet<(usize, u64, usize)>,
    /// How many lanes there have been.
    made: u64,
    tasks: usize,
    bytes: usize,
}

struct Lane<T> {
    /// Tasks with the bytes that they hold.
    tasks: VecDeque<(T, usize)>,
    writers: usize,
    number: u64,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { lanes: HashMap::new(), waiting: BTreeSet::new(), made: 0, tasks: 0, bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks == 0
    }

    /// Returns how many tasks wait, and how many bytes they hold.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.tasks, self.bytes)
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
        self.bytes += bytes;
        if lane.tasks.len() == 1 {
            self.waiting.insert((lane.writers, lane.number, key));
        }
    }

    /// Takes a task for a writer, who notes itself in its lane; `last` is the lane that it comes from.
    pub(super) fn take(&mut self, last: Option<usize>) -> Option<(usize, T)> {
        let first = *self.waiting.first()?;
        let stays = last.filter(|last| {
            self.lanes.get(last).is_some_and(|lane| !lane.tasks.is_empty() && lane.writers <= first.0)
        });
        let key = stays.unwrap_or(first.2);
        let lane = self.lanes.get_mut(&key)?;
        self.waiting.remove(&(lane.writers, lane.number, key));
        let (task, bytes) = lane.tasks.pop_front()?;
        lane.writers += 1;
        self.tasks -= 1;
        self.bytes -= bytes;
        if !lane.tasks.is_empty() {
            self.waiting.insert((lane.writers, lane.number, key));
        }
        Some((key, task))
    }

    /// Notes that a writer has done what it took from a lane.
    pub(super) fn done(&mut self, key: usize) {
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
                lane.tasks.clear();
                if lane.writers == 0 {
                    self.lanes.remove(&key);
                }
            }
        }
        (self.tasks, self.bytes) = (0, 0);
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
        queue.done(1);
        assert_eq!(queue.take(Some(1)), Some((1, "b")), "the other lane has a writer");
        queue.done(2);
        assert_eq!(queue.take(Some(2)), Some((2, "e")));
        // A third writer shares one.
        assert_eq!(queue.take(None), Some((1, "c")));
        queue.done(1);
        queue.done(1);
        assert_eq!(queue.take(Some(1)), Some((2, "f")), "nothing is left in its own");
        queue.done(2);
        queue.done(2);
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
        queue.done(2);
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
        queue.done(1);
        assert_eq!(queue.take(Some(1)), Some((2, "d")), "another is in the first lane still");
    }

    #[test]
    fn it_says_what_it_holds() {
        let mut queue = queue(&[(1, "aa"), (2, "bbb"), (1, "c")]);
        assert!(!queue.is_empty());
        assert_eq!(queue.size(), (3, 6));
        let (lane, _) = queue.take(None).unwrap();
        assert_eq!(queue.size(), (2, 4));
        queue.clear();
        assert_eq!((queue.size(), queue.take(None)), ((0, 0), None));
        queue.done(lane);
        assert!(queue.lanes.is_empty());
    }
}
