//! The names in a directory that is being emptied, some at a time: it may have millions.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::Dir;

use crate::destination::look;

/// How many names are in memory at once.
pub(super) const PIECE: usize = if cfg!(test) { 8 } else { 1 << 16 };

/// Lists a directory from which entries are moved meanwhile.
pub(super) struct Names<'d> {
    directory: BorrowedFd<'d>,
    stream: Dir,
    /// Whether some were listed since the stream was at its start.
    some: bool,
    /// Whether it has been read to its end before. Where names go, a stream may miss others.
    again: bool,
    is_done: bool,
}

impl<'d> Names<'d> {
    pub(super) fn read(directory: BorrowedFd<'d>) -> io::Result<Self> {
        let stream = Dir::read_from(directory)?;
        Ok(Self { directory, stream, some: false, again: false, is_done: false })
    }

    /// Lists more names and their inodes, but for those that are to be skipped; nothing if there are no more.
    ///
    /// They come in the order of names, [`PIECE`] of them at a time: if the target takes two for one, the
    /// first is kept.
    pub(super) fn next(&mut self, skipped: impl Fn(&[u8]) -> bool) -> io::Result<Vec<(Vec<u8>, u64)>> {
        let mut names = Vec::new();
        while !self.is_done && names.len() < PIECE {
            let Some(entry) = self.stream.read() else {
                // All of a small directory came at once, before any name went.
                self.is_done = !self.some;
                (self.some, self.again) = (false, true);
                self.stream.rewind();
                if names.is_empty() {
                    continue;
                }
                break;
            };
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || skipped(name) {
                continue;
            }
            // What was moved may still be listed by a cache.
            if self.again && matches!(look(self.directory, name), Ok(None)) {
                continue;
            }
            names.push((name.to_vec(), entry.ino()));
        }
        self.some |= names.len() == PIECE;
        names.sort_unstable();
        Ok(names)
    }
}

/// Lists all names at once, for what is only counted.
pub(super) fn all(directory: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// Inodes: mostly of files that were made one after the other, which are kept as ranges.
#[derive(Debug, Default)]
pub(super) struct Inodes {
    /// By the first of each range, the last.
    ranges: BTreeMap<u64, u64>,
}

impl Inodes {
    pub(super) fn insert(&mut self, inode: u64) {
        if self.contains(inode) {
            return;
        }
        let below = self.ranges.range(..inode).next_back();
        let first = below.filter(|(_, last)| last.checked_add(1) == Some(inode)).map(|(first, _)| *first);
        let above = inode.checked_add(1).and_then(|next| self.ranges.remove(&next));
        self.ranges.insert(first.unwrap_or(inode), above.unwrap_or(inode));
    }

    pub(super) fn contains(&self, inode: u64) -> bool {
        self.ranges.range(..=inode).next_back().is_some_and(|(_, last)| *last >= inode)
    }
}

/// What stays in the directory although it was listed.
pub(super) type Left = HashSet<Vec<u8>>;

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn each_name_comes_once_although_they_go() {
        for count in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE, 500] {
            let place = tempfile::tempdir().unwrap();
            for number in 0..count {
                fs::write(place.path().join(number.to_string()), b"").unwrap();
            }
            let directory = File::open(place.path()).unwrap();
            let mut names = Names::read(directory.as_fd()).unwrap();
            let (mut left, mut seen) = (Left::new(), 0);
            loop {
                let piece = names.next(|name| left.contains(name)).unwrap();
                assert!(piece.is_sorted() && piece.len() <= PIECE);
                if piece.is_empty() {
                    break;
                }
                for (name, _) in piece {
                    seen += 1;
                    // Every third one stays.
                    if seen % 3 == 0 {
                        assert!(left.insert(name), "it came before");
                    } else {
                        fs::remove_file(place.path().join(str::from_utf8(&name).unwrap())).unwrap();
                    }
                }
            }
            assert_eq!((seen, left.len()), (count, count / 3));
        }
    }

    /// Where names go, what a stream lists next may be beyond others.
    #[test]
    fn a_long_directory_is_listed_until_nothing_new_is_in_it() {
        let place = tempfile::tempdir().unwrap();
        for number in 0..=2 * PIECE {
            fs::write(place.path().join(number.to_string()), b"").unwrap();
        }
        let directory = File::open(place.path()).unwrap();
        let mut names = Names::read(directory.as_fd()).unwrap();
        for expected in [PIECE, PIECE, 1] {
            let piece = names.next(|_| false).unwrap();
            assert_eq!(piece.len(), expected);
            for (name, _) in piece {
                fs::remove_file(place.path().join(str::from_utf8(&name).unwrap())).unwrap();
            }
        }
        fs::write(place.path().join("late"), b"").unwrap();
        assert_eq!(names.next(|_| false).unwrap()[0].0, b"late");
        fs::remove_file(place.path().join("late")).unwrap();
        assert_eq!(names.next(|_| false).unwrap(), []);
    }

    #[test]
    fn inodes_are_known_in_whatever_order_they_came() {
        let mut inodes = Inodes::default();
        for inode in [5, 3, 4, 9, u64::MAX, 0, 1, 5, 8] {
            inodes.insert(inode);
        }
        let known: Vec<u64> = (0..12).filter(|inode| inodes.contains(*inode)).collect();
        assert_eq!(known, [0, 1, 3, 4, 5, 8, 9]);
        assert!(inodes.contains(u64::MAX) && !inodes.contains(u64::MAX - 1));
        assert_eq!(inodes.ranges.len(), 4);
    }
}
