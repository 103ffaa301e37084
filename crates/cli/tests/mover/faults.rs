//! E1 to E12: each way in which the original script hides a failure or destroys data, and that the mover does
//! not.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use kopia_testkit::damage::blobs;
use kopia_testkit::golden;
use serde_json::json;

use crate::common::{
    Pod, SOMEBODY, file, folder, is_root, manifest, names, restored, snapshot, snapshot_of, state,
};
use crate::controller;
use crate::namespace::{volume, with_mounts};

const APP: &str = "app@media:/data";

fn pod() -> Pod {
    let pod = Pod::new();
    pod.write(|writer| {
        snapshot(writer, APP, "2026-01-01T00:00:00Z");
    });
    pod
}

/// Breaks one bit in the middle of the first blob of a kind.
fn damage(repository: &Path, kind: &str) {
    let blob = &blobs(repository, kind)[0];
    blob.flip_bit(blob.read().len() / 2, 0);
}

#[test]
fn e01_a_list_that_cannot_be_read_is_not_an_empty_list() {
    for (kind, says) in [("x", "blob x"), ("q", "blob q")] {
        let pod = pod();
        damage(&pod.repository(), kind);
        let ran = pod.job(APP).run().exits(1).ends_with(&["ERROR: unable to", says]);
        ran.never_says(&["No eligible snapshots", "No data will be restored", "OPERATION_RESULT: SUCCESS"]);
    }
}

#[test]
fn e02_nothing_is_deleted_before_the_snapshot_is_found() {
    let delete = |pod: &Pod, identity: &str| {
        fs::write(pod.volume().join("mine"), "precious").unwrap();
        pod.job(identity).env("KOPIA_ENABLE_FILE_DELETION", "true").run()
    };
    let kept = |pod: &Pod| assert_eq!(fs::read_to_string(pod.volume().join("mine")).unwrap(), "precious");
    let damaged = pod();
    damage(&damaged.repository(), "x");
    delete(&damaged, APP).exits(1);
    kept(&damaged);
    // Nor where the list is read, and has nothing of this identity.
    let other = pod();
    delete(&other, "nobody@media:/data").exits(0);
    kept(&other);
    // Nor where the snapshot is found and its root cannot be read.
    let lost = Pod::new();
    lost.write(|writer| {
        let root = json!({"name": "data", "type": "d", "mode": "0755", "obj": format!("k{:032x}", 1)});
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
    });
    delete(&lost, APP).exits(1);
    kept(&lost);
    let whole = pod();
    delete(&whole, APP).exits(0);
    assert_eq!(names(&whole.volume()), ["text"]);
}

#[test]
fn e03_no_repository_is_ever_created() {
    let pod = Pod::new();
    for missing in [false, true] {
        if !missing {
            fs::create_dir(pod.repository()).unwrap();
        }
        let job = pod.job(APP).repository(&pod.repository());
        job.run().exits(1).ends_with(&["ERROR: unable to open the repository"]).never_says(&["create"]);
        job.env("KOPIA_RS_ON_MISSING", "continue").run().exits(0);
        if !missing {
            assert!(names(&pod.repository()).is_empty());
            fs::remove_dir(pod.repository()).unwrap();
        }
        assert!(!pod.repository().exists());
    }
}

#[test]
fn e04_previous_beyond_the_list_is_an_error_that_says_so() {
    let ran = pod().job(APP).env("KOPIA_PREVIOUS", "1").run().exits(1);
    ran.ends_with(&["previous is 1, but there is 1 complete snapshot"]).never_says(&["null"]);
}

#[test]
fn e05_times_are_instants_and_not_texts() {
    let pod = Pod::new();
    pod.write(|writer| {
        snapshot(writer, APP, "2026-01-01T20:00:00Z");
        snapshot(writer, APP, "2026-01-02T00:00:00.5Z");
    });
    // Half an hour before the second one, though its text is greater.
    pod.job(APP).env("KOPIA_RESTORE_AS_OF", "2026-01-02T01:30:00+02:00").run().exits(0);
    assert_eq!(restored(&pod), "2026-01-01T20:00:00Z");
}

#[test]
fn e06_unfinished_snapshots_are_passed_over() {
    let pod = Pod::new();
    pod.write(|writer| {
        snapshot(writer, APP, "2026-01-01T00:00:00Z");
        let more = json!({"incomplete": "checkpoint"});
        snapshot_of(writer, APP, "2026-01-02T00:00:00Z", &[("text", "half")], more);
    });
    pod.job(APP).run().exits(0);
    assert_eq!(restored(&pod), "2026-01-01T00:00:00Z");
}

#[test]
fn e07_only_the_very_source_is_restored() {
    let pod = Pod::new();
    pod.write(|writer| {
        snapshot(writer, APP, "2026-01-01T00:00:00Z");
        snapshot(writer, "app@media:/", "2026-01-03T00:00:00Z");
        snapshot(writer, "app@media:/data/sub", "2026-01-04T00:00:00Z");
        snapshot(writer, "app@other:/data", "2026-01-05T00:00:00Z");
    });
    pod.job(APP).run().exits(0);
    assert_eq!(restored(&pod), "2026-01-01T00:00:00Z");
    // Kopia would take the snapshot of a folder above.
    let above = pod.job("app@media:/data/sub/deeper").run().exits(0);
    above.ends_with(&["No eligible snapshots found for app@media:/data/sub/deeper"]);
}

#[test]
fn e08_every_cause_has_its_own_sentence() {
    let pod = pod();
    let never = ["create", "Connection failed", "No eligible", "No data will"];
    let wrong = pod.job(APP).env("KOPIA_PASSWORD", "wrong").run().exits(1).never_says(&never);
    wrong.ends_with(&["ERROR: unable to open the repository: the password does not open the repository"]);
    let quotes = pod.job(APP).env("KOPIA_PASSWORD", "'written'").run().exits(1).never_says(&never);
    quotes.ends_with(&["quotes"]);
    // As kopia takes it.
    pod.job(APP).env("KOPIA_PASSWORD", " written\n").run().exits(0);
    let file = pod.path("file");
    fs::write(&file, "").unwrap();
    pod.job(APP).repository(&file).run().exits(1).never_says(&never).says(&["is a file, not a folder"]);
    let shards = pod.repository().join(".shards");
    // No cause at all: blobs are found without it.
    fs::write(&shards, "nonsense").unwrap();
    pod.job(APP).run().exits(0);
    fs::write(&shards, r#"{"default":[],"maxNonShardedLength":20}"#).unwrap();
    damage(&pod.repository(), "kopia.repository");
    pod.job(APP).run().exits(1).never_says(&never).ends_with(&["ERROR: unable to open the repository"]);
}

#[test]
fn e08_files_of_another_user_are_named_with_the_user_that_may_read_them() {
    if !is_root() {
        return;
    }
    let pod = pod();
    let binary = pod.binary_for(SOMEBODY);
    // As kopia makes them, and as another user made them.
    for path in [pod.repository()].into_iter().chain(files(&pod.repository())) {
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(&path, Some(1000), Some(1000)).unwrap();
    }
    let ran = pod.job(APP).run_as(SOMEBODY, &binary).run().exits(1);
    let ran =
        ran.ends_with(&["refuses user 65532", "its owner is 1000:1000, its mode 0700", "runAsUser: 1000"]);
    ran.never_says(&["create", "No eligible"]);
    std::os::unix::fs::chown(pod.volume(), Some(1000), Some(1000)).unwrap();
    pod.job(APP).run_as(1000, &binary).run().exits(0);
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn e09_what_there_is_instead_reaches_the_status() {
    let pod = Pod::new();
    pod.write(|writer| {
        for number in 0..9 {
            for day in 1..5 {
                let source = format!("application-with-a-long-name-{number}@a-namespace:/data");
                snapshot(writer, &source, &format!("2026-01-0{day}T00:00:{number:02}.123456789Z"));
            }
        }
    });
    let job = pod.job("application-with-a-long-name-x@a-namespace:/data").env("KOPIA_RS_ON_MISSING", "fail");
    let ran = job.run().exits(1);
    // Only a failed Job is looked at, and only what the filter and the cut leave of it.
    let discovered = controller::discover(&controller::status(&ran.log));
    assert_eq!(discovered.requested.as_deref(), Some("application-with-a-long-name-x@a-namespace"));
    assert_eq!(discovered.available.len(), 3, "{}", controller::status(&ran.log));
    for (identity, end) in &discovered.available {
        assert!(
            identity.starts_with("application-with-a-long-name-") && end.starts_with("2026-01-04T00:00:0")
        );
    }
    // Without the wish, no list.
    let quiet = pod.job("x@y:/data").env("KOPIA_DISCOVER_SNAPSHOTS", "").run().exits(0);
    quiet.never_says(&["=== Discovery Mode"]);
}

#[test]
fn e09_names_of_any_length_leave_room_for_the_sentence() {
    let pod = Pod::new();
    let long = |letter: &str| format!("{}@{}:/{}", letter.repeat(300), "h".repeat(300), "p/".repeat(300));
    pod.write(|writer| {
        snapshot(writer, &long("a"), "2026-01-01T00:00:00Z");
        snapshot(writer, "b\n{\"id\"\u{1b}[31m@h:/x", "2026-01-01T00:00:00Z");
        snapshot(writer, "c@h:/x", "2026-01-01T00:00:00Z");
    });
    let endless = format!("c@h:/{}", "long/".repeat(1000));
    for wanted in [long("b"), "b\n@h:/x".into(), "c@i:/x".into(), endless] {
        for on_missing in ["continue", "fail"] {
            let ran = pod.job(&wanted).env("KOPIA_RS_ON_MISSING", on_missing).run();
            let ran =
                ran.exits(i32::from(on_missing == "fail")).ends_with(&["No eligible snapshots found for "]);
            // The one with the long name does not fit, and the others are listed.
            let listed = controller::discover(&controller::status(&ran.log)).available;
            assert_eq!(listed.len(), 2, "{}", ran.log);
        }
    }
}

#[test]
fn e10_ownership_that_could_not_be_set_is_counted_and_said() {
    if !is_root() {
        return;
    }
    let pod = Pod::new();
    pod.write(|writer| {
        let mut entries: Vec<_> = (0..3).map(|number| file(writer, &format!("f{number}"), "x")).collect();
        for entry in &mut entries {
            entry["uid"] = json!(1000);
        }
        let mut root = folder(writer, "data", &entries);
        (root["uid"], root["gid"]) = (json!(SOMEBODY), json!(SOMEBODY));
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
    });
    let binary = pod.binary_for(SOMEBODY);
    let job = || pod.job(APP).run_as(SOMEBODY, &binary);
    let ran = job().run().exits(0).says(&["WARN: 3 entries belong to user 65532 instead of their owner"]);
    assert_eq!(ran.message.unwrap()["counts"]["ownersNotSet"], json!(3));
    // As an error on request.
    let strict = job().additional(&["--no-ignore-permission-errors"]).run().exits(1);
    strict.ends_with(&["ERROR: unable to restore", "exactly: not as in the snapshot: 3 owners"]);
    // And with the right to do it, it is done.
    let ran = pod.job(APP).run().exits(0).never_says(&["right owner"]);
    assert_eq!(ran.message.unwrap()["counts"]["ownersNotSet"], json!(0));
    assert_eq!(fs::metadata(pod.volume().join("f1")).unwrap().uid(), 1000);
}

#[test]
fn e11_a_kill_leaves_no_half_file_and_the_longest_name_is_restored() {
    let pod = Pod::new();
    let longest = "ü".repeat(127) + "x";
    assert_eq!(longest.len(), 255);
    pod.write(|writer| {
        let folders: Vec<_> = (0..200)
            .map(|number| {
                let files: Vec<_> =
                    (0..100).map(|n| file(writer, &format!("f{n:03}"), &format!("{number} {n}"))).collect();
                folder(writer, &format!("d{number:03}"), &files)
            })
            .collect();
        let mut entries = folders;
        entries.push(file(writer, &longest, "long"));
        let root = folder(writer, "data", &entries);
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
    });
    let job = pod.job(APP).additional(&["--parallel=1"]);
    let mut child = job.spawn();
    let begun = || names(&pod.volume()).iter().any(|name| name.starts_with(".kopia-rs-restore-"));
    let start = std::time::Instant::now();
    while !begun() && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed().as_secs() < 60, "the restore does not begin");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let _ = child.kill();
    child.wait().unwrap();
    let visible = || names(&pod.volume()).into_iter().filter(|name| !name.starts_with(".kopia-rs-restore-"));
    assert!(visible().all(|name| name.len() == 4 || name == longest), "only final names are visible");
    job.run().exits(0);
    assert_eq!(names(&pod.volume()).len(), 201, "the second run removes what the first left");
    assert_eq!(fs::read_to_string(pod.volume().join(&longest)).unwrap(), "long");
    assert_eq!(names(&pod.volume().join("d199")).len(), 100);
}

#[test]
fn e12_the_repository_is_only_read() {
    let case = golden::case("maintained-v3");
    let identity = case.listed.last().unwrap().source.to_string();
    let copy = kopia_testkit::damage::copy_repository(&case);
    let pod = Pod::new();
    let before = state(&copy.path());
    let job = || pod.golden(&case, &identity).repository(&copy.path());
    job().run().exits(0);
    assert_eq!(state(&copy.path()), before);
    // A repository that lies on a read-only mount is enough.
    let at = copy.path().display().to_string();
    let read_only = format!("mount --bind '{at}' '{at}'; mount -o remount,bind,ro '{at}'");
    if let Some(job) = with_mounts(job(), &read_only) {
        job.run().exits(0).says(&["Snapshot restore completed successfully"]);
    }
    // An empty volume is left empty.
    fs::create_dir(pod.repository()).unwrap();
    if let Some(job) = with_mounts(pod.job(APP), &volume(&pod.repository())) {
        job.run().exits(0);
        assert!(names(&pod.repository()).is_empty());
    }
}

#[test]
fn snapshots_that_no_index_names_are_said_and_an_incomplete_copy_is_no_first_deployment() {
    let pod = Pod::new();
    let job = |identity, repository: &Path| {
        pod.job(identity).repository(repository).env("KOPIA_PASSWORD", kopia_testkit::faults::PASSWORD)
    };
    let lost = kopia_testkit::faults::repository("index-newest-lost");
    let newer = "a newer snapshot, from 2026-11-28T00:11:09.398341352Z, is missing";
    let ran = job(APP, &lost).run().exits(0).says(&[newer, "which no index names", "--degraded"]);
    let ran = ran.ends_with(&[
        "Snapshot restore completed successfully",
        "; a newer snapshot is missing from the list, additionalArgs: [--degraded] looks for it",
    ]);
    assert_eq!(ran.message.unwrap()["newerMissing"], json!(1));
    // One that is named by its time is meant, and what is hidden of others does not matter.
    let ran = job(APP, &lost).env("KOPIA_RESTORE_AS_OF", "2026-11-28T00:11:09Z").run();
    ran.exits(0).never_says(&["is missing"]);
    job("other@media:/data", &lost).run().exits(0).says(&["No eligible snapshots found"]);
    let damaged = kopia_testkit::faults::repository("manifest-damaged");
    let ran = job(APP, &damaged).run().exits(1);
    ran.ends_with(&[
        "unable to list snapshots: blob q",
        "additionalArgs: [--degraded] takes what can be read",
    ]);
    let copy = pod.path("copy");
    fs::create_dir(&copy).unwrap();
    let blob = kopia_testkit::faults::repository("copy-of-bucket").join("kopia.repository");
    fs::copy(blob, copy.join("kopia.repository")).unwrap();
    let ran = job(APP, &copy).run().exits(1);
    ran.never_says(&["No eligible", "No data will"]).ends_with(&["it holds no index blobs"]);
}

#[test]
fn that_newer_snapshots_may_be_lost_with_all_that_named_them_is_said() {
    let pod = pod();
    // Epoch 1 has no index blobs, and no packs tell what they named.
    fs::write(pod.repository().join("xe2.f"), "").unwrap();
    let unknown = "index blobs are lost: snapshots whose packs are lost too are not known";
    // That packs are asked what they hold brings back nothing of the packs that are lost.
    for arguments in [&[] as &[&str], &["--degraded"]] {
        let job = || pod.job(APP).additional(arguments);
        let ran = job().run().exits(0).says(&["lost: all index blobs of epoch 1", unknown]);
        let ran = ran.ends_with(&[
            "Snapshot restore completed successfully",
            "; a newer snapshot may be missing from the list, as index blobs are lost",
        ]);
        assert_eq!(ran.message.unwrap()["newerMissing"], json!(1));
        // One that is named by its time is meant.
        let ran = job().env("KOPIA_RESTORE_AS_OF", "2026-01-01T00:00:00Z").run();
        let ran = ran.exits(0).never_says(&[unknown, "may be missing"]);
        assert!(ran.message.unwrap().get("newerMissing").is_none());
    }
}

#[test]
fn an_extra_that_cannot_be_deleted_is_no_entry_that_is_missing() {
    if !is_root() {
        return;
    }
    let pod = pod();
    let binary = pod.binary_for(SOMEBODY);
    let closed = pod.volume().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("mine"), "x").unwrap();
    let job = pod.job(APP).env("KOPIA_ENABLE_FILE_DELETION", "true").run_as(SOMEBODY, &binary);
    let ran = job.run().exits(1);
    ran.ends_with(&["ERROR: unable to delete 1 entry that the snapshot does not have: closed"]);
    assert_eq!(names(&pod.volume()), ["closed", "text"]);
}
