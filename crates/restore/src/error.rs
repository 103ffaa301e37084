//! What ends a restore before its end.

use std::io;
use std::path::PathBuf;

use kopia_repository::Shard;

use crate::Problem;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why nothing, or no more, could be restored. What concerns single entries is a [`crate::Problem`]
/// instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository could not be read at all.
    #[error(transparent)]
    Repository(#[from] kopia_repository::Error),
    /// The target is the repository, lies in it or holds it.
    #[error("{} and the repository {} overlap", target.display(), repository.display())]
    Overlap {
        /// Where to restore to.
        target: PathBuf,
        /// Where the repository is.
        repository: PathBuf,
    },
    /// A directory was to be restored, but the target is none.
    #[error("{} is not a folder", target.display())]
    NotADirectory {
        /// Where to restore to.
        target: PathBuf,
    },
    /// Another restore into the same target is under way.
    #[error("another restore into {} is running", target.display())]
    Busy {
        /// Where to restore to.
        target: PathBuf,
    },
    /// Something could not be restored, and that was to end the restore.
    #[error("{problem}; what was done lies in {}", unfinished.display())]
    Problem {
        /// The first problem.
        problem: Box<Problem>,
        /// The directory that holds what was done, as for [`Self::Stopped`].
        unfinished: PathBuf,
    },
    /// Not all shards are through.
    #[error("{}", unfinished(missing, *of, others, *maybe_finished))]
    Shards {
        /// The numbers of those that left no marker.
        missing: Vec<u32>,
        /// How many there are.
        of: u32,
        /// Other numbers of shards that left markers here.
        others: Vec<u32>,
        /// Whether a finish may have taken up what they left: nothing unfinished is there, but something
        /// else.
        maybe_finished: bool,
    },
    /// Another process restores the same shard, or one of another number of shards.
    #[error("shard {} of {} is being restored into {} by another process", shard.number(), shard.of(), target.display())]
    ShardBusy {
        /// Where to restore to.
        target: PathBuf,
        /// What the other process restores.
        shard: Shard,
    },
    /// A single file cannot be restored in shards.
    #[error("only a folder can be restored in shards")]
    NoShards,
    /// What is to be restored to a device is no file.
    #[error("{name:?} is no file, and only a file can be restored to a device")]
    NotAFile {
        /// Its name.
        name: String,
    },
    /// What a file is to be restored to is no block device.
    #[error("{} is no block device", path.display())]
    NoDevice {
        /// What was named as the device.
        path: PathBuf,
    },
    /// The device is in use; nothing was written.
    #[error("{} is in use{}", path.display(), users(by))]
    DeviceInUse {
        /// The device.
        path: PathBuf,
        /// What uses it, as in "mounted at /data"; nothing if this process sees nothing of it.
        by: Vec<String>,
    },
    /// The device has too few bytes; nothing was written.
    #[error("{} has {size} bytes, and {needed} are to be restored to it", path.display())]
    DeviceTooSmall {
        /// The device.
        path: PathBuf,
        /// How many bytes it has.
        size: u64,
        /// How many it should have at least.
        needed: u64,
    },
    /// The observer said so.
    #[error("the restore was stopped; what was done lies in {}", unfinished.display())]
    Stopped {
        /// The directory that holds it. The next restore of the same root into the same target takes it up,
        /// one of another root removes it.
        unfinished: PathBuf,
    },
    /// What is replaced cannot be kept by a restore in parts, in place, or of what is left of damaged files.
    #[error(
        "what is replaced can be kept only by a restore of the whole, neither in place nor with what is left of \
             damaged files"
    )]
    KeepsNothing,
    /// A file that a killed restore left with old pieces and new ones is newer than the snapshot's, and would
    /// stay so.
    #[error(
        "files cannot both be changed in place and be replaced only where the snapshot's are newer: one that a killed \
             restore left half changed would stay so"
    )]
    NewerInPlace,
    /// The system gives this process no thread.
    #[error("no thread can be started")]
    Threads {
        /// What the system said.
        source: io::Error,
    },
    /// The target has no room for the rest. What was done is in its place, as far as it replaces something,
    /// or in the unfinished directory; files that were changed in place may be mixed.
    #[error("{}: there is no room for the rest{}", target.display(), more(*missing))]
    NoRoom {
        /// Where to restore to.
        target: PathBuf,
        /// How many bytes more must be free at least, as far as that is known.
        missing: Option<u64>,
        /// Paths of files that hold older bytes and newer ones.
        ///
        /// They were changed in place; the first few are named.
        mixed: Vec<String>,
        /// Whether a large file was to be replaced, so that less is needed with [`crate::Options::in_place`].
        in_place_helps: bool,
        /// What the system said.
        source: io::Error,
        /// The directory that holds what is not in its place yet, as for [`Self::Stopped`].
        unfinished: PathBuf,
    },
    /// The target failed in a way that would hit every entry, such as a failing disk.
    #[error("{}: {what}", path.display())]
    Target {
        /// The directory or file.
        path: PathBuf,
        /// What was to be done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
        /// The directory that holds what was done, as for [`Self::Stopped`], where anything was.
        unfinished: Option<PathBuf>,
    },
}

fn users(by: &[String]) -> String {
    if by.is_empty() {
        return ", by another program or container".into();
    }
    format!(": {}", by.join(", "))
}

fn more(missing: Option<u64>) -> String {
    missing.map_or(String::new(), |bytes| format!(", which takes at least {bytes} bytes more"))
}

/// Names the shards that have not finished.
///
/// A finish takes all their markers away, so none at all may mean that it has run.
fn unfinished(missing: &[u32], of: u32, others: &[u32], maybe_finished: bool) -> String {
    let none = missing.len() as u64 == u64::from(of) && others.is_empty();
    match missing {
        [_] if none && maybe_finished => {
            "the only shard has not finished, or a finish has taken up what it left".into()
        }
        _ if none && maybe_finished => {
            format!("none of {of} shards has finished, or a finish has taken up what they left")
        }
        [_] if none => "the only shard has not finished".into(),
        _ if none => format!("none of {of} shards has finished"),
        [first @ .., last] if !first.is_empty() => {
            let first: Vec<_> = first.iter().map(ToString::to_string).collect();
            format!("shards {} and {last} of {of} have not finished", first.join(", "))
        }
        _ => format!("shard {} of {of} has not finished", missing.first().unwrap_or(&0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shards_that_are_missing_are_named() {
        let said = |missing: &[u32], of, others: &[u32], maybe_finished| {
            let (missing, others) = (missing.to_vec(), others.to_vec());
            Error::Shards { missing, of, others, maybe_finished }.to_string()
        };
        assert_eq!(said(&[1], 2, &[], false), "shard 1 of 2 has not finished");
        assert_eq!(said(&[1], 2, &[], true), "shard 1 of 2 has not finished");
        assert_eq!(said(&[0, 3], 4, &[], true), "shards 0 and 3 of 4 have not finished");
        assert_eq!(said(&[0, 1, 3], 4, &[], false), "shards 0, 1 and 3 of 4 have not finished");
        assert_eq!(said(&[0], 1, &[], false), "the only shard has not finished");
        assert_eq!(said(&[0, 1], 2, &[], false), "none of 2 shards has finished");
        let taken = "or a finish has taken up what";
        assert_eq!(said(&[0], 1, &[], true), format!("the only shard has not finished, {taken} it left"));
        assert_eq!(said(&[0, 1], 2, &[], true), format!("none of 2 shards has finished, {taken} they left"));
        // Markers of another number of shards: nobody has finished these.
        assert_eq!(said(&[0, 1], 2, &[3], true), "shards 0 and 1 of 2 have not finished");
    }

    #[test]
    fn the_room_that_is_missing_is_named_where_it_is_known() {
        let said = |missing| {
            let (target, unfinished) = (PathBuf::from("/t"), PathBuf::from("/t/u"));
            let (source, mixed) = (io::ErrorKind::StorageFull.into(), vec![]);
            Error::NoRoom { target, missing, mixed, in_place_helps: false, source, unfinished }.to_string()
        };
        assert_eq!(said(None), "/t: there is no room for the rest");
        assert_eq!(said(Some(7)), "/t: there is no room for the rest, which takes at least 7 bytes more");
    }
}
