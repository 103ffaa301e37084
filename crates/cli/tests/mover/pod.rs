//! What a pod gives and takes: signals, limits, the container's message, metrics.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::common::{Job, Pod, file, folder, manifest, names, restored, snapshot, state};
use crate::namespace::with_mounts;

const APP: &str = "app@media:/data";

fn pod() -> Pod {
    let pod = Pod::new();
    pod.write(|writer| {
        snapshot(writer, APP, "2026-01-01T00:00:00Z");
    });
    pod
}

#[test]
fn a_signal_ends_it_within_a_second_and_the_log_says_where_it_stopped() {
    let pod = Pod::new();
    pod.write(|writer| {
        let folders: Vec<_> = (0..100)
            .map(|number| {
                let files: Vec<_> =
                    (0..150).map(|n| file(writer, &format!("f{n:03}"), &format!("{number} {n}"))).collect();
                folder(writer, &format!("d{number:03}"), &files)
            })
            .collect();
        let root = folder(writer, "data", &folders);
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
    });
    let job = pod.job(APP).additional(&["--parallel=1"]);
    // On a machine that has no time the restore may be over before the signal, or take longer to stop than it
    // may.
    assert!((0..8).any(|_| stops_by_itself(&pod, &job)), "the restore never stopped by itself");
    // The next pod ends it.
    job.run().exits(0);
    assert_eq!(names(&pod.volume()).len(), 100);
}

/// Signals a restore that has begun; returns whether it was stopped in the middle, and named what it left.
fn stops_by_itself(pod: &Pod, job: &Job) -> bool {
    for name in names(&pod.volume()) {
        fs::remove_dir_all(pod.volume().join(name)).unwrap();
    }
    let mut child = job.spawn();
    let start = Instant::now();
    let begun = || names(&pod.volume()).iter().any(|name| name.starts_with(".kopia-rs-restore-"));
    while !begun() && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "the restore does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = kill_process(Pid::from_child(&child), Signal::TERM);
    let ran = job.ended(child);
    if ran.code == Some(0) {
        return false;
    }
    let left = names(&pod.volume());
    // A signal that comes while folders get their names comes too late.
    if left.len() > 1 {
        return false;
    }
    let [unfinished] = &left[..] else { panic!("{left:?}") };
    let ran = ran.exits(143).ends_with(&["ERROR: unable to finish: ", "SIGTERM"]);
    let message = ran.message.as_ref().unwrap();
    assert_eq!((&message["result"], &message["exitCode"]), (&json!("stopped"), &json!(143)));
    let in_time = ran.last().contains(&**unfinished);
    assert!(in_time || ran.last().contains(".kopia-rs-restore-…"), "{}", ran.log);
    in_time
}

#[test]
fn the_message_is_one_line_of_json_in_a_file_that_exists() {
    let pod = pod();
    let ran = pod.job(APP).run().exits(0);
    let message = ran.message.unwrap();
    for (key, value) in [
        ("result", json!("restored")),
        ("exitCode", json!(0)),
        ("identity", json!(APP)),
        ("repository", json!(pod.repository())),
    ] {
        assert_eq!(message[key], value, "{message}");
    }
    assert_eq!(message["snapshot"]["startTime"], json!("2026-01-01T00:00:00Z"));
    assert_eq!(message["counts"]["files"], json!(1));
    // An older message is not left behind a shorter one.
    let log = pod.path("termination-log");
    fs::write(&log, "x".repeat(5000)).unwrap();
    assert_eq!(pod.job(APP).command().output().unwrap().status.code(), Some(0));
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 1);
    // Where there is none, none is made; and nobody is led elsewhere by it.
    fs::remove_file(&log).unwrap();
    assert!(pod.job(APP).run().exits(0).message.is_none());
    assert!(!log.exists());
    fs::write(pod.path("other"), "mine").unwrap();
    std::os::unix::fs::symlink(pod.path("other"), &log).unwrap();
    let mut job = pod.job(APP);
    job.termination_log = None;
    job.arg("--termination-log").arg(&log).run().exits(0);
    assert_eq!(fs::read_to_string(pod.path("other")).unwrap(), "mine");
}

#[test]
fn the_message_has_the_class_of_what_went_wrong() {
    let pod = pod();
    let class = |job: Job, code: i32| job.run().exits(code).message.unwrap()["class"].take();
    assert_eq!(class(pod.job(APP), 0), json!(null));
    // A first deployment is no failure.
    assert_eq!(class(pod.job("new@media:/data"), 0), json!(null));
    assert_eq!(class(pod.job("new@media:/data").env("KOPIA_RS_ON_MISSING", "fail"), 1), json!("NotFound"));
    assert_eq!(class(pod.job(APP).env("KOPIA_PASSWORD", "wrong"), 1), json!("AuthFailure"));
    assert_eq!(class(pod.job(APP).env("DATA_DIR", pod.path("nowhere")), 1), json!("NotFound"));
    assert_eq!(class(pod.job(APP).env("KOPIA_PREVIOUS", "x"), 1), json!("Usage"));
    assert_eq!(class(pod.job(APP).arguments(&["mover", "fly"]), 2), json!("Usage"));
    let empty = pod.path("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(class(pod.job(APP).repository(&empty), 1), json!("NotFound"));
    let upgraded = kopia_testkit::faults::repository("upgrade-abandoned");
    let locked = pod.job(APP).repository(&upgraded).env("KOPIA_PASSWORD", kopia_testkit::faults::PASSWORD);
    assert_eq!(class(locked, 1), json!("Locked"));
    for pack in kopia_testkit::damage::blobs(&pod.repository(), "p") {
        pack.delete();
    }
    fs::remove_dir_all(pod.volume()).unwrap();
    fs::create_dir(pod.volume()).unwrap();
    assert_eq!(class(pod.job(APP), 1), json!("Damaged"));
}

#[test]
fn what_the_last_line_has_no_room_for_is_said_before_it() {
    let pod = pod();
    let upgraded = kopia_testkit::faults::repository("upgrade-abandoned");
    let locked = pod.job(APP).repository(&upgraded).env("KOPIA_PASSWORD", kopia_testkit::faults::PASSWORD);
    let ran = locked.run().exits(1).ends_with(&["ERROR: unable to open the repository: ", "…"]);
    // Since when is what tells an upgrade that was given up from one that goes on.
    ran.says(&[
        "INFO: in full: unable to open the repository: ",
        "has been upgrading the repository since 2026-",
    ]);
    // What has room is said once.
    pod.job(APP).run().exits(0).never_says(&["in full"]);
}

#[test]
fn metrics_are_written_whole_at_every_end() {
    let pod = pod();
    let file = pod.path("restore.prom");
    let value = |name: &str| {
        let text = fs::read_to_string(&file).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("kopia_rs_restore_{name}{{identity=\"{APP}\"}} ")));
        line.unwrap_or_else(|| panic!("{name} is not in {text}")).rsplit_once(' ').unwrap().1.to_owned()
    };
    pod.job(APP).arg("--metrics-file").arg(&file).run().exits(0);
    assert_eq!((&*value("success"), &*value("files"), &*value("exit_code")), ("1", "1", "0"));
    assert_eq!(value("snapshot_timestamp_seconds"), "1767225600");
    assert_eq!(value("progress_bytes"), value("bytes"));
    assert!(!fs::read_to_string(&file).unwrap().contains("kopia_rs_restore_error"));
    pod.job(APP).env("KOPIA_RS_METRICS_FILE", &file).env("KOPIA_PREVIOUS", "5").run().exits(1);
    assert_eq!((&*value("success"), &*value("exit_code")), ("0", "1"));
    let text = fs::read_to_string(&file).unwrap();
    let class = format!("\nkopia_rs_restore_error{{identity=\"{APP}\",class=\"NotFound\"}} 1\n");
    assert!(text.contains(&class), "{text}");
    for (mask, mode) in [("077", 0o600), ("022", 0o644)] {
        let script = format!("umask {mask}; exec \"$0\" \"$@\"");
        let job = pod.job(APP).within(&["/bin/sh".as_ref(), "-c".as_ref(), script.as_ref()]);
        job.arg("--metrics-file").arg(&file).run().exits(0);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, mode, "{mask}");
    }
    // Also where settings are wrong, and it is not known yet whose snapshot is wanted.
    for (name, set) in [
        ("KOPIA_PASSWORD", ""),
        ("KOPIA_PREVIOUS", "x"),
        ("KOPIA_ADDITIONAL_ARGS", "--frobnicate"),
        ("KOPIA_REPOSITORY", "filesystem://relative"),
        ("KOPIA_STRUCTURED_REPOSITORY_CONFIG", "no JSON"),
    ] {
        pod.job(APP).arg("--metrics-file").arg(&file).run().exits(0);
        assert_eq!(value("success"), "1");
        pod.job(APP).env("KOPIA_RS_METRICS_FILE", &file).env(name, set).run().exits(1);
        let text = fs::read_to_string(&file).unwrap();
        for line in ["kopia_rs_restore_success 0", "kopia_rs_restore_error{class=\"Usage\"} 1"] {
            assert!(text.lines().any(|one| one == line), "{name}: {line} is not in {text}");
        }
        // Nothing is written to the repository, whether it is known which one that is or not.
        let before = state(&pod.repository());
        let inside = pod.job(APP).env("KOPIA_RS_METRICS_FILE", pod.repository().join("restore.prom"));
        inside.env(name, set).run().exits(1);
        assert_eq!(state(&pod.repository()), before);
    }
    // And where it is called in the wrong way.
    for arguments in [
        &["mover", "destroy"][..],
        &["mover", "restore", "backup"],
        &["mover", "restore", "--json"],
        &["mover", "restore", "--frobnicate"],
    ] {
        for is_option in [true, false] {
            fs::remove_file(&file).unwrap();
            let job = pod.job(APP).arguments(arguments);
            let job = match is_option {
                true => job.arg("--metrics-file").arg(&file),
                false => job.env("KOPIA_RS_METRICS_FILE", &file),
            };
            job.run().exits(2);
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.contains("kopia_rs_restore_exit_code 2\n"), "{arguments:?}: {text}");
        }
        let inside = pod.repository().join("restore.prom");
        let refused = pod.job(APP).arguments(arguments).env("KOPIA_RS_METRICS_FILE", &inside);
        refused.run().exits(2).says(&["would lie in the repository"]);
        assert!(!inside.exists());
    }
    assert_eq!(names(&pod.path("")), ["repository", "restore.prom", "termination-log", "volume"]);
}

#[test]
fn metrics_do_not_lie_in_the_volume() {
    let pod = pod();
    let inside = pod.volume().join("restore.prom");
    fs::write(&inside, "mine").unwrap();
    for (name, value) in [("KOPIA_ENABLE_FILE_DELETION", "true"), ("KOPIA_PREVIOUS", "x")] {
        let job = pod.job(APP).env("KOPIA_RS_METRICS_FILE", &inside).env(name, value);
        job.run().exits(1);
        assert_eq!(fs::read_to_string(&inside).unwrap(), "mine");
        assert_eq!(names(&pod.volume()), ["restore.prom"]);
    }
    let ran = pod.job(APP).arg("--metrics-file").arg(pod.volume().join("../volume/new.prom")).run();
    ran.exits(1).ends_with(&["the metrics file", "would be the target, or lie in it: name a file elsewhere"]);
    assert_eq!(names(&pod.volume()), ["restore.prom"]);
}

#[test]
fn a_memory_limit_that_is_too_low_is_an_error_before_the_first_write() {
    let pod = pod();
    let limits = pod.path("cgroup");
    fs::create_dir_all(limits.join("memory")).unwrap();
    for (megabytes, code) in [(255, 1), (256, 0)] {
        let bytes = (megabytes << 20).to_string();
        fs::write(limits.join("memory.max"), &bytes).unwrap();
        fs::write(limits.join("memory/memory.limit_in_bytes"), &bytes).unwrap();
        let setup = format!("mount --bind '{}' /sys/fs/cgroup", limits.display());
        let Some(job) = with_mounts(pod.job(APP), &setup) else { return };
        let ran = job.run().exits(code);
        if code == 1 {
            ran.ends_with(&[
                "the memory limit is 255 MiB",
                "needs 256 MiB",
                "moverResources.limits.memory to 256Mi",
            ]);
            assert!(names(&pod.volume()).is_empty());
        }
    }
    assert_eq!(restored(&pod), "2026-01-01T00:00:00Z");
}

#[test]
fn a_volume_that_is_too_small_is_an_error_before_the_first_write() {
    let pod = Pod::new();
    pod.write(|writer| {
        let entries = [file(writer, "text", "x")];
        let mut root = folder(writer, "data", &entries);
        root["summ"] = json!({"size": 50 << 20, "files": 1, "symlinks": 0, "dirs": 1, "maxTime": "2026-01-01T00:00:00Z", "numFailed": 0});
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
    });
    let setup = format!("mount -t tmpfs -o size=8m volume '{}'", pod.volume().display());
    let Some(job) = with_mounts(pod.job(APP), &setup) else { return };
    let ran = job.run().exits(1);
    ran.ends_with(&["ERROR: unable to restore", "the snapshot needs 52.4 MB", "free"]);
    // One that holds something may hold what is restored.
    let full = format!("{setup}; echo mine > '{}/text'", pod.volume().display());
    if let Some(job) = with_mounts(pod.job(APP), &full) {
        job.run().exits(0).says(&["WARN: the snapshot needs 52.4 MB"]);
    }
}

#[test]
fn what_may_fit_is_tried() {
    let pod = Pod::new();
    pod.write(|writer| {
        let entries = [file(writer, "text", "x")];
        let mut root = folder(writer, "data", &entries);
        root["summ"] = json!({"size": 1, "files": 20_000, "symlinks": 0, "dirs": 1, "maxTime": "2026-01-01T00:00:00Z", "numFailed": 0});
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
    });
    let volume = pod.volume();
    let setup = format!("mount -t tmpfs -o size=20m,nr_inodes=30000 volume '{}'", volume.display());
    let Some(job) = with_mounts(pod.job(APP), &setup) else { return };
    // That blocks are half full is an average, and files without bytes take none at all.
    job.run().exits(0).says(&["WARN: the snapshot may need 41.0 MB"]);
}

#[test]
fn a_volume_that_fills_up_says_so_and_what_was_done_is_taken_up() {
    let pod = Pod::new();
    pod.write(|writer| {
        let entries = [file(writer, "text", "x"), file(writer, "large", &"much ".repeat(400_000))];
        let root = folder(writer, "data", &entries);
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
    });
    let setup = format!("mount -t tmpfs -o size=1m volume '{}'", pod.volume().display());
    let Some(job) = with_mounts(pod.job(APP), &setup) else { return };
    let ran = job.run().exits(1).says(&["INFO: what was done lies in ", "/.kopia-rs-restore-"]);
    ran.ends_with(&["ERROR: unable to restore", "No space left on device", "enlarge the volume"]);
}

#[test]
fn what_the_backup_could_not_read_is_said() {
    let pod = Pod::new();
    pod.write(|writer| {
        let entries = [file(writer, "text", "x")];
        let mut root = folder(writer, "data", &entries);
        root["summ"] = json!({"size": 1, "files": 1, "symlinks": 0, "dirs": 1, "maxTime": "2026-01-01T00:00:00Z", "numFailed": 2,
            "errors": [{"path": "secret/key", "error": "permission denied"}]});
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
    });
    let ran = pod.job(APP).run().exits(0);
    let ran = ran.says(&["WARN: the backup was made with 2 failed files", "secret/key: permission denied"]);
    assert_eq!(ran.message.unwrap()["snapshot"]["failedInBackup"], json!(2));
}

#[test]
fn two_pods_on_one_volume_do_not_mix() {
    let pod = pod();
    // The lock of a restore that runs: whoever comes second is told.
    let first = pod.job(APP);
    let children: Vec<_> = (0..4).map(|_| first.spawn()).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        let busy = log.lines().last().unwrap().contains("another restore into");
        assert!(output.status.success() || busy, "{log}");
    }
    assert_eq!(restored(&pod), "2026-01-01T00:00:00Z");
    assert_eq!(names(&pod.volume()), ["text"]);
}
