//! The client against a server that does as it is told.

mod trickle;

use std::io::Read;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Instant;

use kopia_connection::{Environment, Limits};
use kopia_testkit::http_server::{HttpServer, Request as Asked, Response};

use super::*;
use crate::connect::Options;
use crate::patience::Patience;

/// Goes by the status of answers.
#[derive(Debug)]
struct Plain;

impl Service for Plain {}

/// Waits for an answer as long as a machine that has no time may take: a request is made again only where a
/// test wants it.
fn options() -> Options {
    let patience = Patience {
        connect: Duration::from_secs(2),
        silence: Duration::from_secs(60),
        pause: Duration::from_millis(2),
        dead: Duration::from_millis(200),
        total: Duration::from_secs(20),
        tries: 10,
    };
    Options { patience, ..Options::default() }
}

/// Waits for no answer that takes a while.
fn impatient() -> Options {
    let mut options = options();
    options.patience.silence = Duration::from_millis(300);
    options
}

fn client_of(server: &HttpServer, options: &Options) -> Client {
    client_at(&server.address(), options)
}

fn client_at(address: &str, options: &Options) -> Client {
    let origin = Origin::new(false, address).unwrap();
    Network::new(options, &Limits::default()).client(origin, &Trust::System, "a test server").unwrap()
}

/// Returns the client of a new server.
fn start(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> (HttpServer, Client) {
    let server = HttpServer::start(answer);
    let client = client_of(&server, &options());
    (server, client)
}

fn failed<T: std::fmt::Debug>(result: Result<T, Trouble>) -> Failure {
    match result {
        Err(Trouble::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

fn range(client: &Client, offset: u64, length: usize) -> Result<Vec<u8>, Trouble> {
    client.read_range(&Plain, &Request::get("/blob"), offset, length, vec![7; 3])
}

#[test]
fn a_path_is_sent_byte_for_byte_and_connections_are_kept() {
    let (server, client) = start(|_| Response::new(200, "yes"));
    let paths =
        ["//a//b/../c/./d", "/", "/a%2Fb%2f?x=%20&y", "/~-._!$&'()*+,;=:@", "/?prefix=%2F%2F&list-type=2"];
    for path in paths {
        let answer = client.call(&Plain, &Request::get(path).with("x-a", "b")).unwrap();
        assert_eq!((answer.status, &*answer.text()), (200, "yes"));
    }
    let asked = server.requests();
    assert_eq!(asked.iter().map(|asked| &*asked.path).collect::<Vec<_>>(), paths);
    assert_eq!(asked[0].header("host"), Some(&*server.address()));
    assert_eq!((asked[0].header("accept-encoding"), asked[0].header("x-a")), (Some("identity"), Some("b")));
    assert_eq!(server.connections(), 1);
}

#[test]
fn ranges_are_read_and_those_outside_say_how_long_the_blob_is() {
    let file = bytes(100_000);
    let served = file.clone();
    let (server, client) = start(move |asked| match &*asked.method {
        "HEAD" => Response::new(200, "").header("content-length", &served.len().to_string()),
        _ => Response::file(asked, &served),
    });
    for (offset, length) in [(0, 100_000), (5, 70_000), (99_999, 1), (100_000, 0), (3, 0)] {
        assert!(
            range(&client, offset, length).unwrap() == file[offset as usize..][..length],
            "{offset} {length}"
        );
    }
    for (offset, length) in
        [(0, 100_001), (100_000, 1), (200_000, 5), (100_001, 0), (u64::MAX, 1), (1, usize::MAX)]
    {
        let result = range(&client, offset, length);
        assert!(matches!(result, Err(Trouble::Short { length: 100_000 })), "{offset} {length}: {result:?}");
    }
    assert_eq!(server.connections(), 2, "what is not wanted of the first is not read");
}

#[test]
fn a_server_that_knows_no_ranges_gives_all_of_it() {
    let file = bytes(300_000);
    for length in [true, false] {
        let served = file.clone();
        let (_server, client) = start(move |_| {
            let whole = Response::new(200, served.clone());
            if length { whole } else { whole.without_length() }
        });
        assert!(range(&client, 1000, 200_000).unwrap() == file[1000..201_000]);
        assert!(range(&client, 0, 300_000).unwrap() == file);
        for offset in [299_999, 300_000, 400_000] {
            let result = range(&client, offset, 2);
            assert!(matches!(result, Err(Trouble::Short { length: 300_000 })), "{offset}: {result:?}");
        }
        assert!(client.read_whole(&Plain, &Request::get("/blob"), 1 << 20).unwrap() == file);
    }
}

#[test]
fn a_page_for_people_is_no_blob() {
    let page = "<html><body>Sign in</body></html>";
    let (_server, client) =
        start(move |_| Response::new(200, page).header("content-type", "text/HTML; charset=utf-8"));
    assert!(matches!(failed(range(&client, 0, 5)), Failure::Nonsense { .. }));
    let whole = client.read_whole(&Plain, &Request::get("/blob"), 1 << 20);
    assert!(matches!(&failed(whole), Failure::Nonsense { beginning, .. } if beginning.contains("Sign in")));
}

#[test]
fn a_blob_whose_length_nobody_says_is_whole_or_an_error() {
    let file = Arc::new(bytes(20 << 20));
    let served = Arc::clone(&file);
    let (_server, client) = start(move |_| Response::new(200, served.to_vec()).without_length());
    let read = |limit| client.read_whole(&Plain, &Request::get("/blob"), limit);
    assert!(read(1 << 30).unwrap() == **file, "it is longer than what is asked for first");
    assert!(read(20 << 20).unwrap() == **file);
    let result = read(1 << 20).map(|bytes| bytes.len());
    assert!(matches!(result, Err(Trouble::TooLarge { length: 1_048_577 })), "{result:?}");
}

#[test]
fn a_body_that_is_cut_goes_on_where_it_broke() {
    let file = bytes(1 << 20);
    let served = file.clone();
    let (server, client) = start(move |asked| Response::file(asked, &served).cut_after(300_000));
    assert!(range(&client, 10, 1_000_000).unwrap() == file[10..1_000_010]);
    let starts: Vec<u64> = server.requests().iter().filter_map(|asked| Some(asked.range()?.0)).collect();
    assert_eq!(starts, [10, 300_010, 600_010, 900_010]);
}

#[test]
fn a_server_that_gives_a_byte_at_a_time_is_given_up() {
    let served = bytes(1000);
    let (server, client) = start(move |asked| Response::file(asked, &served).cut_after(1));
    assert!(matches!(failed(range(&client, 0, 1000)), Failure::Disconnected { .. }));
    assert_eq!(server.requests().len(), 10);
}

#[test]
fn a_range_that_was_not_asked_for_is_an_error_and_never_data() {
    let lies: [fn(&Asked) -> Response; 6] = [
        |_| Response::new(206, bytes(100)).header("content-range", "bytes 1-100/1000"),
        |_| Response::new(206, bytes(50)).header("content-range", "bytes 0-49/1000"),
        |_| Response::new(206, bytes(100)),
        |_| Response::new(206, bytes(100)).header("content-range", "bytes 0-99/*"),
        |_| Response::new(206, bytes(99)).header("content-range", "bytes 0-99/1000"),
        |_| Response::new(416, "").header("content-range", "bytes */1000"),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let (_server, client) = start(lie);
        let failure = failed(range(&client, 0, 100));
        assert!(matches!(failure, Failure::WrongRange { .. }), "{number}: {failure}");
    }
}

#[test]
fn a_hostile_length_takes_no_memory() {
    let (_server, client) = start(|asked| Response::file(asked, &bytes(10)));
    let result = range(&client, 0, usize::MAX / 4);
    assert!(matches!(result, Err(Trouble::Short { length: 10 })), "{result:?}");
}

#[test]
fn a_large_blob_is_read_whole_in_ranges_at_once() {
    let file = Arc::new(bytes(40 << 20));
    let served = Arc::clone(&file);
    let (server, client) =
        start(move |asked| Response::file(asked, &served).after(Duration::from_millis(20)));
    let read = client.read_whole(&Plain, &Request::get("/blob"), 1 << 30).unwrap();
    assert!(read == **file);
    assert_eq!(server.requests().len(), 4);
    assert!(server.most_in_flight() > 1);
    let result = client.read_whole(&Plain, &Request::get("/blob"), 1 << 20);
    assert!(matches!(result, Err(Trouble::TooLarge { length }) if length == 40 << 20), "{result:?}");
}

#[test]
fn an_empty_blob_is_read_whole() {
    let (_server, client) = start(|asked| Response::file(asked, b""));
    assert_eq!(client.read_whole(&Plain, &Request::get("/blob"), 100).unwrap(), b"");
}

#[test]
fn a_storm_of_503_is_survived_and_told() {
    let (server, _) = start(|asked| {
        if asked.number < 5 { Response::new(503, "slow down") } else { Response::file(asked, b"bytes") }
    });
    let notes = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&notes);
    let options =
        Options { notice: Arc::new(move |note| taken.lock().unwrap().push(note.to_string())), ..options() };
    let client = client_of(&server, &options);
    assert_eq!(range(&client, 0, 5).unwrap(), b"bytes");
    let notes = notes.lock().unwrap();
    assert_eq!((server.requests().len(), notes.len()), (6, 1));
    assert!(notes[0].starts_with(&format!("waiting for {}: 2nd try", server.address())), "{notes:?}");
}

#[test]
fn a_busy_server_is_asked_for_less_at_once() {
    let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let (seen, all) = (Arc::clone(&most), Barrier::new(16));
    let (server, client) = start(move |asked| {
        if asked.number < 16 {
            // None is refused before all are there.
            all.wait();
            return Response::new(503, "");
        }
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        now.fetch_sub(1, Ordering::SeqCst);
        Response::file(asked, b"bytes")
    });
    std::thread::scope(|scope| {
        (0..16).for_each(|_| drop(scope.spawn(|| range(&client, 0, 5).unwrap())));
    });
    assert_eq!((server.most_in_flight(), server.requests().len()), (16, 32));
    let most = most.load(Ordering::SeqCst);
    assert!((2..13).contains(&most), "{most} at once after all were refused");
}

#[test]
fn a_dead_host_is_told_soon_and_in_words() {
    let port = kopia_testkit::servers::free_port();
    let started = Instant::now();
    let network = Network::new(&options(), &Limits::default());
    let client = |host: &str| {
        network.client(Origin::new(false, host).unwrap(), &Trust::System, "a test server").unwrap()
    };
    let failure = failed(client(&format!("127.0.0.1:{port}")).call(&Plain, &Request::get("/")));
    assert_eq!(failure, Failure::Refused { host: format!("127.0.0.1:{port}") });
    let failure = failed(client("no-such-host.invalid").call(&Plain, &Request::get("/")));
    assert_eq!(failure, Failure::UnknownHost { host: "no-such-host.invalid".into() });
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn silence_and_a_trickle_both_count_as_broken() {
    let server = HttpServer::start(|_| Response::new(200, "late").after(Duration::from_millis(800)));
    let client = client_of(&server, &impatient());
    assert!(matches!(failed(client.call(&Plain, &Request::get("/"))), Failure::TimedOut { .. }));
    let server =
        HttpServer::start(|asked| Response::file(asked, &bytes(10_000)).slowly(Duration::from_millis(10)));
    let client = client_of(&server, &impatient());
    assert!(matches!(failed(range(&client, 0, 10_000)), Failure::TimedOut { .. }));
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let (_server, client) = start(|_| Response::new(200, bytes(1 << 16)).endless());
    let request = Request { limit: 1 << 20, ..Request::get("/") };
    assert!(matches!(failed(client.call(&Plain, &request)), Failure::TooLong { limit: 1_048_576, .. }));
}

#[test]
fn a_blob_without_length_and_end_is_cut_off() {
    let (_server, client) = start(|_| Response::new(200, bytes(1 << 20)).endless());
    let read = client.read_whole(&Plain, &Request::get("/"), u64::MAX);
    assert!(matches!(read, Err(Trouble::TooLarge { length }) if length == (64 << 20) + 1));
}

#[test]
fn redirects_are_followed_on_the_same_server_alone() {
    let (server, client) = start(|asked| match &*asked.path {
        "/a" => Response::new(302, "").header("location", "/b?x=1"),
        "/b?x=1" => Response::new(200, "there"),
        "/loop" => Response::new(307, "").header("location", "/loop"),
        _ => Response::new(301, "").header("location", "https://user:secret@elsewhere/x?token=secret"),
    });
    assert_eq!(client.call(&Plain, &Request::get("/a")).unwrap().text(), "there");
    assert!(matches!(failed(client.call(&Plain, &Request::get("/loop"))), Failure::Redirected { .. }));
    let failure = failed(client.call(&Plain, &Request::get("/away").with("authorization", "hidden")));
    assert!(matches!(failure, Failure::Redirected { .. }), "{failure}");
    assert!(
        failure.to_string().contains("elsewhere") && !failure.to_string().contains("secret"),
        "{failure}"
    );
    assert_eq!(server.requests().len(), 2 + 6 + 1);
}

#[test]
fn what_is_no_answer_of_a_store_is_shown() {
    let (_server, client) =
        start(|_| Response::new(403, "<html>\u{1b}[31mSign in").header("content-type", "text/html"));
    let failure = failed(client.call(&Plain, &Request::get("/")));
    let words = failure.to_string();
    assert!(words.contains("did not answer as a test server does: HTTP 403, text/html"), "{words}");
    assert!(words.contains("<html>") && !words.contains('\u{1b}'), "{words}");
}

#[test]
fn credentials_are_renewed_once_for_each_cause() {
    #[derive(Debug, Default)]
    struct Renewing(AtomicUsize);
    impl Service for Renewing {
        fn sign(&self, request: &mut Request) -> Result<(), Failure> {
            request.set("authorization", format!("token {}", self.0.load(Ordering::SeqCst)));
            Ok(())
        }
        fn judge(&self, _: &Request, _: &Answer) -> Verdict {
            Verdict::Renew(Failure::Expired { credentials: "a test".into() })
        }
        fn renew(&self, _: &Failure) -> Result<bool, Failure> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(true)
        }
    }
    let (server, client) = start(|asked| match asked.header("authorization") {
        Some("token 1") => Response::new(200, "in"),
        _ => Response::new(401, ""),
    });
    let service = Renewing::default();
    assert_eq!(client.call(&service, &Request::get("/")).unwrap().text(), "in");
    service.renew(&Failure::Expired { credentials: String::new() }).unwrap();
    assert!(matches!(failed(client.call(&service, &Request::get("/"))), Failure::Expired { .. }));
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_server_that_is_known_to_be_gone_is_not_waited_for() {
    #[derive(Debug)]
    struct Gone;
    impl Service for Gone {
        fn gone(&self) -> Option<Failure> {
            Some(Failure::Program { program: "a server".into(), why: "ended".into() })
        }
    }
    let (_server, client) = start(|_| Response::new(503, ""));
    let failure = failed(client.call(&Gone, &Request::get("/")));
    assert!(matches!(failure, Failure::Busy { status: 503, .. }), "it answers: {failure:?}");
    let client = client_at(&format!("127.0.0.1:{}", kopia_testkit::servers::free_port()), &options());
    let failure = failed(client.call(&Gone, &Request::get("/")));
    assert!(matches!(failure, Failure::Program { .. }), "{failure:?}");
}

#[test]
fn proxies_are_asked_to_connect_with_their_password() {
    let proxy = HttpServer::start(|_| Response::new(407, ""));
    let url = format!("http://al:s3cr3t@{}", proxy.address());
    let environment: Environment = [("HTTP_PROXY", url)].into_iter().collect();
    let network = Network::new(&Options { environment, ..options() }, &Limits::default());
    let origin = Origin::new(false, "bucket.example.com:81").unwrap();
    let client = network.client(origin, &Trust::System, "a test server").unwrap();
    let failure = failed(client.call(&Plain, &Request::get("/")));
    assert!(matches!(&failure, Failure::Proxy { host, .. } if host == "bucket.example.com:81"), "{failure}");
    assert!(!failure.to_string().contains("s3cr3t"), "{failure}");
    let asked = proxy.requests();
    assert_eq!((&*asked[0].method, &*asked[0].path), ("CONNECT", "bucket.example.com:81"));
    assert_eq!(asked[0].header("proxy-authorization"), Some("Basic YWw6czNjcjN0"));
}

#[test]
fn a_server_without_tls_is_told_apart_from_a_dead_one() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]).unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let network = Network::new(&options(), &Limits::default());
    let client =
        network.client(Origin::new(true, &address).unwrap(), &Trust::Nothing, "a test server").unwrap();
    assert_eq!(failed(client.call(&Plain, &Request::get("/"))), Failure::NoTls { host: address });
}

#[test]
fn a_server_that_says_a_huge_length_gets_no_memory_for_it() {
    let (_server, client) = start(|asked| {
        let (first, last) = asked.range().unwrap();
        let last = last.unwrap();
        Response::new(206, "few bytes")
            .header("content-range", &format!("bytes {first}-{last}/9000000000000000000"))
            .header("content-length", &(last - first + 1).to_string())
            .cut_after(9)
    });
    // No machine has as much.
    assert!(matches!(failed(range(&client, 0, 1 << 50)), Failure::Disconnected { .. }));
}
