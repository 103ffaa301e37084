use std::collections::BTreeSet;

use super::*;

#[test]
fn every_golden_snapshot_has_its_listed_one() {
    let cases = cases();
    assert_eq!(cases.len(), 68);
    for case in &cases {
        let pairs = case.pairs();
        let alive = case.snapshots.iter().filter(|expected| !expected.expired).count();
        assert_eq!(pairs.len(), alive, "{}", case.name);
        assert!(!pairs.is_empty(), "{}", case.name);
        let ids: BTreeSet<&str> = pairs.iter().map(|(listed, _)| listed.id.as_str()).collect();
        assert_eq!(ids.len(), pairs.len(), "{}: a listed snapshot is paired twice", case.name);
        let latest_only = case.snapshots.iter().any(|expected| expected.latest_only);
        assert!(latest_only || ids.len() == case.listed.len(), "{}: a listed one is left over", case.name);
        for (listed, expected) in &pairs {
            assert!(expected.source.is_empty() || expected.source == listed.source.to_string());
            assert!(!expected.load().entries().is_empty());
        }
    }
}

#[test]
fn every_golden_repository_is_a_folder_with_a_format_blob() {
    for case in cases() {
        let blobs = crate::damage::blobs(&case.repository, "kopia.repository");
        assert_eq!(blobs.len(), 1, "{}", case.name);
    }
}

#[test]
fn cases_are_sorted_by_name() {
    assert!(cases().is_sorted_by(|a, b| a.name < b.name));
}

#[test]
fn tags_and_pins_are_read() {
    let case = case("sources");
    let pairs = case.pairs();
    assert_eq!(pairs[0].0.tags["tag:env"], "prod");
    assert_eq!(pairs[0].0.description, "first");
    assert_eq!(pairs[1].0.pins, ["keep"]);
    assert!(pairs[2].0.tags.is_empty());
}

#[test]
fn a_snapshot_of_one_file_loads_that_file() {
    let case = case("sources");
    let pairs = case.pairs();
    let (listed, expected) = pairs.iter().find(|(_, expected)| expected.file.is_some()).unwrap();
    assert_eq!(listed.source.path, "/data/hello.txt");
    assert!(!listed.root_object.starts_with('k'));
    let tree = expected.load();
    assert_eq!(tree.entries().len(), 1);
    assert_eq!(tree.entries()[0].path, "");
}

#[test]
fn only_the_newest_of_many_is_expected() {
    let case = case("epochs");
    let pairs = case.pairs();
    assert_eq!(pairs.len(), 1);
    let newest = case.listed.iter().max_by_key(|listed| pairs::sortable(&listed.start_time)).unwrap();
    assert_eq!(pairs[0].0.id, newest.id);
}

#[test]
fn whole_seconds_sort_before_fractions() {
    assert!(pairs::sortable("2026-01-02T03:04:05Z") < pairs::sortable("2026-01-02T03:04:05.1Z"));
}

#[test]
#[should_panic(expected = "listed and expected")]
fn a_case_that_does_not_pair_is_refused() {
    let mut case = case("tricky");
    case.listed.clear();
    case.pairs();
}

#[test]
fn a_cheaper_key_changes_the_format_blob_alone() {
    for name in ["era-v0.5.2", "tricky", "password-changed"] {
        let case = case(name);
        let (mut blobs, mut cheap) = (case.blobs(), case.cheap_blobs());
        let format = |blobs: &mut Blobs| -> serde_json::Value {
            serde_json::from_slice(&blobs.remove("kopia.repository").unwrap()).unwrap()
        };
        let (before, after) = (format(&mut blobs), format(&mut cheap));
        assert_eq!(blobs, cheap);
        assert_eq!(before["keyAlgo"], "scrypt-65536-8-1");
        assert_eq!(after["keyAlgo"], "kopia-rs-testing-only");
        assert_eq!(before["uniqueID"], after["uniqueID"]);
    }
}
