//! What kind of failure an error is, for programs that decide by it what to do next.

use std::error::Error as _;
use std::fmt;
use std::io;

use kopia_storage::{ErrorKind, Failure};

/// A kind of failure. Its [code](Self::code) is stable: programs may keep and compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The password of the repository is wrong.
    AuthFailure,
    /// The store knows who asks and does not allow it, or does not know who asks.
    AccessDenied,
    /// The local system does not allow it (EACCES, EPERM).
    PermissionDenied,
    /// There is no repository, snapshot, path or target of that name.
    NotFound,
    /// Others are at work, and it has to wait for them.
    Locked,
    /// The store cannot be reached, or not for now.
    Unavailable,
    /// There is no room left.
    Full,
    /// The bytes lie in an archive, and have to be fetched from there first.
    Archived,
    /// Bytes are damaged or gone.
    Damaged,
    /// It asks for something that is not known here.
    Unsupported,
    /// Anything else.
    Other,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 11] = [
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
            Self::Other => "Other",
        }
    }

    /// Returns whether the same may succeed later, without anybody changing anything.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Locked | Self::Unavailable)
    }

    /// Classifies an error of a store.
    pub fn of_store(error: &kopia_storage::Error) -> Self {
        use kopia_storage::Error;
        match (error.failure(), error) {
            (Some(failure), _) => Self::of_failure(failure, error.kind()),
            (None, Error::UnsupportedBackend { .. } | Error::NoBlobs { .. }) => Self::Unsupported,
            (None, Error::Short { .. } | Error::TooLarge { .. }) => Self::Damaged,
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
            | Failure::HostKey { .. } => Self::AccessDenied,
            Failure::NoContainer { .. } | Failure::Absent { .. } => Self::NotFound,
            Failure::Cold { .. } => Self::Archived,
            Failure::NotVersioned { .. } => Self::Unsupported,
            _ if kind == ErrorKind::NotAllowed => Self::AccessDenied,
            _ => Self::Unavailable,
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
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full
            }
            _ => Self::of_kind(ErrorKind::of(error)),
        }
    }

    /// Classifies an error of a repository.
    pub fn of(error: &kopia_repository::Error) -> Self {
        use kopia_repository::Error;
        match error {
            Error::WrongPassword { .. } => Self::AuthFailure,
            Error::NotARepository { .. } | Error::NotFound { .. } | Error::Incomplete { .. } => {
                Self::NotFound
            }
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
            _ => Self::Other,
        }
    }

    /// Classifies an error of a restore.
    pub fn of_restore(error: &kopia_restore::Error) -> Self {
        use kopia_restore::Error;
        match error {
            Error::Repository(error) => Self::of(error),
            Error::Busy { .. } => Self::Locked,
            error => error.source().and_then(|source| source.downcast_ref()).map_or(Self::Other, Self::of_io),
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stable_and_no_two_are_the_same() {
        let codes = Class::ALL.map(Class::code);
        let stable = "AuthFailure AccessDenied PermissionDenied NotFound Locked Unavailable Full Archived Damaged \
                      Unsupported Other";
        assert_eq!(codes.join(" "), stable);
    }

    #[test]
    fn errors_of_stores_and_systems() {
        use kopia_storage::Error;
        let open = |source: io::Error| Class::of_store(&Error::Open { place: "p".into(), source });
        assert_eq!(open(io::ErrorKind::PermissionDenied.into()), Class::PermissionDenied);
        assert_eq!(open(io::ErrorKind::NotFound.into()), Class::NotFound);
        assert_eq!(open(io::ErrorKind::TimedOut.into()), Class::Unavailable);
        let refused = Failure::Refused { host: "h:1".into() };
        assert_eq!(open(io::Error::new(io::ErrorKind::ConnectionRefused, refused)), Class::Unavailable);
        let expired = Failure::Expired { credentials: "c".into() };
        assert_eq!(open(io::Error::new(io::ErrorKind::PermissionDenied, expired)), Class::AccessDenied);
        assert_eq!(Class::of_io(&io::ErrorKind::StorageFull.into()), Class::Full);
        let wrong = kopia_repository::Error::WrongPassword { location: "l".into() };
        assert_eq!((Class::of(&wrong), Class::of(&wrong).may_pass()), (Class::AuthFailure, false));
    }
}
