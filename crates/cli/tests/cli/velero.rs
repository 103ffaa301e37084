//! Repositories as Velero's kopia uploader has them: below `kopia/NAMESPACE`, with sources whose paths begin with
//! no slash and tags whose keys begin with no `tag:`.

use std::fs;

use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, names};
use kopia_testkit::writer::RepositoryWriter;

const PASSWORD: &str = "static-passw0rd";

/// A bucket's folder with the repository of the namespace `shop`: two backups of the PVC `data`, and one of a
/// volume of a pod.
fn bucket() -> Place {
    let place = Place::new();
    let mut writer = RepositoryWriter::new().password(PASSWORD);
    let mut snapshot = |path: &str, day: u32, bytes: &[u8], tags: Value| {
        let object = writer.file(bytes);
        let file = json!({"name": "f", "type": "f", "mode": "0644", "size": bytes.len(), "obj": object});
        let root = writer.directory(&[file]);
        let time = format!("2026-03-{day:02}T01:00:00Z");
        writer.manifest(json!({
            "source": {"host": "default", "userName": "default", "path": path},
            "description": "Kopia Uploader",
            "startTime": time,
            "endTime": time,
            "tags": tags,
            "pins": ["velero-pin"],
            "rootEntry": {"name": "x", "type": "d", "mode": "0755", "obj": root},
        }));
    };
    let of_pvc = |backup: &str| {
        json!({
            "snapshot-requester": "snapshot-data-upload-download",
            "snapshot-uploader": "kopia",
            "backup": backup,
            "pvc": "data",
        })
    };
    let pvc = "snapshot-data-upload-download/kopia/shop/data";
    snapshot(pvc, 2, b"nightly", of_pvc("nightly"));
    snapshot(pvc, 3, b"weekly", of_pvc("weekly"));
    let of_pod = json!({"snapshot-requester": "snapshot-pod-volume", "snapshot-uploader": "kopia"});
    snapshot("snapshot-pod-volume/kopia/shop/web-0/cache", 4, b"cache", of_pod);
    let repository = place.path("bucket/prefix/kopia/shop");
    fs::create_dir_all(&repository).unwrap();
    writer.finish_in(&repository).unwrap();
    fs::create_dir_all(place.path("bucket/prefix/backups/nightly")).unwrap();
    place
}

#[test]
fn volumes_are_chosen_by_their_source_and_by_tags() {
    let place = bucket();
    let run = |arguments: &str| {
        let target = place.path("target");
        let _ = fs::remove_dir_all(&target);
        let command = KopiaRs::new(arguments).repository(&place.path("bucket/prefix/kopia/shop"));
        command.env("KOPIA_PASSWORD", PASSWORD).arg(&target).run().exits(0);
        assert_eq!(names(&target), ["f"]);
        fs::read_to_string(target.join("f")).unwrap()
    };
    let pvc = "restore default@default:snapshot-data-upload-download/kopia/shop/data";
    assert_eq!(run(pvc), "weekly");
    assert_eq!(run(&format!("{pvc} --at 2026-03-02")), "nightly");
    assert_eq!(run("restore latest --tag backup=nightly --tag pvc=data"), "nightly");
    assert_eq!(run("restore latest --tag snapshot-requester=snapshot-data-upload-download"), "weekly");
    assert_eq!(run("restore default@default:snapshot-pod-volume/kopia/shop/web-0/cache"), "cache");
}

#[test]
fn what_lies_below_the_prefix_of_a_bucket_is_found() {
    let place = bucket();
    let doctor =
        KopiaRs::new("doctor").repository(&place.path("bucket/prefix")).env("KOPIA_PASSWORD", PASSWORD);
    let ran = doctor.run().exits(1);
    let found = place.path("bucket/prefix/kopia/shop").display().to_string();
    ran.says(&["one lies below it", &format!("give --repository {found}")]);
}
