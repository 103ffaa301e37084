//! `ls WHAT`: the entries of a directory, or of all directories below it.

use std::io::{self, Write};
use std::ops::ControlFlow;

use kopia_rs::diagnosis::text::chain;
use kopia_rs::tree::{CurrentPath, Order, Problem, Visitor, Walk, Walked};
use kopia_rs::{Defect, Entry, EntryKind, Error, Summary, Trail};
use serde::Serialize;

use crate::args::Ls;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::output::{self, JsonArray, Out, escape, for_terminal, log_line};
use crate::terminal::time;

/// How many directories may be nested.
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
    recursive: bool,
    exit: Exit,
    /// Of the directory that is being listed.
    path: CurrentPath,
    /// Why the first directory cannot be read.
    unreadable: Option<Error>,
    /// The first error of standard output, which ends the list.
    broken: Option<io::Error>,
}

pub(crate) fn run(session: &Session, args: &Ls) -> Result<Exit, Failure> {
    let entry = session.select(&args.what)?.entry;
    let sink = if session.json {
        Sink::Json(JsonArray::new())
    } else {
        Sink::Text { out: output::out(), long: args.long, null: args.null }
    };
    let mut lister = Lister {
        sink,
        recursive: args.recursive,
        exit: Exit::Complete,
        path: CurrentPath::default(),
        unreadable: None,
        broken: None,
    };
    if entry.kind() == EntryKind::Directory {
        lister.tree(&entry)?;
    } else {
        let object = entry.object().to_string();
        let _ = lister.show(if entry.name().is_empty() { &object } else { entry.name() }, &entry);
    }
    let exit = lister.exit;
    match lister.finish().map_err(Failure::output) {
        // What was found before the reader left had its error.
        Err(failure) if exit == Exit::Partial => failure.unless_reader_left().map(|()| exit),
        finished => finished.map(|()| exit),
    }
}

impl Visitor for Lister {
    type Directory = ();

    fn enter(&mut self, directory: &mut Walked<()>) -> ControlFlow<()> {
        self.path.enter(&directory.trail);
        ControlFlow::Continue(())
    }

    fn leaf(&mut self, _: &mut Walked<()>, entry: Entry) -> ControlFlow<()> {
        self.show(&self.path_of(entry.name()), &entry)
    }

    /// Shows a directory, unless nothing but names imply it: what lies in it is shown by its whole name.
    fn directory(
        &mut self,
        _: &mut Walked<()>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<()>> {
        let path = self.path_of(entry.name());
        if !entry.is_implied() {
            self.show(&path, entry)?;
        }
        let goes_on = entry.is_implied() || self.recursive;
        if let (true, Err(defect)) = (goes_on, way) {
            self.problem(&path, &defect.to_string());
        }
        ControlFlow::Continue(goes_on.then_some(()))
    }

    fn problem(&mut self, _: &mut Walked<()>, problem: Problem) -> ControlFlow<()> {
        // Of the others there are none where names are taken as they are.
        if let Problem::Refused(refused) = problem {
            self.problem(&self.path_of(&refused.name), &refused.reason());
        }
        ControlFlow::Continue(())
    }

    /// Reports a directory that cannot be read; only the first one must be readable.
    fn leave(&mut self, directory: Walked<()>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        match read {
            Err(error) if directory.is_root() => {
                self.unreadable = Some(error);
                return ControlFlow::Break(());
            }
            Err(error) => self.problem(&self.path_of(""), &chain(&error)),
            Ok(_) => {}
        }
        ControlFlow::Continue(())
    }
}

impl Lister {
    /// Returns the path of an entry of the directory that is being listed.
    fn path_of(&self, name: &str) -> String {
        format!("{}{name}", self.path.prefix())
    }

    /// Shows what is in a directory, and if asked what is in its directories.
    fn tree(&mut self, root: &Entry) -> Result<(), Failure> {
        let walk = Walk::new(root.repository()).order(Order::DepthFirst).max_depth(MAX_DEPTH);
        let _ = walk.run([(root, ())], self);
        match self.unreadable.take() {
            Some(error) => {
                self.flush().map_err(Failure::output)?;
                Err(error.into())
            }
            None => Ok(()),
        }
    }

    /// Shows one entry, and stops where nobody reads on.
    fn show(&mut self, path: &str, entry: &Entry) -> ControlFlow<()> {
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
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.broken = Some(error);
                ControlFlow::Break(())
            }
        }
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
