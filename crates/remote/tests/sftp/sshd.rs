//! Connections to an SSH server of this machine, and an agent.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kopia_connection::Environment;
use kopia_connection::storage::{KnownHosts, Sftp, SshKey};
use kopia_testkit::servers::{Sshd, program, user};
use tempfile::TempDir;

/// Returns a connection to a directory, with a key that is taken.
pub(crate) fn place(sshd: &Sshd, directory: &Path) -> Sftp {
    place_at(sshd, directory, sshd.port())
}

/// Returns such a connection to another port, as one of a proxy before the server.
pub(crate) fn place_at(sshd: &Sshd, directory: &Path, port: u16) -> Sftp {
    let mut sftp = Sftp::default();
    sftp.host = "127.0.0.1".into();
    sftp.port = Some(port);
    sftp.path = directory.display().to_string();
    sftp.username = user();
    sftp.key = Some(SshKey::File(sshd.key("user")));
    sftp.known_hosts = Some(KnownHosts::Text(sshd.known_at("host", port)));
    sftp
}

/// An agent with one key.
pub(crate) struct Agent {
    _server: Child,
    directory: TempDir,
}

struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Agent {
    /// Starts an agent that holds a key, unless it is not installed.
    pub(crate) fn start(key: &Path) -> Option<Self> {
        let (agent, add) = (program("ssh-agent")?, program("ssh-add")?);
        let directory = tempfile::tempdir().expect("a directory is made");
        let socket = directory.path().join("socket");
        let mut command = Command::new(agent);
        command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null());
        let child = Child(command.spawn().expect("the agent starts"));
        let started = Instant::now();
        let mut command = Command::new(add);
        command.arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null());
        while !command.status().expect("ssh-add runs").success() {
            assert!(started.elapsed() < Duration::from_secs(30), "the agent does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { _server: child, directory })
    }

    /// Returns an environment that names it.
    pub(crate) fn environment(&self) -> Environment {
        [("SSH_AUTH_SOCK", self.directory.path().join("socket").into_os_string())].into_iter().collect()
    }
}
