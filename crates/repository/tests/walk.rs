//! The one walk: in which order it visits, what it leaves out, and where it stops.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;

use kopia_codec::key::Password;
use kopia_format::ObjectId;
use kopia_format::directory::Summary;
use kopia_repository::tree::{Order, Problem, Visitor, Walk, Walked};
use kopia_repository::{Defect, Entry, Error, Repository, Trail};
use kopia_storage::MemoryStore;
use kopia_storage::testing::CountingStore;
use kopia_testkit::writer::{ContentId, PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

fn entry(kind: &str, name: &str, object: &str) -> Value {
    json!({"name": name, "type": kind, "mode": "0644", "size": 1, "obj": object})
}

fn directory(name: &str, object: &str) -> Value {
    entry("d", name, object)
}

/// Writes a repository and opens the root of its snapshot.
fn root(write: impl FnOnce(&mut RepositoryWriter) -> String) -> Entry {
    let mut writer = RepositoryWriter::new();
    let root = write(&mut writer);
    writer.snapshot("app@host:/data", directory("data", &root));
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    let repository = Repository::open(store, &Password::from(PASSWORD)).unwrap();
    let snapshots = repository.snapshots().unwrap();
    snapshots.iter().next().unwrap().root().unwrap()
}

/// Writes down what it is told.
#[derive(Default)]
struct Recorder {
    lines: Vec<String>,
    /// The line at which it stops.
    stop_at: Option<&'static str>,
    /// A directory that it does not descend into, and one that it knows when it comes to it.
    not_into: Option<&'static str>,
    known: Option<&'static str>,
}

impl Recorder {
    fn note(&mut self, line: String) -> ControlFlow<()> {
        let is_last = self.stop_at == Some(&*line);
        self.lines.push(line);
        if is_last { Break(()) } else { Continue(()) }
    }

    fn run(mut self, walk: Walk<'_>, root: &Entry) -> Vec<String> {
        let flow = walk.run([(root, ())], &mut self);
        assert_eq!(flow.is_break(), self.stop_at.is_some());
        self.lines
    }
}

impl Visitor for Recorder {
    type Directory = ();

    fn is_known(&mut self, directory: &Walked<()>) -> bool {
        self.known.is_some_and(|known| directory.path_of("") == known)
    }

    fn enter(&mut self, directory: &mut Walked<()>) -> ControlFlow<()> {
        self.note(format!("enter {}", directory.path_of("")))
    }

    fn leaf(&mut self, parent: &mut Walked<()>, entry: Entry) -> ControlFlow<()> {
        self.note(parent.path_of(entry.name()))
    }

    fn directory(
        &mut self,
        parent: &mut Walked<()>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<()>> {
        let path = parent.path_of(entry.name());
        let trail = match way {
            Ok(trail) => trail,
            Err(defect) => {
                self.note(format!("{path}: {defect}"))?;
                return Continue(Some(()));
            }
        };
        assert_eq!((trail.path_of(""), trail.depth()), (path.clone(), parent.trail.depth() + 1));
        let descends = self.not_into != Some(&*path);
        self.note(path + "/")?;
        Continue(descends.then_some(()))
    }

    fn problem(&mut self, parent: &mut Walked<()>, problem: Problem) -> ControlFlow<()> {
        self.note(match problem {
            Problem::Refused(refused) => format!("{}: {}", parent.path_of(&refused.name), refused.why),
            Problem::NotMerged { name, defect, .. } => format!("{}: {defect}", parent.path_of(&name)),
            Problem::Clash(clash) => format!("{} is {}", clash.path(&parent.path_of("")), clash.other),
        })
    }

    fn leave(&mut self, directory: Walked<()>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        let how = if read.is_ok() { "leave" } else { "give up" };
        self.note(format!("{how} {}", directory.path_of("")))
    }
}

/// `a/{x/f, y/}` and `b/z/`, and a file beside them.
fn small() -> Entry {
    root(|writer| {
        let file = writer.file(b"x");
        let empty = writer.directory(&[]);
        let x = writer.directory(&[entry("f", "f", &file)]);
        let a = writer.directory(&[directory("x", &x), directory("y", &empty)]);
        let b = writer.directory(&[directory("z", &empty)]);
        writer.directory(&[directory("a", &a), directory("b", &b), entry("f", "file", &file)])
    })
}

/// What is entered, in one string.
fn entered(lines: &[String]) -> String {
    let entered = lines.iter().filter_map(|line| line.strip_prefix("enter "));
    entered.collect::<Vec<_>>().join(" ")
}

#[test]
fn both_orders() {
    let root = small();
    let walk = Walk::new(root.repository());
    let batches = Recorder::default().run(walk, &root);
    assert_eq!(entered(&batches), " a b a/x a/y b/z");
    let depth_first = Recorder::default().run(walk.order(Order::DepthFirst), &root);
    assert_eq!(entered(&depth_first), " a a/x a/y b b/z");
    assert_eq!(
        depth_first[..9],
        ["enter ", "a/", "b/", "file", "leave ", "enter a", "a/x/", "a/y/", "leave a"].map(String::from)
    );
}

#[test]
fn what_is_read_ahead_is_visited_in_the_same_order() {
    let root = small();
    let walk = Walk::new(root.repository()).order(Order::DepthFirst);
    assert_eq!(Recorder::default().run(walk.read_ahead(), &root), Recorder::default().run(walk, &root));
    let recorder = Recorder { known: Some("a/y"), ..Recorder::default() };
    assert_eq!(entered(&recorder.run(walk.read_ahead(), &root)), " a a/x b b/z");
}

#[test]
fn what_lies_side_by_side_is_read_at_once_where_that_is_asked_for() {
    let mut writer = RepositoryWriter::new();
    // Of 3 MiB each, so that two are as many as are read at once; they take some kilobytes.
    let json = format!(r#"{{"stream":"kopia:directory",{}"entries":[]}}"#, " ".repeat(3 << 20));
    let large = |number: u8| {
        let id = ContentId::new(Some('k'), &[number; 16]).unwrap();
        writer.forge_gzip(id, json.as_bytes());
        directory(&number.to_string(), &id.to_string())
    };
    let entries: Vec<_> = (0..8).map(large).collect();
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", directory("data", &root));
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let store = Arc::new(CountingStore::new(blobs.collect::<MemoryStore>()));
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    let reads = |walk: Walk<'_>| {
        store.take();
        assert_eq!(entered(&Recorder::default().run(walk, &root)), " 0 1 2 3 4 5 6 7");
        store.take().ranges.len()
    };
    let walk = Walk::new(&repository).order(Order::DepthFirst);
    // That of the root comes first.
    assert_eq!((reads(walk), reads(walk.read_ahead())), (1 + 8, 1 + 4));
}

#[test]
fn several_roots_are_walked_in_their_order() {
    let root = small();
    let (a, b) = (root.at("a").unwrap(), root.at("b").unwrap());
    for (order, expected) in [(Order::Batches, "  x y z"), (Order::DepthFirst, " x y  z")] {
        let mut recorder = Recorder::default();
        let walk = Walk::new(root.repository()).order(order);
        assert!(walk.run([(&a, ()), (&b, ())], &mut recorder).is_continue());
        assert_eq!(entered(&recorder.lines), expected);
    }
}

#[test]
fn each_event_can_be_the_last() {
    let root = small();
    let walk = Walk::new(root.repository());
    let all = Recorder::default().run(walk, &root);
    for (number, line) in all.iter().enumerate() {
        let stop_at = Some(&*line.clone().leak());
        let lines = Recorder { stop_at, ..Recorder::default() }.run(walk, &root);
        assert_eq!(lines, all[..=number]);
    }
}

#[test]
fn a_visitor_says_where_the_walk_goes_on() {
    let root = small();
    let walk = Walk::new(root.repository()).order(Order::DepthFirst);
    let recorder = Recorder { not_into: Some("a"), ..Recorder::default() };
    assert_eq!(entered(&recorder.run(walk, &root)), " b b/z");
    let recorder = Recorder { known: Some("a/y"), ..Recorder::default() };
    assert_eq!(entered(&recorder.run(walk, &root)), " a a/x b b/z");
}

/// The problems, and what is entered.
fn problems(walk: Walk<'_>, root: &Entry) -> (Vec<String>, String) {
    let mut lines = Recorder::default().run(walk, root);
    let entered = entered(&lines);
    lines.retain(|line| line.contains(": ") || line.starts_with("give up"));
    (lines, entered)
}

#[test]
fn directories_that_contain_themselves_are_not_entered() {
    let root = root(|writer| {
        let id: ContentId = "k0123456789abcdef0123456789abcdef".parse().unwrap();
        let inner = writer.directory(&[directory("back", &id.to_string())]);
        let entries = [directory("again", &id.to_string()), directory("in", &inner)];
        let json = json!({"stream": "kopia:directory", "entries": entries});
        writer.forge(id, json.to_string().as_bytes());
        id.to_string()
    });
    for order in [Order::Batches, Order::DepthFirst] {
        let (problems, entered) = problems(Walk::new(root.repository()).order(order), &root);
        assert_eq!(problems, ["again: the folder contains itself", "in/back: the folder contains itself"]);
        assert_eq!(entered, " in");
    }
}

/// Writes down names, and descends into each object once.
#[derive(Default)]
struct Once {
    names: Vec<String>,
    seen: HashSet<ObjectId>,
}

impl Visitor for Once {
    type Directory = ();

    fn leaf(&mut self, _: &mut Walked<()>, entry: Entry) -> ControlFlow<()> {
        self.names.push(entry.name().to_owned());
        Continue(())
    }

    fn directory(
        &mut self,
        _: &mut Walked<()>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<()>> {
        assert!(way.is_ok(), "{}: {way:?}", entry.name());
        self.names.push(format!("{}: {}", entry.name(), entry.is_implied()));
        Continue(self.seen.insert(entry.object()).then_some(()))
    }

    fn problem(&mut self, _: &mut Walked<()>, problem: Problem) -> ControlFlow<()> {
        panic!("{problem:?}")
    }

    fn leave(&mut self, _: Walked<()>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        read.unwrap();
        Continue(())
    }
}

/// Where names lead, and what lies in itself, is up to the visitor then.
#[test]
fn as_it_stands_each_entry_is_in_the_directory_that_has_it() {
    let root = root(|writer| {
        let id: ContentId = "k0123456789abcdef0123456789abcdef".parse().unwrap();
        let file = writer.file(b"x");
        let inner = writer.directory(&[directory("back", &id.to_string()), entry("f", "f", &file)]);
        let entries = [directory("d", &inner), entry("f", "d/g", &file), entry("f", "e/h", &file)];
        let json = json!({"stream": "kopia:directory", "entries": entries});
        writer.forge(id, json.to_string().as_bytes());
        id.to_string()
    });
    let mut once = Once { seen: [root.object()].into(), ..Once::default() };
    assert!(Walk::new(root.repository()).as_it_stands().run([(&root, ())], &mut once).is_continue());
    assert_eq!(once.names, ["d: false", "d/g", "e/h", "back: false", "f"]);
}

/// Where entries are not in kopia's order, their names are read once more, with those that lead elsewhere.
#[test]
fn as_it_stands_each_entry_is_visited_whatever_their_order() {
    let names = ["x/y", "b", "a", "c/d"];
    let root = root(|writer| {
        let file = writer.file(b"x");
        writer.directory(&names.map(|name| entry("f", name, &file)))
    });
    let mut once = Once { seen: [root.object()].into(), ..Once::default() };
    assert!(Walk::new(root.repository()).as_it_stands().run([(&root, ())], &mut once).is_continue());
    assert_eq!(once.names, names);
}

#[test]
fn a_walk_goes_no_deeper_than_it_may() {
    let root = small();
    let walk = Walk::new(root.repository()).max_depth(1);
    let too_deep = ["a/x", "a/y", "b/z"].map(|path| format!("{path}: folders are nested more than 1 deep"));
    assert_eq!(problems(walk, &root), (too_deep.to_vec(), " a b".into()));
}

#[test]
fn what_cannot_be_read_costs_only_itself() {
    let root = root(|writer| {
        let nonsense = writer.content(Some('k'), b"no directory").to_string();
        let empty = writer.directory(&[]);
        let entries = [directory("a", &nonsense), directory("b", &empty), entry("f", "..", &nonsense)];
        writer.directory(&entries)
    });
    let expected = vec!["..: would leave its folder".to_string(), "give up a".into()];
    assert_eq!(problems(Walk::new(root.repository()), &root), (expected, " a b".into()));
}

#[test]
fn no_more_directories_wait_than_may() {
    let count = |order, root: &Entry| {
        let walk = Walk::new(root.repository()).order(order).max_waiting(100);
        let lines = Recorder::default().run(walk, root);
        let barred = lines.iter().filter(|line| line.contains("more than 100 folders")).count();
        (barred, lines.iter().filter(|line| line.starts_with("enter ")).count())
    };
    let wide = root(|writer| {
        let empty = writer.directory(&[]);
        let many: Vec<_> = (0..150).map(|number| directory(&format!("{number:03}"), &empty)).collect();
        writer.directory(&many)
    });
    assert_eq!(count(Order::Batches, &wide), (50, 101));
    assert_eq!(count(Order::DepthFirst, &wide), (50, 101));
    // Each level has 10 directories that wait while the walk is in the first one.
    let deep = root(|writer| {
        let empty = writer.directory(&[]);
        let others: Vec<_> = (1..=10).map(|number| directory(&format!("{number:02}"), &empty)).collect();
        (0..20).fold(writer.directory(&[]), |inner, _| {
            writer.directory(&[&[directory("00", &inner)], &others[..]].concat())
        })
    });
    let (barred, entered) = count(Order::DepthFirst, &deep);
    assert!(barred > 0 && entered > 100, "{barred}, {entered}");
    assert_eq!(count(Order::Batches, &deep), (0, 1 + 20 * 11));
}

#[test]
fn the_names_of_those_that_wait_are_bounded_too() {
    let root = root(|writer| {
        let empty = writer.directory(&[]);
        // Of each level 50 bytes wait while the walk is in the first directory.
        let others: Vec<_> = (0..5).map(|number| directory(&format!("{number:010}"), &empty)).collect();
        (0..20).fold(writer.directory(&[]), |inner, _| {
            writer.directory(&[&[directory("00", &inner)], &others[..]].concat())
        })
    });
    let run = |order, names| {
        let walk = Walk::new(root.repository()).order(order).max_names(names);
        let lines = Recorder::default().run(walk, &root);
        let why = format!("have more than {names} bytes");
        let barred = lines.iter().filter(|line| line.contains(&why)).count();
        (barred, lines.iter().filter(|line| line.starts_with("enter ")).count())
    };
    let all = 1 + 20 * 6;
    assert_eq!(run(Order::DepthFirst, 20 * 52), (0, all));
    assert_eq!(run(Order::DepthFirst, 52), (19 * 5, all - 19 * 5), "the first ones are on the way down");
    assert_eq!(run(Order::Batches, 102), (0, all), "what was visited makes room");
    assert_eq!(run(Order::Batches, 52), (10 * 5, all - 10 * 5), "at every other level");
}

#[test]
fn a_batch_that_finds_many_is_put_back() {
    // 100 directories wait, and each has 8 in it: together they are more than may wait.
    let root = root(|writer| {
        let empty = writer.directory(&[]);
        let few: Vec<_> = (0..8).map(|number| directory(&number.to_string(), &empty)).collect();
        let few = writer.directory(&few);
        let many: Vec<_> = (0..100).map(|number| directory(&format!("{number:02}"), &few)).collect();
        writer.directory(&many)
    });
    let (problems, entered) = problems(Walk::new(root.repository()).max_waiting(200), &root);
    assert!(problems.is_empty(), "{problems:?}");
    // What the first ones found comes before the rest of them.
    assert!(entered.starts_with(" 00 01 02 03 00/0 00/1"), "{entered}");
    assert_eq!(entered.split(' ').count(), 1 + 100 + 800);
}

/// Upper and lower case are one.
fn fold(name: &str) -> Cow<'_, str> {
    name.to_lowercase().into()
}

#[test]
fn where_names_are_folded_directories_are_merged_and_files_clash() {
    let root = root(|writer| {
        let bytes = writer.file(b"x");
        let file = |name: &str| entry("f", name, &bytes);
        let upper = writer.directory(&[file("Same"), file("one")]);
        let lower = writer.directory(&[file("same"), file("two")]);
        let entries = [directory("Case", &upper), file("README"), directory("case", &lower), file("readme")];
        writer.directory(&[&entries[..], &[directory("readMe", &lower)]].concat())
    });
    let walk = Walk::new(root.repository());
    let lines = Recorder::default().run(walk.fold(&fold), &root);
    assert_eq!(
        lines,
        [
            "enter ",
            "README",
            "readme is README",
            "readMe is README",
            "Case/",
            "leave ",
            "enter Case",
            "Case/Same",
            "Case/one",
            "case/same is Same",
            "Case/two",
            "leave Case"
        ]
    );
    // As they are, `readMe` and all else have their own places.
    assert_eq!(entered(&Recorder::default().run(walk, &root)), " Case case readMe");
}

#[test]
fn merged_directories_that_are_the_same_are_read_once() {
    let root = root(|writer| {
        let bytes = writer.file(b"x");
        let mut object = writer.directory(&[entry("f", "f", &bytes)]);
        let other = object.clone();
        // Read as often as they are named, the lowest would be read 2^40 times.
        for _ in 0..40 {
            object = writer.directory(&[directory("a", &object), directory("A", &object)]);
        }
        writer.directory(&[directory("a", &object), directory("A", &object), directory("Á", &other)])
    });
    let lines = Recorder::default().run(Walk::new(root.repository()).fold(&fold), &root);
    assert_eq!(entered(&lines).split(' ').count(), 43);
    assert_eq!(lines.iter().filter(|line| line.ends_with("/f")).count(), 2);
}

#[test]
fn a_merged_directory_that_lies_in_itself_is_left_out() {
    let root = root(|writer| {
        let id: ContentId = "k0123456789abcdef0123456789abcdef".parse().unwrap();
        let bytes = writer.file(b"x");
        let inner = writer.directory(&[entry("f", "f", &bytes)]);
        let entries = [directory("a", &inner), directory("A", &id.to_string())];
        let json = json!({"stream": "kopia:directory", "entries": entries});
        writer.forge(id, json.to_string().as_bytes());
        id.to_string()
    });
    let lines = Recorder::default().run(Walk::new(root.repository()).fold(&fold), &root);
    let expected = ["enter ", "A: the folder contains itself", "a/", "leave ", "enter a", "a/f", "leave a"];
    assert_eq!(lines, expected);
}

/// Adds up how many entries the directories that it leaves say that they lack.
#[derive(Default)]
struct Failures(Vec<(String, Option<i64>)>);

impl Visitor for Failures {
    type Directory = ();

    fn leaf(&mut self, _: &mut Walked<()>, _: Entry) -> ControlFlow<()> {
        Continue(())
    }

    fn directory(
        &mut self,
        _: &mut Walked<()>,
        _: &Entry,
        _: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<()>> {
        Continue(Some(()))
    }

    fn problem(&mut self, _: &mut Walked<()>, _: Problem) -> ControlFlow<()> {
        Continue(())
    }

    fn leave(&mut self, directory: Walked<()>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        let failed = read.unwrap().map(|summary| summary.failed + summary.ignored_errors);
        self.0.push((directory.path_of(""), failed));
        Continue(())
    }
}

#[test]
fn merged_directories_lack_what_each_of_them_lacks() {
    let root = root(|writer| {
        let of = |writer: &mut RepositoryWriter, name: &str, failed: Option<(i64, i64)>| {
            let summary = failed.map(|(failed, ignored)| {
                json!({"size": 1, "files": 1, "numFailed": failed, "numIgnoredErrors": ignored})
            });
            // The name makes each another object.
            let entries = [entry("f", name, &writer.file(b"x"))];
            let json = json!({"stream": "kopia:directory", "entries": entries, "summary": summary});
            writer.object(Some('k'), json.to_string().as_bytes()).to_string()
        };
        let both = [of(writer, "1", Some((3, 20))), of(writer, "2", Some((4, 100)))];
        let first = [of(writer, "3", Some((5, 0))), of(writer, "4", None)];
        let second = [of(writer, "5", None), of(writer, "6", Some((6, 0)))];
        let none = [of(writer, "7", None), of(writer, "8", None)];
        let named = ["a", "b", "c", "d"].into_iter().zip([both, first, second, none]);
        let entries: Vec<_> = named
            .flat_map(|(name, [one, two])| [directory(name, &one), directory(&name.to_uppercase(), &two)])
            .collect();
        writer.directory(&entries)
    });
    let mut failures = Failures::default();
    assert!(Walk::new(root.repository()).fold(&fold).run([(&root, ())], &mut failures).is_continue());
    failures.0.sort();
    let expected = [("", None), ("a", Some(127)), ("b", Some(5)), ("c", Some(6)), ("d", None)];
    assert_eq!(failures.0, expected.map(|(path, failed)| (path.to_owned(), failed)));
}
