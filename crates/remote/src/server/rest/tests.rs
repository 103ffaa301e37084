//! A server's REST API: as Kopia gives it, and as a hostile server may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kopia_connection::{Connection, Storage};
use kopia_storage::ErrorKind;
use kopia_testkit::http_server::{HttpServer, Request as Asked, Response};

use super::*;
use crate::Patience;

/// What `kopia:hunter2` is as Basic credentials.
const BASIC: &str = "Basic a29waWE6aHVudGVyMg==";

const TIME: &str = "2026-11-28T20:32:51.5Z";

fn patience() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        silence: Duration::from_secs(2),
        tries: 3,
        total: Duration::from_secs(3),
        dead: Duration::from_secs(3),
        pause: Duration::from_millis(1),
    }
}

fn open_at(address: &str) -> Result<Box<dyn ContentServer>> {
    let mut server = Server::default();
    server.url = format!("kopia+http://{address}");
    let mut connection = Connection::new(Storage::Server(server.clone()));
    connection.password = Some("hunter2".into());
    let options = Options { patience: patience(), ..Options::default() };
    super::super::open(&server, &connection, &options)
}

fn connect(server: &HttpServer) -> Box<dyn ContentServer> {
    open_at(&server.address()).unwrap()
}

/// Answers as Kopia does up to the repository's status, and then by a script. Sessions are numbered from 1.
fn fake(script: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> HttpServer {
    let sessions = AtomicUsize::new(0);
    HttpServer::start(move |asked| {
        if asked.header("authorization") != Some(BASIC) {
            return Response::new(401, "Access denied.\n");
        }
        match &*asked.path {
            "/" => {
                let session = sessions.fetch_add(1, Ordering::SeqCst) + 1;
                let page =
                    format!("<head><meta name=\"kopia-csrf-token\" content=\"token{session}\" /></head>");
                Response::new(200, page)
                    .header("set-cookie", "Kopia-Auth=jwt; Path=/; Expires=Sat")
                    .header("set-cookie", &format!("Kopia-Session-Cookie=s{session}; Path=/"))
                    .header("set-cookie", "Other=hush")
            }
            "/api/v1/repo/status" => {
                Response::new(200, r#"{"connected":true,"hash":"BLAKE2B-256-128","splitter":"FIXED"}"#)
            }
            _ => script(asked),
        }
    })
}

fn content(number: u32) -> ContentId {
    ContentId::new(None, &[&[0; 12], &number.to_be_bytes()[..]].concat()).unwrap()
}

fn wanted(count: u32) -> Vec<Expected> {
    (0..count).map(|number| Expected { content: content(number), length: 32 }).collect()
}

/// Answers an object with its own id.
fn echo(asked: &Asked) -> Response {
    Response::file(asked, asked.path.strip_prefix("/api/v1/objects/").unwrap_or_default().as_bytes())
}

fn words(error: &Error) -> String {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        words += &format!(": {error}");
        source = error.source();
    }
    assert!(!words.contains("hunter2") && !words.contains("a29w"), "{words}");
    words
}

#[test]
fn contents_come_by_their_ids_and_many_at_once() {
    let server = fake(echo);
    let opened = connect(&server);
    assert_eq!(opened.parameters().hash, "BLAKE2B-256-128");
    assert_eq!(opened.parameters().secret(), None);
    let (wanted, mut seen) = (wanted(100), vec![0; 100]);
    opened.contents(&wanted, &mut |number, plain| {
        assert_eq!(plain.unwrap(), wanted[number].content.to_string().as_bytes());
        seen[number] += 1;
    });
    assert!(seen.iter().all(|seen| *seen == 1));
    assert_eq!(opened.describe(&[content(7)])[0].as_ref().unwrap().length, 32);
    assert!(server.requests().iter().all(|asked| asked.method == "GET"), "nothing else is ever said");
    let object = server.requests().into_iter().find(|asked| asked.path.contains("objects")).unwrap();
    assert_eq!(object.header("cookie"), Some("Kopia-Auth=jwt; Kopia-Session-Cookie=s1"));
    assert_eq!(object.header("x-kopia-csrf-token"), None);
}

#[test]
fn snapshots_of_all_sources_are_listed() {
    let last = format!(
        r#"{{"id":"b","startTime":"{TIME}","endTime":"{TIME}",
            "rootEntry":{{"type":"d","mode":"0755","obj":"k2"}}}}"#
    );
    let server = fake(move |asked| match asked.path.split('?').next() {
        Some("/api/v1/sources") => {
            assert_eq!(asked.header("x-kopia-csrf-token"), Some("token1"));
            let source = |user: &str, last: &str| {
                format!(
                    r#"{{"source":{{"host":"h","userName":"{user}","path":"/p"}},"lastSnapshot":{last}}}"#
                )
            };
            Response::new(200, format!(r#"{{"sources":[{},{}]}}"#, source("a", &last), source("b", "null")))
        }
        Some("/api/v1/snapshots") if asked.path.contains("userName=a&") => {
            let one = |id: &str, root: &str| {
                format!(r#"{{"id":"{id}","startTime":"{TIME}","endTime":"{TIME}","rootID":"{root}"}}"#)
            };
            Response::new(200, format!(r#"{{"snapshots":[{},{}]}}"#, one("a", "k1"), one("b", "k2")))
        }
        Some("/api/v1/snapshots") => Response::new(200, r#"{"snapshots":[]}"#),
        _ => Response::new(404, "404 page not found"),
    });
    let opened = connect(&server);
    let manifests = opened.manifests(&[("type", "snapshot")]).unwrap();
    let mut ids: Vec<_> = manifests.iter().map(|manifest| manifest.id.clone()).collect();
    ids.sort();
    assert_eq!(ids.iter().map(ManifestId::as_str).collect::<Vec<_>>(), ["a", "b"]);
    let payloads = opened.payloads(&ids).unwrap();
    let text = |number: usize| String::from_utf8(payloads[number].clone().unwrap()).unwrap();
    assert!(text(0).contains(r#""obj":"k1""#) && text(0).contains("0755"), "{}", text(0));
    assert!(text(1).contains(r#""obj":"k2""#), "{}", text(1));
    assert!(opened.manifests(&[("type", "policy")]).unwrap().is_empty());
    assert_eq!(opened.payloads(&ids).unwrap(), [None, None]);
}

#[test]
fn a_server_that_was_started_again_is_entered_anew() {
    let server = fake(|asked| match asked.header("x-kopia-csrf-token") {
        // The key of tokens is another after a start.
        Some("token1") => Response::new(401, "Invalid or missing CSRF token.\n"),
        _ => Response::new(200, r#"{"sources":[]}"#),
    });
    assert!(connect(&server).manifests(&[]).unwrap().is_empty());
    let never = fake(|_| Response::new(401, "Invalid or missing CSRF token.\n"));
    let error = connect(&never).manifests(&[]).unwrap_err();
    assert!(words(&error).contains("CSRF"), "{}", words(&error));
    assert!(never.requests().len() < 10, "it is not tried for ever");
}

#[test]
fn plain_users_learn_that_it_takes_the_uis() {
    for (status, body, expected) in [
        (401, "Access denied.\n", "does not know the credentials from user kopia"),
        (403, "UI Access denied. See https://…", "--server-username"),
        (404, "404 page not found\n", "--no-ui"),
        (400, "Client sent an HTTP request to an HTTPS server.\n", "speaks TLS alone"),
        (200, "<html>It works!</html>", "did not answer as a Kopia server does"),
    ] {
        let server = HttpServer::start(move |_| Response::new(status, body));
        let error = open_at(&server.address()).unwrap_err();
        assert!(words(&error).contains(expected), "{}", words(&error));
        assert!(!words(&error).contains("\x1b"));
        assert_eq!(server.requests().len(), 1, "{status}: once is enough");
    }
    let to = HttpServer::start(|_| Response::new(301, "").header("location", "https://elsewhere.lan/"));
    let error = open_at(&to.address()).unwrap_err();
    assert!(words(&error).contains("elsewhere.lan"), "{}", words(&error));
}

#[test]
fn a_server_without_a_repository_is_waited_for_and_told() {
    let server = HttpServer::start(|asked| match &*asked.path {
        "/" => Response::new(200, "name=\"kopia-csrf-token\" content=\"t\""),
        _ => Response::new(200, r#"{"connected":false}"#),
    });
    let error = open_at(&server.address()).unwrap_err();
    assert!(words(&error).contains("no repository open"), "{}", words(&error));
    assert_eq!(server.requests().len(), 4);
    let refusing = fake(|_| Response::new(400, r#"{"code":"NOT_CONNECTED","error":"not connected"}"#));
    let error = connect(&refusing).manifests(&[]).unwrap_err();
    assert!(words(&error).contains("400 NOT_CONNECTED: not connected"), "{}", words(&error));
}

#[test]
fn what_is_not_there_is_told_from_what_cannot_be_had() {
    let server = fake(|asked| match asked.path.ends_with("00") {
        true => Response::new(404, "object not found\n"),
        false => Response::new(403, "access denied\n"),
    });
    let opened = connect(&server);
    assert!(matches!(opened.content(&content(0), 1), Err(Error::NoContent { .. })));
    assert!(matches!(opened.describe(&[content(0)])[0], Err(Error::NoContent { .. })));
    assert_eq!(opened.content(&content(1), 1).unwrap_err().kind(), ErrorKind::NotAllowed);
}

#[test]
fn more_than_was_expected_is_read_alone_and_not_without_end() {
    let large = Arc::new(vec![7; 3 << 20]);
    let sent = large.clone();
    let server = fake(move |asked| match asked.path.ends_with("00") {
        true => Response::new(200, &**sent),
        false => Response::new(200, vec![0; 1 << 20]).endless(),
    });
    let opened = connect(&server);
    assert!(opened.content(&content(0), 32).unwrap() == *large);
    let error = opened.content(&content(1), 32).unwrap_err();
    assert!(words(&error).contains("more than 20971520 bytes"), "{}", words(&error));
}

#[test]
fn broken_answers_are_asked_for_again_and_given_up() {
    let broken = AtomicUsize::new(0);
    let server = fake(move |asked| match broken.fetch_add(1, Ordering::SeqCst) {
        0 => echo(asked).cut_after(5),
        1 => Response::new(500, "no"),
        _ => echo(asked),
    });
    let opened = connect(&server);
    assert_eq!(opened.content(&content(1), 32).unwrap(), content(1).to_string().as_bytes());
    // Kopia's answer to a damaged content: it breaks off before it has begun.
    let never = fake(|_| Response::new(200, "x").cut_after(0));
    let started = Instant::now();
    assert_eq!(connect(&never).content(&content(1), 32).unwrap_err().kind(), ErrorKind::TryAgain);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn lists_that_are_none_are_refused() {
    for body in [
        "",
        "null",
        "<html>",
        r#"{"sources":[{"source":7}]}"#,
        r#"{"sources":[{"source":{},"lastSnapshot":[]}]}"#,
    ] {
        let server = fake(move |_| Response::new(200, body));
        let error = connect(&server).manifests(&[]).unwrap_err();
        assert!(words(&error).contains("does not speak Kopia's REST API"), "{body}: {}", words(&error));
    }
    let endless = fake(|_| Response::new(200, vec![b' '; 1 << 20]).endless());
    let error = connect(&endless).manifests(&[]).unwrap_err();
    assert!(words(&error).contains("more than 67108864 bytes"), "{}", words(&error));
}

#[test]
fn certificates_are_of_no_use_without_tls() {
    let mut server = Server::default();
    server.url = "http://127.0.0.1:1".into();
    server.trust = Certificate::Fingerprint("ab".repeat(32));
    let mut connection = Connection::new(Storage::Server(server.clone()));
    connection.password = Some("hunter2".into());
    let error = super::super::open(&server, &connection, &Options::default()).unwrap_err();
    assert!(words(&error).contains("has no certificate"), "{}", words(&error));
}
