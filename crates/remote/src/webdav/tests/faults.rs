//! Servers that are none, or that are ill: one error, soon, with little memory.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kopia_storage::ErrorKind;

use super::*;

/// Returns why a server's directory cannot be opened or listed.
fn failure(server: &HttpServer) -> Failure {
    let started = Instant::now();
    let place = place(format!("http://{}/dav", server.address()));
    let error = match opened(&place).and_then(|store| store.list("")) {
        Err(error) => error,
        Ok(blobs) => panic!("{blobs:?}"),
    };
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(!format!("{error} {error:?}").contains("s3cr3t"));
    match &error {
        Error::Open { source, .. } | Error::List { source, .. } => {
            Failure::of(source).unwrap_or_else(|| panic!("{error:?}")).clone()
        }
        other => panic!("{other:?}"),
    }
}

/// Starts a server that has a layout and answers listings as it is told.
fn listing(answer: impl Fn() -> Response + Send + Sync + 'static) -> HttpServer {
    HttpServer::start(move |request| match &*request.method {
        "PROPFIND" => answer(),
        _ => Response::new(200, SHARDS),
    })
}

#[test]
fn what_is_no_webdav_server_is_told() {
    let html = || Response::new(200, "<html><body>Sign in</body></html>").header("content-type", "text/html");
    for answer in [html(), Response::new(207, "<html/>"), Response::new(207, ""), Response::new(405, "no")] {
        match failure(&listing(move || answer.clone())) {
            Failure::Nonsense { expected, .. } => assert_eq!(expected, "a WebDAV server"),
            other => panic!("{other:?}"),
        }
    }
    match failure(&HttpServer::start(move |_| html())) {
        Failure::Nonsense { beginning, .. } => assert!(beginning.contains("Sign in")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_listing_without_an_end_is_an_error() {
    let endless = || Response::new(207, vec![b' '; 1 << 20]).endless();
    let failure = failure(&listing(endless));
    assert!(matches!(failure, Failure::TooLong { .. } | Failure::TimedOut { .. }), "{failure:?}");
}

/// Sixteen directories are listed at once. Where each answer is long, they come one after the other.
#[test]
fn long_listings_are_read_one_at_a_time() {
    let (asked, long) = (Mutex::new(BTreeSet::new()), Arc::new((AtomicUsize::new(0), AtomicUsize::new(0))));
    let counted = Arc::clone(&long);
    let entry = |path: &str| {
        format!(
            "<response><href>{path}</href><propstat><prop><resourcetype><collection/></resourcetype></prop>\
             </propstat></response>"
        )
    };
    let server = HttpServer::start(move |request| {
        if request.method != "PROPFIND" {
            return Response::new(200, SHARDS);
        }
        let mut entries = entry(&request.path);
        if request.path == "/dav/" {
            (0..12).for_each(|number| entries += &entry(&format!("/dav/p{number}/")));
        } else {
            // The second time, all of it will be read.
            if !asked.lock().unwrap().insert(request.path.clone()) {
                let now = counted.0.fetch_add(1, Ordering::SeqCst) + 1;
                counted.1.fetch_max(now, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(30));
                counted.0.fetch_sub(1, Ordering::SeqCst);
            }
            entries += &" ".repeat(5 << 20);
        }
        Response::new(207, format!("<multistatus>{entries}</multistatus>"))
    });
    let store = opened(&place(format!("http://{}/dav", server.address()))).unwrap();
    assert_eq!(store.list("").unwrap(), []);
    assert_eq!((server.requests().len() >= 25, long.1.load(Ordering::SeqCst)), (true, 1));
}

#[test]
fn a_listing_that_was_cut_is_asked_for_again_and_never_believed() {
    let body = "<multistatus><response><href>/dav/</href><propstat><prop><resourcetype><collection/></resourcetype>\
                </prop></propstat></response></multistatus>";
    let failure = failure(&listing(move || Response::new(207, body).cut_after(body.len() - 14)));
    assert!(matches!(failure, Failure::Disconnected { .. }), "{failure:?}");
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let other = Dav::new("/dav").with(".shards", SHARDS).start();
    let to = format!("http://{}/dav/", other.address());
    match failure(&HttpServer::start(move |_| Response::new(301, "").header("location", &to))) {
        Failure::Redirected { to, .. } => assert!(to.contains(&other.address())),
        failure => panic!("{failure:?}"),
    }
    assert_eq!(other.requests().len(), 0);
    let circle = HttpServer::start(|_| Response::new(302, "").header("location", "/dav/again"));
    assert!(matches!(failure(&circle), Failure::Redirected { .. }));
}

#[test]
fn redirects_on_the_same_server_are_followed() {
    let dav = Dav::new("/real").with(".shards", SHARDS).with("xe7.f", "1");
    let server = HttpServer::start(move |request| match request.path.strip_prefix("/dav") {
        Some(rest) => Response::new(307, "").header("location", &format!("/real{rest}")),
        None => dav.answer(request),
    });
    let store = opened(&place(format!("http://{}/dav", server.address()))).unwrap();
    assert_eq!(store.list("").unwrap().len(), 1, "paths in the answer differ from what was asked for");
    assert_eq!(store.read(&BlobId::new("xe7").unwrap()).unwrap(), b"1");
}

#[test]
fn a_directory_that_is_missing_or_closed_is_told() {
    let error = |server: &HttpServer, url: &str| {
        opened(&place(format!("http://{}{url}", server.address()))).map(drop).unwrap_err()
    };
    let server = Dav::new("/dav").with("file", "1").start();
    let missing = error(&server, "/other");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let Error::Open { source, .. } = &missing else { panic!("{missing:?}") };
    assert_eq!(source.to_string(), format!("there is no directory /other at {}", server.address()));
    assert_eq!(error(&server, "/dav/file").kind(), ErrorKind::NotFound, "it is a file");
    let closed = HttpServer::start(|_| Response::new(403, "no"));
    assert_eq!(error(&closed, "/dav").kind(), ErrorKind::NotAllowed);
    let nobody = format!("127.0.0.1:{}", kopia_testkit::servers::free_port());
    let started = Instant::now();
    assert_eq!(
        opened(&place(format!("http://{nobody}/dav%20"))).map(drop).unwrap_err().kind(),
        ErrorKind::TryAgain
    );
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    let mut bad = place("ftp://alice:s3cr3t@host/dav".into());
    let text = format!("{:?}", opened(&bad).unwrap_err());
    assert!(text.contains("host/dav") && !text.contains("s3cr3t"), "{text}");
    bad.url = "http://127.0.0.1:1/".into();
    bad.certificate_fingerprint = Some("ab".repeat(32));
    assert!(opened(&bad).unwrap_err().to_string().contains("127.0.0.1"));
}

#[test]
fn what_cannot_be_looked_into_is_not_left_out() {
    for (status, kind) in
        [("403 Forbidden", ErrorKind::NotAllowed), ("507 Insufficient", ErrorKind::TryAgain)]
    {
        let body = format!(
            "<multistatus><response><href>/dav/</href><propstat><prop><resourcetype><collection/></resourcetype></prop>\
             </propstat></response><response><href>/dav/p</href><status>HTTP/1.1 {status}</status></response>\
             <response><href>/dav/gone.f</href><status>HTTP/1.1 404 Not Found</status></response></multistatus>"
        );
        let server = listing(move || Response::new(207, body.clone()));
        let store = opened(&place(format!("http://{}/dav", server.address()))).unwrap();
        assert_eq!(store.list("").unwrap_err().kind(), kind, "{status}");
        assert_eq!(store.list("x").unwrap(), [], "it cannot hold any");
        assert_eq!(store.list("gone").unwrap(), []);
    }
}

#[test]
fn a_range_that_is_not_the_one_asked_for_is_no_data() {
    let server = HttpServer::start(|request| match &*request.path {
        "/dav/.shards" => Response::new(200, SHARDS),
        _ => Response::new(206, "pack").header("content-range", "bytes 5-8/10"),
    });
    let store = opened(&place(format!("http://{}/dav", server.address()))).unwrap();
    let error = store.read_range(&BlobId::new("xe7").unwrap(), 6, 4, Vec::new()).unwrap_err();
    match &error {
        Error::Read { source, .. } => {
            assert!(matches!(Failure::of(source), Some(Failure::WrongRange { .. })), "{source:?}");
        }
        other => panic!("{other:?}"),
    }
}
