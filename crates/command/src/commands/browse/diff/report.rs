//! What `diff` prints: a line for each difference, and their sums.

use std::io::{self, Write};
use std::ops::ControlFlow;

use kopia_rs::compare::Changes;
use kopia_rs::{Entry, EntryKind};
use serde::Serialize;

use crate::commands::entries::letter;
use crate::error::{Exit, Failure};
use crate::terminal::colour::Colour;
use crate::terminal::output::{self, Broken, Out, count, for_terminal, size};

/// One side of a difference.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Side {
    r#type: &'static str,
    size: u64,
    #[serde(flatten)]
    attributes: Option<Attributes>,
    /// How many files and links are below a folder, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<u64>,
}

/// What is known of an entry of a snapshot.
#[derive(Debug, Clone, Serialize)]
struct Attributes {
    mode: String,
    mtime: String,
    uid: u32,
    gid: u32,
    obj: String,
}

/// A difference.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) path: &'a str,
    pub(super) old: Option<Side>,
    pub(super) new: Option<Side>,
    pub(super) changes: Changes,
}

/// A difference as `--json` prints it, a line each.
#[derive(Debug, Serialize)]
struct Json<'a> {
    change: &'static str,
    path: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<&'a Side>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<&'a Side>,
}

/// The last line of `--json`.
#[derive(Debug, Default, Serialize)]
struct Sums {
    added: Sum,
    removed: Sum,
    changed: Sum,
    /// How many bytes the newer side has more.
    grown: i128,
}

#[derive(Debug, Default, Serialize)]
struct Sum {
    /// Files and links.
    files: u64,
    folders: u64,
    bytes: u64,
}

pub(super) struct Report {
    pub(super) out: Out,
    json: bool,
    summary: bool,
    /// Whether what is in a folder is told by itself.
    recursive: bool,
    sums: Sums,
    pub(super) broken: Broken,
}

impl Side {
    pub(super) fn of(entry: &Entry) -> Self {
        let summary = entry.summary().filter(|_| entry.kind() == EntryKind::Directory);
        let number = |number: i64| u64::try_from(number).unwrap_or_default();
        let attributes = Attributes {
            mode: format!("{:04o}", entry.mode()),
            mtime: entry.modified().to_string(),
            uid: entry.owner().0,
            gid: entry.owner().1,
            obj: entry.object().to_string(),
        };
        Self {
            r#type: letter(entry.kind()).1,
            size: summary.map_or(entry.size(), |summary| number(summary.size)),
            attributes: Some(attributes),
            files: summary.map(|summary| number(summary.files).saturating_add(number(summary.symlinks))),
        }
    }

    /// Makes a side of what only its kind and size are known.
    pub(super) fn plain(is_folder: bool, size: u64) -> Self {
        Self { r#type: if is_folder { "d" } else { "f" }, size, attributes: None, files: None }
    }

    fn is_folder(&self) -> bool {
        self.r#type == "d"
    }
}

impl Report {
    pub(super) fn new(json: bool, summary: bool, recursive: bool) -> Self {
        Self {
            out: output::out(),
            json,
            summary,
            recursive,
            sums: Sums::default(),
            broken: Broken::default(),
        }
    }

    /// Prints a difference, and stops where nobody reads on.
    pub(super) fn push(&mut self, row: &Row<'_>) -> ControlFlow<()> {
        self.add(row);
        let written = if self.summary { Ok(()) } else { self.write(row) };
        self.broken.note(written)
    }

    fn add(&mut self, row: &Row<'_>) {
        let below =
            |side: &Side| if self.recursive || !side.is_folder() { 0 } else { side.files.unwrap_or(0) };
        let bytes = |side: &Side| if self.recursive && side.is_folder() { 0 } else { side.size };
        let (sum, side) = match (&row.old, &row.new) {
            (None, Some(new)) => (&mut self.sums.added, new),
            (Some(old), None) => (&mut self.sums.removed, old),
            (_, Some(new)) => (&mut self.sums.changed, new),
            (None, None) => return,
        };
        sum.folders += u64::from(side.is_folder());
        if row.old.is_some() && row.new.is_some() {
            sum.files += u64::from(!side.is_folder());
            sum.bytes += if side.is_folder() { 0 } else { side.size };
        } else {
            sum.files += u64::from(!side.is_folder()) + below(side);
            sum.bytes += bytes(side);
        }
        let counts = |side: &Side| match (&row.old, &row.new) {
            // What is below two folders is told by itself.
            (Some(_), Some(_)) if side.is_folder() => 0,
            _ => i128::from(bytes(side)),
        };
        self.sums.grown += row.new.as_ref().map_or(0, counts) - row.old.as_ref().map_or(0, counts);
    }

    fn write(&mut self, row: &Row<'_>) -> io::Result<()> {
        let (sign, word, colour) = match (&row.old, &row.new) {
            (None, _) => ('+', "added", Colour::Green),
            (_, None) => ('-', "removed", Colour::Red),
            _ => ('~', "changed", Colour::Yellow),
        };
        if self.json {
            let changed = row.changes.words().collect();
            let (old, new) = (row.old.as_ref(), row.new.as_ref());
            let json = Json { change: word, path: row.path, changed, old, new };
            serde_json::to_writer(&mut self.out, &json)?;
            return writeln!(self.out);
        }
        let side = row.new.as_ref().or(row.old.as_ref());
        let slash = if side.is_some_and(Side::is_folder) && !row.path.is_empty() { "/" } else { "" };
        let path = if row.path.is_empty() { "." } else { row.path };
        let details = details(row);
        let line = format!("{sign} {}{slash}", for_terminal(path));
        writeln!(self.out, "{}{details}", colour.paint(&line))
    }

    pub(super) fn finish(mut self, exit: Exit) -> Result<Exit, Failure> {
        let written = std::mem::take(&mut self.broken).check();
        exit.after(written.and_then(|()| self.sum()).and_then(|()| self.out.flush()))
    }

    fn sum(&mut self) -> io::Result<()> {
        if self.json {
            #[derive(Serialize)]
            struct Last<'a> {
                change: &'static str,
                #[serde(flatten)]
                sums: &'a Sums,
            }
            serde_json::to_writer(&mut self.out, &Last { change: "sum", sums: &self.sums })?;
            return writeln!(self.out);
        }
        let words = |sum: &Sum| {
            let files = (sum.files > 0).then(|| count(sum.files, "file", "files"));
            let folders = (sum.folders > 0).then(|| count(sum.folders, "folder", "folders"));
            let words: Vec<String> = files.into_iter().chain(folders).collect();
            (!words.is_empty()).then(|| format!("{} ({})", words.join(" and "), size(sum.bytes)))
        };
        let all =
            [(&self.sums.added, "added"), (&self.sums.removed, "removed"), (&self.sums.changed, "changed")];
        let all: Vec<_> =
            all.iter().filter_map(|(sum, word)| Some(format!("{word} {}", words(sum)?))).collect();
        let sums = if all.is_empty() { "no differences".to_owned() } else { all.join(", ") };
        writeln!(self.out, "{sums}")
    }
}

/// Says what a difference is about: the bytes of what came or went, or what changed.
fn details(row: &Row<'_>) -> String {
    let (old, new) = match (&row.old, &row.new) {
        (Some(old), Some(new)) => (old, new),
        (one, other) => {
            let side = one.as_ref().or(other.as_ref());
            let files =
                side.and_then(|side| side.files).map(|files| format!(", {}", count(files, "file", "files")));
            return match side {
                Some(side) if !side.is_folder() || side.files.is_some() => {
                    format!("  ({}{})", size(side.size), files.unwrap_or_default())
                }
                _ => String::new(),
            };
        }
    };
    let mut words = Vec::new();
    for word in row.changes.words() {
        let attributes = old.attributes.as_ref().zip(new.attributes.as_ref());
        words.push(match (word, attributes) {
            ("content", _) if old.size != new.size => format!("{} → {}", size(old.size), size(new.size)),
            ("mode", Some((old, new))) => format!("mode {} → {}", old.mode, new.mode),
            ("owner", Some((old, new))) => {
                format!("owner {}:{} → {}:{}", old.uid, old.gid, new.uid, new.gid)
            }
            // New bytes come with a new time.
            ("time", _) if row.changes.content => continue,
            (word, _) => word.to_owned(),
        });
    }
    if words.is_empty() { String::new() } else { format!("  ({})", words.join(", ")) }
}
