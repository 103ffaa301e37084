//! `ls WHAT...`: the entries of directories, or of all directories below them.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::ops::ControlFlow;

use kopia_rs::choice::Chosen;
use kopia_rs::diagnosis::Class;
use kopia_rs::diagnosis::text::chain;
use kopia_rs::search::Pattern;
use kopia_rs::tree::{CurrentPath, Order, Problem, Visitor, Walk, Walked};
use kopia_rs::{Defect, Entry, EntryKind, Error, Summary, Trail};

use super::entries::{self, Style};
use super::several::joined;
use crate::args::{Ls, SortKey, What};
use crate::error::{Exit, Failure, Json};
use crate::session::Session;
use crate::terminal::output::{self, Broken, JsonLines, Out, error_value, for_terminal, log_problem};

/// How many directories may be nested.
const MAX_DEPTH: usize = 10_000;

/// How many bytes of memory entries take while they wait to be sorted, some two million of them.
const MAX_GATHERED: usize = 512 << 20;

/// Where entries go.
enum Sink {
    Json(JsonLines),
    Text(Out, Style),
}

/// In which order the entries of a directory are shown, if not in its own.
#[derive(Clone, Copy)]
struct Sorting {
    key: Option<SortKey>,
    reverse: bool,
}

/// Entries that wait to be sorted.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    /// How many bytes of memory they take.
    bytes: usize,
}

impl Gathered {
    /// Returns whether one more may be kept of entries that take so many bytes at most.
    fn has_room(&self, entry: &Entry, most: usize) -> bool {
        self.bytes + entry.memory() <= most
    }

    fn push(&mut self, entry: Entry) {
        self.bytes += entry.memory();
        self.entries.push(entry);
    }
}

/// What is shown of a tree.
struct Glob {
    pattern: Pattern,
    /// How many directories deep it reaches.
    depth: usize,
}

struct Lister {
    sink: Sink,
    recursive: bool,
    sorting: Option<Sorting>,
    /// Only what matches is shown, and with `recursive` what is below it.
    glob: Option<Glob>,
    exit: Exit,
    /// Whether anything was shown.
    any: bool,
    /// What is being listed, where that is one of several.
    what: Option<String>,
    /// Of the directory that is being listed.
    path: CurrentPath,
    /// Entries of the directory that is being listed, until they are sorted.
    gathered: Gathered,
    /// Why the first directory cannot be read.
    unreadable: Option<Error>,
    broken: Broken,
}

pub(crate) fn run(session: &Session, args: &Ls) -> Result<Exit, Failure> {
    let whats = args.what.each();
    // All are found before the first is shown.
    let found: Vec<_> = whats.iter().map(|what| find(session, what)).collect::<Result<_, _>>()?;
    let is_one = found.len() == 1;
    let roots: Vec<_> =
        found.iter().map(|(entry, _)| entry).filter(|entry| entry.kind() == EntryKind::Directory).collect();
    let chosen = if roots.is_empty() { None } else { session.chosen(&args.patterns, &roots)? };
    let style = Style { long: args.long, human: args.human_readable, ids: args.object_ids, null: args.null };
    let sink = if session.json { Sink::Json(JsonLines::new()) } else { Sink::Text(output::out(), style) };
    let sorting = Sorting { key: args.sort, reverse: args.reverse };
    let mut lister = Lister {
        sink,
        recursive: args.recursive,
        sorting: (args.sort.is_some() || args.reverse).then_some(sorting),
        glob: None,
        exit: Exit::Complete,
        any: false,
        what: None,
        path: CurrentPath::default(),
        gathered: Gathered::default(),
        unreadable: None,
        broken: Broken::default(),
    };
    for (number, ((entry, glob), what)) in found.into_iter().zip(&whats).enumerate() {
        lister.what = (!is_one).then(|| what.what.clone());
        lister.glob = glob;
        lister.list(&entry, chosen.as_ref(), number)?;
        if lister.broken.is_broken() {
            break;
        }
        if !lister.any && lister.glob.is_some() && lister.exit == Exit::Complete {
            lister.flush().map_err(Failure::output)?;
            return Err(Failure::failed(format!("nothing matches {}", what.what)).with_class(Class::NotFound));
        }
    }
    let exit = lister.exit;
    exit.after(lister.finish())
}

/// Finds what is to be listed. Where nothing has the name as it stands, it may be a pattern.
fn find(session: &Session, what: &What) -> Result<(Entry, Option<Glob>), Failure> {
    let failure = match session.select(what) {
        Ok(selection) => return Ok((selection.entry, None)),
        Err(failure) => failure,
    };
    let Some((folder, glob)) = split(&what.what) else { return Err(failure) };
    let pattern = Pattern::glob(&format!("/{glob}"), false)
        .map_err(|error| Failure::usage(format!("{glob:?} is no pattern: {error}")))?;
    let folder = What { what: folder.into(), ..what.clone() };
    let depth = if glob.contains("**") { usize::MAX } else { glob.trim_matches('/').matches('/').count() };
    Ok((session.select(&folder)?.entry, Some(Glob { pattern, depth })))
}

/// Splits a path before the first component that is a pattern.
fn split(path: &str) -> Option<(&str, &str)> {
    let first = path.find(['*', '?', '[', '{'])?;
    let slash = path[..first].rfind('/')?;
    // The folder of a source may be `/` itself.
    let folder = if path[..slash].ends_with(':') { &path[..=slash] } else { &path[..slash] };
    Some((folder, &path[slash + 1..]))
}

/// Attached to a directory: whether all that is in it is shown.
type IsShown = bool;

impl Visitor for Lister {
    type Directory = IsShown;

    fn enter(&mut self, directory: &mut Walked<IsShown>) -> ControlFlow<()> {
        self.path.enter(&directory.trail);
        ControlFlow::Continue(())
    }

    fn leaf(&mut self, parent: &mut Walked<IsShown>, entry: Entry) -> ControlFlow<()> {
        let path = self.path_of(entry.name());
        if !self.is_wanted(parent, &path, &entry) {
            return ControlFlow::Continue(());
        }
        self.add(&path, entry)
    }

    /// Shows a directory, unless nothing but names imply it: what lies in it is shown by its whole name.
    fn directory(
        &mut self,
        parent: &mut Walked<IsShown>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<IsShown>> {
        let path = self.path_of(entry.name());
        let is_wanted = self.is_wanted(parent, &path, entry);
        if is_wanted && !entry.is_implied() {
            self.add(&path, entry.clone())?;
        }
        let may_match = self.glob.as_ref().is_some_and(|glob| parent.trail.depth() < glob.depth);
        let goes_on = is_wanted && (entry.is_implied() || self.recursive) || !is_wanted && may_match;
        if let (true, Err(defect)) = (goes_on, way) {
            self.problem(&path, &defect.to_string(), Class::of_defect(&defect))?;
        }
        ControlFlow::Continue(goes_on.then_some(is_wanted))
    }

    fn problem(&mut self, _: &mut Walked<IsShown>, problem: Problem) -> ControlFlow<()> {
        if let Some(refused) = problem.refused() {
            let class = Class::of_defect(&refused.clone().into());
            self.problem(&self.path_of(&refused.name), &refused.reason(), class)?;
        }
        ControlFlow::Continue(())
    }

    /// Reports a directory that cannot be read; only the first one must be readable.
    fn leave(&mut self, directory: Walked<IsShown>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        self.show_gathered()?;
        match read {
            Err(error) if directory.is_root() => {
                self.unreadable = Some(error);
                return ControlFlow::Break(());
            }
            Err(error) => self.problem(&self.path_of(""), &chain(&error), Class::of(&error))?,
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

    /// Returns whether an entry is to be shown.
    fn is_wanted(&self, parent: &Walked<IsShown>, path: &str, entry: &Entry) -> bool {
        let matches = |glob: &Glob| glob.pattern.matches(entry.name(), || path.to_owned());
        parent.attached || self.glob.as_ref().is_none_or(matches)
    }

    /// Shows one of what was named, be it a directory or not.
    fn list(&mut self, entry: &Entry, chosen: Option<&Chosen>, number: usize) -> Result<(), Failure> {
        self.any = false;
        self.path = CurrentPath::default();
        if entry.kind() != EntryKind::Directory {
            let object = entry.object().to_string();
            let name = if entry.name().is_empty() { &object } else { entry.name() };
            // Among others, it is called as it was.
            let is_text = matches!(self.sink, Sink::Text(..));
            let what = if is_text { self.what.take() } else { None };
            let _ = self.show(what.as_deref().unwrap_or(name), entry);
            return Ok(());
        }
        if let (Sink::Text(out, style), Some(what)) = (&mut self.sink, &self.what)
            && !style.null
        {
            let line = if number > 0 { "\n" } else { "" };
            let written = writeln!(out, "{line}{}:", for_terminal(what));
            if self.broken.note(written).is_break() {
                return Ok(());
            }
        }
        self.tree(entry, chosen)
    }

    /// Shows what is in a directory, and if asked what is in its directories.
    fn tree(&mut self, root: &Entry, chosen: Option<&Chosen>) -> Result<(), Failure> {
        let walk =
            Walk::new(root.repository()).order(Order::DepthFirst).max_depth(MAX_DEPTH).choosing(chosen);
        let walk = if self.recursive { walk.read_ahead() } else { walk };
        let _ = walk.run([(root, self.glob.is_none())], self);
        match self.unreadable.take() {
            Some(error) => {
                self.flush().map_err(Failure::output)?;
                Err(error.into())
            }
            None => Ok(()),
        }
    }

    /// Shows an entry, or keeps it until its directory is sorted. Of a directory that is too large for that, as
    /// many entries as are kept are sorted by themselves.
    fn add(&mut self, path: &str, entry: Entry) -> ControlFlow<()> {
        if self.sorting.is_none() {
            return self.show(path, &entry);
        }
        if !self.gathered.has_room(&entry, MAX_GATHERED) {
            let why = format!(
                "entries that take more than {MAX_GATHERED} bytes of memory are sorted part by part; without --sort \
                 and --reverse, ls shows them as they are"
            );
            let folder = self.path_of("");
            self.problem(if folder.is_empty() { "." } else { &folder }, &why, Class::Unsupported)?;
            self.show_gathered()?;
        }
        self.gathered.push(entry);
        ControlFlow::Continue(())
    }

    /// Shows the entries of a directory in the order that is wanted.
    fn show_gathered(&mut self) -> ControlFlow<()> {
        let Some(sorting) = self.sorting else { return ControlFlow::Continue(()) };
        let mut entries = std::mem::take(&mut self.gathered).entries;
        match sorting.key {
            Some(SortKey::Name) => entries.sort_by(|one, other| one.name().cmp(other.name())),
            Some(SortKey::Size) => entries.sort_by_key(|entry| Reverse(entry.size())),
            Some(SortKey::Time) => entries.sort_by_key(|entry| Reverse(entry.modified())),
            None => {}
        }
        if sorting.reverse {
            entries.reverse();
        }
        entries.iter().try_for_each(|entry| self.show(&self.path_of(entry.name()), entry))
    }

    /// Shows one entry, and stops where nobody reads on.
    fn show(&mut self, path: &str, entry: &Entry) -> ControlFlow<()> {
        self.any = true;
        let wants_target = match &self.sink {
            Sink::Text(_, style) => style.shows_targets(),
            Sink::Json(_) => true,
        };
        let target = match wants_target.then(|| entries::target(entry)).transpose() {
            Ok(target) => target.flatten(),
            Err(error) => {
                self.problem(path, &chain(&error), Class::of(&error))?;
                None
            }
        };
        let what = self.what.as_deref();
        let written = match &mut self.sink {
            Sink::Json(lines) => lines.push(&entries::Json::new(path, entry, target).below(what)),
            // A program has no use for headings: each name is a WHAT of its own.
            Sink::Text(out, style) if style.null => {
                let path = joined(what.unwrap_or_default(), path);
                style.write(out, &path, entry, target.as_deref())
            }
            Sink::Text(out, style) => style.write(out, path, entry, target.as_deref()),
        };
        self.broken.note(written)
    }

    /// Tells of something that cannot be shown; to programs in a line among the others as well.
    fn problem(&mut self, path: &str, message: &str, class: Class) -> ControlFlow<()> {
        self.exit = Exit::Partial;
        log_problem(path, message);
        let Sink::Json(lines) = &mut self.sink else { return ControlFlow::Continue(()) };
        let json = Json { class, exit_status: None, path: Some(path), message, candidates: &[], hints: &[] };
        self.broken.note(lines.push(&error_value(&json)))
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Text(out, _) => out.flush(),
            Sink::Json(lines) => lines.flush(),
        }
    }

    fn finish(mut self) -> io::Result<()> {
        std::mem::take(&mut self.broken).check()?;
        self.flush()
    }
}

#[cfg(test)]
mod tests {
    use kopia_rs::{FilesystemStore, Password, Repository};

    #[test]
    fn entries_that_wait_to_be_sorted_are_counted_in_bytes() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
        let store = FilesystemStore::open(golden).unwrap();
        let repository = Repository::open(store, &Password::new("golden")).unwrap();
        let entry = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        let mut gathered = super::Gathered::default();
        let most = 3 * entry.memory();
        assert!(most > 3 * size_of_val(&entry));
        for _ in 0..3 {
            assert!(gathered.has_room(&entry, most));
            gathered.push(entry.clone());
        }
        assert!(!gathered.has_room(&entry, most));
        assert!(std::mem::take(&mut gathered).entries.len() == 3 && gathered.has_room(&entry, most));
    }

    #[test]
    fn a_path_is_split_before_its_first_pattern() {
        for (path, expected) in [
            ("latest/docs/*.txt", Some(("latest/docs", "*.txt"))),
            ("latest/d?cs/a/*", Some(("latest", "d?cs/a/*"))),
            ("me@host:/*", Some(("me@host:/", "*"))),
            ("me@host:/data/[ab]", Some(("me@host:/data", "[ab]"))),
            ("latest/docs", None),
            ("*", None),
        ] {
            assert_eq!(super::split(path), expected, "{path}");
        }
    }
}
