//! Repositories whose blobs lie in an archive: what is said, what is asked for, and what is read before.

mod bucket;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use kopia_testkit::servers::{self, Server};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, names};
use bucket::Bucket;

/// Two folders of some small files, each in a pack of its own.
fn writer() -> RepositoryWriter {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let folder = |writer: &mut RepositoryWriter, number: u8| {
        let files: Vec<_> = (0..5)
            .map(|file| {
                let bytes = [number * 10 + file; 1000];
                let object = writer.file(&bytes);
                json!({"name": format!("f{file}"), "type": "f", "mode": "0644", "size": 1000, "obj": object})
            })
            .collect();
        let object = writer.directory(&files);
        json!({"name": format!("d{number}"), "type": "d", "mode": "0755", "obj": object})
    };
    let folders = [folder(&mut writer, 0), folder(&mut writer, 1)];
    let root = writer.directory(&folders);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    writer
}

fn blobs() -> Vec<(String, Vec<u8>)> {
    writer().finish()
}

fn command(bucket: &Bucket, arguments: &str) -> KopiaRs {
    KopiaRs::new(arguments)
        .arg("--repository")
        .arg(bucket.url())
        .env("KOPIA_PASSWORD", PASSWORD)
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "s3cr3t")
        .env("AZURE_STORAGE_KEY", "c2VjcmV0")
}

fn files(target: &Path) -> Vec<u8> {
    let read = |folder: &str, file: &String| std::fs::read(target.join(folder).join(file)).unwrap();
    let of =
        |folder: &'static str| names(&target.join(folder)).into_iter().map(move |file| read(folder, &file));
    of("d0").chain(of("d1")).map(|bytes| if bytes.len() == 1000 { bytes[0] } else { 255 }).collect()
}

const ALL: [u8; 10] = [0, 1, 2, 3, 4, 10, 11, 12, 13, 14];

#[test]
fn what_lies_in_an_archive_is_said_before_anything_is_read_or_written() {
    let (place, bucket) = (Place::new(), Bucket::new(blobs()));
    let target = place.path("target");
    bucket.archive("p", "GLACIER");
    for dry_run in ["", "--dry-run"] {
        let ran = command(&bucket, &format!("restore latest {dry_run}")).arg(&target).run();
        ran.exits(1).says(&[
            "10 packs that are to be read lie in an archive: 10 in GLACIER (",
            "--thaw bulk",
            "bulk 5 to 12 h, standard 3 to 5 h, expedited 1 to 5 min",
        ]);
    }
    let ran = command(&bucket, "restore latest/d1 --json")
        .arg("--report")
        .arg(place.path("report"))
        .arg(&target)
        .run();
    let archive = &ran.exits(1).json()["archive"];
    assert_eq!(
        (&archive["neededFor"], &archive["packs"], &archive["thawing"]),
        (&json!("files"), &json!(5), &json!(0))
    );
    assert_eq!(
        (&archive["classes"][0]["class"], &archive["classes"][0]["packs"]),
        (&json!("GLACIER"), &json!(5))
    );
    let report = std::fs::read_to_string(place.path("report")).unwrap();
    let lines: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bytes: u64 = lines.iter().map(|line| line["bytes"].as_u64().unwrap()).sum();
    assert_eq!((lines.len(), &lines[0]["kind"], &archive["bytes"]), (5, &json!("archive"), &json!(bytes)));
    assert!(!target.exists());
    assert_eq!((bucket.refused(), bucket.asked().len()), (0, 0), "no pack is read, and nothing asked for");
}

#[test]
fn exactly_what_is_needed_is_asked_for_and_the_same_command_goes_on() {
    let (place, bucket) = (Place::new(), Bucket::new(blobs()));
    let target = place.path("target");
    bucket.archive("p", "DEEP_ARCHIVE");
    let restore = |more: &str| command(&bucket, &format!("restore latest/d1 {more}")).arg(&target).run();
    restore("--thaw expedited").exits(1).says(&["DEEP_ARCHIVE cannot be fetched with --thaw expedited"]);
    restore("--thaw standard --dry-run").exits(4).says(&["without --dry-run they are asked for"]);
    assert!(bucket.asked().is_empty());
    restore("--thaw standard --days 3")
        .exits(4)
        .says(&["5 packs that are to be read are being fetched", "--wait"]);
    let asked = bucket.asked();
    assert!(
        asked.iter().all(|asked| asked.body.contains("<Days>3</Days>") && asked.body.contains("Standard"))
    );
    let packs: BTreeSet<_> = asked.iter().map(|asked| asked.blob.clone()).collect();
    assert_eq!((packs.len(), asked.len()), (5, 5));
    // Neither the same command nor one without the option asks again.
    restore("--thaw standard --days 3").exits(4);
    let ran = restore("--json").exits(4);
    assert_eq!(ran.json()["archive"]["thawing"], json!(5));
    assert!(!target.exists());
    assert_eq!((bucket.refused(), bucket.asked().len()), (0, 5));
    bucket.arrive();
    restore("").exits(0);
    assert_eq!(names(&target), ["f0", "f1", "f2", "f3", "f4"]);
    let read: BTreeSet<_> = bucket.read().into_iter().filter(|blob| blob.starts_with('p')).collect();
    assert_eq!((read, bucket.refused()), (packs, 0));
}

#[test]
fn what_several_things_need_is_asked_for_at_once() {
    for (command_line, target) in [
        ("restore latest/d0 latest/d1", "target"),
        ("restore latest --strip-components 1 --include /d0/f0 --include /d1/f1 --include /d1/f2", "flat"),
        ("export latest/d0 latest/d1", "x.tar"),
    ] {
        let (place, bucket) = (Place::new(), Bucket::new(blobs()));
        bucket.archive("p", "GLACIER");
        let target = place.path(target);
        let run = |more: &str| command(&bucket, &format!("{command_line} {more}")).arg(&target).run();
        let packs = if command_line.contains("strip") { 3 } else { 10 };
        let ran = run("--thaw bulk").exits(4);
        ran.says(&[&format!("{packs} packs that are to be read are being fetched")]);
        assert_eq!(bucket.asked().len(), packs, "{command_line}");
        bucket.arrive();
        run("").exits(0);
        assert_eq!(bucket.asked().len(), packs, "{command_line}");
    }
}

#[test]
fn opening_directories_and_files_come_in_rounds() {
    let (place, bucket) = (Place::new(), Bucket::new(blobs()));
    let target = place.path("target");
    bucket.archive("", "GLACIER");
    let restore = |more: &str| command(&bucket, &format!("restore latest {more}")).arg(&target).run();
    restore("").exits(1).says(&["2 blobs that opening needs lie in an archive"]);
    restore("--thaw bulk").exits(4).says(&["2 blobs that opening needs are being fetched"]);
    let first = |count| {
        bucket
            .asked()
            .iter()
            .rev()
            .take(count)
            .map(|asked| asked.blob[..1].to_string())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(first(2), ["k", "x"].map(String::from).into());
    bucket.arrive();
    restore("").exits(1).says(&["packs of directories lie in an archive"]);
    restore("--thaw bulk").exits(4).says(&["packs of directories are being fetched"]);
    assert_eq!(first(1), ["q"].map(String::from).into());
    bucket.arrive();
    // From here on it waits.
    bucket.arrive_after(2);
    let ran = restore("--thaw bulk --wait").exits(0);
    ran.says(&["waiting for 10 packs", "10 of 10 packs can be read"]);
    assert_eq!(files(&target), ALL);
    let read = bucket.read().into_iter().filter(|blob| blob.starts_with('p')).count();
    assert!(read >= 10 && !bucket.read_before_all_arrived(), "no pack of files is read before all are there");
}

#[test]
fn one_command_can_wait_through_all_rounds() {
    let (place, bucket) = (Place::new(), Bucket::new(blobs()));
    bucket.archive("", "GLACIER");
    bucket.arrive_after(1);
    command(&bucket, "restore latest --thaw expedited --wait --quiet")
        .arg(place.path("target"))
        .run()
        .exits(0);
    assert_eq!(files(&place.path("target")), ALL);
    assert_eq!(bucket.asked().len(), bucket.count());
}

#[test]
fn cat_and_verify_ask_as_well() {
    let bucket = Bucket::new(blobs());
    bucket.archive("p", "GLACIER");
    command(&bucket, "cat latest/d0/f3")
        .run()
        .exits(1)
        .says(&["1 pack that is to be read lies in an archive"]);
    command(&bucket, "verify").run().exits(1).says(&["10 packs that are to be read lie in an archive"]);
    command(&bucket, "verify latest/d0")
        .run()
        .exits(1)
        .says(&["5 packs that are to be read lie in an archive"]);
    assert_eq!((bucket.refused(), bucket.asked().len()), (0, 0));
    bucket.arrive_after(1);
    let ran = command(&bucket, "cat latest/d0/f3 --thaw bulk --wait").run().exits(0);
    assert_eq!((ran.stdout, bucket.asked().len()), (vec![3; 1000], 1));
}

/// Collected as garbage by a kopia that did not know of the snapshot: it can be read as long as the packs last.
#[test]
fn verify_asks_for_what_snapshots_need_although_it_is_marked_deleted() {
    let blobs = writer().finish_changed(|live| live.mark_deleted(|id| id.prefix().is_none()));
    let bucket = Bucket::new(blobs);
    bucket.archive("p", "GLACIER");
    command(&bucket, "verify").run().exits(1).says(&["10 packs that are to be read lie in an archive"]);
    bucket.arrive_after(1);
    command(&bucket, "verify --thaw bulk --wait").run().exits(0);
    assert_eq!((bucket.refused(), bucket.asked().len()), (0, 10));
}

#[test]
fn what_restores_kept_is_asked_for_as_any_other_folder() {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let object = writer.file(&[1; 1000]);
    let file = json!({"name": "f", "type": "f", "mode": "0644", "size": 1000, "obj": object});
    let kept = writer.directory(&[file]);
    let name = ".kopia-rs-undo-app-20200102T030405Z";
    let root = writer.directory(&[json!({"name": name, "type": "d", "mode": "0700", "obj": kept})]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    let (place, bucket) = (Place::new(), Bucket::new(writer.finish()));
    bucket.archive("p", "GLACIER");
    let export =
        |more: &str| command(&bucket, &format!("export latest {more}")).arg(place.path("x.tar")).run();
    let lies = "1 pack that is to be read lies in an archive";
    command(&bucket, "verify latest").run().exits(1).says(&[lies]);
    export("").exits(1).says(&[lies]);
    assert_eq!((bucket.refused(), bucket.asked().len()), (0, 0));
    bucket.arrive_after(1);
    export("--thaw bulk --wait").exits(0);
    command(&bucket, "verify latest").run().exits(0);
    assert_eq!((bucket.refused(), bucket.asked().len()), (0, 1));
}

#[test]
fn verifying_a_part_asks_for_the_packs_of_that_part() {
    let bucket = Bucket::new(blobs());
    bucket.archive("p", "GLACIER");
    let verify = |arguments: &str| command(&bucket, &format!("verify {arguments}")).run();
    // Which of the twelve or so packs are in a shard, their names say; all of them are in one.
    let asked = |arguments: &str| {
        let before = bucket.asked().len();
        verify(&format!("{arguments} --thaw bulk")).exits(4).says(&["being fetched"]);
        bucket.asked()[before..].iter().map(|asked| asked.blob.clone()).collect::<BTreeSet<_>>()
    };
    verify("--shard 0/2").exits(1).says(&["packs that are to be read lie in an archive", "--thaw bulk"]);
    verify("--percent 100").exits(1).says(&["10 packs that are to be read lie in an archive"]);
    verify("--percent 100 --thaw bulk").exits(2).says(&["other packs each time", "--wait"]);
    assert_eq!((bucket.refused(), bucket.asked().len()), (0, 0));
    let first = asked("--shard 0/2");
    assert!((1..10).contains(&first.len()), "{first:?}");
    bucket.arrive();
    bucket.forget();
    verify("--shard 0/2").exits(0);
    let read: BTreeSet<_> = bucket.read().into_iter().filter(|blob| blob.starts_with('p')).collect();
    assert_eq!(read, first);
    // What a snapshot needs, and was not in the other part.
    let second = asked("latest --shard 1/2");
    assert!((1..10).contains(&second.len()) && second.is_disjoint(&first), "{second:?} {first:?}");
    bucket.arrive();
    verify("latest --shard 1/2").exits(0);
    bucket.arrive_after(1);
    verify("--percent 100 --thaw bulk --wait").exits(0);
    assert_eq!(bucket.refused(), 0);
    // The directories are walked in every part.
    bucket.archive("q", "GLACIER");
    verify("--shard 1/2").exits(1).says(&["packs of directories lie in an archive"]);
    verify("latest/d0 --shard 1/2").exits(1).says(&["packs of directories lie in an archive"]);
    assert_eq!(bucket.refused(), 0);
}

#[test]
fn what_is_foreseen_is_what_the_server_sees() {
    let (place, bucket) = (Place::new(), Bucket::new(blobs()));
    let prices = "--prices listings=5000,reads=1000,gigabyte=1000000000";
    let run = |more: &str| {
        command(&bucket, &format!("restore latest --json {more} {prices}"))
            .arg(place.path("target"))
            .run()
            .exits(0)
    };
    let ran = run("--dry-run");
    let last = ran.text().lines().last().unwrap();
    let foreseen = serde_json::from_str::<Value>(last).unwrap()["requests"].clone();
    let number = |name: &str| foreseen[name].as_u64().unwrap() as f64;
    let cost = 5.0 * number("listings") + number("reads") + number("bytes");
    assert_eq!(foreseen["cost"], json!(cost));
    let without = |more: &str| {
        let command = command(&bucket, &format!("restore latest --json {more}"));
        bucket.forget();
        let ran = command.arg(place.path("target")).run().exits(0);
        ran.json()["requests"].clone()
    };
    let made = without("");
    for name in ["listings", "reads", "bytes"] {
        assert_eq!(made[name], foreseen[name], "{name}");
    }
    assert_eq!(bucket.read().len() as u64, made["reads"].as_u64().unwrap());
    assert_eq!(bucket.bytes(), made["bytes"].as_u64().unwrap());
}

/// Azure moves a blob for good: the same commands, another tier, and no copy that ends after some days.
#[test]
fn a_container_of_azure_is_asked_to_move_what_is_needed() {
    let (place, bucket) = (Place::new(), Bucket::azure(blobs()));
    let target = place.path("target");
    bucket.archive("p", "Archive");
    let restore = |more: &str| command(&bucket, &format!("restore latest/d1 {more}")).arg(&target).run();
    restore("")
        .exits(1)
        .says(&["5 packs that are to be read lie in an archive: 5 in Archive (", "--thaw bulk"]);
    assert!(bucket.asked().is_empty() && !target.exists());
    restore("--thaw standard").exits(4).says(&["5 packs that are to be read are being fetched", "--wait"]);
    let asked = bucket.asked();
    assert!(asked.iter().all(|asked| asked.tier == "Hot Standard"), "{asked:?}");
    let packs: BTreeSet<_> = asked.iter().map(|asked| asked.blob.clone()).collect();
    assert_eq!((packs.len(), asked.len()), (5, 5));
    // Neither the same command nor one without the option asks again.
    restore("--thaw standard").exits(4);
    let told = restore("--json").exits(4).json();
    assert_eq!((&told["archive"]["thawing"], &told["class"]), (&json!(5), &json!("Archived")));
    assert!(!target.exists());
    assert_eq!((bucket.refused(), bucket.asked().len()), (0, 5));
    bucket.arrive();
    restore("").exits(0);
    assert_eq!(names(&target), ["f0", "f1", "f2", "f3", "f4"]);
    let read: BTreeSet<_> = bucket.read().into_iter().filter(|blob| blob.starts_with('p')).collect();
    assert_eq!((read, bucket.refused()), (packs, 0));
    // The rest, in a hurry, and waited for.
    bucket.arrive_after(1);
    let whole = place.path("whole");
    let ran = command(&bucket, "restore latest --thaw expedited --wait").arg(&whole).run().exits(0);
    ran.says(&["waiting for 5 packs"]);
    assert!(bucket.asked()[5..].iter().all(|asked| asked.tier == "Hot High"), "{:?}", bucket.asked());
    assert_eq!((files(&whole), bucket.asked().len()), (ALL.to_vec(), 10));
}

/// Sends a request to moto, which asks for no right signature.
fn put(port: u16, path: &str, class: &str, body: &[u8]) {
    let authorization = "AWS4-HMAC-SHA256 Credential=root/20260101/us-east-1/s3/aws4_request";
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: {authorization}\r\nconnection: close\r\n\
         content-type: application/x-kopia\r\nx-amz-storage-class: {class}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_real_server_gives_what_was_asked_for() {
    let Some(program) = servers::program("moto_server") else { return };
    let port = servers::free_port();
    let mut moto = Command::new(program);
    moto.args(["-H", "127.0.0.1", "-p", &port.to_string()]).env("INITIAL_NO_AUTH_ACTION_COUNT", "1000000");
    let moto = Server::start(&mut moto, port);
    put(moto.port(), "/archive", "STANDARD", b"");
    for (name, bytes) in blobs() {
        let class = if name.starts_with('p') { "DEEP_ARCHIVE" } else { "STANDARD" };
        put(port, &format!("/archive/k/{name}"), class, &bytes);
    }
    let (place, url) =
        (Place::new(), format!("s3://archive/k/?endpoint=127.0.0.1:{port}&region=us-east-1&disable-tls"));
    let restore = |more: &str| {
        KopiaRs::new(&format!("restore latest {more} --repository {url}"))
            .arg(place.path("target"))
            .env("KOPIA_PASSWORD", PASSWORD)
            .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "s3cr3t")
            .run()
    };
    restore("").exits(1).says(&["10 packs that are to be read lie in an archive: 10 in DEEP_ARCHIVE"]);
    // moto fetches at once.
    restore("--thaw bulk --days 1 --wait").exits(0).says(&["asked for with tier bulk"]);
    assert_eq!(files(&place.path("target")), ALL);
}
