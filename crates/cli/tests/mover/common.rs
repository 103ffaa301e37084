//! What the tests share: a Job, its log, and repositories to restore from.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kopia_testkit::golden::Case;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

use crate::controller;

/// An ordinary user that no file names.
pub(crate) const SOMEBODY: u32 = 65532;

/// What a Job has beside the variables in its manifest: the controller's proxies, and what kubelet adds.
const ALWAYS: &[(&str, &str)] = &[
    ("NO_PROXY", "10.0.0.0/8,.svc"),
    ("no_proxy", "10.0.0.0/8,.svc"),
    ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
];

/// Whether these tests run as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A folder of its own for each test, removed at its end: the volume, its repository, and what else a pod
/// has.
pub(crate) struct Pod {
    folder: tempfile::TempDir,
}

impl Pod {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("pod").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let pod = Self { folder };
        fs::create_dir(pod.volume()).unwrap();
        fs::write(pod.path("termination-log"), "").unwrap();
        pod
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        // Links on the way would make other names of mounts.
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// Where the volume is mounted.
    pub(crate) fn volume(&self) -> PathBuf {
        self.path("volume")
    }

    /// Where the repository is.
    pub(crate) fn repository(&self) -> PathBuf {
        self.path("repository")
    }

    /// Writes a repository.
    pub(crate) fn write(&self, write: impl FnOnce(&mut RepositoryWriter)) {
        let mut writer = RepositoryWriter::new();
        write(&mut writer);
        writer.finish_in(&self.repository()).unwrap();
    }

    /// A restore of an identity from the repository into the volume.
    pub(crate) fn job(&self, identity: &str) -> Job {
        let (user, rest) = identity.split_once('@').unwrap();
        let (host, path) = rest.split_once(':').unwrap();
        let job = Job::new(env!("CARGO_BIN_EXE_kopia-rs").as_ref());
        let mut job = job
            .env("DATA_DIR", self.volume())
            .env("KOPIA_PASSWORD", PASSWORD)
            .env("KOPIA_OVERRIDE_USERNAME", user)
            .env("KOPIA_OVERRIDE_HOSTNAME", host)
            .env("KOPIA_SOURCE_PATH_OVERRIDE", path)
            .repository(&self.repository());
        job.termination_log = Some(self.path("termination-log"));
        job
    }

    /// A restore from a golden repository.
    pub(crate) fn golden(&self, case: &Case, identity: &str) -> Job {
        self.job(identity).repository(&case.repository).env("KOPIA_PASSWORD", &case.password)
    }

    /// Copies the binary to where anybody may run it, and gives the volume to that user.
    pub(crate) fn binary_for(&self, user: u32) -> PathBuf {
        std::os::unix::fs::chown(self.volume(), Some(user), Some(user)).unwrap();
        std::os::unix::fs::chown(self.path("termination-log"), Some(user), Some(user)).unwrap();
        let copy = self.path("kopia-rs");
        kopia_testkit::program::copy(env!("CARGO_BIN_EXE_kopia-rs"), &copy);
        copy
    }
}

/// A Job: the mover with its environment.
pub(crate) struct Job {
    binary: PathBuf,
    name: Option<String>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    user: Option<u32>,
    pub(crate) termination_log: Option<PathBuf>,
    /// What runs it, such as a program that makes a namespace.
    wrapper: Vec<OsString>,
}

/// How a Job ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    /// Both streams are the container's log; only one is used.
    pub(crate) log: String,
    /// The container's message.
    pub(crate) message: Option<Value>,
}

impl Job {
    pub(crate) fn new(binary: &Path) -> Self {
        let always = ALWAYS.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let set = controller::variables("restore").into_iter();
        let set = set.filter_map(|(name, value)| Some((name.into(), value?.into())));
        let environment = always.chain(set).collect();
        let arguments = vec!["mover".into(), "restore".into()];
        let binary = binary.into();
        Self {
            binary,
            name: None,
            arguments,
            environment,
            user: None,
            termination_log: None,
            wrapper: Vec::new(),
        }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self = self.without(name);
        self.environment.push((name.into(), value.as_ref().into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn repository(self, path: &Path) -> Self {
        let mut url = OsString::from("filesystem://");
        url.push(std::path::absolute(path).unwrap().canonicalize().unwrap_or(path.into()));
        self.env("KOPIA_REPOSITORY", url)
    }

    /// Replaces the arguments.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(OsString::from).collect();
        self
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().into());
        self
    }

    /// Calls it by another name.
    pub(crate) fn called(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Joins additional arguments as the controller does.
    pub(crate) fn additional(self, arguments: &[&str]) -> Self {
        self.env("KOPIA_ADDITIONAL_ARGS", arguments.join("|VOLSYNC_ARG_SEP|"))
    }

    /// Runs it as another user, with a binary that this user may run.
    pub(crate) fn run_as(mut self, user: u32, binary: &Path) -> Self {
        (self.user, self.binary) = (Some(user), binary.into());
        self
    }

    /// Has another program run it.
    pub(crate) fn within(mut self, wrapper: &[&OsStr]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).into()).collect();
        self
    }

    /// Has the original script run it.
    pub(crate) fn by_script(self, script: &Path) -> Self {
        let mut job = self.within(&["bash".as_ref()]).arguments(&["restore"]);
        (job.binary, job.termination_log) = (script.into(), None);
        job
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = match &self.wrapper[..] {
            [] => Command::new(&self.binary),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.binary);
                command
            }
        };
        if let Some(name) = &self.name {
            command.arg0(name);
        }
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.args(&self.arguments);
        if let Some(log) = &self.termination_log {
            command.arg("--termination-log").arg(log);
        }
        command.env_clear().envs(self.environment.iter().cloned());
        // A pod's working directory is where the image says.
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it, with an empty file for its message as every container gets one.
    pub(crate) fn spawn(&self) -> Child {
        if let Some(log) = self.termination_log.as_ref().filter(|log| log.exists()) {
            fs::write(log, "").unwrap();
        }
        self.command().spawn().expect("the binary runs")
    }

    /// Runs it and checks what must be so of every end.
    pub(crate) fn run(&self) -> Ran {
        self.ended(self.spawn())
    }

    /// Reads the log of one that was spawned, to the end of the line that has these words.
    pub(crate) fn log_up_to(child: &mut Child, words: &str) -> Vec<u8> {
        let stderr = child.stderr.as_mut().expect("the log is a pipe");
        let mut log: Vec<u8> = Vec::new();
        // What follows is not read ahead.
        let mut byte = [0];
        while !log.ends_with(b"\n") || !String::from_utf8_lossy(&log).contains(words) {
            stderr.read_exact(&mut byte).expect("the log has these words");
            log.push(byte[0]);
        }
        log
    }

    /// Waits for one that was spawned.
    pub(crate) fn ended(&self, child: Child) -> Ran {
        self.ended_after(Vec::new(), child)
    }

    /// Waits for one that was spawned, the beginning of whose log has been read.
    pub(crate) fn ended_after(&self, mut log: Vec<u8>, child: Child) -> Ran {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.stdout.is_empty(), "two streams are not kept in order");
        log.extend(output.stderr);
        let log = String::from_utf8(log).expect("a log is text");
        let message = self.termination_log.as_ref().and_then(|path| fs::read_to_string(path).ok());
        let message = message.filter(|text| !text.is_empty()).map(|text| {
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.len() <= 4096, "kubelet takes no more");
            serde_json::from_str(&text).expect("the message is JSON")
        });
        Ran { code: output.status.code(), log, message }.checked()
    }
}

impl Ran {
    /// Checks what is promised of every log.
    fn checked(self) -> Self {
        let last = self.last();
        assert!(self.log.ends_with(&format!("{last}\n")), "the last line is whole: {self:?}");
        assert!(last.len() <= 250, "{} bytes: {last}", last.len());
        assert!(controller::keeps(last), "the filter drops {last:?}");
        assert!(controller::seen(&self.log).ends_with(last), "{self:?}");
        assert!(self.log.lines().all(|line| line.len() < controller::LONGEST_LINE));
        let header = self.log.lines().position(|line| line.starts_with("=== Discovery"));
        if let Some(header) = header {
            let block: Vec<_> = self.log.lines().skip(header).collect();
            assert!((3..=5).contains(&block.len()), "header, one to three lines, sentence: {block:#?}");
            assert!(block[1..block.len() - 1].iter().all(|line| line.starts_with('{')), "{block:#?}");
            assert!(controller::seen(&self.log).contains(block[0]), "the header is cut off");
        }
        // Nobody who reads it has a terminal; and what has no name is not named.
        for terminal in
            ["hint:", "sudo", "--password-file cuts", "with --repository", "--report FILE", "or as root"]
        {
            assert!(!self.log.contains(terminal), "{terminal:?} is said to a pod:\n{}", self.log);
        }
        let is_nameless = |line: &str| ["\"\"", ": :", " : ", "  "].iter().any(|gap| line.contains(gap));
        assert!(!is_nameless(last), "something has no name: {last}");
        let wrong = self.log.lines().any(|line| line.starts_with("ERROR:"));
        assert_eq!(wrong, self.code != Some(0), "ERROR: and exit status do not agree: {}", self.log);
        if let Some(message) = &self.message {
            assert_eq!(message["exitCode"], json!(self.code), "{message}");
            assert_eq!(message["message"], json!(last), "{message}");
        }
        self
    }

    /// The last line.
    pub(crate) fn last(&self) -> &str {
        self.log.lines().last().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.log);
        self
    }

    /// Asserts that the log says all of these.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.log.contains(text), "{text:?} is not in:\n{}", self.log);
        }
        self
    }

    /// Asserts that the last line says all of these.
    #[track_caller]
    pub(crate) fn ends_with(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.last().contains(text), "{text:?} is not in the last line:\n{}", self.log);
        }
        self
    }

    /// Asserts that the log says none of these.
    #[track_caller]
    pub(crate) fn never_says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(!self.log.contains(text), "{text:?} is in:\n{}", self.log);
        }
        self
    }
}

/// A directory entry of a file.
pub(crate) fn file(writer: &mut RepositoryWriter, name: &str, text: &str) -> Value {
    let object = writer.file(text.as_bytes());
    json!({"name": name, "type": "f", "mode": "0644", "size": text.len(), "obj": object, "mtime": "2026-01-01T00:00:00Z",
        "uid": own_id(), "gid": own_id()})
}

/// A directory entry of a folder.
pub(crate) fn folder(writer: &mut RepositoryWriter, name: &str, entries: &[Value]) -> Value {
    let object = writer.directory(entries);
    json!({"name": name, "type": "d", "mode": "0755", "obj": object, "mtime": "2026-01-01T00:00:00Z",
        "uid": own_id(), "gid": own_id()})
}

fn own_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Adds a snapshot of one file `text`, which holds the time, and returns its id.
pub(crate) fn snapshot(writer: &mut RepositoryWriter, source: &str, time: &str) -> String {
    snapshot_of(writer, source, time, &[("text", time)], json!({}))
}

/// Adds a snapshot of these files; `more` is added to the manifest.
pub(crate) fn snapshot_of(
    writer: &mut RepositoryWriter,
    source: &str,
    time: &str,
    files: &[(&str, &str)],
    more: Value,
) -> String {
    let entries: Vec<_> = files.iter().map(|(name, text)| file(writer, name, text)).collect();
    let root = folder(writer, "data", &entries);
    manifest(writer, source, time, root, more)
}

/// Adds a manifest with this root.
pub(crate) fn manifest(
    writer: &mut RepositoryWriter,
    source: &str,
    time: &str,
    root: Value,
    more: Value,
) -> String {
    let (user, rest) = source.split_once('@').unwrap();
    let (host, path) = rest.split_once(':').unwrap();
    let mut manifest = json!({
        "source": {"host": host, "userName": user, "path": path},
        "startTime": time,
        "endTime": time,
        "rootEntry": root,
    });
    more.as_object().unwrap().iter().for_each(|(key, value)| manifest[key] = value.clone());
    writer.manifest(manifest)
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Everything below a folder: path, kind, mode, time and bytes, so that any change is seen.
pub(crate) fn state(folder: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let mut all = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let (mode, time) = (metadata.mode(), (metadata.mtime(), metadata.mtime_nsec()));
            let bytes = if metadata.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
            all.push(format!("{} {mode:o} {time:?} {}", path.display(), fingerprint(&bytes)));
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    all.sort();
    all
}

fn fingerprint(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Reads the file that [`snapshot`] wrote.
pub(crate) fn restored(pod: &Pod) -> String {
    fs::read_to_string(pod.volume().join("text")).unwrap()
}
