//! Servers that end sessions, lie, and say nothing; and what stands before servers.

mod fake;
mod hostile;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kopia_connection::{Connection, Storage};
use kopia_format::ContentId;
use kopia_storage::ErrorKind;

use super::protobuf::Message;
use super::*;
use crate::Patience;
use fake::{Act, Asked, Fake, Greeting, answer, fingerprint, greet};

/// What asks for a content, a list of manifests.
const CONTENT: u32 = 14;
const MANIFESTS: u32 = 17;

fn patience() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        silence: Duration::from_secs(2),
        tries: 4,
        total: Duration::from_secs(3),
        dead: Duration::from_secs(3),
        pause: Duration::from_millis(1),
    }
}

/// As long as a machine that has no time may take, for servers that end by themselves what they do not answer.
fn patient() -> Patience {
    let long = Duration::from_secs(60);
    Patience { connect: long, silence: long, total: long, dead: long, ..patience() }
}

/// What was told while a server was waited for.
type Notes = Arc<Mutex<Vec<String>>>;

fn open_at(address: SocketAddr, fingerprint: String) -> (Result<KopiaServer>, Notes) {
    open_by(patience(), address, fingerprint)
}

fn open_by(patience: Patience, address: SocketAddr, fingerprint: String) -> (Result<KopiaServer>, Notes) {
    let notes = Notes::default();
    let taken = notes.clone();
    let notice = Arc::new(move |note: &str| taken.lock().unwrap().push(note.into()));
    (open_with(address, fingerprint, Options { patience, notice, ..Options::default() }), notes)
}

fn open_with(address: SocketAddr, fingerprint: String, options: Options) -> Result<KopiaServer> {
    let mut server = Server::default();
    server.url = format!("https://{address}");
    server.trust = Certificate::Fingerprint(fingerprint);
    let mut connection = Connection::new(Storage::Server(server.clone()));
    connection.username = Some("alice".into());
    connection.hostname = Some("laptop".into());
    connection.password = Some("hunter2".into());
    open_session(&server, &connection, &options)
}

/// Starts a server that begins every session well and then follows a script.
fn fake(script: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Fake {
    Fake::start(&[b"h2"], Greeting::Grpc, move |asked| match asked.field {
        10 => vec![greet(&asked, b"secret")],
        _ => script(&asked),
    })
}

fn connect(fake: &Fake) -> KopiaServer {
    open_at(fake.address, fingerprint()).0.unwrap()
}

fn content(number: u32) -> ContentId {
    ContentId::new(None, &[&[0; 12], &number.to_be_bytes()[..]].concat()).unwrap()
}

fn wanted(count: u32) -> Vec<Expected> {
    (0..count).map(|number| Expected { content: content(number), length: 16 }).collect()
}

/// Answers a content with its own id.
fn echo(asked: &Asked) -> Act {
    answer(asked.id, CONTENT, &Message::new().bytes(1, &asked.bytes[2..]))
}

/// Reads contents that are echoed, and returns how many came right and what was wrong with the last other
/// one.
fn read(server: &KopiaServer, count: u32) -> (usize, Option<Error>) {
    let wanted = wanted(count);
    let (mut right, mut wrong, mut seen) = (0, None, vec![false; wanted.len()]);
    server.contents(&wanted, &mut |number, plain| {
        assert!(!std::mem::replace(&mut seen[number], true), "{number} comes twice");
        match plain {
            Ok(plain) if plain == wanted[number].content.to_string().as_bytes() => right += 1,
            Ok(plain) => panic!("{number}: {plain:?}"),
            Err(error) => wrong = Some(error),
        }
    });
    assert!(seen.iter().all(|seen| *seen));
    (right, wrong)
}

fn words(error: &Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        words += &format!(": {error}");
        source = error.source();
    }
    assert!(!words.contains("hunter2"), "{words}");
    words
}

#[test]
fn more_than_a_hundred_requests_are_under_way_at_once() {
    let waiting = Mutex::new(Vec::new());
    // Nothing is answered before 128 are there.
    let fake = fake(move |asked| {
        let mut waiting = waiting.lock().unwrap();
        waiting.push(asked.clone());
        match waiting.len() {
            128.. => waiting.drain(..).rev().map(|asked| echo(&asked)).collect(),
            _ => Vec::new(),
        }
    });
    let server = connect(&fake);
    assert_eq!(server.parameters().hash, "BLAKE2B-256-128");
    assert_eq!(server.parameters().secret(), Some(&b"secret"[..]));
    assert!(matches!(read(&server, 1280), (1280, None)));
    assert_eq!(fake.sessions(), 1);
}

#[test]
fn a_limit_of_bytes_is_kept() {
    let fake = fake(|asked| vec![echo(asked)]);
    let options = Options { limit_download: Some(32_000.0), ..Options::default() };
    let server = open_with(fake.address, fingerprint(), options).unwrap();
    let started = Instant::now();
    // 200 ids of 32 digits.
    assert!(matches!(read(&server, 200), (200, None)));
    assert!(started.elapsed() >= Duration::from_millis(190), "{:?}", started.elapsed());
}

#[test]
fn callers_may_be_within_a_runtime() {
    let fake = fake(|asked| vec![echo(asked)]);
    let own = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    own.block_on(async {
        let server = connect(&fake);
        assert!(matches!(read(&server, 10), (10, None)));
        drop(server);
        // The caller's own still works.
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
}

#[test]
fn several_threads_share_a_session() {
    let fake = fake(|asked| vec![echo(asked)]);
    let server = connect(&fake);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(matches!(read(&server, 300), (300, None))));
        }
    });
    assert_eq!(fake.sessions(), 1);
}

#[test]
fn a_lost_session_is_begun_again_and_what_was_open_is_asked_again() {
    for end in [|| Act::Hang, || Act::End("14"), || Act::End("0")] {
        let answered = AtomicUsize::new(0);
        let fake = fake(move |asked| match answered.fetch_add(1, Ordering::SeqCst) {
            100 | 250 | 251 => vec![end()],
            _ => vec![echo(asked)],
        });
        let (server, notes) = open_by(patient(), fake.address, fingerprint());
        let read = read(&server.unwrap(), 400);
        assert!(matches!(read, (400, None)), "{read:?}");
        assert!(fake.sessions() >= 3);
        assert!(notes.lock().unwrap()[0].starts_with("waiting for 127.0.0.1:"), "{notes:?}");
    }
}

#[test]
fn a_server_that_is_gone_is_given_up_once_and_later_asked_once() {
    let fake = fake(|asked| vec![echo(asked)]);
    let server = connect(&fake);
    assert_eq!(read(&server, 3).0, 3);
    drop(fake);
    for _ in 0..3 {
        let started = Instant::now();
        let (right, error) = read(&server, 50);
        assert_eq!((right, error.unwrap().kind()), (0, ErrorKind::TryAgain));
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn what_is_said_wrong_ends_in_bounded_time() {
    let scripts: [fn(&Asked) -> Vec<Act>; 5] = [
        // A wrong number, another answer, more where there is no more, no message, and one that is too long.
        |asked| vec![echo(&Asked { id: asked.id + 1000, ..asked.clone() })],
        |asked| vec![answer(asked.id, 15, &Message::new().bytes(1, b"{}"))],
        |asked| vec![Act::Say(Message::new().number(1, asked.id).number(3, 1).message(14, &Message::new()))],
        |_| vec![Act::Raw(vec![0, 0, 0, 0, 2, 0xff, 0xff])],
        |_| vec![Act::Raw(vec![0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3])],
    ];
    for script in scripts {
        let fake = fake(script);
        let (right, error) = read(&connect(&fake), 20);
        let words = words(&error.unwrap());
        assert!(right == 0 && words.contains("is no Kopia repository server to read from"), "{words}");
        assert!(fake.sessions() <= 5, "{} sessions", fake.sessions());
    }
}

#[test]
fn lists_without_end_end() {
    let page = |asked: &Asked, entries: &Message| {
        Act::Say(Message::new().number(1, asked.id).number(3, 1).message(MANIFESTS, entries))
    };
    let fake = fake(move |asked| (0..10).map(|_| page(asked, &Message::new())).collect());
    let error = connect(&fake).manifests(&[("type", "snapshot")]).unwrap_err();
    assert!(words(&error).contains("comes to no end"), "{}", words(&error));
}

#[test]
fn what_is_refused_is_told_by_its_kind() {
    let fake = fake(|asked| {
        let code = u64::from(asked.bytes[asked.bytes.len() - 1] - b'0');
        vec![answer(asked.id, 2, &Message::new().number(1, code).text(2, "because"))]
    });
    let server = connect(&fake);
    let kind = |number| server.content(&content(number), 1).unwrap_err();
    assert!(matches!(kind(2), Error::NoContent { .. }));
    assert_eq!(kind(5).kind(), ErrorKind::NotAllowed);
    assert_eq!(kind(0).kind(), ErrorKind::TryAgain);
    assert!(words(&kind(0)).contains("because"));
    assert_eq!(fake.sessions(), 1, "a refusal is an answer");
}

#[test]
fn another_repository_in_its_place_is_not_read_from() {
    let fake = Fake::start(&[b"h2"], Greeting::Grpc, |asked| match (asked.field, asked.session) {
        (10, 1) => vec![greet(&asked, b"secret")],
        (10, _) => vec![greet(&asked, b"another")],
        (_, 1) => vec![Act::Hang],
        _ => vec![echo(&asked)],
    });
    let (right, error) = read(&connect(&fake), 3);
    let words = words(&error.unwrap());
    assert!(right == 0 && words.contains("another repository"), "{words}");
}

#[test]
fn a_server_that_lives_and_answers_nothing_is_given_up() {
    let fake = fake(|_| Vec::new());
    let started = Instant::now();
    let (_, error) = read(&connect(&fake), 3);
    assert_eq!(error.unwrap().kind(), ErrorKind::TryAgain);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_server_that_answers_in_drops_is_given_up() {
    // A frame of 20 MiB is announced, and comes byte by byte.
    let fake = fake(|asked| match asked.field {
        CONTENT => [vec![0, 0x01, 0x40, 0, 0]].into_iter().chain(vec![vec![0]; 100]).map(Act::Drop).collect(),
        _ => Vec::new(),
    });
    let started = Instant::now();
    let (_, error) = read(&connect(&fake), 1);
    assert_eq!(error.unwrap().kind(), ErrorKind::TryAgain);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn more_than_was_expected_is_held_back_until_it_is_read() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    // 16 bytes were expected of each.
    let large = vec![7; 8 << 20];
    let fake = fake(move |asked| {
        counted.fetch_add(1, Ordering::SeqCst);
        vec![answer(asked.id, CONTENT, &Message::new().bytes(1, &large))]
    });
    // 320 MiB take a while, and are not to be asked for again: no pong gets past them.
    let server = open_by(patient(), fake.address, fingerprint()).0.unwrap();
    let wanted = wanted(40);
    let mut read = 0;
    server.contents(&wanted, &mut |_, plain| {
        assert_eq!(plain.unwrap().len(), 8 << 20);
        read += 1;
    });
    assert_eq!((read, sent.load(Ordering::SeqCst)), (40, 40));
}

#[test]
fn a_wrong_user_is_told_at_once() {
    let greeting = Greeting::Status("7", "access denied for alice@laptop");
    let fake = Fake::start(&[b"h2"], greeting, |_| Vec::new());
    let error = open_at(fake.address, fingerprint()).0.unwrap_err();
    assert_eq!((error.kind(), fake.sessions()), (ErrorKind::NotAllowed, 1));
    assert!(words(&error).contains("access denied for alice@laptop"), "{}", words(&error));
}

#[test]
fn no_repository_behind_it_is_waited_for_and_told() {
    let greeting = Greeting::Status("14", "not connected to a direct repository");
    let fake = Fake::start(&[b"h2"], greeting, |_| Vec::new());
    let error = open_by(patient(), fake.address, fingerprint()).0.unwrap_err();
    assert_eq!((error.kind(), fake.sessions()), (ErrorKind::TryAgain, 4));
    assert!(words(&error).contains("not connected to a direct repository"), "{}", words(&error));
}

#[test]
fn another_certificate_is_told_with_its_fingerprint() {
    let fake = fake(|_| Vec::new());
    let error = open_at(fake.address, "00".repeat(32)).0.unwrap_err();
    let words = words(&error);
    assert_eq!((error.kind(), fake.sessions()), (ErrorKind::NotAllowed, 1));
    assert!(words.contains(&fingerprint().to_lowercase()), "{words}");
}

#[test]
fn what_stands_there_instead_is_told() {
    let http1 = Fake::start(&[b"http/1.1"], Greeting::Grpc, |_| Vec::new());
    let neither = Fake::start(&[], Greeting::Grpc, |_| Vec::new());
    let html = Fake::start(&[b"h2"], Greeting::Html, |_| Vec::new());
    for (fake, expected) in
        [(&http1, "refuses HTTP/2"), (&neither, "speaks HTTP/1 alone"), (&html, "HTTP 404 and \"text/html\"")]
    {
        let error = open_at(fake.address, fingerprint()).0.unwrap_err();
        assert!(words(&error).contains(expected), "{}", words(&error));
        assert_eq!(fake.sessions(), 1);
    }
}

#[test]
fn a_server_without_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1 << 10]);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nno").unwrap();
    });
    let error = open_at(address, fingerprint()).0.unwrap_err();
    assert!(words(&error).contains("--insecure"), "{}", words(&error));
    serve.join().unwrap();
}

#[test]
fn nobody_there_is_told_in_seconds() {
    let address = SocketAddr::from(([127, 0, 0, 1], kopia_testkit::servers::free_port()));
    let started = Instant::now();
    let error = open_at(address, fingerprint()).0.unwrap_err();
    assert!(words(&error).contains("refuses connections"), "{}", words(&error));
    assert!(started.elapsed() < Duration::from_secs(10));
}
