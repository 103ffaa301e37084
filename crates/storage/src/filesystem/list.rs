//! The listing of a folder.
//!
//! Why is a file listed that does not lie where its name says? Kopia lists it too. Were such files passed over, a
//! repository copied without its hidden `.shards` would look empty; so it is listed, and its read says where the file
//! was looked for. An id found at two places is listed once.

use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kopia_format::BlobId;

use super::shards::SUFFIX;
use crate::{BlobInfo, Error, Result};

/// No blob has a longer name, in bytes, so folders with more before them are not looked into.
const NAME_LIMIT: usize = 255;

/// Lists the blobs below `root` whose names begin with `prefix`, sorted.
pub(super) fn list(root: &Path, prefix: &str) -> Result<Vec<BlobInfo>> {
    let mut found = Vec::new();
    walk(root, b"", prefix.as_bytes(), &mut found)?;
    found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
    Ok(found)
}

/// Lists `folder`, whose names are to be joined to `before`. The depth is bounded, as each folder adds a byte.
fn walk(folder: &Path, before: &[u8], prefix: &[u8], found: &mut Vec<BlobInfo>) -> Result<()> {
    let at = |source| Error::List { place: folder.display().to_string(), source };
    let entries = match fs::read_dir(folder) {
        // A folder below the root may vanish meanwhile; the root may not.
        Err(error) if !before.is_empty() && has_vanished(&error) => return Ok(()),
        entries => entries.map_err(at)?,
    };
    for entry in entries {
        let entry = entry.map_err(at)?;
        let name = [before, entry.file_name().as_bytes()].concat();
        let kind = match entry.file_type() {
            Err(error) if has_vanished(&error) => continue,
            kind => kind.map_err(at)?,
        };
        if kind.is_dir() {
            let is_above = prefix.starts_with(&name) || name.starts_with(prefix);
            if is_above && name.len() < NAME_LIMIT && !(before.is_empty() && is_foreign(&name)) {
                walk(&entry.path(), &name, prefix, found)?;
            }
        } else if let Some(id) = blob_id(&name, prefix) {
            // As in kopia, a link to a folder is not followed. A link to a file is, as a read would.
            match length(&entry, kind.is_symlink()) {
                Ok(Some(length)) => found.push(BlobInfo { id, length }),
                Ok(None) => {}
                Err(error) if has_vanished(&error) => {}
                Err(source) => {
                    return Err(Error::List { place: entry.path().display().to_string(), source });
                }
            }
        }
    }
    Ok(())
}

/// Returns the blob whose file has this joined name, if any. `.shards`, `*.tmp.*` and such are none.
fn blob_id(name: &[u8], prefix: &[u8]) -> Option<BlobId> {
    let id = name.strip_suffix(SUFFIX.as_bytes())?;
    if !id.starts_with(prefix) {
        return None;
    }
    BlobId::new(std::str::from_utf8(id).ok()?).ok()
}

/// Returns the length of a regular file in bytes.
fn length(entry: &DirEntry, is_link: bool) -> io::Result<Option<u64>> {
    let metadata = if is_link { fs::metadata(entry.path())? } else { entry.metadata()? };
    Ok(metadata.is_file().then_some(metadata.len()))
}

/// Says whether a folder of the root belongs to the file system or its snapshots rather than to kopia, whose ids never
/// begin like this. Some of them may not be read.
fn is_foreign(name: &[u8]) -> bool {
    name.starts_with(b".") || name == b"lost+found"
}

fn has_vanished(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, StaleNetworkFileHandle};
    matches!(error.kind(), NotFound | NotADirectory | StaleNetworkFileHandle)
}
