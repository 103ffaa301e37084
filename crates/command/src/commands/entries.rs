//! Lines of entries, as `ls` and `find` print them.

use std::io;

use kopia_rs::{Entry, EntryKind, Error};
use serde::Serialize;

use crate::terminal::output::{Out, for_terminal, size};
use crate::terminal::time;

/// What is shown of an entry besides its path.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style {
    /// Mode, owner, size and time.
    pub(super) long: bool,
    /// Sizes in kB, MB and so on.
    pub(super) human: bool,
    /// The id of the object.
    pub(super) ids: bool,
    /// A NUL byte at the end, and nothing is escaped.
    pub(super) null: bool,
}

/// One entry as `--json` prints it; fields as in kopia's directories, the path below what was named.
#[derive(Debug, Serialize)]
pub(super) struct Json<'a> {
    /// What was named, where that is several things.
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'a str>,
    path: &'a str,
    r#type: &'static str,
    /// Unix permission bits in octal.
    mode: String,
    size: u64,
    mtime: String,
    uid: u32,
    gid: u32,
    obj: String,
    /// Where a link leads, with U+FFFD for what is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

impl<'a> Json<'a> {
    pub(super) fn new(path: &'a str, entry: &Entry, target: Option<String>) -> Self {
        Self {
            what: None,
            path,
            r#type: letter(entry.kind()).1,
            mode: format!("{:04o}", entry.mode()),
            size: entry.size(),
            mtime: entry.modified().to_string(),
            uid: entry.owner().0,
            gid: entry.owner().1,
            obj: entry.object().to_string(),
            target,
        }
    }

    /// Says which of several things it belongs to.
    pub(super) fn below(self, what: Option<&'a str>) -> Self {
        Self { what, ..self }
    }
}

impl Style {
    /// Returns whether links are shown with what they lead to.
    pub(super) fn shows_targets(self) -> bool {
        self.long
    }

    /// Writes the line of an entry.
    pub(super) fn write(
        self,
        out: &mut Out,
        path: &str,
        entry: &Entry,
        target: Option<&str>,
    ) -> io::Result<()> {
        use io::Write;
        let slash = if entry.kind() == EntryKind::Directory { "/" } else { "" };
        let arrow = target.map(|target| format!(" -> {target}")).unwrap_or_default();
        let line = format!("{}{path}{slash}{arrow}", self.details(entry));
        if self.null { write!(out, "{line}\0") } else { writeln!(out, "{}", for_terminal(&line)) }
    }

    /// Object, mode, owner, group, size and local time, as far as they are wanted.
    fn details(self, entry: &Entry) -> String {
        let id = if self.ids { format!("{:<34}", entry.object().to_string()) } else { String::new() };
        if !self.long {
            return if self.ids { format!("{id} ") } else { id };
        }
        let (uid, gid) = entry.owner();
        let time = time::local(entry.modified(), "%Y-%m-%d %H:%M:%S");
        let size = match self.human {
            true => format!("{:>9}", size(entry.size())),
            false => format!("{:>12}", entry.size()),
        };
        let id = if self.ids { format!("{id} ") } else { id };
        format!("{id}{} {uid:>5} {gid:>5} {size} {time} ", mode(entry))
    }
}

/// Reads where a link leads; nothing for what is no link.
pub(super) fn target(entry: &Entry) -> Result<Option<String>, Error> {
    let is_link = entry.kind() == EntryKind::Symlink;
    let target = is_link.then(|| entry.target()).transpose()?;
    Ok(target.map(|target| String::from_utf8_lossy(&target).into_owned()))
}

/// How kinds begin a mode, and what kopia calls them.
pub(super) fn letter(kind: EntryKind) -> (char, &'static str) {
    match kind {
        EntryKind::File => ('-', "f"),
        EntryKind::Directory => ('d', "d"),
        EntryKind::Symlink => ('l', "s"),
    }
}

/// Shows a mode as `ls` does.
pub(super) fn mode(entry: &Entry) -> String {
    let mode = entry.mode();
    let mut text = String::from(letter(entry.kind()).0);
    for (shift, special, set, unset) in [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')]
    {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => set,
            (true, false) => unset,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}
