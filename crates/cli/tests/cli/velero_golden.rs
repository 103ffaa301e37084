//! A bucket that was written with the calls that Velero makes: what is listed, and what comes back.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use kopia_testkit::http_server::{Bucket, HttpServer};
use kopia_testkit::loop_device::LoopDevice;
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::velero;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::{KopiaRs, Place};

/// Lists all volumes of the bucket.
fn volumes() -> Vec<Value> {
    let list = KopiaRs::new("velero volumes --json").repository(&velero::bucket()).run().exits(0).json();
    list.as_array().unwrap().clone()
}

/// Picks the one row that has these values.
fn row(rows: &[Value], name: &str, backup: &str) -> Value {
    let is_it = |row: &&Value| {
        let uid = row["backupUid"].as_str().is_some_and(|uid| uid.starts_with(backup));
        row["name"] == name && (row["backup"] == backup || uid) && row["incomplete"].is_null()
    };
    let found: Vec<_> = rows.iter().filter(is_it).collect();
    let [one] = found[..] else { panic!("{} rows of {name} in {backup}: {rows:#?}", found.len()) };
    one.clone()
}

/// Restores what a row names: nothing else is taken from anywhere.
fn restore(row: &Value, place: &str, to: &Path) {
    let text = |key: &str| row[key].as_str().unwrap().to_string();
    let command = KopiaRs::new("restore").arg(text("snapshot")).arg("--repository").arg(text("root"));
    let command = if place.is_empty() { command.arg(to) } else { command.arg(place).arg(to) };
    command.run().exits(0);
}

/// Returns a manifest of the examples.
fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/kubernetes");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Returns the hash of the first bytes of a file or device.
fn hash(path: &Path, size: u64) -> String {
    let mut bytes = Vec::new();
    File::open(path).unwrap().take(size).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, size);
    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_volume_is_listed_with_its_backup() {
    let keys = ["backup", "namespace", "pod", "name", "kind", "size", "files", "incomplete"];
    let rows: Vec<Value> =
        volumes().iter().map(|row| keys.iter().map(|key| row[key].clone()).collect()).collect();
    let expected = json!([
        ["nightly", "shop", null, "data", "files", 19515, 4, null],
        [null, "shop", null, "data", "files", 19523, 5, null],
        [null, "shop", null, "data", "files", 0, 0, "canceled"],
        ["nightly", "shop", "web-0", "cache", "files", 2007, 2, null],
        [null, "vms", null, "disk", "block", 147_456, 1, null],
        [null, "vms", null, "padded", "block", 102_912, 1, null],
    ]);
    assert_eq!(Value::Array(rows), expected);
    // A tag of another volume names the backup of that UID; without it, what Velero keeps in the bucket does.
    let place = Place::new();
    let copy = place.path("bucket");
    let prefix = copy.join(velero::PREFIX);
    for (key, bytes) in velero::objects() {
        let path = copy.join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let backup = prefix.join("backups/weekly/velero-backup.json");
    fs::create_dir_all(backup.parent().unwrap()).unwrap();
    let uid = volumes().last().unwrap()["backupUid"].clone();
    fs::write(&backup, json!({"kind": "Backup", "metadata": {"name": "weekly", "uid": uid}}).to_string())
        .unwrap();
    let list = KopiaRs::new("velero volumes --json --backup weekly").repository(&copy).run().exits(0).json();
    assert_eq!(list.as_array().unwrap().len(), 4, "{list:#}");
    fs::write(&backup, "{").unwrap();
    KopiaRs::new("velero volumes --backup weekly").repository(&copy).run().exits(1);
}

#[test]
fn volumes_of_files_come_back_as_they_were() {
    let (place, rows) = (Place::new(), volumes());
    for (name, backup, tree) in
        [("data", "nightly", "data-1"), ("data", "77c0", "data-2"), ("cache", "nightly", "cache")]
    {
        let target = place.path(tree);
        restore(&row(&rows, name, backup), "", &target);
        let differences = compare(&velero::tree(tree), &Tree::scan(&target), &Compare::settable());
        assert!(differences.is_empty(), "{tree}: {differences:#?}");
    }
    // By tag, and from a bucket whose keys are listed page by page.
    let bucket = Bucket::new("backups", velero::objects()).with_pages_of(3);
    let server = HttpServer::start(move |request| bucket.answer(request));
    let url = format!(
        "s3://backups/{}kopia/shop/?endpoint={}&disable-tls&region=us-east-1",
        velero::PREFIX,
        server.address()
    );
    let target = place.path("by-tag");
    let command = KopiaRs::new("restore latest --tag backup=nightly --tag volume=cache").arg(&target);
    command
        .env("KOPIA_REPOSITORY", url)
        .env("AWS_ACCESS_KEY_ID", "id")
        .env("AWS_SECRET_ACCESS_KEY", "hush")
        .run()
        .exits(0);
    assert_eq!(
        compare(&velero::tree("cache"), &Tree::scan(&target), &Compare::settable()),
        Vec::<String>::new()
    );
}

#[test]
fn volumes_of_devices_come_back_byte_for_byte() {
    let (place, rows) = (Place::new(), volumes());
    for disk in velero::disks() {
        let image = place.path(&disk.volume);
        restore(&row(&rows, &disk.volume, "77c0"), "--image", &image);
        assert_eq!(fs::metadata(&image).unwrap().len(), disk.size, "{}", disk.volume);
        assert_eq!(hash(&image, disk.size), disk.sha256, "{}", disk.volume);
        let Some(device) = LoopDevice::attach(&place.path("backing"), 1 << 20, &[]) else { continue };
        restore(&row(&rows, &disk.volume, "77c0"), "--device", device.path());
        assert_eq!(hash(device.path(), disk.size), disk.sha256, "{}", disk.volume);
    }
}

/// The words of a list in brackets that a line of a manifest gives.
fn list(text: &str, key: &str) -> Vec<String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(key)?.trim().strip_prefix('[')).unwrap();
    line.trim_end_matches(']').split(", ").map(|word| word.trim_matches('"').to_string()).collect()
}

#[test]
fn the_jobs_of_the_examples_restore_what_they_say() {
    let place = Place::new();
    let kopia = velero::bucket().join(velero::PREFIX).join("kopia");
    let target = place.path("target");
    let words = list(&example("restore-velero.yaml"), "args:");
    let command = words.iter().fold(KopiaRs::new(""), |command, word| {
        if word == "/restore" { command.arg(&target) } else { command.arg(word) }
    });
    command
        .env("KOPIA_REPOSITORY", kopia.join("shop"))
        .env("KOPIA_PASSWORD", "static-passw0rd")
        .run()
        .exits(0);
    assert_eq!(
        compare(&velero::tree("data-2"), &Tree::scan(&target), &Compare::settable()),
        Vec::<String>::new()
    );

    let Some(device) = LoopDevice::attach(&place.path("backing"), 1 << 20, &[]) else { return };
    let text = example("restore-block.yaml");
    let words = list(&text, "args:").join(" ");
    let mut command = KopiaRs::new(&words)
        .env("KOPIA_REPOSITORY", kopia.join("vms"))
        .env("KOPIA_PASSWORD", "static-passw0rd");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for pair in lines.windows(2) {
        if let (Some(name), Some(value)) = (pair[0].strip_prefix("- name: "), pair[1].strip_prefix("value: "))
        {
            let value = if name == "KOPIA_RS_DEVICE" { device.path().to_str().unwrap() } else { value };
            command = command.env(name, value);
        }
    }
    command.run().exits(0).says(&["Snapshot restore completed"]);
    let disk = velero::disks().into_iter().find(|disk| disk.volume == "disk").unwrap();
    assert_eq!(hash(device.path(), disk.size), disk.sha256);
}
