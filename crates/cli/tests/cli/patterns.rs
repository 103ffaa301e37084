//! `--include`, `--exclude` and their like, in every command that has them.

use std::fs;

use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{KopiaRs, Place, names};
use crate::finding::{file, folder};

/// `docs/{a.txt,b.bin}`, `src/{c.TXT,d.o}`, `top.txt`.
fn some(writer: &mut RepositoryWriter) {
    let (a, b) = (file(writer, "a.txt", b"one", 2), file(writer, "b.bin", b"second", 2));
    let docs = folder(writer, "docs", &[a, b]);
    let (c, d) = (file(writer, "c.TXT", b"third", 2), file(writer, "d.o", b"the fourth", 2));
    let src = folder(writer, "src", &[c, d]);
    let top = file(writer, "top.txt", b"fifth", 2);
    let root = folder(writer, "data", &[docs, src, top]);
    writer.snapshot("app@host:/data", root);
}

fn run(place: &Place, arguments: &str) -> KopiaRs {
    KopiaRs::written(&place.written(some), arguments)
}

#[test]
fn a_restore_takes_what_matches_and_says_what_it_leaves_out() {
    let place = Place::new();
    let target = place.path("target");
    let patterns = "--include *.txt --exclude /docs/";
    let ran = run(&place, &format!("restore latest --dry-run {patterns}")).arg(&target).run().exits(0);
    assert!(ran.text().contains("write   top.txt") && !ran.text().contains("docs"), "{}", ran.text());
    assert!(ran.text().contains("2 entries left out by --include and --exclude"), "{}", ran.text());
    let ran = run(&place, &format!("restore latest {patterns}")).arg(&target).run().exits(0);
    assert_eq!(names(&target), ["top.txt"]);
    assert!(ran.text().contains("\n2 entries left out by --include and --exclude\n"), "{}", ran.text());
    let ran = run(&place, "restore latest --iinclude *.txt --json").arg(place.path("both")).run().exits(0);
    assert_eq!((&ran.json()["files"], &ran.json()["leftOut"]), (&json!(3), &json!(2)));
    assert_eq!(names(&place.path("both/src")), ["c.TXT"]);
}

#[test]
fn the_last_pattern_that_matches_counts_also_of_files() {
    let place = Place::new();
    fs::write(place.path("list"), "# nothing\n*\n\n!/docs/\n").unwrap();
    let shown = |arguments: &str, file: bool| {
        let ran = run(&place, &format!("ls -R latest {arguments}"));
        let ran = if file { ran.arg("--exclude-from").arg(place.path("list")) } else { ran };
        ran.run().exits(0).text().to_owned()
    };
    assert_eq!(shown("", true), "docs/\n");
    assert_eq!(shown("--exclude !a.txt", true), "docs/\n");
    let ran =
        run(&place, "ls -R latest --exclude-from").arg(place.path("list")).arg("--exclude=!a.txt").run();
    assert_eq!(ran.exits(0).text(), "docs/\ndocs/a.txt\n");
    assert_eq!(shown("--include docs --exclude b.* --iexclude A*", false), "docs/\n");
    fs::write(place.path("list"), "a\n[b\n").unwrap();
    let ran = run(&place, "ls latest --include-from").arg(place.path("list")).run().exits(2);
    ran.says(&["/list: line 2: \"[b\" is no pattern: a [ is not closed"]);
    run(&place, "ls latest --include-from")
        .arg(place.path("none"))
        .run()
        .exits(1)
        .says(&["/none cannot be read"]);
}

#[test]
fn a_pattern_that_matches_nothing_is_told_and_none_at_all_is_an_error() {
    let place = Place::new();
    let target = place.path("target");
    let ran = run(&place, "restore latest --include *.pdf --include /docs/x").arg(&target).run().exits(1);
    ran.says(&["error: nothing matches \"*.pdf\" or \"/docs/x\"", "hint: patterns begin at WHAT"]);
    assert!(!target.exists(), "nothing is begun");
    let ran = run(&place, "restore latest --include /*.pdf --include /docs").arg(&target).run().exits(0);
    ran.says(&["warning: --include /*.pdf matches nothing"]);
    assert_eq!(names(&target), ["docs"]);
}

#[test]
fn export_packs_and_verify_take_the_same() {
    let place = Place::new();
    let patterns = "--include *.txt --exclude /docs/";
    let ran = run(&place, &format!("export latest {patterns}")).run().exits(0);
    let archive = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(archive.contains("./top.txt") && !archive.contains("docs") && !archive.contains("src"));
    ran.says(&["2 entries left out by --include and --exclude"]);
    let ran = run(&place, &format!("export latest --dry-run --json {patterns}")).run().exits(0);
    assert_eq!((&ran.json()["files"], &ran.json()["leftOut"]), (&json!(1), &json!(2)));
    let ran = run(&place, &format!("packs latest --json {patterns}")).run().exits(0);
    assert_eq!((&ran.json()["files"], &ran.json()["bytes"]), (&json!(1), &json!(5)));
    let ran = run(&place, &format!("verify latest --json {patterns}")).run().exits(0);
    assert_eq!((&ran.json()["files"], &ran.json()["folders"]), (&json!(1), &json!(1)));
    run(&place, "verify --exclude x").run().exits(2).says(&["--include and --exclude need WHAT"]);
}
