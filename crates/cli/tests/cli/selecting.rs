//! How WHAT and --at choose.

use crate::common::{KopiaRs, Ran};

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
    in_zone("XXX9", "2026-02-01").says(&["before 2026-02-02 00:00:00 -09:00 (2026-02-02T09:00:00Z)"]);
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
