//! What there is at a path of the local system, and what it lies in.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::mounts::{Mount, Mounts};

/// What may lie in an empty volume: what file systems put there by themselves.
pub(crate) const SYSTEM: [&str; 3] = ["lost+found", ".snapshot", ".zfs"];

/// How many names are read to show some.
const NAMES_READ: usize = 64;

/// How many names are shown.
const NAMES_SHOWN: usize = 5;

/// A path and what it lies in.
#[derive(Debug, Clone)]
pub struct LocalPath {
    /// The absolute path.
    pub given: PathBuf,
    /// What it is.
    pub state: PathState,
    /// The path, or its nearest ancestor that exists, without links where that can be known.
    pub existing: PathBuf,
    /// Whether [`Self::existing`] is a mount point; `None` where the system does not tell.
    pub is_mount_point: Option<bool>,
    /// What [`Self::existing`] lies in.
    pub mount: Option<Mount>,
    /// What [`Self::existing`] holds.
    pub listing: Listing,
    pub(crate) mounts: Option<Mounts>,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathState {
    /// A directory.
    Directory,
    /// It exists and is something else, such as `file`.
    Other(&'static str),
    /// Nothing.
    Missing,
    /// A directory on the way may not be passed.
    Refused,
    /// It cannot be looked at for another reason.
    Unknown,
}

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// Nothing but what file systems put there by themselves.
    Empty,
    /// Other things; some of their names, sorted.
    Names(Vec<String>),
    /// It is no directory, or cannot be read.
    Unknown,
}

impl LocalPath {
    /// Looks at a path.
    pub fn look(path: &Path) -> Self {
        Self::look_among(path, Mounts::read())
    }

    pub(crate) fn look_among(path: &Path, mounts: Option<Mounts>) -> Self {
        let mut given = std::path::absolute(path).unwrap_or_else(|_| path.into());
        // Where `..` leads depends on links; and no KOPIA_REPOSITORY may hold it.
        if given.components().any(|component| component == Component::ParentDir) {
            given = given.canonicalize().unwrap_or(given);
        }
        let state = state(&given);
        let existing = given.ancestors().find(|path| path.metadata().is_ok()).unwrap_or(Path::new("/"));
        let existing = existing.canonicalize().unwrap_or_else(|_| existing.into());
        Self {
            is_mount_point: mounts.as_ref().map(|mounts| mounts.at(&existing).is_some()),
            mount: mounts.as_ref().and_then(|mounts| mounts.holding(&existing)).cloned(),
            listing: list(&existing),
            given,
            state,
            existing,
            mounts,
        }
    }

    /// Returns whether the path, or its nearest existing ancestor other than `/`, is an empty mount point: a
    /// volume on which there is no repository yet.
    pub fn is_empty_mount(&self) -> bool {
        matches!(self.state, PathState::Directory | PathState::Missing)
            && self.existing != Path::new("/")
            && self.is_mount_point == Some(true)
            && self.listing == Listing::Empty
    }

    /// Returns whether the path is empty and lies in no volume, so that what should be mounted there probably
    /// is not.
    pub fn is_not_mounted(&self) -> bool {
        matches!(self.state, PathState::Directory | PathState::Missing)
            && self.listing == Listing::Empty
            && self.is_in_volume() == Some(false)
    }

    /// Returns whether something other than the root file system is mounted at [`Self::existing`] or above
    /// it; `None` where the system does not tell.
    pub fn is_in_volume(&self) -> Option<bool> {
        self.mount.as_ref().map(|mount| mount.point != Path::new("/"))
    }
}

fn state(path: &Path) -> PathState {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => PathState::Directory,
        Ok(metadata) => PathState::Other(if metadata.is_file() { "file" } else { "device, pipe or socket" }),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => PathState::Missing,
            io::ErrorKind::PermissionDenied => PathState::Refused,
            _ => PathState::Unknown,
        },
    }
}

fn list(directory: &Path) -> Listing {
    let Ok(entries) = directory.read_dir() else { return Listing::Unknown };
    let mut names = Vec::new();
    for entry in entries {
        let Ok(entry) = entry else { return Listing::Unknown };
        let name = entry.file_name().to_string_lossy().into_owned();
        if !SYSTEM.contains(&&*name) {
            names.push(name);
        }
        if names.len() == NAMES_READ {
            break;
        }
    }
    names.sort_unstable();
    names.truncate(NAMES_SHOWN);
    if names.is_empty() { Listing::Empty } else { Listing::Names(names) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mounts(points: &[&Path]) -> Option<Mounts> {
        let line = |point: &&Path| format!("1 1 0:1 / {} rw - nfs4 nas:/x rw\n", point.display());
        let table: String = [Path::new("/")].iter().chain(points).map(line).collect();
        Some(Mounts::parse(table.as_bytes()))
    }

    #[test]
    fn an_empty_mount_is_told_from_an_empty_folder() {
        let place = tempfile::tempdir().unwrap();
        let volume = place.path().canonicalize().unwrap().join("volume");
        fs::create_dir_all(volume.join("lost+found")).unwrap();
        fs::create_dir(volume.join(".snapshot")).unwrap();
        for given in [volume.clone(), volume.join("repository/deeper")] {
            let mounted = LocalPath::look_among(&given, mounts(&[&volume]));
            assert!(mounted.is_empty_mount() && !mounted.is_not_mounted(), "{mounted:?}");
            let directory = LocalPath::look_among(&given, mounts(&[]));
            assert!(!directory.is_empty_mount() && directory.is_not_mounted(), "{directory:?}");
            // Below a volume that holds other things.
            let below = LocalPath::look_among(&given, mounts(&[place.path()]));
            assert!(!below.is_empty_mount() && !below.is_not_mounted());
            let unknown = LocalPath::look_among(&given, None);
            assert!(!unknown.is_empty_mount() && !unknown.is_not_mounted());
        }
        fs::write(volume.join("some"), "").unwrap();
        let mounted = LocalPath::look_among(&volume, mounts(&[&volume]));
        assert!(!mounted.is_empty_mount());
        assert_eq!(mounted.listing, Listing::Names(vec!["some".into()]));
        assert!(!LocalPath::look_among(&volume.join("some"), mounts(&[&volume])).is_empty_mount());
    }

    #[test]
    fn the_root_is_no_volume() {
        let place = LocalPath::look_among(Path::new("/no-such-folder/a"), mounts(&[]));
        assert_eq!((place.state, &*place.existing), (PathState::Missing, Path::new("/")));
        assert!(!place.is_empty_mount());
    }
}
