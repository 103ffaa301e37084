//! Takes the seeds of the fuzz targets out of the golden repositories, and writes some of its own:
//! `cargo run --package kopia-fuzzkit --example seeds`.
//!
//! Of what has the same shape the shortest is taken. What is there already stays, finds above all.

#[path = "seeds/golden.rs"]
mod golden;
#[path = "seeds/own.rs"]
mod own;
#[path = "seeds/remote.rs"]
mod remote;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::{fs, io};

use kopia_codec::hash::{HashAlgorithm, Hasher};
use serde_json::Value;

/// Longer ones are of little use: a fuzzer changes few bytes at a time. Whole repositories have longer ones.
const LONGEST: usize = 4096;
const LONGEST_REPOSITORY: usize = 16 << 10;

/// Seeds by target and shape.
#[derive(Default)]
struct Seeds(BTreeMap<(&'static str, String), Vec<u8>>);

impl Seeds {
    /// Adds a seed, unless there is a shorter one of that shape.
    fn add(&mut self, target: &'static str, shape: impl Debug, bytes: &[u8]) {
        assert!(kopia_fuzzkit::target(target).is_some(), "{target} is a target");
        let known = self.0.entry((target, format!("{shape:?}"))).or_insert_with(|| bytes.to_vec());
        if bytes.len() < known.len() {
            *known = bytes.to_vec();
        }
    }

    /// Adds JSON; its shape is the set of its fields.
    fn add_json(&mut self, target: &'static str, bytes: &[u8]) {
        let Ok(json) = serde_json::from_slice(bytes) else { return };
        let mut fields = Vec::new();
        collect_fields(&json, &mut fields);
        fields.sort();
        fields.dedup();
        self.add(target, fields.join(","), bytes);
    }

    fn write(self, directory: &Path) -> io::Result<()> {
        let hasher = Hasher::new(HashAlgorithm::Blake2b256_128, &[0]).expect("the key is short enough");
        for ((target, _), bytes) in self.0 {
            let longest = if target == "repository" { LONGEST_REPOSITORY } else { LONGEST };
            if bytes.len() <= longest {
                let name: String =
                    hasher.hash(&bytes).as_bytes()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
                fs::create_dir_all(directory.join(target))?;
                fs::write(directory.join(target).join(name), bytes)?;
            }
        }
        Ok(())
    }
}

fn collect_fields(json: &Value, fields: &mut Vec<String>) {
    match json {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            // Tags and labels have names of their own.
            if name.starts_with(|first: char| first.is_ascii_lowercase()) && !name.contains(':') {
                fields.push(name.clone());
            }
            if name == "type" {
                fields.push(value.to_string());
            }
            collect_fields(value, fields);
        }),
        Value::Array(list) => list.iter().for_each(|value| collect_fields(value, fields)),
        _ => {}
    }
}

fn main() -> io::Result<()> {
    let mut seeds = Seeds::default();
    golden::add(&mut seeds);
    own::add(&mut seeds);
    remote::add(&mut seeds);
    seeds.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus-seeds"))
}
