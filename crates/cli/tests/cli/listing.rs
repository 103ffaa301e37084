//! `status`, `snapshots`, `ls` and `cat`.

use std::fs::File;

use kopia_testkit::golden;
use kopia_testkit::writer::{RepositoryWriter, write_in};
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, written};
use crate::finding::{file, folder};
use crate::terminal::Terminal;

#[test]
fn status_says_what_the_repository_is() {
    let ran = KopiaRs::golden("sources", "status").run().exits(0);
    for text in ["version 3, created by kopia v0.23.1", "BLAKE2B-256-128", "db@media:/var/lib/db: 1 snapshot"]
    {
        assert!(ran.text().contains(text), "{}", ran.text());
    }
    let json = KopiaRs::golden("ecc-10", "status --json").run().exits(0).json();
    assert_eq!(json["formatVersion"], 3);
    assert_eq!(json["errorCorrection"], "REED-SOLOMON-CRC32");
    assert_eq!(json["errorCorrectionPercent"], 10);
    assert!(json["contents"].as_u64() > Some(0));
    assert!(json["openingSeconds"].as_f64() > Some(0.0));
    assert_eq!(json["sources"].as_array().map(Vec::len), Some(1));
}

/// The fields of a listed snapshot that `case.json` keeps of kopia's own list.
fn extract(snapshot: &Value) -> Value {
    json!({
        "id": snapshot["id"],
        "source": snapshot["source"],
        "startTime": snapshot["startTime"],
        "endTime": snapshot["endTime"],
        "incomplete": snapshot["incomplete"],
        "tags": snapshot["tags"],
        "pins": snapshot["pins"],
        "description": snapshot["description"],
        "rootObject": snapshot["rootEntry"]["obj"],
    })
}

#[test]
fn snapshots_as_json_are_those_that_kopia_lists() {
    for name in ["sources", "tricky", "era-v0.5.2", "era-v0.8.4", "upgraded-v1-to-v2"] {
        let case = golden::root().join("repos").join(name).join("case.json");
        let case: Value = serde_json::from_reader(File::open(case).unwrap()).unwrap();
        let mut expected = case["kopia_snapshot_list"].as_array().unwrap().clone();
        let listed = KopiaRs::golden(name, "snapshots --json").run().exits(0).json();
        let mut listed: Vec<_> = listed.as_array().unwrap().iter().map(extract).collect();
        let key = |snapshot: &Value| (snapshot["source"].to_string(), snapshot["startTime"].to_string());
        expected.sort_by_key(key);
        listed.sort_by_key(key);
        for list in [&mut expected, &mut listed] {
            list.iter_mut().for_each(instants);
        }
        assert_eq!(listed, expected, "{name}");
    }
}

/// Old versions of kopia wrote local times; both lists are compared in UTC.
fn instants(snapshot: &mut Value) {
    for field in ["startTime", "endTime"] {
        let time: jiff::Timestamp =
            snapshot[field].as_str().and_then(|time| time.parse().ok()).expect("a time");
        snapshot[field] = json!(time.to_string());
    }
}

#[test]
fn snapshots_are_grouped_by_source_and_ordered_by_time() {
    let listed = KopiaRs::golden("sources", "snapshots --json").run().json();
    let order: Vec<_> =
        listed.as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap()[..4].to_string()).collect();
    assert_eq!(order, ["0d85", "d10d", "a461", "c3bc", "1ea7", "9cc4", "ce6c"]);

    let text = KopiaRs::golden("sources", "snapshots app@media:/data/").run().exits(0);
    let lines: Vec<_> = text.text().lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], "app@media:/data");
    assert!(lines[1].starts_with("  2026-01-02 03:04:05 UTC  d10d05992f2f195f9795d75c690b50ef"), "{lines:?}");
    assert!(lines[1].contains("env:prod") && lines[1].contains("\"first\""), "{lines:?}");
    assert!(lines[2].contains("pin keep"), "{lines:?}");
}

#[test]
fn what_a_backup_could_not_do_is_told() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        let folder = writer.directory(&[]);
        let errors = json!([{"path": "a/secret\u{1b}[31m", "error": "permission denied"}]);
        let summary =
            json!({"size": 0, "files": 0, "symlinks": 0, "dirs": 1, "numFailed": 12, "errors": errors});
        writer.snapshot(
            "app@host:/data",
            json!({"name": "data", "type": "d", "mode": "0755", "obj": folder, "summ": summary}),
        );
        let source = json!({"host": "host", "userName": "app", "path": "/data"});
        let root = json!({"name": "data", "type": "d", "mode": "0755", "obj": folder});
        let time = "2026-02-01T00:00:00Z";
        writer.manifest(json!({"source": source, "startTime": time, "endTime": time, "incomplete": "checkpoint", "rootEntry": root}));
    });
    let run = |arguments: &str| KopiaRs::written(&repository, arguments).run().exits(0);
    let text = run("snapshots").says(&["1 unfinished snapshot is not shown"]);
    assert!(!text.text().contains("checkpoint"), "{}", text.text());
    let lines: Vec<_> = text.text().lines().skip(2).collect();
    let told = [
        "made with 12 failed files:",
        "  a/secret\u{1b}[31m: permission denied",
        "  … and 11 more, whose names kopia did not keep",
    ];
    assert_eq!(lines, told.map(|line| format!("      {line}")));
    assert!(run("snapshots --incomplete").text().contains("incomplete: checkpoint"));
    assert_eq!(run("snapshots --json").json().as_array().map(Vec::len), Some(2));

    let target = place.path("target");
    let restored = KopiaRs::written(&repository, "restore latest --json").arg(&target).run().exits(0);
    let restored = restored.says(&["made with 12 failed files", "a/secret\\u{1b}[31m: permission denied"]);
    assert_eq!(restored.json()["madeWithFailedFiles"], 12);
    KopiaRs::written(&repository, "restore latest --incomplete")
        .arg(&target)
        .run()
        .exits(0)
        .says(&["incomplete: checkpoint"]);
}

#[test]
fn an_empty_repository_has_an_empty_list() {
    let place = Place::new();
    written(&place.path("repository"), |_| {});
    let run = |arguments: &str| KopiaRs::written(&place.path("repository"), arguments).run();
    assert_eq!(run("snapshots --json").exits(0).json(), json!([]));
    assert_eq!(run("snapshots").exits(0).says(&["no snapshots"]).text(), "");
    run("ls latest").exits(1);
}

#[test]
fn ls_shows_folders_and_files() {
    let run = |arguments: &str| KopiaRs::golden("sources", arguments).run().exits(0).text().to_string();
    assert_eq!(run("ls c3bc"), "sub/\nadded-1.txt\nadded-2.txt\nempty\nhello.txt\ntext.log\n");
    assert_eq!(run("ls c3bc/sub"), "deeper/\nlink\nzeros\n");
    assert_eq!(run("ls c3bc/hello.txt"), "hello.txt\n");
    assert!(run("ls -R c3bc").ends_with("text.log\nsub/deeper/\nsub/link\nsub/zeros\nsub/deeper/mixed\n"));
    let long = run("ls -l c3bc/sub");
    assert!(long.contains("drwxr-x---     0     0            0 2022-06-12 02:13:20 deeper/"), "{long}");
    assert!(long.contains("link -> ../hello.txt"), "{long}");
    let special = KopiaRs::golden("tricky", "ls -l latest/modes").run().exits(0);
    assert!(special.text().contains("rws") && special.text().contains("rwt"), "{}", special.text());
}

#[test]
fn ls_shows_the_first_of_several_entries_of_one_name() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        let bytes = writer.file(b"x");
        let entry = |kind: &str, name: &str, object: &str| json!({"name": name, "type": kind, "mode": "0644", "size": 1, "obj": object});
        let inner = writer.directory(&[entry("f", "in", &bytes)]);
        let root = writer.directory(&[
            entry("f", "b", &bytes),
            entry("f", "a", &bytes),
            entry("d", "b", &inner),
            entry("d", "c", &inner),
            entry("f", "a", &bytes),
        ]);
        writer.snapshot("app@host:/data", entry("d", "data", &root));
    });
    let ran = KopiaRs::written(&repository, "ls -R latest").run().exits(3);
    let ran = ran.says(&["error: b: another entry of the folder", "error: a: another entry of the folder"]);
    assert_eq!(ran.text(), "b\na\nc/\nc/in\n");
}

#[test]
fn ls_sorts_and_shows_sizes_and_ids_as_asked() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        let b = file(writer, "b", &[0; 1500], 1);
        let a = file(writer, "a", b"x", 3);
        let new = file(writer, "c\u{1b}", b"xy", 4);
        let inner = folder(writer, "inner", &[a.clone(), b.clone()]);
        let root = folder(writer, "data", &[inner, a, b, new]);
        writer.snapshot("app@host:/data", root);
    });
    let run = |arguments: &str| KopiaRs::written(&repository, arguments).run().exits(0).text().to_string();
    assert_eq!(run("ls --sort name latest"), "a\nb\nc\u{1b}\ninner/\n");
    assert_eq!(run("ls --sort size latest"), "b\nc\u{1b}\na\ninner/\n");
    assert_eq!(run("ls --sort time latest/inner"), "a\nb\n");
    assert_eq!(run("ls --sort time --reverse latest/inner"), "b\na\n");
    assert_eq!(run("ls --reverse latest"), "inner/\nc\u{1b}\nb\na\n");
    assert_eq!(run("ls -R --sort size latest"), "b\nc\u{1b}\na\ninner/\ninner/b\ninner/a\n");
    assert_eq!(run("ls -0 latest/inner"), "a\0b\0");
    assert!(run("ls -l --human-readable latest/b").contains("    1.5 kB 2026-03-01 10:00:00 b"));
    let with_id = run("ls -o latest/a");
    let (id, name) = with_id.split_once(' ').unwrap();
    assert_eq!(name.trim(), "a");
    assert_eq!(KopiaRs::written(&repository, &format!("cat {id}")).run().exits(0).text(), "x");
}

#[test]
fn ls_takes_a_pattern_for_what_is_not_there_as_it_stands() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        let (a, b) = (file(writer, "a.txt", b"a", 1), file(writer, "b.jpg", b"b", 2));
        let star = file(writer, "*", b"star", 2);
        let deep = folder(writer, "deep", std::slice::from_ref(&a));
        let d1 = folder(writer, "d1", &[deep, a.clone(), b.clone()]);
        let root = folder(writer, "data", &[d1.clone(), star, a, b]);
        writer.snapshot("app@host:/data", root);
    });
    let run = |arguments: &str| KopiaRs::written(&repository, arguments).run().exits(0).text().to_string();
    assert_eq!(run("ls latest/*.txt"), "a.txt\n");
    assert_eq!(run("ls latest/d?/*.txt"), "d1/a.txt\n");
    assert_eq!(run("ls latest/**/*.txt"), "a.txt\nd1/a.txt\nd1/deep/a.txt\n");
    assert_eq!(run("ls app@host:/data/[ab].*"), "a.txt\nb.jpg\n");
    assert_eq!(run("ls latest/d*"), "d1/\n");
    assert_eq!(run("ls -R latest/d*"), "d1/\nd1/deep/\nd1/a.txt\nd1/b.jpg\nd1/deep/a.txt\n");
    assert_eq!(run("ls latest/*"), "*\n", "it is there as it stands");
    KopiaRs::written(&repository, "ls latest/none*").run().exits(1).says(&["nothing matches latest/none*"]);
    KopiaRs::written(&repository, "ls latest/none").run().exits(1);
}

#[test]
fn ls_as_json_has_kopias_fields() {
    let lines = KopiaRs::golden("sources", "ls -R --json c3bc").run().exits(0).json_lines();
    let find = |path: &str| lines.iter().find(|entry| entry["path"] == path).unwrap().clone();
    assert_eq!(find("sub/link")["target"], "../hello.txt");
    let hello = json!({
        "path": "hello.txt", "type": "f", "mode": "0600", "size": 14, "mtime": "2022-08-08T23:06:40.000000002Z",
        "uid": 0, "gid": 0, "obj": "810d4d20702c233194e7c6561aea4aac",
    });
    assert_eq!(find("hello.txt"), hello);
}

#[test]
fn cat_writes_bytes() {
    let hello = KopiaRs::golden("sources", "cat c3bc/hello.txt").run().exits(0);
    assert_eq!(hello.text(), "hello again 2\n");
    // Of many contents, by either way of reading.
    let case = golden::case("split-fixed-128k");
    let list = KopiaRs::golden(&case.name, "ls -R --json latest").run().exits(0).json_lines();
    let largest = list.iter().max_by_key(|entry| entry["size"].as_u64()).unwrap();
    let size = largest["size"].as_u64().unwrap() as usize;
    assert!(size > 1 << 20, "{largest}");
    let cat = |io: &str| {
        let what = format!("cat latest/{} --io {io}", largest["path"].as_str().unwrap());
        KopiaRs::golden(&case.name, &what).run().exits(0).stdout
    };
    let bytes = cat("auto");
    assert_eq!(bytes.len(), size);
    assert!(bytes == cat("pread"));
}

#[test]
fn cat_takes_only_files() {
    KopiaRs::golden("sources", "cat c3bc/sub").run().exits(1).says(&["is a folder"]);
    KopiaRs::golden("sources", "cat c3bc/sub/link").run().exits(1).says(&["link to \"../hello.txt\""]);
    KopiaRs::golden("sources", "cat c3bc/hello.txt --json").run().exits(2).says(&["--json"]);
}

#[test]
fn a_reader_that_wants_no_more_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    for arguments in
        ["cat c3bc/hello.txt", "ls -R c3bc", "ls --json c3bc", "snapshots", "snapshots --json", "status"]
    {
        let ran = KopiaRs::golden("sources", arguments).stdout(writer.try_clone().unwrap()).run().exits(0);
        assert_eq!(ran.stderr, "", "{arguments}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    KopiaRs::golden("sources", "cat c3bc/hello.txt")
        .stdout(full)
        .run()
        .exits(1)
        .says(&["standard output: No space"]);
}

#[test]
fn what_was_deleted_is_there_where_that_is_asked_for() {
    let place = Place::new();
    let repository = place.path("repository");
    let mut writer = RepositoryWriter::new();
    let file = writer.file(b"deleted too early");
    let entry = json!({"name": "f", "type": "f", "mode": "0644", "size": 17, "obj": file});
    let root = writer.directory(&[entry]);
    let id =
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    write_in(&repository, writer.finish_changed(|living| living.delete_snapshot(&id))).unwrap();

    let run = |arguments: &str| KopiaRs::written(&repository, arguments).run();
    assert!(!run("snapshots").exits(0).text().contains(&id));
    run("cat app@host:/data/f").exits(1).says(&["--deleted"]);
    let listed = run("snapshots --deleted").exits(0);
    assert!(listed.text().contains(&id) && listed.text().contains("  deleted"), "{}", listed.text());
    assert_eq!(run("cat --deleted app@host:/data/f").exits(0).stdout, b"deleted too early");
    assert_eq!(run(&format!("cat --deleted {id}/f")).exits(0).stdout, b"deleted too early");
}

#[test]
fn what_is_not_found_may_be_in_packs_that_no_index_names() {
    let place = Place::new();
    let repository = place.path("repository");
    let after = |backups: usize| {
        let mut writer = RepositoryWriter::new().pack_size(1);
        for source in ["app@host:/data", "db@host:/data"].iter().take(backups) {
            let file = writer.file(source.as_bytes());
            let entry = json!({"name": "f", "type": "f", "mode": "0644", "size": source.len(), "obj": file});
            let root = writer.directory(&[entry]);
            writer.snapshot(source, json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
        }
        writer.finish()
    };
    write_in(&repository, after(1)).unwrap();
    let run = |arguments: &str| KopiaRs::written(&repository, arguments).run();
    let nothing = run("cat db@host:/data/f").exits(1);
    assert!(!nothing.stderr.contains("--degraded"), "{}", nothing.stderr);
    // The second backup, whose index is gone.
    let packs = after(2).into_iter().filter(|(name, _)| name.starts_with(['p', 'q']));
    write_in(&repository, packs).unwrap();
    run("cat db@host:/data/f").exits(1).says(&[
        "named by no index",
        "of snapshots or policies",
        "--degraded",
    ]);
    assert_eq!(run("cat --degraded db@host:/data/f").exits(0).stdout, b"db@host:/data");
}

#[test]
fn on_a_terminal_tables_fit_and_their_columns_stand_below_each_other() {
    let shown = |arguments: &str, lines: usize| {
        let mut terminal = Terminal::open();
        terminal.resize(80);
        KopiaRs::golden("sources", arguments).stdout(terminal.inside()).run().exits(0);
        terminal.shown(lines)
    };
    let listed = shown("snapshots", 16);
    assert!(listed.iter().all(|line| line.chars().count() <= 80), "{listed:#?}");
    let rows: Vec<_> = listed.iter().filter(|line| line.starts_with("  ")).collect();
    assert_eq!(rows.len(), 7, "{listed:#?}");
    for row in rows {
        let place = |text: &str| row.find(text).unwrap_or_else(|| panic!("{text:?} is not in {row:?}"));
        assert_eq!((place(" UTC  "), place("B  ")), (21, 45), "{listed:#?}");
        // Numbers end below each other, whatever comes after them in words.
        let files = place(" file") + if row.contains(" files") { " files".len() } else { " file".len() };
        assert_eq!(files, 59, "{listed:#?}");
    }
    // Of a pipe nobody knows how wide it is: ids come whole.
    let piped = KopiaRs::golden("sources", "snapshots").run().exits(0);
    assert!(piped.text().contains("  d10d05992f2f195f9795d75c690b50ef  "), "{}", piped.text());
    let status = shown("status", 14);
    let value = |line: &String| line.find(|letter: char| letter != ' ').unwrap() == 18;
    let (labelled, more): (Vec<_>, Vec<_>) = status.iter().partition(|line| !line.starts_with(' '));
    assert_eq!((labelled.len(), more.len()), (10, 4), "{status:#?}");
    assert!(more.iter().all(|line| value(line)), "{status:#?}");
    assert!(labelled.iter().all(|line| line.as_bytes()[17] == b' ' && line.as_bytes()[18] != b' '));
    let fits = |line: &String| line.chars().count() <= 80 && line.contains(", newest 2026-");
    assert!(status[9..].iter().all(fits), "{status:#?}");
}
