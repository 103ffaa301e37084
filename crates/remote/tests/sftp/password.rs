//! SFTP by password against rclone's server: sshd of this machine knows no passwords that a test may.

use std::process::Command;

use kopia_testkit::servers::{self, Server, program};

use super::*;

const PASSWORD: &str = "correct horse";

/// A server with one user, `me`.
struct Guarded {
    server: Server,
    keys: TempDir,
}

impl Guarded {
    /// Starts a server of a directory, unless it is not installed.
    fn start(directory: &Path) -> Option<Self> {
        let (rclone, keygen) = (program("rclone")?, program("ssh-keygen")?);
        let keys = tempfile::tempdir().expect("a folder");
        let key = keys.path().join("host");
        let mut make = Command::new(keygen);
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key);
        assert!(make.status().expect("ssh-keygen runs").success());
        let port = servers::free_port();
        let mut command = Command::new(rclone);
        command.args(["serve", "sftp", "--read-only", "--addr", &format!("127.0.0.1:{port}"), "--key"]);
        command.arg(&key).arg(directory).env("RCLONE_CONFIG", "/nonexistent");
        command.env("RCLONE_USER", "me").env("RCLONE_PASS", PASSWORD);
        Some(Self { server: Server::start(&mut command, port), keys })
    }

    fn place(&self, password: &str) -> Sftp {
        let public = fs::read_to_string(self.keys.path().join("host.pub")).expect("a key");
        let mut sftp = Sftp::default();
        (sftp.host, sftp.port) = ("127.0.0.1".into(), Some(self.server.port()));
        (sftp.path, sftp.username, sftp.password) = ("/".into(), "me".into(), Some(password.into()));
        let known = format!("[127.0.0.1]:{} {public}", self.server.port());
        sftp.known_hosts = Some(KnownHosts::Text(known));
        sftp
    }
}

#[test]
fn a_password_opens_a_real_server_and_a_wrong_one_is_told() {
    let (case, blobs) = support::golden();
    let directory = tempfile::tempdir().expect("a folder");
    put(directory.path(), &blobs);
    let Some(server) = Guarded::start(directory.path()) else { return };
    support::check_golden(&case, open(&server.place(PASSWORD)).unwrap());
    let why = failure(&server.place("wrong horse"), &options());
    let Failure::WrongKey { credentials, .. } = &why else { panic!("{why}") };
    assert!(credentials.contains("the password"), "{why}");
    assert!(!why.to_string().contains("horse"), "{why}");
}
