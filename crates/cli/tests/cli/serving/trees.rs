//! What pages list and files hold is what was backed up.

use std::collections::BTreeSet;

use kopia_testkit::golden;
use kopia_testkit::tree::{Kind, Tree};
use sha2::{Digest, Sha256};

use super::client::{Served, encoded, links};
use crate::common::KopiaRs;

/// Names in a folder of a tree; those of folders end in a slash.
fn names_in(tree: &Tree, folder: &str) -> BTreeSet<String> {
    let below = |path: &str| match folder {
        "" => Some(path.to_owned()).filter(|path| !path.is_empty()),
        _ => path.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned),
    };
    let entries = tree.entries().iter().filter_map(|entry| Some((below(&entry.path)?, entry.kind)));
    let here = entries.filter(|(name, _)| !name.contains('/'));
    here.map(|(name, kind)| if kind == Kind::Directory { name + "/" } else { name }).collect()
}

/// Names that a folder's page and the pages after it link to.
fn listed_in(served: &Served, path: &str) -> BTreeSet<String> {
    let page = served.page(path);
    let of =
        page.split_once("page 1 of ").map_or(1, |(_, rest)| rest.split(' ').next().unwrap().parse().unwrap());
    let pages = (2..=of).map(|number| served.page(&format!("{path}?page={number}")));
    std::iter::once(page.clone()).chain(pages).flat_map(|page| links(&page, "./")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Looks at every folder and every file of every snapshot.
fn browse(name: &str) {
    let case = golden::case(name);
    let served = Served::start(KopiaRs::golden(name, "serve"));
    for (listed, expected) in case.pairs() {
        let (id, tree) = (&listed.id, expected.load());
        let time_line =
            served.page(&format!("/source/{}", encoded(&listed.source.to_string()).replace('/', "%2F")));
        assert!(links(&time_line, "/at/").contains(&format!("{id}/")), "{id}: {time_line}");
        for entry in tree.entries() {
            let path = encoded(&entry.path);
            let at = |word: &str| format!("/{word}/{id}/{path}").trim_end_matches('/').to_owned();
            match entry.kind {
                Kind::Directory => {
                    let shown = listed_in(&served, &(at("at") + "/"));
                    assert_eq!(shown, names_in(&tree, &entry.path), "{id} {}", entry.path);
                }
                Kind::File => {
                    let reply = served.get(&at("get"));
                    assert_eq!((reply.status, reply.is_whole), (200, true), "{id} {}", entry.path);
                    assert_eq!(Some(sha256(&reply.body)), entry.sha256, "{id} {}", entry.path);
                    served.page(&at("at"));
                }
                _ => {
                    served.page(&at("at"));
                }
            }
        }
    }
}

#[test]
fn every_folder_lists_what_it_has_and_every_file_is_whole() {
    for name in ["sources", "tricky"] {
        browse(name);
    }
}

#[test]
fn the_first_page_lists_the_sources_that_the_filter_admits() {
    let served = Served::start(KopiaRs::golden("sources", "serve"));
    let all = links(&served.page("/"), "/source/");
    assert!(all.contains(&"app@media:/data".to_owned()) && all.len() > 1, "{all:?}");
    let some = Served::start(KopiaRs::golden("sources", "serve --source-path /data --user app --host media"));
    assert_eq!(links(&some.page("/"), "/source/"), ["app@media:/data", "app@media:/data/hello.txt"]);
    let none = KopiaRs::golden("sources", "serve --host nowhere").run();
    none.exits(1).says(&["snapshot of such a host"]);
}

#[test]
fn archives_are_what_export_writes() {
    let served = Served::start(KopiaRs::golden("sources", "serve"));
    let page = served.page("/source/app%40media%3A%2Fdata");
    let id = links(&page, "/at/")[0].trim_end_matches('/').to_owned();
    for (format, kind) in
        [("tar", "application/x-tar"), ("tar.gz", "application/gzip"), ("zip", "application/zip")]
    {
        let exported =
            KopiaRs::golden("sources", &format!("export {id} --format {format} --quiet")).run().exits(0);
        let reply = served.get(&format!("/{format}/{id}/"));
        assert_eq!((reply.status, reply.is_whole, reply.header("content-type")), (200, true, Some(kind)));
        let name = format!("attachment; filename=\"data.{format}\"");
        assert_eq!(reply.header("content-disposition"), Some(&*name));
        assert!(reply.body == exported.stdout, "{format}");
    }
    assert_eq!(served.get(&format!("/rar/{id}/")).status, 404);
}
