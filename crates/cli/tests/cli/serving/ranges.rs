//! Parts of files, as downloads that go on and players ask for them.

use serde_json::json;

use super::client::Served;
use crate::common::{KopiaRs, Place};

/// A server of one file in pieces of 1 KiB, and the path and bytes of that.
fn served(place: &Place) -> (Served, String, Vec<u8>) {
    let bytes: Vec<u8> = (0..10_000_u32).map(|number| ((number * number) >> 3) as u8).collect();
    let path = place.path("repo");
    let mut writer = kopia_testkit::writer::RepositoryWriter::new().piece_size(1 << 10);
    let object = writer.file(&bytes);
    let (size, modified) = (bytes.len(), "2026-01-02T03:04:05Z");
    let file =
        json!({"name": "f", "type": "f", "mode": "0644", "size": size, "obj": object, "mtime": modified});
    let empty = json!({"name": "empty", "type": "f", "mode": "0644", "size": 0, "obj": writer.file(b"")});
    let root = writer.directory(&[file, empty]);
    let id = writer.snapshot("a@b:/c", json!({"name": "c", "type": "d", "mode": "0755", "obj": root}));
    writer.finish_in(&path).unwrap();
    (Served::start(KopiaRs::written(&path, "serve")), format!("/get/{id}/f"), bytes)
}

#[test]
fn a_range_is_answered_with_that_part() {
    let place = Place::new();
    let (served, path, bytes) = served(&place);
    let ask = |range: &str| served.ask(&format!("GET {path}"), &[("range", range)], b"");
    for (range, first, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-3100", 1000, 3101),
        ("bytes=9000-", 9000, 10_000),
        ("bytes=-1", 9999, 10_000),
        ("bytes=0-99999", 0, 10_000),
    ] {
        let reply = ask(range);
        assert_eq!((reply.status, reply.is_whole), (206, true), "{range}");
        assert_eq!(reply.header("content-range"), Some(&*format!("bytes {first}-{}/10000", end - 1)));
        assert!(reply.body == bytes[first..end], "{range}");
    }
    let reply = ask("bytes=10000-");
    assert_eq!((reply.status, reply.header("content-range")), (416, Some("bytes */10000")));
    for all in ["bytes=0-1,5-6", "lines=1-2", "bytes=5-1"] {
        let reply = ask(all);
        assert!(reply.status == 200 && reply.body == bytes, "{all}");
    }
    let empty = served.get(&path.replace("/f", "/empty"));
    assert_eq!((empty.status, empty.header("content-length")), (200, Some("0")));
}

#[test]
fn a_tag_says_whether_it_is_the_same_file() {
    let place = Place::new();
    let (served, path, bytes) = served(&place);
    let head = served.ask(&format!("HEAD {path}"), &[("range", "bytes=0-0")], b"");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("10000"), 0));
    assert_eq!(head.header("accept-ranges"), Some("bytes"));
    assert_eq!(head.header("last-modified"), Some("Fri, 02 Jan 2026 03:04:05 GMT"));
    assert_eq!(head.header("content-disposition"), Some("attachment; filename=\"f\""));
    let tag = head.header("etag").unwrap();
    let part = |if_range: &str| {
        served.ask(&format!("GET {path}"), &[("range", "bytes=5-9"), ("if-range", if_range)], b"")
    };
    assert!(part(tag).status == 206 && part(tag).body == bytes[5..10]);
    for other in ["\"other\"", "Fri, 02 Jan 2026 03:04:05 GMT"] {
        assert_eq!((part(other).status, part(other).body.len()), (200, 10_000), "{other}");
    }
    let known = |tags: &str| served.ask(&format!("GET {path}"), &[("if-none-match", tags)], b"").status;
    assert_eq!(
        [known(tag), known(&format!("\"x\", W/{tag}")), known("*"), known("\"x\"")],
        [304, 304, 304, 200]
    );
}

#[test]
fn one_connection_takes_several_requests() {
    use std::io::{Read, Write};
    let place = Place::new();
    let (served, path, bytes) = served(&place);
    let mut stream = served.connect();
    let authorization = served.authorization();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {authorization}\r\n");
    stream.write_all(format!("{request}\r\n{request}connection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    let both = answers.windows(bytes.len()).filter(|window| *window == bytes).count();
    assert_eq!(both, 2);
}
