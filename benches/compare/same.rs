//! Says whether a restored tree is the one that was backed up: names, kinds, sizes, bytes, modes and times of
//! files, and where links point. Owners, and what folders have besides their names, are not asked for: not
//! every tool restores them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// How many differences are found before it is enough.
const ENOUGH: usize = 5;

const BUFFER: usize = 256 << 10;

/// Returns some of the differences, in words; none if the trees are the same.
///
/// # Errors
/// If a tree cannot be read.
pub(crate) fn differences(expected: &Path, actual: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    folder(expected, actual, &mut found)?;
    Ok(found)
}

fn folder(expected: &Path, actual: &Path, found: &mut Vec<String>) -> io::Result<()> {
    let (wanted, there) = (names(expected)?, names(actual)?);
    for name in wanted.union(&there) {
        if found.len() >= ENOUGH {
            return Ok(());
        }
        let path = actual.join(name);
        if !there.contains(name) {
            found.push(format!("{} is missing", path.display()));
        } else if !wanted.contains(name) {
            found.push(format!("{} should not be there", path.display()));
        } else {
            entry(&expected.join(name), &path, found)?;
        }
    }
    Ok(())
}

/// What lies in a folder; pipes, sockets and devices are left out, as they have no place in a backup of data.
fn names(folder: &Path) -> io::Result<BTreeSet<OsString>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(named)? {
        let entry = entry.map_err(named)?;
        let kind = entry.file_type().map_err(named)?;
        let special = kind.is_fifo() || kind.is_socket() || kind.is_char_device() || kind.is_block_device();
        if !special {
            names.insert(entry.file_name());
        }
    }
    Ok(names)
}

fn entry(expected: &Path, actual: &Path, found: &mut Vec<String>) -> io::Result<()> {
    let (want, have) = (fs::symlink_metadata(expected)?, fs::symlink_metadata(actual)?);
    let why = if want.file_type() != have.file_type() {
        Some("is of another kind")
    } else if want.is_dir() {
        return folder(expected, actual, found);
    } else if want.is_symlink() {
        (fs::read_link(expected)? != fs::read_link(actual)?).then_some("points elsewhere")
    } else if want.len() != have.len() {
        Some("has another size")
    } else if want.mode() != have.mode() {
        Some("has another mode")
    } else if (want.mtime(), want.mtime_nsec()) != (have.mtime(), have.mtime_nsec()) {
        Some("has another time")
    } else {
        (!same_bytes(expected, actual)?).then_some("has other bytes")
    };
    found.extend(why.map(|why| format!("{} {why}", actual.display())));
    Ok(())
}

fn same_bytes(expected: &Path, actual: &Path) -> io::Result<bool> {
    let (mut expected, mut actual) = (File::open(expected)?, File::open(actual)?);
    let (mut want, mut have) = (vec![0; BUFFER], vec![0; BUFFER]);
    loop {
        let length = expected.read(&mut want)?;
        // Both have the same size, so the second cannot end first unless it is being written.
        actual.read_exact(&mut have[..length])?;
        if want[..length] != have[..length] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::{Duration, SystemTime};

    use super::*;

    fn tree() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        fs::create_dir(root.join("folder")).unwrap();
        for name in ["folder/a", "b"] {
            fs::write(root.join(name), name).unwrap();
            set_time(&root.join(name), 1);
        }
        symlink("b", root.join("link")).unwrap();
        place
    }

    fn set_time(path: &Path, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn equal_trees_are_the_same() {
        assert_eq!(differences(tree().path(), tree().path()).unwrap(), [""; 0]);
        assert!(differences(tree().path(), Path::new("/nowhere")).is_err());
    }

    #[test]
    fn each_difference_is_found() {
        for (change, why) in [
            ((|root| fs::remove_file(root.join("folder/a")).unwrap()) as fn(&Path), "is missing"),
            (|root| fs::write(root.join("folder/c"), "").unwrap(), "should not be there"),
            (|root| fs::write(root.join("b"), "bb").unwrap(), "has another size"),
            (|root| set_time(&root.join("b"), 2), "has another time"),
            (
                |root| {
                    fs::write(root.join("b"), "c").unwrap();
                    set_time(&root.join("b"), 1);
                },
                "has other bytes",
            ),
            (
                |root| fs::set_permissions(root.join("b"), fs::Permissions::from_mode(0o600)).unwrap(),
                "has another mode",
            ),
            (
                |root| {
                    fs::remove_file(root.join("link")).unwrap();
                    symlink("elsewhere", root.join("link")).unwrap();
                },
                "points elsewhere",
            ),
            (
                |root| {
                    fs::remove_file(root.join("b")).unwrap();
                    fs::create_dir(root.join("b")).unwrap();
                },
                "is of another kind",
            ),
        ] {
            let (expected, actual) = (tree(), tree());
            change(actual.path());
            let found = differences(expected.path(), actual.path()).unwrap();
            assert!(found.len() == 1 && found[0].ends_with(why), "{found:?}, not {why}");
        }
    }
}
