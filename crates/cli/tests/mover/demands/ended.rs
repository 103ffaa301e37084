//! How a restore ends, and what is left then.

use std::fs;
use std::path::PathBuf;

use kopia_testkit::writer::{RepositoryWriter, write_in};
use serde_json::json;

use crate::common::{Job, Pod, file, folder, manifest, names, restored, snapshot, state};
use crate::controller;
use crate::namespace::{volume, with_mounts};

use super::{APP, pod};

#[test]
fn m07_no_snapshot_is_well_only_if_none_can_be_hidden() {
    let pod = pod();
    let ran = pod.job("new@media:/data").run().exits(0);
    ran.says(&["=== No data will be restored ===", "OPERATION_RESULT: SUCCESS"])
        .ends_with(&["No eligible snapshots found for new@media:/data; the repository has"]);
    // A pack with manifests that no index names: a list without it may lack the very snapshot.
    let hidden = Pod::new();
    let mut one = RepositoryWriter::new().pack_size(1);
    snapshot(&mut one, APP, "2026-01-01T00:00:00Z");
    one.finish_in(&hidden.repository()).unwrap();
    let mut two = RepositoryWriter::new().pack_size(1);
    snapshot(&mut two, APP, "2026-01-01T00:00:00Z");
    snapshot(&mut two, "new@media:/data", "2026-01-02T00:00:00Z");
    let mut index = None;
    for (name, bytes) in two.finish() {
        let path = hidden.repository().join(format!("{name}.f"));
        match &*name {
            pack if pack.starts_with(['p', 'q']) && !path.exists() => fs::write(path, bytes).unwrap(),
            blob if blob.starts_with('x') => index = Some((name, bytes)),
            _ => {}
        }
    }
    let ran = hidden.job("new@media:/data").run().exits(1);
    ran.ends_with(&["ERROR: unable to tell whether new@media:/data has snapshots: pack q"]);
    // What is in the list needs no proof.
    hidden.job(APP).run().exits(0);
    // While the session that wrote the pack goes on, its index may be still to come; then the snapshot is
    // there.
    fs::write(hidden.repository().join("s0123-s0123456789abcdef.f"), "").unwrap();
    let job = hidden.job("new@media:/data");
    let child = job.spawn();
    let (name, index) = index.expect("there is one index blob");
    std::thread::sleep(std::time::Duration::from_millis(300));
    fs::write(hidden.repository().join("new"), index).unwrap();
    fs::rename(hidden.repository().join("new"), hidden.repository().join(format!("{name}.f"))).unwrap();
    job.ended(child).exits(0).ends_with(&["Snapshot restore completed successfully: new@media:/data"]);
}

#[test]
fn snapshots_that_are_all_deleted_are_not_forgotten() {
    let pod = Pod::new();
    let mut writer = RepositoryWriter::new();
    let id = snapshot(&mut writer, APP, "2026-01-01T00:00:00Z");
    write_in(&pod.repository(), writer.finish_changed(|living| living.delete_snapshot(&id))).unwrap();
    pod.job(APP).run().exits(0).says(&[
        "INFO: snapshots were deleted, of which some may still be there: ",
        "kopia-rs snapshots --deleted shows them",
        "kopia-rs restore --deleted restores one",
    ]);
    assert!(names(&pod.volume()).is_empty());
}

/// The controller puts «No snapshots found» above everything else that a status says.
#[test]
fn m07_no_snapshots_found_is_said_only_where_it_is_true() {
    const LINE: &str = "No snapshots found";
    let pod = pod();
    let absent = pod.job("new@media:/data").env("KOPIA_RS_ON_MISSING", "fail").run().exits(1);
    absent.says(&["No snapshots found for new@media:/data"]);
    // There are some, and not the one that was asked for.
    for (name, value) in
        [("KOPIA_PREVIOUS", "7"), ("KOPIA_RESTORE_AS_OF", "2020-01-01T00:00:00Z"), ("KOPIA_SHALLOW", "0")]
    {
        let ran = pod.job(APP).env(name, value).run().exits(1).never_says(&[LINE]);
        let available = controller::discover(&controller::status(&ran.log)).available;
        assert_eq!(available.len(), 1, "what there is is still listed: {}", ran.log);
    }
    let unfinished = Pod::new();
    unfinished.write(|writer| {
        let root = folder(writer, "data", &[]);
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({"incomplete": "checkpoint"}));
    });
    unfinished.job(APP).run().exits(1).never_says(&[LINE]);
    // Nobody knows.
    for job in [
        pod.job(APP).env("KOPIA_PASSWORD", "wrong"),
        pod.job(APP).repository(&pod.path("elsewhere")),
        pod.job(APP).env("KOPIA_PREVIOUS", "x"),
        pod.job("new@media:/data").env("DATA_DIR", "/nonexistent"),
    ] {
        job.run().exits(1).never_says(&[LINE]);
    }
    let index = &kopia_testkit::damage::blobs(&pod.repository(), "x")[0];
    index.flip_bit(index.read().len() / 2, 0);
    for job in [pod.job("new@media:/data"), pod.job(APP)] {
        let ran = job.run().exits(1).never_says(&[LINE, "No data will be restored"]);
        ran.ends_with(&["blob x", "additionalArgs: [--degraded]"]);
    }
}

/// A damaged index blob: without it, packs are asked what they hold.
#[test]
fn a_damaged_repository_is_restored_from_on_request() {
    let pod = pod();
    let index = &kopia_testkit::damage::blobs(&pod.repository(), "x")[0];
    index.flip_bit(index.read().len() / 2, 0);
    let degraded: [fn(Job) -> Job; 2] =
        [|job| job.additional(&["--degraded"]), |job| job.env("KOPIA_RS_DEGRADED", "true")];
    for degraded in degraded {
        let ran = degraded(pod.job(APP)).run().exits(0).says(&["WARN: lost: ", "blob x"]);
        ran.ends_with(&["Snapshot restore completed successfully: app@media:/data from 2026-01-02"]);
        assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
        fs::remove_file(pod.volume().join("text")).unwrap();
        // What is not in a list with gaps may be missing, which is no first deployment.
        let ran = degraded(pod.job("new@media:/data")).run().exits(1);
        ran.never_says(&["No data will be restored", "No snapshots found"]);
    }
    pod.job(APP).env("KOPIA_RS_DEGRADED", "false").run().exits(1);
    pod.job(APP)
        .env("KOPIA_RS_DEGRADED", "maybe")
        .run()
        .exits(1)
        .ends_with(&["KOPIA_RS_DEGRADED is \"maybe\""]);
    // A pack that does not say what it holds may hold a newer snapshot: everything is restored, and that is
    // no success, unless this very snapshot was asked for.
    fs::write(pod.repository().join(format!("q{:032x}-s0123456789abcdef147.f", 7)), "nonsense").unwrap();
    let job = || pod.job(APP).additional(&["--degraded"]);
    let ran = job().run().exits(1).says(&["may hold snapshots that no index names"]);
    let ran = ran.ends_with(&[
        "tell whether 2026-01-02T00:00:00Z is the newest",
        "set restoreAsOf to 2026-01-02T00:00:00Z",
    ]);
    assert_eq!(ran.message.unwrap()["result"], json!("partial"));
    assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
    job().env("KOPIA_RESTORE_AS_OF", "2026-01-02T00:00:00Z").run().exits(0);
}

#[test]
fn m08_a_snapshot_of_one_file_goes_into_the_volume() {
    for name in ["db.dump", ""] {
        let pod = Pod::new();
        pod.write(|writer| {
            let root = file(writer, name, "all of it");
            manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
        });
        pod.job(APP).run().exits(0);
        let restored = names(&pod.volume());
        let [restored] = &restored[..] else { panic!("{restored:?}") };
        assert!(name.is_empty() || restored == name, "{restored}");
        assert_eq!(fs::read_to_string(pod.volume().join(restored)).unwrap(), "all of it");
    }
}

#[test]
fn m08_every_other_failure_exits_1_with_an_error() {
    let pod = pod();
    let jobs = [
        pod.job(APP).env("KOPIA_PASSWORD", "wrong"),
        pod.job(APP).repository(&pod.path("missing")),
        pod.job(APP).env("DATA_DIR", "/nonexistent"),
        pod.job(APP).env("DATA_DIR", pod.repository()),
        pod.job(APP).env("DATA_DIR", pod.repository().parent().unwrap()),
        pod.job(APP).additional(&["--frobnicate"]),
        pod.job(APP).arguments(&["mover", "restore", "--metrics-file"]).arg(pod.repository().join("m.prom")),
    ];
    let before = state(&pod.repository());
    for job in jobs {
        let ran = job.run().exits(1).never_says(&["No data will be restored", "SUCCESS"]);
        ran.ends_with(&["ERROR: unable to "]);
        assert_eq!(state(&pod.repository()), before);
    }
    // A file whose bytes are gone: the others are there, and that is no success.
    let partial = Pod::new();
    partial.write(|writer| {
        let mut lost = file(writer, "lost", "x");
        lost["obj"] = json!(format!("{:032x}", 7));
        let entries = [file(writer, "kept", "kept"), lost];
        let root = folder(writer, "data", &entries);
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
    });
    let ran = partial.job(APP).run().exits(1).says(&["ERROR: lost: content"]);
    let ran = ran.ends_with(&[
        "ERROR: unable to restore 1 entry of app@media:/data from 2026-01-01T00:00:00Z completely: lost",
    ]);
    assert_eq!(ran.message.unwrap()["result"], json!("partial"));
    assert_eq!(fs::read_to_string(partial.volume().join("kept")).unwrap(), "kept");
}

#[test]
fn m09_an_empty_volume_is_a_first_deployment_and_an_empty_folder_is_none() {
    let pod = Pod::new();
    fs::create_dir(pod.repository()).unwrap();
    let job = || pod.job(APP);
    let not_mounted = job().run().exits(1);
    not_mounted
        .ends_with(&["ERROR: unable to open the repository"])
        .never_says(&["No data will be restored"]);
    let by_hand = job().env("KOPIA_RS_ON_MISSING", "continue").run().exits(0);
    by_hand.ends_with(&["No eligible snapshots found for app@media:/data"]);
    // What file systems put into their roots is nothing; a folder in an empty volume is not there yet.
    for (folder, holds) in [("", &[][..]), ("", &["lost+found", ".snapshot", ".zfs"]), ("/kopia", &[])] {
        holds.iter().for_each(|name| fs::create_dir(pod.repository().join(name)).unwrap());
        let at = PathBuf::from(format!("{}{folder}", pod.repository().display()));
        let Some(job) = with_mounts(job().repository(&at), &volume(&pod.repository())) else { return };
        let ran = job.run().exits(0).says(&["=== No data will be restored ==="]);
        ran.ends_with(&["No eligible snapshots found for app@media:/data; ", "is empty"]);
        let strict = job.env("KOPIA_RS_ON_MISSING", "fail").run().exits(1);
        strict.ends_with(&["No eligible snapshots found for"]);
        assert_eq!(names(&pod.repository()).len(), holds.len(), "nothing is created");
        holds.iter().for_each(|name| fs::remove_dir(pod.repository().join(name)).unwrap());
    }
    // A repository one level below is none that is yet to come, whatever was said.
    let below = pod.repository().join("below");
    let mut writer = RepositoryWriter::new();
    snapshot(&mut writer, APP, "2026-01-01T00:00:00Z");
    writer.finish_in(&below).unwrap();
    let ran = job().env("KOPIA_RS_ON_MISSING", "continue").run().exits(1);
    ran.ends_with(&[&format!("set KOPIA_REPOSITORY=filesystem://{}", below.display())]);
    fs::remove_dir_all(below).unwrap();
    // Anything else in it, and it is not empty.
    fs::write(pod.repository().join("file"), "").unwrap();
    if let Some(job) = with_mounts(job().env("KOPIA_RS_ON_MISSING", "continue"), &volume(&pod.repository())) {
        job.run().exits(1).ends_with(&["ERROR: unable to open the repository"]);
    }
}

#[test]
fn m10_file_deletion_is_a_mirror_at_the_end() {
    let pod = pod();
    let put = |name: &str| {
        let path = pod.volume().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    };
    ["extra", "folder/deep/extra", "lost+found/found"].into_iter().for_each(put);
    pod.job(APP).run().exits(0);
    assert_eq!(names(&pod.volume()), ["extra", "folder", "lost+found", "text"], "nothing is deleted unasked");
    let mirrored = pod.job(APP).env("KOPIA_ENABLE_FILE_DELETION", "true").run().exits(0);
    assert_eq!(names(&pod.volume()), ["lost+found", "text"]);
    assert_eq!(names(&pod.volume().join("lost+found")), ["found"]);
    assert_eq!(mirrored.message.unwrap()["counts"]["deleted"], json!(2));
    put("extra");
    pod.job(APP).additional(&["--delete-extra"]).run().exits(0);
    assert_eq!(names(&pod.volume()), ["lost+found", "text"]);
}

#[test]
fn m15_the_log_is_what_the_controller_reads() {
    let pod = pod();
    let ran = pod.job(APP).run().exits(0).says(&[
        "INFO: Selected snapshot with id: ",
        "INFO: OPERATION_TYPE: restore",
        "INFO: OPERATION_RESULT: SUCCESS",
        "INFO: EXIT_CODE: 0",
        "INFO: === Done ===",
    ]);
    assert!(ran.last().starts_with("Snapshot restore completed successfully"));
    for line in ran.log.lines().rev().skip(1) {
        assert!(["INFO: ", "WARN: "].iter().any(|level| line.starts_with(level)), "{line}");
    }
    let failed = pod.job(APP).env("KOPIA_PREVIOUS", "7").run().exits(1).says(&[
        "INFO: OPERATION_RESULT: FAILURE",
        "INFO: EXIT_CODE: 1",
        "=== Discovery Mode: Available Snapshots ===",
    ]);
    let discovered = controller::discover(&controller::status(&failed.log));
    assert_eq!(discovered.available, [("app@media".to_owned(), "2026-01-02T00:00:00Z".to_owned())]);
}
