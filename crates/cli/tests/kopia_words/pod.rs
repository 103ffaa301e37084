//! A restore as the pods of Kopiur run it: the variables of the Job that it makes, the user of its image without
//! capabilities, and the calls that its program makes, one process each.

#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kopia_testkit::damage::copy_repository;
use kopia_testkit::golden;
use serde_json::Value;

/// The Job as the operator makes it, which the tests of the admission policies use as well.
const JOB: &str = "../../examples/kubernetes/policies/test/jobs/foreign/kopiur-restore.yaml";

/// Where that mounts the volume for caches, configuration and logs.
const BASE: &str = "/var/cache/kopia";

/// The user of the operator's image.
const USER: &str = "65532";

/// Returns the variables of the Job.
fn variables() -> BTreeMap<String, String> {
    let job = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(JOB)).unwrap();
    let lines: Vec<_> = job.lines().map(str::trim).collect();
    let pairs = lines.windows(2).filter_map(|pair| {
        let name = pair[0].strip_prefix("- name: ")?;
        Some((name.into(), pair[1].strip_prefix("value: ")?.trim_matches('"').into()))
    });
    pairs.collect()
}

struct Pod {
    folder: tempfile::TempDir,
}

impl Pod {
    fn new() -> Self {
        let pod = Self { folder: tempfile::tempdir().unwrap() };
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        open(pod.folder.path());
        kopia_testkit::program::copy(env!("CARGO_BIN_EXE_kopia-rs"), &pod.path("kopia"));
        let copy = copy_repository(&golden::case("sources"));
        let copied = Command::new("cp").arg("-r").args([copy.path(), pod.path("repo")]).status().unwrap();
        assert!(copied.success());
        for name in ["cache", "restore"] {
            fs::create_dir(pod.path(name)).unwrap();
        }
        // As fsGroup does it: all belongs to the group, which may write.
        for name in ["cache", "restore", "repo"] {
            let path = pod.path(name);
            let mut command = Command::new("chown");
            assert!(command.args(["-R", &format!("0:{USER}")]).arg(&path).status().unwrap().success());
            assert!(Command::new("chmod").args(["-R", "g+rwX"]).arg(&path).status().unwrap().success());
        }
        pod
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a call of `kopia`, as a process of its own.
    fn kopia(&self, words: &[&str]) -> Output {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--no-new-privs"]);
        command.args(["--inh-caps", "-all", "--bounding-set", "-all"]).arg(self.path("kopia")).args(words);
        command.env_clear().current_dir("/").stdin(Stdio::null());
        let base = self.path("cache").display().to_string();
        command.envs(variables().into_iter().map(|(name, value)| (name, value.replace(BASE, &base))));
        // What the Secret has, and kubelet adds.
        command.env("KOPIA_PASSWORD", "golden").env("KUBERNETES_SERVICE_HOST", "10.96.0.1");
        command.output().unwrap()
    }

    #[track_caller]
    fn done(&self, words: &[&str]) -> Vec<u8> {
        let output = self.kopia(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

#[test]
fn a_restore_in_a_pod_of_kopiurs() {
    let has_setpriv = Command::new("setpriv").arg("--version").output().is_ok();
    if !rustix::process::geteuid().is_root() || !has_setpriv {
        kopia_testkit::facilities::left_out("only root can be the pod's user, by setpriv");
        return;
    }
    assert_eq!(variables().keys().filter(|name| name.starts_with("KOPIA_")).count(), 3);
    let pod = Pod::new();
    let repository = pod.path("repo").display().to_string();
    let before = list(&pod.path("repo"));
    pod.done(&["repository", "connect", "filesystem", "--path", &repository]);
    let status: Value = serde_json::from_slice(&pod.done(&["repository", "status", "--json"])).unwrap();
    assert_eq!(status["storage"]["type"], "filesystem");
    let listed = pod.done(&["snapshot", "list", "--json", "--all"]);
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    let of_app = |one: &&Value| one["source"]["userName"] == "app" && one["source"]["path"] == "/data";
    let newest = listed.as_array().unwrap().iter().rfind(of_app).unwrap()["id"].as_str().unwrap();
    let target = pod.path("restore").display().to_string();
    pod.done(&["snapshot", "restore", newest, &target, "--no-ignore-errors", "--write-files-atomically"]);
    let hello = pod.path("restore/hello.txt");
    assert_eq!(
        (fs::read(&hello).unwrap().len(), fs::metadata(&hello).unwrap().uid().to_string()),
        (14, USER.into())
    );
    assert_eq!(list(&pod.path("repo")), before, "nothing is written to the repository");
    assert!(pod.path("cache/repository.config").is_file());
    // A wrong password says so in the words that the operator looks for.
    let mut wrong = Command::new(pod.path("kopia"));
    wrong.env_clear().env("KOPIA_PASSWORD", "wrong").env("KOPIA_CONFIG_PATH", pod.path("other.config"));
    let wrong = wrong.args(["repository", "connect", "filesystem", "--path", &repository]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("invalid repository password"));
}

/// Returns every path below a folder, with its length and time.
fn list(folder: &Path) -> Vec<(PathBuf, u64, i64)> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.push((path, metadata.len(), metadata.mtime()));
    }
    found.sort();
    found
}
