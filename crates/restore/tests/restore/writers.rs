//! Threads that only write: the same restore, however many there are.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use kopia_repository::Entry;
use kopia_restore::{Error, Observer, Options, Outcome, Problem, restore_observed};
use kopia_testkit::writer::RepositoryWriter;

use crate::common::{Place, assert_same, file, folder, link, problems};

fn with(writers: usize) -> Options {
    let mut options = Options::default();
    options.writers = NonZeroUsize::new(writers);
    options
}

/// 40 folders of 20 files, of which every tenth is large, an empty one and a link; some have the same bytes.
fn root(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let mut folders = Vec::new();
    for number in 0..40_u8 {
        let mut entries = Vec::new();
        for inner in 0..20_u8 {
            let length = if inner % 10 == 9 { 20_000 } else { 100 };
            let bytes = [vec![number / 2, inner], vec![7; length]].concat();
            let object = writer.file(&bytes);
            entries.push(file(&format!("f{inner}"), &object, length + 2));
        }
        entries.push(file("nothing", &writer.file(b""), 0));
        entries.push(link("link", &writer.file(b"f1")));
        entries.push(folder("empty", &writer.directory(&[])));
        folders.push(folder(&format!("d{number}"), &writer.directory(&entries)));
    }
    let root = folder("data", &writer.directory(&folders));
    writer.snapshot("app@host:/data", root);
    place.finish("repo", writer)
}

/// Returns what an outcome counts.
fn counts(outcome: &Outcome) -> [u64; 6] {
    let Outcome { files, directories, symlinks, bytes, problem_count, kept, .. } = outcome;
    [*files, *directories, *symlinks, *bytes, *problem_count, *kept]
}

#[test]
fn the_tree_is_the_same_however_many_write() {
    let place = Place::new();
    let root = root(&place);
    let plain = place.restore(&root, "plain");
    for writers in [1, 3, 40] {
        let target = place.path(&format!("by-{writers}"));
        let outcome = restore_observed(&root, &target, &with(writers), &()).unwrap();
        assert_eq!(counts(&outcome), counts(&plain), "{writers}");
        assert_same(&place.path("plain"), &target);
        // Once more: everything is there and is compared by writers, too.
        std::fs::write(target.join("d3/f3"), "other").unwrap();
        std::fs::remove_file(target.join("d4/f9")).unwrap();
        let outcome = restore_observed(&root, &target, &with(writers), &()).unwrap();
        assert_eq!((outcome.files, outcome.problem_count), (2, 0), "{writers}");
        assert_same(&place.path("plain"), &target);
    }
}

#[test]
fn damage_is_told_the_same_however_many_write() {
    let place = Place::new();
    let root = root(&place);
    for pack in kopia_testkit::damage::blobs(&place.path("repo"), "p").iter().take(1) {
        pack.flip_bit(pack.read().len() / 2, 0);
    }
    let told = |writers, target: &str| {
        let outcome = restore_observed(&root, place.path(target), &with(writers), &()).unwrap();
        let mut told = problems(&outcome);
        told.sort();
        (counts(&outcome), told)
    };
    let plain = told(0, "plain");
    assert!(!plain.1.is_empty());
    assert_eq!(told(5, "by-5"), plain);
    assert_same(&place.path("plain"), &place.path("by-5"));
}

/// Stops, or panics, after some entries.
struct Ending {
    entries: AtomicU64,
    panics: bool,
}

impl Observer for Ending {
    fn stop(&self) -> bool {
        !self.panics && self.entries.load(Ordering::Relaxed) >= 100
    }

    fn entry(&self) {
        let before = self.entries.fetch_add(1, Ordering::Relaxed);
        assert!(!self.panics || before != 100, "on purpose");
    }

    fn problem(&self, _: &Problem) {}
}

#[test]
fn nobody_waits_for_a_restore_that_is_stopped_or_panics() {
    let place = Place::new();
    let root = root(&place);
    let target = place.path("target");
    let ending = |panics| Ending { entries: AtomicU64::new(0), panics };
    let ended = restore_observed(&root, &target, &with(4), &ending(false));
    assert!(matches!(ended, Err(Error::Stopped { .. })), "{ended:?}");
    let restore = || restore_observed(&root, &target, &with(4), &ending(true));
    assert!(catch_unwind(AssertUnwindSafe(restore)).is_err());
    restore_observed(&root, &target, &with(4), &()).unwrap();
    place.restore(&root, "plain");
    assert_same(&place.path("plain"), &target);
}
