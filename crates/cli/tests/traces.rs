//! What the system sees of a restore: nothing is written to the repository, and nobody's home is looked at.
//!
//! Needs `strace`; without it there is nothing to see, and the test says so.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use kopia_testkit::damage::copy_repository;
use kopia_testkit::golden;

/// System calls that change something where a path of the repository stands in them.
const WRITING: [&str; 15] = [
    "O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "mkdir", "unlink", "rename", "chmod", "chown", "utimens",
    "truncate", "linkat(", "symlink", "mknod", "setxattr",
];

#[test]
fn the_repository_is_only_read_and_no_home_is_touched() {
    if Command::new("strace").arg("--version").output().is_err() {
        kopia_testkit::facilities::left_out("strace is not on PATH");
        return;
    }
    for name in ["epochs", "compacted-v0.8.4", "sources"] {
        let case = golden::case(name);
        let place = tempfile::tempdir().unwrap();
        let repository = copy_repository(&case);
        let before = listing(&repository.path());
        let log = place.path().join("log");
        let home = place.path().join("home");
        let target = place.path().join("target");
        let id = &case.pairs()[0].0.id;
        let status = Command::new("strace")
            .args(["-f", "-qq", "-s", "4096", "-e", "trace=%file,%desc", "-o"])
            .arg(&log)
            .arg(env!("CARGO_BIN_EXE_kopia-rs"))
            .args(["restore", id])
            .arg(&target)
            .arg("--repository")
            .arg(repository.path())
            .env_clear()
            .env("KOPIA_PASSWORD", &case.password)
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0));
        assert_eq!(listing(&repository.path()), before);

        let log = fs::read_to_string(&log).unwrap();
        let repository = repository.path().display().to_string();
        let home = home.display().to_string();
        assert!(log.lines().count() > 100 && log.contains(&repository), "the trace shows the restore");
        let writes: Vec<_> = log
            .lines()
            .filter(|line| line.contains(&repository) && !line.contains("execve("))
            .filter(|line| WRITING.iter().any(|call| line.contains(call)))
            .collect();
        assert!(writes.is_empty(), "{writes:#?}");
        // Blobs are opened below the folder's handle: only reading there as well.
        let opened: Vec<_> =
            log.lines().filter(|line| line.contains(".f\"") && line.contains("openat(")).collect();
        assert!(!opened.is_empty() && opened.iter().all(|line| line.contains("O_RDONLY")), "{opened:#?}");
        let homes: Vec<_> =
            log.lines().filter(|line| line.contains(&home) && !line.contains("execve(")).collect();
        assert!(homes.is_empty(), "{homes:#?}");
        for foreign in ["/root/", "/etc/kopia", ".config", ".cache"] {
            assert!(!log.lines().any(|line| line.contains(foreign) && line.contains("O_CREAT")), "{foreign}");
        }
    }
}

#[test]
fn a_repository_that_nobody_may_write_is_enough() {
    let case = golden::case("epochs");
    let place = tempfile::tempdir().unwrap();
    let repository = copy_repository(&case);
    // Format and layout were always there for reading; take even the right to write away.
    for (path, is_folder) in entries(&repository.path()) {
        fs::set_permissions(path, fs::Permissions::from_mode(if is_folder { 0o555 } else { 0o444 })).unwrap();
    }
    let before = listing(&repository.path());
    let output = Command::new(env!("CARGO_BIN_EXE_kopia-rs"))
        .args(["restore", &case.pairs()[0].0.id])
        .arg(place.path().join("target"))
        .arg("--repository")
        .arg(repository.path())
        .env_clear()
        .env("KOPIA_PASSWORD", &case.password)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(listing(&repository.path()), before);
    for (path, is_folder) in entries(&repository.path()) {
        let _ = is_folder.then(|| fs::set_permissions(path, fs::Permissions::from_mode(0o755)));
    }
}

/// A signal leaves less than a second for them, and a disk that others keep busy may take longer.
#[test]
fn metrics_are_not_waited_for_until_they_are_on_disk() {
    if Command::new("strace").arg("--version").output().is_err() {
        kopia_testkit::facilities::left_out("strace is not on PATH");
        return;
    }
    let case = golden::case("sources");
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    for (arguments, password) in [("restore c3bc target", "wrong"), ("verify", &*case.password)] {
        let metrics = place.path().join("metrics");
        Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=fsync,fdatasync,sync,syncfs", "-o"])
            .arg(&log)
            .arg(env!("CARGO_BIN_EXE_kopia-rs"))
            .args(arguments.split(' '))
            .arg("--metrics")
            .arg(&metrics)
            .arg("--repository")
            .arg(&case.repository)
            .current_dir(place.path())
            .env_clear()
            .env("KOPIA_PASSWORD", password)
            .output()
            .unwrap();
        let written = fs::read_to_string(&metrics).unwrap();
        assert!(written.starts_with("# HELP kopia_rs_"), "{arguments}: {written}");
        let log = fs::read_to_string(&log).unwrap();
        assert!(!log.contains("sync"), "{arguments}: {log}");
        fs::remove_file(&metrics).unwrap();
    }
}

/// All paths below a folder, itself first.
fn entries(folder: &Path) -> Vec<(std::path::PathBuf, bool)> {
    let mut all = vec![(folder.to_path_buf(), true)];
    let mut next = 0;
    while next < all.len() {
        if all[next].1 {
            let inside = fs::read_dir(&all[next].0)
                .expect("the file system answers")
                .map(|entry| entry.expect("the file system answers"));
            let inside: Vec<_> = inside
                .map(|entry| (entry.path(), entry.file_type().expect("the file system answers").is_dir()))
                .collect();
            all.extend(inside);
        }
        next += 1;
    }
    all
}

/// Every path with its size and time of change.
fn listing(folder: &Path) -> Vec<String> {
    let describe = |(path, _): (std::path::PathBuf, bool)| {
        let metadata = fs::symlink_metadata(&path).expect("the file system answers");
        format!(
            "{} {} {:?}",
            path.display(),
            metadata.len(),
            metadata.modified().expect("the file system answers")
        )
    };
    let mut lines: Vec<_> = entries(folder).into_iter().map(describe).collect();
    lines.sort();
    lines
}

/// Restores a golden repository of 1,104 files with these options, and counts system calls by name; `None`
/// without strace.
fn counts(options: &[&str]) -> Option<BTreeMap<String, u64>> {
    if Command::new("strace").arg("--version").output().is_err() {
        kopia_testkit::facilities::left_out("strace is not on PATH");
        return None;
    }
    let case = golden::case("split-fixed-128k");
    let place = tempfile::tempdir().expect("a temporary folder");
    let log = place.path().join("log");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-e", "signal=none", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_kopia-rs"))
        .args(["restore", "latest", "--quiet", "--skip-owners"])
        .args(options)
        .arg(place.path().join("target"))
        .arg("--repository")
        .arg(&case.repository)
        .env_clear()
        .env("KOPIA_PASSWORD", &case.password)
        .stdout(Stdio::null())
        .status()
        .expect("strace runs");
    assert_eq!(status.code(), Some(0));
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(&log).expect("a log").lines() {
        // The number of the thread, then the call; one that was interrupted is told twice.
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        if let Some((name, _)) = call.split_once('(')
            && !name.starts_with('<')
        {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    Some(counts)
}

#[test]
fn what_is_to_be_forced_to_disk_is() {
    let Some(none) = counts(&[]) else { return };
    let count = |counts: &BTreeMap<String, u64>, call: &str| counts.get(call).copied().unwrap_or_default();
    assert_eq!((count(&none, "syncfs"), count(&none, "fsync")), (0, 0));
    // Before anything gets its final name, and after.
    let Some(once) = counts(&["--sync", "filesystem"]) else { return };
    assert_eq!((count(&once, "syncfs"), count(&once, "fsync")), (2, 0));
    let Some(files) = counts(&["--sync", "files"]) else { return };
    assert_eq!((count(&files, "syncfs"), count(&files, "fsync")), (2, 1104));
}

#[test]
fn what_is_lost_where_a_file_is_closed_is_an_error() {
    if Command::new("strace").arg("--version").output().is_err() {
        kopia_testkit::facilities::left_out("strace is not on PATH");
        return;
    }
    let case = golden::case("sources");
    let place = tempfile::tempdir().expect("a temporary folder");
    let out = place.path().join("out");
    let report = place.path().join("report");
    fs::write(&report, "").expect("a file");
    let to_report = format!("verify --report {}", report.display());
    let metrics = place.path().join("metrics");
    let with_metrics =
        format!("restore c3bc --metrics {} {}", metrics.display(), place.path().join("target").display());
    for (arguments, refused, said) in [
        ("cat c3bc/hello.txt", &out, "error: standard output: Disk quota exceeded"),
        ("export c3bc", &out, "error: standard output: Disk quota exceeded"),
        ("export c3bc --format zip", &out, "error: standard output: Disk quota exceeded"),
        ("ls --json c3bc", &out, "error: standard output: Disk quota exceeded"),
        ("snapshots", &out, "error: standard output: Disk quota exceeded"),
        (&*with_metrics, &out, "error: standard output: Disk quota exceeded"),
        (&*to_report, &report, "report cannot be written: Disk quota exceeded"),
    ] {
        let ran = Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=close", "-e", "inject=close:error=EDQUOT", "-o"])
            .arg(place.path().join("log"))
            .arg("-P")
            .arg(refused)
            .arg(env!("CARGO_BIN_EXE_kopia-rs"))
            .args(arguments.split(' '))
            .arg("--repository")
            .arg(&case.repository)
            .env_clear()
            .env("KOPIA_PASSWORD", &case.password)
            .stdout(fs::File::create(&out).expect("a file"))
            .output()
            .expect("strace runs");
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{arguments}: {stderr}");
        assert!(stderr.contains(said), "{arguments}: {stderr}");
    }
    let metrics = fs::read_to_string(&metrics).expect("metrics are written");
    let is_failure = |line: &str| line.starts_with("kopia_rs_restore_exit_code{") && line.ends_with(" 1");
    assert!(metrics.lines().any(is_failure), "the exit status is that of the command: {metrics}");
}
