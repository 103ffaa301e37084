//! What servers write, and what none should.

use std::time::{Duration, UNIX_EPOCH};

use super::*;

/// Returns names, whether they are directories, and lengths.
fn names(body: &str, asked: &str) -> Vec<(String, bool, Option<u64>)> {
    let (_, inside) = split(parse(body.as_bytes()).unwrap(), asked.as_bytes()).unwrap();
    inside
        .into_iter()
        .map(|(name, response)| {
            (String::from_utf8_lossy(&name).into_owned(), response.is_directory, response.length)
        })
        .collect()
}

const RCLONE: &str = r#"<?xml version="1.0" encoding="UTF-8"?><D:multistatus xmlns:D="DAV:"><D:response><D:href>/</D:href><D:propstat><D:prop><D:displayname></D:displayname><D:resourcetype><D:collection xmlns:D="DAV:"/></D:resourcetype><D:getlastmodified>Sat, 28 Nov 2026 19:19:18 GMT</D:getlastmodified></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response><D:response><D:href>/a%20b&amp;%C3%BC/</D:href><D:propstat><D:prop><D:resourcetype><D:collection xmlns:D="DAV:"/></D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response><D:response><D:href>/.shards</D:href><D:propstat><D:prop><D:resourcetype></D:resourcetype><D:getcontentlength>43</D:getcontentlength><D:getlastmodified>Sat, 28 Nov 2026 19:19:16 GMT</D:getlastmodified></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"#;

/// As Apache writes it: properties that are not there, a lock with a path of its own, whole URLs.
const APACHE: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<D:multistatus xmlns:D="DAV:" xmlns:ns0="DAV:">
<D:response xmlns:lp1="DAV:" xmlns:lp2="http://apache.org/dav/props/">
<D:href>http://nas:8080/dav/p/</D:href>
<D:propstat><D:prop><lp1:resourcetype><D:collection/></lp1:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
<D:propstat><D:prop><D:getcontentlength/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>
</D:response>
<D:response xmlns:lp1="DAV:">
<D:href>http://nas:8080/dav/p/1.f</D:href>
<D:propstat><D:prop><lp1:resourcetype/><lp1:getcontentlength>18446744073709551615</lp1:getcontentlength>
<lp1:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</lp1:getlastmodified>
<D:lockdiscovery><D:activelock><D:locktoken><D:href>urn:uuid:1</D:href></D:locktoken></D:activelock></D:lockdiscovery>
</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
<D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>
</D:response>
<D:response><D:href>/dav/p/2.f</D:href><D:status>HTTP/1.1 403 Forbidden</D:status></D:response>
</D:multistatus>
"#;

#[test]
fn what_servers_write_is_understood() {
    let wanted = [("a b&ü".to_string(), true, None), (".shards".into(), false, Some(43))];
    assert_eq!(names(RCLONE, ""), wanted);
    let wanted = [("1.f".to_string(), false, Some(u64::MAX)), ("2.f".into(), false, None)];
    assert_eq!(names(APACHE, "/dav/p"), wanted);
    let (own, inside) = split(parse(APACHE.as_bytes()).unwrap(), b"/dav/p").unwrap();
    assert!(own.is_directory);
    assert_eq!(inside[0].1.modified, Some(UNIX_EPOCH + Duration::from_secs(784_111_777)));
    assert_eq!([inside[0].1.status, inside[1].1.status], [None, Some(403)]);
}

#[test]
fn prefixes_and_kinds_of_text_do_not_matter() {
    let body = "\u{feff}<multistatus xmlns='DAV:'><response><href><![CDATA[/d/]]></href></response>\
                <x:response xmlns:x='DAV:'><x:href> /d/&#112;&#x31;&amp;<!-- no -->.f\n</x:href></x:response></multistatus>";
    assert_eq!(names(body, "/d"), [("p1&.f".into(), false, None)]);
}

#[test]
fn a_proxy_may_know_the_directory_by_another_path() {
    let body = RCLONE.replace("<D:href>/", "<D:href>/inside/");
    assert_eq!(names(&body, "/outside").len(), 2);
    assert_eq!(names(&body, "/inside").len(), 2);
}

#[test]
fn only_what_lies_in_the_directory_itself_is_an_entry() {
    let response = |href: &str| format!("<response><href>{href}</href></response>");
    let body = |all: &[&str]| {
        format!("<multistatus>{}</multistatus>", all.iter().map(|href| response(href)).collect::<String>())
    };
    let body = body(&["/d/", "/d/a/b", "/d", "/e/f", "/d/c", "/dd", "/d/.."]);
    let found: Vec<_> = names(&body, "/d").into_iter().map(|(name, ..)| name).collect();
    assert_eq!(found, ["c", ".."]);
    assert_eq!(split(Vec::new(), b"/d"), None);
}

#[test]
fn nonsense_is_none() {
    let deep = format!("<multistatus>{}", "<a>".repeat(100_000));
    for body in [
        "",
        "<html><body>sign in</body></html>",
        "<html/>",
        "not XML",
        "<multistatus><response>",
        "<multistatus><response></multistatus>",
        "<multistatus>&lol;</multistatus>",
        "<multistatus>&#x110000;</multistatus>",
        "<multistatus>&",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><multistatus>&a;</multistatus>",
        &RCLONE[..RCLONE.len() - 20],
        &deep,
    ] {
        assert_eq!(parse(body.as_bytes()), None, "{}", &body[..body.len().min(60)]);
    }
    let many = format!("<multistatus>{}</multistatus>", "<response/>".repeat((1 << 20) + 1));
    assert_eq!(parse(many.as_bytes()), None);
    assert_eq!(parse(b"<multistatus/>"), Some(Vec::new()));
    assert_eq!(parse(b"\xff\xfe\x00"), None);
}
