//! Files that are being read.
//!
//! The kernel is told that files need no opening, which spares two requests for each; so nobody tells when one is
//! closed, and a reader that was not used for a while is dropped, with all that is decoded ahead of it.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kopia_repository::object::ObjectReader;
use kopia_repository::{Entry, Result};

use crate::lock::lock;

/// How many files are kept open at most.
const MAX_OPEN: usize = 64;

/// How long a reader is kept that nobody uses.
const PATIENCE: Duration = Duration::from_secs(3);

/// Files of so many bytes are read at once, so that nothing is gained by keeping them open.
const SMALL: u64 = 128 << 10;

/// How far from where a read ended the next one may begin, in bytes and in ranges of its length, and still go on
/// from there: the kernel asks for several ranges at once, which are answered in any order.
const NEARBY: u64 = 1 << 20;
const NEARBY_RANGES: u64 = 8;

/// How many places of a file are kept in mind.
const PLACES: usize = 4;

/// Extents with more bytes are not put into the page cache as a whole.
const MOST_PRIMED: u64 = 16 << 20;

/// How many extents are remembered that somebody has jumped to.
const JUMPS: usize = 4096;

/// An open file.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) object: ObjectReader,
    course: Mutex<Course>,
}

/// Where a file was read last, and which extents somebody has jumped to.
#[derive(Debug, Default)]
struct Course {
    ends: Vec<u64>,
    jumped: HashSet<u64>,
}

impl Reader {
    fn new(object: ObjectReader) -> Self {
        Self { object, course: Mutex::default() }
    }

    /// Notes that a range is read; returns the bytes around it that will be wanted, too, as somebody jumps about
    /// there.
    pub(crate) fn note(&self, range: &Range<u64>) -> Option<Range<u64>> {
        let mut course = lock(&self.course);
        if !course.is_jump(range) {
            return None;
        }
        let extent = self.object.extent_at(range.start)?;
        if course.jumped.len() == JUMPS {
            course.jumped.clear();
        }
        let is_again = !course.jumped.insert(extent.start);
        (is_again && extent.end - extent.start <= MOST_PRIMED).then_some(extent)
    }
}

impl Course {
    /// Notes that a range is read; returns whether it neither goes on from another one nor begins the file.
    fn is_jump(&mut self, range: &Range<u64>) -> bool {
        let nearby = NEARBY.max(range.end.saturating_sub(range.start).saturating_mul(NEARBY_RANGES));
        let before = self.ends.iter().position(|end| end.abs_diff(range.start) <= nearby);
        if let Some(place) = before {
            self.ends.remove(place);
        }
        self.ends.push(range.end);
        if self.ends.len() > PLACES {
            self.ends.remove(0);
        }
        before.is_none() && range.start > 0
    }
}

/// Files that are open, by the number of their node.
#[derive(Debug, Default)]
pub(crate) struct Readers(Mutex<Vec<Held>>);

#[derive(Debug)]
struct Held {
    number: u64,
    reader: Arc<Reader>,
    used: Instant,
}

impl Readers {
    /// Returns the reader of a file.
    pub(crate) fn get(&self, number: u64, entry: &Entry) -> Result<Arc<Reader>> {
        if let Some(reader) = self.find(number) {
            return Ok(reader);
        }
        let reader = Arc::new(Reader::new(entry.open()?));
        if entry.size() <= SMALL {
            return Ok(reader);
        }
        let mut held = lock(&self.0);
        // Another thread may have opened it at the same time; both must go on with the same.
        if let Some(other) = held.iter().find(|held| held.number == number) {
            return Ok(other.reader.clone());
        }
        let surplus = (held.len() + 1).saturating_sub(MAX_OPEN);
        let dropped: Vec<Held> = held.drain(..surplus).collect();
        held.push(Held { number, reader: reader.clone(), used: Instant::now() });
        drop(held);
        drop(dropped);
        Ok(reader)
    }

    fn find(&self, number: u64) -> Option<Arc<Reader>> {
        let mut held = lock(&self.0);
        let place = held.iter().rposition(|held| held.number == number)?;
        let mut found = held.remove(place);
        found.used = Instant::now();
        let reader = found.reader.clone();
        held.push(found);
        Some(reader)
    }

    /// Drops those that nobody has used for a while.
    pub(crate) fn drop_unused(&self) {
        let mut held = lock(&self.0);
        let old = held.iter().take_while(|held| held.used.elapsed() > PATIENCE).count();
        let dropped: Vec<Held> = held.drain(..old).collect();
        drop(held);
        // What is decoded ahead for them takes a while to be freed.
        drop(dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_the_kernel_asks_for_together_are_no_jumps() {
        let mut course = Course::default();
        let range = |start: u64, length: u64| start << 10..(start + length) << 10;
        for start in [0, 3, 1, 7, 2, 5, 4, 6, 14] {
            assert!(!course.is_jump(&range(start << 10, 1 << 10)), "at {start} MiB");
        }
        assert!(course.is_jump(&range(64 << 10, 1 << 10)));
    }

    #[test]
    fn whoever_reads_little_here_and_there_jumps() {
        let mut course = Course::default();
        let places = [9, 3, 30, 14, 21, 6].map(|place: u64| place << 20);
        assert!(places.iter().all(|&start| course.is_jump(&(start..start + 4096))));
        assert!(!course.is_jump(&(places[5] + 4096..places[5] + 8192)));
    }
}
