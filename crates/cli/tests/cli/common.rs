//! What the tests share: the binary with nothing around it, and what it said.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use kopia_testkit::golden;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::terminal::Terminal;

/// The command with nothing in its environment but a home folder that does not exist.
pub(crate) struct KopiaRs {
    command: Command,
}

/// What the command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl KopiaRs {
    pub(crate) fn new(arguments: &str) -> Self {
        Self::plain().words(arguments)
    }

    fn plain() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
        command.env_clear().env("HOME", "/nonexistent").env("TZ", "UTC").stdin(Stdio::null());
        Self { command }
    }

    fn words(mut self, arguments: &str) -> Self {
        self.command.args(arguments.split_whitespace());
        self
    }

    /// The command with a golden repository.
    pub(crate) fn golden(name: &str, arguments: &str) -> Self {
        let case = golden::case(name);
        Self::plain().repository(&case.repository).words(arguments).env("KOPIA_PASSWORD", &case.password)
    }

    /// The command with a repository that [`written`] wrote. The last of its arguments may want a value.
    pub(crate) fn written(repository: &Path, arguments: &str) -> Self {
        Self::plain().repository(repository).words(arguments).env("KOPIA_PASSWORD", PASSWORD)
    }

    pub(crate) fn repository(self, path: &Path) -> Self {
        self.arg("--repository").arg(path)
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds more arguments, as words of a text.
    pub(crate) fn options(self, arguments: &str) -> Self {
        self.words(arguments)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without_password(mut self) -> Self {
        self.command.env_remove("KOPIA_PASSWORD");
        self
    }

    /// Has a shell set the umask first.
    pub(crate) fn umask(self, mask: &str) -> Self {
        self.after(&format!("umask {mask}"))
    }

    /// Has a shell run a script first, in the process that becomes the command's.
    pub(crate) fn after(self, script: &str) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{script}; exec \"$0\" \"$@\"")]);
        command.arg(self.command.get_program()).args(self.command.get_args());
        command.env_clear().stdin(Stdio::null());
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.command.get_current_dir().unwrap_or(Path::new(".")));
        Self { command }
    }

    pub(crate) fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self
    }

    pub(crate) fn in_folder(mut self, path: &Path) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Starts it, and leaves it running; what it says can be read while it does.
    pub(crate) fn start(mut self) -> Child {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
    }

    /// Starts it at a terminal, to which it also says what it says.
    pub(crate) fn at(mut self, terminal: &Terminal) -> Child {
        let inside = || Stdio::from(terminal.inside());
        self.command.stdin(inside()).stdout(Stdio::null()).stderr(inside()).spawn().expect("the binary runs")
    }

    /// Starts it at a terminal, which is all that it has.
    pub(crate) fn on(mut self, terminal: &Terminal) -> Child {
        let inside = || Stdio::from(terminal.inside());
        self.command.stdin(inside()).stdout(inside()).stderr(inside()).spawn().expect("the binary runs")
    }

    pub(crate) fn run(mut self) -> Ran {
        let child = self.command.stderr(Stdio::piped());
        let output = child.output().expect("the binary runs");
        let stderr = String::from_utf8(output.stderr).expect("messages are UTF-8");
        let ran = Ran { code: output.status.code(), stdout: output.stdout, stderr };
        let said = ran.stderr.lines().any(|line| line.starts_with("error:"));
        assert_eq!(said, ran.code != Some(0), "`error:` and exit status do not agree: {ran:?}");
        ran
    }
}

impl Ran {
    /// Asserts the exit status.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    /// Asserts that standard error says all of these.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not in:\n{}", self.stderr);
        }
        self
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("output is UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).expect("output is JSON")
    }

    /// The values of a command that prints one a line.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }
}

/// A folder of its own for each test, removed at its end.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns its `repository`, which is written the first time.
    pub(crate) fn written(&self, write: impl FnOnce(&mut RepositoryWriter)) -> PathBuf {
        let repository = self.path("repository");
        if !repository.exists() {
            written(&repository, write);
        }
        repository
    }
}

/// Writes a repository.
pub(crate) fn written(path: &Path, write: impl FnOnce(&mut RepositoryWriter)) {
    let mut writer = RepositoryWriter::new();
    write(&mut writer);
    writer.finish_in(path).expect("a repository");
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries.map(|entry| name(entry).into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// Signals a command once it has begun, unless it is over by then; returns how it ended.
pub(crate) fn signalled(mut child: Child, signal: Signal, begun: impl Fn() -> bool) -> Output {
    let start = Instant::now();
    while !begun() && child.try_wait().expect("a child").is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    // One that was waited for has no id any more.
    if child.try_wait().expect("a child").is_none() {
        kill_process(Pid::from_child(&child), signal).expect("it is there");
    }
    child.wait_with_output().expect("it ends")
}
