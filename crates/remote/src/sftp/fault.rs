//! Why something could not be done, and whether another connection may help.

use std::io;

use kopia_storage::Failure;

use super::packet::Status;

/// Why something could not be done.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The connection broke, or there was none: another one may do better.
    Lost(Failure),
    /// It would be so the next time, too.
    Final(Failure),
    /// There is nothing of that name.
    Absent,
    /// It is a directory, and no file.
    Directory,
    /// An open file does not give its bytes, as on a bad disk. Another copy may.
    Unreadable(String),
}

impl Fault {
    /// Makes that of a server that does not keep to the protocol.
    pub(super) fn protocol(host: &str, why: &str) -> Self {
        Self::Final(Failure::Protocol { host: host.into(), protocol: "SFTP", why: why.into() })
    }

    /// Makes that of a connection which broke.
    pub(super) fn broken(host: &str, why: impl ToString) -> Self {
        Self::Lost(Failure::Disconnected { host: host.into(), why: why.to_string() })
    }

    /// Makes that of bytes which the server does not give, of a file that it opened.
    pub(super) fn unread(host: &str, path: &[u8], status: &Status) -> Self {
        match status.code {
            // SFTP has no other word for a bad disk.
            Status::FAILURE => {
                Self::Unreadable(format!("{host} cannot read it: {}", shortened(&status.message)))
            }
            _ => Self::refused(host, "reading", path, status),
        }
    }

    /// Makes that of a request which the server refused.
    pub(super) fn refused(host: &str, action: &str, path: &[u8], status: &Status) -> Self {
        let action = format!("{action} {}", String::from_utf8_lossy(path).escape_debug());
        match status.code {
            Status::NO_SUCH_FILE => Self::Absent,
            Status::PERMISSION_DENIED => Self::Final(Failure::NotPermitted {
                host: host.into(),
                action,
                credentials: "this user".into(),
                right: None,
            }),
            Status::CONNECTION_LOST => Self::broken(host, &status.message),
            code => Self::Final(Failure::Refusal {
                host: host.into(),
                status: format!("{action} with SFTP status {code}"),
                message: shortened(&status.message),
            }),
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Lost(failure) | Fault::Final(failure) => failure.into(),
            Fault::Absent => io::ErrorKind::NotFound.into(),
            Fault::Directory => io::ErrorKind::IsADirectory.into(),
            Fault::Unreadable(why) => Self::other(why),
        }
    }
}

/// Returns what a server or a program said, as one line that no terminal obeys.
pub(super) fn shortened(text: &str) -> String {
    const LIMIT: usize = 200;
    let line: String = text.trim().chars().take(LIMIT).collect();
    line.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_is_no_command_to_a_terminal() {
        assert_eq!(shortened(" no\u{1b}[2J\n"), "no\\u{1b}[2J");
        assert_eq!(shortened(&"x".repeat(1000)).len(), 200);
    }

    #[test]
    fn a_status_says_what_can_be_done() {
        let status = |code| Status { code, message: "m".into() };
        assert!(matches!(Fault::refused("h", "reading", b"p", &status(2)), Fault::Absent));
        assert!(matches!(Fault::refused("h", "reading", b"p", &status(7)), Fault::Lost(_)));
        let unread = io::Error::from(Fault::unread("h", b"p", &status(4)));
        assert_eq!(kopia_storage::ErrorKind::of(&unread), kopia_storage::ErrorKind::Broken);
        assert!(matches!(Fault::unread("h", b"p", &status(3)), Fault::Final(_)));
        let denied = io::Error::from(Fault::refused("h", "reading", b"p", &status(3)));
        assert_eq!(denied.kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(denied.to_string(), "h does not allow reading p with the credentials from this user");
    }
}
