//! What tests of all stores need: a repository to put there, and whether it reads right.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use kopia_codec::key::Password;
use kopia_format::BlobId;
use kopia_repository::Repository;
use kopia_repository::verify::Options;
use kopia_storage::BlobStore;
use kopia_testkit::golden::{self, Case};

/// A golden repository, and its blobs as a flat store has them.
pub(crate) fn golden() -> (Case, Vec<(BlobId, Vec<u8>)>) {
    let case = golden::case("epochs");
    let blobs = case.cheap_blobs();
    let blobs = blobs.into_iter().map(|(name, bytes)| (name.parse().expect("a blob's name"), bytes));
    let blobs = blobs.collect();
    (case, blobs)
}

/// Checks that a golden repository has its snapshots, and that every file in it reads right.
///
/// # Panics
/// If not.
pub(crate) fn check_golden(case: &Case, store: impl BlobStore) {
    let repository = Repository::open(store, &Password::from(&*case.password)).expect("the repository opens");
    let snapshots = repository.snapshots().expect("snapshots are listed");
    let ids: Vec<_> = snapshots.iter().map(|snapshot| snapshot.id().to_string()).collect();
    let listed: Vec<_> = case.listed.iter().map(|listed| listed.id.clone()).collect();
    assert_eq!(ids, listed);
    let report = repository.verify(&Options::default(), &()).expect("the repository is verified");
    assert!(report.is_sound(), "{report:?}");
    assert!(report.contents.of > 0 && report.contents.verified == report.contents.of, "{report:?}");
}

/// Sends a request to a server on this machine, and returns the status and the body of the answer.
///
/// # Panics
/// If there is no answer.
#[allow(dead_code, reason = "only tests against real servers use it")]
pub(crate) fn send(port: u16, head: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a stream has time-outs");
    let mut text = format!("{head} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    text.push_str("\r\n");
    stream.write_all(&[text.as_bytes(), body].concat()).expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server answers");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_string());
    (status.expect("an answer has a status"), body.unwrap_or_default())
}
