//! Who we are, and what happens if the server does not believe it.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::webdav::challenge::parse;

/// Checks a header as a server does that knows alice's password. Written apart from the code that makes it.
fn is_right(header: &str, method: &str, path: &str, sha256: bool) -> bool {
    let parts = &parse(header)[0];
    let get = |name| parts.get(name).unwrap_or_default().to_string();
    let hash = |text: String| {
        if sha256 {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
            digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
        } else {
            format!("{:x}", md5::compute(text))
        }
    };
    let secret: String = hash("alice:a \"realm\":s3cr3t".into());
    let what: String = hash(format!("{method}:{path}"));
    let wanted: String =
        hash(format!("{secret}:{}:{}:{}:auth:{what}", get("nonce"), get("nc"), get("cnonce")));
    get("username") == "alice" && get("uri") == path && get("response") == wanted
}

/// Starts a server that wants Digest, gives out a new nonce after so many answers to one, and counts
/// refusals.
fn digest_server(sha256: bool, lasts: u32, says_stale: bool) -> (HttpServer, std::sync::Arc<AtomicUsize>) {
    let pack = BlobId::new("p4e311fa000288c4db0b21c580277169b").unwrap();
    let dav = Dav::new("/").with(".shards", SHARDS).with(&sharded(&pack), "whole pack").with("xe7.f", "1");
    let (refused, generation) = (std::sync::Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&refused);
    let server = HttpServer::start(move |request| {
        let current = generation.load(Ordering::SeqCst);
        let refuse = |generation: usize, stale: bool| {
            count.fetch_add(1, Ordering::SeqCst);
            let algorithm = if sha256 { "SHA-256" } else { "MD5" };
            let stale = if stale && says_stale { ", stale=true" } else { "" };
            let challenge = format!(
                "Digest realm=\"a \\\"realm\\\"\", nonce=\"n{generation}\", algorithm={algorithm}, qop=\"auth\", opaque=\"o\"{stale}"
            );
            let weaker = "Digest realm=\"weaker\", nonce=\"x\", algorithm=MD5, qop=\"auth\"";
            Response::new(401, "who?")
                .header("www-authenticate", weaker)
                .header("www-authenticate", &challenge)
        };
        match request.header("authorization") {
            Some(header) if header.starts_with("Digest ") => {
                let sent = &parse(header)[0];
                let uses = u32::from_str_radix(sent.get("nc").unwrap_or_default(), 16).unwrap();
                if !is_right(header, &request.method, &request.path, sha256) {
                    return refuse(current, false);
                }
                if sent.get("nonce") != Some(&format!("n{current}")) {
                    return refuse(current, true);
                }
                if uses > lasts {
                    let _ =
                        generation.compare_exchange(current, current + 1, Ordering::SeqCst, Ordering::SeqCst);
                    return refuse(current + 1, true);
                }
                dav.answer(request)
            }
            _ => refuse(current, false),
        }
    });
    (server, refused)
}

#[test]
fn digest_is_answered_and_renewed() {
    for (sha256, lasts, says_stale) in [(true, 1000, true), (true, 25, true), (false, 25, false)] {
        let (server, refused) = digest_server(sha256, lasts, says_stale);
        let store = opened(&place(format!("http://{}", server.address()))).unwrap();
        let pack = BlobId::new("p4e311fa000288c4db0b21c580277169b").unwrap();
        std::thread::scope(|scope| {
            // A nonce that lasts for few requests would not last for one of several threads.
            for _ in 0..if lasts == 25 { 1 } else { 4 } {
                scope.spawn(|| {
                    for _ in 0..40 {
                        assert_eq!(&*store.read_range(&pack, 6, 4, Vec::new()).unwrap(), b"pack");
                        assert_eq!(store.list("xe").unwrap().len(), 1);
                    }
                });
            }
        });
        let refused = refused.load(Ordering::SeqCst);
        assert_eq!(refused, if lasts == 25 { 4 } else { 1 }, "81 requests, and the first");
        let sent = server.requests();
        let secret = STANDARD.encode("alice:s3cr3t");
        let basic = sent.iter().filter_map(|request| request.header("authorization"));
        assert_eq!(basic.filter(|header| header.contains(&secret)).count(), 1, "on this machine it is tried");
    }
}

#[test]
fn a_password_is_not_shown_before_the_server_wants_it_so() {
    let (server, _) = digest_server(true, 1000, true);
    let place = place(format!("http://{}", server.address()));
    let network = Network::new(&options(), &Limits::default());
    let client =
        network.client(Origin::of_url(&place.url).unwrap().0, &Trust::System, "a WebDAV server").unwrap();
    let credentials = Credentials { user: "alice".into(), password: "s3cr3t".into(), from: "the connection" };
    let tree = Tree::new(client, Access::new(Some(credentials), false), "/");
    tree.stat(b"").unwrap();
    let sent: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.header("authorization").map(|sent| sent[..6].to_string()))
        .collect();
    assert_eq!(sent, [None, Some("Digest".into())]);
}

/// Starts a server that believes `alice` and `s3cr3t` by Basic.
fn basic_server(challenge: &'static str) -> HttpServer {
    let dav = Dav::new("/").with(".shards", SHARDS).with("xe7.f", "1");
    let right = format!("Basic {}", STANDARD.encode("alice:s3cr3t"));
    HttpServer::start(move |request| {
        if request.header("authorization") == Some(&right) {
            return dav.answer(request);
        }
        Response::new(401, "who?").header("www-authenticate", challenge)
    })
}

/// Returns why a place cannot be opened.
fn failure(place: &WebDav, options: &Options) -> Failure {
    let error = open(place, &Limits::default(), options).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains("s3cr3t") && !text.contains("wr0ng"), "{text}");
    match &error {
        Error::Open { source, .. } => Failure::of(source).expect("a failure in words").clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn basic_comes_from_the_connection_the_url_or_netrc() {
    let server = basic_server("Basic realm=\"x\"");
    let url = format!("http://{}", server.address());
    opened(&place(url.clone())).unwrap();
    let mut bare = WebDav::default();
    bare.url = format!("http://alice:s3cr3t@{}", server.address());
    let store = opened(&bare).unwrap();
    assert!(!store.location().contains("alice") && !format!("{store:?}").contains("s3cr3t"));

    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".netrc"), "machine 127.0.0.1 login alice password s3cr3t").unwrap();
    bare.url = url;
    let mut options = options();
    options.environment = kopia_connection::Environment::empty().with_home(home.path());
    open(&bare, &Limits::default(), &options).unwrap();
    std::fs::write(home.path().join(".netrc"), "machine 127.0.0.1 login alice password wr0ng").unwrap();
    match failure(&bare, &options) {
        Failure::WrongKey { credentials, .. } => assert_eq!(credentials, "~/.netrc"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(failure(&bare, &self::options()), Failure::NoCredentials { .. }));
}

#[test]
fn a_wrong_password_is_told_at_once() {
    let server = basic_server("Basic realm=\"x\"");
    let mut wrong = place(format!("http://{}", server.address()));
    wrong.password = Some(Secret::new("wr0ng"));
    assert!(matches!(failure(&wrong, &options()), Failure::WrongKey { .. }));
    assert!(server.requests().len() <= 2, "{}", server.requests().len());

    let (server, refused) = digest_server(false, 1000, true);
    wrong.url = format!("http://{}", server.address());
    assert!(matches!(failure(&wrong, &options()), Failure::WrongKey { .. }));
    assert!(refused.load(Ordering::SeqCst) <= 4);
}

#[test]
fn what_we_cannot_show_is_named() {
    let server = basic_server("Negotiate, NTLM");
    let mut wrong = place(format!("http://{}", server.address()));
    wrong.password = Some(Secret::new("wr0ng"));
    let network = Network::new(&options(), &Limits::default());
    let client =
        network.client(Origin::of_url(&wrong.url).unwrap().0, &Trust::System, "a WebDAV server").unwrap();
    let credentials = Credentials { user: "alice".into(), password: "wr0ng".into(), from: "the connection" };
    let error = Tree::new(client, Access::new(Some(credentials), false), "/").stat(b"").unwrap_err();
    assert!(error.to_string().contains("it wants Negotiate or NTLM, and Basic or Digest"), "{error}");
}
