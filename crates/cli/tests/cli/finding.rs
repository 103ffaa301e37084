//! `find`: in one snapshot, in some, in all.

use kopia_testkit::writer::RepositoryWriter;
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, written};
use crate::terminal::Terminal;

/// The lines of a command that prints JSON lines.
pub(crate) fn lines(command: KopiaRs) -> Vec<Value> {
    command.arg("--json").run().exits(0).json_lines()
}

/// A file, with a time on a day of March 2026.
pub(crate) fn file(writer: &mut RepositoryWriter, name: &str, bytes: &[u8], day: u32) -> Value {
    let object = writer.file(bytes);
    let time = format!("2026-03-{day:02}T10:00:00Z");
    json!({"name": name, "type": "f", "mode": "0644", "mtime": time, "size": bytes.len(), "obj": object})
}

/// A folder of these entries.
pub(crate) fn folder(writer: &mut RepositoryWriter, name: &str, entries: &[Value]) -> Value {
    let object = writer.directory(entries);
    json!({"name": name, "type": "d", "mode": "0755", "mtime": "2026-03-01T10:00:00Z", "obj": object})
}

/// Three snapshots of one source and one of another: `docs/a.txt` changes, `docs/b.txt` stays, `old.txt` goes.
pub(crate) fn changing(writer: &mut RepositoryWriter) {
    let b = file(writer, "b.txt", b"the same", 2);
    let old = file(writer, "old.txt", b"gone soon", 3);
    for (number, text) in ["one", "one", "two two"].into_iter().enumerate() {
        let day = if text == "one" { 4 } else { 6 };
        let a = file(writer, "a.txt", text.as_bytes(), day);
        let docs = folder(writer, "docs", &[a, b.clone()]);
        let entries = if number < 2 { vec![docs, old.clone()] } else { vec![docs] };
        let root = folder(writer, "data", &entries);
        writer.snapshot("app@host:/data", root);
    }
    let large = file(writer, "B.TXT", &[b'x'; 2000], 8);
    let root = folder(writer, "other", &[large]);
    writer.snapshot("db@host:/other", root);
}

/// Runs the command with a repository of [`changing`] snapshots.
fn find(place: &Place, arguments: &str) -> KopiaRs {
    KopiaRs::written(&place.written(changing), arguments)
}

#[test]
fn in_one_snapshot_paths_are_printed() {
    let run = |arguments: &str| KopiaRs::golden("sources", arguments).run().exits(0).text().to_string();
    assert_eq!(run("find *.txt c3bc"), "added-1.txt\nadded-2.txt\nhello.txt\n");
    assert_eq!(run("find -t d * c3bc"), "sub/\nsub/deeper/\n");
    assert_eq!(run("find -t l * c3bc"), "sub/link\n");
    assert_eq!(run("find deeper/* c3bc"), "sub/deeper/mixed\n");
    assert_eq!(run("find -i HELLO* c3bc"), "hello.txt\n");
    assert_eq!(run("find --regex ^sub/.*e c3bc"), "sub/deeper/\nsub/zeros\nsub/deeper/mixed\n");
    assert_eq!(run("find mixed c3bc/sub"), "deeper/mixed\n");
    assert_eq!(run("find hello.txt c3bc/hello.txt"), "hello.txt\n", "a file of its own");
    assert!(run("find -l link c3bc").contains("sub/link -> ../hello.txt"));
    assert_eq!(run("find nothing c3bc"), "");
    let id = KopiaRs::golden("sources", "find -0 *.txt c3bc/").run().exits(0);
    let first = id.text().split('\0').next().unwrap().to_string();
    assert!(first.starts_with("c3bc") && first.ends_with("/added-1.txt"), "{first}");
    assert_eq!(run(&format!("ls {first}")), "added-1.txt\n", "it is a WHAT");
}

#[test]
fn of_several_snapshots_each_version_is_found_once_in_the_newest_that_has_it() {
    let place = Place::new();
    let found = lines(find(&place, "find *.txt"));
    let short: Vec<_> = found
        .iter()
        .map(|line| {
            (line["pathInSnapshot"].as_str().unwrap(), line["size"].as_u64().unwrap(), &line["startTime"])
        })
        .collect();
    let time = |second: u32| json!(format!("2026-01-01T00:00:{second:02}Z"));
    assert_eq!(
        short,
        [
            ("docs/a.txt", 7, &time(2)),
            ("docs/b.txt", 8, &time(2)),
            ("old.txt", 9, &time(1)),
            ("docs/a.txt", 3, &time(1)),
        ]
    );
    assert_eq!(found[0]["source"], "app@host:/data");
    let text = find(&place, "find b.txt -i").run().exits(0);
    let shown: Vec<_> = text.text().lines().map(|line| line.split("  ").last().unwrap()).collect();
    assert_eq!(shown, ["db@host:/other/B.TXT", "app@host:/data/docs/b.txt"]);
}

#[test]
fn where_to_look_can_be_some_snapshots_or_all_of_a_path() {
    let place = Place::new();
    let paths = |arguments: &str| -> Vec<String> {
        lines(find(&place, arguments)).iter().map(|line| line["path"].as_str().unwrap().into()).collect()
    };
    assert_eq!(paths("find *.txt app@host:/data"), ["docs/a.txt", "docs/b.txt"]);
    assert_eq!(paths("find *.TXT app@host:/data db@host:/other -i"), ["B.TXT", "docs/a.txt", "docs/b.txt"]);
    assert_eq!(
        paths("find *.txt app@host:/data --all"),
        ["docs/a.txt", "docs/b.txt", "old.txt", "docs/a.txt"]
    );
    assert_eq!(paths("find *.txt app@host:/data/docs -a"), ["a.txt", "b.txt", "a.txt"]);
    // What is not in the newest any more is a place all the same.
    assert_eq!(paths("find * app@host:/data/old.txt -a"), ["old.txt"]);
    find(&place, "find x app@host:/data/none -a").run().exits(1).says(&["no snapshot has"]);
    find(&place, "find latest *.txt").run().exits(1).says(&["the pattern comes first"]);
}

#[test]
fn size_and_time_narrow() {
    let place = Place::new();
    let paths = |arguments: &str| -> Vec<String> {
        let found = lines(find(&place, arguments));
        found.iter().map(|line| line["pathInSnapshot"].as_str().unwrap().into()).collect()
    };
    assert_eq!(paths("find * --min-size 2k"), ["B.TXT"]);
    assert_eq!(paths("find * --max-size 7"), ["docs/a.txt", "docs/a.txt"]);
    assert_eq!(paths("find * -t f --after 2026-03-05"), ["B.TXT", "docs/a.txt"]);
    assert_eq!(paths("find * -t f --until 2026-03-03"), ["docs/b.txt", "old.txt"]);
    assert_eq!(paths("find * --after 2026-03-03 --until 2026-03-04"), ["docs/a.txt"]);
    find(&place, "find [").run().exits(2).says(&["no pattern"]);
    find(&place, "find * --min-size x").run().exits(2).says(&["no size"]);
}

#[test]
fn names_are_escaped_on_a_terminal_alone() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        let odd = file(writer, "a\nb\u{1b}[31m.txt", b"odd", 2);
        let root = folder(writer, "data", std::slice::from_ref(&odd));
        writer.snapshot("app@host:/data", root);
        let root = folder(writer, "data", &[]);
        writer.snapshot("app@host:/data", root);
    });
    for (arguments, many) in [
        ("find *.txt app@host:/data --at 2026-01-01T00:00:00Z", false),
        ("find *.txt", true),
        ("gone latest", true),
    ] {
        let mut terminal = Terminal::open();
        KopiaRs::written(&repository, arguments).stdout(terminal.inside()).run().exits(0);
        let shown = terminal.shown(1);
        assert_eq!(shown.len(), 1, "{shown:?}");
        let path = if many { "app@host:/data/a\\nb\\u{1b}[31m.txt" } else { "a\\nb\\u{1b}[31m.txt" };
        assert!(shown[0].ends_with(path), "{shown:?}");
        let raw = KopiaRs::written(&repository, arguments).run().exits(0);
        assert!(raw.text().contains("a\nb\u{1b}[31m.txt"), "{arguments}");
    }
    let null = KopiaRs::written(&repository, "gone -0 latest").run().exits(0);
    assert!(null.text().ends_with("/a\nb\u{1b}[31m.txt\0"), "{}", null.text());
}

#[test]
fn a_folder_that_cannot_be_read_is_told_and_the_rest_found() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        let a = file(writer, "a.txt", b"a", 2);
        let lost = json!({"name": "lost", "type": "d", "mode": "0755", "obj": format!("k{:032x}", 7)});
        let root = folder(writer, "data", &[lost, a]);
        writer.snapshot("app@host:/data", root);
    });
    let ran = KopiaRs::written(&repository, "find *.txt").run().exits(3).says(&["lost: "]);
    assert_eq!(ran.text(), "a.txt\n");
}
