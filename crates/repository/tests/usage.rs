//! How much trees have and take: folder by folder, and in the repository, where each content counts once.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use kopia_codec::key::Password;
use kopia_format::{BlobId, ContentId, ObjectId};
use kopia_repository::usage::{self, Event, Folder, PackRead, Share, Totals};
use kopia_repository::{Entry, Repository};
use kopia_storage::MemoryStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

fn entry(name: &str, kind: &str, object: &str, size: usize) -> Value {
    json!({"name": name, "type": kind, "mode": "0640", "mtime": "2020-01-02T03:04:05Z", "obj": object, "size": size})
}

fn directory(name: &str, object: &str) -> Value {
    entry(name, "d", object, 0)
}

/// A directory that says what is below it.
fn with_totals(name: &str, object: &str, (files, symlinks, dirs, size): (i64, i64, i64, i64)) -> Value {
    let mut entry = directory(name, object);
    entry["summ"] = json!({"size": size, "files": files, "symlinks": symlinks, "dirs": dirs, "numFailed": 0});
    entry
}

fn missing(number: usize) -> String {
    format!("{number:032x}")
}

/// Opens a repository and returns it with the roots of its snapshots, the oldest first.
fn open(writer: RepositoryWriter) -> (Repository, Vec<Entry>) {
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    let repository = Repository::open(store, &Password::from(PASSWORD)).unwrap();
    let snapshots = repository.snapshots().unwrap();
    let mut snapshots: Vec<_> = snapshots.iter().collect();
    snapshots.sort_by_key(|snapshot| snapshot.start_time());
    let roots = snapshots.iter().map(|snapshot| snapshot.root().unwrap()).collect();
    (repository, roots)
}

/// Writes a repository with snapshots of some directories, and opens it.
fn repository(write: impl FnOnce(&mut RepositoryWriter) -> Vec<Value>) -> (Repository, Vec<Entry>) {
    let mut writer = RepositoryWriter::new().piece_size(2000).pack_size(300);
    for root in write(&mut writer) {
        writer.snapshot("app@host:/data", root);
    }
    open(writer)
}

/// All contents but those of manifests.
fn contents(repository: &Repository) -> BTreeMap<ContentId, kopia_repository::ContentLocation> {
    let mut all = BTreeMap::new();
    repository.contents().for_each(|content, location| {
        all.insert(content, location);
    });
    all.retain(|content, _| content.prefix() != Some('m'));
    all
}

/// Two trees that have a directory in common, and in all: five files and links, three directories, one list.
fn two_trees(writer: &mut RepositoryWriter) -> Vec<Value> {
    let (one, two, target) = (writer.file(b"one"), writer.file(b"twice"), writer.file(b"a"));
    // The same piece twice, and the rest.
    let long = writer.file(&[&[7_u8; 4000][..], &[8; 400]].concat());
    let common = writer.directory(&[entry("c", "f", &two, 5)]);
    let first = writer.directory(&[
        directory("inner", &common),
        entry("a", "f", &one, 3),
        entry("b", "f", &one, 3),
        entry("big", "f", &long, 4400),
        entry("link", "s", &target, 1),
    ]);
    let three = writer.file(b"three");
    let second = writer.directory(&[directory("other", &common), entry("own", "f", &three, 5)]);
    vec![directory("data", &first), directory("data", &second)]
}

#[test]
fn what_trees_need_is_counted_once() {
    let (repository, roots) = repository(two_trees);
    let (mut plain, mut stored, mut metadata) = (0, 0, 0);
    let contents = contents(&repository);
    for (content, location) in &contents {
        plain += location.plain_length();
        stored += location.stored_length();
        metadata += if content.prefix().is_some() { location.stored_length() } else { 0 };
    }
    // one, twice, a, three; two pieces and their list; three directories.
    assert_eq!(contents.len(), 10);
    let found = usage::stored(&repository, &roots);
    assert_eq!((found.files, found.directories, found.contents), (5, 3, 10));
    assert_eq!((found.plain_bytes, found.stored_bytes, found.metadata_bytes), (plain, stored, metadata));
    assert_eq!((found.problems.len(), found.problem_count), (0, 0));
    let one = usage::stored(&repository, [&roots[1].at("own").unwrap()]);
    assert_eq!((one.files, one.directories, one.contents, one.plain_bytes), (1, 0, 1, 5));
    assert_eq!((one.metadata_bytes, one.problem_count), (0, 0), "a file is not read as a directory");
}

#[test]
fn names_that_lead_into_a_directory_belong_to_it() {
    let (repository, roots) = repository(|writer| {
        let (one, two) = (writer.file(b"one"), writer.file(b"twice"));
        let inner = writer.directory(&[entry("own", "f", &one, 3)]);
        let below = writer.directory(&[entry("below", "f", &two, 5)]);
        let root = writer.directory(&[
            directory("d", &inner),
            entry("d/more", "f", &two, 5),
            directory("implied/deep", &below),
        ]);
        vec![directory("data", &root)]
    });
    let count = |path: &str| {
        let found = usage::stored(&repository, [&roots[0].at(path).unwrap()]);
        (found.files, found.directories, found.contents)
    };
    assert_eq!(count("d"), (2, 1, 3));
    assert_eq!(count("implied"), (1, 1, 2), "it is no object itself");
    assert_eq!(count(""), (2, 3, 5));
}

#[test]
fn packs_of_directories_and_lists_are_named_with_what_is_read_of_them() {
    let (repository, roots) = repository(two_trees);
    let mut packs: BTreeMap<BlobId, (u64, u64)> = BTreeMap::new();
    for (_, location) in contents(&repository).iter().filter(|(content, _)| content.prefix().is_some()) {
        let origin = repository.contents().origin(location);
        let pack = packs.entry(origin.blob).or_default();
        *pack = (pack.0 + 1, pack.1 + location.stored_length());
    }
    // All of the second tree but its root.
    let second = roots[1].object().content();
    let origin = repository.contents().origin(&repository.contents().locate(&second).unwrap());
    let pack = packs.get_mut(&origin.blob).unwrap();
    *pack = (pack.0 - 1, pack.1 - origin.length);
    packs.retain(|_, (ranges, _)| *ranges > 0);
    assert!(packs.len() > 1 && packs.values().any(|(ranges, _)| *ranges > 1), "{packs:?}");
    let expected: Vec<_> =
        packs.into_iter().map(|(blob, (ranges, bytes))| PackRead::new(blob, ranges, bytes)).collect();
    assert_eq!(usage::metadata_packs(&repository, &roots[0], None), expected);
}

#[test]
fn each_tree_takes_what_no_other_needs_and_its_part_of_the_rest() {
    let (repository, roots) = repository(|writer| {
        let texts = ["first", "of both", "of first and others", "second", "of all of them"];
        let [first, both, outside, second, all] = texts.map(|text| writer.file(text.as_bytes()));
        let lost = missing(1);
        let of = |files: &[(&str, &String)]| -> Vec<Value> {
            files.iter().map(|(name, object)| entry(name, "f", object, 5)).collect()
        };
        let trees = [
            of(&[("1", &first), ("2", &both), ("3", &outside), ("4", &all), ("again", &first), ("x", &lost)]),
            of(&[("a", &both), ("b", &second), ("c", &all), ("x", &lost)]),
            of(&[("A", &outside), ("B", &all), ("x", &lost)]),
        ];
        trees.map(|files| directory("data", &writer.directory(&files))).to_vec()
    });
    let size = |entry: &Entry| {
        let location = repository.contents().locate(&entry.object().content()).unwrap();
        location.stored_length()
    };
    let at = |tree: usize, name: &str| size(&roots[tree].at(name).unwrap());
    let found = usage::shares(&repository, &roots[..2], &roots[2..]);
    let share = |share: &Share| (share.unique, share.shared);
    let first = (size(&roots[0]) + at(0, "1"), at(0, "2") + at(0, "3") + at(0, "4"));
    let second = (size(&roots[1]) + at(1, "b"), at(1, "a") + at(1, "c"));
    assert_eq!(found.each.iter().map(share).collect::<Vec<_>>(), [first, second]);
    assert_eq!(share(&found.all), (first.0 + second.0 + at(0, "2"), at(0, "3") + at(0, "4")));
    assert_eq!(found.problem_count, 3, "one in each tree");
}

#[test]
fn of_many_problems_the_first_are_kept_and_all_are_counted() {
    let (repository, roots) = repository(|writer| {
        let mut entries = vec![directory("broken", &writer.object(Some('k'), b"{").to_string())];
        entries.extend((0..1000).map(|number| entry(&number.to_string(), "f", &missing(number), 1)));
        vec![directory("data", &writer.directory(&entries))]
    });
    let found = usage::stored(&repository, &roots);
    assert_eq!((found.files, found.directories), (1000, 2));
    assert_eq!((found.problems.len(), found.problem_count), (1000, 1001));
}

#[test]
fn a_directory_that_is_lost_is_one_problem() {
    let lost = format!("k{}", missing(1));
    let (repository, roots) = repository(|writer| {
        let root = writer.directory(&[directory("lost", &lost)]);
        vec![directory("data", &root), directory("data", &lost)]
    });
    for root in &roots {
        let found = usage::stored(&repository, [root]);
        let objects: Vec<_> = found.problems.iter().map(|(object, _)| *object).collect();
        assert_eq!((objects, found.problem_count), (vec![lost.parse::<ObjectId>().unwrap()], 1));
    }
}

/// Lists the folders of a tree with what is below each: files, directories, bytes; and problems.
fn folders(root: &Entry, depth: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let flow = usage::folders(root, depth, |event| {
        lines.push(match event {
            Event::Folder(folder) => {
                let (path, Folder { entry, totals: Totals { files, directories, bytes }, .. }) =
                    (folder.path(), folder);
                assert!(path.ends_with(entry.name()) || path.is_empty(), "{path}: {entry:?}");
                format!("{path}/ {files} {directories} {bytes}")
            }
            Event::Problem { path, .. } => format!("{path} problem"),
        });
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    lines
}

#[test]
fn a_folder_has_what_is_in_it_and_in_all_below() {
    let (_, roots) = repository(|writer| {
        let one = writer.file(b"one");
        let c = writer.directory(&[entry("z", "f", &one, 2), entry("link", "s", &one, 100)]);
        let b = writer.directory(&[directory("c", &c), entry("y", "f", &one, 4)]);
        let a = writer.directory(&[directory("b", &b), entry("x", "f", &one, 3)]);
        let e = writer.directory(&[]);
        let root = writer.directory(&[directory("a", &a), directory("e", &e), entry("f", "f", &one, 5)]);
        vec![directory("data", &root)]
    });
    let all = ["a/b/c/ 2 0 2", "a/b/ 3 1 6", "a/ 4 2 9", "e/ 0 0 0", "/ 5 4 14"];
    assert_eq!(folders(&roots[0], 0), all[4..]);
    assert_eq!(folders(&roots[0], 1), all[2..]);
    assert_eq!(folders(&roots[0], 2), all[1..]);
    assert_eq!(folders(&roots[0], 3), all);
    let mut seen = 0;
    let flow = usage::folders(&roots[0], 9, |_| {
        seen += 1;
        ControlFlow::Break(())
    });
    assert_eq!((flow, seen), (ControlFlow::Break(()), 1));
}

#[test]
fn totals_of_a_directory_are_taken_where_nothing_in_it_is_asked_for() {
    let lost = format!("k{}", missing(1));
    let (_, roots) = repository(|writer| {
        let one = writer.file(b"one");
        let b = writer.directory(&[with_totals("c", &lost, (5, 1, 2, 50)), entry("y", "f", &one, 4)]);
        let a = writer.directory(&[with_totals("b", &b, (7, 1, 4, 70))]);
        let root = writer
            .directory(&[with_totals("a", &a, (8, 2, 5, 80)), with_totals("empty", &lost, (0, 0, 0, -1))]);
        vec![directory("data", &root)]
    });
    // What they say differs, so that it can be seen who was asked.
    assert_eq!(folders(&roots[0], 0), ["/ 10 6 80"]);
    assert_eq!(folders(&roots[0], 1), ["a/ 10 4 80", "empty/ 0 0 0", "/ 10 6 80"]);
    assert_eq!(
        folders(&roots[0], 2),
        ["a/b/ 8 3 70", "a/ 8 4 70", "empty problem", "empty/ 0 0 0", "/ 8 6 70"]
    );
    let Some(totals) = Totals::of_summary(&roots[0].at("a/b").unwrap()) else { panic!("it has totals") };
    assert_eq!((totals.files, totals.directories, totals.bytes), (8, 3, 70));
}

#[test]
fn only_a_directory_of_which_its_object_says_all_has_totals() {
    let (_, roots) = repository(|writer| {
        let one = writer.file(b"one");
        let inner = writer.directory(&[entry("x", "f", &one, 3)]);
        let mut file = entry("f", "f", &one, 3);
        file["summ"] = json!({"size": 9, "files": 9, "symlinks": 9, "dirs": 9, "numFailed": 0});
        let root = writer.directory(&[
            with_totals("d", &inner, (9, 9, 9, 9)),
            with_totals("e", &inner, (9, 9, 9, 9)),
            file,
            entry("d/y", "f", &one, 3),
        ]);
        vec![directory("data", &root)]
    });
    let totals = |name: &str| Totals::of_summary(&roots[0].at(name).unwrap());
    assert_eq!((totals("d"), totals("f"), totals("")), (None, None, None));
    assert_eq!(totals("e"), Some(Totals { files: 18, directories: 8, bytes: 9 }));
    let mut lines = folders(&roots[0], 1);
    lines.sort();
    assert_eq!(lines, ["/ 21 10 18", "d/ 2 0 6", "e/ 18 8 9"]);
}

#[test]
fn what_cannot_be_counted_is_named() {
    let lost = format!("k{}", missing(1));
    let (_, roots) = repository(|writer| {
        let one = writer.file(b"one");
        let inner = writer.directory(&[directory("lost", &lost), entry("..", "f", &one, 3)]);
        let root = writer.directory(&[directory("d", &inner), entry("f", "f", &one, 3)]);
        vec![directory("data", &root)]
    });
    let mut lines = folders(&roots[0], 1);
    lines.sort();
    assert_eq!(lines, ["/ 1 2 3", "d/ 0 1 0", "d/.. problem", "d/lost problem"]);
}
