//! Reads the blobs of Kopia repositories from where they are stored.
#![allow(missing_docs)]
use kopia_format::BlobId;
use std::{
    io,
    ops::Deref,
    path::{Path, PathBuf},
};
pub type Result<T, E = Error> = std::result::Result<T, E>;
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("blob {blob} is not there")]
    NotFound { blob: BlobId },
    #[error("blob {blob}: {source}")]
    Read { blob: BlobId, offset: u64, source: io::Error },
    #[error("blob {blob} is short")]
    Short { blob: BlobId, offset: u64, wanted: u64, length: u64 },
    #[error("{place}: {source}")]
    List { place: String, source: io::Error },
}
impl Error {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
#[derive(Debug, Clone)]
pub struct BlobInfo {
    pub id: BlobId,
    pub length: u64,
}
#[derive(Debug, Clone, Copy)]
pub struct ReadProfile {
    pub merge_gap: u64,
    pub merge_limit: usize,
    pub parallel_reads: usize,
}
pub struct BlobBytes(Vec<u8>);
impl BlobBytes {
    pub fn into_buffer(self) -> Vec<u8> {
        self.0
    }
}
impl Deref for BlobBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}
pub trait BlobStore: Send + Sync + std::fmt::Debug + 'static {
    fn location(&self) -> String;
    fn folder(&self) -> Option<PathBuf>;
    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>>;
    fn length(&self, id: &BlobId) -> Result<u64>;
    fn read(&self, id: &BlobId) -> Result<Vec<u8>>;
    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes>;
    fn will_need(&self, id: &BlobId, offset: u64, length: usize);
    fn profile(&self) -> ReadProfile;
}
#[derive(Debug)]
pub struct FilesystemStore {
    root: PathBuf,
    map: std::collections::BTreeMap<String, PathBuf>,
}
impl FilesystemStore {
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let mut map = std::collections::BTreeMap::new();
        fn walk(d: &Path, p: &str, map: &mut std::collections::BTreeMap<String, PathBuf>) {
            for e in std::fs::read_dir(d).unwrap() {
                let e = e.unwrap();
                let n = e.file_name().into_string().unwrap();
                if e.file_type().unwrap().is_dir() {
                    walk(&e.path(), &format!("{p}{n}"), map)
                } else if let Some(n) = n.strip_suffix(".f") {
                    map.insert(format!("{p}{n}"), e.path());
                }
            }
        }
        walk(root.as_ref(), "", &mut map);
        Ok(Self { root: root.as_ref().into(), map })
    }
    fn path(&self, id: &BlobId) -> Result<&PathBuf> {
        self.map.get(id.as_str()).ok_or_else(|| Error::NotFound { blob: id.clone() })
    }
}
impl BlobStore for FilesystemStore {
    fn location(&self) -> String {
        self.root.display().to_string()
    }
    fn folder(&self) -> Option<PathBuf> {
        Some(self.root.clone())
    }
    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        Ok(self
            .map
            .keys()
            .filter(|k| k.starts_with(prefix))
            .map(|k| BlobInfo { id: BlobId::new(k).unwrap(), length: 0 })
            .collect())
    }
    fn length(&self, id: &BlobId) -> Result<u64> {
        Ok(std::fs::metadata(self.path(id)?).unwrap().len())
    }
    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        Ok(std::fs::read(self.path(id)?).unwrap())
    }
    fn read_range(&self, id: &BlobId, offset: u64, length: usize, mut buffer: Vec<u8>) -> Result<BlobBytes> {
        use std::os::unix::fs::FileExt;
        buffer.resize(length, 0);
        std::fs::File::open(self.path(id)?)
            .unwrap()
            .read_exact_at(&mut buffer, offset)
            .map_err(|source| Error::Read { blob: id.clone(), offset, source })?;
        Ok(BlobBytes(buffer))
    }
    fn will_need(&self, _: &BlobId, _: u64, _: usize) {}
    fn profile(&self) -> ReadProfile {
        ReadProfile { merge_gap: 4096, merge_limit: 1 << 20, parallel_reads: 2 }
    }
}
