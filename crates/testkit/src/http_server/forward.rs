//! Passes requests on to a real server, so that what it answers can be spoilt on the way back.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::{Request, Response};

/// Headers that belong to one connection, not to what is passed on.
const OF_CONNECTION: [&str; 3] = ["connection", "transfer-encoding", "keep-alive"];

/// Makes a request at a server of this machine, and returns its answer; one that hangs up if there is none.
///
/// Everything is passed on as it came, the header `Host` too, which signatures may cover.
pub fn forward(port: u16, request: &Request) -> Response {
    ask(port, request).unwrap_or_else(|| Response::new(502, "").hang_up())
}

fn ask(port: u16, request: &Request) -> Option<Response> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in request.headers.iter().filter(|(name, _)| !OF_CONNECTION.contains(&&**name)) {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.push_str("connection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&request.body).ok()?;
    let mut reader = BufReader::new(stream);
    let status = line(&mut reader)?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    while let Some((name, value)) = line(&mut reader)?.split_once(':') {
        headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
    }
    let header = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| &**value);
    let is_head = request.method == "HEAD";
    let body = match (header("transfer-encoding"), header("content-length")) {
        _ if is_head || status == 204 => Vec::new(),
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => chunks(&mut reader)?,
        (_, Some(length)) => bytes(&mut reader, length.parse().ok()?)?,
        _ => {
            let mut body = Vec::new();
            reader.read_to_end(&mut body).ok()?;
            body
        }
    };
    let kept = |name: &str| !OF_CONNECTION.contains(&name) && (is_head || name != "content-length");
    let kept = headers.iter().filter(|(name, _)| kept(name));
    Some(kept.fold(Response::new(status, body), |response, (name, value)| response.header(name, value)))
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    Some(line.trim_end().into())
}

fn bytes(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let length = usize::from_str_radix(line(reader)?.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(all);
        }
        all.extend(bytes(reader, length)?);
        line(reader)?;
    }
}
