//! What kind of failure an error is, for programs that decide by it what to do next.
//!
//! Whatever fails has a class: an [error of a repository](Class::of), of a [store](Class::of_store), of a
//! [restore](Class::of_restore), what happened to a [single entry](Class::of_reason), and what was
//! [found out](crate::Finding::class) about any of them.

mod entry;
mod finding;
#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::fmt;
use std::io;

use kopia_storage::{ErrorKind, Failure};
use rustix::io::Errno;
use serde::{Serialize, Serializer};

/// A kind of failure. Its [code](Self::code) is stable: programs may keep and compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The password of the repository is wrong.
    AuthFailure,
    /// The store does not know who asks, or does not allow it, or is not to be trusted itself (certificates, host
    /// keys).
    AccessDenied,
    /// The local system does not allow it (EACCES, EPERM, EROFS).
    PermissionDenied,
    /// There is no repository, snapshot, path or target of that name.
    NotFound,
    /// Others are at work, and it has to wait for them.
    Locked,
    /// The store cannot be reached, or not for now.
    Unavailable,
    /// There is no room left (ENOSPC, EDQUOT), or not enough.
    Full,
    /// The bytes lie in an archive, and have to be fetched from there first.
    Archived,
    /// Bytes are damaged or gone.
    Damaged,
    /// It asks for something that is not known here, or that the target cannot hold.
    Unsupported,
    /// It was asked for in a way that cannot be: options that exclude each other, a name of several things.
    Usage,
    /// A signal or the caller ended it.
    Stopped,
    /// Anything else.
    Other,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 13] = [
        Self::AuthFailure,
        Self::AccessDenied,
        Self::PermissionDenied,
        Self::NotFound,
        Self::Locked,
        Self::Unavailable,
        Self::Full,
        Self::Archived,
        Self::Damaged,
        Self::Unsupported,
        Self::Usage,
        Self::Stopped,
        Self::Other,
    ];

    /// Returns the code for machine-readable output, such as `AuthFailure`.
    pub fn code(self) -> &'static str {
        match self {
            Self::AuthFailure => "AuthFailure",
            Self::AccessDenied => "AccessDenied",
            Self::PermissionDenied => "PermissionDenied",
            Self::NotFound => "NotFound",
            Self::Locked => "Locked",
            Self::Unavailable => "Unavailable",
            Self::Full => "Full",
            Self::Archived => "Archived",
            Self::Damaged => "Damaged",
            Self::Unsupported => "Unsupported",
            Self::Usage => "Usage",
            Self::Stopped => "Stopped",
            Self::Other => "Other",
        }
    }

    /// Returns whether the same may succeed later, without anybody changing anything.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Locked | Self::Unavailable | Self::Stopped)
    }

    /// Classifies an error of a store.
    pub fn of_store(error: &kopia_storage::Error) -> Self {
        use kopia_storage::Error;
        match (error.failure(), error) {
            (Some(failure), _) => Self::of_failure(failure, error.kind()),
            (None, Error::UnsupportedBackend { .. } | Error::NoBlobs { .. }) => Self::Unsupported,
            // The store could be asked, so that the blob is gone.
            (
                None,
                Error::Short { .. }
                | Error::TooLarge { .. }
                | Error::NotFound { .. }
                | Error::NoContent { .. },
            ) => Self::Damaged,
            _ => error
                .source()
                .and_then(|source| source.downcast_ref())
                .map_or_else(|| Self::of_kind(error.kind()), Self::of_io),
        }
    }

    fn of_failure(failure: &Failure, kind: ErrorKind) -> Self {
        match failure {
            Failure::NoCredentials { .. }
            | Failure::Credentials { .. }
            | Failure::WrongKey { .. }
            | Failure::WrongSecret { .. }
            | Failure::Expired { .. }
            | Failure::NotPermitted { .. }
            | Failure::ClockSkew { .. }
            | Failure::NoTls { .. }
            | Failure::WantsTls { .. }
            | Failure::Certificate { .. }
            | Failure::HostKey { .. } => Self::AccessDenied,
            Failure::NoContainer { .. } | Failure::WrongRegion { .. } | Failure::Absent { .. } => {
                Self::NotFound
            }
            Failure::Cold { .. } => Self::Archived,
            Failure::NotVersioned { .. } | Failure::NoKopiaServer { .. } | Failure::Unusable { .. } => {
                Self::Unsupported
            }
            _ if kind == ErrorKind::NotAllowed => Self::AccessDenied,
            Failure::UnknownHost { .. }
            | Failure::Refused { .. }
            | Failure::Unreachable { .. }
            | Failure::Proxy { .. }
            | Failure::TimedOut { .. }
            | Failure::Disconnected { .. }
            | Failure::Busy { .. }
            | Failure::Protocol { .. } => Self::Unavailable,
            Failure::Refusal { status, .. } if is_for_now(status) => Self::Unavailable,
            // The same would be refused for ever, as far as is known.
            _ => Self::Other,
        }
    }

    fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound | ErrorKind::Location => Self::NotFound,
            ErrorKind::NotAllowed => Self::PermissionDenied,
            ErrorKind::TryAgain => Self::Unavailable,
            _ => Self::Damaged,
        }
    }

    /// Classifies what the local system said.
    pub fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            // The file system has no files that long, however much room there is.
            io::ErrorKind::FileTooLarge => Self::Unsupported,
            io::ErrorKind::ReadOnlyFilesystem => Self::PermissionDenied,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Damaged,
            _ => match ErrorKind::of(error) {
                // Whatever is not known counts as broken there; here, only what says so.
                ErrorKind::Broken => match Errno::from_io_error(error) {
                    Some(Errno::IO | Errno::UCLEAN | Errno::BADMSG) => Self::Damaged,
                    _ => Self::Other,
                },
                kind => Self::of_kind(kind),
            },
        }
    }

    /// Classifies an error of a repository.
    pub fn of(error: &kopia_repository::Error) -> Self {
        use kopia_repository::Error;
        match error {
            Error::WrongPassword { .. } => Self::AuthFailure,
            Error::NotARepository { .. }
            | Error::NotFound { .. }
            | Error::NothingChosen { .. }
            | Error::Incomplete { .. } => Self::NotFound,
            Error::Locked { .. } => Self::Locked,
            Error::Unsupported { .. } => Self::Unsupported,
            Error::Storage(error) => Self::of_store(error),
            Error::Unconfirmed { source, .. } => Self::of(source),
            Error::IndexFile { source, .. } => Self::of_io(source),
            Error::CorruptBlob { .. }
            | Error::CorruptContent { .. }
            | Error::CorruptObject { .. }
            | Error::CorruptSnapshot { .. }
            | Error::ContentNotFound { .. } => Self::Damaged,
            Error::Ambiguous { .. } | Error::NothingToChoose { .. } | Error::WrongKind { .. } => Self::Usage,
            // EAGAIN: others have them.
            Error::Threads { .. } => Self::Unavailable,
            _ => Self::Other,
        }
    }

    /// Classifies an error of a restore.
    pub fn of_restore(error: &kopia_restore::Error) -> Self {
        use kopia_restore::Error;
        match error {
            Error::Repository(error) => Self::of(error),
            Error::Busy { .. }
            | Error::ShardBusy { .. }
            | Error::DeviceInUse { .. }
            | Error::Shards { .. } => Self::Locked,
            Error::NoRoom { .. } | Error::DeviceTooSmall { .. } => Self::Full,
            Error::Problem { problem, .. } => Self::of_reason(&problem.reason),
            Error::Stopped { .. } => Self::Stopped,
            Error::Overlap { .. }
            | Error::NotADirectory { .. }
            | Error::NoShards
            | Error::NotAFile { .. }
            | Error::NoDevice { .. }
            | Error::KeepsNothing
            | Error::NewerInPlace => Self::Usage,
            error => error.source().and_then(|source| source.downcast_ref()).map_or(Self::Other, Self::of_io),
        }
    }
}

/// Returns whether a server that refused with this status may do it later: HTTP 429 and 5xx, and what gRPC has
/// in their place.
fn is_for_now(status: &str) -> bool {
    let code = |text: &str| text.split(' ').next().and_then(|code| code.parse::<u16>().ok());
    match status.strip_prefix("gRPC status ") {
        // DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE.
        Some(status) => matches!(code(status), Some(4 | 8 | 14)),
        None => matches!(code(status), Some(429 | 500..=599)),
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Writes the code.
impl Serialize for Class {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
