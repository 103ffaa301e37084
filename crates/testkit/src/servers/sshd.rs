//! An SSH server of this machine for one test: Debian's `openssh-server`, run by whoever runs the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Server, free_port, program};

/// The passphrase of the key `sealed`.
pub const PASSPHRASE: &str = "a passphrase";

/// A running server. It takes the keys `user`, `rsa` and `sealed`, and not `stranger`.
#[derive(Debug)]
pub struct Sshd {
    server: Server,
    directory: TempDir,
}

impl Sshd {
    /// Starts a server, unless it is not installed.
    ///
    /// # Panics
    /// If it cannot be set up, or does not listen in time.
    pub fn start() -> Option<Self> {
        Self::with(false)
    }

    /// Starts a server that shows a certificate, by the key `authority`.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn certified() -> Option<Self> {
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

    /// Returns the port that it listens on.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Returns the path of a private key.
    pub fn key(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the line of `known_hosts` for a key.
    ///
    /// # Panics
    /// If there is no key of that name.
    pub fn known(&self, name: &str) -> String {
        self.known_at(name, self.port())
    }

    /// Returns the line of `known_hosts` for a key that is shown at another port, by a proxy before the server.
    ///
    /// # Panics
    /// As [`Self::known`].
    pub fn known_at(&self, name: &str, port: u16) -> String {
        format!("[127.0.0.1]:{port} {}", public(self.directory.path(), name))
    }
}

fn public(directory: &Path, name: &str) -> String {
    let text = fs::read_to_string(directory.join(format!("{name}.pub"))).expect("a public key is there");
    text.trim().to_owned()
}

/// Returns the name of whoever runs the test: the server lets in nobody else.
///
/// # Panics
/// If the system does not know.
pub fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8(output.stdout).expect("a name is UTF-8").trim().to_owned()
}
