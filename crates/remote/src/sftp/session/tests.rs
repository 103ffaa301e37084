//! Servers that lie, on pipes.

use std::collections::HashMap;

use tokio::io::{AsyncReadExt as _, DuplexStream};

use super::*;
use crate::runtime::Runtime;

const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRIBUTES: u8 = 105;

/// What a client asked.
struct Asked {
    kind: u8,
    id: u32,
    body: Vec<u8>,
}

impl Asked {
    const OPEN: u8 = 3;
    const READ: u8 = 5;

    /// Returns offset and length of a request to read, whose handle has one byte.
    fn range(&self) -> (usize, usize) {
        let number = |at: usize, length: usize| {
            self.body[at..at + length].iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
        };
        (number(5, 8), number(13, 4))
    }

    fn reply(&self, kind: u8, parts: &[&[u8]]) -> Vec<u8> {
        framed(&[&[&[kind], &self.id.to_be_bytes()[..]], parts].concat().concat())
    }

    fn data(&self, bytes: &[u8]) -> Vec<u8> {
        self.reply(DATA, &[&text(bytes)])
    }

    fn status(&self, code: u32) -> Vec<u8> {
        self.reply(STATUS, &[&code.to_be_bytes(), &text(b"words"), &text(b"en")])
    }

    /// Answers as a server does that has one file, `content`, and gives at most `most` bytes at a time.
    fn honest(&self, content: &[u8], most: usize) -> Vec<u8> {
        match self.kind {
            Self::OPEN => self.reply(HANDLE, &[&text(b"h")]),
            Self::READ => {
                let (offset, length) = self.range();
                match content.get(offset..) {
                    None | Some([]) => self.status(1),
                    Some(rest) => self.data(&rest[..rest.len().min(length).min(most)]),
                }
            }
            // To stat.
            _ => self.reply(ATTRIBUTES, &[&1u32.to_be_bytes(), &(content.len() as u64).to_be_bytes()]),
        }
    }
}

fn framed(packet: &[u8]) -> Vec<u8> {
    text(packet)
}

fn text(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

/// Reads what the client asks next, unless it has gone.
async fn next(pipe: &mut DuplexStream) -> Option<Asked> {
    let length = pipe.read_u32().await.ok()? as usize;
    let mut packet = vec![0; length];
    pipe.read_exact(&mut packet).await.ok()?;
    let id = u32::from_be_bytes(packet.get(1..5)?.try_into().ok()?);
    Some(Asked { kind: packet[0], id, body: packet[5..].to_vec() })
}

/// How long servers may be silent here.
const SILENCE: Duration = Duration::from_millis(500);

/// Runs `test` with the session of a server that says `greeting` and answers each packet as `answer` does.
fn with<T, F>(
    greeting: Vec<u8>,
    mut answer: impl FnMut(Asked) -> Vec<u8> + Send + 'static,
    test: impl FnOnce(Result<Session, Fault>) -> F + Send + 'static,
) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    let runtime = Runtime::start("test").unwrap();
    let job = async move {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let (input, output) = tokio::io::split(ours);
        tokio::spawn(async move {
            let mut init = [0; 9];
            theirs.read_exact(&mut init).await.unwrap();
            assert_eq!(init, *b"\0\0\0\x05\x01\0\0\0\x03");
            theirs.write_all(&greeting).await.unwrap();
            while let Some(asked) = next(&mut theirs).await {
                if theirs.write_all(&answer(asked)).await.is_err() {
                    return;
                }
            }
        });
        test(Session::open(input, output, "h", SILENCE).await).await
    };
    runtime.wait(job).unwrap()
}

fn greeting() -> Vec<u8> {
    framed(&[2, 0, 0, 0, 3])
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// Reads a range of the file of a server.
fn read(
    answer: impl FnMut(Asked) -> Vec<u8> + Send + 'static,
    offset: u64,
    length: usize,
) -> (Result<(), Fault>, Vec<u8>) {
    with(greeting(), answer, move |session| async move {
        let session = session.unwrap();
        let mut buffer = Vec::new();
        let (file, _) = session.open_file(b"f").await.unwrap();
        (session.read_range(&file, b"f", offset, length, &mut buffer).await, buffer)
    })
}

fn protocol_fault<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
    match result {
        Err(Fault::Final(Failure::Protocol { why, .. })) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_range_is_whole_however_few_bytes_come_at_a_time() {
    for most in [1000, 32 << 10, 1 << 20] {
        let content = pattern(300_000);
        let wanted = content[7..200_007].to_vec();
        let (done, bytes) = read(move |asked| asked.honest(&content, most), 7, 200_000);
        done.unwrap();
        assert!(bytes == wanted, "{most} bytes at a time");
    }
    let content = pattern(100);
    let (done, bytes) = read(move |asked| asked.honest(&content, 1000), 90, 20);
    done.unwrap();
    assert_eq!(bytes.len(), 10, "a file that ends before the range");
}

#[test]
fn many_reads_are_under_way_at_once() {
    // The server answers none until it has 64 of them.
    let content = pattern(64 * (32 << 10));
    let wanted = content.clone();
    let mut held = Vec::new();
    let answer = move |asked: Asked| {
        let reply = asked.honest(&content, 1 << 20);
        if asked.kind != Asked::READ {
            return reply;
        }
        held.push(reply);
        if held.len() == 64 { held.drain(..).rev().collect::<Vec<_>>().concat() } else { Vec::new() }
    };
    let (done, bytes) = read(answer, 0, wanted.len());
    done.unwrap();
    assert!(bytes == wanted, "answered backwards");
}

#[test]
fn reads_are_as_long_as_the_server_says_it_gives() {
    let limits = [262_144u64, 100_000, 0, 8].map(u64::to_be_bytes).concat();
    let greeting = framed(&[&[2, 0, 0, 0, 3], &*text(LIMITS), &text(b"1")].concat());
    let content = pattern(250_000);
    let wanted = content.clone();
    let lengths = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lengths);
    let answer = move |asked: Asked| match asked.kind {
        200 => asked.reply(201, &[&limits]),
        Asked::READ => {
            seen.lock().unwrap().push(asked.range().1);
            asked.honest(&content, 1 << 20)
        }
        _ => asked.honest(&content, 1 << 20),
    };
    let bytes = with(greeting, answer, |session| async {
        let session = session.unwrap();
        assert_eq!(session.limits().open_handles, 8);
        let (file, attributes) = session.open_file(b"f").await.unwrap();
        assert_eq!(attributes.length, Some(250_000));
        let mut buffer = Vec::new();
        session.read_range(&file, b"f", 0, 250_000, &mut buffer).await.unwrap();
        buffer
    });
    assert!(bytes == wanted);
    assert_eq!(*lengths.lock().unwrap(), [100_000, 100_000, 50_000]);
}

#[test]
fn a_server_that_lies_about_a_read_is_found_out() {
    let content = pattern(1000);
    let long = move |asked: Asked| match asked.kind {
        Asked::READ => asked.data(&[0; 101]),
        _ => asked.honest(&content, 1000),
    };
    assert!(protocol_fault(read(long, 0, 100).0).contains("another number of bytes"));
    let nothing = |asked: Asked| match asked.kind {
        Asked::READ => asked.data(b""),
        _ => asked.honest(&[1], 1000),
    };
    assert!(protocol_fault(read(nothing, 0, 100).0).contains("another number of bytes"));
    let other = |asked: Asked| match asked.kind {
        Asked::READ => asked.reply(HANDLE, &[&text(b"h")]),
        _ => asked.honest(&[1], 1000),
    };
    assert!(protocol_fault(read(other, 0, 100).0).contains("another kind"));
    let unasked = |asked: Asked| match asked.kind {
        Asked::READ => Asked { id: asked.id.wrapping_add(9), ..asked }.data(b"x"),
        _ => asked.honest(&[1], 1000),
    };
    assert!(protocol_fault(read(unasked, 0, 1).0).contains("was not asked"));
    let huge = |asked: Asked| match asked.kind {
        Asked::READ => vec![0xff; 100],
        _ => asked.honest(&[1], 1000),
    };
    assert!(protocol_fault(read(huge, 0, 1).0).contains("longer than 1 MiB"));
}

#[test]
fn a_refusal_keeps_the_session() {
    let answer = |asked: Asked| match asked.kind {
        Asked::OPEN => asked.status(2),
        _ => asked.honest(&[1, 2], 1000),
    };
    with(greeting(), answer, |session| async {
        let session = session.unwrap();
        assert!(matches!(session.open_file(b"f").await, Err(Fault::Absent)));
        assert_eq!(session.stat(b"f", true).await.unwrap().length, Some(2));
        assert!(!session.is_ended());
    });
}

#[test]
fn a_silent_server_is_given_up() {
    let (done, _) =
        read(|asked| if asked.kind == Asked::READ { Vec::new() } else { asked.honest(&[1], 1) }, 0, 1);
    assert!(matches!(done, Err(Fault::Lost(Failure::TimedOut { .. }))), "{done:?}");
    // It may be silent as long as nothing is asked.
    with(
        greeting(),
        |asked| asked.honest(&[1], 1),
        |session| async {
            let session = session.unwrap();
            tokio::time::sleep(SILENCE * 3).await;
            assert!(session.stat(b"f", true).await.is_ok());
        },
    );
    let silent = with(Vec::new(), |_| Vec::new(), |session| async { session.map(drop) });
    assert!(matches!(silent, Err(Fault::Lost(Failure::TimedOut { .. }))), "{silent:?}");
}

#[test]
fn a_server_that_gives_a_byte_at_a_time_is_given_up() {
    let content = pattern(100_000);
    // All of it would take half an hour.
    let (done, bytes) = read(
        move |asked| {
            if asked.kind == Asked::READ {
                std::thread::sleep(Duration::from_millis(20));
            }
            asked.honest(&content, 1)
        },
        0,
        100_000,
    );
    assert!(matches!(done, Err(Fault::Lost(Failure::TimedOut { .. }))), "{done:?}");
    assert!(bytes == pattern(bytes.len()), "what came is kept");
}

#[test]
fn all_who_wait_are_told_when_it_breaks() {
    let answer = |asked: Asked| match asked.kind {
        Asked::READ if asked.range().0 > 0 => vec![0, 0, 0, 1, 99],
        Asked::READ => Vec::new(),
        _ => asked.honest(&[1], 1),
    };
    with(greeting(), answer, |session| async {
        let session = session.unwrap();
        let (file, _) = session.open_file(b"f").await.unwrap();
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let (one, other) = tokio::join!(
            session.read_range(&file, b"f", 0, 1, &mut one),
            session.read_range(&file, b"f", 1, 1, &mut other),
        );
        assert!(protocol_fault(one).contains("ends too early"));
        assert!(protocol_fault(other).contains("ends too early"));
        assert!(session.is_ended());
        assert!(protocol_fault(session.stat(b"f", true).await).contains("ends too early"));
    });
}

#[test]
fn what_is_no_sftp_server_is_told_apart() {
    let greet =
        |greeting: &[u8]| with(greeting.to_vec(), |_| Vec::new(), |session| async { session.map(drop) });
    assert!(protocol_fault(greet(b"Welcome to example.org!\n")).contains("startup file"));
    assert!(protocol_fault(greet(&[0xff; 9])).contains("longer than 1 MiB"));
    assert!(protocol_fault(greet(&framed(&[2, 0, 0, 0, 2]))).contains("older than 3"));
    assert!(protocol_fault(greet(&framed(&[101, 0, 0, 0, 0]))).contains("which version"));
}

/// Lists the directory of a server that answers the nth request for names with `names(n)`, and then says that
/// it has no more.
fn list(names: impl Fn(u32) -> Option<Vec<String>> + Send + 'static) -> Result<Vec<Vec<u8>>, Fault> {
    let mut count = 0;
    let answer = move |asked: Asked| match asked.kind {
        11 => asked.reply(HANDLE, &[&text(b"d")]),
        12 => {
            count += 1;
            match names(count) {
                None => asked.status(1),
                Some(names) => {
                    let entry = |name: &String| [text(name.as_bytes()), text(b""), vec![0; 4]].concat();
                    let entries: Vec<u8> = names.iter().flat_map(entry).collect();
                    asked.reply(NAME, &[&(names.len() as u32).to_be_bytes(), &entries])
                }
            }
        }
        _ => asked.status(0),
    };
    with(greeting(), answer, |session| async {
        let names = session.unwrap().list(b"/d").await?;
        Ok(names.into_iter().map(|name| name.name).collect())
    })
}

#[test]
fn a_directory_is_listed_to_its_end() {
    let names = list(|count| (count <= 50).then(|| vec![format!("a{count}"), format!("b{count}")])).unwrap();
    let mut unique: HashMap<&[u8], usize> = HashMap::new();
    names.iter().for_each(|name| *unique.entry(name).or_default() += 1);
    assert_eq!((names.len(), unique.len()), (100, 100));
    assert_eq!(list(|_| None).unwrap(), Vec::<Vec<u8>>::new());
}

#[test]
fn a_listing_of_ever_new_names_is_given_up() {
    let page = |count: u32| (0..1000).map(|number| format!("x{count}-{number}")).collect();
    let done = list(move |count| Some(page(count)));
    assert!(
        matches!(&done, Err(Fault::Final(Failure::EndlessListing { why, .. })) if why.contains("a million")),
        "{:?}",
        done.map(|names| names.len())
    );
    // As many as there may be.
    assert_eq!(list(move |count| (count <= 1000).then(|| page(count))).unwrap().len(), 1_000_000);
}

#[test]
fn a_listing_without_end_is_given_up() {
    for names in [vec!["a".to_owned(), "b".to_owned()], vec![".".to_owned()], Vec::new()] {
        let done = list(move |_| Some(names.clone()));
        assert!(matches!(done, Err(Fault::Final(Failure::EndlessListing { .. }))), "{done:?}");
    }
}
