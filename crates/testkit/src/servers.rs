//! Real servers on this machine, started for one test and killed after it.
//!
//! A server whose program is not installed cannot be tested against: [`program`] says so and the test passes,
//! unless `KOPIA_RS_SERVERS=required` is set, as it is where everything must be tried.

mod sshd;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

pub use sshd::{PASSPHRASE, Sshd, user};

/// How long a server may take to listen. Some are written in Python or JavaScript, and this machine may be
/// busy.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// Finds a program, or says that the test is left out.
///
/// # Panics
/// If it is not installed and `KOPIA_RS_SERVERS=required` is set.
pub fn program(name: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        let required = std::env::var_os("KOPIA_RS_SERVERS").is_some_and(|value| value == "required");
        assert!(!required, "{name} is not installed, and KOPIA_RS_SERVERS=required");
        eprintln!("left out: {name} is not installed");
    }
    found
}

/// Finds kopia, which nobody demands, or says that the test is left out.
pub fn kopia() -> Option<PathBuf> {
    let found = find("kopia");
    if found.is_none() {
        eprintln!("left out: kopia is not installed");
    }
    found
}

/// Finds a program.
pub fn find(name: &str) -> Option<PathBuf> {
    // Debian keeps servers where ordinary users do not look.
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// How many ports one process hands out before it begins again.
const PORTS: u16 = 100;

/// Returns a port of 127.0.0.1 that nobody listens on, and that nobody gets who asks the system for any: it stays
/// free until a server starts there, however long that takes.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Linux draws ports from 32768 on (ip_local_port_range). Processes that test at once have their own below.
    let first = 10_000 + (std::process::id() % 220) as u16 * PORTS;
    (0..PORTS)
        .map(|_| first + NEXT.fetch_add(1, Ordering::Relaxed) % PORTS)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a port of 127.0.0.1 is free")
}

/// A running server, which is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts a server and waits until it listens on `port` of 127.0.0.1.
    ///
    /// # Panics
    /// If it ends, or does not listen in time.
    pub fn start(command: &mut Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut server = Self { child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")), port };
        let started = Instant::now();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if let Some(status) = server.child.try_wait().expect("a child can be waited for") {
                panic!("{command:?} ended: {status}");
            }
            assert!(started.elapsed() < STARTS_WITHIN, "{command:?} does not listen on {port}");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Returns the port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request to a server on this machine, and returns the status and the body of the answer.
///
/// # Panics
/// If there is no answer.
pub fn send(port: u16, head: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
    stream.set_read_timeout(Some(STARTS_WITHIN)).expect("a stream has time-outs");
    let mut text = format!("{head} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    text.push_str("\r\n");
    stream.write_all(&[text.as_bytes(), body].concat()).expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_string());
    (status.expect("an answer has a status"), body.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_port_is_given_once_and_never_drawn_by_the_system() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
        let ports: BTreeSet<u16> = (0..PORTS / 2).map(|_| free_port()).collect();
        assert_eq!(ports.len(), usize::from(PORTS / 2));
        assert!(!ports.contains(&taken.local_addr().unwrap().port()));
        assert!(ports.iter().all(|port| (10_000..32_768).contains(port)), "{ports:?}");
    }
}
