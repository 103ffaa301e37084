//! MinIO, started for a comparison and ended after it.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// Names of no secret: the server listens on this machine alone, and as long as it is measured.
pub(super) const USER: &str = "comparison";
pub(super) const SECRET: &str = "comparison-secret";

/// The bucket; each tool has a prefix of its own.
pub(super) const BUCKET: &str = "comparison";

/// How long it may take to start.
const START: Duration = Duration::from_secs(60);

/// A server that runs until this is dropped.
pub(super) struct Minio {
    child: Child,
    address: SocketAddr,
}

/// Returns where MinIO is, if it is on PATH.
pub(super) fn program() -> Option<PathBuf> {
    crate::tools::on_path("minio")
}

impl Minio {
    /// Starts it on the objects in `data`, with its log in `folder`, and waits until it answers.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn start(program: &Path, folder: &Path, data: &Path) -> Result<Self> {
        let (address, console) = (free()?, free()?);
        let log = File::create(folder.join("log"))?;
        let child = Command::new(program)
            .args(["server", "--quiet", "--address", &address.to_string()])
            .args(["--console-address", &console.to_string()])
            .arg(data)
            .env_clear()
            .env("HOME", folder)
            .env("MINIO_ROOT_USER", USER)
            .env("MINIO_ROOT_PASSWORD", SECRET)
            .env("MINIO_BROWSER", "off")
            .env("MINIO_UPDATE", "off")
            .env("MINIO_CI_CD", "on")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut minio = Self { child, address };
        let clock = Instant::now();
        while TcpStream::connect(address).is_err() {
            if minio.child.try_wait()?.is_some() || clock.elapsed() > START {
                return Err(format!("minio does not start: see {}", folder.join("log").display()).into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        // It listens a little before it serves.
        thread::sleep(Duration::from_secs(1));
        Ok(minio)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns an address that nobody listens on.
fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
