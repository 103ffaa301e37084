//! Replays the seeds and finds of all fuzz targets, and what a dull fuzzer would make of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use kopia_fuzzkit::{TARGETS, Target};

/// How many bytes all seeds may have together: they are there for tests, not as a corpus to fuzz with for
/// weeks.
const MOST: usize = 512 << 10;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The seeds of a target with their paths, sorted.
fn seeds(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = fuzz().join("corpus-seeds").join(target.name);
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[track_caller]
fn run(target: &Target, bytes: &[u8], what: &dyn std::fmt::Display) {
    assert!(catch_unwind(|| (target.run)(bytes)).is_ok(), "{}: {what}", target.name);
}

#[test]
fn seeds_and_finds_keep_every_promise() {
    let mut total = 0;
    for target in TARGETS {
        let seeds = seeds(&target);
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for (path, bytes) in seeds {
            total += bytes.len();
            run(&target, &bytes, &path.display());
        }
    }
    assert!(total <= MOST, "the seeds have {total} bytes");
}

#[test]
fn so_do_seeds_that_are_cut_short_or_have_one_wrong_byte() {
    // A repository takes a while, and what it consists of is tried by itself.
    for target in TARGETS.iter().filter(|target| target.name != "repository") {
        for (path, bytes) in seeds(target).into_iter().filter(|(_, bytes)| bytes.len() <= 600) {
            for place in 0..bytes.len() {
                run(target, &bytes[..place], &format_args!("{} cut to {place}", path.display()));
                let mut wrong = bytes.clone();
                for change in [0x01, 0x80, 0xff] {
                    wrong[place] = bytes[place] ^ change;
                    run(target, &wrong, &format_args!("{} with byte {place} ^ {change}", path.display()));
                }
            }
        }
    }
}

#[test]
fn every_target_can_be_fuzzed() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let binaries: Vec<_> = manifest.lines().filter_map(|line| line.strip_prefix("name = ")).skip(1).collect();
    let names: Vec<_> = TARGETS.iter().map(|target| format!("{:?}", target.name)).collect();
    assert_eq!(binaries, names, "fuzz/Cargo.toml lists other targets");
    for target in TARGETS {
        let source = fuzz().join("fuzz_targets").join(target.name).with_extension("rs");
        let source =
            fs::read_to_string(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        assert!(source.contains(&format!("::{}(bytes)", target.name)), "{source}");
    }
}
