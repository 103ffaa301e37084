//! What an archive of some kind cannot hold, found without writing one.

use std::ops::ControlFlow;

use kopia_format::directory::{EntryKind, Summary};
use kopia_repository::object::{Extent, Extents};
use kopia_repository::tree::{CurrentPath, Problem as Skipped, Visitor, Walked};
use kopia_repository::{Defect, Entry, Error, Trail};

use crate::{Format, Options, Outcome, Problem, Root};

/// Finds what [`export_all`](crate::export_all) would leave out of an archive of this format because of its path.
/// Directories are read, no files but the lists of those that are left out; of a format that holds every path,
/// nothing is.
///
/// The outcome counts what is left out, as files, directories, symbolic links and bytes; each is one of its
/// problems. What cannot be read is none of them, nor is a file or link of which a list or a content is not there: the
/// export says that of it. With [`Options::salvage`] such a file is counted all the same if it has several pieces.
pub fn refused(root: &Root, options: &Options) -> Outcome {
    let (format, path, found) = (options.format, CurrentPath::default(), Outcome::default());
    let mut refused = Refused { root, format, salvage: options.salvage, path, found };
    match root.entry.kind() {
        _ if format != Format::Zip => {}
        EntryKind::File | EntryKind::Symlink => refused.look_at(root.path_of_leaf(), Some(&root.entry)),
        EntryKind::Directory => {
            let _ = root.walk(options).run([(&root.entry, root.attributes)], &mut refused);
        }
    }
    refused.found
}

/// What is known to be lost of a file or link without reading it: its list or a content of it is not there.
pub(crate) struct Loss {
    pub(crate) defect: Defect,
    /// Whether it is a file of several pieces, which is written all the same where that is asked for.
    is_partial: bool,
}

/// Looks for what is lost of a file or link.
pub(crate) fn loss(entry: &Entry) -> Option<Loss> {
    let (repository, object, size) = (entry.repository(), entry.object(), entry.size());
    let is_symlink = entry.kind() == EntryKind::Symlink;
    if size == 0 && !is_symlink && repository.object_is_empty(object) {
        return None;
    }
    let mut extents = Extents::new(repository, object).assuming(size);
    let (first, second) = (extents.next(), extents.next());
    if is_symlink && second.is_some() {
        return Some(Loss { defect: Defect::LongTarget, is_partial: false });
    }
    let is_there = |extent: kopia_repository::Result<Extent>| {
        let extent = extent?;
        repository.contents().assume(&extent.content, extent.length.or(Some(size)))
    };
    let is_partial = second.is_some();
    let mut pieces = first.into_iter().chain(second).chain(extents);
    let error = pieces.find_map(|piece| is_there(piece).err())?;
    Some(Loss { defect: error.into(), is_partial })
}

/// Looks at the path of each entry.
struct Refused<'r> {
    root: &'r Root,
    format: Format,
    salvage: bool,
    /// Below the root.
    path: CurrentPath,
    found: Outcome,
}

impl Refused<'_> {
    /// Counts an entry, a directory if it is none, that has no place in the archive.
    fn look_at(&mut self, path: String, leaf: Option<&Entry>) {
        let Some(defect) = self.format.refusal(&path) else { return };
        let loss = leaf.and_then(loss);
        if loss.as_ref().is_some_and(|loss| !(self.salvage && loss.is_partial)) {
            return;
        }
        match leaf.map(Entry::kind) {
            Some(EntryKind::Symlink) => self.found.symlinks += 1,
            Some(EntryKind::File) => self.found.files += 1,
            Some(EntryKind::Directory) | None => self.found.directories += 1,
        }
        let file = leaf.filter(|entry| entry.kind() == EntryKind::File);
        self.found.bytes = self.found.bytes.saturating_add(file.map_or(0, Entry::size));
        if loss.is_none() {
            self.found.add(Problem { path, defect, lost: Vec::new() }, 0);
        }
    }

    fn path_of(&self, name: &str) -> String {
        self.root.path_of(self.path.path_of(name))
    }
}

impl Visitor for Refused<'_> {
    /// Whether it has an entry of its own.
    type Directory = bool;

    fn enter(&mut self, directory: &mut Walked<bool>) -> ControlFlow<()> {
        self.path.enter(&directory.trail);
        if directory.attached {
            self.look_at(self.path_of(""), None);
        }
        ControlFlow::Continue(())
    }

    fn leaf(&mut self, _: &mut Walked<bool>, entry: Entry) -> ControlFlow<()> {
        self.look_at(self.path_of(entry.name()), Some(&entry));
        ControlFlow::Continue(())
    }

    fn directory(
        &mut self,
        _: &mut Walked<bool>,
        _: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<bool>> {
        ControlFlow::Continue(way.is_ok().then_some(true))
    }

    fn problem(&mut self, _: &mut Walked<bool>, _: Skipped) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn leave(&mut self, _: Walked<bool>, _: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
