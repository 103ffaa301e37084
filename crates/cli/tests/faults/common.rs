//! A repository with two snapshots of one folder, and the binary.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kopia_testkit::random::Random;
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

/// What unfinished folders begin with.
pub(crate) const UNFINISHED: &str = ".kopia-rs-restore-";

/// The older snapshot's source, and the newer one's.
pub(crate) const OLD: &str = "app@host:/old";
pub(crate) const NEW: &str = "app@host:/new";

/// A folder of its own for each test, with a repository and what its snapshots must restore.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Makes the folder and writes the repository.
    pub(crate) fn new() -> Self {
        Self::of(tree)
    }

    /// As [`Self::new`], of other trees: the older version is 0, the newer 1.
    pub(crate) fn of(tree: impl Fn(&mut RepositoryWriter, u64) -> Value) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let mut writer = RepositoryWriter::new().piece_size(4000).pack_size(50_000);
        for (source, version) in [(OLD, 0), (NEW, 1)] {
            let root = tree(&mut writer, version);
            writer.snapshot(source, root);
        }
        writer.finish_in(&place.repository()).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.path("repo")
    }

    /// The binary, about to restore a snapshot.
    pub(crate) fn restore(&self, source: &str, target: &Path, options: &str) -> Command {
        let mut command = self.command("restore");
        command.arg(source).arg(target).args(options.split_whitespace());
        command
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
        command.arg(name).arg("--repository").arg(self.repository());
        clean(&mut command);
        command
    }

    /// What a snapshot must restore: what comes into a fresh folder.
    pub(crate) fn fresh(&self, source: &str) -> Tree {
        let target = self.path(&format!("fresh-{}", &source[source.len() - 3..]));
        run(&mut self.restore(source, &target, ""));
        Tree::scan(target)
    }
}

/// Leaves nothing in the environment but the password and PATH.
pub(crate) fn clean(command: &mut Command) {
    command.env_clear().env("KOPIA_PASSWORD", PASSWORD).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
}

/// Runs a command that must succeed.
#[track_caller]
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
pub(crate) fn assert_same(expected: &Tree, target: &Path, what: &str) {
    let differences = compare(expected, &Tree::scan(target), &Compare::settable());
    assert!(differences.is_empty(), "{what}: {differences:#?}");
}

/// The binary with a script before it, in a mount namespace; `None` where there is none to be had.
pub(crate) fn in_namespace(script: &str, arguments: &[&Path]) -> Option<std::process::Output> {
    let may = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|ran| ran.status.success());
    if !may {
        kopia_testkit::facilities::left_out("no mount namespaces here");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", script, env!("CARGO_BIN_EXE_kopia-rs")]).args(arguments);
    clean(&mut command);
    Some(command.stdout(Stdio::piped()).output().unwrap())
}

/// Folders of small files, closed ones among them, links, and large files of which some pieces differ between
/// the versions.
fn tree(writer: &mut RepositoryWriter, version: u64) -> Value {
    let mut entries = Vec::new();
    for folder in 0..32_u64 {
        // Some of each: in both versions, in both but changed, and in one only.
        if folder == 30 + version {
            continue;
        }
        let inner: Vec<_> = (0..15)
            .map(|file| {
                let changed = if (file + folder) % 5 == 0 { version } else { 0 };
                let bytes = Random::new(folder * 1000 + file * 10 + changed).bytes(50 + file as usize * 20);
                let mode = ["0644", "0400", "04755"][file as usize % 3];
                entry("f", &format!("f{file:02}"), mode, &writer.file(&bytes), bytes.len())
            })
            .collect();
        let mut inner = inner;
        inner.push(entry("s", "link", "0777", &writer.file(format!("f{version:02}").as_bytes()), 3));
        let deep = writer.directory(&inner);
        let outer = writer.directory(&[entry("d", "deep", "0500", &deep, 0)]);
        entries.push(entry("d", &format!("d{folder:02}"), "0755", &outer, 0));
    }
    for large in 0..4_u64 {
        let mut bytes = Random::new(large + 77).bytes(150_000 + large as usize);
        if version == 1 && large > 0 {
            bytes[large as usize * 20_000..][..9000].fill(large as u8);
            bytes.truncate(150_000 - large as usize * 1000);
        }
        entries.push(entry("f", &format!("large{large}"), "0640", &writer.file(&bytes), bytes.len()));
    }
    let root = writer.directory(&entries);
    entry("d", "data", "0755", &root, 0)
}

pub(crate) fn entry(kind: &str, name: &str, mode: &str, object: &str, size: usize) -> Value {
    json!({"name": name, "type": kind, "mode": mode, "size": size, "obj": object, "uid": 1234, "gid": 4321,
        "mtime": "2020-01-02T03:04:05.000000006Z"})
}
