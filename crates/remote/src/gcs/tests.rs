//! Against a server that does as Google does where emulators do not.

#[cfg(feature = "azure")]
mod renewal;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_connection::Environment;
use kopia_connection::storage::GoogleAccount;
use kopia_format::BlobId;
use kopia_storage::BlobStore;
use kopia_testkit::http_server::{HttpServer, Request as Asked, Response};
use serde_json::json;

use super::*;
use crate::patience::hasty;

fn place() -> Gcs {
    let mut place = Gcs::default();
    place.bucket = "bucket".into();
    place.prefix = "k/".into();
    place
}

fn open_at(server: &HttpServer, place: &Gcs) -> Result<GcsStore> {
    let environment = [("STORAGE_EMULATOR_HOST", server.address())].into_iter().collect();
    let options = Options { environment, patience: hasty(), ..Options::default() };
    open(place, &Limits::default(), &options)
}

fn refused(status: u16, reason: &str) -> Response {
    let error =
        json!({"code": status, "message": "words", "errors": [{"reason": reason, "message": "words"}]});
    Response::new(status, json!({ "error": error }).to_string())
}

fn refused_in_xml(status: u16, code: &str) -> Response {
    Response::new(
        status,
        format!("<?xml version='1.0'?><Error><Code>{code}</Code><Message>words</Message></Error>"),
    )
}

#[test]
fn what_google_refuses_is_told_apart() {
    let opened = |response: Response| {
        let server = HttpServer::start(move |_| response.clone());
        open_at(&server, &place()).unwrap_err().failure().cloned().unwrap()
    };
    assert!(matches!(opened(refused(404, "notFound")), Failure::NoContainer { kind: "bucket", .. }));
    assert!(matches!(opened(refused(401, "authError")), Failure::WrongKey { .. }));
    let failure = opened(refused(403, "forbidden"));
    assert!(failure.to_string().contains("the right storage.objects.list may be missing"), "{failure}");
    assert!(
        matches!(opened(refused(403, "accountDisabled")), Failure::Refusal { message, .. } if message == "words")
    );
    assert!(matches!(opened(Response::new(200, "<html>")), Failure::Nonsense { .. }));
    assert!(matches!(
        opened(Response::new(404, "<html>")),
        Failure::Refusal { .. } | Failure::Nonsense { .. }
    ));

    let read = |response: Response| {
        let server = HttpServer::start(move |asked: &Asked| match asked.path.starts_with("/storage") {
            true => Response::new(200, "{}"),
            false => response.clone(),
        });
        open_at(&server, &place()).unwrap().read(&BlobId::new("p1").unwrap()).unwrap_err()
    };
    assert!(read(refused_in_xml(404, "NoSuchKey")).is_not_found());
    assert!(matches!(read(refused_in_xml(404, "NoSuchBucket")).failure(), Some(Failure::NoContainer { .. })));
    assert!(matches!(
        read(refused_in_xml(403, "AccessDenied")).failure(),
        Some(Failure::NotPermitted { .. })
    ));
}

#[test]
fn a_limit_of_the_rate_is_waited_for() {
    let server = HttpServer::start(|asked| match asked.number {
        0 => refused(403, "rateLimitExceeded"),
        1 => refused(429, "rateLimitExceeded"),
        _ => Response::new(200, "{}"),
    });
    open_at(&server, &place()).unwrap();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_view_shows_the_generations_that_were_there() {
    let item = |name: &str, generation: u32, day: u32, deleted: Option<u32>| {
        let time = |day| format!("2023-11-{day}T00:00:00Z");
        json!({"name": format!("k/{name}"), "size": "1", "generation": generation.to_string(), "timeCreated": time(day), "timeDeleted": deleted.map(time)})
    };
    let items = [
        item("p1", 1, 10, Some(20)),
        item("p1", 2, 20, None),
        item("p2", 3, 10, Some(15)),
        item("p3", 4, 20, None),
        item("p4", 5, 10, Some(30)),
    ];
    let server = HttpServer::start(move |asked| {
        if asked.path == "/storage/v1/b/bucket?fields=versioning" {
            return Response::new(200, r#"{"versioning":{"enabled":true}}"#);
        }
        let Some((_, rest)) = asked.path.split_once("?prefix=k%2F") else {
            let (path, generation) = asked.path.split_once("?generation=").unwrap();
            assert_eq!(path, "/bucket/k%2Fp1");
            return Response::file(asked, generation.as_bytes());
        };
        assert!(asked.path.contains("&versions=true"));
        let prefix = format!("k/{}", rest.split('&').next().unwrap());
        let found: Vec<_> =
            items.iter().filter(|item| item["name"].as_str().unwrap().starts_with(&prefix)).collect();
        Response::new(200, json!({ "items": found }).to_string())
    });
    let mut place = place();
    place.point_in_time = Some("2023-11-16T00:00:00Z".parse().unwrap());
    let store = open_at(&server, &place).unwrap();
    let p1 = BlobId::new("p1").unwrap();
    assert_eq!(store.read(&p1).unwrap(), b"1");
    let names: Vec<_> = store.list("").unwrap().into_iter().map(|blob| blob.id.to_string()).collect();
    assert_eq!(names, ["p1", "p4"]);
    assert!(store.read(&BlobId::new("p3").unwrap()).is_err_and(|error| error.is_not_found()));
    let before = server.requests().len();
    assert_eq!(*store.read_range(&p1, 0, 1, Vec::new()).unwrap(), *b"1");
    assert_eq!(server.requests().len(), before + 1, "the generation is known");

    let server = HttpServer::start(|asked| {
        Response::new(200, if asked.path.ends_with("versioning") { "{}" } else { r#"{"items":[]}"# })
    });
    let failure = open_at(&server, &place).unwrap_err();
    assert!(matches!(failure.failure(), Some(Failure::NotVersioned { .. })), "{failure:?}");
}

/// Tokens are signed for, sent along, and got anew when they are refused.
#[test]
fn a_token_that_is_refused_is_got_anew() {
    let good = Arc::new(AtomicUsize::new(1));
    let shared = Arc::clone(&good);
    let server = HttpServer::start(move |asked| {
        let good = shared.load(Ordering::SeqCst);
        if asked.path.starts_with("/computeMetadata") {
            return Response::new(200, format!(r#"{{"access_token":"t{good}","expires_in":3599}}"#));
        }
        match asked.header("authorization") == Some(&*format!("Bearer t{good}")) {
            true => Response::new(200, "{}"),
            false => refused(401, "authError"),
        }
    });
    let environment: Environment = [("GCE_METADATA_HOST", server.address())].into_iter().collect();
    let options = Options { environment, ..Options::default() };
    let network = Network::new(&options, &Limits::default());
    let account = Google::new(&GoogleAccount::Ambient, SCOPE, &network).unwrap();
    let origin = Origin::new(false, &server.address()).unwrap();
    let store = GcsStore::new(&place(), &Limits::default(), origin, Some(account), &network).unwrap();
    store.check().unwrap();
    good.store(2, Ordering::SeqCst);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(store.list("").unwrap(), []);
    assert!(!format!("{store:?}").contains("t2"));
}
