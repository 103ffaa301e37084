//! What goes wrong between a store and a real server, and what a restore makes of it.
//!
//! A proxy passes requests on and spoils answers. Faults that pass are survived: the tree is exact. Those
//! that do not are one error, which says what is wrong, soon.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kopia_codec::key::Password;
use kopia_remote::Options;
use kopia_repository::Repository;
use kopia_storage::{BlobStore, Error, Failure};
use kopia_testkit::golden::Case;
use kopia_testkit::http_server::{HttpServer, Request, Response, forward};
use kopia_testkit::tree::{Compare, Tree, compare};

/// Opens a store by way of a proxy at this port.
pub(crate) type Open<'a> = dyn Fn(u16) -> Result<Box<dyn BlobStore>, Error> + 'a;

/// How often answers to what is asked for may be spoilt. Whoever reads tries more often than that: several threads
/// might else take turns such that one of them gets all that are spoilt.
const OFTEN: usize = 5;

/// What becomes of the nth request; n is 0 for one that was spoilt often enough.
type Spoil = fn(&Request, usize, u16) -> Response;

/// How long a fault that lasts may take until it is told. It is far more than it should be, so that a busy
/// machine passes.
const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// Sets times that suit tests: silence is short, and all that is waited for is soon over.
pub(crate) fn impatient(options: &mut Options) {
    options.patience.connect = Duration::from_secs(2);
    options.patience.silence = Duration::from_secs(2);
    options.patience.pause = Duration::from_millis(5);
    options.patience.total = Duration::from_secs(20);
    options.patience.dead = Duration::from_secs(2);
}

/// Restores a repository through each fault that passes, and sees that others are told.
pub(crate) fn check(case: &Case, server: u16, open: &Open<'_>) {
    for (name, spoil) in PASSES {
        let (proxy, spoilt) = proxy(server, spoil);
        let store = open(proxy.port()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        restore(name, case, store);
        assert!(spoilt.load(Ordering::SeqCst) > 0, "{name}: nothing was spoilt");
    }
    for (name, spoil, is_told) in LASTS {
        let (proxy, spoilt) = proxy(server, spoil);
        let started = Instant::now();
        let failure = failure(case, open(proxy.port())).unwrap_or_else(|| panic!("{name}: nothing is told"));
        assert!(is_told(&failure), "{name}: {failure:?}");
        assert!(started.elapsed() < TOLD_WITHIN, "{name}: {:?}", started.elapsed());
        let requests = proxy.requests().len();
        assert!(requests <= 200, "{name}: {requests} requests, {} spoilt", spoilt.load(Ordering::SeqCst));
    }
}

/// Restores the newest snapshot, and compares the tree with what it must be.
pub(crate) fn restore(name: &str, case: &Case, store: impl BlobStore) {
    let repository = Repository::open(store, &Password::from(&*case.password));
    let repository = repository.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let snapshots = repository.snapshots().expect("snapshots are listed");
    let (listed, expected) = case.pairs().pop().expect("the repository has a snapshot");
    let snapshot = snapshots.iter().find(|snapshot| snapshot.id() == listed.id);
    let target = tempfile::tempdir().expect("the directory is our own");
    let root = snapshot.expect("it is listed").root().expect("it has a root");
    let options = kopia_restore::Options::default();
    let outcome = kopia_restore::restore(&root, target.path().join("t"), &options);
    let outcome = outcome.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert_eq!(outcome.problem_count, 0, "{name}: {:?}", outcome.problems);
    let differences = compare(&expected.load(), &Tree::scan(target.path().join("t")), &Compare::settable());
    assert!(differences.is_empty(), "{name}: {}", differences.join("\n"));
}

/// Returns why a repository does not open, or its indexes are not read.
fn failure(case: &Case, store: Result<Box<dyn BlobStore>, Error>) -> Option<Failure> {
    let store = match store {
        Ok(store) => store,
        Err(error) => return error.failure().cloned(),
    };
    let opened = Repository::open(store, &Password::from(&*case.password));
    match opened.and_then(|repository| repository.snapshots().map(drop)) {
        Err(kopia_repository::Error::Storage(error)) => error.failure().cloned(),
        Err(error) => panic!("{error:?}"),
        Ok(()) => None,
    }
}

/// Starts a proxy, and returns how many answers it spoilt.
fn proxy(server: u16, spoil: Spoil) -> (HttpServer, Arc<AtomicUsize>) {
    let spoilt = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&spoilt);
    let asked = Mutex::new(HashMap::<String, usize>::new());
    let proxy = HttpServer::start(move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        let often = {
            let mut asked = asked.lock().expect("no thread panics with it");
            let often = asked.entry(wanted(request)).or_default();
            *often += 1;
            *often
        };
        spoil(request, if often > OFTEN { 0 } else { request.number }, server)
    });
    (proxy, spoilt)
}

/// Returns what a request is for: it stays the same where bytes that are there already are not asked for again.
fn wanted(request: &Request) -> String {
    let range = request.header("range").or_else(|| request.header("x-ms-range"));
    let last = range.and_then(|range| range.split_once('-')).map_or("", |(_, last)| last);
    format!("{} {} {last}", request.method, request.path)
}

/// Returns whether bytes of a blob are asked for.
fn is_read(request: &Request) -> bool {
    request.method == "GET" && request.range().is_some()
}

/// Faults that pass, or that a reader knows how to live with.
const PASSES: [(&str, Spoil); 7] = [
    ("a slow line", |request, _, server| forward(server, request).after(Duration::from_millis(15))),
    ("503 now and then", |request, number, server| match number % 3 {
        1 => Response::new(503, "<html>slow down</html>").header("retry-after", "0"),
        _ => forward(server, request),
    }),
    ("429 for a while, and when to come again", |request, number, server| match number {
        1 => Response::new(429, "").header("retry-after", "1"),
        2..6 => Response::new(429, ""),
        _ => forward(server, request),
    }),
    ("connections that end before the answer", |request, number, server| match number % 4 {
        1 => forward(server, request).hang_up(),
        _ => forward(server, request),
    }),
    ("bodies that are cut", |request, number, server| {
        let answer = forward(server, request);
        let half = answer.body().len() / 2;
        if number % 2 == 1 { answer.cut_after(half) } else { answer }
    }),
    ("answers that never come", |request, number, server| match number % 9 {
        4 => forward(server, request).after(Duration::from_secs(4)),
        _ => forward(server, request),
    }),
    ("a server that knows no ranges", |request, _, server| {
        let mut request = request.clone();
        // The range is a part of what Azure's keys sign.
        if request.header("authorization").is_some_and(|how| how.starts_with("SharedKey")) {
            return forward(server, &request);
        }
        request.headers.retain(|(name, _)| !matches!(&**name, "range" | "x-ms-range"));
        forward(server, &request)
    }),
];

/// What a failure has to be.
type IsTold = fn(&Failure) -> bool;

/// Faults that last.
const LASTS: [(&str, Spoil, IsTold); 8] = [
    ("503 for ever", |_, _, _| Response::new(503, ""), |failure| matches!(failure, Failure::Busy { .. })),
    (
        "a page of a hotel instead of everything",
        |_, _, _| Response::new(200, "<html><body>Sign in</body></html>").header("content-type", "text/html"),
        |failure| matches!(failure, Failure::Nonsense { .. }),
    ),
    (
        "redirects in a circle",
        |_, _, _| Response::new(307, "").header("location", "/again"),
        |failure| matches!(failure, Failure::Redirected { .. }),
    ),
    (
        "redirects to another host",
        |_, _, _| Response::new(307, "").header("location", "http://elsewhere.invalid/"),
        |failure| matches!(failure, Failure::Redirected { to, .. } if to.contains("elsewhere.invalid")),
    ),
    (
        "another range than asked for",
        |request, _, server| {
            let answer = forward(server, request);
            if is_read(request) {
                let length = answer.body().len() as u64;
                let range = format!("bytes 1-{length}/{}", length + 1);
                return Response::new(206, answer.body()).header("content-range", &range);
            }
            answer
        },
        |failure| matches!(failure, Failure::WrongRange { .. }),
    ),
    (
        "lengths that are too long",
        |request, _, server| {
            let answer = forward(server, request);
            let length = (answer.body().len() + 1).to_string();
            let body = answer.body().len();
            if is_read(request) { answer.header("content-length", &length).cut_after(body) } else { answer }
        },
        |failure| matches!(failure, Failure::WrongRange { .. } | Failure::Disconnected { .. }),
    ),
    (
        "listings that never end",
        |request, _, server| match is_read(request) {
            true => forward(server, request),
            false => Response::new(if request.method == "PROPFIND" { 207 } else { 200 }, vec![b' '; 1 << 20])
                .endless(),
        },
        |failure| {
            matches!(failure, Failure::TooLong { .. } | Failure::TimedOut { .. } | Failure::Nonsense { .. })
        },
    ),
    (
        "listings that are cut",
        |request, _, server| {
            let answer = forward(server, request);
            let length = answer.body().len();
            if is_read(request) || length == 0 { answer } else { answer.cut_after(length - 1) }
        },
        |failure| matches!(failure, Failure::Disconnected { .. }),
    ),
];
