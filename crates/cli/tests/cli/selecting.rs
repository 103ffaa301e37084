//! How WHAT and --at choose.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{KopiaRs, Place, Ran, written};

fn ls(arguments: &str) -> Ran {
    KopiaRs::golden("sources", &format!("ls {arguments}")).run()
}

/// The number of entries tells the snapshots of app@media:/data apart.
const FIRST: &str = "random.bin";
const SECOND: &str = "added-1.txt";
const THIRD: &str = "added-2.txt";

#[track_caller]
fn holds(ran: Ran, present: &[&str], absent: &[&str]) {
    let ran = ran.exits(0);
    let names: Vec<_> = ran.text().lines().collect();
    assert!(present.iter().all(|name| names.contains(name)), "{names:?}");
    assert!(!absent.iter().any(|name| names.contains(name)), "{names:?}");
}

#[test]
fn latest_of_several_sources_is_ambiguous() {
    let ran = ls("latest").exits(1).says(&["error: latest is ambiguous", "hint:"]);
    let listed: Vec<_> = ran.stderr.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    let sources = [
        "app-src@media:/data",
        "app@media:/data",
        "app@media:/data/hello.txt",
        "app@other:/data",
        "db@media:/var/lib/db",
    ];
    assert_eq!(listed, sources);
    KopiaRs::golden("tricky", "ls latest/links").run().exits(0);
}

#[test]
fn a_source_means_its_newest_snapshot() {
    holds(ls("app@media:/data"), &[THIRD], &[FIRST]);
    holds(ls("app@media:/data/sub"), &["zeros"], &[]);
    // The longest source that is a prefix counts, component by component.
    assert_eq!(ls("app@media:/data/hello.txt").exits(0).text(), "hello.txt\n");
    ls("app@media:/dat").exits(1).says(&["of app@media:/dat not found", "    app@media:/data"]);
    ls("app@media:/data/hello.txt/x").exits(1);
}

#[test]
fn a_time_chooses_by_the_end_of_its_unit() {
    let at = |time: &str| ls(&format!("app@media:/data --at {time}"));
    for time in [
        "2026-01",
        "2026-01-02",
        "2026-01-02T03",
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.0Z",
        "2026-02-01",
    ] {
        holds(at(time), &[FIRST], &[SECOND, THIRD]);
    }
    for time in ["2026-02", "2026-02-02T04:04:05+01:00", "2026-03-02T03:04:04.999999999Z"] {
        holds(at(time), &[SECOND], &[FIRST, THIRD]);
    }
    for time in ["2026", "2026-03", "2027"] {
        holds(at(time), &[THIRD], &[FIRST]);
    }
    let ran = at("2026-01-01")
        .exits(1)
        .says(&["complete snapshot of app@media:/data before 2026-01-02T00:00:00Z not found"]);
    assert!(ran.stderr.contains("    d10d05992f2f195f9795d75c690b50ef 2026-01-02T03:04:05Z app@media:/data"));
}

#[test]
fn the_local_zone_counts_and_is_told() {
    let in_zone = |zone: &str, time: &str| {
        let command =
            KopiaRs::golden("sources", "ls app@media:/data").arg(format!("--at={time}")).env("TZ", zone);
        command.run()
    };
    // POSIX zones need no database. Nine hours west of UTC it is still the first of February then.
    holds(in_zone("XXX9", "2026-02-01"), &[SECOND], &[FIRST]);
    holds(in_zone("UTC0", "2026-02-01"), &[FIRST], &[SECOND]);
    in_zone("XXX9", "2026-02-01").says(&[
        "note: newest before 2026-02-02 00:00:00 XXX: app@media:/data, 2026-02-01 18:04:05 XXX (snapshot ",
    ]);
    holds(in_zone("UTC0", "2026-02-02 03:04"), &[SECOND], &[FIRST]);
    assert_eq!(in_zone("XXX9", "2026-02-02T03:04:05Z").exits(0).stderr, "");
}

#[test]
fn ids_and_what_lies_below() {
    for what in ["d10d05992f2f195f9795d75c690b50ef", "d10d", "d10d059/", "kf64b5326b106469a05e8a093f9d5dd98"]
    {
        holds(ls(what), &[FIRST], &[SECOND]);
    }
    holds(ls("c3bc/sub//deeper"), &["mixed"], &[]);
    holds(ls("k41691c442dfb24587cf7b485cbfce8e3/sub"), &["zeros"], &[]);
    let cat = KopiaRs::golden("sources", "cat 810d4d20702c233194e7c6561aea4aac").run().exits(0);
    assert_eq!(cat.text(), "hello again 2\n");
    ls("d10").exits(1).says(&["\"d10\" not found"]);
    ls("ffffffff").exits(1).says(&["not found", "    app@media:/data"]);
    ls("c3bc/nope").exits(1).says(&["/nope"]);
    ls("c3bc/hello.txt/nope").exits(1).says(&["is not a folder"]);
}

#[test]
fn nothing_can_be_chosen_where_an_id_is_given() {
    let ids = [
        "d10d",
        "d10d05992f2f195f9795d75c690b50ef",
        "kf64b5326b106469a05e8a093f9d5dd98",
        "810d4d20702c233194e7c6561aea4aac",
    ];
    for id in ids {
        ls(&format!("{id} --at 2026")).exits(2).says(&[id, "--at"]);
        ls(&format!("{id} --incomplete")).exits(2).says(&[id, "--incomplete"]);
    }
}

/// Adds a snapshot of one day of January: of a file, or of a folder with files, each named with what it
/// holds.
fn snapshot(writer: &mut RepositoryWriter, source: &str, day: u32, files: &[(&str, &str)]) {
    let file = |writer: &mut RepositoryWriter, name: &str, text: &str| json!({"name": name, "type": "f", "mode": "0644", "size": text.len(), "obj": writer.file(text.as_bytes())});
    let (user, rest) = source.split_once('@').unwrap();
    let (host, path) = rest.split_once(':').unwrap();
    let root = if let [("", text)] = files {
        file(writer, path.rsplit('/').next().unwrap(), text)
    } else {
        let entries: Vec<_> = files.iter().map(|(name, text)| file(writer, name, text)).collect();
        json!({"name": "root", "type": "d", "mode": "0755", "obj": writer.directory(&entries)})
    };
    let time = format!("2026-01-{day:02}T00:00:00Z");
    let source = json!({"host": host, "userName": user, "path": path});
    writer.manifest(json!({"source": source, "startTime": time, "endTime": time, "rootEntry": root}));
}

fn nested(place: &Place) -> PathBuf {
    let repository = place.path("repository");
    written(&repository, |writer| {
        snapshot(writer, "u@h:/a/b.txt", 1, &[("", "own")]);
        snapshot(writer, "u@h:/a", 2, &[("b.txt", "in a, first"), ("c", "c")]);
        snapshot(writer, "u@h:/a", 14, &[("b.txt", "in a, second")]);
        snapshot(writer, "u@h:/", 20, &[("other", "x")]);
        snapshot(writer, "u@h:C:\\Users\\Bob", 3, &[("with space", "bob"), ("dir", "d")]);
        snapshot(writer, "v@nas:/srv", 4, &[("name\u{fffd}\u{fffd}", "odd"), ("new\nline", "two lines")]);
        snapshot(writer, "v@nas:/a", 5, &[("d", "d")]);
    });
    repository
}

#[test]
fn a_path_below_several_sources_is_that_of_the_newest_snapshot_that_has_it() {
    let place = Place::new();
    let repository = nested(&place);
    let cat = |arguments: &str| KopiaRs::written(&repository, &format!("cat {arguments}")).run();
    let ran = cat("u@h:/a/b.txt")
        .exits(0)
        .says(&["note: u@h:/a has it newer (2026-01-14 ", "than u@h:/a/b.txt itself"]);
    assert_eq!(ran.text(), "in a, second");
    assert_eq!(cat("u@h:/a/b.txt --at 2026-01-10").exits(0).text(), "in a, first");
    let own = cat("u@h:/a/b.txt --at 2026-01-01").exits(0);
    assert_eq!((own.text(), own.stderr.contains("newer")), ("own", false));
    // Only the newest snapshot of the source itself counts where nothing else has the path.
    cat("u@h:/a/c").exits(1).says(&["/c"]);
    assert_eq!(cat("u@h:/other").exits(0).text(), "x");
}

#[test]
fn paths_of_windows_are_taken_as_windows_writes_them() {
    let place = Place::new();
    let repository = nested(&place);
    for name in
        ["u@h:C:\\Users\\Bob\\with space", "u@h:C:/Users/Bob/with space", "u@h:C:\\Users\\Bob/with space"]
    {
        assert_eq!(KopiaRs::written(&repository, "cat").arg(name).run().exits(0).text(), "bob", "{name}");
    }
    KopiaRs::written(&repository, "ls u@h:C:\\Users\\Bob\\").run().exits(0);
    KopiaRs::written(&repository, "ls u@h:C:\\Users\\Bobby").run().exits(1);
}

#[track_caller]
fn ran_hint(ran: &Ran, hint: &str) {
    assert!(ran.stderr.contains(&format!("hint: {hint}")), "{}", ran.stderr);
}

#[test]
fn what_stands_for_nothing_is_named_and_so_is_what_comes_near() {
    let place = Place::new();
    let repository = nested(&place);
    let listed = |ran: &Ran| -> Vec<String> {
        ran.stderr.lines().filter_map(|line| Some(line.strip_prefix("    ")?.to_string())).collect()
    };
    let ls = |what: &str| KopiaRs::written(&repository, "ls").arg(what).run().exits(1);
    let ran = ls("/a").says(&["error: source \"/a\" not found"]);
    assert_eq!(listed(&ran)[..2], ["u@h:/a", "v@nas:/a"]);
    ls("/srv/x").says(&["error: ", "/x"]);
    let ran = ls("nas:/b").says(&["error: source \"nas:/b\" not found"]);
    assert_eq!(listed(&ran)[0], "u@h:/");
    ran_hint(&ls("/a"), "give user and host, for example ");
    ls("v").says(&["error: \"v\" is ambiguous", "    v@nas:/a", "    v@nas:/srv"]);
    KopiaRs::written(&repository, "snapshots nowhere")
        .run()
        .exits(1)
        .says(&["snapshot of nowhere not found"]);
    let ran = KopiaRs::written(&repository, "restore latest").arg(place.path("target")).run().exits(1);
    ran.says(&["for example: kopia-rs restore ", " TARGET"]);
    KopiaRs::written(&repository, "cat latest/x").run().exits(1).says(&["for example: kopia-rs cat ", "/x"]);
    // A snapshot of a single file has nothing below it.
    let id = KopiaRs::written(&repository, "snapshots u@h:/a/b.txt --json").run().json()[0]["id"].clone();
    ls(&format!("{}/below", id.as_str().unwrap())).says(&["error: b.txt is not a folder"]);
}

#[test]
fn names_that_are_not_utf_8_are_found_as_kopia_stored_them() {
    let place = Place::new();
    let repository = nested(&place);
    let name = OsStr::from_bytes(b"v@nas:/srv/name\xe2\x82");
    assert_eq!(KopiaRs::written(&repository, "cat").arg(name).run().exits(0).text(), "odd");
    let target = place.path("target");
    KopiaRs::written(&repository, "restore").arg(name).arg(&target).run().exits(0);
    assert_eq!(std::fs::read(target).unwrap(), b"odd");
}

#[test]
fn names_end_with_a_nul_byte_where_that_is_asked_for() {
    let place = Place::new();
    let repository = nested(&place);
    let ls = |arguments: &str| {
        KopiaRs::written(&repository, &format!("ls v@nas:/srv {arguments}")).run().exits(0).stdout
    };
    assert_eq!(ls("-0"), "name\u{fffd}\u{fffd}\0new\nline\0".as_bytes());
    assert_eq!(ls("--null -R"), ls("-0"));
    assert_eq!(ls("").iter().filter(|&&byte| byte == b'\n').count(), 3);
    KopiaRs::written(&repository, "ls v@nas:/srv -0 --json").run().exits(2);
}

#[test]
fn a_part_of_a_source_will_do_where_no_other_has_it() {
    let place = Place::new();
    let repository = nested(&place);
    let ls = |what: &str| KopiaRs::written(&repository, "ls").arg(what).run().exits(0);
    for what in ["/srv", "nas:/srv", "NAS:/srv/", "srv"] {
        let ran = ls(what).says(&["note: v@nas:/srv, 2026-01-04 00:00:00 UTC (snapshot "]);
        assert!(ran.text().contains("new\nline"), "{what}");
    }
    assert_eq!(ls("C:\\Users\\Bob").text(), "with space\ndir\n");
    assert_eq!(ls("bob").text(), "with space\ndir\n");
    assert!(!ls("v@nas:/srv").stderr.contains("note:"));
    let cat = KopiaRs::written(&repository, "cat bob/dir").run().exits(0);
    assert_eq!(cat.text(), "d");
}

#[test]
fn a_path_alone_is_this_machines() {
    let place = Place::new();
    let repository = place.path("repository");
    let here = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let here = here.trim().split('.').next().unwrap().to_lowercase();
    written(&repository, |writer| {
        snapshot(writer, &format!("me@{here}:/etc"), 1, &[("f", "mine")]);
        snapshot(writer, &format!("you@{here}:/etc"), 2, &[("f", "yours")]);
        snapshot(writer, "me@elsewhere:/etc", 3, &[("f", "elsewhere")]);
    });
    let cat = |user: &str, arguments: &str| {
        let command = KopiaRs::written(&repository, &format!("cat {arguments}")).env("USER", user);
        command.run()
    };
    assert_eq!(cat("me", "/etc/f").exits(0).text(), "mine");
    assert_eq!(cat("you", "/etc/f").exits(0).text(), "yours");
    // Nobody says whose is meant of two on this machine.
    cat("they", "/etc/f").exits(1).says(&["source \"/etc/f\" not found"]);
    assert_eq!(cat("they", "elsewhere:/etc/f").exits(0).text(), "elsewhere");
    assert_eq!(cat("they", "/etc/f --host elsewhere").exits(0).text(), "elsewhere");
    assert_eq!(cat("they", "latest/f -u you").exits(0).text(), "yours");
}

#[test]
fn snapshots_are_counted_back_from_the_newest_or_taken_from_the_other_end() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        for (day, text) in [(1, "one"), (2, "two"), (3, "three")] {
            snapshot(writer, "u@h:/a", day, &[("f", text)]);
        }
    });
    let cat = |arguments: &str| KopiaRs::written(&repository, &format!("cat {arguments}")).run();
    for (arguments, text) in [
        ("latest/f", "three"),
        ("latest~0/f", "three"),
        ("latest~1/f", "two"),
        ("latest~2/f", "one"),
        ("oldest/f", "one"),
        ("latest/f --at latest", "three"),
        ("u@h:/a/f --at oldest", "one"),
        ("latest~1/f --at 2026-01-02", "one"),
        ("latest/f --at 1d", "three"),
    ] {
        assert_eq!(cat(arguments).exits(0).text(), text, "{arguments}");
    }
    cat("latest~1/f").says(&["note: u@h:/a, 2026-01-02 00:00:00 UTC (snapshot "]);
    cat("latest~3/f").exits(1).says(&["complete snapshot number 3 before the newest not found"]);
    cat("latest/f --at 100y").exits(1).says(&["note: looked for the newest before "]);
    cat("latest/f --at some-day").exits(2).says(&["not understood", "yesterday", "3-days-ago"]);
}

#[test]
fn filters_narrow_lists_and_choices() {
    let place = Place::new();
    let repository = place.path("repository");
    written(&repository, |writer| {
        for (day, source, tag) in [
            (1, ["u", "h", "/home/anna"], "prod"),
            (2, ["u", "h", "/home/anna"], "test"),
            (3, ["v", "nas", "/srv"], "prod"),
            (4, ["u", "h", "/etc"], "test"),
        ] {
            let [user, host, path] = source;
            let file = writer.file(path.as_bytes());
            let file = json!({"name": "f", "type": "f", "mode": "0644", "size": path.len(), "obj": file});
            let root = json!({"name": "r", "type": "d", "mode": "0755", "obj": writer.directory(&[file])});
            let time = format!("2026-01-{day:02}T00:00:00Z");
            let source = json!({"host": host, "userName": user, "path": path});
            writer.manifest(json!({"source": source, "startTime": time, "endTime": time, "rootEntry": root,
                "tags": {"tag:env": tag}}));
        }
    });
    let days = |arguments: &str| -> Vec<String> {
        let ran = KopiaRs::written(&repository, &format!("snapshots --json {arguments}")).run().exits(0);
        let json = ran.json();
        let day = |one: &serde_json::Value| one["startTime"].as_str().unwrap()[8..10].to_owned();
        json.as_array().unwrap().iter().map(day).collect()
    };
    assert_eq!(days(""), ["04", "01", "02", "03"]);
    assert_eq!(days("-H NAS"), ["03"]);
    assert_eq!(days("--host nas --host h -u u"), ["04", "01", "02"]);
    assert_eq!(days("--source-path /home"), ["01", "02"]);
    assert_eq!(days("--source-path /hom --source-path /srv/"), ["03"]);
    assert_eq!(days("--tag env=prod"), ["01", "03"]);
    assert_eq!(days("--tag env:test -n 1"), ["04", "02"]);
    assert_eq!(days("--tag env"), ["04", "01", "02", "03"]);
    assert_eq!(days("--last 1"), ["04", "02", "03"]);
    assert_eq!(days("h"), ["04", "01", "02"]);
    assert_eq!(days("u@h --last 1"), ["04", "02"]);
    assert_eq!(days("/etc"), ["04"]);
    assert_eq!(days("h:/home/anna/"), ["01", "02"]);
    let run = |arguments: &str| KopiaRs::written(&repository, arguments).run();
    assert_eq!(run("cat latest/f --source-path /home --tag env=prod").exits(0).text(), "/home/anna");
    run("snapshots --host none").exits(1).says(&["snapshot of such a host", "    v@nas:/srv"]);
    run("ls latest --tag env=none").exits(1).says(&["snapshot of such a host"]);
    run("ls latest -u u").exits(1).says(&["latest is ambiguous"]);
    run("ls latest --tag =x").exits(2).says(&["KEY=VALUE"]);
}
