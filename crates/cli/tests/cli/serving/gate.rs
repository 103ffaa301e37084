//! Who comes in, and what every answer says to browsers.

use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::{Served, links};
use crate::common::{KopiaRs, Ran};

fn served() -> Served {
    Served::start(KopiaRs::golden("sources", "serve"))
}

#[test]
fn the_printed_address_gives_a_cookie_that_lets_in() {
    let served = served();
    let host = ("host", "127.0.0.1");
    let first = served.send(&format!("GET /?token={}", served.token), &[host], b"");
    assert_eq!((first.status, first.header("location")), (303, Some("/")));
    let cookie = first.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let with = |cookie: &str| served.send("GET /", &[host, ("cookie", cookie)], b"").status;
    assert_eq!(
        [with(pair), with(&format!("a=b; {pair}")), with(&format!("{pair}x")), with("a=b")],
        [200, 200, 401, 401]
    );
    assert_eq!(
        served.send(&format!("GET //evil.example/?token={}", served.token), &[host], b"").header("location"),
        Some("/evil.example/")
    );
}

#[test]
fn without_the_token_nothing_is_shown() {
    let served = served();
    let id = links(&served.page("/"), "/at/")[0].clone();
    for path in ["/", "/style.css", "/nothing", &format!("/at/{id}"), "/?token=", "/?token=wrong", "/dav/"] {
        let reply = served.send(&format!("GET {path}"), &[("host", "127.0.0.1")], b"");
        assert_eq!(reply.status, 401, "{path}");
        assert_eq!(reply.header("www-authenticate").is_some(), path == "/dav/", "{path}");
        let said = reply.text();
        assert!(!said.contains("media") && !said.contains(&served.token), "{said}");
    }
}

#[test]
fn foreign_names_are_refused_even_with_the_token() {
    let served = served();
    let authorization = served.authorization();
    let status = |head: &str, hosts: &[&str]| {
        let mut headers = vec![("authorization", &*authorization)];
        headers.extend(hosts.iter().map(|host| ("host", *host)));
        served.send(head, &headers, b"").status
    };
    for host in ["localhost", "127.0.0.1:1", "[::1]", "LocalHost:80"] {
        assert_eq!(status("GET /", &[host]), 200, "{host}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "10.0.0.1", "0.0.0.0"] {
        assert_eq!(status("GET /", &[host]), 421, "{host}");
    }
    assert_eq!(status("GET /", &["localhost", "evil.example"]), 421);
    assert_eq!(status("GET http://evil.example/", &["localhost"]), 421);
    assert_eq!(status("GET /", &[]), 421);
}

#[test]
fn paths_lead_nowhere_else() {
    let served = served();
    let id = links(&served.page("/"), "/at/")[0].trim_end_matches('/').to_owned();
    for word in ["at", "get", "image", "tar", "dav"] {
        for path in [
            "../../../etc/passwd",
            "%2e%2e/%2e%2e/etc/passwd",
            "..%2f..%2fetc%2fpasswd",
            "%2fetc%2fpasswd",
            "%00",
            "%ff",
        ] {
            let reply = served.get(&format!("/{word}/{id}/{path}"));
            assert_eq!(reply.status, 404, "{word} {path}");
        }
    }
    for path in
        ["/at", "/at/", "/at/0000/", "/get/", "/source/x", "/source/%ff", "/%2e%2e/", "/nothing/at/all"]
    {
        assert_eq!(served.get(path).status, 404, "{path}");
    }
}

#[test]
fn nothing_can_be_changed() {
    let served = served();
    for method in ["POST", "PUT", "DELETE", "PATCH", "PROPFIND", "MKCOL", "OPTIONS"] {
        let reply = served.ask(&format!("{method} /"), &[], b"x");
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}

#[test]
fn every_answer_is_strict() {
    let served = served();
    let id = links(&served.page("/"), "/at/")[0].clone();
    for path in [
        "/",
        "/style.css",
        "/nothing",
        &format!("/at/{id}"),
        &format!("/get/{id}hello.txt"),
        &format!("/tar/{id}"),
        "/dav/",
    ] {
        let reply = served.get(path);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
        let policy = reply.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
    }
}

#[test]
fn a_signal_ends_it_at_once_whatever_clients_do() {
    let mut served = served();
    let _idle = served.connect();
    let start = Instant::now();
    kill_process(Pid::from_child(&served.child), Signal::INT).unwrap();
    let status = served.child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let mut said = String::new();
    served.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.ends_with("error: stopped by SIGINT\n"), "{said}");
}

#[test]
fn it_says_where_it_is_and_warns_of_other_machines() {
    let mut served = Served::start(KopiaRs::golden("sources", "serve --listen 0.0.0.0"));
    let mut lines = BufReader::new(served.child.stderr.take().unwrap()).lines();
    let warning = lines.next().unwrap().unwrap();
    assert!(warning.starts_with("warning: other machines can reach 0.0.0.0:"), "{warning}");
    let note = lines.next().unwrap().unwrap();
    assert!(
        note.contains(&format!("http://127.0.0.1:{}/dav/", served.port)) && !note.contains(&served.token),
        "{note}"
    );
    let other: Ran = KopiaRs::golden("sources", &format!("serve --listen 127.0.0.1:{}", served.port)).run();
    other.exits(1).says(&["cannot listen on 127.0.0.1:", "hint: another program listens there"]);
    KopiaRs::golden("sources", "serve --listen nonsense:x").run().exits(1).says(&["no address to listen on"]);
}
