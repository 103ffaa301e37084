//! An SSH server of this machine for one test: Debian's `openssh-server`, run by whoever runs the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kopia_connection::Environment;
use kopia_connection::storage::{KnownHosts, Sftp, SshKey};
use kopia_testkit::servers::{Server, free_port, program};
use tempfile::TempDir;

/// The passphrase of [`Sshd::sealed_key`].
pub(crate) const PASSPHRASE: &str = "a passphrase";

/// A running server.
pub(crate) struct Sshd {
    server: Server,
    directory: TempDir,
}

impl Sshd {
    /// Starts a server, unless it is not installed.
    pub(crate) fn start() -> Option<Self> {
        Self::with(false)
    }

    /// Starts a server that shows a certificate, by the key `authority`.
    pub(crate) fn certified() -> Option<Self> {
        Self::with(true)
    }

    fn with(is_certified: bool) -> Option<Self> {
        let (sshd, keygen) = (program("sshd")?, program("ssh-keygen")?);
        let directory = tempfile::tempdir().expect("a directory is made");
        let path = directory.path();
        // It wants this, and only its package's unit makes it.
        let _ = fs::create_dir("/run/sshd");
        for (name, kind, passphrase) in [
            ("host", "ed25519", ""),
            ("host_rsa", "rsa", ""),
            ("user", "ed25519", ""),
            ("rsa", "rsa", ""),
            ("sealed", "ed25519", PASSPHRASE),
            ("stranger", "ed25519", ""),
            ("authority", "ed25519", ""),
        ] {
            let mut command = Command::new(&keygen);
            command.args(["-q", "-t", kind, "-N", passphrase, "-C", name, "-f"]).arg(path.join(name));
            if kind == "rsa" {
                command.args(["-b", "2048"]);
            }
            assert!(command.status().expect("ssh-keygen runs").success());
        }
        let keys = ["user", "rsa", "sealed"].map(|name| public(path, name)).join("\n");
        fs::write(path.join("authorized_keys"), keys).expect("a file is written");
        let mut lines = String::new();
        if is_certified {
            let mut command = Command::new(&keygen);
            command.args(["-q", "-I", "test", "-h", "-n", "127.0.0.1", "-s"]).arg(path.join("authority"));
            assert!(command.arg(path.join("host.pub")).status().expect("ssh-keygen runs").success());
            lines = format!("HostCertificate {}/host-cert.pub", path.display());
        }
        let port = free_port();
        let shown = path.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/host\nHostKey {shown}/host_rsa\n\
             AuthorizedKeysFile {shown}/authorized_keys\nPidFile {shown}/pid\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\n{lines}\nSubsystem sftp internal-sftp\n"
        );
        fs::write(path.join("config"), config).expect("a file is written");
        let mut command = Command::new(sshd);
        command.arg("-D").arg("-f").arg(path.join("config")).arg("-E").arg(path.join("log"));
        Some(Self { server: Server::start(&mut command, port), directory })
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port()
    }

    /// Returns the path of a private key.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the line of `known_hosts` for one of the server's keys.
    pub(crate) fn known(&self, name: &str) -> String {
        format!("[127.0.0.1]:{} {}", self.port(), public(self.directory.path(), name))
    }

    /// Returns a connection to a directory, with a key that is taken.
    pub(crate) fn place(&self, directory: &Path) -> Sftp {
        let mut sftp = Sftp::default();
        sftp.host = "127.0.0.1".into();
        sftp.port = Some(self.port());
        sftp.path = directory.display().to_string();
        sftp.username = user();
        sftp.key = Some(SshKey::File(self.key("user")));
        sftp.known_hosts = Some(KnownHosts::Text(self.known("host")));
        sftp
    }
}

fn public(directory: &Path, name: &str) -> String {
    let text = fs::read_to_string(directory.join(format!("{name}.pub"))).expect("a public key is there");
    text.trim().to_owned()
}

/// Returns the name of whoever runs the test: the server lets in nobody else.
pub(crate) fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8(output.stdout).expect("a name is UTF-8").trim().to_owned()
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
