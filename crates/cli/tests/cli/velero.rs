//! Repositories as Velero's kopia uploader has them: below `kopia/NAMESPACE`, with sources whose paths begin with
//! no slash and tags whose keys begin with no `tag:`.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::common::{KopiaRs, Place, names};
use kopia_testkit::damage::blobs;
use kopia_testkit::http_server::{Bucket, HttpServer};
use kopia_testkit::writer::RepositoryWriter;

const PASSWORD: &str = "static-passw0rd";

/// The file of the blob that Velero writes into its repositories, and nobody else does.
const MARK: &str = "udmrepo.Repository.f";

/// The UIDs of the backups.
const NIGHTLY: &str = "0a8f1a52-5d5c-4b7e-9d0a-3a1f5f2c7e01";
const WEEKLY: &str = "77c0de11-2f4b-4f9e-8a57-0b6c2d9e4a02";

/// A repository of a namespace, to which volumes are added.
struct Namespace {
    writer: RepositoryWriter,
    /// The day in March 2026 on which each is read.
    day: u32,
}

impl Namespace {
    fn new() -> Self {
        Self { writer: RepositoryWriter::new().password(PASSWORD), day: 1 }
    }

    fn add(&mut self, requester: &str, volume: &str, bytes: &[u8], tags: Value) -> &mut Self {
        self.add_with(requester, volume, bytes, tags, json!({}))
    }

    fn add_with(
        &mut self,
        requester: &str,
        volume: &str,
        bytes: &[u8],
        tags: Value,
        more: Value,
    ) -> &mut Self {
        self.day += 1;
        let object = self.writer.file(bytes);
        let file = json!({"name": "f", "type": "f", "mode": "0644", "size": bytes.len(), "obj": object});
        let root = self.writer.directory(&[file]);
        let time = format!("2026-03-{:02}T01:00:00Z", self.day);
        let mut all = json!({"snapshot-requester": requester, "snapshot-uploader": "kopia"});
        let summary = json!({"size": bytes.len(), "files": 1, "symlinks": 0, "dirs": 1, "maxTime": time, "numFailed": 0});
        let extend = |to: &mut Value, from: Value| {
            let Value::Object(from) = from else { panic!("no object: {from}") };
            to.as_object_mut().unwrap().extend(from);
        };
        extend(&mut all, tags);
        let mut manifest = json!({
            "source": {"host": "default", "userName": "default", "path": format!("{requester}/kopia/{volume}")},
            "description": "Kopia Uploader",
            "startTime": time,
            "endTime": time,
            "tags": all,
            "pins": ["velero-pin"],
            "rootEntry": {"name": "x", "type": "d", "mode": "0755", "obj": root, "summ": summary},
        });
        extend(&mut manifest, more);
        self.writer.manifest(manifest);
        self
    }

    fn write(self, to: &Path) {
        fs::create_dir_all(to).unwrap();
        self.writer.finish_in(to).unwrap();
        fs::write(to.join(MARK), "x").unwrap();
    }
}

const MOVER: &str = "snapshot-data-upload-download";
const POD: &str = "snapshot-pod-volume";

/// A bucket's folder with the repositories of the namespaces `shop` and `vms`.
pub(crate) fn bucket() -> Place {
    let place = Place::new();
    let of_pvc = |backup: &str, uid: &str| json!({"backup": backup, "backup-uid": uid, "pvc": "data"});
    let operation = json!({"velero.io/async-operation-id": format!("du-{WEEKLY}.c0ffee00-aaaa-4bb1d2e3f")});
    let mut shop = Namespace::new();
    shop.add(MOVER, "shop/data", b"nightly", of_pvc("nightly", NIGHTLY));
    shop.add(MOVER, "shop/data", b"weekly", of_pvc("weekly", WEEKLY));
    shop.add(POD, "shop/web-0/cache", b"cache", json!({"backup": "weekly", "backup-uid": WEEKLY}));
    shop.add_with(MOVER, "shop/data", b"cut", operation.clone(), json!({"incomplete": "canceled"}));
    shop.write(&place.path("bucket/prefix/kopia/shop"));
    let mut vms = Namespace::new();
    let mut block = operation;
    block["bdev-source-size"] = "5000".into();
    vms.add(MOVER, "vms/disk", b"disk", block);
    vms.write(&place.path("bucket/prefix/kopia/vms"));
    fs::create_dir_all(place.path("bucket/prefix/backups/nightly")).unwrap();
    place
}

/// The same as objects of a bucket, without the `.f` of files.
fn objects(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![("prefix/backups/nightly/velero-backup.json".to_string(), b"{}".to_vec())];
    for namespace in ["shop", "vms"] {
        let directory = folder.join("prefix/kopia").join(namespace);
        let blobs = blobs(&directory, "").into_iter();
        all.extend(blobs.map(|blob| (format!("prefix/kopia/{namespace}/{}", blob.id), blob.read())));
    }
    all
}

fn velero(arguments: &str, at: &Path) -> KopiaRs {
    KopiaRs::new(&format!("velero {arguments}")).repository(at)
}

/// Picks some keys of each row.
fn rows(list: &Value, keys: &[&str]) -> Vec<Vec<Value>> {
    let of = |row: &Map<String, Value>| {
        keys.iter().map(|key| row.get(*key).cloned().unwrap_or_default()).collect()
    };
    list.as_array().unwrap().iter().map(|row| of(row.as_object().unwrap())).collect()
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
fn volumes_are_listed_wherever_in_the_bucket_one_stands() {
    let place = bucket();
    let keys = ["backup", "namespace", "pod", "name", "kind", "size", "files", "incomplete"];
    let expected = [
        json!(["nightly", "shop", null, "data", "files", 7, 1, null]),
        json!(["weekly", "shop", null, "data", "files", 6, 1, null]),
        // Another volume tells the name of the backup with this UID.
        json!(["weekly", "shop", null, "data", "files", 3, 1, "canceled"]),
        json!(["weekly", "shop", "web-0", "cache", "files", 5, 1, null]),
        json!(["weekly", "vms", null, "disk", "block", 5000, 1, null]),
    ];
    for at in ["bucket", "bucket/prefix", "bucket/prefix/kopia", "bucket/prefix/kopia/"] {
        let list = velero("volumes --json", &place.path(at)).run().exits(0).json();
        assert_eq!(rows(&list, &keys), expected.clone().map(|row| row.as_array().unwrap().clone()), "{at}");
    }
    let one = velero("volumes --json", &place.path("bucket/prefix/kopia/vms")).run().exits(0);
    let note = "note: no password is given, and Velero's own, static-passw0rd, opens the repository";
    let one = one.says(&[note]).json();
    assert_eq!((one.as_array().unwrap().len(), &one[0]["backupUid"]), (1, &json!(WEEKLY)));
    // What a row says restores it.
    let target = place.path("target");
    let restore = KopiaRs::new("restore").arg(one[0]["snapshot"].as_str().unwrap()).arg(&target);
    restore.arg("--repository").arg(one[0]["root"].as_str().unwrap()).run().exits(0);
    assert_eq!(fs::read_to_string(target.join("f")).unwrap(), "disk");
    // From within the prefix, too, whatever its folder kopia/ is called there.
    let within =
        KopiaRs::new("velero volumes --json --repository kopia").in_folder(&place.path("bucket/prefix"));
    let ran = within.run().exits(0);
    assert_eq!(ran.json().as_array().unwrap().len(), 5);
    assert!(!ran.stderr.contains("could not be looked at"), "{}", ran.stderr);
}

#[test]
fn rows_are_chosen_and_tables_have_heads() {
    let place = bucket();
    let prefix = place.path("bucket/prefix");
    let count = |options: &str| {
        let list = velero(&format!("volumes --json {options}"), &prefix).run().exits(0).json();
        list.as_array().unwrap().len()
    };
    for (options, expected) in [
        ("--backup weekly", 4),
        ("--backup 77c0", 4),
        ("-n shop", 4),
        ("--namespace vms", 1),
        ("--pvc data", 3),
        ("--pod web-0", 1),
        ("--pvc data --backup nightly", 1),
    ] {
        assert_eq!(count(options), expected, "{options}");
    }
    velero("volumes --pvc nothing", &prefix).run().exits(1).says(&["no volume of such a backup"]);
    velero("volumes -n web", &prefix).run().exits(1).says(&["no repository of namespace web", "shop", "vms"]);
    let table = velero("volumes", &prefix).run().exits(0);
    let lines: Vec<&str> = table.text().lines().collect();
    let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
    assert_eq!(words(0), ["BACKUP", "NAMESPACE", "VOLUME", "KIND", "STARTED", "SIZE", "FILES", "SNAPSHOT"]);
    assert_eq!(words(4)[..5], ["weekly", "shop", "web-0/cache", "files", "2026-03-04"], "{lines:#?}");
    assert_eq!(lines[1].find("files"), lines[4].find("files"));
    assert!(lines[3].ends_with("incomplete: canceled"), "{lines:#?}");
    let here = prefix.join("kopia/NAMESPACE/").display().to_string();
    table.says(&[&format!("note: kopia-rs restore SNAPSHOT TARGET --repository {here} restores one")]);
    let table = velero("backups", &prefix).run().exits(0);
    let table: Vec<&str> = table.text().lines().collect();
    assert!(table.len() == 3 && table[2].ends_with("shop,vms    1 volume is incomplete"), "{table:#?}");
    let list = velero("backups --json", &prefix).run().exits(0).json();
    let keys = ["backup", "backupUid", "namespaces", "volumes", "incomplete", "size", "files"];
    let expected = [
        json!(["nightly", NIGHTLY, ["shop"], 1, 0, 7, 1]),
        json!(["weekly", WEEKLY, ["shop", "vms"], 4, 1, 5014, 4]),
    ];
    assert_eq!(rows(&list, &keys), expected.map(|row| row.as_array().unwrap().clone()));
    // Where nothing tells the name, the UID stands for it.
    let one = velero("volumes", &prefix.join("kopia/vms")).run().exits(0);
    assert!(one.text().contains("\nuid:77c0de11  vms"), "{}", one.text());
    let shown = one.text().lines().nth(1).unwrap().split(' ').next().unwrap();
    let same = velero(&format!("volumes --backup {shown}"), &prefix.join("kopia/vms")).run().exits(0);
    assert_eq!(same.text(), one.text());
}

#[test]
fn one_repository_that_refuses_does_not_hide_the_others() {
    let place = bucket();
    let mut other = RepositoryWriter::new().password("other");
    let object = other.file(b"x");
    other.snapshot("u@h:/x", json!({"name": "x", "type": "f", "size": 1, "obj": object}));
    let path = place.path("bucket/prefix/kopia/web");
    fs::create_dir_all(&path).unwrap();
    other.finish_in(&path).unwrap();
    let ran = velero("volumes --json", &place.path("bucket")).run().exits(3);
    assert_eq!(ran.json().as_array().unwrap().len(), 5);
    ran.says(&[
        "note: no password is given, and Velero's own, static-passw0rd, does not open the repository",
        "error: ",
    ]);
    // What is given goes before, and is asked for as anywhere.
    velero("volumes", &path).run().exits(1).says(&["no password is given"]);
    let ran = velero("volumes", &path).env("KOPIA_PASSWORD", "other").run().exits(0);
    ran.says(&["note: 1 snapshot is not Velero's", "Velero has backed nothing up there"]);
    // Nothing but the name of its folder is like Velero's.
    let ran = KopiaRs::new("snapshots").repository(&path).run().exits(1);
    assert!(!ran.stderr.contains("Velero"), "{}", ran.stderr);
    // What refuses is not nothing.
    let ran = velero("volumes", &place.path("bucket")).env("KOPIA_PASSWORD", "wrong").run().exits(3);
    assert!(!ran.stderr.contains("backed nothing up"), "{}", ran.stderr);
    velero("volumes", &place.path("nowhere")).run().exits(1).says(&["does not exist"]);
}

#[test]
fn what_lies_below_the_prefix_of_a_bucket_is_found() {
    let place = bucket();
    for at in ["bucket", "bucket/prefix", "bucket/prefix/kopia"] {
        let at = place.path(at);
        let ran = KopiaRs::new("doctor").repository(&at).run().exits(1);
        let shop = place.path("bucket/prefix/kopia/shop/").display().to_string();
        ran.says(&[
            "holds no repository itself, but those of Velero, of 2 namespaces: shop at ",
            &format!("`kopia-rs velero volumes --repository {}`", at.display()),
            &format!("`kopia-rs restore SNAPSHOT TARGET --repository {shop}`"),
        ]);
    }
    // Other commands say so, too, and what is one of them is looked through.
    let ls =
        KopiaRs::new("ls latest").repository(&place.path("bucket/prefix")).env("KOPIA_PASSWORD", PASSWORD);
    ls.run().exits(1).says(&["hint: ", "`kopia-rs velero volumes"]);
    let one = KopiaRs::new("doctor").repository(&place.path("bucket/prefix/kopia/shop")).run().exits(0);
    assert!(one.text().contains("snapshot-pod-volume/kopia/shop/web-0/cache"), "{}", one.text());
    // A directory of that name makes no Velero.
    fs::remove_dir_all(place.path("bucket/prefix/backups")).unwrap();
    for namespace in ["shop", "vms"] {
        fs::remove_file(place.path("bucket/prefix/kopia").join(namespace).join(MARK)).unwrap();
    }
    let ran = KopiaRs::new("doctor").repository(&place.path("bucket/prefix")).env("KOPIA_PASSWORD", PASSWORD);
    ran.run().exits(1).says(&["2 lie near it"]);
}

#[test]
fn a_bucket_is_searched_page_by_page() {
    let place = bucket();
    let bucket = Bucket::new("backups", objects(&place.path("bucket"))).with_pages_of(2);
    let server = HttpServer::start(move |request| bucket.answer(request));
    let at = |prefix: &str, arguments: &str| {
        let url = format!("s3://backups/{prefix}?endpoint={}&disable-tls&region=us-east-1", server.address());
        let command = KopiaRs::new(arguments).env("KOPIA_REPOSITORY", url).env("AWS_ACCESS_KEY_ID", "id");
        command.env("AWS_SECRET_ACCESS_KEY", "hush")
    };
    for prefix in ["", "prefix/", "prefix", "prefix/kopia/", "prefix/kopia"] {
        let ran = at(prefix, "velero volumes --json").run().exits(0);
        assert_eq!(ran.json().as_array().unwrap().len(), 5, "{prefix}");
        at(prefix, "doctor").run().exits(1).says(&[
            "those of Velero, of 2 namespaces: shop at prefix/kopia/shop/, vms at prefix/kopia/vms/",
            "`kopia-rs velero volumes`, with the same options, lists their volumes",
            "`kopia-rs restore SNAPSHOT TARGET --prefix prefix/kopia/shop/` restores one of shop",
        ]);
    }
    let table = at("prefix/", "velero volumes -n vms").run().exits(0);
    table.says(&["note: kopia-rs restore SNAPSHOT TARGET --prefix prefix/kopia/NAMESPACE/ restores one"]);
    let list = at("", "velero volumes --json -n shop").run().exits(0).json();
    assert_eq!(list[0]["root"], "prefix/kopia/shop/");
    let target = place.path("target");
    let restore = at("", "restore latest --prefix prefix/kopia/shop/ --tag backup=nightly").arg(&target);
    restore.run().exits(0).says(&["Velero's own, static-passw0rd, opens the repository"]);
    assert_eq!(fs::read_to_string(target.join("f")).unwrap(), "nightly");
}
