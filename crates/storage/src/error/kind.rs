//! What a caller may do about an error.
//!
//! One place turns what systems and servers say into the few things that a caller can do, so that nobody
//! above this crate digs for an errno in chains of causes.

use std::io;

use rustix::io::Errno;

/// What a caller may do about an [`Error`](crate::Error).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The blob, or the store itself, is not there.
    ///
    /// Maintenance may have removed a blob since it was listed: list again, and look for what it held in
    /// other blobs. A store that is not there has to be named otherwise, or mounted.
    NotFound,
    /// Permission or credentials are missing (EACCES, EPERM, ENOKEY; HTTP 401 and 403).
    ///
    /// It fails again until a person changes rights or credentials: ask for that, and do not repeat the call.
    /// Nothing is known of what lies there, so it must not be taken for absent or damaged.
    NotAllowed,
    /// The store, the network or this process cannot do it for now.
    ///
    /// It was interrupted, throttled, too slow or out of reach (EINTR, ETIMEDOUT, ESTALE, EMFILE; HTTP 429
    /// and 503). The same call may succeed later: stop here and try again, after a pause. Stores that repeat
    /// calls by themselves have done so before they say it. Nothing is known of what lies there, so it must
    /// not be taken for absent or damaged.
    TryAgain,
    /// The bytes are gone for good: damaged, cut short, or on a disk that does not give them (EIO, EUCLEAN).
    ///
    /// Take another copy of the blob, or do without it and say so.
    Broken,
    /// The location names no store that can be opened. Give another one.
    Location,
}

impl ErrorKind {
    /// Classifies what a system or a server said.
    ///
    /// A store whose server gives other answers than errno wraps them in an [`io::Error`] of a fitting kind:
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied), [`TimedOut`](io::ErrorKind::TimedOut), or
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) if it is throttled. Whatever is not known counts as
    /// [`Self::Broken`].
    pub fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Io;
        match error.kind() {
            Io::NotFound | Io::NotADirectory => Self::NotFound,
            Io::PermissionDenied => Self::NotAllowed,
            Io::Interrupted
            | Io::WouldBlock
            | Io::TimedOut
            | Io::ResourceBusy
            | Io::OutOfMemory
            | Io::StaleNetworkFileHandle
            | Io::BrokenPipe
            | Io::NotConnected
            | Io::ConnectionAborted
            | Io::ConnectionRefused
            | Io::ConnectionReset
            | Io::HostUnreachable
            | Io::NetworkDown
            | Io::NetworkUnreachable => Self::TryAgain,
            _ => Errno::from_io_error(error).map_or(Self::Broken, Self::of_errno),
        }
    }

    /// Classifies an errno that has no kind in the standard library.
    fn of_errno(errno: Errno) -> Self {
        match errno {
            // Directories and mounts whose key was not given.
            Errno::NOKEY | Errno::KEYEXPIRED | Errno::KEYREVOKED | Errno::KEYREJECTED => Self::NotAllowed,
            // Too many open files, here or in the whole system; a server that is down.
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::HOSTDOWN | Errno::SHUTDOWN => Self::TryAgain,
            _ => Self::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_says_what_can_be_done() {
        for (errno, kind) in [
            (Errno::NOENT, ErrorKind::NotFound),
            (Errno::NOTDIR, ErrorKind::NotFound),
            (Errno::ACCESS, ErrorKind::NotAllowed),
            (Errno::PERM, ErrorKind::NotAllowed),
            (Errno::NOKEY, ErrorKind::NotAllowed),
            (Errno::KEYEXPIRED, ErrorKind::NotAllowed),
            (Errno::INTR, ErrorKind::TryAgain),
            (Errno::AGAIN, ErrorKind::TryAgain),
            (Errno::TIMEDOUT, ErrorKind::TryAgain),
            (Errno::STALE, ErrorKind::TryAgain),
            (Errno::BUSY, ErrorKind::TryAgain),
            (Errno::NOTCONN, ErrorKind::TryAgain),
            (Errno::CONNRESET, ErrorKind::TryAgain),
            (Errno::HOSTUNREACH, ErrorKind::TryAgain),
            (Errno::HOSTDOWN, ErrorKind::TryAgain),
            (Errno::MFILE, ErrorKind::TryAgain),
            (Errno::NFILE, ErrorKind::TryAgain),
            (Errno::NOMEM, ErrorKind::TryAgain),
            (Errno::IO, ErrorKind::Broken),
            (Errno::UCLEAN, ErrorKind::Broken),
            (Errno::BADMSG, ErrorKind::Broken),
            (Errno::ISDIR, ErrorKind::Broken),
            (Errno::LOOP, ErrorKind::Broken),
        ] {
            assert_eq!(ErrorKind::of(&errno.into()), kind, "{errno}");
        }
        let server = |kind| ErrorKind::of(&io::Error::new(kind, "503 Slow Down"));
        assert_eq!(server(io::ErrorKind::ResourceBusy), ErrorKind::TryAgain);
        assert_eq!(server(io::ErrorKind::PermissionDenied), ErrorKind::NotAllowed);
        assert_eq!(server(io::ErrorKind::UnexpectedEof), ErrorKind::Broken);
        assert_eq!(server(io::ErrorKind::Other), ErrorKind::Broken);
    }
}
