//! Writes small repositories, with whatever lies in them a test needs.
//!
//! What comes out is what kopia would write, as far as a reader can tell: format blob, packs, an index blob,
//! manifests. Directories are JSON that the test gives, so that they can hold what kopia never writes.
//!
//! ```
//! use kopia_testkit::writer::RepositoryWriter;
//! use serde_json::json;
//!
//! let mut writer = RepositoryWriter::new();
//! let file = writer.file(b"hello");
//! let root = writer.directory(&[json!({"name": "a", "type": "f", "mode": "0644", "size": 5, "obj": file})]);
//! writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
//! assert!(writer.finish().iter().any(|(name, _)| name == "kopia.repository"));
//! ```

mod blobs;
mod live;

pub use blobs::postamble;
pub use kopia_format::ContentId;
pub use live::{Change, LiveRepository};

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use kopia_codec::cipher::{Cipher, Encryption};
use kopia_codec::hash::{HashAlgorithm, Hasher};
use kopia_codec::key::KeyDerivation;
use kopia_format::{BlobId, ObjectId};
use serde_json::{Value, json};

/// The password of what is written here, unless another is given.
pub const PASSWORD: &str = "written";

/// The key of the hash and that of the encryption.
const SECRET: [u8; 32] = [7; 32];

/// What gzip is called in contents and indexes.
const GZIP: u32 = 0x1000;

/// What packs begin with; kopia takes random bytes.
const PREAMBLE: [u8; 32] = [0x55; 32];

/// A repository under construction.
pub struct RepositoryWriter {
    cipher: Cipher,
    hasher: Hasher,
    derivation: KeyDerivation,
    password: String,
    /// Fields of the inner format that differ from the usual ones.
    format: BTreeMap<String, Value>,
    /// Files longer than this are split, in bytes.
    piece: usize,
    compresses: bool,
    /// A pack is closed once it has this many bytes.
    pack_size: usize,
    /// The pack being filled for data, and for metadata.
    packs: [Pack; 2],
    blobs: Vec<(String, Vec<u8>)>,
    entries: BTreeMap<ContentId, Entry>,
    manifests: Vec<Value>,
}

#[derive(Default)]
struct Pack {
    name: Option<BlobId>,
    bytes: Vec<u8>,
}

/// Where a content was put.
#[derive(Clone)]
struct Entry {
    pack: BlobId,
    offset: u32,
    packed_length: u32,
    original_length: u32,
    deleted: bool,
    /// The number of the compression; 0 for none.
    compression: u32,
}

impl Default for RepositoryWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl RepositoryWriter {
    /// Starts a repository of format version 3 with kopia's default algorithms, without compression.
    pub fn new() -> Self {
        Self {
            cipher: Cipher::new(Encryption::Aes256GcmHmacSha256, &SECRET),
            hasher: Hasher::new(HashAlgorithm::Blake2b256_128, &SECRET).expect("the key is short enough"),
            // The cheaper of the two.
            derivation: KeyDerivation::Pbkdf2Sha256,
            password: PASSWORD.into(),
            format: BTreeMap::new(),
            piece: 4 << 20,
            compresses: false,
            pack_size: 20 << 20,
            packs: Default::default(),
            blobs: Vec::new(),
            entries: BTreeMap::new(),
            manifests: Vec::new(),
        }
    }

    /// Splits files into pieces of this many bytes; lists of pieces are split as well, so there is a least
    /// size.
    pub fn piece_size(mut self, bytes: usize) -> Self {
        assert!(bytes >= 500, "a list of two pieces must be shorter than they are");
        self.piece = bytes;
        self
    }

    /// Compresses what files consist of, by gzip.
    pub fn compressed(mut self) -> Self {
        self.compresses = true;
        self
    }

    /// Closes packs at this many bytes.
    pub fn pack_size(mut self, bytes: usize) -> Self {
        self.pack_size = bytes;
        self
    }

    /// Takes the password to the key in this way; the usual one here is PBKDF2, kopia's is scrypt.
    pub fn key_derivation(mut self, derivation: KeyDerivation) -> Self {
        self.derivation = derivation;
        self
    }

    /// Takes another password than [`PASSWORD`].
    pub fn password(mut self, password: &str) -> Self {
        self.password = password.into();
        self
    }

    /// Names contents by another hash; before the first of them.
    pub fn hash(mut self, algorithm: HashAlgorithm) -> Self {
        self.hasher = Hasher::new(algorithm, &SECRET).expect("the key is short enough");
        self.format("hash", algorithm.name().into())
    }

    /// Replaces a field of the inner format, such as `requiredFeatures`.
    pub fn format(mut self, field: &str, value: Value) -> Self {
        self.format.insert(field.into(), value);
        self
    }

    /// Adds a content unless it is there.
    pub fn content(&mut self, prefix: Option<char>, plain: &[u8]) -> ContentId {
        let hash = self.hasher.hash(plain);
        let id = ContentId::new(prefix, hash.as_bytes()).expect("a hash is long enough");
        if self.entries.contains_key(&id) {
            return id;
        }
        if self.compresses && prefix.is_none() {
            self.forge_gzip(id, plain)
        } else {
            self.forge(id, plain)
        }
        id
    }

    /// Adds a content under an id that is not its hash: something that only an attacker with the keys could
    /// write.
    pub fn forge(&mut self, id: ContentId, plain: &[u8]) {
        self.forge_as(id, plain, plain.len());
    }

    /// As [`Self::forge`], of which the index says another length.
    pub fn forge_as(&mut self, id: ContentId, plain: &[u8], length: usize) {
        self.add(id, plain, length, 0);
    }

    /// As [`Self::forge`], compressed by gzip: a repository of some kilobytes holds contents of many
    /// megabytes.
    pub fn forge_gzip(&mut self, id: ContentId, plain: &[u8]) {
        let packed = [&GZIP.to_be_bytes()[..], &gzip(plain)].concat();
        self.add(id, &packed, plain.len(), GZIP);
    }

    /// Puts a content into its pack, and what the index is to say of it.
    fn add(&mut self, id: ContentId, plain: &[u8], length: usize, compression: u32) {
        let sealed = self.seal_content(&id, plain);
        let kind = usize::from(id.prefix().is_some());
        let letter = ['p', 'q'][kind];
        let number = self.blobs.len() * 2 + kind;
        let pack = &mut self.packs[kind];
        let name = pack.name.get_or_insert_with(|| {
            BlobId::new(&format!("{letter}{number:032x}-s0123456789abcdef")).expect("it is a name")
        });
        let entry = Entry {
            pack: name.clone(),
            offset: (PREAMBLE.len() + pack.bytes.len()) as u32,
            packed_length: sealed.len() as u32,
            original_length: length as u32,
            deleted: false,
            compression,
        };
        pack.bytes.extend(sealed);
        self.entries.insert(id, entry);
        if self.packs[kind].bytes.len() >= self.pack_size {
            self.close_pack(kind);
        }
    }

    /// Adds an object, split into pieces where it is long, and returns its id as text.
    pub fn file(&mut self, bytes: &[u8]) -> String {
        self.object(None, bytes).to_string()
    }

    /// Adds a directory with these entries, in their order.
    pub fn directory(&mut self, entries: &[Value]) -> String {
        let json = json!({"stream": "kopia:directory", "entries": entries, "summary": null});
        self.object(Some('k'), json.to_string().as_bytes()).to_string()
    }

    /// Adds an object whose contents have a prefix.
    pub fn object(&mut self, prefix: Option<char>, bytes: &[u8]) -> ObjectId {
        if bytes.len() <= self.piece {
            return ObjectId::of_content(self.content(prefix, bytes));
        }
        let mut start = 0;
        let mut pieces = Vec::new();
        for piece in bytes.chunks(self.piece) {
            let content = self.content(prefix, piece);
            pieces.push(json!({"s": start, "l": piece.len(), "o": content}));
            start += piece.len();
        }
        let list = json!({"stream": "kopia:indirect", "entries": pieces});
        let list = self.object(Some(prefix.unwrap_or('x')), list.to_string().as_bytes());
        format!("I{list}").parse().expect("a list of lists is an object")
    }

    /// Adds a snapshot of `user@host:/path` whose root is the given directory entry, and returns its id.
    pub fn snapshot(&mut self, source: &str, root: Value) -> String {
        let (user, rest) = source.split_once('@').expect("user@host:/path");
        let (host, path) = rest.split_once(':').expect("user@host:/path");
        let number = self.manifests.len();
        let time = format!("2026-01-01T00:00:{number:02}Z");
        self.manifest(json!({
            "source": {"host": host, "userName": user, "path": path},
            "startTime": time,
            "endTime": time,
            "rootEntry": root,
        }))
    }

    /// Adds a snapshot manifest with the given data, and returns its id.
    pub fn manifest(&mut self, data: Value) -> String {
        let id = format!("{:032x}", self.manifests.len() + 0xabc0);
        // By which kopia finds the snapshots of a source.
        let mut labels = json!({"type": "snapshot"});
        for (label, field) in [("hostname", "host"), ("username", "userName"), ("path", "path")] {
            if let Some(value) = data["source"].get(field) {
                labels[label] = value.clone();
            }
        }
        self.manifests
            .push(json!({"id": id, "labels": labels, "modified": "2026-01-01T00:00:00Z", "data": data}));
        id
    }

    /// Writes what is left and returns all blobs by name.
    pub fn finish(mut self) -> Vec<(String, Vec<u8>)> {
        self.close();
        self.blobs
    }

    /// As [`Self::finish`], of a repository that goes on changing.
    pub fn finish_live(mut self) -> (Vec<(String, Vec<u8>)>, LiveRepository) {
        self.close();
        (self.blobs.clone(), LiveRepository::new(self))
    }

    /// As [`Self::finish`], after a change that nobody saw.
    pub fn finish_changed(
        self,
        change: impl FnOnce(&mut LiveRepository) -> Change,
    ) -> Vec<(String, Vec<u8>)> {
        let (mut blobs, mut living) = self.finish_live();
        let Change { added, removed } = change(&mut living);
        blobs.extend(added);
        for name in removed {
            let place = blobs.iter().position(|(known, _)| *known == name).expect("it was there");
            blobs.remove(place);
        }
        blobs
    }

    fn close(&mut self) {
        self.content(Some('m'), &manifest_list(&self.manifests));
        self.close_pack(0);
        self.close_pack(1);

        let index = self.seal_index(&blobs::index(&self.entries, blobs::TIME));
        self.blobs.push(index);
        let format = self.format_blob();
        self.blobs.push(format);
    }

    /// Returns the format blob with its name.
    pub fn format_blob(&self) -> (String, Vec<u8>) {
        ("kopia.repository".into(), blobs::format(&SECRET, self.derivation, &self.password, &self.format))
    }

    /// Seals a content of an id that need not be its hash, for tests that make packs of their own.
    pub fn seal_content(&self, id: &ContentId, plain: &[u8]) -> Vec<u8> {
        self.cipher.seal(iv(id.hash()), nonce(id), plain)
    }

    /// Seals the bytes of an index and returns the blob, an uncompacted one of epoch 0, with its name.
    pub fn seal_index(&self, index: &[u8]) -> (String, Vec<u8>) {
        let hash = self.hasher.hash(index);
        let name = format!("xn0_{}-s0123456789abcdef-c1", hex(hash.as_bytes()));
        (name, self.cipher.seal(iv(hash.as_bytes()), [9; 12], index))
    }

    /// Writes all blobs into a directory, flat, as one with `.shards` that says so.
    pub fn finish_in(self, directory: &Path) -> std::io::Result<()> {
        write_in(directory, self.finish())
    }

    fn close_pack(&mut self, kind: usize) {
        let pack = std::mem::take(&mut self.packs[kind]);
        if let Some(name) = pack.name {
            let bytes = [&PREAMBLE[..], &pack.bytes].concat();
            let bytes = self.with_own_index(&name, bytes, &self.entries, blobs::TIME);
            self.blobs.push((name.to_string(), bytes));
        }
    }

    /// Ends a pack as kopia does: with an index of its own, and where that lies.
    fn with_own_index(
        &self,
        pack: &BlobId,
        mut bytes: Vec<u8>,
        entries: &BTreeMap<ContentId, Entry>,
        time: u32,
    ) -> Vec<u8> {
        let own = entries.iter().filter(|(_, entry)| entry.pack == *pack);
        let index = blobs::index(&own.map(|(id, entry)| (*id, entry.clone())).collect(), time);
        let iv = self.hasher.hash(&index);
        let sealed = self.cipher.seal(iv.as_bytes(), [9; 12], &index);
        let postamble = blobs::postamble(iv.as_bytes(), bytes.len() as u64, sealed.len() as u64);
        bytes.extend(sealed);
        bytes.extend(postamble);
        bytes
    }
}

/// Writes blobs into a directory, flat, as one with `.shards` that says so.
pub fn write_in(directory: &Path, blobs: impl IntoIterator<Item = (String, Vec<u8>)>) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    std::fs::write(directory.join(".shards"), r#"{"default":[],"maxNonShardedLength":20}"#)?;
    for (name, bytes) in blobs {
        std::fs::write(directory.join(format!("{name}.f")), bytes)?;
    }
    Ok(())
}

/// Writes what a content of manifests holds.
fn manifest_list(manifests: &[Value]) -> Vec<u8> {
    gzip(json!({"entries": manifests}).to_string().as_bytes())
}

/// Compresses bytes, as contents of manifests always are.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).expect("memory takes everything");
    gzip.finish().expect("memory takes everything")
}

/// What a content is sealed with besides its key: the last 16 bytes of its hash.
fn iv(hash: &[u8]) -> &[u8] {
    &hash[hash.len().saturating_sub(16)..]
}

/// Kopia takes random ones; equal ones make equal repositories.
fn nonce(id: &ContentId) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce.iter_mut().zip(id.hash()).for_each(|(to, from)| *to = *from);
    nonce
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
