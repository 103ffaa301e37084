//! M1 to M20: what a replacement for the original script must do, each by its number.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

use kopia_testkit::golden;
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{Job, Pod, SOMEBODY, file, folder, is_root, manifest, names, restored, snapshot, state};
use crate::controller;
use crate::namespace::{volume, with_mounts};

const APP: &str = "app@media:/data";

fn pod() -> Pod {
    let pod = Pod::new();
    pod.write(|writer| {
        snapshot(writer, APP, "2026-01-01T00:00:00Z");
        snapshot(writer, APP, "2026-01-02T00:00:00Z");
    });
    pod
}

/// A stand-in for the original script, which writes down how it was called.
fn script(pod: &Pod) -> PathBuf {
    let path = pod.path("original.sh");
    let text =
        format!("#!/bin/sh\n{{ echo \"$@\"; /usr/bin/env; }} > {}\nexit 7\n", pod.path("called").display());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Runs what the original script is to do, and returns how that was called.
fn handed_over(pod: &Pod, job: &Job) -> Option<(String, String)> {
    let output = job.command().output().unwrap();
    let called = fs::read_to_string(pod.path("called")).ok()?;
    fs::remove_file(pod.path("called")).unwrap();
    assert_eq!(output.status.code(), Some(7), "the script's own exit status");
    let (arguments, _) = called.split_once('\n').unwrap();
    Some((arguments.into(), String::from_utf8(output.stderr).unwrap() + &called))
}

#[test]
fn m01_restores_by_every_name_and_hands_over_the_rest() {
    let pod = pod();
    let script = script(&pod);
    let job = || pod.job(APP).env("KOPIA_RS_FALLBACK", &script).env("MARK", "kept");
    let restores = |job: Job| {
        let _ = fs::remove_file(pod.volume().join("text"));
        job.run().exits(0);
        assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
    };
    restores(job().called("/mover-kopia/entry.sh").arguments(&["restore"]));
    restores(job().called("entry.sh").arguments(&[]).env("DIRECTION", "destination"));
    restores(job().arguments(&["mover"]).env("DIRECTION", "destination"));
    restores(job().arguments(&["mover", "restore", "restore"]).env("DIRECTION", "maintenance"));
    for (job, arguments) in [
        (job().called("/mover-kopia/entry.sh").arguments(&["backup"]), "backup"),
        (job().arguments(&["mover", "maintenance"]), "maintenance"),
        (job().called("entry.sh").arguments(&[]).env("DIRECTION", "maintenance"), ""),
        (job().called("entry.sh").arguments(&[]).env("DIRECTION", "source"), ""),
    ] {
        let (called, all) = handed_over(&pod, &job).expect("the script is run");
        assert_eq!(called, arguments);
        assert!(all.contains("MARK=kept\n") && all.contains("KOPIA_PASSWORD=written\n"), "{all}");
    }
    for (arguments, direction) in [
        (&["mover"][..], ""),
        (&["mover", "destroy"], ""),
        (&["mover", "restore", "backup"], ""),
        (&["mover"], "up"),
    ] {
        let ran = job().arguments(arguments).env("DIRECTION", direction).run();
        ran.exits(2).ends_with(&["ERROR: unable to start"]);
    }
    let unknown = job().called("entry.sh").arguments(&["--frobnicate"]).run();
    unknown.exits(2).ends_with(&["--frobnicate"]);
    let unknown = job().arguments(&["mover", "destroy"]).run().exits(2);
    unknown.says(&["unknown operation: destroy", "OPERATION_TYPE: unknown"]);
    // Without the script there is a clear error, and ourselves are no script.
    let missing = job().arguments(&["mover", "backup"]).env("KOPIA_RS_FALLBACK", "/nonexistent/script").run();
    missing.exits(1).ends_with(&[
        "ERROR: unable to run the original script",
        "/nonexistent/script",
        "KOPIA_RS_FALLBACK",
    ]);
    let usual = job().arguments(&["mover", "backup"]).without("KOPIA_RS_FALLBACK").run();
    usual.exits(1).says(&["OPERATION_TYPE: backup"]).ends_with(&["/mover-kopia/entry.original.sh"]);
    let ours =
        job().arguments(&["mover", "backup"]).env("KOPIA_RS_FALLBACK", env!("CARGO_BIN_EXE_kopia-rs")).run();
    ours.exits(1).ends_with(&["is kopia-rs itself"]);
}

/// Every variable of a destination Job, and those that the documentation of the fork names.
const CONTRACT: &str = "DATA_DIR KOPIA_CACHE_DIR KOPIA_PASSWORD KOPIA_REPOSITORY KOPIA_MANUAL_CONFIG AWS_ACCESS_KEY_ID \
    AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_PROFILE AWS_S3_ENDPOINT AWS_S3_DISABLE_TLS \
    KOPIA_S3_BUCKET KOPIA_S3_ENDPOINT KOPIA_S3_DISABLE_TLS AZURE_ACCOUNT_NAME AZURE_ACCOUNT_KEY AZURE_ACCOUNT_SAS \
    AZURE_ENDPOINT_SUFFIX AZURE_STORAGE_ACCOUNT AZURE_STORAGE_KEY AZURE_STORAGE_SAS_TOKEN KOPIA_AZURE_CONTAINER \
    KOPIA_AZURE_STORAGE_ACCOUNT KOPIA_AZURE_STORAGE_KEY GOOGLE_PROJECT_ID KOPIA_GCS_BUCKET GCS_BUCKET \
    GOOGLE_APPLICATION_CREDENTIALS GOOGLE_DRIVE_FOLDER_ID GOOGLE_DRIVE_CREDENTIALS B2_ACCOUNT_ID B2_APPLICATION_KEY \
    KOPIA_B2_BUCKET WEBDAV_URL WEBDAV_USERNAME WEBDAV_PASSWORD SFTP_HOST SFTP_PORT SFTP_USERNAME SFTP_PASSWORD SFTP_PATH \
    SFTP_KNOWN_HOSTS SFTP_KNOWN_HOSTS_DATA SFTP_KEY_FILE RCLONE_REMOTE_PATH RCLONE_EXE RCLONE_CONFIG \
    KOPIA_OVERRIDE_USERNAME KOPIA_OVERRIDE_HOSTNAME KOPIA_SOURCE_PATH_OVERRIDE KOPIA_RESTORE_AS_OF KOPIA_PREVIOUS \
    KOPIA_SHALLOW KOPIA_ENABLE_FILE_DELETION KOPIA_ADDITIONAL_ARGS KOPIA_DISCOVER_SNAPSHOTS \
    KOPIA_METADATA_CACHE_SIZE_LIMIT_MB KOPIA_CONTENT_CACHE_SIZE_LIMIT_MB KOPIA_SKIP_CACHE_CONFIG KOPIA_CACHE_CAPACITY_BYTES \
    CUSTOM_CA KOPIA_STRUCTURED_REPOSITORY_CONFIG KOPIA_CONFIG_PATH KOPIA_GLOBAL_POLICY_FILE KOPIA_REPOSITORY_CONFIG_FILE \
    HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy DEBUG_MOVER PRIVILEGED_MOVER DIRECTION KOPIA_LOG_LEVEL \
    KOPIA_FILE_LOG_LEVEL KOPIA_LOG_DIR_MAX_FILES KOPIA_LOG_DIR_MAX_AGE KOPIA_FORCE_CACHE_REBUILD KOPIA_FS_PATH \
    KOPIA_COMPRESSION KOPIA_PARALLELISM KOPIA_RETAIN_DAILY KOPIA_BEFORE_SNAPSHOT";

#[test]
fn m02_every_variable_of_the_contract_is_used_or_named() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_kopia-rs")).args(["mover", "--variables"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let table = String::from_utf8(output.stdout).unwrap();
    let row = |name: &str| table.lines().find(|line| line.starts_with(&format!("| `{name}` | ")));
    for name in CONTRACT.split_whitespace() {
        let row = row(name).unwrap_or_else(|| panic!("{name} is not in the table"));
        assert!(["used: ", "not needed: ", "refused: "].iter().any(|word| row.contains(word)), "{row}");
    }
    // What is not needed is named where it is set, and changes nothing.
    let pod = pod();
    let not_needed: Vec<_> = CONTRACT
        .split_whitespace()
        .filter(|name| row(name).is_some_and(|row| row.contains("| not needed: ")))
        .collect();
    let all = not_needed.iter().fold(pod.job(APP), |job, name| job.env(name, "{}"));
    let ran = all
        .env("KOPIA_UNHEARD_OF", "x")
        .run()
        .exits(0)
        .says(&["WARN: not known and ignored: KOPIA_UNHEARD_OF"]);
    let named = ran.log.lines().find_map(|line| line.strip_prefix("INFO: not needed here: ")).unwrap();
    let named: Vec<_> = named.split(", ").collect();
    assert!(not_needed.iter().all(|name| named.contains(name)), "{named:?}");
    assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
}

#[test]
fn m02_what_must_be_there_is_asked_for_by_name() {
    let pod = pod();
    for name in [
        "KOPIA_PASSWORD",
        "DATA_DIR",
        "KOPIA_OVERRIDE_USERNAME",
        "KOPIA_OVERRIDE_HOSTNAME",
        "KOPIA_REPOSITORY",
    ] {
        for job in [pod.job(APP).without(name), pod.job(APP).env(name, "")] {
            job.run().exits(1).ends_with(&["ERROR: unable to", name]);
        }
    }
    let missing = pod.path("missing");
    let ran = pod.job(APP).env("DATA_DIR", &missing).run().exits(1);
    ran.ends_with(&[&format!("the data directory {} does not exist", missing.display())]);
    assert!(!missing.exists());
    pod.job(APP)
        .env("DATA_DIR", pod.path("termination-log"))
        .run()
        .exits(1)
        .ends_with(&["is a file, not a folder"]);
    for (name, value) in [("KOPIA_ENABLE_FILE_DELETION", "yes"), ("KOPIA_RS_ON_MISSING", "stop")] {
        pod.job(APP).env(name, value).run().exits(1).ends_with(&[name, value]);
    }
}

/// The variable that chooses each backend, in the script's order.
const BACKENDS: [(&str, &str); 8] = [
    ("KOPIA_S3_BUCKET", "S3"),
    ("KOPIA_AZURE_CONTAINER", "Azure Blob Storage"),
    ("KOPIA_GCS_BUCKET", "Google Cloud Storage"),
    ("KOPIA_B2_BUCKET", "Backblaze B2"),
    ("WEBDAV_URL", "WebDAV"),
    ("SFTP_HOST", "SFTP"),
    ("RCLONE_REMOTE_PATH", "rclone"),
    ("GOOGLE_DRIVE_FOLDER_ID", "Google Drive"),
];

#[test]
fn m03_other_backends_are_named_and_handed_over_only_on_request() {
    let pod = pod();
    let script = script(&pod);
    let s3 = [("KOPIA_REPOSITORY", "S3")];
    for (variable, name) in BACKENDS.iter().chain(&s3) {
        let job = pod.job(APP).without("KOPIA_REPOSITORY").env(variable, "s3://bucket/prefix");
        let ran = job.run().exits(1);
        ran.ends_with(&[&format!(
            "ERROR: unable to restore: {variable} names {name}, which kopia-rs cannot read yet"
        )]);
        let job = job.env("KOPIA_RS_FALLBACK", &script);
        let (called, log) = handed_over(&pod, &job).expect("the script is run");
        assert_eq!(called, "restore");
        assert!(log.contains(&format!("WARN: {variable} names {name}")), "{log}");
    }
    assert!(names(&pod.volume()).is_empty());
}

#[test]
fn m04_the_order_is_the_scripts_and_conflicts_are_said() {
    let pod = pod();
    let mut job = BACKENDS.iter().fold(pod.job(APP), |job, (variable, _)| job.env(variable, "x"));
    for (variable, name) in &BACKENDS[..3] {
        let ran = job.run().exits(1);
        ran.says(&[&format!("WARN: {variable} is set and goes before KOPIA_REPOSITORY=filesystem://")])
            .ends_with(&[&format!("{variable} names {name}"), &format!("remove {variable}")]);
        job = job.without(variable);
    }
    // A folder goes before the others, which are then ignored aloud.
    let ran = job.run().exits(0);
    ran.says(&["WARN: KOPIA_B2_BUCKET is set and ignored, because KOPIA_REPOSITORY goes before it"]);
    assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
    for (variable, name) in &BACKENDS[3..] {
        job = job.without("KOPIA_REPOSITORY");
        job.run().exits(1).ends_with(&[&format!("{variable} names {name}")]);
        job = job.without(variable);
    }
    for bad in ["filesystem://relative", "filesystem:///a/../b"] {
        pod.job(APP)
            .env("KOPIA_REPOSITORY", bad)
            .run()
            .exits(1)
            .ends_with(&[bad, "filesystem:///absolute/path"]);
    }
}

#[test]
fn m05_a_structured_configuration_says_where_and_who() {
    let pod = pod();
    let config = |storage: serde_json::Value| {
        json!({"storage": storage, "username": "app", "hostname": "media", "caching": {"maxCacheSize": 5}})
            .to_string()
    };
    let folder =
        config(json!({"type": "filesystem", "config": {"path": pod.repository(), "dirShards": null}}));
    let job = pod.job(APP).env("KOPIA_REPOSITORY", "filesystem:///elsewhere");
    let ran = job.env("KOPIA_STRUCTURED_REPOSITORY_CONFIG", &folder).run().exits(0);
    ran.says(&["WARN: KOPIA_STRUCTURED_REPOSITORY_CONFIG and KOPIA_REPOSITORY name different places"]);
    // Its identity counts where the environment gives none.
    let job = pod.job("x@y:/data").without("KOPIA_OVERRIDE_USERNAME").without("KOPIA_OVERRIDE_HOSTNAME");
    let job = job.without("KOPIA_REPOSITORY").env("KOPIA_STRUCTURED_REPOSITORY_CONFIG", &folder);
    job.run().exits(0).says(&["identity app@media:/data"]);
    let s3 = config(json!({"type": "s3", "config": {"bucket": "b", "secretAccessKey": "hush"}}));
    let ran = pod.job(APP).env("KOPIA_STRUCTURED_REPOSITORY_CONFIG", s3).run().exits(1).never_says(&["hush"]);
    ran.ends_with(&["KOPIA_STRUCTURED_REPOSITORY_CONFIG names S3"]);
    let bad =
        pod.job(APP).env("KOPIA_STRUCTURED_REPOSITORY_CONFIG", "{hush").run().exits(1).never_says(&["hush"]);
    bad.ends_with(&["KOPIA_STRUCTURED_REPOSITORY_CONFIG is not the JSON"]);
    let manual = pod.job(APP).env("KOPIA_MANUAL_CONFIG", "{").run().exits(0);
    manual.says(&["WARN: KOPIA_MANUAL_CONFIG is no JSON"]);
    pod.job(APP).env("KOPIA_MANUAL_CONFIG", r#"{"caching":{"maxCacheSize":1}}"#).run().exits(0);
}

#[test]
fn m06_exactly_one_identity_and_the_newest_complete_snapshot() {
    // Every rule has tests in `selecting`; this one is what a Job without options gets.
    let pod = pod();
    pod.job(APP).run().exits(0).says(&["Selected snapshot with id: "]);
    assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
}

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
    // While the session that wrote the pack goes on, its index may be still to come; then the snapshot is there.
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
    // No home, no passwd entry, no variables but the Job's; a volume of another user with setgid and a lost+found of root.
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
        eprintln!("strace is not on PATH: nothing was tested");
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
fn m14_additional_arguments_are_those_of_kopias_restore() {
    let pod = pod();
    let every = [
        "--parallel=8",
        "--skip-existing",
        "--ignore-errors",
        "--write-sparse-files",
        "--overwrite-files",
        "--overwrite-directories",
        "--overwrite-symlinks",
        "--ignore-permission-errors",
        "--write-files-atomically",
        "--no-write-files-atomically",
        "--mode=auto",
        "--no-progress",
        "--log-level=VOLSYNC_ARG_SEP",
    ];
    pod.job(APP).additional(&every).run().exits(0).says(&["INFO: --ignore-errors changes nothing"]);
    assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
    for refused in ["--frobnicate", "--shallow=1", "--snapshot-time=2026-01-01", "--parallel=many", "extra"] {
        let ran = pod.job(APP).additional(&["--parallel=2", refused]).run().exits(1);
        ran.ends_with(&["ERROR: unable to restore: KOPIA_ADDITIONAL_ARGS holds", refused]);
    }
    let ran = pod.job("new@media:/data").additional(&["--on-missing=fail"]).run();
    ran.exits(1);
    fs::remove_file(pod.volume().join("text")).unwrap();
    pod.job(APP).additional(&["--skip-owners", "--skip-permissions", "--skip-times"]).run().exits(0);
    let metadata = fs::metadata(pod.volume().join("text")).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o600);
    assert!(metadata.mtime() > 1_767_225_600, "it is as old as its backup");
    // What exists is left alone, and that is a problem.
    fs::write(pod.volume().join("text"), "mine").unwrap();
    pod.job(APP).additional(&["--no-overwrite-files"]).run().exits(1);
    assert_eq!(restored(&pod), "mine");
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
    let child = waiting.spawn();
    // In that pod the command works.
    pod.job(APP).env("DEBUG_MOVER", "1").run().exits(0);
    assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
    fs::remove_file(pod.volume().join("text")).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    let ran = waiting.ended(child).exits(143).says(&["WARN: DEBUG_MOVER is set", "kopia-rs mover restore"]);
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
