//! A client as Kopiur has one: it runs a `kopia`, and classifies what that says on standard error.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kopia_testkit::damage::{self, RepositoryCopy};
use kopia_testkit::golden;
use serde_json::Value;

/// What a tool makes of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Auth,
    Access,
    Permission,
    Locked,
    NotFound,
    Unavailable,
    Unknown,
}

impl Class {
    /// Looks for words in the order in which Kopiur does.
    pub(crate) fn of(stderr: &str) -> Self {
        let said = stderr.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        match () {
            () if has(&["invalid repository password", "incorrect password", "unable to derive"]) => {
                Self::Auth
            }
            () if has(&["access denied", "accessdenied", "forbidden", "not authorized"]) => Self::Access,
            () if has(&["permission denied", "operation not permitted", "eacces"]) => Self::Permission,
            () if has(&["lock", "another process"]) => Self::Locked,
            () if has(&["no such file or directory", "not found", "does not exist", "not initialized"]) => {
                Self::NotFound
            }
            () if has(&[
                "error connecting to repository",
                "unable to open repository",
                "connection refused",
                "dial tcp",
                "timeout",
                "no such host",
                "tls:",
                "x509",
                "certificate",
            ]) =>
            {
                Self::Unavailable
            }
            () => Self::Unknown,
        }
    }
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn is(self, class: Class) -> Self {
        assert_eq!(Class::of(&self.stderr), class, "{}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in:\n{}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A client with a folder of its own, in which its configuration lies, and a copy of a golden repository.
pub(crate) struct Client {
    place: tempfile::TempDir,
    repository: RepositoryCopy,
    /// The program, and whether it is ours.
    program: PathBuf,
    is_ours: bool,
    variables: Vec<(String, String)>,
}

impl Client {
    pub(crate) fn ours(case: &str) -> Self {
        Self::new(case, env!("CARGO_BIN_EXE_kopia-rs").into(), true)
    }

    /// A client of the real kopia, if that is here.
    pub(crate) fn theirs(case: &str) -> Option<Self> {
        Some(Self::new(case, kopia_testkit::servers::kopia()?, false))
    }

    fn new(case: &str, program: PathBuf, is_ours: bool) -> Self {
        let repository = damage::copy_repository(&golden::case(case));
        let place = tempfile::tempdir().expect("a folder");
        Self { place, repository, program, is_ours, variables: Vec::new() }.with("KOPIA_PASSWORD", "golden")
    }

    /// The same place, asked by the other program.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Has the other program ask from now on.
    pub(crate) fn by(mut self, program: &Path, is_ours: bool) -> Self {
        (self.program, self.is_ours) = (program.into(), is_ours);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("kopia.config")
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.repository.path()
    }

    pub(crate) fn run(&self, words: &str) -> Ran {
        self.run_all(&words.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn run_all(&self, words: &[impl AsRef<OsStr>]) -> Ran {
        let output = self.command(words).output().expect("it runs");
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    pub(crate) fn command(&self, words: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(&self.program);
        if self.is_ours {
            command.arg("kopia");
        }
        command.args(words).env_clear().stdin(Stdio::null()).current_dir(self.place.path());
        command.env("HOME", self.path("home")).env("TZ", "UTC").env("USER", "root");
        command.env("KOPIA_CONFIG_PATH", self.config()).env("KOPIA_CACHE_DIRECTORY", self.path("cache"));
        command.env("KOPIA_CHECK_FOR_UPDATES", "false").env("KOPIA_LOG_DIR", self.path("logs"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn connect(&self) -> Ran {
        let path = self.repository();
        self.run_all(&["repository", "connect", "filesystem", "--path", path.to_str().expect("UTF-8")])
    }

    pub(crate) fn connected(self) -> Self {
        self.connect().exits(0);
        self
    }
}
