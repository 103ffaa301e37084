//! Other owners than those that were backed up: maps, names, and what is said where that cannot be.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use kopia_testkit::writer::RepositoryWriter;
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, names, written};

fn entry(kind: &str, name: &str, object: &str, size: usize, (uid, gid): (u32, u32)) -> Value {
    let mode = if kind == "d" { "0755" } else { "0644" };
    json!({"name": name, "type": kind, "mode": mode, "size": size, "uid": uid, "gid": gid, "obj": object,
        "mtime": "2020-01-02T03:04:05.000000006Z"})
}

/// `/data` of a laptop, with files of several owners.
fn data(writer: &mut RepositoryWriter) {
    let text = writer.file(b"text");
    let owners = [("a", (1000, 1000)), ("b", (1001, 100)), ("c", (5003, 5003)), ("d", (0, 0))];
    let files = owners.map(|(name, owner)| entry("f", name, &text, 4, owner));
    let root = writer.directory(&files);
    writer.snapshot("anna@laptop:/data", entry("d", "data", &root, 0, (1000, 1000)));
}

/// `/etc` of it, where `daemon`, whom every machine has, is user 1000.
fn etc(writer: &mut RepositoryWriter, host: &str) {
    let passwd = b"root:x:0:0::/root:/bin/sh\ndaemon:x:1000:1000:::\nnobody-knows:x:1001:100:::\n";
    let group = b"root:x:0:\ndaemon:x:1000:\n";
    let (users, groups) = (writer.file(passwd), writer.file(group));
    let entries = [
        entry("f", "group", &groups, group.len(), (0, 0)),
        entry("f", "passwd", &users, passwd.len(), (0, 0)),
    ];
    let root = writer.directory(&entries);
    writer.snapshot(&format!("root@{host}:/etc"), entry("d", "etc", &root, 0, (0, 0)));
}

fn repository(place: &Place, write: impl FnOnce(&mut RepositoryWriter)) -> PathBuf {
    let path = place.path("repo");
    written(&path, write);
    path
}

/// Exports with options, and returns the owners in the archive, in the order of names.
fn exported(place: &Place, options: &str) -> Vec<String> {
    let archive = place.path("x.tar");
    let command =
        KopiaRs::written(&place.path("repo"), &format!("export laptop:/data --overwrite {options}"));
    command.arg(&archive).run().exits(0);
    let mut tar = Command::new("tar");
    let listed = tar.args(["--numeric-owner", "-tvf"]).arg(&archive).output().expect("there is a tar");
    let text = String::from_utf8(listed.stdout).unwrap();
    let mut lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    lines.sort_by_key(|words| words.last().map(ToString::to_string));
    lines.iter().map(|words| words[1].to_owned()).collect()
}

/// The number that `daemon` has here, as a user and as a group.
fn daemon() -> (String, String) {
    let number = |file: &str| {
        let text = fs::read_to_string(file).unwrap();
        let line = text.lines().find(|line| line.starts_with("daemon:")).expect("every machine has one");
        line.split(':').nth(2).unwrap().to_owned()
    };
    (number("/etc/passwd"), number("/etc/group"))
}

#[test]
fn numbers_and_ranges_are_mapped_in_archives() {
    let place = Place::new();
    repository(&place, data);
    assert_eq!(exported(&place, ""), ["1000/1000", "1000/1000", "1001/100", "5003/5003", "0/0"]);
    let mapped = exported(&place, "--owner-map 1000:2000,5000-5999:105000 --group-map *:7");
    assert_eq!(mapped, ["2000/7", "2000/7", "1001/7", "105003/7", "0/7"]);
    assert_eq!(exported(&place, "--as-uid 5 --as-gid 6"), ["5/6"; 5]);
    fs::write(place.path("map"), "# tar's way\n+1000 root\n1001:3\n").unwrap();
    let option = format!("--owner-map @{}", place.path("map").display());
    assert_eq!(exported(&place, &option), ["0/1000", "0/1000", "3/100", "5003/5003", "0/0"]);
}

#[test]
fn names_are_those_that_the_repository_has_of_the_host() {
    let place = Place::new();
    repository(&place, |writer| {
        data(writer);
        etc(writer, "laptop");
    });
    let (user, group) = daemon();
    let by_name = exported(&place, "--owners-by-name");
    let [own, root] = [format!("{user}/{group}"), "0/0".to_owned()];
    assert_eq!(by_name, [own.clone(), own.clone(), "1001/100".into(), "5003/5003".into(), root]);
    let named = exported(&place, "--owner-map daemon:9,nobody-knows:daemon --as-gid daemon");
    let group = |uid: &str| format!("{uid}/{group}");
    assert_eq!(named, ["9", "9", &user, "5003", "0"].map(group));
    let ran = KopiaRs::written(&place.path("repo"), "export laptop:/data --owners-by-name").run().exits(0);
    ran.says(&[
        "owners have their names from root@laptop:/etc, ",
        "1 user is not known here, and what was theirs keeps its number: nobody-knows",
    ]);
}

#[test]
fn names_may_stand_in_a_folder() {
    let place = Place::new();
    let repository = repository(&place, |writer| {
        data(writer);
        etc(writer, "server");
    });
    // That of another host says nothing.
    let restore = |options: &str| {
        KopiaRs::written(&repository, &format!("restore laptop:/data {options}"))
            .arg(place.path("target"))
            .run()
    };
    let ran = restore("--owners-by-name").exits(1);
    ran.says(&["no snapshot of laptop has its /etc/passwd and /etc/group", "hint: give --accounts DIR"]);
    assert!(!place.path("target").exists());
    let root = place.path("old");
    fs::create_dir_all(root.join("etc")).unwrap();
    let option = format!("--owners-by-name --accounts {}", root.display());
    restore(&option).exits(1).says(&["/old/passwd: "]);
    fs::write(root.join("etc/passwd"), "daemon:x:5003:1:\n").unwrap();
    restore(&option).exits(1).says(&["/old/etc/group: "]);
    fs::write(root.join("etc/group"), "").unwrap();
    restore(&option).exits(1).says(&["it names nobody"]);
    fs::write(root.join("etc/group"), "daemon:x:5003:\n").unwrap();
    let (user, group) = daemon();
    let found = exported(&place, &option);
    assert_eq!(found[3], format!("{user}/{group}"));
    assert_eq!(found[0], "1000/1000");
}

#[test]
fn options_that_mean_nothing_together_are_refused() {
    let place = Place::new();
    let repository = repository(&place, data);
    for (options, why) in [
        ("--skip-owners --as-uid 5", "cannot be used with"),
        ("--skip-owners --owner-map 1:2", "cannot be used with"),
        ("--skip-owners --owners-by-name", "cannot be used with"),
        ("--as-uid 5 --owner-map 1:2", "cannot be used with"),
        ("--as-gid 5 --group-map 1:2", "cannot be used with"),
        ("--as-uid 5 --as-gid 5 --owners-by-name", "leave nothing to --owners-by-name"),
        ("--accounts /etc", "has no use without names"),
        ("--owner-map 1000", "is not FROM:TO"),
        ("--owner-map 1:4294967295", "too large"),
        ("--owner-map 5-4:1", "ranges go from the lower to the higher one"),
        ("--owner-map @/nonexistent", "/nonexistent: "),
        ("--owner-map 1:nobody-of-this-name", "is not known on this machine"),
        ("--as-gid nobody-of-this-name", "hint: add that group, or give its number"),
        ("--newer --shard 0/2", "cannot be used with"),
        ("--newer --in-place", "cannot be used with"),
    ] {
        let command = KopiaRs::written(&repository, &format!("restore laptop:/data {options}"));
        command.arg(place.path("target")).run().exits(2).says(&[why]);
    }
    assert_eq!(names(place.path("repo").parent().unwrap()), ["repo"]);
}

#[test]
fn a_restore_gives_everything_to_whom_it_is_to_belong() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let (repository, target) = (repository(&place, data), place.path("target"));
    let restore = |options: &str| {
        KopiaRs::written(&repository, &format!("restore laptop:/data {options}")).arg(&target).run().exits(0)
    };
    let owners = || {
        ["", "a", "b", "c"].map(|name| fs::metadata(target.join(name)).unwrap()).map(|m| (m.uid(), m.gid()))
    };
    restore("--as-uid 5 --group-map 1000:7");
    assert_eq!(owners(), [(5, 7), (5, 7), (5, 100), (5, 5003)]);
    assert!(restore("--as-uid 5 --group-map 1000:7 --dry-run").text().contains("keep 4,"));
    assert!(restore("--as-uid 5 --group-map 1000:7").text().contains("kept 4 that were right"));
}

#[test]
fn what_is_newer_is_left_and_counted() {
    let place = Place::new();
    let (repository, target) = (repository(&place, data), place.path("target"));
    fs::create_dir(&target).unwrap();
    fs::write(target.join("a"), "newer").unwrap();
    let restore = |options: &str| {
        let command = KopiaRs::written(&repository, &format!("restore laptop:/data --newer {options}"));
        command.arg(&target).run().exits(0)
    };
    let dry = restore("--dry-run");
    assert!(
        dry.text().contains("leave   a\n")
            && dry.text().contains("keep 0, leave 1 that is as new or newer, ")
    );
    let json = restore("--json").json();
    assert_eq!((&json["leftAsNew"], &json["files"]), (&1.into(), &3.into()), "{json}");
    assert_eq!(fs::read(target.join("a")).unwrap(), b"newer");
    // What it wrote is as new as the snapshot's.
    let again = restore("");
    assert!(again.text().contains("left 4 that are as new or newer"), "{}", again.text());
}
