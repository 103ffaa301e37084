//! Writes repositories with any number of contents and index blobs, or of files.
//!
//! Contents are forged straight into index blobs: random hashes, at plausible places in packs that need not
//! exist. So ten million of them take seconds and hardly more memory than one index blob. One small snapshot
//! is real.
//!
//! ```
//! use kopia_testkit::huge::HugeIndex;
//!
//! let mut names = Vec::new();
//! HugeIndex::new(1000, 10).for_each_blob(|name, _bytes| {
//!     names.push(name);
//!     Ok(())
//! })?;
//! assert_eq!(names.iter().filter(|name| name.starts_with("xn0_")).count(), 11);
//! # Ok::<(), std::io::Error>(())
//! ```

mod entries;
mod layout;
mod tree;

use std::io;
use std::path::Path;

use kopia_codec::key::KeyDerivation;
use serde_json::json;

use crate::writer::RepositoryWriter;
use entries::Entries;
pub use tree::HugeTree;

/// What to write. All of it is the same for the same settings.
#[derive(Debug, Clone)]
pub struct HugeIndex {
    contents: u64,
    blobs: u64,
    version: u8,
    epochs: bool,
    derivation: KeyDerivation,
}

impl HugeIndex {
    /// Spreads so many contents over so many index blobs of version 2, in epochs.
    pub fn new(contents: u64, blobs: u64) -> Self {
        Self { contents, blobs, version: 2, epochs: true, derivation: KeyDerivation::Pbkdf2Sha256 }
    }

    /// Writes indexes of version 1 or 2.
    pub fn version(self, version: u8) -> Self {
        assert!((1..=2).contains(&version), "there are two versions");
        Self { version, ..self }
    }

    /// Names index blobs `n…` as repositories without epochs do.
    pub fn plain(self) -> Self {
        Self { epochs: false, ..self }
    }

    /// Takes the password to the key in this way.
    pub fn derivation(self, derivation: KeyDerivation) -> Self {
        Self { derivation, ..self }
    }

    /// Returns the plain bytes of an index blob, the one with this number of so many contents.
    pub fn index(&self, number: u64, contents: u64) -> Vec<u8> {
        Entries::new(number, contents).index(self.version)
    }

    /// Gives each blob to `write`, one after the other.
    ///
    /// # Errors
    /// What `write` returns.
    pub fn for_each_blob(&self, mut write: impl FnMut(String, Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        let mut writer = RepositoryWriter::new()
            .key_derivation(self.derivation)
            .format("epochParameters", layout::epochs(self.epochs))
            .format("indexVersion", json!(self.version));
        let file = writer.file(b"hello");
        let root =
            writer.directory(&[json!({"name": "a", "type": "f", "mode": "0644", "size": 5, "obj": file})]);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
        let mut written = 0;
        for number in 0..self.blobs {
            // No blob has more than one entry more than another.
            let until = u128::from(self.contents) * u128::from(number + 1) / u128::from(self.blobs);
            let count = until as u64 - written;
            written += count;
            let (name, bytes) = writer.seal_index(&self.index(number, count));
            write(self.name(name), bytes)?;
        }
        writer.finish().into_iter().try_for_each(|(name, bytes)| write(self.name(name), bytes))
    }

    /// Writes all blobs into a directory, in the directories that kopia makes.
    ///
    /// # Errors
    /// Why a file cannot be written.
    pub fn write_in(&self, directory: &Path) -> io::Result<()> {
        std::fs::create_dir_all(directory)?;
        std::fs::write(directory.join(".shards"), layout::SHARDS)?;
        self.for_each_blob(|name, bytes| {
            let path = directory.join(layout::file(&name));
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, bytes)
        })
    }

    fn name(&self, name: String) -> String {
        match name.strip_prefix("xn0_") {
            Some(rest) if !self.epochs => format!("n{rest}"),
            _ => name,
        }
    }
}

#[cfg(test)]
mod tests;
