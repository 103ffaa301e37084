//! One WHAT of a restore, and where it goes.

use std::collections::HashSet;
use std::sync::Arc;

use kopia_rs::restore::Options;
use kopia_rs::select::Selection;
use kopia_rs::{Entry, EntryKind};

use crate::args;
use crate::commands::several::Part;

/// One WHAT, and where it goes.
pub(super) struct Job {
    pub(super) selection: Selection,
    /// What paths of several things begin with; a file or link is called by its name already.
    pub(super) name: Option<String>,
    /// The options of the command, with the target of this one.
    pub(super) args: args::Restore,
    /// What goes to that target: the thing itself, or folders in it.
    pub(super) parts: Vec<(Entry, Options)>,
}

impl Job {
    /// Returns what is restored as a whole, of which it is known how much there is.
    pub(super) fn whole(&self) -> Option<&Entry> {
        let is_whole = self.parts.iter().all(|(_, options)| options.chosen.is_none());
        is_whole.then_some(&self.selection.entry)
    }
}

/// Gathers the parts of each thing; `options` are those of each, in the same order.
pub(super) fn jobs(
    args: &args::Restore,
    selections: Vec<Selection>,
    options: &[Options],
    parts: Vec<Part>,
) -> Vec<Job> {
    let job = |selection| Job { selection, name: None, args: args.clone(), parts: Vec::new() };
    let mut jobs: Vec<Job> = selections.into_iter().map(job).collect();
    for part in parts {
        let job = &mut jobs[part.place];
        if let (true, Some(name)) = (job.parts.is_empty(), part.name) {
            job.args.places.target.push(&name);
            job.name = Some(name).filter(|_| job.selection.entry.kind() == EntryKind::Directory);
        }
        let mut options = options[part.place].clone();
        options.chosen = part.chosen;
        options.root_attributes &= !part.is_stripped;
        job.parts.push((part.selection.entry, options));
    }
    for job in &mut jobs {
        let roots: HashSet<_> = job.parts.iter().map(|(entry, _)| entry.object()).collect();
        let roots = Arc::new(roots);
        job.parts.iter_mut().for_each(|(_, options)| options.beside = roots.clone());
    }
    jobs
}
