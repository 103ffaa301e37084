//! What programs match on: the word of each reason, from real restores, and the same from the dry run.

use std::fs;
use std::path::Path;

use kopia_format::ContentId;
use kopia_repository::{Defect, Entry};
use kopia_restore::{Existing, NotDeleted, Options, Outcome, Preview, Problem, Reason, preview};
use kopia_testkit::damage;
use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{Place, file, folder, link};

/// Returns path and word of each problem, sorted.
fn words(problems: &[Problem]) -> Vec<(&str, &'static str)> {
    let mut words: Vec<_> = problems.iter().map(|problem| (&*problem.path, problem.reason.word())).collect();
    words.sort_unstable();
    words
}

fn restore(root: &Entry, target: &Path, options: &Options) -> Outcome {
    kopia_restore::restore(root, target, options).unwrap()
}

fn foresee(root: &Entry, target: &Path, options: &Options) -> Preview {
    preview(root, target, options, |_| {}).unwrap()
}

#[test]
fn defects_of_entries_have_words() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let hello = writer.file(b"hello");
        let own: ContentId = "k00112233445566778899aabbccddeeff".parse().unwrap();
        let again = json!({"stream": "kopia:directory", "entries": [folder("again", &own.to_string())]});
        writer.forge(own, again.to_string().as_bytes());
        let list = |length: u64| {
            let pieces = json!([{"l": length, "o": hello}, {"s": length, "l": 5, "o": hello}]);
            json!({"stream": "kopia:indirect", "entries": pieces}).to_string()
        };
        let (two, lying) = (list(5), list(6));
        let (two, lying) =
            (writer.content(Some('x'), two.as_bytes()), writer.content(Some('x'), lying.as_bytes()));
        let nested = writer.directory(&[file("f", &hello, 5)]);
        let nested = writer.directory(&[folder("three", &nested)]);
        let entries = [
            file("../up", &hello, 5),
            folder("deep", &writer.directory(&[folder("two", &nested)])),
            file("f", &hello, 5),
            file("f", &hello, 5),
            link("link", &format!("I{two}")),
            file("long", &hello, 4),
            file("lost", "00112233445566778899aabbccddeeff", 5),
            file("lying", &format!("I{lying}"), 11),
            folder("self", &own.to_string()),
        ];
        folder("data", &writer.directory(&entries))
    });
    let mut options = Options::default();
    options.max_depth = 2;
    let expected = [
        ("../up", "name_dot_dot"),
        ("deep/two/three", "too_deep"),
        ("f", "doubled"),
        ("link", "long_link_target"),
        ("long", "wrong_length"),
        ("lost", "not_in_index"),
        ("lying", "wrong_content_length"),
        ("self/again", "contains_itself"),
    ];
    let outcome = restore(&root, &place.path("target"), &options);
    assert_eq!(words(&outcome.problems), expected);
    let reason = |path: &str| &outcome.problems.iter().find(|problem| problem.path == path).unwrap().reason;
    assert!(matches!(reason("deep/two/three"), Reason::Defect(Defect::TooDeep { limit: 2 })));
    assert!(matches!(reason("long"), Reason::Defect(Defect::Length { found: 5, stated: 4 })));
    let Reason::Defect(Defect::ContentLength { found: 5, stated: 6, .. }) = reason("lying") else { panic!() };
    // The dry run reads no contents; what directories tell, it tells in the same words.
    let foreseen = foresee(&root, &place.path("new"), &options);
    let of_directories = expected
        .iter()
        .filter(|(_, word)| ["name_dot_dot", "too_deep", "doubled", "contains_itself"].contains(word));
    assert_eq!(words(&foreseen.problems), of_directories.copied().collect::<Vec<_>>());
}

/// A file and an empty directory.
fn two_files(writer: &mut RepositoryWriter) -> serde_json::Value {
    let entries = [file("f", &writer.file(b"hello"), 5), folder("sub", &writer.directory(&[]))];
    folder("data", &writer.directory(&entries))
}

#[test]
fn an_unreadable_content_names_content_blob_and_offset() {
    let place = Place::new();
    let root = place.root("repo", two_files);
    let content = root.at("f").unwrap().object().content();
    let pack = &damage::blobs(&place.path("repo"), "p")[0];
    pack.flip_bit(40, 0);
    let outcome = restore(&root, &place.path("target"), &Options::default());
    let [problem] = &outcome.problems[..] else { panic!("{:?}", outcome.problems) };
    let defect = problem.reason.defect().unwrap();
    assert_eq!((&*problem.path, problem.reason.word()), ("f", "corrupt_content"));
    assert_eq!((defect.content_id(), defect.offset()), (Some(content), Some(32)));
    assert_eq!(defect.blob_id().map(|blob| blob.as_str()), Some(&*pack.id));
    pack.delete();
    // Open packs are kept by the store.
    let outcome = restore(&place.open("repo"), &place.path("another"), &Options::default());
    assert_eq!(words(&outcome.problems), [("f", "missing_blob")]);
}

#[test]
fn what_the_target_has_and_takes_has_words() {
    let place = Place::new();
    let long = "n".repeat(300);
    let root = place.root("repo", |writer| {
        let hello = writer.file(b"hello");
        let entries = [file("f", &hello, 5), file(&long, &hello, 5)];
        folder("data", &writer.directory(&entries))
    });
    let target = place.path("target");
    fs::create_dir_all(target.join("f/full")).unwrap();
    let told = [("f", "not_empty"), (&*long, "unfit_name_length")];
    assert_eq!(words(&foresee(&root, &target, &Options::default()).problems), told);
    assert_eq!(words(&restore(&root, &target, &Options::default()).problems), told);
    let mut options = Options::default();
    options.existing = Existing::Error;
    let told = [("f", "exists"), (&*long, "unfit_name_length")];
    assert_eq!(words(&foresee(&root, &target, &options).problems), told);
    assert_eq!(words(&restore(&root, &target, &options).problems), told);
}

#[test]
fn a_folder_that_cannot_be_made_is_told_and_nothing_of_what_is_in_it() {
    let place = Place::new();
    let name = "n".repeat(300);
    let root = place.root("repo", |writer| {
        let hello = writer.file(b"hello");
        let inner = writer.directory(&[file("g", &hello, 5)]);
        let entries = [folder("inner", &inner), file("f", &hello, 5), link("l", &hello)];
        let entries = [folder(&name, &writer.directory(&entries)), file("beside", &hello, 5)];
        folder("data", &writer.directory(&entries))
    });
    let outcome = restore(&root, &place.path("target"), &Options::default());
    assert_eq!(words(&outcome.problems), [(&*name, "unfit_name_length")]);
    assert_eq!(crate::common::names(&place.path("target")), ["beside"]);
}

#[test]
fn what_stays_undeleted_has_words() {
    for (summary, path, word) in [
        (r#"{"numFailed":1,"errors":[{"path":"secret","error":"no"}]}"#, "secret", "unread_in_backup"),
        (r#"{"numIgnoredErrors":2,"errors":[{"path":"other","error":"no"}]}"#, "", "unnamed_errors"),
        (r#"{"incomplete":"canceled"}"#, "", "incomplete_backup"),
    ] {
        let place = Place::new();
        let root = place.root("repo", |writer| {
            let hello = file("f", &writer.file(b"hello"), 5);
            let list = format!(r#"{{"stream":"kopia:directory","entries":[{hello}],"summary":{summary}}}"#);
            folder("data", &writer.object(Some('k'), list.as_bytes()).to_string())
        });
        let target = place.path("target");
        fs::create_dir_all(target.join("secret")).unwrap();
        let mut options = Options::default();
        options.delete_extra = true;
        assert_eq!(words(&foresee(&root, &target, &options).problems), [(path, word)]);
        let outcome = restore(&root, &target, &options);
        assert_eq!(words(&outcome.problems), [(path, word)]);
        assert!(matches!(&outcome.problems[0].reason, Reason::NotDeleted(why) if why.word() == word));
        assert!(!matches!(outcome.problems[0].reason, Reason::NotDeleted(NotDeleted::Failed(_))));
    }
}

/// Makes a directory in the target as soon as the first bytes are written.
struct Meanwhile(std::path::PathBuf);

impl kopia_restore::Observer for Meanwhile {
    fn bytes(&self, _: u64) {
        let _ = fs::create_dir(&self.0);
    }
}

#[test]
fn what_cannot_be_moved_to_its_place_counts_as_nothing() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let hello = writer.file(b"hello");
        let deep = writer.directory(&[file("two", &hello, 5)]);
        let entries = [folder("deep", &deep), link("link", &hello), file("one", &hello, 5)];
        let entries = [folder("d", &writer.directory(&entries)), file("f", &hello, 5)];
        folder("data", &writer.directory(&entries))
    });
    let target = place.path("target");
    let mut options = Options::default();
    options.existing = Existing::Error;
    let meanwhile = Meanwhile(target.join("d"));
    let outcome = kopia_restore::restore_observed(&root, &target, &options, &meanwhile).unwrap();
    assert_eq!(words(&outcome.problems), [("d", "exists")]);
    // `f` and the root are there; `d`, `deep`, `link`, `one` and `two` are not.
    let done = (outcome.files, outcome.bytes, outcome.directories, outcome.symlinks, outcome.problem_count);
    assert_eq!(done, (1, 5, 1, 0, 5));
    assert_eq!(crate::common::names(&target), ["d", "f"]);
}
