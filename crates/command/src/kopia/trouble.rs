//! Failures in kopia's words.
//!
//! Tools tell failures apart by what is in kopia's messages, in this order. So each message holds the words of its own
//! class, and none that come before them.

use std::fmt::Display;
use std::io;

use kopia_rs::diagnosis::Class;
use kopia_rs::diagnosis::text::{chain, count, escape};
use kopia_rs::{Error, connection, restore, storage};

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What it failed of, in lines.
    Failed(Vec<String>),
    /// The reader of standard output has closed it.
    BrokenPipe,
}

/// What is wrong with an entry.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) place: String,
    pub(super) class: Class,
    pub(super) why: String,
}

/// What a message of each class holds, in the order in which tools look.
const WORDS: [(Class, &[&str]); 6] = [
    (Class::AuthFailure, &["invalid repository password", "incorrect password", "unable to derive"]),
    (Class::AccessDenied, &["access denied", "accessdenied", "forbidden", "not authorized"]),
    (Class::PermissionDenied, &["permission denied", "operation not permitted", "eacces"]),
    (Class::Locked, &["repository is locked", "another process", "lock"]),
    (Class::NotFound, &["no such file or directory", "not found", "does not exist", "not initialized"]),
    (
        Class::Unavailable,
        &[
            "error connecting to repository",
            "unable to open repository",
            "connection refused",
            "dial tcp",
            "no route to host",
            "timeout",
            "no such host",
            "tls:",
            "x509",
            "certificate",
        ],
    ),
];

impl Trouble {
    /// Makes the failure of what has nothing to do with the repository.
    pub(super) fn failed(message: impl Display) -> Self {
        Self::Failed(vec![escape(&message.to_string()).into_owned()])
    }

    /// Makes a failure in kopia's words, with what else is known of it as far as that does not mislead.
    pub(super) fn of_class(class: Class, words: &str, detail: &str) -> Self {
        let whole = if detail.is_empty() { words.to_owned() } else { format!("{words}: {detail}") };
        let meant = kind(words).or(Some(class));
        let message = if kind(&whole) == meant || kind(&whole).is_none() { whole } else { words.to_owned() };
        Self::failed(message)
    }

    /// Words what went wrong before a repository was open; `doing` is what kopia was at.
    pub(super) fn unopened(error: &Error, doing: &str) -> Self {
        let class = Class::of(error);
        let words = match (error, class) {
            (Error::WrongPassword { .. }, _) => {
                return Self::failed(format!(
                    "{doing}: unable to create format manager: invalid repository password"
                ));
            }
            (Error::NotARepository { .. }, _) => {
                return Self::failed(format!("{doing}: repository not initialized in the provided storage"));
            }
            (Error::Storage(storage::Error::NotFound { .. }), _) => {
                format!("{doing}: unable to read format blob: BLOB not found")
            }
            (_, Class::Damaged | Class::Unsupported | Class::Other | Class::Archived | Class::Full) => {
                return Self::of_class(class, "unable to read the repository", &chain(error));
            }
            (_, Class::AccessDenied) => format!("{doing}: unable to read format blob: Access Denied."),
            (_, Class::PermissionDenied) => format!("{doing}: unable to read format blob: permission denied"),
            (_, Class::NotFound) => format!("{doing}: unable to read format blob: not found"),
            (_, Class::Locked) => format!("{doing}: repository is locked for an upgrade"),
            _ => doing.to_owned(),
        };
        Self::of_class(class, &words, &chain(error))
    }

    /// Words what a store says when it is connected to.
    pub(super) fn unconnected(error: &storage::Error, place: &str) -> Self {
        let class = Class::of_store(error);
        let words = match class {
            Class::NotFound => {
                format!(
                    "can't connect to storage: cannot access storage path: stat {place}: no such file or directory"
                )
            }
            Class::PermissionDenied => {
                format!("can't connect to storage: cannot access {place}: permission denied")
            }
            Class::AccessDenied => "can't connect to storage: Access Denied.".to_owned(),
            Class::Unavailable => "error connecting to repository".to_owned(),
            _ => "can't connect to storage".to_owned(),
        };
        Self::of_class(class, &words, &chain(error))
    }

    /// Words what went wrong while reading, after what kopia was at.
    pub(super) fn reading(error: &Error, doing: &str) -> Self {
        let class = Class::of(error);
        let words = match class {
            Class::NotFound => match error {
                Error::NotFound { what, .. } if what.starts_with("path") => {
                    let name = what.rsplit('/').next().unwrap_or_default();
                    return Self::failed(format!(
                        "{doing}: error reading directory: entry not found: {name:?}"
                    ));
                }
                _ => format!("{doing}: not found"),
            },
            Class::AccessDenied => format!("{doing}: Access Denied."),
            Class::PermissionDenied => format!("{doing}: permission denied"),
            Class::Unavailable => format!("{doing}: unable to open repository"),
            _ => match error {
                Error::Storage(storage::Error::NotFound { .. }) => format!("{doing}: BLOB not found"),
                Error::ContentNotFound { content } => {
                    return Self::failed(format!("{doing}: content {content} not found: object not found"));
                }
                _ => doing.to_owned(),
            },
        };
        Self::of_class(class, &words, &chain(error))
    }
}

/// Returns the class that a tool takes a message for.
pub(super) fn kind(message: &str) -> Option<Class> {
    let message = message.to_ascii_lowercase();
    WORDS.iter().find(|(_, words)| words.iter().any(|word| message.contains(word))).map(|(class, _)| *class)
}

impl Flaw {
    /// Words a failure whose first flaw this is: `words`, and why unless that would mislead.
    pub(super) fn begin(&self, words: &str) -> String {
        let whole = format!("{words}: {}", escape(&self.why));
        let is_true = match (kind(&whole), self.class) {
            // kopia says of what is gone that it is not found.
            (None, _) | (Some(Class::NotFound), Class::Damaged) => true,
            (Some(said), class) => said == class,
        };
        if is_true { whole } else { words.to_owned() }
    }
}

/// Returns the lines that name entries, of `all` that there are, beside one that says what failed. Tools look for words
/// in names as well: a line that would make another failure of it is left out, and counted.
pub(super) fn named(failure: &str, lines: impl Iterator<Item = String>, all: u64) -> Vec<String> {
    let meant = kind(failure);
    let mut lines: Vec<_> = lines.filter(|line| kind(line).is_none_or(|said| Some(said) == meant)).collect();
    let left = all.saturating_sub(lines.len() as u64);
    if left > 0 {
        lines.push(format!("{} not named here", count(left, "entry is", "entries are")));
    }
    lines
}

impl From<io::Error> for Trouble {
    /// Takes what standard output says.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::failed(format!("unable to copy data: {error}")),
        }
    }
}

impl From<connection::Error> for Trouble {
    fn from(error: connection::Error) -> Self {
        match &error {
            connection::Error::Option { why, .. } => Self::failed(format!("can't connect to storage: {why}")),
            connection::Error::Read { source, .. } => Self::of_class(
                Class::of_io(source),
                "error loading config file",
                &chain(&error).to_lowercase(),
            ),
            _ => Self::failed(format!("can't connect to storage: {}", chain(&error))),
        }
    }
}

impl From<restore::Error> for Trouble {
    fn from(error: restore::Error) -> Self {
        let class = Class::of_restore(&error);
        let words = match class {
            Class::PermissionDenied => "error restoring: restore error: permission denied",
            Class::NotFound => "error restoring: restore error: not found",
            Class::Full => "error restoring: restore error: no space left on device",
            _ => "error restoring: restore error",
        };
        Self::of_class(class, words, &chain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(trouble: Trouble) -> String {
        let Trouble::Failed(lines) = trouble else { panic!("{trouble:?}") };
        lines.join("\n")
    }

    #[test]
    fn a_message_is_taken_for_what_it_is() {
        let wrong = Error::WrongPassword { location: "/blocks/x".into() };
        let said = text(Trouble::unopened(&wrong, "error connecting to repository"));
        assert_eq!(kind(&said), Some(Class::AuthFailure));
        let none = Error::NotARepository { location: "/clock".into() };
        let said = text(Trouble::unopened(&none, "error connecting to repository"));
        assert_eq!((kind(&said), said.contains("not initialized")), (Some(Class::NotFound), true));
        // What is known of it would mislead, so it is left out.
        let source = io::Error::from(io::ErrorKind::TimedOut);
        let slow = storage::Error::Open { place: "the permission denied block".into(), source };
        let said = text(Trouble::unconnected(&slow, "x"));
        assert_eq!((kind(&said), &*said), (Some(Class::Unavailable), "error connecting to repository"));
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        let denied = storage::Error::Open { place: "/repo".into(), source };
        assert_eq!(kind(&text(Trouble::unconnected(&denied, "/repo"))), Some(Class::PermissionDenied));
    }

    #[test]
    fn names_of_entries_make_no_other_failure_of_it() {
        let names =
            ["a/package-lock.json", "clock/face", "a", "certificate.pem", "eacces", "not found", "Timeout"];
        let flaws = |class, why: &str| {
            Vec::from(names.map(|place| Flaw { place: place.into(), class, why: why.into() }))
        };
        let said = |flaws: &[Flaw], all| {
            let first = flaws[0].begin("error copying: 7 entries are not restored");
            let lines = flaws.iter().map(|flaw| format!("{}: {}", flaw.place, flaw.why));
            (kind(&first), named(&first, lines, all))
        };
        // kopia knows no word for damage: whatever is read out of a name is wrong.
        let why = "content 12 is corrupt: its hash is another one (blob p1, offset 0, 9 bytes)";
        let (class, lines) = said(&flaws(Class::Damaged, why), 7);
        assert_eq!((class, kind(&lines.join("\n"))), (None, None));
        assert_eq!(lines, [format!("a: {why}"), "6 entries are not named here".into()]);
        // What the system says comes before what is in most of the names; not before all.
        let denied = flaws(Class::PermissionDenied, "cannot be written: Permission denied (os error 13)");
        let (class, lines) = said(&denied, 1007);
        assert_eq!(class, Some(Class::PermissionDenied));
        assert_eq!((kind(&lines.join("\n")), lines.len()), (class, 8));
        assert_eq!(lines[7], "1,000 entries are not named here");
        let gone = flaws(Class::Damaged, "blob p1 not found");
        let (class, lines) = said(&gone, 7);
        assert_eq!((class, kind(&lines.join("\n"))), (Some(Class::NotFound), Some(Class::NotFound)));
        assert_eq!(lines.last().map(|line| &**line), Some("3 entries are not named here"));
        // Why it failed may hold a name as well.
        let taken = "the target's file system takes its name for that of Package-Lock.json";
        let (class, lines) = said(&flaws(Class::Unsupported, taken), 7);
        assert_eq!((class, &*lines), (None, &["7 entries are not named here".to_owned()][..]));
        let lines = named("encountered 1 errors", ["clock: gone".to_owned()].into_iter(), 1);
        assert_eq!(lines, ["1 entry is not named here"]);
    }
}
