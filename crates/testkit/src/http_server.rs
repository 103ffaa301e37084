//! A server of HTTP that does as a test says: rightly, or wrongly in any way.
//!
//! For what real servers do too rarely to wait for: they answer 503, cut bodies, lie about ranges, never come
//! to an end. Each connection has a thread; connections are kept, as HTTP/1.1 has it, unless the test closes
//! them.

mod bucket;
mod forward;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

pub use bucket::{Bucket, error};
pub use forward::forward;

/// What a client asked for.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with its query, as it was sent.
    pub path: String,
    /// The headers, names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How many requests the server got before.
    pub number: usize,
}

impl Request {
    /// Returns the value of a header. Names are in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// Returns the range that is asked for: the first byte, and the last if it is given.
    pub fn range(&self) -> Option<(u64, Option<u64>)> {
        let (start, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse().ok()?, last.parse().ok()))
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    delay: Duration,
    chunk_delay: Duration,
    cut: Option<usize>,
    length: bool,
    endless: bool,
    hangs_up: bool,
}

impl Response {
    /// Answers with a body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            delay: Duration::ZERO,
            chunk_delay: Duration::ZERO,
            cut: None,
            length: true,
            endless: false,
            hangs_up: false,
        }
    }

    /// Answers rightly with a file's bytes: all, the range that is asked for, or that there is none.
    pub fn file(request: &Request, bytes: &[u8]) -> Self {
        let total = bytes.len() as u64;
        match request.range() {
            None => Self::new(200, bytes),
            Some((start, _)) if start >= total => {
                Self::new(416, "").header("content-range", &format!("bytes */{total}"))
            }
            Some((start, last)) => {
                let last = last.unwrap_or(u64::MAX).min(total - 1);
                let part = &bytes[start as usize..=last as usize];
                Self::new(206, part).header("content-range", &format!("bytes {start}-{last}/{total}"))
            }
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Waits before the answer.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits before each byte of the body.
    #[must_use]
    pub fn slowly(mut self, delay: Duration) -> Self {
        self.chunk_delay = delay;
        self
    }

    /// Closes the connection after so many bytes of the body.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Sends no `Content-Length`; the connection's end is the body's.
    #[must_use]
    pub fn without_length(mut self) -> Self {
        self.length = false;
        self
    }

    /// Sends the body again and again, without a length.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.endless = true;
        self.without_length()
    }

    /// Closes the connection without an answer.
    #[must_use]
    pub fn hang_up(mut self) -> Self {
        self.hangs_up = true;
        self
    }

    /// Takes a header away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    fn keeps_connection(&self) -> bool {
        self.length && self.cut.is_none()
    }
}

/// A running server.
#[derive(Debug)]
pub struct HttpServer {
    port: u16,
    stopped: Arc<AtomicBool>,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

/// A request that is under way until this is dropped.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a server saw.
#[derive(Debug, Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl HttpServer {
    /// Starts one on a free port of 127.0.0.1. `answer` is called by several threads at once.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of 127.0.0.1 is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let (stopped, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
        let answer = Arc::new(answer);
        let shared = (Arc::clone(&stopped), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.0.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&shared.1));
                seen.connections.fetch_add(1, Ordering::SeqCst);
                // A client that goes away is no fault of the server.
                std::thread::spawn(move || serve(&stream, &*answer, &seen));
            }
        });
        Self { port, stopped, seen, thread: Some(thread) }
    }

    /// Starts the REST API of a Kopia server, up to what it says of its repository.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn kopia_rest_api() -> Self {
        Self::start(|asked| match &*asked.path {
            "/" => Response::new(200, r#"<meta name="kopia-csrf-token" content="token" />"#),
            "/api/v1/repo/status" => Response::new(200, r#"{"connected":true,"hash":"BLAKE2B-256-128"}"#),
            _ => Response::new(404, "no"),
        })
    }

    /// Returns the port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns all requests so far.
    ///
    /// # Panics
    /// If a thread of the server panicked.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().expect("no thread panics with it").clone()
    }

    /// Returns how many connections were made.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Returns how many requests were under way at once at most.
    pub fn most_in_flight(&self) -> usize {
        self.seen.most_in_flight.load(Ordering::SeqCst)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Serves one connection until it ends.
fn serve(stream: &TcpStream, answer: &dyn Fn(&Request) -> Response, seen: &Seen) -> Option<()> {
    // Head and body are written apart, and the second would wait for the client to say that it has the first.
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = read_request(&mut reader)?;
        let now = seen.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        let in_flight = InFlight(&seen.in_flight);
        seen.most_in_flight.fetch_max(now, Ordering::SeqCst);
        {
            let mut requests = seen.requests.lock().ok()?;
            request.number = requests.len();
            requests.push(request.clone());
        }
        let response = answer(&request);
        let sent = write_response(stream, &request, &response, in_flight);
        if sent.is_none() || !response.keeps_connection() {
            let _ = stream.shutdown(Shutdown::Both);
            return None;
        }
    }
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let mut request =
        Request { method: words.next()?.into(), path: words.next()?.into(), ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().into()));
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn write_response(
    mut stream: &TcpStream,
    request: &Request,
    response: &Response,
    in_flight: InFlight<'_>,
) -> Option<()> {
    std::thread::sleep(response.delay);
    if response.hangs_up {
        return None;
    }
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", response.status);
    for (name, value) in &response.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let told = response.headers.iter().any(|(name, _)| name == "content-length");
    if response.length && !told {
        let _ = write!(head, "content-length: {}\r\n", response.body.len());
    }
    if !response.keeps_connection() {
        head.push_str("connection: close\r\n");
    }
    head.push_str("\r\n");
    let length = match &*request.method {
        "HEAD" => 0,
        _ => response.cut.unwrap_or(usize::MAX).min(response.body.len()),
    };
    let body = &response.body[..length];
    // Once a client has the last byte, it may ask for something else, by another connection as well.
    let Some((last, most)) = body.split_last() else {
        drop(in_flight);
        return stream.write_all(head.as_bytes()).ok();
    };
    stream.write_all(head.as_bytes()).ok()?;
    if response.endless {
        loop {
            write_body(stream, body, response.chunk_delay)?;
        }
    }
    write_body(stream, most, response.chunk_delay)?;
    drop(in_flight);
    write_body(stream, std::slice::from_ref(last), response.chunk_delay)
}

/// Writes bytes, at once or one by one after a delay for each.
fn write_body(mut stream: &TcpStream, bytes: &[u8], delay: Duration) -> Option<()> {
    if delay.is_zero() {
        return stream.write_all(bytes).ok();
    }
    for byte in bytes {
        std::thread::sleep(delay);
        stream.write_all(&[*byte]).ok()?;
    }
    Some(())
}
