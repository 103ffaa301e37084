//! The trees that are restored: made up, but for `real`, and the same every time.

mod duplicates;
mod huge;
mod latency;
mod mixed;
mod owned;
mod small;
mod text;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::ValueEnum;

use crate::Result;

/// A tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Set {
    /// 100,000 files in 1,000 folders, 490 MB, half text and half noise.
    Small,
    /// One file of 3 GiB, half text and half noise.
    Huge,
    /// 20,000 files with 500 different bodies, and four large ones made of repeated blocks; 1 GB.
    Duplicates,
    /// A fifth of `small` and a file of 524 MB; what is restored over a network by default.
    Mixed,
    /// A twentieth of `small` and a file of 160 MB; what is restored to a slow file system by default.
    Latency,
    /// A hundredth of `small`, all of it of whoever makes it.
    Own,
    /// A hundredth of `small`, all of it of somebody else.
    Foreign,
    /// The tree that is given.
    Real,
}

impl Set {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Huge => "huge",
            Self::Duplicates => "duplicates",
            Self::Mixed => "mixed",
            Self::Latency => "latency",
            Self::Own => "own",
            Self::Foreign => "foreign",
            Self::Real => "real",
        }
    }

    /// Returns the folder of the tree, which is made below `work` unless that was done before.
    pub(crate) fn tree(self, work: &Path, scale: f64, real: Option<&Path>) -> Result<PathBuf> {
        let make = match self {
            Self::Real => {
                let tree = real.ok_or("the set `real` needs --tree")?;
                return tree.canonicalize().map_err(|error| format!("{}: {error}", tree.display()).into());
            }
            Self::Small => small::make,
            Self::Huge => huge::make,
            Self::Duplicates => duplicates::make,
            Self::Mixed => mixed::make,
            Self::Latency => latency::make,
            Self::Own => owned::make_own,
            Self::Foreign => owned::make_foreign,
        };
        let folder = work.join("sets").join(format!("{}-{scale}", self.name()));
        let (tree, complete) = (folder.join("tree"), folder.join("complete"));
        if !complete.exists() {
            eprintln!("making {}", tree.display());
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&tree)?;
            make(&tree, scale / 100.0)?;
            File::create(complete)?;
        }
        Ok(tree)
    }
}

/// Counts a tree's files and their bytes.
pub(crate) fn count(tree: &Path) -> Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let mut ahead = vec![tree.to_owned()];
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                ahead.push(entry.path());
            } else if kind.is_file() {
                files += 1;
                bytes += entry.metadata()?.len();
            }
        }
    }
    Ok((files, bytes))
}

/// A part of a number, one at least.
fn scaled(number: u64, scale: f64) -> u64 {
    ((number as f64 * scale).round() as u64).max(1)
}

/// Writes a file with a mode, and a time in nanoseconds since 1970.
fn write(path: &Path, bytes: &[u8], mode: u32, modified: u64) -> Result<()> {
    fs::write(path, bytes)?;
    finish(path, mode, modified)
}

/// Sets the mode and time of a file or folder.
fn finish(path: &Path, mode: u32, modified: u64) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    File::open(path)?.set_modified(SystemTime::UNIX_EPOCH + Duration::from_nanos(modified))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_the_same_every_time_and_made_once() {
        let places = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for (set, files) in [
            (Set::Small, 100),
            (Set::Huge, 1),
            (Set::Duplicates, 24),
            (Set::Mixed, 21),
            (Set::Latency, 6),
            (Set::Own, 1),
        ] {
            let trees: Vec<_> =
                places.iter().map(|place| set.tree(place.path(), 0.1, None).unwrap()).collect();
            assert_eq!(crate::same::differences(&trees[0], &trees[1]).unwrap(), [""; 0]);
            assert_eq!(count(&trees[0]).unwrap().0, files);
            fs::write(trees[0].join("mark"), "").unwrap();
            assert_eq!(set.tree(places[0].path(), 0.1, None).unwrap(), trees[0]);
            assert!(trees[0].join("mark").exists(), "not made again");
        }
    }

    #[test]
    fn a_real_tree_must_be_given() {
        assert!(Set::Real.tree(Path::new("/"), 1.0, None).is_err());
    }
}
