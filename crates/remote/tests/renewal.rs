//! Keys and tokens that expire in the middle of a restore: others are got, and it goes on.
#![cfg(feature = "s3")]

#[path = "support/faults.rs"]
#[allow(dead_code, reason = "a restore alone is used of it")]
mod faults;
#[path = "support/mod.rs"]
#[allow(dead_code, reason = "a repository alone is used of it")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_connection::storage::S3;
use kopia_connection::{Connection, Environment, Storage};
use kopia_remote::{Opened, Options, connect};
use kopia_storage::{BlobStore, Error, Failure};
use kopia_testkit::http_server::{Bucket, HttpServer, Response, error};
use support::golden;

/// A service of keys, and a bucket that takes only those that it gave last.
struct Cloud {
    keys: HttpServer,
    bucket: HttpServer,
    issued: Arc<AtomicUsize>,
}

impl Cloud {
    /// Starts both. The first keys expire after so many requests, if others are to be had.
    fn start(good_for: usize, renews: bool) -> Self {
        let (issued, served) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let count = Arc::clone(&issued);
        let keys = HttpServer::start(move |request| {
            if request.header("authorization") != Some("token of the pod") {
                return Response::new(401, "");
            }
            let number =
                count.load(Ordering::SeqCst) + usize::from(renews || count.load(Ordering::SeqCst) == 0);
            count.store(number, Ordering::SeqCst);
            Response::new(
                200,
                format!(r#"{{"AccessKeyId":"KEY{number}","SecretAccessKey":"s3cr3t","Token":"t{number}"}}"#),
            )
        });
        let (_, blobs) = golden();
        let bucket = Bucket::new("b", blobs.into_iter().map(|(id, bytes)| (format!("k/{id}"), bytes)));
        let bucket = HttpServer::start(move |request| {
            let wanted = if served.fetch_add(1, Ordering::SeqCst) < good_for { 1 } else { 2 };
            let signed = request.header("authorization").unwrap_or_default();
            if !signed.contains(&format!("Credential=KEY{wanted}/")) {
                return error(400, "ExpiredToken");
            }
            assert_eq!(request.header("x-amz-security-token"), Some(&*format!("t{wanted}")));
            bucket.answer(request)
        });
        Self { keys, bucket, issued }
    }

    fn open(&self) -> Result<Box<dyn BlobStore>, Error> {
        let mut place = S3::default();
        (place.bucket, place.prefix) = ("b".into(), "k/".into());
        (place.endpoint, place.disable_tls) = (Some(self.bucket.address()), true);
        let mut options = Options::default();
        options.environment = [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{}/keys", self.keys.address())),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token of the pod".to_string()),
        ]
        .into_iter()
        .collect::<Environment>();
        faults::impatient(&mut options);
        match connect(&Connection::new(Storage::S3(place)), &options)? {
            Opened::Blobs(store) => Ok(store),
            _ => panic!("a bucket is a store of blobs"),
        }
    }
}

#[test]
fn a_restore_goes_on_when_its_keys_expire() {
    let (case, _) = golden();
    // At the opening, while indexes are read, and while files are.
    for good_for in [0, 5, 12] {
        let cloud = Cloud::start(good_for, true);
        faults::restore(&format!("after {good_for} requests"), &case, cloud.open().unwrap());
        assert_eq!(cloud.issued.load(Ordering::SeqCst), 2, "after {good_for} requests");
    }
}

#[test]
fn keys_that_expire_and_are_not_replaced_are_told() {
    let cloud = Cloud::start(3, false);
    let error = match cloud.open() {
        Err(error) => error,
        Ok(store) => (0..10).find_map(|_| store.list("").err()).unwrap(),
    };
    assert!(matches!(error.failure(), Some(Failure::Expired { .. })), "{error:?}");
    let text = format!("{error} {error:?} {:?}", error.failure().unwrap());
    assert!(!text.contains("s3cr3t") && !text.contains("token of"), "{text}");
}
