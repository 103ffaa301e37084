//! The store against servers that do as they are told, rightly and wrongly.

mod faults;
mod server;
mod signing;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_connection::Secret;
use kopia_format::BlobId;
use kopia_storage::BlobStore;
use kopia_storage::sharded::{DirectoryTree, EntryKind};
use kopia_storage::testing::conformance;
use kopia_testkit::http_server::{HttpServer, Response};

use super::*;
use crate::patience::Patience;
use server::Dav;

const SHARDS: &str = r#"{"default":[1,3],"maxNonShardedLength":20}"#;

/// Where a blob lies by [`SHARDS`].
fn sharded(id: &BlobId) -> String {
    match id.as_str() {
        short if short.len() <= 20 => format!("{short}.f"),
        long => format!("{}/{}/{}.f", &long[..1], &long[1..4], &long[4..]),
    }
}

fn options() -> Options {
    let millis = std::time::Duration::from_millis;
    let patience = Patience {
        connect: millis(2000),
        // An answer that is late would be asked for again, and look like a second one.
        silence: millis(60_000),
        pause: millis(1),
        dead: millis(200),
        total: millis(60_000),
        tries: 10,
    };
    Options { patience, ..Options::default() }
}

fn place(url: String) -> WebDav {
    let mut place = WebDav::default();
    (place.url, place.username, place.password) = (url, Some("alice".into()), Some(Secret::new("s3cr3t")));
    place
}

fn opened(place: &WebDav) -> Result<ShardedStore<Tree>> {
    open(place, &Limits::default(), &options())
}

/// Holds the store against the contract; `make` changes the server that has the blobs.
fn conforms(make: impl Fn(Dav) -> Dav, path: impl Fn(usize, &BlobId) -> String) {
    let mut servers = Vec::new();
    conformance::check(|blobs| {
        let mut files = Dav::new("/dav/my repo").with(".shards", SHARDS);
        for (number, (id, bytes)) in blobs.iter().enumerate() {
            files = files.with(&path(number, id), bytes.clone());
        }
        files = files.with("xe7.f-8674665223082153551", "unfinished").with("p/.DS_Store", "another's");
        let server = make(files).start();
        let store = opened(&place(format!("http://{}/dav/my repo/", server.address()))).unwrap();
        servers.push(server);
        store
    });
}

#[test]
fn conforms_to_the_contract() {
    conforms(|dav| dav, |_, id| sharded(id));
}

#[test]
fn conforms_where_layouts_are_mixed() {
    let flat = |id: &BlobId| id.as_str().to_string();
    conforms(|dav| dav, |number, id| if number % 2 == 0 { flat(id) } else { sharded(id) });
}

#[test]
fn conforms_where_the_server_knows_no_ranges_and_writes_urls() {
    conforms(|dav| Dav { ranges: false, urls: true, ..dav }, |_, id| sharded(id));
}

#[test]
fn conforms_where_the_server_is_often_busy() {
    for status in [423, 503] {
        conforms(move |dav| Dav { busy: Some((7, status)), ..dav }, |_, id| sharded(id));
    }
}

#[test]
fn a_server_at_work_is_asked_again() {
    for status in [408, 409, 423, 429, 500, 502, 503, 504] {
        let dav = Dav::new("/").with(".shards", SHARDS).with("xe7.f", "1");
        let server = Dav { busy: Some((2, status)), ..dav }.start();
        let store = opened(&place(format!("http://{}", server.address()))).unwrap();
        assert_eq!(store.list("").unwrap().len(), 1, "{status}");
        assert_eq!(store.read(&BlobId::new("xe7").unwrap()).unwrap(), b"1", "{status}");
    }
}

#[test]
fn conforms_where_lengths_are_left_out_of_listings() {
    conforms(|dav| Dav { lengths: false, ..dav }, |_, id| sharded(id));
}

#[test]
fn a_url_is_taken_as_kopia_takes_it_and_else_as_others_write_it() {
    for directory in ["/dav/my repo", "/dav/my%20repo"] {
        let server = Dav::new(directory).with(".shards", SHARDS).with("xe7.f", "1").start();
        let store = opened(&place(format!("http://{}/dav/my%20repo", server.address()))).unwrap();
        assert_eq!(store.list("").unwrap().len(), 1, "{directory}");
        let encoded = directory.replace('%', "%25").replace(' ', "%20");
        assert_eq!(store.location(), format!("webdav://{}{encoded}", server.address()));
    }
    let server = Dav::new("/").with("xe7.f", "1").start();
    let store = opened(&place(format!("http://{}", server.address()))).unwrap();
    assert_eq!(
        (store.list("").unwrap().len(), store.location()),
        (1, format!("webdav://{}", server.address()))
    );
}

#[test]
fn what_opening_and_reading_cost() {
    let pack = BlobId::new("p4e311fa000288c4db0b21c580277169b").unwrap();
    let mut dav = Dav::new("/").with(".shards", SHARDS).with(&sharded(&pack), "whole pack");
    for number in 0..64 {
        dav = dav.with(&format!("q/{number:03x}/11fa000288c4db0b21c580277169b.f"), "1");
    }
    // The first eight directories are answered once all of them are asked for.
    let (asked, eight) = (AtomicUsize::new(0), Barrier::new(8));
    let dav = Dav { delay: std::time::Duration::from_millis(50), ..dav };
    let server = HttpServer::start(move |request| {
        let is_below_q = request.path.trim_end_matches('/').starts_with("/q/");
        if is_below_q && asked.fetch_add(1, Ordering::SeqCst) < 8 {
            eight.wait();
        }
        dav.answer(request)
    });
    let store = opened(&place(format!("http://{}", server.address()))).unwrap();
    assert_eq!(server.requests().len(), 1, "opening reads the layout alone");
    assert_eq!(&*store.read_range(&pack, 6, 4, Vec::new()).unwrap(), b"pack");
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.most_in_flight(), 1);
    assert_eq!(store.list("q").unwrap().len(), 64);
    assert_eq!(server.requests().len(), 2 + 1 + 1 + 64, "the root, q, and all below it");
    assert!((8..=16).contains(&server.most_in_flight()), "{}", server.most_in_flight());
    assert!(server.connections() <= 17);
}

#[test]
fn a_layout_that_makes_no_sense_is_told() {
    let server = Dav::new("/").with(".shards", "no JSON").with("p/4e3/1.f", "1").start();
    let notes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = std::sync::Arc::clone(&notes);
    let mut options = options();
    options.notice = std::sync::Arc::new(move |note| told.lock().unwrap().push(note.to_string()));
    let place = place(format!("http://{}", server.address()));
    let store = open(&place, &Limits::default(), &options).unwrap();
    assert_eq!(store.list("").unwrap().len(), 1);
    let notes = notes.lock().unwrap();
    assert!(notes[0].contains(".shards does not describe where blobs lie"), "{notes:?}");
}

#[test]
fn a_server_of_kopia_itself_is_told() {
    // To nobody, to a user of the repository, and to the user of its page, as kopia 0.23.1 answers each.
    let cookie = |response: Response| response.header("set-cookie", "Kopia-Auth=eyJh; Path=/");
    let answers: [fn() -> Response; 3] = [
        || Response::new(401, "Access denied.\n").header("www-authenticate", "Basic realm=\"Kopia\""),
        || Response::new(403, "UI Access denied.\n"),
        || Response::new(200, "<!doctype html>\n<html lang=\"en\">").header("content-type", "text/html"),
    ];
    for answer in answers {
        let server = HttpServer::start(move |_| cookie(answer()));
        let mut place = place(format!("http://{}", server.address()));
        for username in [place.username.clone(), None] {
            place.username = username;
            let error = opened(&place).unwrap_err();
            let why = std::error::Error::source(&error).unwrap().to_string();
            let write = format!("write kopia+http://USER@{}", server.address());
            assert!(why.contains("it is a Kopia server") && why.contains(&write), "{why}");
        }
    }
    // Kopia's own port is meant where none is written, so that a usual one is.
    for (url, write) in [
        ("https://backups.lan", "kopia://USER@HOST@backups.lan:443, "),
        ("https://backups.lan:8443/", "kopia://USER@HOST@backups.lan:8443, "),
        ("https://[::1]", "kopia://USER@HOST@[::1]:443, "),
        ("http://backups.lan", "kopia+http://USER@backups.lan:80, "),
    ] {
        let access = Access::new(None, false).at(&Origin::of_url(url).unwrap().0);
        assert!(access.kopia().contains(write), "{}", access.kopia());
    }
}

#[test]
fn kinds_of_things_are_told_apart() {
    let server = Dav::new("/").with("p/1.f", "12").start();
    let place = place(format!("http://{}/", server.address()));
    let network = Network::new(&options(), &Limits::default());
    let tree = tree(&place, &network, path::encoded).unwrap();
    assert_eq!(tree.stat(b"").unwrap().kind, EntryKind::Directory);
    assert_eq!(tree.stat(b"p").unwrap().kind, EntryKind::Directory);
    let file = tree.stat(b"p/1.f").unwrap();
    assert_eq!((file.kind, file.length), (EntryKind::File, 2));
    for gone in [&b"q"[..], b"p/2.f", b"p/1.f/x"] {
        assert_eq!(tree.stat(gone).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
    let list = |path: &[u8]| tree.list(path, &mut |_| Ok(())).map_err(|error| error.kind());
    assert_eq!(list(b"p"), Ok(()));
    assert_eq!(list(b"p/1.f"), Err(std::io::ErrorKind::NotADirectory));
    assert_eq!(list(b"gone"), Err(std::io::ErrorKind::NotFound));
}
