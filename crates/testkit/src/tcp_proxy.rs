//! A proxy before a server of this machine that cuts connections, lets them fall silent, or slows them down.
//!
//! It knows nothing of what passes through it, so it stands before servers that encrypt as well.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It ends after so many more bytes of the server.
    Cut(usize),
    /// After so many more bytes of the server none come any more, though it stays open.
    Stall(usize),
}

/// A proxy, which ends with the process.
#[derive(Debug)]
pub struct TcpProxy {
    port: u16,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl TcpProxy {
    /// Starts a proxy before a port of 127.0.0.1.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn start(server: u16) -> Self {
        Self::slow(server, Duration::ZERO)
    }

    /// Starts one that holds back what the server sends, at most 16 KiB at a time, for so long.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn slow(server: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of 127.0.0.1 is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let faults = Arc::new(Mutex::new(VecDeque::new()));
        let next = Arc::clone(&faults);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is gone ends the client's connection.
                let _ = join(client, server, delay, &next);
            }
        });
        Self { port, faults }
    }

    /// Returns the port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Has connections come to grief, one after the other; the next byte of a server begins it.
    pub fn fail(&self, faults: &[Fault]) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).extend(faults);
    }
}

/// Joins a client with the server.
fn join(
    client: TcpStream,
    server: u16,
    delay: Duration,
    faults: &Arc<Mutex<VecDeque<Fault>>>,
) -> std::io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (from, to, faults) = (client.try_clone()?, server.try_clone()?, Arc::clone(faults));
    std::thread::spawn(move || pass(from, to, Duration::ZERO, || None));
    let next = move || faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::spawn(move || pass(server, client, delay, next));
    Ok(())
}

/// Passes bytes on until one side ends, or `next` says what else happens to them.
fn pass(mut from: TcpStream, mut to: TcpStream, delay: Duration, next: impl Fn() -> Option<Fault>) {
    let mut bytes = [0; 16 << 10];
    let (mut fault, mut passed) = (None, 0);
    while let Ok(read) = from.read(&mut bytes) {
        if fault.is_none() {
            (fault, passed) = (next(), 0);
        }
        std::thread::sleep(delay);
        let left = match fault {
            None => read,
            Some(Fault::Cut(most) | Fault::Stall(most)) => read.min(most - passed),
        };
        passed += left;
        let is_over = left < read && matches!(fault, Some(Fault::Cut(_)));
        if to.write_all(&bytes[..left]).is_err() || is_over || read == 0 {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a server that sends so many bytes to each client, and then nothing.
    fn server(length: usize) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let _ = client.write_all(&vec![7; length]);
                    // Until the client ends it.
                    let _ = client.read(&mut [0]);
                });
            }
        });
        port
    }

    /// Returns how many bytes come, and whether the connection ends then. What is to come is waited for, on a busy
    /// machine as well; what is not, for a moment.
    fn received(proxy: &TcpProxy, expected: usize, ends: bool) -> (usize, bool) {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        let (mut bytes, mut count) = ([0; 1 << 10], 0);
        loop {
            let is_to_come = count < expected || ends;
            let patience = if is_to_come { Duration::from_secs(60) } else { Duration::from_millis(300) };
            client.set_read_timeout(Some(patience)).unwrap();
            match client.read(&mut bytes) {
                Ok(0) => return (count, true),
                Ok(read) => count += read,
                Err(_) => return (count, false),
            }
        }
    }

    #[test]
    fn connections_end_or_fall_silent_where_they_are_to() {
        let proxy = TcpProxy::start(server(100_000));
        proxy.fail(&[Fault::Cut(5), Fault::Cut(70_000), Fault::Stall(3), Fault::Stall(50_000)]);
        let expected = [(5, true), (70_000, true), (3, false), (50_000, false), (100_000, false)];
        assert_eq!(expected.map(|(count, ends)| received(&proxy, count, ends)), expected);
    }
}
