//! Whether a path lies outside a directory, by device and inode.
//!
//! The one guard of "nothing is ever written to a repository": the target of a restore, reports, metrics and
//! saved blobs all ask it. Paths alone would be deceived by symlinks and bind mounts.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::Identity;

/// Returns whether a path lies outside a directory: neither it nor any directory above it is that directory.
///
/// Symlinks are resolved, then device and inode are compared, so that bind mounts of the directory are found
/// as well. Where nothing exists at the path, its nearest ancestor that exists counts.
///
/// # Errors
/// If the directory does not exist, or the system refuses to look at it or at what is above the path.
pub fn is_outside(path: &Path, directory: &Path) -> io::Result<bool> {
    let directory = identity(directory)?;
    for ancestor in nearest_existing(path).ancestors() {
        if identity(ancestor)? == directory {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns a path, or its nearest ancestor that exists, without symlinks.
fn nearest_existing(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|path| {
        // The last ancestor of a relative path is "", the current directory.
        fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()
    });
    existing.unwrap_or_else(|| PathBuf::from("/"))
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok(Identity { device: metadata.dev(), inode: metadata.ino() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_missing_parts_deceive_nobody() {
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        fs::create_dir_all(at("repository/p/0")).unwrap();
        fs::create_dir_all(at("repository2/q")).unwrap();
        symlink(at("repository"), at("link")).unwrap();
        symlink(at("repository/p"), at("deeper")).unwrap();
        let is_outside = |path: &str| is_outside(&at(path), &at("repository")).unwrap();
        for inside in [
            "repository",
            "repository/p/0",
            "repository/new/er",
            "link",
            "link/x",
            "deeper/0",
            "link/../repository/x",
        ] {
            assert!(!is_outside(inside), "{inside}");
        }
        for outside in ["", "repository2", "repository2/q/x", "new/repository", "repository/.."] {
            assert!(is_outside(outside), "{outside}");
        }
        super::is_outside(&at("x"), &at("none")).unwrap_err();
    }
}
