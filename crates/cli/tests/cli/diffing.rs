//! `diff`: two snapshots, and a snapshot and a folder.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, written};
use crate::finding::{changing, file, folder, lines};

/// Two snapshots with everything that can differ.
fn repository(place: &Place) -> PathBuf {
    let repository = place.path("repository");
    if repository.exists() {
        return repository;
    }
    written(&repository, |writer| {
        let mut old_only = file(writer, "came-and-went", b"1234", 1);
        let same = file(writer, "same", b"same", 1);
        let one = file(writer, "text", b"one\ntwo\nthree\n", 1);
        let two = file(writer, "text", b"one\nzwei\nthree\nfour\n", 2);
        let mode_before = file(writer, "mode", b"m", 1);
        let mut mode_after = mode_before.clone();
        mode_after["mode"] = json!("0600");
        let mut touched = file(writer, "touched", b"t", 1);
        let becomes = file(writer, "becomes", b"a file", 1);
        let inner = folder(writer, "sub", &[same.clone(), one.clone()]);
        let inner_new = folder(writer, "sub", &[same.clone(), two.clone()]);
        let still = folder(writer, "still", &[same.clone(), one.clone()]);
        let leaving = folder(writer, "leaving", &[same.clone(), old_only.clone()]);
        let coming = folder(writer, "coming", std::slice::from_ref(&same));
        let mut becomes_folder = folder(writer, "becomes", std::slice::from_ref(&same));
        becomes_folder["mode"] = becomes["mode"].clone();
        let root = folder(
            writer,
            "data",
            &[
                leaving,
                still.clone(),
                inner,
                becomes,
                old_only.clone(),
                mode_before,
                same.clone(),
                touched.clone(),
            ],
        );
        writer.snapshot("app@host:/data", root);
        touched["mtime"] = json!("2026-03-09T10:00:00Z");
        old_only["name"] = json!("new");
        let root = folder(
            writer,
            "data",
            &[becomes_folder, coming, still, inner_new, mode_after, old_only, same, touched],
        );
        writer.snapshot("app@host:/data", root);
    });
    repository
}

fn run(place: &Place, arguments: &str) -> KopiaRs {
    KopiaRs::written(&repository(place), arguments)
}

/// Signs and paths, without what changed and the sums.
fn signs(text: &str) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with(['+', '-', '~']));
    rows.map(|line| line.split("  (").next().unwrap().to_string()).collect()
}

#[test]
fn what_differs_between_two_snapshots_is_told_once() {
    let place = Place::new();
    let ran = run(&place, "diff app@host:/data").run().exits(0);
    let expected = [
        "~ becomes/",
        "+ coming/",
        "~ mode",
        "+ new",
        "~ touched",
        "- came-and-went",
        "- leaving/",
        "~ sub/text",
    ];
    assert_eq!(signs(ran.text()), expected, "{}", ran.text());
    for told in
        ["~ mode  (mode 0644 → 0600)", "~ touched  (time)", "~ sub/text  (14 B → 20 B)", "+ new  (4 B)"]
    {
        assert!(ran.text().contains(told), "{told:?} is not in {}", ran.text());
    }
    let back = run(&place, "diff latest").arg("app@host:/data").run().exits(0);
    assert_eq!(back.text(), "no differences\n");
    let all = run(&place, "diff -R app@host:/data").run().exits(0);
    for told in ["+ becomes/same", "+ coming/same", "- leaving/came-and-went"] {
        assert!(signs(all.text()).contains(&told.to_string()), "{}", all.text());
    }
    run(&place, "diff app@host:/data --at 2026-01-01T00:00:00Z")
        .run()
        .exits(1)
        .says(&["no snapshot", "before"]);
}

#[test]
fn sums_and_json_say_the_same() {
    let place = Place::new();
    let found = lines(run(&place, "diff -R app@host:/data"));
    let sum = found.last().unwrap();
    assert_eq!(sum["change"], "sum");
    let expected = json!({"files": 3, "folders": 1, "bytes": 12});
    assert_eq!(sum["added"], expected, "{found:?}");
    assert_eq!(sum["removed"], json!({"files": 3, "folders": 1, "bytes": 12}));
    let text = found.iter().find(|line| line["path"] == "sub/text").unwrap();
    assert_eq!((&text["change"], &text["changed"]), (&json!("changed"), &json!(["content", "time"])));
    assert_eq!((&text["old"]["size"], &text["new"]["size"]), (&json!(14), &json!(20)));
    assert!(text["new"]["obj"].is_string() && text["new"]["mode"] == "0644");
    let grown: i64 = found.iter().map(|line| size(&line["new"]) - size(&line["old"])).sum();
    assert_eq!(sum["grown"], grown);
    let summary = run(&place, "diff --summary app@host:/data").run().exits(0);
    assert_eq!(summary.text().lines().count(), 1);
    assert!(summary.text().starts_with("added "), "{}", summary.text());
}

/// The size of a side of a difference, if it is no folder.
fn size(side: &Value) -> i64 {
    if side["type"] == "d" { 0 } else { side["size"].as_i64().unwrap_or(0) }
}

#[test]
fn text_files_are_compared_line_by_line() {
    let place = Place::new();
    let ran = run(&place, "diff --text app@host:/data").run().exits(0);
    assert!(ran.text().contains("-two\n+zwei\n three\n+four\n"), "{}", ran.text());
    // Another program compares them, which finds both as files.
    let program = place.path("compare");
    let script = "#!/bin/sh\nhead -n 2 \"$2\" \"$3\"\nls -l \"$3\"; echo \"$1\"; exit 1\n";
    kopia_testkit::program::write(&program, script);
    let command = run(&place, "diff --text app@host:/data").env("PATH", "/usr/bin:/bin");
    let ran = command.env("KOPIA_DIFF", format!("{} --word", program.display())).run().exits(0);
    for told in ["one\ntwo", "one\nzwei", "-rw-------", "--word"] {
        assert!(ran.text().contains(told), "{told:?} is not in {}", ran.text());
    }
    let missing = run(&place, "diff --text app@host:/data").env("KOPIA_DIFF", "/nonexistent/program");
    missing.run().exits(3).says(&["KOPIA_DIFF names /nonexistent/program"]);
}

#[test]
fn a_folder_of_this_machine_is_the_newer_side() {
    let place = Place::new();
    let target = place.path("folder");
    run(&place, "restore latest").arg(&target).run().exits(0);
    let diff = |options: &str| run(&place, &format!("diff latest {options}")).arg(&target);
    assert_eq!(diff("").run().exits(0).text(), "no differences\n");
    fs::write(target.join("sub/text"), "one\nzwei\n").unwrap();
    fs::write(target.join("local"), "here alone").unwrap();
    fs::remove_dir_all(target.join("coming")).unwrap();
    fs::remove_file(target.join("new")).unwrap();
    let ran = diff("").run().exits(0);
    let mut told = signs(ran.text());
    told.sort();
    assert_eq!(told, ["+ local", "- coming/", "- new", "~ sub/text"], "{}", ran.text());
    assert!(ran.text().contains("~ sub/text  (20 B → 9 B)") && ran.text().contains("+ local  (10 B)"));
    assert!(diff("--text").run().exits(0).text().contains("-three\n-four\n"));
    let found = lines(diff("-R"));
    assert!(
        found.iter().any(|line| line["path"] == "coming/same" && line["change"] == "removed"),
        "{found:?}"
    );
    // Same size, same time: only the bytes tell.
    let mode = fs::metadata(target.join("mode")).unwrap();
    fs::write(target.join("mode"), "M").unwrap();
    fs::File::open(target.join("mode")).unwrap().set_modified(mode.modified().unwrap()).unwrap();
    assert!(!signs(diff("").run().exits(0).text()).contains(&"~ mode".to_string()));
    assert!(signs(diff("--checksum").run().exits(0).text()).contains(&"~ mode".to_string()));
    run(&place, "diff latest /nonexistent").run().exits(1).says(&["no folder"]);
}

#[test]
fn what_cannot_be_read_is_not_called_removed() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        changing(writer);
        let a = file(writer, "a", b"a", 1);
        let whole = folder(writer, "d", &[a]);
        let lost = json!({"name": "d", "type": "d", "mode": "0755", "obj": format!("k{:032x}", 7)});
        for entry in [whole.clone(), lost, whole] {
            let root = folder(writer, "data", &[entry]);
            writer.snapshot("one@host:/data", root);
        }
    });
    let list = KopiaRs::written(&repository, "snapshots one@host:/data --json").run().exits(0).json();
    let id = |number: usize| list[number]["id"].as_str().unwrap().to_string();
    for (old, new) in [(id(0), id(1)), (id(1), id(2))] {
        let ran = KopiaRs::written(&repository, &format!("diff {old} {new}")).run().exits(3).says(&["d: "]);
        assert_eq!(ran.text(), "no differences\n");
    }
}
