//! Whether a path lies outside a directory, by device and inode, and by where both lie in their file system.
//!
//! The one guard of "nothing is ever written to a repository": the target of a restore, reports, metrics and
//! saved blobs all ask it. Paths alone would be deceived by symlinks and bind mounts.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::Identity;
use super::mount_table::MountTable;

/// Returns whether a path lies outside a directory: neither it nor any directory above it is that directory.
///
/// Symlinks are resolved, then device and inode are compared, so that bind mounts of the directory are found
/// as well; those of what lies in it are found where the system says what is mounted. Where nothing exists at
/// the path, its nearest ancestor that exists counts.
///
/// # Errors
/// If the directory does not exist, or the system refuses to look at it or at what is above the path.
pub fn is_outside(path: &Path, directory: &Path) -> io::Result<bool> {
    let (path, wanted) = (nearest_existing(path), identity(directory)?);
    for ancestor in path.ancestors() {
        if identity(ancestor)? == wanted {
            return Ok(false);
        }
    }
    let mounts = MountTable::read();
    let is_within = |directory: PathBuf| mounts.is_some_and(|mounts| mounts.is_within(&path, &directory));
    // Without a path that can be resolved, nothing more can be told.
    Ok(!fs::canonicalize(directory).is_ok_and(is_within))
}

/// Returns a path, or its nearest ancestor that exists, without symlinks.
pub(super) fn nearest_existing(path: &Path) -> PathBuf {
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

    /// Names the directory for the run of the same test in a mount namespace of its own.
    const PLACE: &str = "KOPIA_RS_TEST_OUTSIDE";

    #[test]
    fn a_mount_of_what_lies_in_the_directory_deceives_nobody() {
        if let Some(place) = std::env::var_os(PLACE) {
            let at = |path: &str| Path::new(&place).join(path);
            let is_outside = |path: &str| super::is_outside(&at(path), &at("repository")).unwrap();
            assert!(!is_outside("bound") && !is_outside("bound/new"), "inside");
            assert!(is_outside("beside") && is_outside("beside/new"), "outside");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        for directory in ["repository/p/0", "plain/p", "bound", "beside"] {
            fs::create_dir_all(place.path().join(directory)).unwrap();
        }
        let script = r#"cd "$1" && mount --bind repository/p bound && mount --bind plain/p beside || exit 9
            shift; exec "$@" --exact destination::outside::tests::a_mount_of_what_lies_in_the_directory_deceives_nobody"#;
        let mut command = std::process::Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(place.path());
        command.arg(std::env::current_exe().unwrap()).env(PLACE, place.path());
        kopia_testkit::facilities::once_more(&mut command, "no mount namespaces here");
    }
}
