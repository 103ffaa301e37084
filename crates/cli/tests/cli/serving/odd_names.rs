//! Names that HTML, URLs and headers have other uses for.

use serde_json::json;

use super::client::{Served, encoded, links};
use crate::common::{KopiaRs, Place, written};

const ODD: [&str; 14] = [
    "<script>alert(1)",
    "\"><img src=x onerror=alert(1)>",
    "a&amp;b",
    "100%",
    "%41",
    "a?b#c;d=e",
    " leading and trailing ",
    "new\nline\r\n\tand\u{1b}[31m",
    "right\u{202e}gpj.exe",
    "ä€𝄞",
    "\u{fffd}",
    "back\\slash",
    "...",
    "'single' +plus",
];

#[test]
fn any_name_is_listed_linked_and_read() {
    let place = Place::new();
    let path = place.path("repo");
    let mut id = String::new();
    written(&path, |writer| {
        let files: Vec<_> = ODD
            .iter()
            .map(|name| {
                let object = writer.file(name.as_bytes());
                json!({"name": name, "type": "f", "mode": "0644", "size": name.len(), "obj": object})
            })
            .collect();
        let inner = writer.directory(&files);
        let folders: Vec<_> =
            ODD.iter().map(|name| json!({"name": name, "type": "d", "mode": "0755", "obj": inner})).collect();
        let root = writer.directory(&folders);
        let entry = json!({"name": "<b>/x", "type": "d", "mode": "0755", "obj": root});
        id = writer.snapshot("<i>@\"host\":/<u>&", entry);
    });
    let served = Served::start(KopiaRs::written(&path, "serve"));
    let first = served.page("/");
    assert_eq!(links(&first, "/source/"), ["<i>@\"host\":/<u>&"]);
    let time_line = served.page(&format!("/source/{}", encoded("<i>@\"host\":/<u>&").replace('/', "%2F")));
    for folder in ODD {
        let at = format!("/{id}/{}", encoded(folder));
        let page = served.page(&format!("/at{at}/"));
        let mut shown = links(&page, "./");
        shown.sort();
        let mut expected = ODD;
        expected.sort();
        assert_eq!(shown, expected);
        for page in [&first, &time_line, &page] {
            for bad in ["<script", "<img", "<b>", "<u>", "\u{202e}", "\u{1b}", "new\nline"] {
                assert!(!page.contains(bad), "{bad:?} in {page}");
            }
        }
    }
    for name in ODD {
        let path = format!("{id}/{}/{}", encoded(ODD[0]), encoded(name));
        let reply = served.get(&format!("/get/{path}"));
        assert_eq!((reply.status, &*reply.body), (200, name.as_bytes()), "{name}");
        let disposition = reply.header("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment; filename=\""), "{disposition}");
        let looked = served.page(&format!("/at/{path}"));
        assert!(!looked.contains("<script") && !looked.contains("<img"), "{looked}");
    }
}

#[test]
fn only_texts_and_pictures_are_shown_and_never_as_pages() {
    let place = Place::new();
    let path = place.path("repo");
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
    let long = "é".repeat(200_000);
    let files: [(&str, &[u8]); 6] = [
        ("a.png", b"\x89PNG\r\n\x1a\nrest"),
        ("page.png", b"<html><script>alert(1)</script>"),
        ("x.svg", svg.as_bytes()),
        ("bytes", b"a\0b"),
        ("long.txt", long.as_bytes()),
        ("empty", b""),
    ];
    let mut id = String::new();
    written(&path, |writer| {
        let entries: Vec<_> = files
            .iter()
            .map(|(name, bytes)| {
                let object = writer.file(bytes);
                json!({"name": name, "type": "f", "mode": "0644", "size": bytes.len(), "obj": object})
            })
            .collect();
        let root = writer.directory(&entries);
        id = writer.snapshot("a@b:/c", json!({"name": "c", "type": "d", "mode": "0755", "obj": root}));
    });
    let served = Served::start(KopiaRs::written(&path, "serve"));
    let page = |name: &str| served.page(&format!("/at/{id}/{name}"));
    assert!(page("a.png").contains(&format!("<img src=\"/image/{id}/a.png\"")));
    let image = served.get(&format!("/image/{id}/a.png"));
    assert_eq!((image.status, image.header("content-type")), (200, Some("image/png")));
    assert!(image.header("content-security-policy").unwrap().ends_with("sandbox"));
    for name in ["page.png", "x.svg", "bytes"] {
        assert!(!page(name).contains("<img"), "{name}");
        assert_eq!(served.get(&format!("/image/{id}/{name}")).status, 404, "{name}");
        let got = served.get(&format!("/get/{id}/{name}"));
        assert_eq!(got.header("content-type"), Some("application/octet-stream"));
    }
    assert!(page("x.svg").contains("&lt;svg") && page("page.png").contains("&lt;script&gt;"));
    assert!(page("bytes").contains("It is no text") && page("empty").contains("It is empty"));
    let cut = page("long.txt");
    assert!(cut.contains("The first 262.1 kB") && cut.len() < 300_000);
}
