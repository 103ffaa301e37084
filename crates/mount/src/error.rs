//! Why nothing can be mounted.

use std::io;
use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why nothing can be mounted, or not unmounted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The mount point cannot be looked at.
    #[error("{point}: {source}", point = .point.display())]
    Point {
        /// The mount point.
        point: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The mount point is no directory.
    #[error("{point} is no folder", point = .point.display())]
    NotAFolder {
        /// The mount point.
        point: PathBuf,
    },
    /// Something is mounted there of which the program has ended (ENOTCONN).
    #[error("{point} is still the mount point of a program that has ended", point = .point.display())]
    Dead {
        /// The mount point.
        point: PathBuf,
    },
    /// The system has no FUSE, or this container is not given it.
    #[error("there is no /dev/fuse here")]
    NoDevice,
    /// /dev/fuse cannot be opened.
    #[error("/dev/fuse cannot be opened: {source}")]
    Device {
        /// What the system said.
        source: io::Error,
    },
    /// This process may not mount, and the helper that may is not installed.
    #[error("this user may not mount, and there is no fusermount3 that would do it")]
    NoHelper,
    /// An ordinary user may not let others in.
    #[error("other users are let in only if /etc/fuse.conf has the line user_allow_other")]
    NotForOthers,
    /// The system, or fusermount3, refuses.
    #[error("{point} cannot be mounted: {why}", point = .point.display())]
    Refused {
        /// The mount point.
        point: PathBuf,
        /// What was said.
        why: String,
    },
    /// The system gives this process no thread.
    #[error("no thread can be started: {source}")]
    Threads {
        /// What the system said.
        source: io::Error,
    },
}
