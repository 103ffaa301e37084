//! WebDAV: requests made by hand, and rclone where it is installed.

use std::collections::BTreeSet;
use std::process::Command;

use kopia_testkit::tree::Tree;
use kopia_testkit::{faults, servers};

use super::client::{Reply, Served, decoded, encoded};
use crate::common::{KopiaRs, Place};

/// Where the newest snapshot of a source lies.
const LATEST: &str = "/dav/app@media/data/latest/";

const SOME: &str = "<?xml version=\"1.0\"?><D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/>\
                    <D:getcontentlength/><D:quota-available-bytes/></D:prop></D:propfind>";

fn served() -> Served {
    Served::start(KopiaRs::golden("sources", "serve"))
}

fn propfind(served: &Served, path: &str, depth: &str, body: &str) -> Reply {
    served.ask(&format!("PROPFIND {path}"), &[("depth", depth)], body.as_bytes())
}

/// Returns the paths of a multistatus, decoded, as they come.
fn hrefs(reply: &Reply) -> Vec<String> {
    assert_eq!((reply.status, reply.is_whole), (207, true));
    assert_eq!(reply.header("content-type"), Some("application/xml; charset=utf-8"));
    let text = reply.text();
    let all = text.split("<D:href>").skip(1).map(|rest| decoded(rest.split("</D:href>").next().unwrap()));
    all.collect()
}

#[test]
fn folders_lead_from_sources_to_files() {
    let served = served();
    assert_eq!(hrefs(&propfind(&served, "/dav", "0", "")), ["/dav/"]);
    let accounts = hrefs(&propfind(&served, "/dav/", "1", ""));
    assert!(accounts.contains(&"/dav/app@media/".to_owned()), "{accounts:?}");
    let sources = hrefs(&propfind(&served, "/dav/app@media/", "1", ""));
    assert!(sources.contains(&"/dav/app@media/data/".to_owned()), "{sources:?}");
    let times = hrefs(&propfind(&served, "/dav/app@media/data/", "1", ""));
    assert_eq!(times.last().map(String::as_str), Some(LATEST));
    let is_time = |path: &String| path.ends_with("Z/") && path.matches('-').count() == 4;
    assert!(times.len() > 2 && times[1..times.len() - 1].iter().all(is_time), "{times:?}");
    let root = hrefs(&propfind(&served, LATEST, "1", ""));
    assert!(root.contains(&format!("{LATEST}hello.txt")), "{root:?}");
    let newest = hrefs(&propfind(&served, &times[times.len() - 2], "1", ""));
    assert_eq!(newest.len(), root.len());
    let file = served.get(&format!("{LATEST}hello.txt"));
    let cat = KopiaRs::golden("sources", "cat app@media:/data/hello.txt").run().exits(0);
    assert_eq!((file.status, file.body), (200, cat.stdout));
    let part = served.ask(&format!("GET {LATEST}hello.txt"), &[("range", "bytes=1-2")], b"");
    assert_eq!((part.status, part.body.len()), (206, 2));
}

#[test]
fn names_that_are_paths_are_folders() {
    let repository = faults::repository("names-slash");
    let serve = KopiaRs::new("serve").repository(&repository).env("KOPIA_PASSWORD", faults::PASSWORD);
    let served = Served::start(serve);
    let latest = "/dav/app@media/stdin-absolute/latest/";
    assert_eq!(hrefs(&propfind(&served, latest, "1", "")), [latest.to_owned(), format!("{latest}var/")]);
    let below = hrefs(&propfind(&served, &format!("{latest}var/lib/db/"), "1", ""));
    assert_eq!(below[1..], [format!("{latest}var/lib/db/base.tar")]);
    let file = served.get(&format!("{latest}var/lib/db/base.tar"));
    assert_eq!((file.status, &*file.body), (200, &b"bytes of the dump\n"[..]));
}

#[test]
fn properties_are_told_as_they_are_asked_for() {
    let served = served();
    let all = propfind(&served, &format!("{LATEST}hello.txt"), "0", "").text();
    for part in
        ["<D:resourcetype/>", "<D:getcontentlength>", "<D:getlastmodified>", "<D:getetag>&quot;", "200 OK"]
    {
        assert!(all.contains(part), "{part} in {all}");
    }
    let some = propfind(&served, LATEST, "1", SOME).text();
    assert!(
        some.contains("<D:resourcetype><D:collection/></D:resourcetype>") && !some.contains("getetag"),
        "{some}"
    );
    assert!(some.contains("<D:quota-available-bytes/></D:prop><D:status>HTTP/1.1 404 Not Found"), "{some}");
    for depth in ["infinity", "", "2"] {
        let reply = propfind(&served, LATEST, depth, "");
        assert!(reply.status == 403 && reply.text().contains("propfind-finite-depth"), "{depth}");
    }
    assert_eq!(propfind(&served, LATEST, "0", "<nonsense").status, 400);
    assert_eq!(propfind(&served, LATEST, "0", &" ".repeat(100_000)).status, 413);
    for nowhere in [
        "/dav/x",
        "/dav/app@media/x",
        "/dav/app@media/data/x",
        &format!("{LATEST}x"),
        &format!("{LATEST}hello.txt/x"),
    ] {
        assert_eq!(propfind(&served, nowhere, "0", "").status, 404, "{nowhere}");
    }
}

#[test]
fn options_say_that_nothing_can_be_written() {
    let served = served();
    let options = served.ask(&format!("OPTIONS {LATEST}"), &[], b"");
    assert_eq!((options.status, options.header("dav")), (200, Some("1")));
    assert_eq!(options.header("allow"), Some("OPTIONS, GET, HEAD, PROPFIND"));
    for method in ["PUT", "DELETE", "MKCOL", "MOVE", "COPY", "PROPPATCH", "LOCK", "UNLOCK", "POST"] {
        let reply = served.ask(&format!("{method} {LATEST}new"), &[("destination", "/dav/x")], b"x");
        assert_eq!(reply.status, 405, "{method}");
    }
    let browser = served.get(LATEST);
    assert_eq!((browser.status, browser.header("location")), (303, Some("/")));
}

/// Whatever links a snapshot has, WebDAV has none.
#[test]
fn the_tree_is_the_same_but_for_links() {
    let served = Served::start(KopiaRs::golden("tricky", "serve"));
    let base = "/dav/mover@volsync-system/data/latest";
    let mut found = BTreeSet::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let path = format!("{base}{}", encoded(&folder));
        for path in hrefs(&propfind(&served, &format!("{path}/"), "1", "")).iter().skip(1) {
            let below = path.strip_prefix(base).unwrap();
            found.insert(below.trim_start_matches('/').to_owned());
            folders.extend(below.strip_suffix('/').map(str::to_owned));
        }
    }
    let place = Place::new();
    KopiaRs::golden("tricky", "restore mover@volsync-system:/data --quiet").arg(place.path("restored")).run();
    let restored = Tree::scan(place.path("restored"));
    let is_shown =
        |kind| matches!(kind, kopia_testkit::tree::Kind::Directory | kopia_testkit::tree::Kind::File);
    let entries = restored.entries().iter().filter(|entry| is_shown(entry.kind) && !entry.path.is_empty());
    let slash = |kind| if kind == kopia_testkit::tree::Kind::Directory { "/" } else { "" };
    let expected: BTreeSet<_> = entries.map(|entry| format!("{}{}", entry.path, slash(entry.kind))).collect();
    assert_eq!(found, expected);
}

#[test]
fn rclone_copies_what_a_restore_restores() {
    let Some(rclone) = servers::program("rclone") else { return };
    let place = Place::new();
    let served = Served::start(KopiaRs::golden("sources", "serve"));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&rclone);
        command.env_clear().env("HOME", place.path("home")).env("RCLONE_CONFIG", "/dev/null").args(arguments);
        command.output().unwrap()
    };
    let obscured = run(&["obscure", &served.token]);
    let password = String::from_utf8(obscured.stdout).unwrap();
    let url = format!("http://127.0.0.1:{}/dav/", served.port);
    let target = place.path("copied");
    let from = format!(":webdav:{}", LATEST.trim_start_matches("/dav/"));
    let copied = run(&[
        "copy",
        &from,
        target.to_str().unwrap(),
        "--webdav-url",
        &url,
        "--webdav-user",
        "any",
        "--webdav-pass",
        password.trim(),
    ]);
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    KopiaRs::golden("sources", "restore app@media:/data --quiet").arg(place.path("restored")).run().exits(0);
    let files = |name: &str| {
        let tree = Tree::scan(place.path(name));
        let files = tree.entries().iter().filter(|entry| entry.sha256.is_some());
        files.map(|entry| (entry.path.clone(), entry.size, entry.sha256.clone())).collect::<Vec<_>>()
    };
    assert_eq!(files("copied"), files("restored"));
}
