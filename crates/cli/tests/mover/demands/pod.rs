//! What a restore needs of its pod, and what it brings back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use kopia_testkit::golden;
use kopia_testkit::tree::{Compare, Tree, compare};
use serde_json::json;

use crate::common::{Job, Pod, SOMEBODY, file, folder, is_root, manifest, names, restored, state};
use crate::namespace::with_mounts;

use super::{APP, pod};

#[test]
fn m11_everything_comes_back_as_it_was() {
    let case = golden::case("tricky");
    let pod = Pod::new();
    let (listed, expected) = case.pairs().pop().unwrap();
    pod.golden(&case, &listed.source.to_string()).run().exits(0);
    let mut what = Compare::settable();
    (what.owners, what.special_bits) = (is_root(), is_root());
    let differences = compare(&expected.load(), &Tree::scan(pod.volume()), &what);
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn m12_nothing_is_demanded_of_the_pod() {
    if !is_root() {
        return;
    }
    // No home, no passwd entry, no variables but the Job's; a volume of another user with setgid and a
    // lost+found of root.
    let pod = pod();
    let binary = pod.binary_for(SOMEBODY);
    fs::set_permissions(pod.volume(), fs::Permissions::from_mode(0o2775)).unwrap();
    std::os::unix::fs::chown(pod.volume(), Some(0), Some(SOMEBODY)).unwrap();
    fs::create_dir(pod.volume().join("lost+found")).unwrap();
    fs::set_permissions(pod.volume().join("lost+found"), fs::Permissions::from_mode(0o700)).unwrap();
    let job = || pod.job(APP).env("KOPIA_ENABLE_FILE_DELETION", "true");
    job().run_as(SOMEBODY, &binary).run().exits(0);
    assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
    assert_eq!(names(&pod.volume()), ["lost+found", "text"]);

    // The same with everything else read-only, and no /tmp to write to.
    fs::remove_file(pod.volume().join("text")).unwrap();
    let at = pod.volume().display().to_string();
    let log = pod.path("termination-log").display().to_string();
    let setup = format!(
        "mount --bind '{at}' '{at}'; mount --bind '{log}' '{log}'; mount -o remount,bind,ro /; \
         if mountpoint -q /tmp; then mount -o remount,bind,ro /tmp; fi; if touch {0}/x /tmp/x 2>/dev/null; then exit 99; fi",
        pod.path("").display()
    );
    if let Some(job) = with_mounts(job(), &setup) {
        job.run().exits(0);
        assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
    }

    // With the capabilities of a privileged mover and no others: owners are set.
    let foreign = Pod::new();
    foreign.write(|writer| {
        let mut entries = [file(writer, "text", "x")];
        (entries[0]["uid"], entries[0]["gid"], entries[0]["mode"]) =
            (json!(1000), json!(2000), json!("0600"));
        let root = folder(writer, "data", &entries);
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
    });
    fs::set_permissions(foreign.volume(), fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(foreign.volume(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let few = ["setpriv", "--bounding-set", "-all,+chown,+dac_override,+fowner", "--no-new-privs"]
        .map(AsRef::as_ref);
    foreign
        .job(APP)
        .within(&few)
        .env("PATH", "/usr/bin:/bin")
        .run()
        .exits(0)
        .never_says(&["WARN: ownership"]);
    let metadata = fs::metadata(foreign.volume().join("text")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (1000, 2000, 0o600));

    // Root without any, as a Job is whose ReplicationDestination has no moverSecurityContext: what root wrote
    // can be read, and owners are counted.
    fs::remove_file(foreign.volume().join("text")).unwrap();
    std::os::unix::fs::chown(foreign.volume(), Some(0), Some(0)).unwrap();
    for path in [foreign.repository()].into_iter().chain(files(&foreign.repository())) {
        let mode = if path.is_dir() { 0o700 } else { 0o600 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let none =
        ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs"].map(AsRef::as_ref);
    let job = || foreign.job(APP).within(&none).env("PATH", "/usr/bin:/bin");
    job().run().exits(0).says(&["WARN: 1 entry could not be given the right owner", "the capability CHOWN"]);
    assert_eq!(fs::read_to_string(foreign.volume().join("text")).unwrap(), "x");
    // What another user wrote it cannot read, which is said as of any other user.
    std::os::unix::fs::chown(foreign.repository(), Some(1000), Some(1000)).unwrap();
    job().run().exits(1).ends_with(&["refuses user 0", "run as user 1000"]);
}

fn files(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn m12_neither_tmp_nor_a_home_is_looked_at() {
    let pod = pod();
    let trace = pod.path("trace");
    let Some(log) = traced(pod.job(APP), &trace) else { return };
    let own = pod.path("");
    let is_own = |path: &&str| own.starts_with(path) || std::path::Path::new(path).starts_with(&own);
    let calls = log.lines().filter(|line| !line.contains("execve("));
    let paths =
        calls.flat_map(|line| line.split('"').skip(1).step_by(2)).filter(|path| path.starts_with('/'));
    let foreign = ["/tmp", "/root", "/home", "/cache", "/etc/passwd", "/var"];
    let looked_at: Vec<_> = paths
        .filter(|path| !is_own(path) && foreign.iter().any(|foreign| path.starts_with(foreign)))
        .collect();
    assert!(looked_at.is_empty(), "{looked_at:#?}");
}

/// Runs a Job and returns its system calls; `None` where there is no strace.
fn traced(job: Job, to: &std::path::Path) -> Option<String> {
    if Command::new("strace").arg("--version").output().is_err() {
        kopia_testkit::facilities::left_out("strace is not on PATH");
        return None;
    }
    let words = ["strace", "-f", "-qq", "-s", "4096", "-o", to.to_str().unwrap()].map(AsRef::as_ref);
    job.within(&words).env("PATH", "/usr/bin:/bin").run().exits(0);
    Some(fs::read_to_string(to).unwrap())
}

#[test]
fn m13_everything_is_on_disk_before_the_end() {
    let pod = pod();
    let Some(log) = traced(pod.job(APP), &pod.path("trace")) else { return };
    let place = |call: &str| log.lines().position(|line| line.contains(call));
    let last = |call: &str| log.lines().collect::<Vec<_>>().iter().rposition(|line| line.contains(call));
    let renamed = last("rename").expect("the file gets its name");
    let synced = last("syncfs(").expect("the file system is synced");
    let ended = place("Snapshot restore completed").expect("the end is told");
    assert!(renamed < synced && synced < ended, "rename {renamed}, syncfs {synced}, end {ended}");
}

#[test]
fn m16_a_cache_is_neither_needed_nor_touched() {
    let pod = pod();
    let cache = pod.path("cache");
    pod.job(APP).env("KOPIA_CACHE_DIR", &cache).run().exits(0);
    assert!(!cache.exists());
    // What kopia left in it stays valid.
    fs::create_dir_all(cache.join("logs")).unwrap();
    fs::write(cache.join("kopia.config"), "{\"hostname\":\"x\"}").unwrap();
    let before = state(&cache);
    let limits = [
        "KOPIA_CACHE_CAPACITY_BYTES",
        "KOPIA_METADATA_CACHE_SIZE_LIMIT_MB",
        "KOPIA_CONTENT_CACHE_SIZE_LIMIT_MB",
    ];
    let job = limits.iter().fold(pod.job(APP), |job, name| job.env(name, "1"));
    job.env("KOPIA_CACHE_DIR", &cache).env("KOPIA_SKIP_CACHE_CONFIG", "true").run().exits(0);
    assert_eq!(state(&cache), before);
    // A warm one holds a copy of the format blob; it is no repository, and none is said to lie in it.
    fs::create_dir_all(cache.join("contents")).unwrap();
    fs::copy(pod.repository().join("kopia.repository.f"), cache.join("kopia.repository")).unwrap();
    for on_missing in ["continue", "fail"] {
        let job = pod.job(APP).env("KOPIA_RS_ON_MISSING", on_missing);
        let ran = job.repository(&cache).run().exits(1).never_says(&["No data will be restored"]);
        ran.ends_with(&["is kopia's cache of a repository", "set KOPIA_REPOSITORY to the folder"]);
    }
    fs::remove_dir_all(pod.repository()).unwrap();
    let ran = pod.job(APP).run().exits(1);
    ran.ends_with(&["ERROR: unable to open the repository"]).never_says(&[&cache.display().to_string()]);
}

#[test]
fn m17_what_a_restore_does_not_need_may_be_unreadable() {
    if !is_root() {
        return;
    }
    let case = golden::case("maintained-v3");
    let copy = kopia_testkit::damage::copy_repository(&case);
    let pod = Pod::new();
    let binary = pod.binary_for(SOMEBODY);
    let repository = pod.repository();
    assert!(Command::new("cp").arg("-a").args([&copy.path(), &repository]).status().unwrap().success());
    let mut unneeded = 0;
    for blob in kopia_testkit::damage::blobs(&repository, "") {
        let is_needed = blob.id == "kopia.repository" || blob.id.starts_with(['x', 'n', 'm', 'p', 'q']);
        unneeded += usize::from(!is_needed);
        fs::set_permissions(&blob.path, fs::Permissions::from_mode(if is_needed { 0o444 } else { 0 }))
            .unwrap();
    }
    assert!(unneeded > 0, "there is a blob of maintenance");
    let opened = Command::new("chmod").args(["-R", "a+X"]).arg(&repository).status().unwrap();
    assert!(opened.success());
    let (listed, expected) = case.pairs().pop().unwrap();
    let job = pod.golden(&case, &listed.source.to_string()).repository(&repository);
    job.run_as(SOMEBODY, &binary).run().exits(0);
    let differences = compare(&expected.load(), &Tree::scan(pod.volume()), &{
        let mut what = Compare::settable();
        (what.owners, what.special_bits) = (false, false);
        what
    });
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn m18_networks_are_named_as_not_needed_and_debugging_waits() {
    let pod = pod();
    let job =
        ["HTTPS_PROXY", "https_proxy", "CUSTOM_CA"].iter().fold(pod.job(APP), |job, name| job.env(name, "x"));
    job.run().exits(0).says(&["HTTPS_PROXY", "https_proxy", "CUSTOM_CA"]);
    fs::remove_file(pod.volume().join("text")).unwrap();
    // Under the script's name the pod waits for whoever debugs, and restores nothing.
    let waiting =
        pod.job(APP).env("DEBUG_MOVER", "1").called("/mover-kopia/entry.sh").arguments(&["restore"]);
    let mut child = waiting.spawn();
    // One that does not listen yet is ended by the signal itself.
    let log = Job::log_up_to(&mut child, "kopia-rs mover restore");
    // In that pod the command works.
    pod.job(APP).env("DEBUG_MOVER", "1").run().exits(0);
    assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
    fs::remove_file(pod.volume().join("text")).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    let ran = waiting
        .ended_after(log, child)
        .exits(143)
        .says(&["WARN: DEBUG_MOVER is set", "kopia-rs mover restore"]);
    ran.ends_with(&["ERROR: unable to finish: stopped by SIGTERM"]);
    assert!(names(&pod.volume()).is_empty());
}

#[test]
fn m19_a_retry_takes_up_what_is_right_and_removes_what_is_left() {
    let pod = Pod::new();
    pod.write(|writer| {
        let entries: Vec<_> =
            (0..50).map(|n| file(writer, &format!("f{n:02}"), &format!("text {n}"))).collect();
        let root = folder(writer, "data", &entries);
        manifest(writer, APP, "2026-01-01T00:00:00Z", root, json!({}));
    });
    pod.job(APP).run().exits(0);
    let inode = |name: &str| fs::metadata(pod.volume().join(name)).unwrap().ino();
    let kept = inode("f07");
    // Of another restore that was killed, and of this one.
    let left = pod.volume().join(".kopia-rs-restore-k00000000000000000000000000000001");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("half"), "x").unwrap();
    fs::write(pod.volume().join("f08"), "texT 8").unwrap();
    fs::remove_file(pod.volume().join("f09")).unwrap();
    let ran = pod.job(APP).run().exits(0);
    let counts = ran.message.unwrap()["counts"].clone();
    assert_eq!((&counts["kept"], &counts["files"]), (&json!(48), &json!(2)), "{counts}");
    assert_eq!(inode("f07"), kept);
    assert_eq!(names(&pod.volume()).len(), 50);
    assert_eq!(fs::read_to_string(pod.volume().join("f08")).unwrap(), "text 8");
}

#[test]
fn m20_every_repository_that_kopia_wrote_is_restored() {
    let mut restored = 0;
    for case in golden::cases() {
        // The newest complete snapshot of each source is what a Job gets.
        let pairs = case.pairs();
        let folders = pairs.iter().filter(|(_, expected)| expected.file.is_none());
        let mut newest = std::collections::BTreeMap::new();
        for (listed, expected) in folders.filter(|(listed, _)| listed.incomplete.is_none()) {
            let known = newest.entry(listed.source.clone()).or_insert((listed, expected));
            if known.0.start_time < listed.start_time {
                *known = (listed, expected);
            }
        }
        for (source, (listed, expected)) in newest {
            let pod = Pod::new();
            let ran = pod.golden(&case, &source.to_string()).run().exits(0);
            ran.says(&[&listed.id]);
            let mut what = Compare::settable();
            (what.owners, what.special_bits) = (is_root(), is_root());
            let differences = compare(&expected.load(), &Tree::scan(pod.volume()), &what);
            assert!(differences.is_empty(), "{} {source}: {differences:#?}", case.name);
            restored += 1;
        }
    }
    assert!(restored >= golden::cases().len(), "{restored}");
}
