//! Repositories that somebody wrote to do harm.

use std::fs;

use crate::common::{Place, file, folder, link, names, problems};
use kopia_format::ContentId;
use kopia_restore::Options;
use serde_json::json;

#[test]
fn names_that_would_leave_the_target_are_refused_one_by_one() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let bad = ["..", ".", "", "/etc/../passwd", "a/../../b", "../up", "nul\0"];
        let mut entries: Vec<_> = bad.iter().map(|name| file(name, &bytes, 5)).collect();
        let inner = writer.directory(&[file("x", &bytes, 5)]);
        entries.push(folder("..", &inner));
        entries.push(link("../link", &bytes));
        entries.push(file("good", &bytes, 5));
        folder("data", &writer.directory(&entries))
    });
    let outcome = place.restore(&root, "out/target");
    assert_eq!((outcome.files, outcome.problem_count), (1, 9), "{:?}", problems(&outcome));
    assert_eq!(names(&place.path("out/target")), ["good"]);
    assert_eq!(names(&place.path("out")), ["target"]);
}

/// What is in such a folder would be done by an undo, as whoever runs that.
#[test]
fn folders_that_an_undo_would_trust_are_not_restored() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let planted = writer.directory(&[file("journal", &bytes, 5)]);
        let inner = writer.directory(&[folder(".kopia-rs-undo-y", &planted), file("x", &bytes, 5)]);
        let entries = [
            file(".Kopia-RS-undo-x/journal", &bytes, 5),
            folder(".kopia-rs-undo", &planted),
            file(".kopia-rs-undo-file", &bytes, 5),
            folder(".kopia-rs-undo-z", &planted),
            folder("inner", &inner),
        ];
        folder("data", &writer.directory(&entries))
    });
    let target = place.path("target");
    let own = target.join("inner/.kopia-rs-undo-y");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("journal"), "mine").unwrap();
    let mut options = Options::default();
    options.delete_extra = true;
    let words = |problems: &[kopia_restore::Problem]| {
        let mut words: Vec<_> =
            problems.iter().map(|problem| (problem.path.clone(), problem.reason.word())).collect();
        words.sort();
        words
    };
    let refused = [".Kopia-RS-undo-x", ".kopia-rs-undo-z", "inner/.kopia-rs-undo-y"]
        .map(|path| (path.to_owned(), "kept_name"));
    let preview = kopia_restore::preview(&root, &target, &options, |_| ()).unwrap();
    assert_eq!(words(&preview.problems), refused);
    // Whoever only reads has them as any others.
    let figures = kopia_restore::Plan::new(&root, &options).unwrap().figures().unwrap();
    assert_eq!((figures.files, figures.problem_count), (6, 0));
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert_eq!(words(&outcome.problems), refused);
    assert_eq!(names(&target), [".kopia-rs-undo", ".kopia-rs-undo-file", "inner"]);
    assert_eq!(names(&target.join("inner")), [".kopia-rs-undo-y", "x"]);
    assert_eq!(
        (names(&own), fs::read(own.join("journal")).unwrap()),
        (vec!["journal".into()], b"mine".to_vec())
    );
}

#[test]
fn of_two_entries_of_one_name_the_first_is_restored_and_the_second_reported() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let (one, two) = (writer.file(b"one"), writer.file(b"two!"));
        let inner = writer.directory(&[file("x", &one, 3)]);
        let entries = [folder("d", &inner), folder("d", &inner), file("f", &one, 3), file("f", &two, 4)];
        folder("data", &writer.directory(&entries))
    });
    let outcome = place.restore(&root, "target");
    assert_eq!(outcome.problem_count, 2);
    assert!(problems(&outcome)[1].starts_with("f: another entry"), "{:?}", problems(&outcome));
    assert_eq!(fs::read(place.path("target/f")).unwrap(), b"one");
    assert_eq!(names(&place.path("target")), ["d", "f"]);
}

#[test]
fn doubled_names_that_are_no_neighbours_are_reported_too() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let one = writer.file(b"one");
        let inner = writer.directory(&[file("x", &one, 3)]);
        let entries = [folder("n", &inner), file("a", &one, 3), file("n", &one, 3), link("a", &one)];
        folder("data", &writer.directory(&entries))
    });
    let outcome = place.restore(&root, "target");
    assert_eq!(outcome.problem_count, 2, "{:?}", problems(&outcome));
    assert!(problems(&outcome).iter().all(|problem| problem.contains("another entry")));
    assert_eq!(names(&place.path("target")), ["a", "n"]);
}

#[test]
fn of_unsorted_entries_of_one_name_the_first_counts_for_every_command() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let (one, two) = (writer.file(b"one"), writer.file(b"two!"));
        let inner = writer.directory(&[file("x", &one, 3)]);
        let mut entries: Vec<_> = ["b", "a", "c"].iter().map(|name| file(name, &one, 3)).collect();
        // Enough for several batches of work, in which the second one could otherwise overtake the first.
        entries.extend((0..2000).map(|number| file(&format!("f{number:04}"), &two, 4)));
        entries.extend([folder("b", &inner), file("c", &two, 4), folder("d", &inner), link("a", &two)]);
        entries.extend([file("d", &one, 3), folder("d", &inner)]);
        folder("data", &writer.directory(&entries))
    });
    let why = "another entry of the folder has this name; only one of them is restored";
    let expected = ["a", "b", "c", "d", "d"].map(|name| format!("{name}: {why}"));
    let is_expected = |mut found: Vec<String>| {
        found.sort();
        let sentences: Vec<_> =
            found.iter().map(|line| line.split("; ").take(2).collect::<Vec<_>>()).collect();
        sentences.iter().map(|sentences| sentences.join("; ")).eq(expected.clone())
    };
    for number in 0..3 {
        let target = format!("target{number}");
        let preview = kopia_restore::preview(&root, place.path(&target), &Options::default(), |_| ());
        let foreseen = preview.unwrap().problems.iter().map(ToString::to_string).collect();
        assert!(is_expected(foreseen), "the dry run");
        let outcome = place.restore(&root, &target);
        assert!(is_expected(problems(&outcome)), "{:?}", problems(&outcome));
        for name in ["a", "b", "c"] {
            assert_eq!(fs::read(place.path(&target).join(name)).unwrap(), b"one", "{name}");
        }
        assert_eq!(names(&place.path(&target).join("d")), ["x"]);
    }
    let report = root
        .repository()
        .verify_entry(None, &root, &kopia_repository::verify::Options::default(), &())
        .unwrap();
    let affected = report.affected.iter().map(|entry| format!("{}: {}", entry.path, entry.reason));
    assert!(is_expected(affected.collect()), "{:?}", report.affected);
}

#[test]
fn a_folder_that_contains_itself_ends() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let id: ContentId = "k00112233445566778899aabbccddeeff".parse().unwrap();
        let json = json!({"stream": "kopia:directory", "entries": [folder("again", &id.to_string())]});
        writer.forge(id, json.to_string().as_bytes());
        folder("data", &id.to_string())
    });
    let outcome = place.restore(&root, "target");
    assert_eq!(problems(&outcome), ["again: the folder contains itself"]);
}

#[test]
fn lists_that_contain_themselves_or_lie_end() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let list = |id: &str, length: u64| {
            json!({"stream": "kopia:indirect", "entries": [{"l": length, "o": id}]}).to_string()
        };
        let cycle: ContentId = "x00112233445566778899aabbccddeeff".parse().unwrap();
        writer.forge(cycle, list(&format!("I{cycle}"), 5).as_bytes());
        let bytes = writer.file(b"hello");
        let long = writer.content(Some('x'), list(&bytes, 6).as_bytes());
        let huge = writer.content(Some('x'), list(&bytes, i64::MAX as u64).as_bytes());
        let entries = [
            file("cycle", &format!("I{cycle}"), 5),
            file("good", &bytes, 5),
            file("huge", &format!("I{huge}"), 5),
            file("long", &format!("I{long}"), 6),
            file("lost", "00112233445566778899aabbccddeeff", 5),
        ];
        folder("data", &writer.directory(&entries))
    });
    let outcome = place.restore(&root, "target");
    assert_eq!(outcome.problem_count, 4, "{:?}", problems(&outcome));
    assert_eq!(names(&place.path("target")), ["good"]);
}

#[test]
fn a_size_that_is_not_true_is_reported() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        folder("data", &writer.directory(&[file("long", &bytes, 4), file("short", &bytes, 1 << 40)]))
    });
    let outcome = place.restore(&root, "target");
    assert_eq!(outcome.problem_count, 2);
    assert_eq!(fs::read(place.path("target/short")).unwrap(), b"hello");
}

#[test]
fn a_false_size_of_a_large_file_costs_nothing_but_a_word() {
    let place = Place::new();
    let mut writer = kopia_testkit::writer::RepositoryWriter::new().piece_size(1000);
    let bytes = writer.file(&[7; 3000]);
    let entries = [
        file("none", &bytes, 0),
        // There is room for that much, so it is reserved and must be cut off.
        file("roomy", &bytes, 3 << 20),
        file("vast", &bytes, 1 << 60),
        file("wide", &bytes, 1 << 40),
    ];
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", folder("data", &root));
    let root = place.finish("repo", writer);
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("target/vast"), b"precious").unwrap();
    let outcome = place.restore(&root, "target");
    assert_eq!((outcome.files, outcome.problem_count), (4, 4), "{:?}", problems(&outcome));
    for name in ["none", "roomy", "vast", "wide"] {
        assert_eq!(fs::read(place.path("target").join(name)).unwrap(), [7; 3000], "{name}");
    }
}

#[test]
fn a_link_longer_than_a_content_is_no_file() {
    let place = Place::new();
    let mut writer = kopia_testkit::writer::RepositoryWriter::new().piece_size(1000);
    let bytes = writer.file(&[b'x'; 1500]);
    let root = writer.directory(&[link("l", &bytes)]);
    writer.snapshot("app@host:/data", folder("data", &root));
    let outcome = place.restore(&place.finish("repo", writer), "target");
    assert_eq!(outcome.problem_count, 1);
    assert!(names(&place.path("target")).is_empty());
}

#[test]
fn targets_that_no_link_can_have_are_told_from_names_that_no_file_system_takes() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let targets = [&b""[..], b"a\0b", &[b'x'; 4096], &[b'x'; 4095]];
        let [empty, nul, long, longest] = targets.map(|target| writer.file(target));
        // One that Windows would not take, either.
        let entries =
            [link("a:empty", &empty), link("long", &long), link("longest", &longest), link("nul", &nul)];
        folder("data", &writer.directory(&entries))
    });
    let outcome = place.restore(&root, "target");
    let told: Vec<_> =
        outcome.problems.iter().map(|problem| (&*problem.path, problem.reason.word())).collect();
    let expected = [("a:empty", "bad_link_target"), ("long", "long_link_target"), ("nul", "bad_link_target")];
    if told.len() == 4 {
        // A file system of small blocks.
        assert_eq!(told[2], ("longest", "unfit_link_length"));
    } else {
        assert_eq!(told, expected);
        assert_eq!(fs::read_link(place.path("target/longest")).unwrap().as_os_str().len(), 4095);
    }
}

#[test]
fn lists_whose_lists_are_themselves_end() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let id: ContentId = "x07070707070707070707070707070707".parse().unwrap();
        let list = json!({"stream": "kopia:indirect", "entries": [{"l": 5, "o": format!("II{id}")}]});
        writer.forge(id, list.to_string().as_bytes());
        folder("data", &writer.directory(&[file("f", &format!("I{id}"), 5)]))
    });
    let outcome = place.restore(&root, "target");
    assert_eq!(outcome.problem_count, 1, "{:?}", problems(&outcome));
}

#[test]
fn too_deep_is_said_and_the_rest_restored() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let mut inner = writer.directory(&[file("deepest", &bytes, 5)]);
        for _ in 0..20 {
            inner = writer.directory(&[folder("d", &inner), file("f", &bytes, 5)]);
        }
        folder("data", &inner)
    });
    let mut options = kopia_restore::Options::default();
    options.max_depth = 10;
    let outcome = kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    assert_eq!(outcome.files, 11);
    assert_eq!(problems(&outcome), [format!("{}d: folders are nested more than 10 deep", "d/".repeat(10))]);
}
