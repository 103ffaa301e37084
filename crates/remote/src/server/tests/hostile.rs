//! Servers that use HTTP/2 as a weapon: frames by hand, as no library sends them.

use std::io::Result;
use std::net::TcpStream;

use rustls::{ServerConnection, StreamOwned};

use super::fake::{asked, config};
use super::*;
use crate::server::frames::{Frames, frame};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH: u8 = 5;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;

/// The flag of what is acknowledged, and that of the last frame of headers.
const ACK: u8 = 1;
const END: u8 = 4;

/// `:status: 200` and `content-type: application/grpc`.
const HEAD: &[u8] = b"\x88\x0f\x10\x10application/grpc";

/// `:status: 103`.
const INTERIM: &[u8] = b"\x08\x03103";

/// One header, `a: b`, that is not to be remembered.
const HEADER: &[u8] = b"\0\x01a\x01b";

/// A connection whose frames are written by hand.
struct Raw {
    tls: StreamOwned<ServerConnection, TcpStream>,
    frames: Frames,
}

impl Raw {
    /// Takes a connection, and says how much it takes ahead.
    fn accept(stream: TcpStream, window: u32) -> Result<Self> {
        let connection = ServerConnection::new(config(&[b"h2"])).map_err(std::io::Error::other)?;
        let mut raw = Self { tls: StreamOwned::new(connection, stream), frames: Frames::default() };
        raw.tls.read_exact(&mut [0; b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()])?;
        raw.frame(SETTINGS, 0, 0, &[&[0, 4], &window.to_be_bytes()[..]].concat())?;
        Ok(raw)
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<()> {
        let length = (payload.len() as u32).to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.tls.write_all(&[&head[..], payload].concat())
    }

    fn flood(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<()> {
        loop {
            self.frame(kind, flags, stream, payload)?;
        }
    }

    /// Reads on until a request is whole.
    fn asked(&mut self) -> Result<Asked> {
        loop {
            if let Some(message) = self.frames.next().unwrap() {
                return Ok(asked(1, &message));
            }
            let mut head = [0; 9];
            self.tls.read_exact(&mut head)?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.tls.read_exact(&mut payload)?;
            match (head[3], head[4]) {
                (DATA, _) => self.frames.push(&payload),
                (SETTINGS, 0) => self.frame(SETTINGS, ACK, 0, &[])?,
                (PING, 0) => self.frame(PING, ACK, 0, &payload)?,
                _ => {}
            }
        }
    }

    /// Begins the call, and waits for what is asked in it.
    fn begin(&mut self) -> Result<Asked> {
        let first = self.asked()?;
        let Act::Say(message) = greet(&first, b"secret") else { panic!("it is a message") };
        self.frame(HEADERS, END, 1, HEAD)?;
        self.frame(DATA, 0, 1, &frame(&message.0))?;
        self.asked()
    }

    /// Reads until the client ends it.
    fn wait(&mut self) -> Result<()> {
        loop {
            self.asked()?;
        }
    }
}

/// What a server does in place of a right answer.
type Attack = fn(&mut Raw) -> Result<()>;

/// Starts a server that does so on each connection. It ends with the process.
fn start(window: u32, attack: Attack) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // What the client makes of it is what counts.
            std::thread::spawn(move || Raw::accept(stream, window).and_then(|mut raw| attack(&mut raw)));
        }
    });
    address
}

/// What a server says of how much it takes, if nothing is wrong with that.
const ROOM: u32 = 65_535;

/// Attacks before the call is open.
const AT_FIRST: [(&str, Attack); 6] = [
    ("headers without end", |raw| {
        raw.asked()?;
        raw.frame(HEADERS, 0, 1, HEAD)?;
        raw.flood(CONTINUATION, 0, 1, &HEADER.repeat(3000))
    }),
    ("headers that go on with nothing", |raw| {
        raw.asked()?;
        raw.frame(HEADERS, 0, 1, HEAD)?;
        raw.flood(CONTINUATION, 0, 1, &[])
    }),
    ("answers before the answer", |raw| {
        raw.asked()?;
        raw.flood(HEADERS, END, 1, INTERIM)
    }),
    ("settings on and on", |raw| raw.flood(SETTINGS, 0, 0, &[])),
    ("a stream that nobody asked for", |raw| {
        raw.asked()?;
        raw.frame(PUSH, END, 1, &[&[0, 0, 0, 2], HEAD].concat())?;
        raw.wait()
    }),
    ("nothing", Raw::wait),
];

/// Attacks in the middle.
const LATER: [(&str, Attack); 11] = [
    ("it goes away", |raw| {
        raw.begin()?;
        raw.frame(GO_AWAY, 0, 0, &[0; 8])?;
        raw.wait()
    }),
    ("it will go away, and answers no more", |raw| {
        raw.begin()?;
        raw.frame(GO_AWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])?;
        raw.wait()
    }),
    ("it resets the stream", |raw| {
        raw.begin()?;
        raw.frame(RESET, 0, 1, &[0, 0, 0, 2])?;
        raw.wait()
    }),
    ("trailers without end", |raw| {
        raw.begin()?;
        raw.frame(HEADERS, 1, 1, b"\0\x01a\x01b")?;
        raw.flood(CONTINUATION, 0, 1, &HEADER.repeat(3000))
    }),
    ("pings", |raw| {
        raw.begin()?;
        raw.flood(PING, 0, 0, &[7; 8])
    }),
    ("settings", |raw| {
        raw.begin()?;
        raw.flood(SETTINGS, 0, 0, &[])
    }),
    ("data of no bytes", |raw| {
        raw.begin()?;
        raw.flood(DATA, 0, 1, &[])
    }),
    ("priorities", |raw| {
        raw.begin()?;
        raw.flood(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])
    }),
    ("more and more room", |raw| {
        raw.begin()?;
        raw.flood(WINDOW, 0, 1, &[0, 0, 0, 1])
    }),
    ("frames of a kind that is none", |raw| {
        raw.begin()?;
        raw.flood(0x55, 0, 1, &[1; 1000])
    }),
    ("pings that are answered, and no answer", |raw| {
        raw.begin()?;
        raw.wait()
    }),
];

/// How long an attack may last until it is told. It is far more than it should be, so that a busy machine passes.
const TOLD_WITHIN: Duration = Duration::from_secs(60);

#[test]
fn what_is_no_call_ends_soon() {
    std::thread::scope(|scope| {
        for (name, attack) in AT_FIRST {
            scope.spawn(move || {
                let started = Instant::now();
                let error = open_at(start(ROOM, attack), fingerprint()).0.expect_err(name);
                assert_eq!(error.kind(), ErrorKind::TryAgain, "{name}: {}", words(&error));
                assert!(started.elapsed() < TOLD_WITHIN, "{name}: {:?}", started.elapsed());
            });
        }
    });
}

#[test]
fn what_comes_in_place_of_answers_ends_soon() {
    // An attack begins with the first request, so that none is under way while another session is opened.
    let servers =
        LATER.map(|(name, attack)| (name, open_at(start(ROOM, attack), fingerprint()).0.expect(name)));
    std::thread::scope(|scope| {
        for (name, server) in &servers {
            scope.spawn(move || {
                let started = Instant::now();
                let (right, error) = read(server, 20);
                let error = error.expect(name);
                assert_eq!((right, error.kind()), (0, ErrorKind::TryAgain), "{name}: {}", words(&error));
                assert!(started.elapsed() < TOLD_WITHIN, "{name}: {:?}", started.elapsed());
            });
        }
    });
}

/// A server that takes no requests, once the call is open.
#[test]
fn a_server_that_takes_nothing_ends_soon() {
    let address = start(100, |raw| {
        raw.begin()?;
        raw.wait()
    });
    let started = Instant::now();
    let error = match open_at(address, fingerprint()).0 {
        Ok(server) => read(&server, 5000).1.unwrap(),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::TryAgain, "{}", words(&error));
    assert!(started.elapsed() < TOLD_WITHIN, "{:?}", started.elapsed());
}
