//! Counts what a restore does while threads work, and tells the observer.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kopia_format::stub::Stub;

use crate::lock;
use crate::outcome::{FoundStub, KEPT, KEPT_BYTES, KEPT_STUBS, Unset};
use crate::reason::NotDeleted;
use crate::{Attribute, Notes, Observer, Outcome, Problem, Reason, Salvaged};

/// How much was staged and stays there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Unplaced {
    pub(crate) files: u64,
    /// Bytes of these files.
    pub(crate) bytes: u64,
    pub(crate) directories: u64,
    pub(crate) symlinks: u64,
}

impl Unplaced {
    /// Returns how many entries there are.
    pub(crate) fn entries(&self) -> u64 {
        self.files + self.directories + self.symlinks
    }
}

/// Counts while threads work.
pub(crate) struct Tally<'a> {
    observer: &'a dyn Observer,
    files: AtomicU64,
    directories: AtomicU64,
    symlinks: AtomicU64,
    bytes: AtomicU64,
    kept: AtomicU64,
    left_as_new: AtomicU64,
    bytes_kept: AtomicU64,
    bytes_reused: AtomicU64,
    resumed: AtomicBool,
    deleted: AtomicU64,
    mounts_kept: Mutex<Vec<String>>,
    restores_kept: Mutex<Vec<String>>,
    extras_kept: AtomicU64,
    left_out: AtomicU64,
    /// Problems with what the snapshot does not have, in [`Self::problem_count`] as well.
    extra_problems: AtomicU64,
    owners: AtomicU64,
    special_bits: AtomicU64,
    modes: AtomicU64,
    times: AtomicU64,
    names: AtomicU64,
    guessed: AtomicU64,
    stub_count: AtomicU64,
    stubs: Mutex<Vec<FoundStub>>,
    problem_count: AtomicU64,
    /// Those that are kept, and how many bytes their paths have.
    problems: Mutex<(Vec<Problem>, usize)>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(observer: &'a dyn Observer) -> Self {
        Self {
            observer,
            files: AtomicU64::default(),
            directories: AtomicU64::default(),
            symlinks: AtomicU64::default(),
            bytes: AtomicU64::default(),
            kept: AtomicU64::default(),
            left_as_new: AtomicU64::default(),
            bytes_kept: AtomicU64::default(),
            bytes_reused: AtomicU64::default(),
            resumed: AtomicBool::default(),
            deleted: AtomicU64::default(),
            mounts_kept: Mutex::default(),
            restores_kept: Mutex::default(),
            extras_kept: AtomicU64::default(),
            left_out: AtomicU64::default(),
            extra_problems: AtomicU64::default(),
            owners: AtomicU64::default(),
            special_bits: AtomicU64::default(),
            modes: AtomicU64::default(),
            times: AtomicU64::default(),
            names: AtomicU64::default(),
            guessed: AtomicU64::default(),
            stub_count: AtomicU64::default(),
            stubs: Mutex::default(),
            problem_count: AtomicU64::default(),
            problems: Mutex::default(),
        }
    }

    /// Returns whether the observer asks to stop.
    pub(crate) fn wants_no_more(&self) -> bool {
        self.observer.stop()
    }

    /// Returns the first problem, if there is one.
    pub(crate) fn first_problem(&self) -> Option<Problem> {
        // Asked for every file: the counter is cheaper than the lock.
        if self.problem_count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        lock::lock(&self.problems).0.first().cloned()
    }

    /// Counts a file, of which so many bytes were there before.
    pub(crate) fn file(&self, length: u64, reused: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.share(length, reused);
        self.observer.entry();
    }

    /// Counts bytes of a file of which this process writes a part; so many of them were there before.
    pub(crate) fn share(&self, bytes: u64, reused: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes_kept.fetch_add(reused, Ordering::Relaxed);
        self.bytes_reused.fetch_add(reused, Ordering::Relaxed);
    }

    /// Notes that the restore goes on from where an interrupted one stopped.
    pub(crate) fn resumed(&self) {
        self.resumed.store(true, Ordering::Relaxed);
        self.observer.resumed();
    }

    pub(crate) fn directory(&self) {
        self.directories.fetch_add(1, Ordering::Relaxed);
        self.observer.entry();
    }

    pub(crate) fn symlink(&self) {
        self.symlinks.fetch_add(1, Ordering::Relaxed);
        self.observer.entry();
    }

    /// Returns the bytes of files that were written or there already.
    pub(crate) fn bytes_there(&self) -> u64 {
        let [bytes, kept, reused] = [&self.bytes, &self.bytes_kept, &self.bytes_reused];
        let sum = bytes.load(Ordering::Relaxed).saturating_add(kept.load(Ordering::Relaxed));
        // Those that were reused are in both.
        sum.saturating_sub(reused.load(Ordering::Relaxed))
    }

    /// Tells the observer of bytes that were written, of files that may still fail.
    pub(crate) fn written(&self, count: u64) {
        self.observer.bytes(count);
    }

    /// Counts a file or link that the target had already.
    pub(crate) fn kept(&self, bytes: u64) {
        self.kept.fetch_add(1, Ordering::Relaxed);
        self.bytes_kept.fetch_add(bytes, Ordering::Relaxed);
        self.observer.entry();
    }

    /// Counts a file or link that stays because the snapshot's, with so many bytes, is not newer.
    pub(crate) fn left_as_new(&self, bytes: u64) {
        self.left_as_new.fetch_add(1, Ordering::Relaxed);
        self.observer.bytes(bytes);
        self.observer.entry();
    }

    /// Tells the observer of bytes that were there already, of files that may still fail.
    pub(crate) fn found(&self, count: u64) {
        self.observer.bytes(count);
        self.observer.kept(count);
    }

    /// Counts an entry that was deleted with all below it.
    pub(crate) fn deleted(&self, path: &str) {
        self.deleted.fetch_add(1, Ordering::Relaxed);
        self.observer.deleted(path);
    }

    /// Notes a file that stands for another.
    pub(crate) fn stub(&self, path: String, stub: Stub) {
        self.stub_count.fetch_add(1, Ordering::Relaxed);
        let mut stubs = lock::lock(&self.stubs);
        if stubs.len() < KEPT_STUBS {
            stubs.push(FoundStub { path, stub });
        }
    }

    /// Notes a mount that was not deleted.
    pub(crate) fn mount_kept(&self, path: String) {
        lock::lock(&self.mounts_kept).push(path);
    }

    /// Notes a directory in which nothing was deleted, because another restore is at work there, or because a
    /// restore keeps in it what it replaced.
    pub(crate) fn restore_kept(&self, path: String) {
        lock::lock(&self.restores_kept).push(path);
    }

    /// Counts what was not deleted because not all of the snapshot was restored.
    pub(crate) fn extras_kept(&self, count: u64) {
        self.extras_kept.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts entries that were not chosen.
    pub(crate) fn left_out(&self, count: u64) {
        self.left_out.fetch_add(count, Ordering::Relaxed);
    }

    /// As [`Self::problem`], of an entry with which so many others are lost.
    pub(crate) fn lost(&self, path: String, reason: impl Into<Reason>, below: u64) {
        self.problem(path, reason);
        self.problem_count.fetch_add(below, Ordering::Relaxed);
    }

    /// Reports an entry that could not be moved to its place, and all that lies in it.
    pub(crate) fn unplaced(&self, path: String, reason: Reason, unplaced: Unplaced) {
        self.lost(path, reason, unplaced.entries().saturating_sub(1));
        self.take_back(unplaced);
    }

    /// Takes entries out of the counts that were restored, but not to their place.
    pub(crate) fn take_back(&self, unplaced: Unplaced) {
        let Unplaced { files, bytes, directories, symlinks } = unplaced;
        let counts = [
            (&self.files, files),
            (&self.bytes, bytes),
            (&self.directories, directories),
            (&self.symlinks, symlinks),
        ];
        for (counter, less) in counts {
            let less = |count: u64| Some(count.saturating_sub(less));
            let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// Returns whether everything that the snapshot has is restored so far.
    pub(crate) fn is_whole(&self) -> bool {
        self.problem_count.load(Ordering::Relaxed) == self.extra_problems.load(Ordering::Relaxed)
    }

    /// As [`Self::problem`], of what the snapshot does not have.
    pub(crate) fn extra_problem(&self, path: String, reason: NotDeleted) {
        self.extra_problems.fetch_add(1, Ordering::Relaxed);
        self.problem(path, reason);
    }

    /// Counts an attribute that is not as in the snapshot.
    pub(crate) fn note(&self, path: &str, attribute: Attribute) {
        let counter = match attribute {
            Attribute::Owner => &self.owners,
            Attribute::SpecialBits => &self.special_bits,
            Attribute::Mode => &self.modes,
            Attribute::Time => &self.times,
            Attribute::Name => &self.names,
            Attribute::Guessed => &self.guessed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.observer.attribute(path, attribute);
    }

    /// Counts what could not be set of an entry.
    pub(crate) fn unset(&self, unset: Unset, path: impl FnOnce() -> String) {
        // Most entries have everything, and no path need be put together.
        if unset != Unset::default() {
            let path = path();
            unset.attributes().for_each(|attribute| self.note(&path, attribute));
        }
    }

    pub(crate) fn problem(&self, path: String, reason: impl Into<Reason>) {
        self.salvaged(path, reason, None);
    }

    /// As [`Self::problem`], of a file that was saved in part.
    pub(crate) fn salvaged(&self, path: String, reason: impl Into<Reason>, salvaged: Option<Salvaged>) {
        let problem = Problem { path, reason: reason.into(), salvaged };
        self.observer.problem(&problem);
        let mut kept = lock::lock(&self.problems);
        let (problems, bytes) = &mut *kept;
        if problems.len() < KEPT && *bytes < KEPT_BYTES {
            *bytes += problem.path.len();
            problems.push(problem);
        }
        drop(kept);
        self.problem_count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn finish(self) -> Outcome {
        let (mut problems, _) = lock::into_inner(self.problems);
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        let sorted = |paths: Mutex<Vec<String>>| {
            let mut paths = lock::into_inner(paths);
            paths.sort_unstable();
            paths
        };
        let stubs = lock::into_inner(self.stubs);
        Outcome {
            files: self.files.into_inner(),
            directories: self.directories.into_inner(),
            symlinks: self.symlinks.into_inner(),
            bytes: self.bytes.into_inner(),
            kept: self.kept.into_inner(),
            left_as_new: self.left_as_new.into_inner(),
            bytes_kept: self.bytes_kept.into_inner(),
            bytes_reused: self.bytes_reused.into_inner(),
            kept_in: None,
            resumed: self.resumed.into_inner(),
            deleted: self.deleted.into_inner(),
            mounts_kept: sorted(self.mounts_kept),
            restores_kept: sorted(self.restores_kept),
            extras_kept: self.extras_kept.into_inner(),
            left_out: self.left_out.into_inner(),
            already_finished: false,
            stub_count: self.stub_count.into_inner(),
            stubs,
            problem_count: self.problem_count.into_inner(),
            undeleted: self.extra_problems.into_inner(),
            problems,
            notes: Notes {
                owners: self.owners.into_inner(),
                special_bits: self.special_bits.into_inner(),
                modes: self.modes.into_inner(),
                times: self.times.into_inner(),
                names: self.names.into_inner(),
                guessed: self.guessed.into_inner(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use kopia_format::stub::StubKind;

    use super::*;

    #[test]
    fn of_many_stubs_the_first_are_kept_and_all_are_counted() {
        let tally = Tally::new(&());
        for number in 0..=KEPT_STUBS {
            let (name, object) = (number.to_string(), "0a1b".parse().unwrap());
            tally.stub(name.clone(), Stub { kind: StubKind::Placeholder, name, object });
        }
        let Outcome { stub_count, stubs, .. } = tally.finish();
        assert_eq!((stub_count, stubs.len()), (101, 100));
        assert_eq!(stubs[99].path, "99");
    }

    #[test]
    fn of_many_problems_some_are_kept_and_all_are_counted() {
        for (length, kept) in [(1, KEPT), (KEPT_BYTES / 4, 4)] {
            let tally = Tally::new(&());
            for _ in 0..=kept {
                tally.problem("x".repeat(length), NotDeleted::Replaced);
            }
            let outcome = tally.finish();
            assert_eq!((outcome.problem_count, outcome.problems.len()), (kept as u64 + 1, kept));
        }
    }

    #[test]
    fn what_could_not_be_set_is_counted_by_attribute() {
        let tally = Tally::new(&());
        tally.unset(Unset { owner: true, time: true, ..Unset::default() }, || "a".into());
        tally.unset(Unset { time: true, ..Unset::default() }, || "b".into());
        tally.unset(Unset::default(), || unreachable!("no path is needed"));
        let notes = tally.finish().notes;
        assert_eq!((notes.owners, notes.times), (1, 2));
        assert_eq!((notes.special_bits, notes.modes, notes.names), (0, 0, 0));
    }

    #[test]
    fn bytes_that_were_reused_are_there_once() {
        let tally = Tally::new(&());
        tally.file(100, 30);
        tally.kept(7);
        tally.share(1000, 1000);
        assert_eq!(tally.bytes_there(), 1107);
        tally.mount_kept("b".into());
        tally.mount_kept("a".into());
        let outcome = tally.finish();
        assert_eq!((outcome.bytes, outcome.bytes_there()), (1100, 1107));
        assert_eq!(outcome.mounts_kept, ["a", "b"]);
    }
}
