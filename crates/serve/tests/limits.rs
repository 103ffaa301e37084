//! What a server takes on at a time, and how it is used as a library.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZero;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kopia_codec::key::Password;
use kopia_repository::Repository;
use kopia_serve::{Listen, Options, Server};
use kopia_storage::FilesystemStore;
use kopia_testkit::golden;

/// A server of a golden repository, on a thread that ends with the test.
fn serve(change: impl FnOnce(&mut Options)) -> (SocketAddr, String) {
    let case = golden::case("sources");
    let store = FilesystemStore::open(&case.repository).unwrap();
    let repository = Repository::open(store, &Password::new(case.password)).unwrap();
    let mut options = Options::default();
    change(&mut options);
    let snapshots = repository.snapshots().unwrap();
    let server = Server::bind(&repository, snapshots, &Listen::default(), options).unwrap();
    let (address, token) = (server.address(), server.token().reveal().to_owned());
    assert_eq!(server.url(), format!("http://{address}/?token={token}"));
    thread::spawn(|| server.run());
    (address, token)
}

/// Sends a request on a new connection, and returns the status of the answer.
fn ask(address: SocketAddr, head: &str) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn connections_beyond_the_limit_wait_until_others_end() {
    let (address, token) = serve(|options| options.connections = NonZero::new(1).unwrap());
    let first = TcpStream::connect(address).unwrap();
    let (done, status) = mpsc::channel();
    thread::spawn(move || done.send(ask(address, &format!("HEAD /?token={token}"))));
    // As long as the first says nothing, the second gets no answer; on a slow machine that proves less.
    assert!(status.recv_timeout(Duration::from_millis(300)).is_err());
    drop(first);
    assert_eq!(status.recv_timeout(Duration::from_secs(60)), Ok(303));
}

#[test]
fn archives_beyond_the_limit_are_to_be_asked_for_again() {
    let (address, token) = serve(|options| options.archives = 0);
    let case = golden::case("sources");
    let (listed, _) = &case.pairs()[0];
    let mut stream = TcpStream::connect(address).unwrap();
    let cookie = format!("kopia-rs-{}={token}", address.port());
    let id = &listed.id;
    write!(
        stream,
        "GET /tar/{id}/ HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 10"), "{answer}");
}
