//! `restore`: where things go, what is said, and what damage costs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use kopia_testkit::damage::copy_repository;
use kopia_testkit::golden;
use serde_json::Value;

use crate::common::{KopiaRs, Place, names};

fn restore(what: &str, target: &Path) -> KopiaRs {
    KopiaRs::golden("sources", &format!("restore {what}")).arg(target)
}

#[test]
fn a_folder_goes_into_the_target() {
    let place = Place::new();
    let target = place.path("new/target");
    let ran = restore("c3bc", &target)
        .run()
        .exits(0)
        .says(&["note: restoring app@media:/data, 2026-03-02 03:04:05 UTC (snapshot c3bc3213), to "]);
    assert!(
        ran.text().starts_with("restored 7 files (117.3 kB), 3 folders and 1 link to "),
        "{}",
        ran.text()
    );
    assert_eq!(names(&target), ["added-1.txt", "added-2.txt", "empty", "hello.txt", "sub", "text.log"]);
    assert_eq!(fs::metadata(target.join("hello.txt")).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(&target).unwrap().mtime(), 1_662_000_000);
    assert_eq!(restore("c3bc --quiet", &target).run().exits(0).stderr, "");
}

#[test]
fn the_root_can_keep_its_attributes() {
    let place = Place::new();
    let target = place.path("target");
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o700)).unwrap();
    restore("c3bc --no-root-attributes", &target).run().exits(0);
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o700);
    restore("c3bc", &target).run().exits(0);
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o755);
}

#[test]
fn attributes_can_be_left_as_they_come() {
    let place = Place::new();
    let target = place.path("target");
    restore("c3bc --skip-owners --skip-permissions --skip-times", &target).run().exits(0);
    let file = fs::metadata(target.join("hello.txt")).unwrap();
    let folder = fs::metadata(target.join("sub")).unwrap();
    assert_eq!((file.mode() & 0o7777, folder.mode() & 0o7777), (0o600, 0o700));
    assert!(file.mtime() > 1_750_000_000 && folder.mtime() > 1_750_000_000);
    assert_eq!(file.uid(), rustix::process::geteuid().as_raw());
    let other = place.path("other");
    restore("c3bc", &other).run().exits(0);
    assert!(fs::metadata(other.join("hello.txt")).unwrap().mtime() < 1_700_000_000);
    assert_eq!(fs::metadata(other.join("sub")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn a_file_becomes_the_target_or_goes_into_it() {
    let place = Place::new();
    fs::create_dir(place.path("folder")).unwrap();
    let hello = "hello again 2\n";
    for (what, target, file) in [
        ("c3bc/hello.txt", "file", "file"),
        ("c3bc/hello.txt", "folder", "folder/hello.txt"),
        ("c3bc/hello.txt", "new/dir/", "new/dir/hello.txt"),
        ("app@media:/data/hello.txt", "other", "other"),
        ("app@media:/data/hello.txt", "single/", "single/hello.txt"),
        ("810d4d20702c233194e7c6561aea4aac", "object", "object"),
    ] {
        restore(what, &place.path(target)).run().exits(0);
        assert_eq!(fs::read_to_string(place.path(file)).unwrap(), hello, "{what} {target}");
    }
    restore("c3bc/sub/link", &place.path("link")).run().exits(0);
    assert_eq!(fs::read_link(place.path("link")).unwrap(), Path::new("../hello.txt"));
    let relative =
        KopiaRs::golden("sources", "restore c3bc/hello.txt plain").in_folder(&place.path("folder"));
    relative.run().exits(0);
    assert_eq!(fs::read_to_string(place.path("folder/plain")).unwrap(), hello);
    // An object has no name of its own.
    restore("810d4d20702c233194e7c6561aea4aac", &place.path("nameless/"))
        .run()
        .exits(1)
        .says(&["give the name"]);
    assert!(!place.path("nameless").exists());
}

#[test]
fn the_result_as_json() {
    let place = Place::new();
    let target = place.path("target");
    let options = "--json --parallel 3 --writers 4 --verify-hashes --sync files --max-depth 5 --io pread";
    let json = restore(&format!("c3bc/sub {options}"), &target).run().exits(0).json();
    assert_eq!(json["snapshot"]["id"], "c3bc32134c182e42c92f268ef49f84a0");
    assert_eq!(json["snapshot"]["source"], "app@media:/data");
    assert_eq!(json["snapshot"]["startTime"], "2026-03-02T03:04:05Z");
    assert_eq!(json["path"], "sub");
    assert_eq!(json["target"], target.to_str().unwrap());
    assert_eq!((&json["files"], &json["symlinks"], &json["bytes"]), (&2.into(), &1.into(), &51_333.into()));
    assert_eq!((&json["problemCount"], &json["madeWithFailedFiles"]), (&0.into(), &0.into()));
    let object =
        restore("k41691c442dfb24587cf7b485cbfce8e3 --json", &place.path("object")).run().exits(0).json();
    assert_eq!(object["snapshot"], Value::Null);
    assert_eq!(object["object"], "k41691c442dfb24587cf7b485cbfce8e3");
}

#[test]
fn lost_packs_cost_their_entries_only() {
    let place = Place::new();
    let copy = copy_repository(&golden::case("sources"));
    copy.blobs("p").iter().for_each(|pack| pack.delete());
    let run = |what: &str, target: &str| {
        let command = KopiaRs::new(&format!("restore {what} --json")).repository(&copy.path());
        let report = place.path("report");
        let command =
            command.env("KOPIA_PASSWORD", "golden").arg(place.path(target)).arg("--report").arg(&report);
        let ran = command.run().exits(3);
        (ran, fs::read_to_string(report).unwrap())
    };
    let (ran, report) = run("c3bc", "few");
    let json = ran.json();
    // The empty file needs no pack.
    assert_eq!(json["problemCount"], 7);
    assert_eq!(json["problems"][0]["path"], "added-1.txt");
    assert_eq!(names(&place.path("few/sub")), ["deeper"]);
    ran.says(&["error: hello.txt: blob p", "error: 7 entries are missing, doubled or incomplete"]);
    let lines: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 7);
    assert!(
        lines
            .iter()
            .all(|line| line["kind"] == "repository" && line["blob"].as_str().unwrap().starts_with('p'))
    );

    let (ran, report) = run("db@media:/var/lib/db", "many");
    assert_eq!(report.lines().count(), 1104);
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 102);
    ran.says(&["error: … and 1,004 more", "error: 1,104 entries are missing"]);

    // What is listed and read of it.
    let command =
        |arguments: &str| KopiaRs::new(arguments).repository(&copy.path()).env("KOPIA_PASSWORD", "golden");
    command("ls -R c3bc").run().exits(0);
    let listed = command("ls -lR c3bc").run().exits(3).says(&["error: sub/link: blob p"]);
    assert_eq!(listed.text().lines().count(), 10);
    command("cat c3bc/hello.txt").run().exits(1).says(&["blob p", "hint:"]);
}

#[test]
fn what_cannot_be_kept_is_a_note_unless_it_must_be() {
    let place = Place::new();
    let run = |arguments: &str| {
        KopiaRs::golden("tricky", "restore latest").arg(place.path("t")).arg(arguments).run()
    };
    run("--sync=none").exits(0).says(&["note: 1 entry had a name that was not UTF-8"]);
    run("--strict-attributes").exits(3).says(&["as --strict-attributes demands: 1 name"]);
}
