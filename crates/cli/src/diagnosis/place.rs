//! What there is at the place where a repository should be.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::mounts::{Mount, Mounts};

/// What may lie in an empty volume: what file systems put there by themselves.
pub(super) const SYSTEM: [&str; 3] = ["lost+found", ".snapshot", ".zfs"];

/// How many names are read to show some.
const NAMES_READ: usize = 64;

/// How many names are shown.
const NAMES_SHOWN: usize = 5;

/// A location and what it lies in.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The absolute path that was given.
    pub(crate) given: PathBuf,
    pub(crate) state: State,
    /// The location, or its nearest ancestor that exists, without links where that can be known.
    pub(crate) existing: PathBuf,
    /// Whether [`Self::existing`] is a mount point; `None` where the system does not tell.
    pub(crate) is_mount_point: Option<bool>,
    /// What [`Self::existing`] lies in.
    pub(crate) mount: Option<Mount>,
    /// What [`Self::existing`] holds.
    pub(crate) contents: Contents,
    pub(super) mounts: Option<Mounts>,
}

/// What a location is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Folder,
    /// It exists and is something else, such as `file`.
    Other(&'static str),
    Missing,
    /// A folder on the way may not be passed.
    Refused,
    /// It cannot be looked at for another reason.
    Unknown,
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Nothing but what file systems put there by themselves.
    Nothing,
    /// Other things; some of their names, sorted.
    Some(Vec<String>),
    /// It is no folder, or cannot be read.
    Unknown,
}

impl Place {
    /// Looks at a path.
    pub(crate) fn look(path: &Path) -> Self {
        Self::look_among(path, Mounts::read())
    }

    pub(super) fn look_among(path: &Path, mounts: Option<Mounts>) -> Self {
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
            contents: contents(&existing),
            given,
            state,
            existing,
            mounts,
        }
    }

    /// Says whether the location, or its nearest existing ancestor other than `/`, is a mount point and holds nothing: a
    /// volume on which there is no repository yet.
    pub(crate) fn is_empty_mount(&self) -> bool {
        matches!(self.state, State::Folder | State::Missing)
            && self.existing != Path::new("/")
            && self.is_mount_point == Some(true)
            && self.contents == Contents::Nothing
    }

    /// Says whether the location is empty and lies in no volume, so that what should be mounted there probably is not.
    pub(crate) fn is_not_mounted(&self) -> bool {
        matches!(self.state, State::Folder | State::Missing)
            && self.contents == Contents::Nothing
            && self.is_in_volume() == Some(false)
    }

    /// Says whether something other than the root file system is mounted at [`Self::existing`] or above it; `None` where the
    /// system does not tell.
    pub(crate) fn is_in_volume(&self) -> Option<bool> {
        self.mount.as_ref().map(|mount| mount.point != Path::new("/"))
    }
}

fn state(path: &Path) -> State {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => State::Folder,
        Ok(metadata) => State::Other(if metadata.is_file() { "file" } else { "device, pipe or socket" }),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => State::Missing,
            io::ErrorKind::PermissionDenied => State::Refused,
            _ => State::Unknown,
        },
    }
}

fn contents(folder: &Path) -> Contents {
    let Ok(entries) = folder.read_dir() else { return Contents::Unknown };
    let mut names = Vec::new();
    for entry in entries {
        let Ok(entry) = entry else { return Contents::Unknown };
        let name = entry.file_name().to_string_lossy().into_owned();
        if !SYSTEM.contains(&&*name) {
            names.push(name);
        }
        if names.len() == NAMES_READ {
            break;
        }
    }
    names.sort();
    names.truncate(NAMES_SHOWN);
    if names.is_empty() { Contents::Nothing } else { Contents::Some(names) }
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
            let mounted = Place::look_among(&given, mounts(&[&volume]));
            assert!(mounted.is_empty_mount() && !mounted.is_not_mounted(), "{mounted:?}");
            let folder = Place::look_among(&given, mounts(&[]));
            assert!(!folder.is_empty_mount() && folder.is_not_mounted(), "{folder:?}");
            // Below a volume that holds other things.
            let below = Place::look_among(&given, mounts(&[place.path()]));
            assert!(!below.is_empty_mount() && !below.is_not_mounted());
            let unknown = Place::look_among(&given, None);
            assert!(!unknown.is_empty_mount() && !unknown.is_not_mounted());
        }
        fs::write(volume.join("some"), "").unwrap();
        let mounted = Place::look_among(&volume, mounts(&[&volume]));
        assert!(!mounted.is_empty_mount());
        assert_eq!(mounted.contents, Contents::Some(vec!["some".into()]));
        assert!(!Place::look_among(&volume.join("some"), mounts(&[&volume])).is_empty_mount());
    }

    #[test]
    fn the_root_is_no_volume() {
        let place = Place::look_among(Path::new("/no-such-folder/a"), mounts(&[]));
        assert_eq!((place.state, &*place.existing), (State::Missing, Path::new("/")));
        assert!(!place.is_empty_mount());
    }
}
