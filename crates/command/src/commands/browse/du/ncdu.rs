//! A tree as ncdu reads it: `[1,2,{…},[{folder},{file},[{folder},…]]]`, as <https://dev.yorhel.nl/ncdu/jsonfmt>
//! describes it.

use std::io::{self, Write};
use std::ops::ControlFlow;

use kopia_rs::select::Selection;
use kopia_rs::tree::{Order, Problem, Visitor, Walk, Walked};
use kopia_rs::{Defect, Entry, EntryKind, Error, Summary, Trail};
use serde::Serialize;

use crate::commands::browse::joined;
use crate::error::{Exit, Failure};
use crate::terminal::output::{self, Broken, Out, log_problem};
use crate::terminal::time;

/// What ncdu knows of an entry.
#[derive(Debug, Serialize)]
struct Info<'a> {
    name: &'a str,
    asize: u64,
    dsize: u64,
    uid: u32,
    gid: u32,
    mode: u32,
    mtime: i64,
    /// Whether it is neither a file nor a folder.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    notreg: bool,
}

impl<'a> Info<'a> {
    fn of(name: &'a str, entry: &Entry) -> Self {
        let (uid, gid) = entry.owner();
        let size = if entry.kind() == EntryKind::Directory { 0 } else { entry.size() };
        let notreg = entry.kind() == EntryKind::Symlink;
        Self {
            name,
            asize: size,
            dsize: size,
            uid,
            gid,
            mode: entry.mode(),
            mtime: entry.modified().seconds(),
            notreg,
        }
    }
}

struct Export {
    out: Out,
    name: String,
    /// How many folders are open in the JSON.
    open: usize,
    exit: Exit,
    broken: Broken,
}

pub(super) fn run(selection: &Selection) -> Result<Exit, Failure> {
    let root = &selection.entry;
    let name = match &selection.snapshot {
        Some(snapshot) => joined(&snapshot.source().to_string(), &selection.path).into_owned(),
        None => root.object().to_string(),
    };
    let mut export =
        Export { out: output::out(), name, open: 0, exit: Exit::Complete, broken: Broken::default() };
    let version = env!("CARGO_PKG_VERSION");
    let now = time::now().seconds();
    let begun = write!(
        export.out,
        "[1,2,{{\"progname\":\"kopia-rs\",\"progver\":\"{version}\",\"timestamp\":{now}}}"
    );
    if export.broken.note(begun).is_continue() {
        let walk = Walk::new(root.repository()).order(Order::DepthFirst).read_ahead();
        let _ = walk.run([(root, Some(root.clone()))], &mut export);
    }
    let exit = export.exit;
    exit.after(export.finish())
}

impl Export {
    /// Closes folders until so many are open.
    fn close(&mut self, depth: usize) -> io::Result<()> {
        while self.open > depth {
            self.out.write_all(b"]")?;
            self.open -= 1;
        }
        Ok(())
    }

    fn write(&mut self, before: &str, info: &Info<'_>) -> io::Result<()> {
        self.out.write_all(before.as_bytes())?;
        Ok(serde_json::to_writer(&mut self.out, info)?)
    }

    fn problem(&mut self, path: &str, why: &str) {
        self.exit = Exit::Partial;
        log_problem(path, why);
    }

    fn finish(mut self) -> io::Result<()> {
        std::mem::take(&mut self.broken).check()?;
        self.close(0)?;
        self.out.write_all(b"]\n")?;
        self.out.flush()
    }
}

impl Visitor for Export {
    /// The directory itself, until it is entered.
    type Directory = Option<Entry>;

    fn enter(&mut self, directory: &mut Walked<Option<Entry>>) -> ControlFlow<()> {
        let closed = self.close(directory.trail.depth());
        self.broken.note(closed)?;
        self.open += 1;
        let Some(entry) = directory.attached.take() else { return ControlFlow::Continue(()) };
        let name = if directory.is_root() { self.name.clone() } else { entry.name().to_owned() };
        let written = self.write(",\n[", &Info::of(&name, &entry));
        self.broken.note(written)
    }

    fn leaf(&mut self, _: &mut Walked<Option<Entry>>, entry: Entry) -> ControlFlow<()> {
        let written = self.write(",\n", &Info::of(entry.name(), &entry));
        self.broken.note(written)
    }

    fn directory(
        &mut self,
        parent: &mut Walked<Option<Entry>>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Option<Entry>>> {
        if let Err(defect) = way {
            self.problem(&parent.path_of(entry.name()), &defect.to_string());
        }
        ControlFlow::Continue(Some(Some(entry.clone())))
    }

    fn problem(&mut self, parent: &mut Walked<Option<Entry>>, problem: Problem) -> ControlFlow<()> {
        if let Some(refused) = problem.refused() {
            Export::problem(self, &parent.path_of(&refused.name), &refused.reason());
        }
        ControlFlow::Continue(())
    }

    fn leave(
        &mut self,
        directory: Walked<Option<Entry>>,
        read: Result<Option<Summary>, Error>,
    ) -> ControlFlow<()> {
        if let Err(error) = read {
            let defect: Defect = error.into();
            Export::problem(self, &directory.path_of(""), &defect.to_string());
        }
        ControlFlow::Continue(())
    }
}
