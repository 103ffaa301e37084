//! Snapshots of any number of files, in repositories of a few megabytes.

use std::io;
use std::path::Path;

use serde_json::json;

use crate::writer::RepositoryWriter;

/// The bytes of every file.
const FILE: &[u8] = b"one of very many";

/// A tree in which all directories of one level are equal, so that each is stored once.
#[derive(Debug, Clone)]
pub struct HugeTree {
    shape: Vec<u64>,
}

impl HugeTree {
    /// Puts so many directories into each directory, level by level, and at last so many files into each of
    /// the lowest: `[1000, 10]` is a thousand directories of ten files.
    pub fn new(shape: &[u64]) -> Self {
        assert!(!shape.is_empty(), "the last number is that of files");
        Self { shape: shape.to_vec() }
    }

    /// Returns the number of files.
    pub fn files(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Returns the number of directories, the root included.
    pub fn directories(&self) -> u64 {
        let levels = self.shape[..self.shape.len() - 1].iter();
        levels.fold((1, 1), |(sum, level), count| (sum + level * count, level * count)).0
    }

    /// Returns the repository, with one snapshot of `app@host:/data`.
    pub fn writer(&self) -> RepositoryWriter {
        let mut writer = RepositoryWriter::new();
        let (files, levels) = self.shape.split_last().expect("the last number is that of files");
        let mut object = writer.file(FILE);
        let mut entry = json!({"type": "f", "mode": "0644", "size": FILE.len()});
        for count in [files].into_iter().chain(levels.iter().rev()) {
            let entries: Vec<_> = (0..*count)
                .map(|number| {
                    entry["name"] = format!("entry-{number:08}").into();
                    entry["mtime"] = "2026-01-02T03:04:05.123456789Z".into();
                    entry["obj"] = object.clone().into();
                    entry.clone()
                })
                .collect();
            object = writer.directory(&entries);
            entry = json!({"type": "d", "mode": "0755"});
        }
        writer
            .snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": object}));
        writer
    }

    /// Writes it into a directory.
    ///
    /// # Errors
    /// Why a file cannot be written.
    pub fn write_in(&self, directory: &Path) -> io::Result<()> {
        self.writer().finish_in(directory)
    }
}
