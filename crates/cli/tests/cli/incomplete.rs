//! Repositories of which something is missing: index blobs, manifests, or nearly all.

use std::fs;
use std::path::Path;

use kopia_testkit::damage::RepositoryCopy;
use kopia_testkit::faults;
use kopia_testkit::tree::{Compare, Tree, compare};

use crate::common::{KopiaRs, Place, Ran};

const NEWEST_INDEX_LOST: &str = "index-newest-lost";
const MANIFEST_DAMAGED: &str = "manifest-damaged";

fn run(repository: &Path, arguments: &str) -> KopiaRs {
    KopiaRs::new(arguments).repository(repository).env("KOPIA_PASSWORD", faults::PASSWORD)
}

/// Restores, and returns what was said and whether it is what can be had of the newest snapshot.
fn restore(repository: &Path, arguments: &str) -> (Ran, bool) {
    let place = Place::new();
    let target = place.path("target");
    let ran = run(repository, arguments).arg(&target).run();
    let newest = faults::tree(NEWEST_INDEX_LOST);
    let is_newest =
        target.exists() && compare(&newest, &Tree::scan(&target), &Compare::settable()).is_empty();
    (ran, is_newest)
}

#[track_caller]
fn says_nothing_of_gaps(ran: &Ran) {
    assert!(!ran.stderr.contains("missing") && !ran.stderr.contains("index"), "{}", ran.stderr);
}

/// The ids of the snapshots that are listed, oldest first.
fn ids(repository: &Path, arguments: &str) -> Vec<String> {
    let listed = run(repository, arguments).run().json();
    let snapshots = listed.as_array().unwrap().iter();
    snapshots.map(|snapshot| snapshot["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_snapshot_that_no_index_names_is_said_to_be_missing() {
    let repository = faults::repository(NEWEST_INDEX_LOST);
    let newer = [
        "warning: ",
        "snapshot of app@media:/data, from 2026-11-28T00:11:09.398341352Z, is missing",
        "which no index names",
        "hint: ",
        "--degraded",
    ];
    for command in [
        "snapshots",
        "snapshots -q --json",
        "snapshots app@media:/data",
        "status",
        "ls latest",
        "verify latest",
    ] {
        run(&repository, command).run().exits(0).says(&newer);
    }
    for what in ["latest", "app@media:/data"] {
        let (ran, is_newest) = restore(&repository, &format!("restore -q {what}"));
        let ran = ran.exits(0).says(&newer).says(&["a newer snapshot"]);
        assert!(!is_newest, "{}", ran.stderr);
    }
    // What it is asked for by its id is what is wanted, and what is older is not newer.
    let id = &ids(&repository, "snapshots --json")[0];
    let (ran, _) = restore(&repository, &format!("restore {id}"));
    says_nothing_of_gaps(&ran.exits(0));
    let (ran, _) = restore(&repository, "restore latest --at 2026-11-28T00:11:09.1Z");
    says_nothing_of_gaps(&ran.exits(0));
    run(&repository, "snapshots other@host:/else").run().exits(1);
    // Packs know what they hold, and then nothing is missing.
    let (ran, is_newest) = restore(&repository, "--degraded restore latest");
    says_nothing_of_gaps(&ran.exits(0));
    assert!(is_newest);
    assert_eq!(ids(&repository, "--degraded snapshots --json").len(), 2);
}

#[test]
fn a_list_that_lacks_all_snapshots_is_not_that_of_an_empty_repository() {
    let copy = RepositoryCopy::of(&faults::repository(NEWEST_INDEX_LOST));
    let index = "x/n0_/6e960062e3951f30f6ec42fb575ef0f6-s0e5b9f8833993081147-c1.f";
    fs::remove_file(copy.path().join(index)).unwrap();
    for command in ["snapshots", "snapshots -q", "snapshots --json"] {
        let ran = run(&copy.path(), command).run().exits(3);
        let ran = ran.says(&["is missing", "--degraded", "error: snapshots are missing from the list"]);
        assert!(!ran.stderr.contains("holds no snapshots"), "{}", ran.stderr);
    }
    assert_eq!(ids(&copy.path(), "--degraded snapshots --json").len(), 2);
}

#[test]
fn verify_names_the_packs_that_no_index_names() {
    let repository = faults::repository(NEWEST_INDEX_LOST);
    let packs = [
        "pf182fe5ce30bfcfcb72f380044ab0f04-sf0830061879c908a147",
        "q2f90fbabbf148b5fb097678273a84962-sf0830061879c908a147",
    ];
    let ran = run(&repository, "verify --json")
        .run()
        .exits(3)
        .says(&packs)
        .says(&["is named by no index", "--degraded"]);
    assert_eq!(ran.json()["unindexedPacks"], serde_json::json!(packs));
    assert_eq!(ran.json()["damageCount"], 0);
    run(&repository, "--degraded verify").run().exits(0);
}

#[test]
fn a_backup_that_runs_and_what_was_deleted_are_not_said_to_be_missing() {
    for marker in ["s0123456789abcdef0123456789abcdef-sf0830061879c908a147", "xw4000000000"] {
        let copy = RepositoryCopy::of(&faults::repository(NEWEST_INDEX_LOST));
        fs::write(copy.path().join(marker), "").unwrap();
        for command in ["snapshots", "status", "verify", "ls latest"] {
            says_nothing_of_gaps(&run(&copy.path(), command).run().exits(0));
        }
    }
}

#[test]
fn a_manifest_that_cannot_be_read_leads_to_degraded_which_is_not_complete() {
    let repository = faults::repository(MANIFEST_DAMAGED);
    for command in ["snapshots", "status", "ls latest"] {
        run(&repository, command).run().exits(1).says(&["content m", "is corrupt", "hint: --degraded"]);
    }
    run(&repository, "verify")
        .run()
        .exits(3)
        .says(&["the list of snapshots is incomplete: content m", "--degraded"]);
    for command in ["snapshots -q", "status", "verify", "ls latest", "snapshots --json"] {
        let ran = run(&repository, &format!("--degraded {command}")).run().exits(3);
        ran.says(&["error: the list of snapshots is incomplete"]);
    }
    let right = faults::tree(MANIFEST_DAMAGED);
    let place = Place::new();
    let target = place.path("target");
    let ran = run(&repository, "-q --degraded restore latest").arg(&target).run().exits(3);
    ran.says(&["a newer snapshot may be missing", "error: the list of snapshots is incomplete"]);
    assert_eq!(compare(&right, &Tree::scan(&target), &Compare::settable()), [""; 0]);
    // What is named by its id is all there.
    let id = &ids(&repository, "--degraded snapshots --json")[0];
    run(&repository, &format!("--degraded restore {id}")).arg(place.path("other")).run().exits(0);
}

#[test]
fn an_incomplete_copy_is_no_empty_repository() {
    let place = Place::new();
    let repository = place.path("repository");
    fs::create_dir(&repository).unwrap();
    let whole = faults::repository("copy-of-bucket");
    fs::copy(whole.join("kopia.repository"), repository.join("kopia.repository.f")).unwrap();
    for command in ["status", "snapshots", "verify", "doctor", "ls latest", "--degraded snapshots"] {
        let ran = run(&repository, command).run().exits(1);
        ran.says(&["is incomplete: it holds no index blobs", "copy what is missing"]);
    }
    // With its packs, but without any index blob.
    for entry in fs::read_dir(&whole).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with(['p', 'q']) {
            fs::copy(&path, repository.join(name)).unwrap();
        }
    }
    run(&repository, "snapshots").run().exits(1).says(&["it holds no index blobs", "--degraded asks them"]);
    assert_eq!(ids(&repository, "--degraded snapshots --json").len(), 2);
}

#[test]
fn status_and_verify_count_the_same_packs() {
    let status = KopiaRs::golden("maintained-v3", "status --json").run().exits(0).json();
    let verified = KopiaRs::golden("maintained-v3", "verify --json").run().exits(0).json();
    assert_eq!(status["livingPacks"], verified["packs"]["of"]);
    assert_eq!(status["contents"], verified["contents"]["of"]);
}
