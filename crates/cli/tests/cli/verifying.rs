//! `verify`.

use std::fs;

use kopia_testkit::{damage, golden};
use serde_json::Value;

use crate::common::{KopiaRs, Place};

#[test]
fn a_sound_repository_is_said_to_be_sound() {
    let ran = KopiaRs::golden("sources", "verify").run().exits(0);
    assert!(ran.text().contains("damage    none"), "{ran:?}");
    let json = KopiaRs::golden("sources", "verify --json").run().exits(0).json();
    assert_eq!(json["contents"]["verified"], json["contents"]["of"]);
    assert_eq!((&json["damageCount"], &json["lossCount"]), (&0.into(), &0.into()));
    let part = KopiaRs::golden("sources", "verify app@media:/data --json").run().exits(0).json();
    assert!(part["contents"]["of"].as_u64() < json["contents"]["of"].as_u64());
}

#[test]
fn damage_is_named_with_what_it_costs() {
    let place = Place::new();
    let case = golden::case("sources");
    let copy = damage::copy_repository(&case);
    // Every pack of files is gone; folders are still there.
    let packs = copy.blobs("p");
    assert!(!packs.is_empty());
    packs.iter().for_each(damage::Blob::delete);
    let report = place.path("report");
    let ran = KopiaRs::new("verify --json --report")
        .arg(&report)
        .repository(&copy.path())
        .env("KOPIA_PASSWORD", &case.password)
        .run()
        .exits(3)
        .says(&["hello.txt: ", "error: pack p", " cannot be read; the first: ", " is not in "]);
    let json = ran.json();
    let losses = json["losses"].as_array().expect("a list");
    assert!(losses.iter().any(|loss| loss["path"] == "hello.txt" && loss["source"].is_string()), "{json}");
    let lines = fs::read_to_string(&report).expect("it was written");
    let wanted =
        json["damageCount"].as_u64().expect("a number") + json["lossCount"].as_u64().expect("a number");
    assert_eq!(lines.lines().count() as u64, wanted);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let (what, blob) = (&line["reason"], line["blob"].as_str().expect("the pack"));
        assert!(*what == "missing_blob" && blob.starts_with('p'), "{line}");
        assert!(
            line["offset"].is_u64() && line["content"].is_string() && line["message"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn a_percentage_takes_other_packs_each_time() {
    let read = |_| {
        let ran = KopiaRs::golden("sources", "verify --percent 10 --json").run().exits(0);
        let json = ran.says(&["note: 10 % of the packs", "the next run takes others"]).json();
        (json["packs"]["verified"].as_u64(), json["storedBytes"]["verified"].as_u64())
    };
    let runs: std::collections::HashSet<_> = (0..20).map(read).collect();
    // As many packs each time; that they are the same twenty times is less likely than one in a million.
    assert!(runs.len() > 1 && runs.iter().all(|run| run.0 == runs.iter().next().unwrap().0), "{runs:?}");
}

#[test]
fn parts_that_make_no_sense_are_refused() {
    for arguments in [
        "verify --shard 2/2",
        "verify --shard 1",
        "verify --percent 0",
        "verify --percent 101",
        "verify --at 2026",
    ] {
        KopiaRs::golden("sources", arguments).run().exits(2);
    }
}

#[test]
fn a_damaged_index_names_the_flag_that_goes_without_it() {
    let case = golden::case("sources");
    let copy = damage::copy_repository(&case);
    let index = &copy.blobs("xn")[0];
    index.truncate(30);
    let command = |arguments: &str| {
        KopiaRs::new(arguments).repository(&copy.path()).env("KOPIA_PASSWORD", &case.password).run()
    };
    command("verify").exits(1).says(&[&index.id, "--degraded"]);
    let ran = command("verify --degraded").exits(3).says(&["error: lost: index blob ", &index.id]);
    assert!(ran.text().contains("indexes   1 lost; the packs were asked instead"), "{}", ran.text());
    let json = command("verify --degraded --json").exits(3).json();
    let (sentence, part) = (&json["lost"][0], &json["lostParts"][0]);
    assert_eq!((&part["message"], &part["part"]), (sentence, &"index_blob".into()));
    assert_eq!((&part["blob"], &part["reason"]), (&(*index.id).into(), &"corrupt_blob".into()));
    // One that is named is whole all the same.
    command("verify --degraded app@media:/data").exits(0);
}
