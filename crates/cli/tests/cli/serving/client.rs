//! A server that runs for one test, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::common::KopiaRs;

/// A running `kopia-rs serve`, which is killed when dropped.
pub(super) struct Served {
    pub(super) child: Child,
    pub(super) port: u16,
    pub(super) token: String,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
    /// Whether the body came to the end that its head announced.
    pub(super) is_whole: bool,
}

impl Served {
    /// Starts a command that serves.
    pub(super) fn start(command: KopiaRs) -> Self {
        let mut child = command.start();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let rest = line.trim_end().strip_prefix("http://127.0.0.1:").unwrap_or_else(|| panic!("{line:?}"));
        let (port, token) = rest.split_once("/?token=").unwrap();
        Self { port: port.parse().unwrap(), token: token.to_owned(), child }
    }

    /// Sends a request as it is given, but for the line that ends the connection.
    pub(super) fn send(&self, head: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut stream = self.connect();
        let mut text = format!("{head} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        text.push_str("\r\n");
        // A server that does not want all of a body answers before it has it.
        let _ = stream.write_all(&[text.as_bytes(), body].concat());
        let mut answer = Vec::new();
        // A body that is broken off may end in a reset.
        let _ = stream.read_to_end(&mut answer);
        Reply::parse(&answer, head.starts_with("HEAD "))
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Returns the headers of who has the token.
    pub(super) fn authorization(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("any:{}", self.token)))
    }

    /// Sends a request with the token, and more headers.
    pub(super) fn ask(&self, head: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let authorization = self.authorization();
        let all = [&[("host", "127.0.0.1"), ("authorization", &authorization)], headers].concat();
        self.send(head, &all, body)
    }

    pub(super) fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &[], b"")
    }

    /// Gets a page that is there.
    #[track_caller]
    pub(super) fn page(&self, path: &str) -> String {
        let reply = self.get(path);
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{path}"
        );
        reply.text()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reply {
    fn parse(answer: &[u8], is_head: bool) -> Self {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
        let head = String::from_utf8(answer[..end].to_vec()).expect("heads are text");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Self { status, head, body: answer[end + 4..].to_vec(), is_whole: true };
        if reply.header("transfer-encoding") == Some("chunked") {
            (reply.body, reply.is_whole) = unchunked(&reply.body);
        } else if let Some(length) = reply.header("content-length").filter(|_| !is_head) {
            reply.is_whole = reply.body.len() == length.parse::<usize>().unwrap();
        }
        reply
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("pages are UTF-8")
    }
}

/// Returns the bytes of a chunked body, and whether it has its end.
fn unchunked(mut body: &[u8]) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    loop {
        let Some(end) = body.windows(2).position(|two| two == b"\r\n") else { return (bytes, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        body = &body[end + 2..];
        if size == 0 {
            return (bytes, true);
        }
        let Some(chunk) = body.get(..size + 2) else { return (bytes, false) };
        bytes.extend_from_slice(&chunk[..size]);
        body = &body[size + 2..];
    }
}

/// Writes a path as URLs have it.
pub(super) fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Returns what the links on a page lead to, decoded, that begin in this way.
pub(super) fn links(page: &str, start: &str) -> Vec<String> {
    let all = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()?.strip_prefix(start));
    all.map(decoded).collect()
}

/// Reads what [`encoded`] writes.
pub(super) fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}
