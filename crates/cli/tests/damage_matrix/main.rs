//! The damage matrix: every kind of damage, at head, middle and tail of every kind of blob of the golden
//! repositories, in strict and in degraded mode.
//!
//! What must hold of each case: no panic and no hang; no byte under a right name that is not the right one;
//! all that the damage does not touch is restored, with its attributes; what is missing is named; error
//! correction repairs what it should. [`sound`] works out from the undamaged repository what each path needs,
//! [`judge`] compares.
//!
//! | module | blobs | how |
//! |---|---|---|
//! | [`packs`] | `p`, `q` | each case opened once, from memory |
//! | [`indexes`] | `n`, `xn`, `xs`, `xr`, `xe`, `xw`, `m`; packs in degraded mode | opened anew for each case, strict and degraded |
//! | [`reported`] | `p`, `q` of repositories made after bug reports | as [`packs`], every other restore into a target that refuses attributes |
//! | [`corrected`] | `p`, `q`, index blobs of repositories with error correction | as many shards as can be repaired, and one more |
//! | [`format`] | `kopia.repository`, `.shards`; one of two copies of a blob | opened anew for each case |
//! | [`command`] | one of each kind | the real binary on files, strict and degraded: exit codes, names of blobs, and nothing written but the target |
//!
//! [`shards`] says which damage error correction must repair. Nothing may be reported lost then; where it is
//! more than that, the loss must be.
//!
//! Each test says at its end how many cases it had, how many restores were compared, and in how many cases
//! error correction made up for all damage:
//!
//! ```sh
//! cargo test --package kopia-rs-cli --test damage_matrix
//! KOPIA_RS_DAMAGE=4 cargo test --package kopia-rs-cli --test damage_matrix
//! ```
//! The first is 5,182 cases with 6,281 restores, 126 of them repaired, in 68 processor seconds; the second, before
//! reported repositories were among them, 32,128 cases with 40,477 restores, 478 of them repaired, in 400.
//!
//! `KOPIA_RS_DAMAGE=N` adds N more places, chosen at random with fixed seeds, to each kind of damage that has
//! a place; and it takes every repository, every blob and every snapshot everywhere.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod command;
mod corrected;
mod format;
mod indexes;
mod judge;
mod packs;
mod reported;
mod shards;
mod sound;
mod watch;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use kopia_testkit::damage::{Blobs, Damage};
use kopia_testkit::golden;
use kopia_testkit::random::Random;

/// How many more places each kind of damage is done at.
fn more() -> usize {
    let text = std::env::var("KOPIA_RS_DAMAGE").unwrap_or_default();
    if text.is_empty() { 0 } else { text.parse().expect("KOPIA_RS_DAMAGE is a number") }
}

/// All of them where more is asked for, otherwise those of these names.
fn cases(names: &[&str]) -> Vec<golden::Case> {
    if more() > 0 { golden::cases() } else { names.iter().map(|name| golden::case(name)).collect() }
}

/// Does something with each of these on as many threads as there are cores. Not on those of the library: one
/// that waits there takes up other work, so that nobody could say how long a case takes.
fn each<T: Send>(all: impl IntoIterator<Item = T, IntoIter: Send>, work: impl Fn(T) + Sync) {
    let queue = Mutex::new(all.into_iter());
    let next = || queue.lock().unwrap().next();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| std::iter::from_fn(next).for_each(&work));
        }
    });
}

/// The kinds of damage to a blob, swapped with another one of its kind if there is one, otherwise with a
/// pack.
fn damages(case: &str, id: &str, blobs: &Blobs) -> Vec<Damage> {
    // Those that begin with x have a letter more: what comes next is a number, or a hash.
    let kind = |id: &str| id.get(..if id.starts_with('x') { 2 } else { 1 }).map(str::to_owned);
    let others = || blobs.keys().filter(|other| *other != id);
    let is_pack = |id: &str| id.starts_with(['p', 'q']);
    let other = others().find(|other| kind(other) == kind(id)).or_else(|| others().find(|id| is_pack(id)));
    let mut random = Random::of(&format!("{case} {id}"));
    Damage::every(blobs[id].len(), other.map(String::as_str), more(), &mut random)
}

/// Counts cases and restores, and gathers what is wrong.
#[derive(Default)]
struct Tally {
    cases: AtomicU64,
    restores: AtomicU64,
    repaired: AtomicU64,
    complaints: Mutex<Vec<String>>,
}

impl Tally {
    /// Runs one case, which returns what is wrong; a panic is.
    fn case(&self, name: &str, run: impl FnOnce() -> Vec<String>) {
        let _watched = watch::watch(name);
        self.cases.fetch_add(1, Ordering::Relaxed);
        let complaints = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            vec![format!("panic: {}", text.unwrap_or_default())]
        });
        let complaints = complaints.into_iter().map(|complaint| format!("{name}: {complaint}"));
        self.complaints.lock().unwrap().extend(complaints);
    }

    fn restored(&self) {
        self.restores.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a case in which error correction made up for all damage.
    fn repaired(&self) {
        self.repaired.fetch_add(1, Ordering::Relaxed);
    }

    fn count_repaired(&self) -> u64 {
        self.repaired.load(Ordering::Relaxed)
    }

    /// Says how much was done, past what captures the output of tests, and fails if anything was wrong.
    fn finish(self, what: &str) {
        let repaired = self.count_repaired();
        let (cases, restores) = (self.cases.into_inner(), self.restores.into_inner());
        // In one piece: tests run side by side.
        let line =
            format!("damage matrix, {what}: {cases} cases, {restores} restores, {repaired} repaired\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert!(cases > 0);
        let complaints = self.complaints.into_inner().unwrap();
        let shown = complaints.iter().take(50).cloned().collect::<Vec<_>>().join("\n");
        assert!(complaints.is_empty(), "{} things are wrong:\n{shown}", complaints.len());
    }
}
