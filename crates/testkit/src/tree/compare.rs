//! How two trees differ, in words.

use std::cmp::Ordering;

use super::{Entry, Kind, Tree};

/// What is compared besides kinds, permissions, times and contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compare {
    /// Owner and group of every entry.
    pub owners: bool,
    /// setuid, setgid and sticky.
    pub special_bits: bool,
    /// Mode, owner and time of the root; its kind always is.
    pub root: bool,
}

impl Default for Compare {
    /// Everything.
    fn default() -> Self {
        Self { owners: true, special_bits: true, root: true }
    }
}

impl Compare {
    /// What this process can set: without root no owners, and no special bits, which go with them.
    pub fn settable() -> Self {
        let root = rustix::process::geteuid().is_root();
        Self { owners: root, special_bits: root, root: true }
    }
}

/// The differences, sorted by path, such as `a/b: mode 0644, expected 0755`; none if the trees are the same.
pub fn compare(expected: &Tree, actual: &Tree, what: &Compare) -> Vec<String> {
    let mut differences = Vec::new();
    let (mut wanted, mut found) = (expected.entries(), actual.entries());
    loop {
        match (wanted, found) {
            ([], []) => return differences,
            ([want, more @ ..], []) => {
                differences.push(format!("{}: missing", shown(want)));
                wanted = more;
            }
            ([], [have, more @ ..]) => {
                differences.push(format!("{}: extra", shown(have)));
                found = more;
            }
            ([want, more_wanted @ ..], [have, more_found @ ..]) => match want.path.cmp(&have.path) {
                Ordering::Less => {
                    differences.push(format!("{}: missing", shown(want)));
                    wanted = more_wanted;
                }
                Ordering::Greater => {
                    differences.push(format!("{}: extra", shown(have)));
                    found = more_found;
                }
                Ordering::Equal => {
                    one(want, have, what, &mut differences);
                    wanted = more_wanted;
                    found = more_found;
                }
            },
        }
    }
}

/// Compares two entries of the same path.
fn one(want: &Entry, have: &Entry, what: &Compare, differences: &mut Vec<String>) {
    let path = shown(want);
    let mut differ = |field: &str, have: String, want: String| {
        if have != want {
            differences.push(format!("{path}: {field} {have}, expected {want}"));
        }
    };
    if want.kind != have.kind {
        return differ("kind", kind(have.kind).to_owned(), kind(want.kind).to_owned());
    }
    differ("size", have.size.to_string(), want.size.to_string());
    differ("sha256", text(&have.sha256), text(&want.sha256));
    differ("target", text(&have.target), text(&want.target));
    if want.path.is_empty() && !what.root {
        return;
    }
    let mask = if what.special_bits { 0o7777 } else { 0o777 };
    if want.kind != Kind::Symlink {
        differ("mode", format!("{:04o}", have.mode & mask), format!("{:04o}", want.mode & mask));
    }
    if what.owners {
        differ("uid", have.uid.to_string(), want.uid.to_string());
        differ("gid", have.gid.to_string(), want.gid.to_string());
    }
    differ("mtime_ns", have.mtime_ns.to_string(), want.mtime_ns.to_string());
}

/// The path in one printable line; the root has a dot.
fn shown(entry: &Entry) -> String {
    match entry.path.as_str() {
        "" => ".".to_owned(),
        path if path.chars().any(char::is_control) => format!("{path:?}"),
        path => path.to_owned(),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Directory => "directory",
        Kind::File => "file",
        Kind::Symlink => "symlink",
        Kind::Other => "other",
    }
}

fn text(text: &Option<String>) -> String {
    text.as_ref().map_or_else(|| "none".to_owned(), |text| format!("{text:?}"))
}
