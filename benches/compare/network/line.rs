//! A line between a client and a server of this machine: as long as a round trip, as wide as a link.
//!
//! What the client sends leaves a round trip after it connected, as TCP's handshake takes that, and each
//! direction takes half a round trip. All that comes back shares one link. One connection has at most
//! [`WINDOW`] bytes under way, as Linux allows; with a slow start it begins with ten segments and doubles
//! with each round trip.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::step::Traffic;

/// The most bytes of one connection that are under way: Linux's usual limit of a socket's buffer.
const WINDOW: usize = 6 << 20;

/// How many bytes a connection with a slow start sends at first: ten segments.
const FIRST_WINDOW: usize = 10 * 1460;

/// How many bytes are passed on at once.
const PIECE: usize = 64 << 10;

/// How far ahead of itself the link is promised: what a router's queue holds.
const QUEUE: Duration = Duration::from_millis(20);

/// A line that passes on what comes, until it is dropped.
pub(super) struct Line {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    round_trip: Duration,
    slow_start: bool,
    link: Link,
    requests: AtomicU64,
    bytes: AtomicU64,
    ended: AtomicBool,
}

impl Line {
    /// Starts a line to a server, with a link of so many bytes a second if it has a limit.
    ///
    /// # Errors
    /// If no port can be had.
    pub(super) fn start(
        server: SocketAddr,
        round_trip: Duration,
        link: Option<u64>,
        slow_start: bool,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            round_trip,
            slow_start,
            link: Link { per_second: link, free: Mutex::new(Instant::now()) },
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let line = Self { address, shared: shared.clone() };
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.ended.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(client) = client {
                    // What cannot be reached is for the client to see: its connection ends.
                    drop(connect(&shared, client));
                }
            }
        });
        Ok(line)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what went over it so far.
    pub(super) fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic { requests: read(&self.shared.requests), bytes: read(&self.shared.bytes) }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

/// Passes both directions of a connection on, by two threads each.
fn connect(shared: &Arc<Shared>, client: TcpStream) -> io::Result<()> {
    let opened = Instant::now() + shared.round_trip;
    let server = TcpStream::connect(shared.server)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    pass(shared, client.try_clone()?, server.try_clone()?, Direction::Up { opened, ends: Ends::default() });
    let window = if shared.slow_start { FIRST_WINDOW } else { WINDOW };
    pass(shared, server, client, Direction::Down { window, sent: VecDeque::new(), under_way: 0 });
    Ok(())
}

/// Which way bytes go, and what that needs to know.
enum Direction {
    Up {
        /// When the connection is open.
        opened: Instant,
        ends: Ends,
    },
    Down {
        /// How many bytes may be under way.
        window: usize,
        /// When the receipt of how many bytes comes back.
        sent: VecDeque<(Instant, usize)>,
        under_way: usize,
    },
}

fn pass(shared: &Arc<Shared>, mut from: TcpStream, mut to: TcpStream, mut direction: Direction) {
    let pipe = Arc::new(Pipe::default());
    let (shared, filled) = (shared.clone(), pipe.clone());
    thread::spawn(move || {
        let mut piece = vec![0; PIECE];
        loop {
            let most = direction.room().min(PIECE);
            match from.read(&mut piece[..most]) {
                Ok(read) if read > 0 => {
                    let arrival = direction.depart(&shared, &piece[..read]);
                    if !filled.push(arrival, piece[..read].to_vec()) {
                        break;
                    }
                }
                _ => break,
            }
        }
        filled.close();
        drop(from.shutdown(Shutdown::Read));
    });
    thread::spawn(move || {
        while let Some((arrival, bytes)) = pipe.take() {
            thread::sleep(arrival.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        pipe.close();
        drop(to.shutdown(Shutdown::Both));
    });
}

impl Direction {
    /// Waits until some bytes may leave, and returns how many.
    fn room(&mut self) -> usize {
        let Self::Down { window, sent, under_way } = self else { return PIECE };
        loop {
            let now = Instant::now();
            match sent.front() {
                Some(&(receipt, bytes)) if receipt <= now => {
                    sent.pop_front();
                    *under_way -= bytes;
                    *window = (*window + bytes).min(WINDOW);
                }
                Some(&(receipt, _)) if *under_way >= *window => thread::sleep(receipt - now),
                _ => return *window - *under_way,
            }
        }
    }

    /// Sends bytes on their way; returns when they arrive.
    fn depart(&mut self, shared: &Shared, bytes: &[u8]) -> Instant {
        let half = shared.round_trip / 2;
        match self {
            Self::Up { opened, ends } => {
                shared.requests.fetch_add(ends.count(bytes), Ordering::Relaxed);
                Instant::now().max(*opened) + half
            }
            Self::Down { sent, under_way, .. } => {
                shared.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let arrival = shared.link.send(bytes.len()) + half;
                sent.push_back((arrival + half, bytes.len()));
                *under_way += bytes.len();
                arrival
            }
        }
    }
}

/// Counts the ends of heads of requests: those without bodies are as many.
#[derive(Default)]
struct Ends {
    matched: usize,
}

impl Ends {
    fn count(&mut self, bytes: &[u8]) -> u64 {
        const END: &[u8] = b"\r\n\r\n";
        let mut ends = 0;
        for &byte in bytes {
            self.matched = match self.matched {
                matched if byte == END[matched] => matched + 1,
                _ => usize::from(byte == END[0]),
            };
            if self.matched == END.len() {
                ends += 1;
                self.matched = 0;
            }
        }
        ends
    }
}

/// A link that all connections share.
struct Link {
    per_second: Option<u64>,
    /// When all that was promised has left.
    free: Mutex<Instant>,
}

impl Link {
    /// Waits until the queue before the link has room; returns when so many bytes have left.
    fn send(&self, bytes: usize) -> Instant {
        let Some(per_second) = self.per_second else { return Instant::now() };
        let takes = Duration::from_secs_f64(bytes as f64 / per_second.max(1) as f64);
        let mut free = lock(&self.free);
        let now = Instant::now();
        *free = (*free).max(now) + takes;
        let leaves = *free;
        drop(free);
        thread::sleep(leaves.saturating_duration_since(now + QUEUE));
        leaves
    }
}

/// Bytes on their way, in their order.
#[derive(Default)]
struct Pipe {
    state: Mutex<Flowing>,
    changed: Condvar,
}

#[derive(Default)]
struct Flowing {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    closed: bool,
}

impl Pipe {
    /// Adds bytes once there is room; returns whether anybody will take them.
    fn push(&self, arrival: Instant, bytes: Vec<u8>) -> bool {
        let mut state = lock(&self.state);
        while state.bytes >= WINDOW && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.bytes += bytes.len();
        state.pieces.push_back((arrival, bytes));
        self.changed.notify_all();
        !state.closed
    }

    fn take(&self) -> Option<(Instant, Vec<u8>)> {
        let mut state = lock(&self.state);
        loop {
            if let Some((arrival, bytes)) = state.pieces.pop_front() {
                state.bytes -= bytes.len();
                self.changed.notify_all();
                return Some((arrival, bytes));
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each request of one connection with so many bytes.
    fn server(length: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                thread::spawn(move || {
                    let mut byte = [0; 1];
                    let mut ends = Ends::default();
                    while client.read_exact(&mut byte).is_ok() {
                        if ends.count(&byte) == 1 {
                            client.write_all(&vec![7; length]).unwrap();
                        }
                    }
                });
            }
        });
        address
    }

    /// Asks twice over one connection; returns how long that took.
    fn ask(line: &Line, length: usize) -> Duration {
        let clock = Instant::now();
        let mut client = TcpStream::connect(line.address()).unwrap();
        for _ in 0..2 {
            client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            let mut bytes = vec![0; length];
            client.read_exact(&mut bytes).unwrap();
            assert!(bytes.iter().all(|&byte| byte == 7));
        }
        clock.elapsed()
    }

    #[test]
    fn a_round_trip_for_the_handshake_and_for_each_request() {
        let trip = Duration::from_millis(40);
        let line = Line::start(server(100), trip, None, false).unwrap();
        assert!(ask(&line, 100) >= 3 * trip);
        assert_eq!((line.traffic().requests, line.traffic().bytes), (2, 200));
    }

    #[test]
    fn a_link_is_no_wider_than_it_is_and_all_share_it() {
        let line = Line::start(server(500_000), Duration::ZERO, Some(10_000_000), false).unwrap();
        let clock = Instant::now();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| ask(&line, 500_000));
            }
        });
        assert!(clock.elapsed() >= Duration::from_millis(190), "{:?}", clock.elapsed());
    }

    #[test]
    fn a_slow_start_takes_more_round_trips() {
        let trip = Duration::from_millis(20);
        let line = Line::start(server(300_000), trip, None, true).unwrap();
        // 14.6 kB, 29, 58, 117 and the rest; the second answer finds the window wide.
        assert!(ask(&line, 300_000) >= 7 * trip);
    }

    #[test]
    fn ends_of_heads_are_found_in_pieces() {
        let mut ends = Ends::default();
        let pieces: [&[u8]; 5] = [b"GET /\r", b"\n\r", b"\nGET\r\r\n\r\n", b"\r\n", b"x\r\n\r\n\r\n\r\n"];
        assert_eq!(pieces.map(|piece| ends.count(piece)), [0, 0, 2, 0, 2]);
    }
}
