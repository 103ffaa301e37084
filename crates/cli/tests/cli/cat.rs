//! `cat`: several files, and some of their bytes.

use kopia_testkit::damage;
use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{KopiaRs, Place};

/// Two files: `a` of 10,000 bytes in pieces of 1,000, and `b` of four.
fn repository(place: &Place) -> impl Fn(&str) -> KopiaRs {
    let path = place.path("repo");
    let mut writer = RepositoryWriter::new().piece_size(1000);
    let (a, b) = (writer.file(&bytes()), writer.file(b"rest"));
    let file = |name: &str, object: &str, size: usize| json!({"name": name, "type": "f", "mode": "0644", "size": size, "obj": object});
    let root = writer.directory(&[file("a", &a, 10_000), file("b", &b, 4)]);
    writer.snapshot("a@b:/c", json!({"name": "c", "type": "d", "mode": "0755", "obj": root}));
    writer.finish_in(&path).unwrap();
    move |arguments| KopiaRs::written(&path, arguments)
}

fn bytes() -> Vec<u8> {
    (0..10_000_u32).map(|place| (place / 7) as u8).collect()
}

#[test]
fn files_are_written_one_after_the_other() {
    let place = Place::new();
    let run = repository(&place);
    let both = [&bytes()[..], b"rest"].concat();
    assert!(run("cat latest/a latest/b").run().exits(0).stdout == both);
    let ran = run("cat latest/a latest/none").run().exits(1).says(&["/none"]);
    assert!(ran.stdout.is_empty(), "nothing is written before all are found");
    run("cat latest/a latest").run().exits(1).says(&["latest is a folder", "kopia-rs export"]);
}

#[test]
fn a_range_is_cut_out_of_each() {
    let place = Place::new();
    let run = repository(&place);
    let bytes = bytes();
    for (range, expected) in [
        ("0-0", &bytes[..1]),
        ("990-2009", &bytes[990..2010]),
        ("9999-", &bytes[9999..]),
        ("-1500", &bytes[8500..]),
        ("10000-", &[]),
        ("3000-3999", &bytes[3000..4000]),
        ("0-99999", &bytes),
    ] {
        let ran = run(&format!("cat latest/a --range {range}")).run().exits(0);
        assert!(ran.stdout == expected, "{range}");
    }
    let ran = run("cat latest/a latest/b --range -2").run().exits(0);
    assert_eq!(ran.stdout, [&bytes[9998..], b"st"].concat());
    run("cat latest/b --range 5-").run().exits(1).says(&["latest/b has 4 bytes, and none from there on"]);
    run("cat latest/a --range 9-1").run().exits(2).says(&["write 0-99 for the first 100 bytes"]);
}

#[test]
fn damage_beside_a_range_does_not_matter() {
    let place = Place::new();
    let run = repository(&place);
    damage::blobs(&place.path("repo"), "p")[0].flip_bit(32 + 5 * 1028 + 100, 0);
    let ran = run("cat latest/a --range 0-4999").run().exits(0);
    assert!(ran.stdout == bytes()[..5000]);
    run("cat latest/a --range 6000-").run().exits(0);
    let ran = run("cat latest/a --range 4000-6000").run().exits(1);
    assert!(ran.stdout == bytes()[4000..5000]);
}
