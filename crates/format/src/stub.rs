//! Stubs: the files that kopia leaves in place of entries that it could not read, or did not restore.
//!
//! `kopia snapshot fix` replaces an entry that cannot be read by a file `.INVALID.NAME`, whose JSON says what
//! was there and why it is gone. `kopia restore --shallow` writes a file `NAME.kopia-entry` in place of a
//! file, and a directory `NAME.kopia-entry` with a file `.kopia-entry` in place of a directory; their JSON is
//! the entry of the original. Authority: `snapshot/snapshotfs/dir_rewriter.go`, `fs/localfs/shallow_fs.go`.

use serde::Deserialize;

use crate::directory::RawEntry;
use crate::{ObjectId, json};

/// The beginning of the name of a file that replaces an unreadable entry.
pub const INVALID_PREFIX: &str = ".INVALID.";

/// The end of the name of a placeholder.
pub const PLACEHOLDER_SUFFIX: &str = ".kopia-entry";

/// The longest stub that is read, in bytes. A real one has some hundreds, and more for a directory with
/// errors.
pub const MAX_STUB: u64 = 1 << 20;

/// Why a stub stands for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StubKind {
    /// The original could not be read when `kopia snapshot fix` looked at it.
    Unreadable,
    /// The original was not restored, or not backed up, as such: `kopia restore --shallow` left a
    /// placeholder.
    Placeholder,
}

/// A file that stands for another entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// Why it stands there.
    pub kind: StubKind,
    /// The name of the original.
    pub name: String,
    /// The object of the original.
    pub object: ObjectId,
}

impl Stub {
    /// Returns which kind of stub a file of this name may be.
    pub fn kind_of(name: &str) -> Option<StubKind> {
        if name.starts_with(INVALID_PREFIX) {
            Some(StubKind::Unreadable)
        } else if name.ends_with(PLACEHOLDER_SUFFIX) {
            Some(StubKind::Placeholder)
        } else {
            None
        }
    }

    /// Parses a file of this name; returns `None` if it is no stub.
    pub fn parse(name: &str, bytes: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Unreadable {
            // Both fields are kopia's; a file without them is a user's own.
            #[serde(rename = "info")]
            _info: String,
            #[serde(rename = "error")]
            _error: String,
            #[serde(deserialize_with = "RawEntry::owned")]
            entry: Option<RawEntry<'static>>,
        }
        let kind = Self::kind_of(name)?;
        let entry = match kind {
            StubKind::Unreadable => json::parse::<Unreadable>("stub", bytes).ok()?.entry?,
            StubKind::Placeholder => json::parse::<RawEntry<'_>>("stub", bytes).ok()?.into_owned(),
        };
        Some(Self { kind, name: entry.name.to_string(), object: entry.obj.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_kopia_writes_is_known_and_nothing_else() {
        let entry =
            r#"{"name":"k2","type":"f","mode":"0644","size":5,"mtime":"2026-01-01T00:00:00Z","obj":"0a1b"}"#;
        let unreadable = format!(
            r#"{{"info":"Kopia replaced the original entry with this stub because of an error.","error":"gone","entry":{entry}}}"#
        );
        let stub = Stub::parse(".INVALID.k2", unreadable.as_bytes()).unwrap();
        assert_eq!((stub.kind, &*stub.name), (StubKind::Unreadable, "k2"));
        assert_eq!(stub.object, "0a1b".parse().unwrap());
        for name in ["k2.kopia-entry", ".kopia-entry"] {
            let stub = Stub::parse(name, entry.as_bytes()).unwrap();
            assert_eq!((stub.kind, &*stub.name), (StubKind::Placeholder, "k2"));
        }
        let empty = r#"{"info":"","error":"","entry":null}"#;
        for (name, text) in [
            ("k2", &*unreadable),
            (".INVALID.k2", entry),
            (".INVALID.k2", "notes"),
            (".INVALID.k2", empty),
            ("k2.kopia-entry", &unreadable),
            ("k2.kopia-entry", r#"{"name":"k2","obj":"no id"}"#),
            ("k2.kopia-entry", ""),
        ] {
            assert_eq!(Stub::parse(name, text.as_bytes()), None, "{name} {text}");
        }
    }

    #[test]
    fn the_longest_that_kopia_writes_is_read() {
        let error = json!({"path": "p".repeat(4096), "error": "e".repeat(8192)});
        let summary = json!({"numFailed": 10, "errors": vec![error; 10]});
        let entry = json!({"name": "n".repeat(255), "type": "d", "obj": "k0a1b", "summ": summary});
        let text = json!({"info": "i", "error": "e".repeat(8192), "entry": entry}).to_string();
        assert!(text.len() as u64 <= MAX_STUB, "{}", text.len());
        assert!(Stub::parse(".INVALID.n", text.as_bytes()).is_some());
    }
}
