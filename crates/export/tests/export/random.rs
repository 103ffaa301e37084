//! Trees that are made up, exported with windows that are made up: each is what a restore makes of it.

use kopia_export::Format;
use kopia_testkit::random::Random;
use kopia_testkit::tree::Tree;
use kopia_testkit::writer::RepositoryWriter;
use serde_json::{Value, json};

use crate::common::{Place, assert_same, exported, options, untar};

/// How many trees are made up.
const ROUNDS: u64 = 24;

/// Writes a folder that is made up, and returns its object.
fn directory(writer: &mut RepositoryWriter, random: &mut Random, depth: usize) -> String {
    let mut entries = Vec::new();
    for number in 0..random.within(0..8) {
        // Each by a name of its own, some of them long or of several bytes a letter.
        let letter = ["a", "é", " ", "~", "日"][random.within(0..5)];
        let name = format!("{number}{}", letter.repeat(random.within(0..80)));
        entries.push(entry(writer, random, &name, depth));
    }
    writer.directory(&entries)
}

fn entry(writer: &mut RepositoryWriter, random: &mut Random, name: &str, depth: usize) -> Value {
    let seconds = random.within(100_000..2_000_000_000);
    let time =
        format!("{}-01-01T00:00:00.{:09}Z", 1970 + seconds / 100_000_000, random.within(0..1_000_000_000));
    let mode = ["0644", "0755", "0700", "040000711", "0555"][random.within(0..5)];
    let mut entry = json!({"name": name, "mode": mode, "uid": random.within(0..5), "gid": 5, "mtime": time});
    let (kind, size, object) = match random.within(0..10) {
        0..3 if depth < 5 => ("d", 0, directory(writer, random, depth + 1)),
        3 => {
            let target = random.bytes(1 + random.clone().within(0..200));
            let target: Vec<u8> = target.into_iter().map(|byte| byte.max(1)).collect();
            ("s", target.len(), writer.file(&target))
        }
        4 => {
            let bytes = vec![random.within(0..3) as u8; random.within(0..20_000)];
            ("f", bytes.len(), writer.file(&bytes))
        }
        _ => {
            let count = random.within(0..3000);
            ("f", count, writer.file(&random.bytes(count)))
        }
    };
    entry["type"] = kind.into();
    entry["size"] = size.into();
    entry["obj"] = object.into();
    entry
}

#[test]
fn an_archive_is_what_a_restore_is() {
    for seed in 0..ROUNDS {
        let place = Place::new();
        let mut random = Random::new(seed);
        let root = place.root(RepositoryWriter::new().piece_size(700), |writer| {
            let object = directory(writer, &mut random, 0);
            crate::common::folder("data", &object)
        });
        let mut options = options([Format::Tar, Format::TarGz][random.within(0..2)]);
        options.window = [1, 5000, 100_000, 64 << 20][random.within(0..4)];
        let (archive, outcome) = exported(&root, &options);
        assert_eq!(outcome.problem_count, 0, "{seed}: {outcome:?}");
        let packed = options.format == Format::TarGz;
        let archive = if packed { unzipped(&archive) } else { archive };
        let found = Tree::scan(untar(&place, &archive, "unpacked"));
        assert_same(&Tree::scan(place.restored(&root, "restored")), &found, &format!("seed {seed}"));
    }
}

fn unzipped(archive: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(archive), &mut plain).expect("it is gzip");
    plain
}
