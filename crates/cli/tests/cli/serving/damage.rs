//! What cannot be read is said, and never made up.

use std::path::Path;

use kopia_testkit::damage::blobs;
use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use super::client::Served;
use crate::common::{KopiaRs, Place};

/// Writes a repository of one file in six pieces, each in a pack of its own; returns snapshot and bytes.
fn repository(path: &Path) -> (String, Vec<u8>) {
    let mut writer = RepositoryWriter::new().piece_size(1 << 20).pack_size(1 << 20);
    let bytes: Vec<u8> = (0..6_u32 << 20).map(|number| (number >> 20) as u8).collect();
    let object = writer.file(&bytes);
    let entry = json!({"name": "file", "type": "f", "mode": "0644", "size": bytes.len(), "obj": object});
    let root = writer.directory(&[entry]);
    let id = writer.snapshot("a@b:/c", json!({"name": "c", "type": "d", "mode": "0755", "obj": root}));
    writer.finish_in(path).unwrap();
    (id, bytes)
}

#[test]
fn damage_is_a_page_or_breaks_the_body_off() {
    let place = Place::new();
    let path = place.path("repo");
    let (id, bytes) = repository(&path);
    let (mut pages, mut broken) = (0, 0);
    for pack in blobs(&path, "p") {
        let sound = pack.read();
        pack.truncate(sound.len() / 2);
        let served = Served::start(KopiaRs::written(&path, "serve --quiet"));
        let reply = served.get(&format!("/get/{id}/file"));
        if reply.status == 500 {
            pages += 1;
            let said = reply.text();
            assert!(said.contains("Cannot be read") && said.contains(&pack.id), "{said}");
            let looked = served.page(&format!("/at/{id}/file"));
            assert!(looked.contains("It cannot be read: ") && looked.contains(&pack.id), "{looked}");
        } else {
            assert_eq!((reply.status, reply.is_whole), (200, false));
            assert!(reply.body.len() < bytes.len() && bytes.starts_with(&reply.body));
            broken += 1;
        }
        // The folder is as it was; an archive has its end, and lacks the file.
        assert!(served.page(&format!("/at/{id}/")).contains("./file"));
        let archive = served.get(&format!("/tar/{id}/"));
        assert_eq!((archive.status, archive.is_whole), (200, true));
        assert!(archive.body.len() < 1 << 20);
        pack.write(&sound);
    }
    assert_eq!((pages, broken), (1, 5));
}

#[test]
fn a_folder_that_cannot_be_read_is_a_page_for_archives_too() {
    let place = Place::new();
    let path = place.path("repo");
    let mut writer = RepositoryWriter::new();
    let root = "k00112233445566778899aabbccddeeff";
    let id = writer.snapshot("a@b:/c", json!({"name": "c", "type": "d", "mode": "0755", "obj": root}));
    writer.finish_in(&path).unwrap();
    let served = Served::start(KopiaRs::written(&path, "serve"));
    for word in ["at", "tar", "zip"] {
        let reply = served.get(&format!("/{word}/{id}/"));
        assert_eq!(reply.status, 500, "{word}");
        assert!(reply.text().contains("00112233445566778899aabbccddeeff"), "{}", reply.text());
    }
}
