//! Folders whose files are read one after the other, as `cp -a` and `tar` do.
//!
//! A small file is one request, and whoever asks waits for the answer: for the most part two threads wake each
//! other. So once files of a folder are read in an order, those that come next are handed to the kernel before it
//! asks. What the kernel has it does not ask for; to know how far the reader has come, one file in the middle of
//! those that are handed over is left out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::lock::lock;

/// Larger files are left out, in bytes: they have a read-ahead of their own.
pub(crate) const LARGEST: u64 = 4 << 20;

/// How many bytes are handed over at once, and how many files, at the beginning and at most.
const BYTES: u64 = 16 << 20;
const FIRST_FILES: usize = 8;
const MOST_FILES: usize = 256;

/// How many folders are kept in mind.
const FOLDERS: usize = 16;

/// How many files tell an order.
const TELLING: usize = 3;

/// How many files may lie between two that are read one after the other: those that are empty or not wanted.
const GAP: usize = 4;

/// How often an order is looked for in vain before it is taken for none.
const TRIES: usize = 4;

/// How long one order makes the same order likely in the next folder.
const HABIT: Duration = Duration::from_secs(2);

/// A file of a folder: the number of its node, and its length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) number: u64,
    pub(crate) length: u64,
}

/// The orders in which programs read the files of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As the folder lists them.
    Listed,
    /// By the numbers of their nodes, which on disks says where they lie.
    Numbered,
}

/// A file that is to be handed over, unless the reader has come past it.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) number: u64,
    place: usize,
    reached: Arc<AtomicUsize>,
}

impl Wanted {
    /// Returns whether the reader has come past the file.
    pub(crate) fn is_late(&self) -> bool {
        self.place <= self.reached.load(Ordering::Relaxed)
    }
}

/// The folders that are read now.
#[derive(Debug, Default)]
pub(crate) struct Sweeps(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The one that was used last comes last.
    folders: Vec<(u64, Sweep)>,
    habit: Option<(Order, Instant)>,
}

/// What is known of one folder.
#[derive(Debug)]
enum Sweep {
    /// The files that were read last, and how often no order was found.
    Looking {
        last: Vec<u64>,
        tries: usize,
    },
    Going(Course),
    /// Files are read as it comes.
    Jumping,
}

/// Files in the order in which they are read, and how far the reader is.
#[derive(Debug)]
struct Course {
    files: Vec<File>,
    /// Numbers and places in `files`, by number.
    places: Vec<(u64, usize)>,
    reached: Arc<AtomicUsize>,
    /// The place of the first file that was not handed over.
    handed: usize,
    /// When the reader is here, more is handed over.
    mark: usize,
    /// How many files are handed over the next time.
    count: usize,
}

impl Sweeps {
    /// Notes that a file is read from its beginning on; returns what should be handed over.
    ///
    /// `list` returns the files of the folder in its own order: those that are neither empty nor longer than
    /// [`LARGEST`].
    pub(crate) fn note(&self, folder: u64, number: u64, list: impl FnOnce() -> Vec<File>) -> Vec<Wanted> {
        let (last, habit) = {
            let mut state = lock(&self.0);
            let habit = state.habit.filter(|(_, since)| since.elapsed() < HABIT).map(|(order, _)| order);
            match state.sweep(folder) {
                Sweep::Jumping => return Vec::new(),
                Sweep::Going(course) => {
                    let wanted = course.go_on(number);
                    if let (false, Some((_, since))) = (wanted.is_empty(), &mut state.habit) {
                        *since = Instant::now();
                    }
                    return wanted;
                }
                Sweep::Looking { last, .. } => {
                    last.push(number);
                    if last.len() < TELLING && habit.is_none() {
                        return Vec::new();
                    }
                    (last.clone(), habit)
                }
            }
        };
        // Reading a listing may take a while.
        let found = Course::of(list(), &last, habit);
        let mut state = lock(&self.0);
        let sweep = state.sweep(folder);
        let Sweep::Looking { last, tries } = sweep else {
            // Another thread has found it.
            return Vec::new();
        };
        let Some((order, mut course)) = found else {
            *tries += 1;
            let is_vain = *tries == TRIES;
            last.remove(0);
            if is_vain {
                *sweep = Sweep::Jumping;
            }
            return Vec::new();
        };
        let wanted = course.go_on(number);
        *sweep = Sweep::Going(course);
        state.habit = Some((order, Instant::now()));
        wanted
    }
}

impl State {
    /// Returns what is known of a folder, which is kept in mind from now on.
    fn sweep(&mut self, folder: u64) -> &mut Sweep {
        let known = match self.folders.iter().position(|(number, _)| *number == folder) {
            Some(place) => self.folders.remove(place),
            None => {
                let surplus = (self.folders.len() + 1).saturating_sub(FOLDERS);
                self.folders.drain(..surplus);
                (folder, Sweep::Looking { last: Vec::new(), tries: 0 })
            }
        };
        let place = self.folders.len();
        self.folders.push(known);
        &mut self.folders[place].1
    }
}

impl Course {
    /// Finds the order that the files that were read last are in.
    fn of(mut files: Vec<File>, last: &[u64], habit: Option<Order>) -> Option<(Order, Self)> {
        if files.len() < 2 {
            return None;
        }
        for order in [Order::Listed, Order::Numbered] {
            if order == Order::Numbered {
                files.sort_unstable_by_key(|file| file.number);
            }
            let mut places: Vec<_> =
                files.iter().enumerate().map(|(place, file)| (file.number, place)).collect();
            places.sort_unstable();
            let course =
                Self { files, places, reached: Arc::default(), handed: 0, mark: 0, count: FIRST_FILES };
            let read: Option<Vec<usize>> = last.iter().map(|number| course.place(*number)).collect();
            let read = read?;
            let is_next = |pair: &[usize]| pair[0] < pair[1] && pair[1] - pair[0] <= GAP;
            let is_likely = last.len() >= TELLING || habit == Some(order);
            if is_likely && read.windows(2).all(is_next) {
                return Some((order, course));
            }
            files = course.files;
        }
        None
    }

    fn place(&self, number: u64) -> Option<usize> {
        let found = self.places.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(self.places[found].1)
    }

    /// Returns the files to hand over now that one is read.
    fn go_on(&mut self, number: u64) -> Vec<Wanted> {
        let Some(place) = self.place(number) else { return Vec::new() };
        let was = self.reached.swap(place, Ordering::Relaxed);
        if place + MOST_FILES < was || place == 0 {
            // Somebody begins anew; those who read side by side are never far from each other.
            (self.handed, self.mark, self.count) = (0, 0, FIRST_FILES);
        }
        if place < self.mark {
            return Vec::new();
        }
        let first = self.handed.max(place + 1);
        let mut bytes = 0_u64;
        let fits = |file: &&File| {
            bytes = bytes.saturating_add(file.length);
            bytes <= BYTES
        };
        let count = self.files.iter().skip(first).take(self.count).take_while(fits).count();
        self.handed = first + count;
        self.mark = first + count / 2;
        self.count = (self.count * 2).min(MOST_FILES);
        let wanted =
            |place: usize| Wanted { number: self.files[place].number, place, reached: self.reached.clone() };
        (first..self.handed).filter(|place| *place != self.mark).map(wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files whose numbers are in another order than their places.
    fn files(count: u64) -> Vec<File> {
        (0..count).map(|place| File { number: place * 7 % count + 100, length: 1000 }).collect()
    }

    /// Reads files, which are not asked for when they were handed over; returns how many were asked for.
    fn read(sweeps: &Sweeps, folder: u64, listed: &[File], order: &[File]) -> usize {
        let mut handed = std::collections::HashSet::new();
        let mut asked = 0;
        for file in order {
            if handed.contains(&file.number) {
                continue;
            }
            asked += 1;
            let wanted = sweeps.note(folder, file.number, || listed.to_vec());
            for wanted in wanted {
                assert!(!wanted.is_late() && handed.insert(wanted.number), "once, and what is to come");
            }
        }
        asked
    }

    #[test]
    fn files_read_in_the_order_of_the_listing_are_handed_over() {
        let listed = files(1009);
        let asked = read(&Sweeps::default(), 1, &listed, &listed);
        assert!(asked < 20, "{asked}");
    }

    #[test]
    fn files_read_by_their_numbers_are_handed_over() {
        let listed = files(1009);
        let mut order = listed.clone();
        order.sort_by_key(|file| file.number);
        let asked = read(&Sweeps::default(), 1, &listed, &order);
        assert!(asked < 20, "{asked}");
    }

    #[test]
    fn an_order_holds_for_the_next_folder_from_its_first_file_on() {
        let (sweeps, listed) = (Sweeps::default(), files(6));
        assert_eq!(read(&sweeps, 1, &listed, &listed), 4, "three tell; one of the two others is left out");
        assert_eq!(read(&sweeps, 2, &listed, &listed), 2, "the first, and the one that is left out");
    }

    #[test]
    fn files_read_as_it_comes_are_not_handed_over() {
        let (sweeps, listed) = (Sweeps::default(), files(1009));
        for step in 0..300 {
            let file = listed[step * 389 % 1009];
            assert!(sweeps.note(1, file.number, || listed.clone()).is_empty());
        }
        let state = lock(&sweeps.0);
        assert!(matches!(state.folders[0].1, Sweep::Jumping), "no listing is looked at again");
    }

    #[test]
    fn who_overtakes_is_followed_and_what_lies_behind_is_late() {
        let (sweeps, listed) = (Sweeps::default(), files(1009));
        let mut wanted = Vec::new();
        for file in &listed[..3] {
            wanted = sweeps.note(1, file.number, || listed.clone());
        }
        assert_eq!(wanted.len(), FIRST_FILES - 1);
        let further = sweeps.note(1, listed[500].number, Vec::new);
        assert!(wanted.iter().all(Wanted::is_late));
        assert_eq!(further.first().map(|wanted| wanted.number), Some(listed[501].number));
        let again = sweeps.note(1, listed[0].number, Vec::new);
        assert_eq!(again.first().map(|wanted| wanted.number), Some(listed[1].number), "it begins anew");
    }

    #[test]
    fn what_is_handed_over_at_once_is_bounded() {
        let sweeps = Sweeps::default();
        let listed: Vec<_> = (0..100).map(|number| File { number, length: LARGEST }).collect();
        let mut most = 0;
        for file in &listed {
            most = most.max(sweeps.note(1, file.number, || listed.clone()).len() as u64);
        }
        assert!(most > 0 && most * LARGEST <= BYTES, "{most}");
        for folder in 0..1000 {
            sweeps.note(folder, 1, Vec::new);
        }
        assert_eq!(lock(&sweeps.0).folders.len(), FOLDERS);
    }
}
