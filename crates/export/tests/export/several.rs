//! Several things in one archive.

use kopia_export::{Format, Options, Root, export, export_all};
use kopia_repository::Entry;
use kopia_repository::choice::Choice;
use kopia_testkit::writer::RepositoryWriter;

use crate::common::{Place, file, folder, options, read_by};

/// `docs/{a,deep/b}`, `top`.
fn root(place: &Place) -> Entry {
    place.root(RepositoryWriter::new(), |writer| {
        let (a, b, top) = (writer.file(b"a"), writer.file(b"bb"), writer.file(b"top"));
        let deep = writer.directory(&[file("b", &b, 2)]);
        let docs = writer.directory(&[file("a", &a, 1), folder("deep", &deep)]);
        let root = writer.directory(&[folder("docs", &docs), file("top", &top, 3)]);
        folder("data", &root)
    })
}

fn part(root: &Entry, path: &str, name: &str, options: &Options) -> Root {
    let mut part = Root::new(&root.at(path).expect("it is there"), options);
    part.path = name.into();
    part
}

fn listed(place: &Place, archive: &[u8], arguments: &[&str]) -> Vec<String> {
    let path = place.path("archive");
    std::fs::write(&path, archive).expect("a file");
    let listed = read_by(&path, "tar", arguments, &place.path("")).expect("there is a tar");
    String::from_utf8(listed).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn each_lies_below_its_own_path() {
    let place = Place::new();
    let (root, options) = (root(&place), options(Format::Tar));
    let mut bare = part(&root, "docs", "", &options);
    bare.attributes = false;
    let parts = [part(&root, "docs", "one", &options), part(&root, "top", "two/last", &options), bare];
    let mut archive = Vec::new();
    let outcome = export_all(&parts, &mut archive, &options, &()).expect("it comes to its end");
    let expected =
        ["./one/", "./one/a", "./one/deep/", "./one/deep/b", "./two/last", "./a", "./deep/", "./deep/b"];
    assert_eq!(listed(&place, &archive, &["-t"]), expected);
    assert_eq!((outcome.files, outcome.directories, outcome.bytes), (5, 3, 9));
    assert_eq!(outcome.archive_bytes, archive.len() as u64);
}

#[test]
fn one_without_a_path_is_what_export_writes() {
    let place = Place::new();
    let root = root(&place);
    for format in [Format::Tar, Format::Zip] {
        let options = options(format);
        for path in ["", "docs", "top"] {
            let entry = root.at(path).expect("it is there");
            let (mut one, mut all) = (Vec::new(), Vec::new());
            let _ = export(&entry, &mut one, &options, &()).expect("it comes to its end");
            let _ = export_all(&[Root::new(&entry, &options)], &mut all, &options, &()).expect("so does it");
            assert!(one == all, "{path}");
        }
    }
}

#[test]
fn each_has_its_own_owners_and_choice() {
    let place = Place::new();
    let (root, options) = (root(&place), options(Format::Tar));
    let mut docs = part(&root, "docs", "docs", &options);
    docs.owners.users.set_rest(1234).expect("a number");
    let mut choice = Choice::default();
    choice.exclude("a", false).expect("a pattern");
    docs.chosen = Some(choice.among([&docs.entry]).expect("something"));
    let parts = [docs, part(&root, "docs/a", "a", &options)];
    let mut archive = Vec::new();
    let outcome = export_all(&parts, &mut archive, &options, &()).expect("it comes to its end");
    assert_eq!(outcome.left_out, 1);
    let lines = listed(&place, &archive, &["-tv", "--numeric-owner"]);
    let of = |name: &str| lines.iter().find(|line| line.ends_with(name)).expect("it is listed");
    assert!(of("./docs/deep/b").contains(" 1234/0 ") && of(" ./a").contains(" 0/0 "), "{lines:?}");
    assert_eq!(lines.len(), 4, "{lines:?}");
}

#[test]
fn nothing_is_an_empty_archive() {
    let (place, options) = (Place::new(), options(Format::Tar));
    let mut archive = Vec::new();
    let outcome = export_all(&[], &mut archive, &options, &()).expect("it comes to its end");
    assert_eq!(outcome.archive_bytes, archive.len() as u64);
    assert_eq!(listed(&place, &archive, &["-t"]), [""; 0]);
}
