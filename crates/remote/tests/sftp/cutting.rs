//! A proxy that ends connections after so many bytes of the server.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A proxy before a port of this machine.
pub(crate) struct Proxy {
    port: u16,
    cuts: Arc<Mutex<VecDeque<usize>>>,
}

impl Proxy {
    /// Starts a proxy, which ends with the process.
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let cuts = Arc::new(Mutex::new(VecDeque::new()));
        let next = Arc::clone(&cuts);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).expect("the server listens");
                let (from, to) =
                    (client.try_clone().expect("a stream"), server.try_clone().expect("a stream"));
                std::thread::spawn(move || pass(from, to, || None));
                let next = Arc::clone(&next);
                std::thread::spawn(move || {
                    pass(server, client, move || next.lock().expect("unharmed").pop_front())
                });
            }
        });
        Self { port, cuts }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends connections, the present one first, after so many more bytes of the server each.
    pub(crate) fn cut_after(&self, bytes: &[usize]) {
        self.cuts.lock().expect("unharmed").extend(bytes);
    }
}

/// Passes bytes on until `cut` says after how many more to end both ways.
fn pass(mut from: TcpStream, mut to: TcpStream, cut: impl Fn() -> Option<usize>) {
    let mut bytes = [0; 16 << 10];
    let mut left = None;
    while let Ok(read) = from.read(&mut bytes) {
        left = left.or_else(&cut);
        if let Some(most) = left {
            if most < read {
                break;
            }
            left = Some(most - read);
        }
        if read == 0 || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
