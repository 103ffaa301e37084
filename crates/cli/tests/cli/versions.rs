//! `log`, and `--version` of what reads.

use serde_json::Value;

use crate::common::{KopiaRs, Place};
use crate::finding::{changing, lines};

fn run(place: &Place, arguments: &str) -> KopiaRs {
    KopiaRs::written(&place.written(changing), arguments)
}

#[test]
fn versions_are_folded_and_counted_from_the_oldest() {
    let place = Place::new();
    let found = lines(run(&place, "log app@host:/data/docs/a.txt"));
    let numbers: Vec<_> =
        found.iter().map(|line| (line["version"].as_u64(), line["snapshots"].as_u64())).collect();
    assert_eq!(numbers, [(Some(2), Some(1)), (Some(1), Some(2))]);
    assert_eq!((&found[0]["size"], &found[0]["grown"]), (&7.into(), &4.into()));
    assert_eq!(found[0]["changed"], serde_json::json!(["content", "time"]));
    assert_eq!(found[1]["first"]["startTime"], "2026-01-01T00:00:00Z");
    assert_eq!(found[1]["last"]["startTime"], "2026-01-01T00:00:01Z");

    let text = run(&place, "log app@host:/data/docs/a.txt").run().exits(0);
    let shown: Vec<_> = text.text().lines().collect();
    assert_eq!(shown[0], "app@host:/data/docs/a.txt: 2 versions in 3 snapshots");
    assert!(shown[2].starts_with("  2  2026-03-06 10:00        7 B  +4 B  "), "{shown:?}");
    assert!(shown[3].starts_with("  1  2026-03-04 10:00        3 B  first"), "{shown:?}");
    assert!(shown.iter().all(|line| line.chars().count() <= 80), "{shown:?}");
}

#[test]
fn a_path_that_is_gone_still_has_its_versions() {
    let place = Place::new();
    let found = lines(run(&place, "log app@host:/data/old.txt"));
    assert_eq!(found.len(), 2);
    assert_eq!((&found[0]["version"], &found[0]["snapshots"]), (&Value::Null, &1.into()));
    assert_eq!((&found[1]["version"], &found[1]["snapshots"]), (&1.into(), &2.into()));
    let text = run(&place, "log app@host:/data/old.txt").run().exits(0);
    assert!(text.text().contains("  -  not there"), "{}", text.text());
    // By an id of a snapshot, whose source is meant.
    let id = found[0]["last"]["snapshot"].as_str().unwrap();
    assert_eq!(lines(run(&place, &format!("log {id}/old.txt"))).len(), 2);
    // Of a folder, and of the root.
    assert_eq!(lines(run(&place, "log app@host:/data/docs")).len(), 2);
    assert_eq!(lines(run(&place, "log app@host:/data")).len(), 2);
    run(&place, "log app@host:/data/none").run().exits(1).says(&["none of 3 snapshots", "find"]);
    run(&place, "log app@host:/nowhere").run().exits(1).says(&["app@host:/data"]);
}

#[test]
fn a_version_can_be_read_and_restored() {
    let place = Place::new();
    let cat = |version: u32| {
        let arguments = format!("cat app@host:/data/docs/a.txt --version {version}");
        run(&place, &arguments).run().exits(0).text().to_string()
    };
    assert_eq!((cat(1), cat(2)), ("one".into(), "two two".into()));
    assert_eq!(run(&place, "cat app@host:/data/old.txt --version 1").run().exits(0).text(), "gone soon");
    let target = place.path("a.txt");
    let restore = "restore app@host:/data/docs/a.txt --version 1";
    run(&place, restore).arg(&target).run().exits(0);
    assert_eq!(std::fs::read(&target).unwrap(), b"one");
    let missing = run(&place, "cat app@host:/data/docs/a.txt --version 3").run().exits(1);
    missing.says(&["version 3 of app@host:/data/docs/a.txt", "--version 2: snapshot"]);
    run(&place, "ls app@host:/data --version 1 --at 2026").run().exits(2);
}

#[test]
fn a_part_of_a_source_and_filters_do_where_they_are_unique() {
    let place = Place::new();
    let whole = lines(run(&place, "log app@host:/data/docs/a.txt"));
    for path in ["/data/docs/a.txt", "host:/data/docs/a.txt", "data/docs/a.txt", "app/docs/a.txt"] {
        assert_eq!(lines(run(&place, &format!("log {path}"))), whole, "{path}");
    }
    run(&place, "log host/docs/a.txt").run().exits(1).says(&["\"host\" is ambiguous", "    db@host:/other"]);
    assert_eq!(lines(run(&place, "log host/docs/a.txt -u APP")), whole);
    assert_eq!(lines(run(&place, "log latest/docs/a.txt --source-path /data")), whole);
    run(&place, "log /data -H elsewhere").run().exits(1).says(&["host, user, path or tag not found"]);
    assert_eq!(run(&place, "cat /data/docs/a.txt --version 1").run().exits(0).text(), "one");
    assert_eq!(run(&place, "cat host/docs/a.txt --version 2 -u app").run().exits(0).text(), "two two");
}

#[test]
fn find_gone_and_stats_take_parts_and_filters() {
    let place = Place::new();
    let paths = |arguments: &str| {
        let found = lines(run(&place, arguments));
        found.iter().map(|line| line["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths("find -i b.txt").len(), 2);
    assert_eq!(paths("find -i b.txt -u db"), ["B.TXT"]);
    assert_eq!(paths("find -i b.txt /data"), ["docs/b.txt"]);
    assert_eq!(paths("find -i a.txt /data --all").len(), 2);
    assert_eq!(paths("find -i b.txt latest -u db"), ["B.TXT"]);
    assert_eq!((paths("gone /data"), paths("gone -u app")), (vec!["old.txt".into()], vec!["old.txt".into()]));
    assert!(paths("gone -u db").is_empty());
    let stats =
        |arguments: &str| run(&place, arguments).arg("--json").run().exits(0).json()["snapshots"].clone();
    assert_eq!((stats("stats"), stats("stats -u app"), stats("stats /data")), (4.into(), 3.into(), 1.into()));
}
