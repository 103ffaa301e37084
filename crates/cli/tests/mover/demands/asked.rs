//! What a Job asks for: operations, variables, places, identities, options.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::common::{Job, Pod, names, restored, snapshot};
use crate::controller;

use super::{APP, pod};

/// A stand-in for the original script, which writes down how it was called.
fn script(pod: &Pod) -> PathBuf {
    let path = pod.path("original.sh");
    let called = pod.path("called").display().to_string();
    let text =
        format!("#!/bin/sh\n{{ echo \"$@\"; echo umask $(umask); /usr/bin/env; }} > {called}\nexit 7\n");
    kopia_testkit::program::write(&path, &text);
    path
}

/// The mask that programs inherit from these tests.
fn own_umask() -> String {
    let output = Command::new("sh").args(["-c", "umask"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().into()
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
        // A restore sets modes itself; what others make must not be everybody's.
        assert!(all.contains(&format!("umask {}\n", own_umask())), "{all}");
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

#[test]
fn m01_options_of_other_commands_are_refused_with_what_there_is_instead() {
    let pod = pod();
    for (options, instead) in [
        (&["--thaw=bulk"][..], "set KOPIA_RS_THAW"),
        (&["--thaw=bulk", "--days=3"], "set KOPIA_RS_THAW"),
        (&["--wait"], "set KOPIA_RS_THAW_WAIT=true"),
        (&["--degraded"], "set KOPIA_RS_DEGRADED=true"),
        (&["--io=pread"], "leave it out"),
        (&["--index-dir=/tmp"], "leave it out"),
        (&["--quiet"], "leave it out"),
        (&["--json"], "its settings are variables"),
    ] {
        let ran = pod.job(APP).arguments(&[&["mover", "restore"][..], options].concat()).run().exits(2);
        let name = options[0].split('=').next().unwrap();
        ran.ends_with(&["ERROR: unable to start: ", &format!("{name} is not for the mover"), instead]);
    }
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
fn m02_jobs_are_as_the_controller_makes_them() {
    let jobs: Vec<_> =
        ["restore", "restore-plain", "restore-privileged"].map(controller::variables).into_iter().collect();
    let names: BTreeSet<&str> = jobs.iter().flatten().map(|(name, _)| name.as_str()).collect();
    // What it sets nowhere, by its source; what comes from files in the Secret; and what only some specs
    // bring with them.
    let elsewhere = "DIRECTION DEBUG_MOVER KOPIA_LOG_LEVEL KOPIA_FILE_LOG_LEVEL KOPIA_LOG_DIR_MAX_FILES KOPIA_LOG_DIR_MAX_AGE \
        KOPIA_FORCE_CACHE_REBUILD KOPIA_FS_PATH KOPIA_COMPRESSION KOPIA_PARALLELISM KOPIA_RETAIN_DAILY KOPIA_BEFORE_SNAPSHOT \
        GOOGLE_APPLICATION_CREDENTIALS GOOGLE_DRIVE_CREDENTIALS SFTP_KEY_FILE CUSTOM_CA KOPIA_SOURCE_PATH_OVERRIDE \
        KOPIA_PREVIOUS KOPIA_SHALLOW KOPIA_GLOBAL_POLICY_FILE KOPIA_REPOSITORY_CONFIG_FILE \
        HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy";
    let elsewhere: BTreeSet<_> = elsewhere.split_whitespace().collect();
    let contract = CONTRACT.split_whitespace().filter(|name| !elsewhere.contains(name));
    assert_eq!(names, contract.collect(), "the manifests have every variable of the contract, and no other");
    for variables in jobs {
        let pod = Pod::new();
        pod.write(|writer| {
            snapshot(writer, APP, "2026-03-02T01:00:00Z");
        });
        let set = variables.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let job = set.fold(pod.job(APP), |job, (name, value)| job.env(name, value));
        // What is in the pod is elsewhere here, and the path follows from where the volume is mounted.
        let job = job.env("DATA_DIR", pod.volume()).repository(&pod.repository());
        let ran = job.run().exits(0).never_says(&["WARN: not known"]);
        ran.ends_with(&[
            "Snapshot restore completed successfully: app@media:/data from 2026-03-02T01:00:00Z",
        ]);
        assert_eq!(restored(&pod), "2026-03-02T01:00:00Z");
    }
}

#[test]
fn m03_storage_that_nobody_knows_is_named_and_handed_over_only_on_request() {
    let pod = pod();
    let script = script(&pod);
    let new = || pod.job(APP).env("KOPIA_REPOSITORY", "new://bucket/prefix");
    new().run().exits(1).ends_with(&[
        "ERROR: unable to restore: KOPIA_REPOSITORY names new://, which this build of kopia-rs cannot read",
    ]);
    let job = || new().env("KOPIA_RS_FALLBACK", &script);
    let (called, log) = handed_over(&pod, &job()).expect("the script is run");
    assert_eq!(called, "restore");
    assert!(log.contains("WARN: KOPIA_REPOSITORY names new://"), "{log}");
    // What the script does not know is not left for kopia to stumble over.
    let both = job().additional(&["--on-missing", "fail", "--parallel=2", "--degraded"]);
    let (_, log) = handed_over(&pod, &both).expect("the script is run");
    assert!(log.contains("\nKOPIA_ADDITIONAL_ARGS=--parallel=2\n"), "{log}");
    assert!(log.contains("WARN: the original script does not know --on-missing, --degraded"), "{log}");
    let (_, log) = handed_over(&pod, &job().additional(&["--in-place"])).expect("the script is run");
    assert!(!log.contains("KOPIA_ADDITIONAL_ARGS"), "{log}");
    let (_, log) = handed_over(&pod, &job().additional(&["--x=A|B", "-y"])).expect("the script is run");
    assert!(log.contains("\nKOPIA_ADDITIONAL_ARGS=--x=A|B|VOLSYNC_ARG_SEP|-y\n"), "{log}");
    assert!(names(&pod.volume()).is_empty());
    // Metrics of an earlier restore do not tell how the script's ended.
    let metrics = pod.path("restore.prom");
    fs::write(&metrics, "kopia_rs_restore_success 1\n").unwrap();
    let backup = pod.job(APP).env("KOPIA_RS_FALLBACK", &script).arguments(&["mover", "backup"]);
    handed_over(&pod, &backup.env("KOPIA_RS_METRICS_FILE", &metrics)).expect("the script is run");
    assert!(metrics.exists(), "a backup is no restore");
    let measured = job().env("KOPIA_RS_METRICS_FILE", &metrics);
    handed_over(&pod, &measured).expect("the script is run");
    assert!(!metrics.exists());
    // Where they must not be, an old file stays, and that is said.
    let inside = job().env("KOPIA_RS_METRICS_FILE", pod.volume().join("restore.prom"));
    let (_, log) = handed_over(&pod, &inside).expect("the script is run");
    assert!(log.contains("WARN: the metrics file ") && log.contains("would be the target"), "{log}");
}

#[test]
fn m04_the_order_is_the_scripts_and_conflicts_are_said() {
    let pod = pod();
    let job = BACKENDS.iter().fold(pod.job(APP), |job, (variable, _)| job.env(variable, "x"));
    // What is missing beside a variable that may have been left over is named without asking any server.
    let mut job = job.env("AWS_ACCESS_KEY_ID", "x").env("CUSTOM_CA", "/nonexistent/ca.crt");
    for (variable, missing) in [
        ("KOPIA_S3_BUCKET", "AWS_SECRET_ACCESS_KEY must be defined"),
        ("KOPIA_AZURE_CONTAINER", "KOPIA_AZURE_STORAGE_ACCOUNT must be defined"),
    ] {
        job.run().exits(1).ends_with(&[missing, &format!("remove {variable}")]);
        job = job.without(variable);
    }
    // A folder goes before the others, which are then ignored aloud.
    let ran = job.without("KOPIA_GCS_BUCKET").run().exits(0);
    ran.says(&["WARN: KOPIA_B2_BUCKET is set and ignored, because KOPIA_REPOSITORY goes before it"]);
    assert_eq!(restored(&pod), "2026-01-02T00:00:00Z");
    let needs = ["B2_ACCOUNT_ID", "SFTP_PATH"];
    for (variable, missing) in ["KOPIA_B2_BUCKET", "SFTP_HOST"].into_iter().zip(needs) {
        let job = pod.job(APP).without("KOPIA_REPOSITORY").env(variable, "x");
        job.run().exits(1).ends_with(&[&format!("{missing} must be defined")]);
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
    let s3 = config(json!({"type": "s3", "config": {"bucket": 5, "secretAccessKey": "hush"}}));
    let ran = pod.job(APP).env("KOPIA_STRUCTURED_REPOSITORY_CONFIG", s3).run().exits(1).never_says(&["hush"]);
    ran.ends_with(&["KOPIA_STRUCTURED_REPOSITORY_CONFIG: the value of \"bucket\""]);
    // Whatever else kopia may come to know is the script's.
    let job =
        pod.job(APP).env("KOPIA_STRUCTURED_REPOSITORY_CONFIG", config(json!({"type": "new", "config": {}})));
    let named = "KOPIA_STRUCTURED_REPOSITORY_CONFIG names storage of the type \"new\"";
    job.run().exits(1).ends_with(&[&format!("{named}, which this build of kopia-rs cannot read")]);
    let (called, log) =
        handed_over(&pod, &job.env("KOPIA_RS_FALLBACK", script(&pod))).expect("the script is run");
    assert!(called == "restore" && log.contains(&format!("WARN: {named}")), "{log}");
    // One that names no place leaves it to the variables.
    let limits = json!({"enableActions": false, "throttlingLimits": {}}).to_string();
    let ran = pod.job(APP).env("KOPIA_STRUCTURED_REPOSITORY_CONFIG", limits).run().exits(0);
    ran.says(&["INFO: KOPIA_STRUCTURED_REPOSITORY_CONFIG names no storage"]);
    let bad =
        pod.job(APP).env("KOPIA_STRUCTURED_REPOSITORY_CONFIG", "{hush").run().exits(1).never_says(&["hush"]);
    bad.ends_with(&["KOPIA_STRUCTURED_REPOSITORY_CONFIG: expected an object"]);
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
        let name = refused.split('=').next().unwrap();
        ran.ends_with(&["ERROR: unable to restore: KOPIA_ADDITIONAL_ARGS holds", name]);
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
