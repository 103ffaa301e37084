//! What the golden repositories hold, opened.

use std::collections::HashMap;
use std::fs;

use kopia_codec::cipher::{Cipher, Encryption};
use kopia_codec::compression::{Compression, Decompressor, split_header};
use kopia_codec::ecc::Ecc;
use kopia_codec::key::{KeyDerivation, Password};
use kopia_format::format_blob::{BLOB_ID, Envelope, RepositoryFormat};
use kopia_format::{BlobId, ContentId, ObjectId};
use kopia_repository::Repository;
use kopia_storage::{BlobStore, FilesystemStore};
use kopia_testkit::golden::{Case, cases, root};

use crate::Seeds;

pub(crate) fn add(seeds: &mut Seeds) {
    for case in cases() {
        let store = FilesystemStore::open(&case.repository).expect("a golden repository");
        if let Ok(shards) = fs::read(case.repository.join(".shards")) {
            seeds.add_json("shards", &shards);
        }
        let keys = Keys::open(&store, &case, seeds);
        blobs(seeds, &store, &keys);
        let password = Password::from(&*case.password);
        let repository = Repository::open(store, &password).expect("a golden repository opens");
        contents(seeds, &repository);
        if ["tricky", "era-v0.5.2", "split-z-v1"].contains(&&*case.name) {
            repositories(seeds, &repository, &case.name);
        }
    }
    compressed(seeds);
}

/// What opens the blobs of a repository.
struct Keys {
    cipher: Cipher,
    ecc: Option<(u32, Ecc)>,
}

impl Keys {
    fn open(store: &FilesystemStore, case: &Case, seeds: &mut Seeds) -> Self {
        let outer = store.read(&BlobId::new(BLOB_ID).expect("a name")).expect("the format blob");
        seeds.add_json("format_blob", &outer);
        let blob = Envelope::parse(&outer).expect("the format blob");
        let derivation = KeyDerivation::from_name(&blob.key_algorithm).expect("a known derivation");
        let key = derivation.derive(&Password::from(&*case.password), &blob.unique_id).expect("a salt");
        let inner = key.open(&blob.unique_id, &blob.sealed_format).expect("the password");
        seeds.add_json("format_blob", &inner);
        let format = RepositoryFormat::parse(&inner).expect("a format");
        let percent = format.ecc_overhead_percent;
        let ecc = Ecc::new(&format.ecc, percent).ok().map(|ecc| (percent, ecc));
        let encryption = Encryption::from_name(&format.encryption).expect("a known cipher");
        Self { cipher: Cipher::new(encryption, &format.master_key), ecc }
    }

    /// Opens an index blob or a compaction log, if it is one.
    fn unseal(&self, id: &BlobId, stored: &[u8]) -> Option<Vec<u8>> {
        let name = id.as_str().split('-').next()?;
        let digits = name.get(name.len().checked_sub(32)?..)?;
        let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let iv: Vec<u8> = (0..32).step_by(2).map(byte).collect::<Option<_>>()?;
        let (mut sealed, mut plain) = (stored.to_vec(), Vec::new());
        if let Some((_, ecc)) = &self.ecc {
            let _ = ecc.decode(stored, &mut sealed).ok()?;
        }
        self.cipher.open(&iv, &sealed, &mut plain).ok()?;
        Some(plain)
    }
}

/// Index blobs, compaction logs, names of epoch blobs, ends of packs.
fn blobs(seeds: &mut Seeds, store: &FilesystemStore, keys: &Keys) {
    let mut names = Vec::new();
    for blob in store.list("").expect("a golden repository") {
        let stored = store.read(&blob.id).expect("a golden repository");
        match blob.id.as_str().as_bytes() {
            [b'x', ..] => names.push(blob.id.to_string()),
            [b'p' | b'q', ..] => {
                seeds.add("postamble", stored.len() % 4, &stored[stored.len() - stored.len().min(64)..]);
            }
            _ => {}
        }
        if let Some((percent, _)) = keys.ecc
            && stored.len() < crate::LONGEST
        {
            seeds.add("ecc", (percent, stored.len() / 500), &[&[percent as u8, 0], &stored[..]].concat());
        }
        match keys.unseal(&blob.id, &stored) {
            Some(log) if blob.id.as_str().starts_with('m') => seeds.add_json("compaction_log", &log),
            Some(index) => match index.split_first() {
                Some((1, rest)) => seeds.add("index_v1", (rest[0], index.len() / 1000), rest),
                Some((2, rest)) => {
                    seeds.add("index_v2", (rest[0], rest[2], rest[11], index.len() / 1000), rest);
                }
                _ => {}
            },
            None => {}
        }
    }
    let kinds: Vec<_> = names.iter().filter_map(|name| name.get(..3)).collect();
    seeds.add("epoch", kinds.concat(), names.join("\n").as_bytes());
}

/// Directories, lists, manifests, ids and times.
fn contents(seeds: &mut Seeds, repository: &Repository) {
    let mut ids = Vec::new();
    repository.contents().for_each(|id, _| ids.push(id));
    for id in ids {
        let Ok(bytes) = repository.contents().read(&id) else { continue };
        seeds.add("object_id", (id.prefix(), id.hash().len()), id.to_string().as_bytes());
        match id.prefix() {
            Some('k') => seeds.add_json("directory", &bytes),
            Some('x') => seeds.add_json("indirect", &bytes),
            Some('m') => {
                let mut json = Vec::new();
                let gunzipped =
                    Decompressor::new().decompress_within(Compression::Gzip, &bytes, 1 << 20, &mut json);
                if gunzipped.is_ok() {
                    manifests(seeds, &json);
                }
            }
            _ => {}
        }
    }
}

fn manifests(seeds: &mut Seeds, json: &[u8]) {
    seeds.add_json("manifest", json);
    for manifest in kopia_format::manifest::parse(json).expect("a golden manifest") {
        let Some(data) = manifest.data.as_ref().filter(|_| manifest.is_snapshot()) else { continue };
        seeds.add_json("snapshot", data.get().as_bytes());
        let snapshot = kopia_format::snapshot::SnapshotManifest::parse(&manifest).expect("a golden snapshot");
        seeds.add("names", "source", snapshot.source().to_string().as_bytes());
        let json: serde_json::Value = serde_json::from_str(data.get()).expect("it was parsed");
        let time = json["startTime"].as_str().unwrap_or_default();
        seeds.add("time", time.len(), time.as_bytes());
    }
}

/// The vectors, which kopia's own compressors made.
fn compressed(seeds: &mut Seeds) {
    let directory = root().join("../vectors/compression");
    for file in fs::read_dir(directory).expect("the vectors") {
        let bytes = fs::read(file.expect("the vectors").path()).expect("the vectors");
        let (compression, stream) = split_header(&bytes).expect("a header");
        let target = match compression.id() >> 8 {
            0x10 | 0x13 => "gzip",
            0x11 => "zstd",
            0x12 => "s2",
            0x14 => "lz4",
            _ => "deflate",
        };
        let mut plain = Vec::new();
        let within = Decompressor::new().decompress_within(compression, stream, 1 << 20, &mut plain);
        within.expect("the vectors are right");
        let length = u16::try_from(plain.len()).unwrap_or(u16::MAX).to_be_bytes();
        seeds.add(target, (compression.name(), stream.len() / 600), &[&length, stream].concat());
    }
}

/// A whole repository as sections, as far as 256 contents go: ids become short, and so do files.
fn repositories(seeds: &mut Seeds, repository: &Repository, name: &str) {
    let snapshots = repository.snapshots().expect("golden snapshots");
    let Some(snapshot) = snapshots.iter().next() else { return };
    let mut sections = vec![(b'm', manifest_of(snapshot).into_bytes())];
    let mut ids: Vec<ObjectId> = vec![snapshot.root().expect("a golden root").object()];
    let mut known: HashMap<ContentId, usize> = HashMap::from([(ids[0].content(), 1)]);
    let mut next = 0;
    while next < ids.len() && sections.len() < 40 {
        let content = ids[next].content();
        next += 1;
        let bytes = repository.contents().read(&content).unwrap_or_default();
        if !matches!(content.prefix(), Some('k' | 'x')) {
            sections.push((b'p', bytes[..bytes.len().min(48)].to_vec()));
            continue;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for part in text.split('"') {
            if let Ok(id) = part.parse::<ObjectId>()
                && part.len() > 16
            {
                known.entry(id.content()).or_insert_with(|| {
                    ids.push(id);
                    ids.len()
                });
            }
        }
        sections.push((content.prefix().map_or(b'p', |letter| letter as u8), text.into_bytes()));
    }
    for (_, bytes) in &mut sections {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        for (id, number) in &known {
            let short = ContentId::new(id.prefix(), &[*number as u8]).expect("an id");
            text = text.replace(&id.to_string(), &short.to_string());
        }
        *bytes = text.into_bytes();
    }
    let sections: Vec<_> = sections.iter().map(|(kind, bytes)| (*kind, &bytes[..])).collect();
    let bytes = kopia_fuzzkit::repository::join(&sections);
    println!("{name}: {} sections, {} bytes", sections.len(), bytes.len());
    seeds.add("repository", name, &bytes);
}

fn manifest_of(snapshot: &kopia_repository::Snapshot) -> String {
    serde_json::json!({"entries": [{
        "id": snapshot.id(),
        "labels": {"type": "snapshot"},
        "modified": "2026-01-01T00:00:00Z",
        "data": snapshot.manifest(),
    }]})
    .to_string()
}
