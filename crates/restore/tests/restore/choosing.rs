//! What is chosen of a snapshot, and what is made of the rest.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use kopia_repository::choice::{Choice, Chosen};
use kopia_repository::{Entry, Error, Shard};
use kopia_restore::{Options, Outcome, Plan, Portion, Preview};
use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{Place, file, folder, mode, names, problems, set_mode};

/// `docs/{a.txt,b.bin,old/c.txt}`, `empty/`, `junk/` that cannot be read, `src/deep/{d.txt,e.o}`, `src/f.o`,
/// `top.txt`.
fn root(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new();
    let bytes = writer.file(b"hello");
    let mut directory = |entries: &[serde_json::Value]| writer.directory(entries);
    let old = directory(&[file("c.txt", &bytes, 5)]);
    let docs = directory(&[folder("old", &old), file("a.txt", &bytes, 5), file("b.bin", &bytes, 5)]);
    let deep = directory(&[file("d.txt", &bytes, 5), file("e.o", &bytes, 5)]);
    let src = directory(&[folder("deep", &deep), file("f.o", &bytes, 5)]);
    let empty = directory(&[]);
    let mut docs = folder("docs", &docs);
    docs["mode"] = json!("0710");
    let entries = [
        docs,
        folder("empty", &empty),
        folder("junk", "k00112233445566778899aabbccddeeff"),
        folder("src", &src),
        file("top.txt", &bytes, 5),
    ];
    let root = folder("data", &directory(&entries));
    writer.snapshot("app@host:/data", root);
    place.finish("repo", writer)
}

fn chosen(root: &Entry, include: &[&str], exclude: &[&str]) -> Chosen {
    let mut choice = Choice::default();
    include.iter().for_each(|pattern| choice.include(pattern, false).unwrap());
    exclude.iter().for_each(|pattern| choice.exclude(pattern, false).unwrap());
    choice.among([root]).unwrap()
}

fn options(root: &Entry, include: &[&str], exclude: &[&str]) -> Options {
    let mut options = Options::default();
    options.chosen = Some(chosen(root, include, exclude));
    options
}

/// Restores, and asserts that the dry run and the figures say the same.
fn restore(place: &Place, root: &Entry, options: &Options, target: &str) -> (Preview, Outcome) {
    let target = place.path(target);
    let is_new = !target.exists();
    let preview = kopia_restore::preview(root, &target, options, |_| ()).unwrap();
    let figures = Plan::new(root, options).unwrap().figures().unwrap();
    let outcome = kopia_restore::restore(root, &target, options).unwrap();
    let said = (preview.kept, preview.deleted, preview.left_out, preview.problem_count);
    assert_eq!(said, (outcome.kept, outcome.deleted, outcome.left_out, outcome.problem_count));
    if is_new {
        let counts = (figures.files, figures.directories, figures.left_out);
        assert_eq!(counts, (outcome.files, outcome.directories, outcome.left_out));
    }
    (preview, outcome)
}

/// Every path below a folder, sorted.
fn paths(place: &Place, target: &str) -> Vec<String> {
    let (root, mut found, mut waiting) = (place.path(target), Vec::new(), vec![place.path(target)]);
    while let Some(folder) = waiting.pop() {
        for name in names(&folder) {
            let path = folder.join(name);
            found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            if path.is_dir() {
                waiting.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_chosen_comes_with_its_folders_and_nothing_else_is_read() {
    let place = Place::new();
    let root = root(&place);
    let cases: [(&[&str], &[&str], &[&str]); 7] = [
        (&["/docs/*.txt"], &[], &["docs", "docs/a.txt"]),
        (&["old", "/top.txt"], &["/junk"], &["docs", "docs/old", "docs/old/c.txt", "top.txt"]),
        (&["/src/**/*.txt"], &[], &["src", "src/deep", "src/deep/d.txt"]),
        (&["/empty"], &[], &["empty"]),
        (&["/src"], &["*.o"], &["src", "src/deep", "src/deep/d.txt"]),
        (
            &[],
            &["/junk/", "*.o", "docs/*", "!docs/old"],
            &["docs", "docs/old", "docs/old/c.txt", "empty", "src", "src/deep", "src/deep/d.txt", "top.txt"],
        ),
        (&["*.txt", "!c.txt"], &["/junk", "/src"], &["docs", "docs/a.txt", "top.txt"]),
    ];
    for (number, (include, exclude, expected)) in cases.into_iter().enumerate() {
        let target = format!("target{number}");
        let (_, outcome) = restore(&place, &root, &options(&root, include, exclude), &target);
        assert_eq!(paths(&place, &target), expected, "{include:?} {exclude:?}");
        assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
        assert!(outcome.left_out > 0);
    }
    assert_eq!(mode(place.path("target0/docs")), 0o710);
}

#[test]
fn a_folder_that_cannot_be_read_may_have_what_is_wanted() {
    let place = Place::new();
    let root = root(&place);
    let (_, outcome) = restore(&place, &root, &options(&root, &["c.txt"], &[]), "target");
    assert_eq!(outcome.problem_count, 1, "{:?}", problems(&outcome));
    assert!(problems(&outcome)[0].starts_with("junk"));
    assert!(paths(&place, "target").contains(&"docs/old/c.txt".into()));
}

#[test]
fn what_is_refused_is_told_if_it_is_chosen_or_may_be_a_folder_with_what_is() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let inner = writer.directory(&[file("b.sql", &bytes, 5)]);
        let mut negative = file("negative", &bytes, 5);
        negative["size"] = json!(-1);
        let mut no_mode = file("no mode", &bytes, 5);
        no_mode["mode"] = json!("rw");
        let entries = [
            file("a.sql", &bytes, 5),
            file("notes.txt", &bytes, 5),
            file("notes.txt", &bytes, 5),
            negative,
            no_mode,
        ];
        let files = writer.directory(&entries);
        let entries = [folder("sub", &inner), folder("sub", &inner), file("a.sql", &bytes, 5)];
        let folders = writer.directory(&entries);
        folder("data", &writer.directory(&[folder("files", &files), folder("folders", &folders)]))
    });
    let cases: [(&[&str], &[&str]); 4] = [
        (&["/files/*.sql"], &[]),
        (&["*.sql"], &["folders/sub"]),
        (&["/files/notes.*"], &["files/notes.txt"]),
        (&["/files/n*"], &["files/negative", "files/no mode", "files/notes.txt"]),
    ];
    for (number, (include, expected)) in cases.into_iter().enumerate() {
        let target = format!("target{number}");
        let (_, outcome) = restore(&place, &root, &options(&root, include, &[]), &target);
        let mut told: Vec<_> = outcome.problems.iter().map(|problem| problem.path.clone()).collect();
        told.sort();
        assert_eq!(told, expected, "{include:?}: {:?}", problems(&outcome));
        assert_eq!(outcome.problem_count, expected.len() as u64);
    }
    assert!(place.path("target1/files/a.sql").exists() && place.path("target1/folders/sub/b.sql").exists());
}

#[test]
fn patterns_that_match_nothing_are_known_before_anything_is_done() {
    let place = Place::new();
    let root = root(&place);
    let mut choice = Choice::default();
    for pattern in ["/docs/*.zip", "/top.txt/", "/src/deep/x/y"] {
        choice.include(pattern, false).unwrap();
    }
    let error = choice.among([&root]).unwrap_err();
    assert!(matches!(&error, Error::NothingChosen { patterns } if patterns.len() == 3));
    assert!(error.to_string().contains("\"/docs/*.zip\""), "{error}");
    assert_eq!(chosen(&root, &["/docs/*.zip", "/docs/*.txt"], &[]).unmatched(), ["/docs/*.zip"]);
    // What one pattern takes is not looked through for the others.
    assert!(chosen(&root, &["/src", "*.o", "/src/deep/*.txt"], &[]).unmatched().is_empty());
    assert_eq!(chosen(&root, &["/src", "/docs/x"], &[]).unmatched(), ["/docs/x"]);
}

#[test]
fn what_is_not_chosen_is_no_extra() {
    let place = Place::new();
    let root = root(&place);
    let target = |path: &str| place.path("target").join(path);
    for path in
        ["docs/b.bin", "docs/mine.bin", "docs/mine.txt", "docs/logs/x.log", "docs/logs/x.txt", "other/x"]
    {
        fs::create_dir_all(target(path).parent().unwrap()).unwrap();
        fs::write(target(path), "mine").unwrap();
    }
    fs::create_dir_all(target("docs/old/c.txt/full.log")).unwrap();
    let mut wanted = options(&root, &["/docs"], &["*.bin", "*.log"]);
    wanted.delete_extra = true;
    let (_, outcome) = restore(&place, &root, &wanted, "target");
    // The file would have to replace a folder with something that is not chosen.
    assert_eq!(outcome.problem_count, 1, "{:?}", problems(&outcome));
    assert!(target("docs/old/c.txt/full.log").is_dir() && target("docs/mine.txt").is_file());
    fs::remove_dir_all(target("docs/old/c.txt")).unwrap();
    let (_, outcome) = restore(&place, &root, &wanted, "target");
    assert_eq!((outcome.problem_count, outcome.deleted), (0, 1), "{:?}", problems(&outcome));
    let expected =
        ["docs", "docs/a.txt", "docs/b.bin", "docs/logs", "docs/logs/x.log", "docs/mine.bin", "docs/old"];
    let found = paths(&place, "target");
    assert_eq!(found[..7], expected);
    assert_eq!(found[7..], ["docs/old/c.txt", "other", "other/x"]);
    assert_eq!(fs::read(target("docs/b.bin")).unwrap(), b"mine");
}

#[test]
fn nothing_is_told_of_what_stays_because_it_is_not_chosen() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let entries = [file("a.txt", &bytes, 5), file("caf\u{fffd}.jpg", &bytes, 5)];
        folder("data", &writer.directory(&entries))
    });
    let name = |name: &[u8]| place.path("target").join(std::ffi::OsStr::from_bytes(name));
    fs::create_dir(place.path("target")).unwrap();
    for extra in [&b"caf\xe9.jpg"[..], b"b.txt"] {
        fs::write(name(extra), "mine").unwrap();
    }
    let mut wanted = options(&root, &["*.txt"], &[]);
    wanted.delete_extra = true;
    let (_, outcome) = restore(&place, &root, &wanted, "target");
    assert_eq!((outcome.problem_count, outcome.deleted), (0, 1), "{:?}", problems(&outcome));
    assert!(name(b"caf\xe9.jpg").exists() && !name(b"b.txt").exists());
}

#[test]
fn a_restore_is_taken_up_by_the_same_patterns_alone() {
    let place = Place::new();
    let root = root(&place);
    let one = options(&root, &["*.txt"], &["/junk"]);
    let digest = one.chosen.as_ref().unwrap().digest();
    let left = format!("target/.kopia-rs-restore-{}-{digest:016x}", root.object());
    for (options, resumed) in [(options(&root, &["/docs"], &[]), false), (one.clone(), true)] {
        fs::create_dir_all(place.path(&left).join("docs")).unwrap();
        set_mode(place.path(&left), 0o700);
        fs::write(place.path(&left).join("docs/a.txt"), b"hello").unwrap();
        fs::write(place.path(&left).join(left.rsplit('/').next().unwrap()), b"").unwrap();
        let outcome = kopia_restore::restore(&root, place.path("target"), &options).unwrap();
        assert_eq!((outcome.resumed, outcome.problem_count), (resumed, 0));
        assert!(!place.path(&left).exists(), "it is taken up or removed");
        fs::remove_dir_all(place.path("target")).unwrap();
    }
}

#[test]
fn shards_restore_what_is_chosen() {
    let place = Place::new();
    let root = root(&place);
    let wanted = options(&root, &["*.txt"], &["/junk"]);
    for (portion, expected) in [
        (Portion::Shard(Shard::new(0, 2).unwrap()), true),
        (Portion::Shard(Shard::new(1, 2).unwrap()), true),
        (Portion::Finish(2), true),
        // Run once more, it finds that all is there.
        (Portion::Finish(2), true),
    ] {
        let mut options = wanted.clone();
        options.portion = portion;
        let restored = kopia_restore::restore(&root, place.path("target"), &options);
        assert_eq!(restored.is_ok(), expected, "{restored:?}");
    }
    kopia_restore::restore(&root, place.path("whole"), &wanted).unwrap();
    assert_eq!(paths(&place, "target"), paths(&place, "whole"));
    let mut other = options(&root, &["*.o"], &["/junk"]);
    other.portion = Portion::Finish(2);
    let error = kopia_restore::restore(&root, place.path("target"), &other).unwrap_err();
    assert!(error.to_string().contains("shards"), "{error}");
}

#[test]
fn of_a_file_everything_is_chosen() {
    let place = Place::new();
    let root = root(&place);
    let wanted = options(&root, &["*.o"], &["*.txt", "/junk"]);
    let entry = root.at("top.txt").unwrap();
    let outcome = kopia_restore::restore(&entry, place.path("file"), &wanted).unwrap();
    assert_eq!((outcome.files, outcome.left_out), (1, 0));
}
