//! `ls WHAT`: the entries of a folder, or of all folders below it.

use std::io::{self, Write};
use std::iter;

use kopia_rs::diagnosis::text::chain;
use kopia_rs::{Entry, EntryKind, MAX_WAITING, Trail};
use serde::Serialize;

use crate::args::Ls;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::output::{self, JsonArray, Out, escape, for_terminal, log_line};
use crate::terminal::time;

/// How many folders may be nested: a repository made with malice could hold a folder that holds itself.
const MAX_DEPTH: usize = 10_000;

/// One entry as `--json` prints it; fields as in kopia's directories, the path below what was named.
#[derive(Debug, Serialize)]
struct Json<'a> {
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

/// Where entries go.
enum Sink {
    Json(JsonArray),
    Text { out: Out, long: bool, null: bool },
}

struct Lister {
    sink: Sink,
    exit: Exit,
    /// The first error of standard output; a visitor cannot stop.
    broken: Option<io::Error>,
}

pub(crate) fn run(session: &Session, args: &Ls) -> Result<Exit, Failure> {
    let entry = session.select(&args.what)?.entry;
    let sink = match session.json {
        true => Sink::Json(JsonArray::new()),
        false => Sink::Text { out: output::out(), long: args.long, null: args.null },
    };
    let mut lister = Lister { sink, exit: Exit::Complete, broken: None };
    if entry.kind() == EntryKind::Directory {
        lister.tree(&entry, args.recursive)?;
    } else {
        let object = entry.object().to_string();
        lister.show(if entry.name().is_empty() { &object } else { entry.name() }, &entry);
    }
    let exit = lister.exit;
    match lister.finish().map_err(Failure::output) {
        // What was found before the reader left had its error.
        Err(failure) if exit == Exit::Partial => failure.unless_reader_left().map(|()| exit),
        finished => finished.map(|()| exit),
    }
}

impl Lister {
    /// Shows what is in a folder, and if asked what is in its folders. Only the first must be readable.
    ///
    /// Folders that nothing but names imply are not shown: what lies in them is, by its whole name.
    fn tree(&mut self, root: &Entry, recursive: bool) -> Result<(), Failure> {
        let mut folders = vec![(root.source(), Trail::root(&root.source()))];
        while let Some((source, trail)) = folders.pop() {
            let below = folders.len();
            let prefix = trail.path_of("") + if trail.depth() == 0 { "" } else { "/" };
            let fetched = Entry::fetch_some(root.repository(), iter::once(source));
            let visited = fetched.into_iter().map(|folder| {
                folder.for_each(|entry| match entry {
                    Ok(entry) => {
                        if !entry.is_implied() {
                            self.show(&format!("{prefix}{}", entry.name()), &entry);
                        }
                        if entry.is_implied() || recursive && entry.kind() == EntryKind::Directory {
                            let source = entry.source();
                            folders.push((source.clone(), trail.child(entry.name(), &source)));
                        }
                    }
                    Err(refused) => self.problem(&format!("{prefix}{}", refused.name), &refused.reason()),
                })
            });
            match visited.collect::<Result<Vec<_>, _>>() {
                Err(error) if trail.depth() == 0 => {
                    self.flush().map_err(Failure::output)?;
                    return Err(error.into());
                }
                Err(error) => self.problem(&prefix, &chain(&error)),
                Ok(_) => {}
            }
            let beyond = match folders.len() {
                len if len > below && trail.depth() == MAX_DEPTH => {
                    Some(format!("folders nest more than {MAX_DEPTH} deep"))
                }
                len if len > MAX_WAITING => {
                    Some(format!("more than {MAX_WAITING} folders are still to be listed"))
                }
                _ => None,
            };
            if let Some(why) = beyond {
                self.problem(&prefix, &why);
                folders.truncate(below);
            }
            if self.broken.is_some() {
                break;
            }
            folders[below..].reverse();
        }
        Ok(())
    }

    fn show(&mut self, path: &str, entry: &Entry) {
        if self.broken.is_some() {
            return;
        }
        let wants_target =
            entry.kind() == EntryKind::Symlink && !matches!(self.sink, Sink::Text { long: false, .. });
        let target = match wants_target.then(|| entry.target()).transpose() {
            Ok(target) => target.map(|target| String::from_utf8_lossy(&target).into_owned()),
            Err(error) => {
                self.problem(path, &chain(&error));
                None
            }
        };
        let written = match &mut self.sink {
            Sink::Json(array) => array.push(&Json {
                path,
                r#type: letter(entry.kind()).1,
                mode: format!("{:04o}", entry.mode()),
                size: entry.size(),
                mtime: entry.modified().to_string(),
                uid: entry.owner().0,
                gid: entry.owner().1,
                obj: entry.object().to_string(),
                target,
            }),
            Sink::Text { out, long, null } => {
                let slash = if entry.kind() == EntryKind::Directory { "/" } else { "" };
                let arrow = target.map(|target| format!(" -> {target}")).unwrap_or_default();
                let details = if *long { details(entry) } else { String::new() };
                let line = format!("{details}{path}{slash}{arrow}");
                if *null { write!(out, "{line}\0") } else { writeln!(out, "{}", for_terminal(&line)) }
            }
        };
        self.broken = self.broken.take().or(written.err());
    }

    fn problem(&mut self, path: &str, why: &str) {
        self.exit = Exit::Partial;
        log_line(format_args!("error: {}", escape(&format!("{path}: {why}"))));
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Text { out, .. } => out.flush(),
            Sink::Json(_) => Ok(()),
        }
    }

    fn finish(mut self) -> io::Result<()> {
        self.broken.take().map_or(Ok(()), Err)?;
        self.flush()?;
        if let Sink::Json(array) = self.sink {
            array.finish()?;
        }
        Ok(())
    }
}

/// Mode, owner, group, size and local time.
fn details(entry: &Entry) -> String {
    let (uid, gid) = entry.owner();
    let time = time::local(entry.modified(), "%Y-%m-%d %H:%M:%S");
    format!("{} {uid:>5} {gid:>5} {:>12} {time} ", mode(entry), entry.size())
}

/// How kinds begin a mode, and what kopia calls them.
fn letter(kind: EntryKind) -> (char, &'static str) {
    match kind {
        EntryKind::File => ('-', "f"),
        EntryKind::Directory => ('d', "d"),
        EntryKind::Symlink => ('l', "s"),
    }
}

/// Shows a mode as `ls` does.
fn mode(entry: &Entry) -> String {
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
