//! Finds folders that keep what restores replaced.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::folder::KeptFolder;
use super::{JOURNAL, PREFIX};
use crate::{Error, Result};

/// Finds folders that keep what restores replaced, the newest first: in a directory, beside it and in those
/// that it lies in. Those that cannot be used are left out: [`all_kept`] says why.
pub fn find_kept(near: &Path) -> Vec<KeptFolder> {
    all_kept(near).0
}

/// As [`find_kept`], and returns why those that are left out cannot be used: each error names one that belongs to
/// another user, is open to others, cannot be read, or is damaged.
///
/// Folders without a journal are not among them, whoever they belong to: they keep nothing, as the restore that
/// made them was killed at once. Nor is anything else that has such a name.
pub fn all_kept(near: &Path) -> (Vec<KeptFolder>, Vec<Error>) {
    let (mut found, mut unusable) = (Vec::new(), Vec::new());
    for opened in open_all(near) {
        match opened {
            Ok(folder) => found.push(folder),
            Err(error) if keeps_nothing(&error) => tracing::debug!(%error, "no folder of what was replaced"),
            Err(error) => unusable.push(error),
        }
    }
    found.sort_by_key(|folder| Reverse((folder.order(), folder.name.clone())));
    (found, unusable)
}

/// Returns whether what cannot be used keeps nothing anyway, as far as that can be seen.
fn keeps_nothing(error: &Error) -> bool {
    let Error::Target { path, source, .. } = error else { return false };
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => true,
        // Restores make directories only.
        _ if fs::symlink_metadata(path).is_ok_and(|found| !found.is_dir()) => true,
        // It was refused before its journal was looked for.
        io::ErrorKind::PermissionDenied => fs::symlink_metadata(path.join(JOURNAL))
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound),
        _ => false,
    }
}

fn open_all(near: &Path) -> impl Iterator<Item = Result<KeptFolder>> {
    let near = fs::canonicalize(near).or_else(|_| std::path::absolute(near)).unwrap_or_else(|_| near.into());
    let directories: Vec<_> = near.ancestors().map(Path::to_path_buf).collect();
    directories.into_iter().flat_map(|directory| {
        let names = names_in(&directory).unwrap_or_default();
        names.into_iter().map(move |name| KeptFolder::open(directory.join(name)))
    })
}

/// Lists the names in a directory that folders of this kind have.
pub(super) fn names_in(directory: &Path) -> io::Result<Vec<OsString>> {
    let names = fs::read_dir(directory)?.filter_map(|entry| Some(entry.ok()?.file_name()));
    Ok(names.filter(|name| name.as_bytes().starts_with(PREFIX.as_bytes())).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::record::Header;
    use super::*;

    #[test]
    fn of_restores_of_the_same_second_the_one_of_the_highest_number_is_the_latest() {
        let place = tempfile::tempdir().unwrap();
        let above = fs::canonicalize(place.path()).unwrap();
        let target = above.join("target");
        fs::create_dir(&target).unwrap();
        let keep = |name: &str, began| {
            let folder = above.join(format!("{PREFIX}target-{name}"));
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
            let path = target.as_os_str().as_bytes().to_vec();
            let header = Header { inode: 1, new: false, key: "kaa".into(), began, path };
            fs::write(folder.join(JOURNAL), header.line() + "done\n").unwrap();
        };
        let names = ["20200102T030405Z", "20200102T030405Z-2", "20200102T030405Z-10", "20200102T030406Z"];
        for (name, began) in
            names.into_iter().zip([1_577_934_245, 1_577_934_245, 1_577_934_245, 1_577_934_246])
        {
            keep(name, began);
        }
        let mut found = find_kept(&target);
        found.reverse();
        let expected: Vec<_> =
            names.iter().map(|name| above.join(format!("{PREFIX}target-{name}"))).collect();
        assert_eq!(found.iter().map(KeptFolder::path).collect::<Vec<_>>(), expected);
        for (number, folder) in found.iter().enumerate() {
            let later = found.iter().filter(|other| other.is_later_than(folder)).count();
            assert_eq!(later, found.len() - 1 - number, "{}", folder.name);
        }
        // None is later than itself, whichever way it was opened.
        let link = above.join("link");
        symlink(&above, &link).unwrap();
        for folder in &found {
            let again = KeptFolder::open(link.join(&folder.name)).unwrap();
            assert!(!again.is_later_than(folder) && !folder.is_later_than(&again));
        }
    }
}
