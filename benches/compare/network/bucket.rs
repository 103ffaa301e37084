//! The least S3 server that restores need: objects of a folder are read and listed, whoever asks.
//!
//! For machines without MinIO, and cheaper than it: nearly all that is measured is the client's.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

/// How many keys a page of a listing has.
const PAGE: usize = 1000;

/// The longest head of a request, in bytes.
const HEAD: u64 = 64 << 10;

/// A server that runs as long as the process.
pub(super) struct Bucket {
    address: SocketAddr,
}

impl Bucket {
    /// Serves a folder: what lies in `folder/BUCKET/KEY` is the object KEY of BUCKET.
    ///
    /// # Errors
    /// If no port can be had.
    pub(super) fn start(folder: &Path) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let folder: Arc<Path> = folder.into();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let folder = folder.clone();
                // Whoever leaves in the middle has what he wanted.
                thread::spawn(move || drop(serve(&folder, &client)));
            }
        });
        Ok(Self { address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers the requests of one connection.
fn serve(folder: &Path, client: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::new(client);
    while let Some(request) = Request::read(&mut reader)? {
        answer(folder, client, &request)?;
    }
    Ok(())
}

/// What is asked for.
struct Request {
    is_head: bool,
    /// Decoded, without the slash before it.
    path: String,
    query: Vec<(String, String)>,
    range: Option<(u64, u64)>,
}

impl Request {
    /// Reads the head of a request; those of readers have no body.
    fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = from.take(HEAD);
        let mut first = String::new();
        if head.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut request = Self {
            is_head: method == "HEAD",
            path: decoded(path.trim_start_matches('/')),
            query: pairs.map(|(name, value)| (decoded(name), decoded(value))).collect(),
            range: None,
        };
        loop {
            let mut line = String::new();
            if head.read_line(&mut line)? == 0 || line.trim().is_empty() {
                return Ok(Some(request));
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("range")
            {
                request.range = range(value.trim());
            }
        }
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }
}

/// Reads `bytes=A-B`, or `bytes=A-`.
fn range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, if last.is_empty() { u64::MAX } else { last.parse().ok()? }))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match hex.filter(|_| byte == b'%') {
            Some(hex) => {
                bytes.push(hex);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn answer(folder: &Path, client: &TcpStream, request: &Request) -> io::Result<()> {
    let (bucket, key) = request.path.split_once('/').unwrap_or((&request.path, ""));
    if request.path.split('/').any(|part| part == "..") || !folder.join(bucket).is_dir() {
        return fail(client, request, "404 Not Found", "NoSuchBucket");
    }
    if !key.is_empty() {
        return object(&folder.join(bucket).join(key), client, request);
    }
    let text = if request.query("location").is_some() {
        "<LocationConstraint></LocationConstraint>".into()
    } else {
        listing(&folder.join(bucket), request)?
    };
    send(client, request, "200 OK", "application/xml", text.as_bytes())
}

fn send(mut client: &TcpStream, request: &Request, status: &str, kind: &str, body: &[u8]) -> io::Result<()> {
    let length = body.len();
    let mut answer =
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    if !request.is_head {
        answer.extend_from_slice(body);
    }
    client.write_all(&answer)
}

fn fail(client: &TcpStream, request: &Request, status: &str, code: &str) -> io::Result<()> {
    let text = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
    send(client, request, status, "application/xml", text.as_bytes())
}

/// Sends an object, or a range of it.
fn object(path: &Path, mut client: &TcpStream, request: &Request) -> io::Result<()> {
    let opened = File::open(path).and_then(|file| file.metadata().map(|found| (file, found)));
    let Some((mut file, found)) = opened.ok().filter(|(_, found)| found.is_file()) else {
        return fail(client, request, "404 Not Found", "NoSuchKey");
    };
    let total = found.len();
    let mut head = String::from("HTTP/1.1 ");
    let (first, length) = match request.range {
        None => {
            head.push_str("200 OK\r\n");
            (0, total)
        }
        Some((first, last)) if first < total && first <= last => {
            let last = last.min(total - 1);
            let _ = write!(head, "206 Partial Content\r\nContent-Range: bytes {first}-{last}/{total}\r\n");
            (first, last - first + 1)
        }
        Some(_) => return fail(client, request, "416 Range Not Satisfiable", "InvalidRange"),
    };
    let _ = write!(
        head,
        "Content-Length: {length}\r\nETag: \"{total:x}\"\r\nAccept-Ranges: bytes\r\nContent-Type: \
         application/octet-stream\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n"
    );
    client.write_all(head.as_bytes())?;
    if !request.is_head {
        file.seek(SeekFrom::Start(first))?;
        io::copy(&mut file.take(length), &mut client)?;
    }
    Ok(())
}

/// Writes one page of a bucket's keys.
fn listing(bucket: &Path, request: &Request) -> io::Result<String> {
    let prefix = request.query("prefix").unwrap_or_default();
    let delimiter = request.query("delimiter").unwrap_or_default();
    let after = request.query("continuation-token").or(request.query("start-after")).unwrap_or_default();
    let mut keys = Vec::new();
    gather(bucket, "", &mut keys)?;
    keys.retain(|(key, _)| key.starts_with(prefix) && (after.is_empty() || &**key > after));
    keys.sort();
    let (mut objects, mut folders, mut next) = (String::new(), BTreeSet::new(), String::new());
    for (key, path) in keys.iter().take(PAGE) {
        next.clone_from(key);
        let rest = &key[prefix.len()..];
        if let Some((folder, _)) = rest.split_once(delimiter).filter(|_| !delimiter.is_empty()) {
            folders.insert(format!("{prefix}{folder}{delimiter}"));
            continue;
        }
        let size = fs::metadata(path)?.len();
        let _ = write!(
            objects,
            "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;{size:x}&quot;\
             </ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        );
    }
    let is_cut = keys.len() > PAGE;
    let next =
        if is_cut { format!("<NextContinuationToken>{next}</NextContinuationToken>") } else { String::new() };
    let folders: String = folders
        .iter()
        .map(|key| format!("<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>"))
        .collect();
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><Name>bucket</Name><Prefix>{prefix}</Prefix>\
         <KeyCount>{}</KeyCount><MaxKeys>{PAGE}</MaxKeys><IsTruncated>{is_cut}</IsTruncated>{next}{objects}{folders}\
         </ListBucketResult>",
        keys.len().min(PAGE)
    ))
}

/// Finds all keys of a folder and the files that they are.
fn gather(folder: &Path, prefix: &str, keys: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            gather(&entry.path(), &format!("{key}/"), keys)?;
        } else {
            keys.push((key, entry.path()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(server: &Bucket, request: &str) -> String {
        let mut client = TcpStream::connect(server.address()).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn objects_are_read_and_listed() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("bucket/a/b")).unwrap();
        for (name, text) in [("a/one", "0123456789"), ("a/two", "2"), ("a/b/three", "3"), ("other", "4")] {
            fs::write(place.path().join("bucket").join(name), text).unwrap();
        }
        let server = Bucket::start(place.path()).unwrap();
        let whole = ask(&server, "GET /bucket/a%2fone HTTP/1.1\r\nhost: a\r\n\r\n");
        assert!(whole.starts_with("HTTP/1.1 200 OK") && whole.ends_with("\r\n\r\n0123456789"), "{whole}");
        let part = ask(&server, "GET /bucket/a/one HTTP/1.1\r\nRange: bytes=2-4\r\n\r\n");
        assert!(part.contains("206 Partial Content\r\nContent-Range: bytes 2-4/10\r\n"), "{part}");
        assert!(part.ends_with("\r\n\r\n234"), "{part}");
        for (request, status) in [
            ("GET /bucket/a/none", "404 Not Found"),
            ("GET /nowhere/a", "404 Not Found"),
            ("GET /bucket/../x", "404 Not Found"),
            ("HEAD /bucket/other", "200 OK"),
        ] {
            let answer = ask(&server, &format!("{request} HTTP/1.1\r\n\r\n"));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
        }
        let short = ask(&server, "GET /bucket/a/one HTTP/1.1\r\nrange: bytes=10-\r\n\r\n");
        assert!(short.starts_with("HTTP/1.1 416 "), "{short}");
        let list = ask(&server, "GET /bucket?list-type=2&prefix=a%2F&delimiter=%2F HTTP/1.1\r\n\r\n");
        assert!(list.contains("<Key>a/one</Key>") && list.contains("<Prefix>a/b/</Prefix></CommonPrefixes>"));
        assert!(!list.contains("three") && !list.contains("other"), "{list}");
    }

    #[test]
    fn listings_have_pages() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("bucket")).unwrap();
        (0..=PAGE).for_each(|n| fs::write(place.path().join(format!("bucket/{n:04}")), "").unwrap());
        let server = Bucket::start(place.path()).unwrap();
        let first = ask(&server, "GET /bucket/?list-type=2 HTTP/1.1\r\n\r\n");
        assert!(first.contains("<NextContinuationToken>0999<") && !first.contains("<Key>1000</Key>"));
        let second = ask(&server, "GET /bucket/?continuation-token=0999 HTTP/1.1\r\n\r\n");
        assert!(second.contains("<IsTruncated>false<") && second.contains("<KeyCount>1<"), "{second}");
    }
}
