//! Repositories of which something is missing: index blobs, manifests, or nearly all.

use std::fs;
use std::path::{Path, PathBuf};

use kopia_testkit::damage::{RepositoryCopy, copy_repository};
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::{faults, golden};

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
fn verify_says_without_degraded_that_the_index_blobs_of_an_epoch_are_lost() {
    let case = golden::case("epochs");
    let copy = copy_repository(&case);
    // Those of the epochs before it are compacted, and after it there are more.
    let lost = copy.blobs("xn7");
    assert!(!lost.is_empty() && !copy.blobs("xs6").is_empty() && !copy.blobs("xn8").is_empty());
    lost.iter().for_each(|blob| blob.delete());
    let verify = |options: &str| {
        let command = KopiaRs::new("verify").options(options).repository(&copy.path());
        command.env("KOPIA_PASSWORD", &case.password).run()
    };
    let ran = verify("").exits(3).says(&["error: lost: all index blobs of epoch 7: there is none\n"]);
    assert!(ran.text().contains("not restorable as a whole"), "{}", ran.text());
    let json = verify("--json").exits(3).json();
    assert!(json["lost"].to_string().contains("epoch 7"), "{json}");
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

/// Copies a repository without its index blobs, and without packs that begin so.
fn without_indexes(place: &Place, packs: &str) -> PathBuf {
    let repository = place.path("repository");
    fs::create_dir(&repository).unwrap();
    for entry in fs::read_dir(faults::repository("copy-of-bucket")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with('x') && !name.starts_with(packs) {
            fs::copy(&path, repository.join(name)).unwrap();
        }
    }
    repository
}

#[test]
fn a_list_that_is_empty_because_its_indexes_are_lost_is_not_complete() {
    let place = Place::new();
    let repository = without_indexes(&place, "q");
    for (command, error) in [
        ("snapshots", "error: snapshots are missing from the list"),
        ("status", "error: the list of snapshots is incomplete"),
    ] {
        let ran = run(&repository, &format!("--degraded {command}")).run().exits(3);
        let ran = ran.says(&["cannot be read: snapshots may be missing", error]);
        assert!(!ran.stderr.contains("holds no snapshots"), "{}", ran.stderr);
    }
    let ran = run(&repository, "--degraded verify").run().exits(3);
    let ran = ran.says(&["error: lost: all index blobs"]);
    assert!(ran.text().contains("indexes   1 lost"), "{}", ran.text());
}

#[test]
fn what_was_lost_together_with_its_index_is_said_to_be_unknown() {
    let place = Place::new();
    let repository = without_indexes(&place, &newest_manifests());
    let unknown = "warning: index blobs are lost: snapshots whose packs are lost too are not known";
    let ran = run(&repository, "--degraded snapshots --json").run().exits(0).says(&[unknown]);
    assert_eq!(ran.json().as_array().unwrap().len(), 1);
}

/// The pack that has the manifest of the newest snapshot, and not that of the other.
fn newest_manifests() -> String {
    let mut packs: Vec<String> = fs::read_dir(faults::repository("copy-of-bucket"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('q'))
        .collect();
    packs.retain(|pack| {
        let place = Place::new();
        let repository = without_indexes(&place, pack);
        let ran = run(&repository, "--degraded snapshots --json").run();
        ran.code == Some(0) && ran.json().as_array().is_some_and(|list| list.len() == 1)
    });
    packs.into_iter().next().expect("a pack with one manifest")
}

#[test]
fn doctor_names_the_flag_that_goes_without_what_is_damaged() {
    let ran = run(&faults::repository(MANIFEST_DAMAGED), "doctor").run().exits(1);
    assert!(ran.text().contains("→ --degraded lists what can be read"), "{}", ran.text());
    let copy = RepositoryCopy::of(&faults::repository(NEWEST_INDEX_LOST));
    for entry in fs::read_dir(copy.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with('q') {
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    }
    let ran = run(&copy.path(), "doctor").run().exits(1);
    assert!(ran.text().contains("→ --degraded lists what can be read"), "{}", ran.text());
}

#[test]
fn status_and_verify_count_the_same_packs() {
    let status = KopiaRs::golden("maintained-v3", "status --json").run().exits(0).json();
    let verified = KopiaRs::golden("maintained-v3", "verify --json").run().exits(0).json();
    assert_eq!(status["livingPacks"], verified["packs"]["of"]);
    assert_eq!(status["contents"], verified["contents"]["of"]);
    let doctor = KopiaRs::golden("maintained-v3", "doctor").run();
    let packs = format!("contents in {} packs", status["livingPacks"]);
    assert!(doctor.text().contains(&packs), "{}", doctor.text());
}
