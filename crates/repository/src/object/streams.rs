//! Where in a file it is being read, and what is decoded ahead there.
//!
//! A reader may go through a file at several places in turn, as programs do that read archives, databases or
//! videos. Each place is a stream of its own. Once one has gone on from the end of a content to the next,
//! those after it are decoded ahead; one that only jumps about has nothing decoded that it does not ask for.
//! Several threads may share a place: what is decoded ahead, or a little behind, is to be had in any order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::Extent;
use super::ahead::Window;
use crate::Repository;

/// How many places of a file are kept in mind.
const STREAMS: usize = 4;

/// How many plain bytes are decoded at once at most, for each core and at least, and how many contents. The
/// first time there are fewer: who has read two contents may well stop.
const WINDOW_A_CORE: u64 = 4 << 20;
const WINDOW: u64 = 16 << 20;
const CONTENTS: usize = 256;
const FIRST_WINDOW: u64 = 8 << 20;
const FIRST_CONTENTS: usize = 32;

/// How far behind a reader contents are held, and how far ahead one is taken for the same reader, in bytes: several
/// threads may read one after the other, as the system does for a mount, and come in another order.
const BEHIND: u64 = 4 << 20;

/// The places where a file is being read, the last one used first.
#[derive(Debug, Default)]
pub(super) struct Streams(Vec<Stream>);

#[derive(Debug)]
struct Stream {
    /// The number of the extent that was read last, and its bytes once they have come.
    number: usize,
    bytes: Option<Arc<Vec<u8>>>,
    /// How many times it went on to the next content.
    run: usize,
    /// What is decoded ahead, in order.
    windows: VecDeque<Arc<Window>>,
}

/// What is read, as far as that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course<'r> {
    pub(super) repository: &'r Repository,
    pub(super) extents: &'r Arc<[Extent]>,
    /// The number of the extent after the last one that will be wanted.
    pub(super) end: usize,
    /// Whether it will all be wanted, from front to back.
    pub(super) whole: bool,
}

/// Where the bytes of an extent are to be had.
pub(super) enum Found {
    Here(Arc<Vec<u8>>),
    Ahead(Arc<Window>),
    /// They are read by themselves, and kept for the next time if somebody jumped to them.
    Alone {
        keep: bool,
    },
}

impl Streams {
    /// Finds an extent; `from_start` says that its first byte is wanted.
    pub(super) fn find(&mut self, course: Course<'_>, number: usize, from_start: bool) -> Found {
        // Threads of the pool must not wait for others that need the pool.
        let may_wait = !course.repository.cores().is_inside();
        if let Some(place) = self.0.iter().position(|stream| stream.number == number) {
            return self.bring_to_front(place).stay(may_wait);
        }
        let follows = |stream: &Stream| from_start && follows(course.extents, stream.number, number);
        if let Some(place) = self.0.iter().position(follows) {
            let stream = self.bring_to_front(place);
            return if may_wait { stream.go_on(course, number) } else { Found::Alone { keep: false } };
        }
        let has = |stream: &Stream| stream.window(number).is_some_and(|window| window.has(number));
        if may_wait && let Some(place) = self.0.iter().position(has) {
            let stream = self.bring_to_front(place);
            if stream.is_soon(course, number) {
                return stream.go_on(course, number);
            }
            return stream.ahead(number).unwrap_or(Found::Alone { keep: true });
        }
        // Most files are read from their start, once, and to their end.
        let keep = number > 0 && !course.whole;
        self.0.truncate(STREAMS - 1);
        let mut stream = Stream { number, bytes: None, run: 0, windows: VecDeque::new() };
        if course.whole && may_wait {
            stream.run = 2;
            stream.decode_ahead(course, number + 1);
        }
        self.leave();
        self.0.insert(0, stream);
        Found::Alone { keep }
    }

    fn bring_to_front(&mut self, place: usize) -> &mut Stream {
        if place > 0 {
            self.leave();
            self.0[..=place].rotate_right(1);
        }
        &mut self.0[0]
    }

    /// Drops the bytes of the place that was used last, as it goes on at another one: a reader holds one
    /// content, and what is more lies in the cache of all readers or in what is decoded ahead.
    fn leave(&mut self) {
        if let Some(stream) = self.0.first_mut() {
            stream.bytes = None;
        }
    }

    /// Notes that the bytes of an extent have come.
    pub(super) fn arrived(&mut self, extents: &[Extent], number: usize, bytes: &Arc<Vec<u8>>) {
        let is_at = |stream: &&mut Stream| stream.number == number || follows(extents, stream.number, number);
        if let Some(stream) = self.0.iter_mut().find(is_at) {
            (stream.number, stream.bytes) = (number, Some(bytes.clone()));
        }
    }
}

impl Stream {
    /// Finds the content that was read last once more.
    fn stay(&self, may_wait: bool) -> Found {
        match &self.bytes {
            Some(bytes) => Found::Here(bytes.clone()),
            None if may_wait => self.ahead(self.number).unwrap_or(Found::Alone { keep: true }),
            None => Found::Alone { keep: true },
        }
    }

    /// Returns whether an extent lies so little ahead that it is asked for by who reads here: by another one
    /// of several threads.
    fn is_soon(&self, course: Course<'_>, number: usize) -> bool {
        let end = course.extents[self.number].end();
        number > self.number && course.extents[number].start.saturating_sub(end) <= BEHIND
    }

    /// Returns the window that an extent lies in.
    fn window(&self, number: usize) -> Option<&Arc<Window>> {
        self.windows.iter().find(|window| window.numbers().contains(&number))
    }

    fn ahead(&self, number: usize) -> Option<Found> {
        self.window(number).cloned().map(Found::Ahead)
    }

    /// Goes on to a later content, mostly the next one, and has others decoded after it.
    fn go_on(&mut self, course: Course<'_>, number: usize) -> Found {
        self.run += 1;
        (self.number, self.bytes) = (number, None);
        let behind = course.extents[number].start.saturating_sub(BEHIND);
        let first = course.extents.partition_point(|extent| extent.end() <= behind).min(number);
        while self.windows.front().is_some_and(|window| window.numbers().end <= first) {
            self.windows.pop_front();
        }
        if let Some(window) = self.windows.front() {
            window.pass(first);
        }
        self.decode_ahead(course, number);
        self.ahead(number).unwrap_or(Found::Alone { keep: false })
    }

    /// Has windows decoded from an extent on, or from where the last one ends: one that is read, and one
    /// after it.
    fn decode_ahead(&mut self, course: Course<'_>, number: usize) {
        let most = if self.run > 1 { 2 } else { 1 };
        while self.windows.iter().filter(|window| window.numbers().end > number).count() < most {
            let start = self.windows.back().map_or(number, |window| window.numbers().end.max(number));
            let numbers = cut(course, start, self.run > 1);
            // A single one is decoded as fast by who wants it, unless there is time until then.
            if numbers.is_empty() || numbers.len() == 1 && numbers.start == number && !course.whole {
                return;
            }
            let Some(window) = Window::start(course.repository, course.extents, numbers) else { return };
            self.windows.push_back(window);
        }
    }
}

/// Returns whether an extent begins where another one ends.
fn follows(extents: &[Extent], before: usize, number: usize) -> bool {
    let (Some(before), Some(after)) = (extents.get(before), extents.get(number)) else { return false };
    after.start > before.start && before.start.checked_add(before.length.unwrap_or(0)) == Some(after.start)
}

/// Returns the first extents that are decoded at once; at least one, if one is left.
fn cut(Course { repository, extents, end, .. }: Course<'_>, start: usize, full: bool) -> Range<usize> {
    let most = WINDOW.max(WINDOW_A_CORE.saturating_mul(repository.cores().count() as u64));
    let most = most.min((repository.read_ahead().whole() / 4) as u64);
    let (most, contents) = if full { (most, CONTENTS) } else { (most.min(FIRST_WINDOW), FIRST_CONTENTS) };
    let rest = extents.get(start..end).unwrap_or_default();
    let mut bytes = 0_u64;
    let fits = rest.iter().take(contents).take_while(|extent| {
        bytes = bytes.saturating_add(extent.length.unwrap_or(most));
        bytes <= most
    });
    let count = fits.count().max(1).min(rest.len());
    start..start + count
}
