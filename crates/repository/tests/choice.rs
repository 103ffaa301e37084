//! Which directories are read to find what patterns take: none that nothing can match below.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::collections::BTreeSet;
use std::ops::ControlFlow::{self, Continue};
use std::sync::Arc;

use kopia_codec::key::Password;
use kopia_format::directory::Summary;
use kopia_repository::choice::{Choice, Chosen};
use kopia_repository::tree::{Problem, Visitor, Walk, Walked};
use kopia_repository::{Defect, Entry, Error, Repository, Trail};
use kopia_storage::MemoryStore;
use kopia_storage::testing::CountingStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

fn entry(kind: &str, name: &str, object: &str) -> Value {
    json!({"name": name, "type": kind, "mode": "0755", "size": 1, "obj": object})
}

/// Each directory lies in a pack of its own: the root, ten in it, ten in each of those, and a file in each.
fn open() -> (Arc<CountingStore<MemoryStore>>, Entry) {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let mut above = Vec::new();
    for a in 0..10 {
        let mut below = Vec::new();
        for b in 0..10 {
            let file = writer.file(format!("{a}{b}").as_bytes());
            let name = if b == 0 { "x.rs".to_owned() } else { format!("x{a}{b}.txt") };
            let object = writer.directory(&[entry("f", &name, &file)]);
            below.push(entry("d", &format!("b{b}"), &object));
        }
        let object = writer.directory(&below);
        above.push(entry("d", &format!("a{a}"), &object));
    }
    let root = writer.directory(&above);
    writer.snapshot("app@host:/data", entry("d", "data", &root));
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let store = Arc::new(CountingStore::new(blobs.collect::<MemoryStore>()));
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    store.take();
    (store, root)
}

/// Counts files.
#[derive(Default)]
struct Counter(u64);

impl Visitor for Counter {
    type Directory = ();

    fn leaf(&mut self, _: &mut Walked<()>, _: Entry) -> ControlFlow<()> {
        self.0 += 1;
        Continue(())
    }

    fn directory(
        &mut self,
        _: &mut Walked<()>,
        _: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<()>> {
        Continue(way.ok().map(drop))
    }

    fn problem(&mut self, _: &mut Walked<()>, problem: Problem) -> ControlFlow<()> {
        panic!("{problem:?}")
    }

    fn leave(&mut self, _: Walked<()>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        read.unwrap();
        Continue(())
    }
}

/// Returns how many directories are read to find what is taken, how many in all with a walk of it, and how
/// many files that comes by.
fn reads(include: &[&str], exclude: &[&str]) -> (usize, usize, u64) {
    let (store, root) = open();
    let mut choice = Choice::default();
    include.iter().for_each(|pattern| choice.include(pattern, false).unwrap());
    exclude.iter().for_each(|pattern| choice.exclude(pattern, false).unwrap());
    let packs = || {
        let calls = store.calls();
        calls.ranges.into_iter().map(|range| range.blob).chain(calls.whole).collect::<BTreeSet<_>>().len()
    };
    let chosen = choice.among([&root]).unwrap();
    let found = packs();
    let mut counter = Counter::default();
    let walk = Walk::new(root.repository()).choosing(&chosen);
    assert!(walk.run([(&root, ())], &mut counter).is_continue());
    (found, packs(), counter.0)
}

#[test]
fn directories_that_no_pattern_can_match_below_are_not_read() {
    // The root, a3 and a3/b4.
    assert_eq!(reads(&["/a3/b4/*.txt"], &[]), (3, 3, 1));
    // All of a3/b4 is taken: nothing is looked for in it.
    assert_eq!(reads(&["/a3/b4/"], &[]), (2, 3, 1));
    // The root, ten, and one in each.
    assert_eq!(reads(&["/*/b0/*.rs"], &[]), (21, 21, 10));
    assert_eq!(reads(&["/a1/b1/", "/a2/*/x.rs"], &[]), (13, 14, 2));
    // A name alone may lie anywhere, but not in what is left out, and what has none of it is not read again.
    assert_eq!(reads(&["*.rs"], &[]), (111, 111, 10));
    assert_eq!(reads(&["*.rs"], &["/a[1-9]/"]), (12, 12, 1));
    assert_eq!(reads(&["*.rs"], &["/a*/b[!0]/"]), (21, 21, 10));
    // Without a pattern of what is taken, nothing has to be found.
    assert_eq!(reads(&[], &["/a[1-9]/", "b0"]), (0, 11, 9));
}

#[test]
fn a_choice_can_begin_below_its_root() {
    let (_, root) = open();
    let mut choice = Choice::default();
    choice.include("/a3/b4/", false).unwrap();
    choice.include("/a5/*/x.rs", false).unwrap();
    let chosen = choice.among([&root]).unwrap();
    let files = |path: &str| {
        let (below, mut counter) = (chosen.below(&root, path)?, Counter::default());
        let entry = root.at(path).unwrap();
        let walk = Walk::new(root.repository()).choosing(&below);
        assert!(walk.run([(&entry, ())], &mut counter).is_continue());
        Some(counter.0)
    };
    assert_eq!([files("a3"), files("a3/b4"), files("a5"), files("a5/b0")], [1, 1, 1, 1].map(Some));
    assert_eq!([files("a1"), files("a3/b5"), files("a5/b1")], [None; 3]);
    let below = |path: &str| chosen.below(&root, path).unwrap();
    assert!(below("a3/b4").takes_file(&root, "anything") && !below("a5/b0").takes_file(&root, "anything"));
    assert!(below("a5/b0").takes_file(&root, "x.rs"));
    // Step by step is the same, and no other folder is.
    let a3 = root.at("a3").unwrap();
    assert_eq!(below("a3").below(&a3, "b4"), Some(below("a3/b4")));
    assert_eq!(below("a3").below(&a3, "b4").unwrap().digest(), below("a3/b4").digest());
    assert_ne!(below("a3").digest(), below("a5").digest());
    assert_ne!(below("a3"), below("a5"));
}

/// As copies by `rsync --link-dest` are: what has not changed is the same object in each.
#[test]
fn of_folders_that_many_copies_share_those_with_something_in_them_are_taken() {
    let mut writer = RepositoryWriter::new();
    let file = writer.file(b"x");
    let sub = writer.directory(&[entry("f", "x.sql", &file)]);
    let folders: Vec<_> = (0..1000)
        .map(|number| {
            let object = match number {
                500 => writer.directory(&[entry("d", "sub", &sub)]),
                _ => writer.directory(&[entry("f", &format!("f{number}.txt"), &file)]),
            };
            entry("d", &format!("d{number:03}"), &object)
        })
        .collect();
    let copy = writer.directory(&folders);
    let copies: Vec<_> = (0..100).map(|number| entry("d", &format!("c{number:02}"), &copy)).collect();
    let root = writer.directory(&copies);
    writer.snapshot("app@host:/data", entry("d", "data", &root));
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let repository = Repository::open(blobs.collect::<MemoryStore>(), &Password::from(PASSWORD)).unwrap();
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    let chosen = |include: &[&str]| {
        let mut choice = Choice::default();
        include.iter().for_each(|pattern| choice.include(pattern, false).unwrap());
        choice.among([&root]).unwrap()
    };
    let all = chosen(&["*.sql"]);
    // In each state of the patterns the same object has something else.
    let two = chosen(&["/c07/d500/*/*.sql", "/c08/d499/*.txt"]);
    for number in 0..100 {
        let taken =
            |chosen: &Chosen, path: &str| chosen.below(&root, &format!("c{number:02}{path}")).is_some();
        let taken = |chosen| ["", "/d499", "/d500", "/d500/sub", "/d501"].map(|path| taken(chosen, path));
        assert_eq!(taken(&all), [true, false, true, true, false], "{number}");
        let (is_seven, is_eight) = (number == 7, number == 8);
        assert_eq!(taken(&two), [is_seven || is_eight, is_eight, is_seven, is_seven, false], "{number}");
    }
    for (chosen, files) in [(all, 100), (two, 2)] {
        let mut counter = Counter::default();
        let walk = Walk::new(&repository).choosing(&chosen);
        assert!(walk.run([(&root, ())], &mut counter).is_continue());
        assert_eq!(counter.0, files);
    }
}
