//! Few open files: 64, as some containers have it, and fewer.

use std::process::Command;

use kopia_testkit::random::Random;
use kopia_testkit::writer::RepositoryWriter;
use serde_json::Value;

use crate::common::{NEW, OLD, Place, assert_same, clean, entry, run};

/// How many files may be open.
const LIMITS: [u32; 2] = [64, 24];

#[test]
fn few_handles_are_enough() {
    let place = Place::of(tree);
    let (old, new) = (place.fresh(OLD), place.fresh(NEW));
    for limit in LIMITS {
        for threads in [1, 2, 16] {
            let target = place.path(&format!("target-{limit}-{threads}"));
            let restored = |source: &str, options: &str| {
                let options = format!("{options} --delete-extra --parallel {threads}");
                run(&mut limited(&place.restore(source, &target, &options), limit));
                let expected = if source == OLD { &old } else { &new };
                assert_same(expected, &target, &format!("{limit} files, {threads} threads, {options}"));
            };
            restored(OLD, "");
            restored(NEW, "--existing verify");
            restored(NEW, "--existing verify");
            restored(OLD, "--in-place");
            restored(NEW, "--existing overwrite");
        }
        run(&mut limited(&place.command("verify"), limit));
    }
}

/// A command that may have so many files open, and not more by asking.
fn limited(command: &Command, limit: u32) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n $1; shift; exec \"$@\"", "sh", &limit.to_string()]);
    limited.arg(command.get_program()).args(command.get_args());
    clean(&mut limited);
    limited
}

/// Large files whose first pieces lie together, then their second ones, so that all are begun before any has
/// its last; and folders in folders.
fn tree(writer: &mut RepositoryWriter, version: u64) -> Value {
    const FILES: u64 = 150;
    let piece = |file: u64, piece: u64| {
        let changed = if piece == 1 { version } else { 0 };
        Random::new(file * 100 + piece * 10 + changed).bytes(4000)
    };
    for number in 0..3 {
        (0..FILES).for_each(|file| _ = writer.content(None, &piece(file, number)));
    }
    let mut entries: Vec<_> = (0..FILES)
        .map(|file| {
            let bytes: Vec<u8> = (0..3).flat_map(|number| piece(file, number)).collect();
            entry("f", &format!("large{file:03}"), "0644", &writer.file(&bytes), bytes.len())
        })
        .collect();
    let mut inner = writer.directory(&[]);
    for level in 0..60_u64 {
        let bytes = Random::new(level + version).bytes(100);
        let file = entry("f", "file", "0644", &writer.file(&bytes), 100);
        inner = writer.directory(&[entry("d", "deeper", "0755", &inner, 0), file]);
    }
    entries.push(entry("d", "deep", "0755", &inner, 0));
    let root = writer.directory(&entries);
    entry("d", "data", "0755", &root, 0)
}
