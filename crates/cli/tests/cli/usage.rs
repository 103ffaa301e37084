//! `du`, `stats` and `packs`.

use serde_json::{Value, json};

use crate::common::{KopiaRs, Place};
use crate::finding::{file, folder, lines};

/// Two snapshots: `shared` is in both, `own` only in the newer; `own/copy` has the bytes of `beside`.
fn run(place: &Place, arguments: &str) -> KopiaRs {
    let repository = place.written(|writer| {
        let a = file(writer, "a", &[1; 5000], 1);
        let b = file(writer, "b", &[2; 3000], 1);
        let beside = file(writer, "beside", &[3; 1000], 1);
        let mut copy = beside.clone();
        copy["name"] = json!("copy");
        let deep = folder(writer, "deep", std::slice::from_ref(&b));
        let shared = folder(writer, "shared", &[a]);
        let own = folder(writer, "own", &[deep, copy]);
        for entries in [vec![shared.clone()], vec![own, shared, beside]] {
            let root = folder(writer, "data", &entries);
            writer.snapshot("app@host:/data", root);
        }
    });
    KopiaRs::written(&repository, arguments)
}

#[test]
fn du_adds_up_what_is_in_each_folder() {
    let place = Place::new();
    let text = run(&place, "du latest").run().exits(0);
    let expected =
        "   5.0 kB          1 file  shared/\n   4.0 kB         2 files  own/\n  10.0 kB         4 files  .\n";
    assert_eq!(text.text(), expected);
    let deep = lines(run(&place, "du latest --depth 2"));
    let paths: Vec<_> =
        deep.iter().map(|line| (line["path"].as_str().unwrap(), line["bytes"].as_u64().unwrap())).collect();
    assert_eq!(paths, [("shared", 5000), ("own", 4000), ("own/deep", 3000), ("", 10_000)]);
    assert_eq!(lines(run(&place, "du latest -d 0")).len(), 1);
    assert_eq!(deep[3], json!({"path": "", "bytes": 10_000, "files": 4, "folders": 3}));
    run(&place, "du latest/beside").run().exits(1).says(&["no folder"]);
    // Of a repository that kopia wrote, folders have their totals.
    let golden = KopiaRs::golden("sources", "du c3bc --json").run().exits(0).json_lines();
    let walked = KopiaRs::golden("sources", "du c3bc --json --depth 9").run().exits(0).json_lines();
    assert_eq!(golden.last(), walked.last());
}

#[test]
fn du_tells_what_a_folder_takes_alone() {
    let place = Place::new();
    let rows = lines(run(&place, "du latest --unique"));
    let of = |path: &str| rows.iter().find(|row| row["path"] == path).unwrap();
    let number = |row: &Value, key: &str| row[key].as_u64().unwrap();
    // Stored bytes are a little more than plain ones; each folder is a content, too.
    let own = of("own");
    assert!(
        (3000..4000).contains(&number(own, "unique")) && (1000..1100).contains(&number(own, "shared")),
        "{own}"
    );
    let shared = of("shared");
    assert!(number(shared, "unique") == 0 && (5000..6000).contains(&number(shared, "shared")), "{shared}");
    let all = of("");
    assert!((4000..5500).contains(&number(all, "unique")), "{all}");
    assert_eq!(all["shared"], shared["shared"]);
}

#[test]
fn du_writes_what_ncdu_reads() {
    let place = Place::new();
    let json = run(&place, "du latest --ncdu").run().exits(0).json();
    assert_eq!((&json[0], &json[1], &json[2]["progname"]), (&json!(1), &json!(2), &json!("kopia-rs")));
    let root = json[3].as_array().unwrap();
    let info = |entry: &Value| if entry.is_array() { entry[0].clone() } else { entry.clone() };
    let names: Vec<_> = root.iter().map(|entry| info(entry)["name"].clone()).collect();
    assert_eq!(names, ["app@host:/data", "beside", "own", "shared"]);
    assert_eq!(
        (&root[1]["asize"], &root[2][2][0]["name"], &root[2][2][1]["name"]),
        (&json!(1000), &json!("deep"), &json!("b"))
    );
}

#[test]
fn stats_count_each_thing_once() {
    let place = Place::new();
    let all = run(&place, "stats --json").run().exits(0).json();
    assert_eq!((&all["snapshots"], &all["sources"]), (&json!(2), &json!(1)));
    assert_eq!(all["restored"], json!({"files": 5, "folders": 4, "bytes": 15_000}));
    assert_eq!(all["different"], json!({"files": 3, "folders": 5}));
    assert_eq!(all["contents"], 8);
    let number = |key: &str| all[key].as_u64().unwrap();
    assert!(number("plainBytes") > 9000 && number("storedBytes") > number("plainBytes"), "{all}");
    let one = run(&place, "stats latest --json").run().exits(0).json();
    assert_eq!((&one["restored"]["bytes"], &one["contents"]), (&json!(10_000), &json!(7)));
    let text = run(&place, "stats").run().exits(0);
    assert!(text.text().contains("to restore     15.0 kB in 5 files and 4 folders"), "{}", text.text());
    assert!(text.text().lines().all(|line| line.chars().count() <= 80), "{}", text.text());
}

#[test]
fn packs_lists_what_a_restore_reads() {
    let place = Place::new();
    let json = run(&place, "packs latest --json").run().exits(0).json();
    assert_eq!((&json["files"], &json["bytes"]), (&json!(4), &json!(10_000)));
    let packs = json["packs"].as_array().unwrap();
    let kinds: Vec<_> = packs.iter().map(|pack| pack["holds"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["folders", "files"]);
    for pack in packs {
        let blob = pack["blob"].as_str().unwrap();
        assert!(place.path("repository").join(format!("{blob}.f")).is_file(), "{blob}");
    }
    assert!(packs[0]["blob"].as_str().unwrap().starts_with('q'));
    let of_files = packs[1]["bytes"].as_u64().unwrap();
    assert!((9000..10_000).contains(&of_files) && json["bytesToRead"].as_u64() > Some(of_files), "{json}");
    assert!(json["seconds"].as_f64() >= Some(0.0));
    let text = run(&place, "packs latest --long").run().exits(0);
    assert!(text.text().contains("a restore writes 10.0 kB in 4 files"), "{}", text.text());
    assert!(text.text().lines().all(|line| line.chars().count() <= 80), "{}", text.text());
}
