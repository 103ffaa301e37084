//! Looks for what is taken below roots, before anything is done with it.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use kopia_format::directory::{EntryKind, Summary};

use super::rules::Rules;
use super::scope::{Chosen, Inner};
use crate::tree::{Problem, Visitor, Walk, Walked};
use crate::{Defect, Entry, Error, Result, Trail};

/// The most directories that are remembered, each in some 16 bytes. Where there are more, all are taken in
/// which patterns may match something.
const MAX_REMEMBERED: usize = 6 << 20;

/// How many directories are visited by further paths before paths are given up, and how many more for each that
/// there is: folders that each have the next one twice lie in more places than anybody can visit.
const MAX_AGAIN: usize = 1 << 14;
const MAX_AGAIN_EACH: usize = 64;

/// Finds the directories in which something is taken.
pub(super) fn run(rules: Arc<Rules>, roots: &[&Entry]) -> Chosen {
    let hasher = RandomState::new();
    let chosen = |on_the_way, unmatched, is_nothing| {
        let (rules, hasher) = (rules.clone(), hasher.clone());
        Chosen::new(Inner { rules, hasher, on_the_way, unmatched, is_nothing })
    };
    let directories: Vec<_> = roots.iter().filter(|root| root.kind() == EntryKind::Directory).collect();
    let (false, Some(first)) = (rules.takes_all(), directories.first()) else {
        return chosen(Some(HashSet::new()), Vec::new(), false);
    };
    let searched = chosen(None, Vec::new(), false);
    let met = vec![false; rules.includes().len()];
    let any = directories.len() < roots.len();
    let mut survey = Survey {
        searched: &searched,
        rules: &rules,
        hasher: &hasher,
        found: HashSet::new(),
        takes_paths: true,
        visited: HashSet::new(),
        again: 0,
        met,
        any,
    };
    let node = |root: &Entry| Rc::new(Node { path: searched.root(root).path, above: None });
    let walked: Vec<_> = directories.iter().map(|root| (**root, node(root))).collect();
    let _ = Walk::new(first.repository()).choosing(&searched).run(walked, &mut survey);
    let Survey { found, takes_paths, met, any, .. } = survey;
    let unmatched = rules.includes().iter().zip(met).filter(|(rule, met)| !met && !rule.negated);
    let unmatched = unmatched.map(|(rule, _)| rule.text().to_owned()).collect();
    chosen(takes_paths.then_some(found), unmatched, !any)
}

struct Survey<'r> {
    searched: &'r Chosen,
    rules: &'r Rules,
    hasher: &'r RandomState,
    /// Paths of directories in which something is taken.
    found: HashSet<u64>,
    /// Whether each path of a directory counts. Otherwise all of them are taken in which patterns may match
    /// something, and only what they match is still looked for.
    takes_paths: bool,
    /// What stands for directories that were visited, with what patterns had got to in them.
    visited: HashSet<u64>,
    /// How many times one was visited that was visited before.
    again: usize,
    /// Which patterns of what is taken match something, or may do so where nobody looked.
    met: Vec<bool>,
    /// Whether anything is taken.
    any: bool,
}

/// A directory and those that it lies in.
struct Node {
    path: u64,
    above: Option<Rc<Self>>,
}

/// Drops in a loop, as deep trees would otherwise recurse through all of it.
impl Drop for Node {
    fn drop(&mut self) {
        let mut above = self.above.take();
        while let Some(mut node) = above.and_then(Rc::into_inner) {
            above = node.above.take();
        }
    }
}

impl Survey<'_> {
    /// Returns what stands for a directory and what patterns have got to in it, wherever it lies.
    fn part(&self, directory: &Walked<Rc<Node>>) -> Option<u64> {
        let object = directory.trail.object().filter(|_| directory.is_whole)?;
        Some(self.hasher.hash_one((object, directory.scope.state())))
    }

    /// Notes that something in a directory is taken.
    fn find(&mut self, mut node: &Rc<Node>) {
        self.any = true;
        while self.takes_paths && self.found.insert(node.path) {
            self.takes_paths = self.found.len() < MAX_REMEMBERED;
            let Some(above) = &node.above else { return };
            node = above;
        }
    }

    /// Notes which patterns match an entry.
    fn look_at(&mut self, parent: &Walked<Rc<Node>>, entry: &Entry) {
        let (live, mut below) = (parent.scope.live.as_deref().unwrap_or_default(), Vec::new());
        let is_directory = entry.kind() == EntryKind::Directory;
        let said = self.rules.say(live, entry.name(), is_directory, &mut below, |rule| {
            self.met.iter_mut().skip(rule).take(1).for_each(|met| *met = true);
        });
        if said.included && is_directory {
            // All of it is taken, and nobody looks into it.
            let goes_on = below.iter().map(|(rule, _)| *rule as usize);
            goes_on.for_each(|rule| self.met.iter_mut().skip(rule).take(1).for_each(|met| *met = true));
            for (met, rule) in self.met.iter_mut().zip(self.rules.includes()) {
                *met |= rule.floating;
            }
        }
    }
}

impl Visitor for Survey<'_> {
    type Directory = Rc<Node>;

    fn is_known(&mut self, directory: &Walked<Rc<Node>>) -> bool {
        !self.takes_paths && self.part(directory).is_some_and(|part| self.visited.contains(&part))
    }

    fn enter(&mut self, directory: &mut Walked<Rc<Node>>) -> ControlFlow<()> {
        if self.part(directory).is_some_and(|part| !self.visited.insert(part)) {
            self.again += 1;
            self.takes_paths &= self.again <= MAX_AGAIN + MAX_AGAIN_EACH * self.visited.len();
        }
        ControlFlow::Continue(())
    }

    fn leaf(&mut self, parent: &mut Walked<Rc<Node>>, entry: Entry) -> ControlFlow<()> {
        self.look_at(parent, &entry);
        self.find(&parent.attached);
        ControlFlow::Continue(())
    }

    fn directory(
        &mut self,
        parent: &mut Walked<Rc<Node>>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Rc<Node>>> {
        self.look_at(parent, entry);
        let scope = self.searched.take(&parent.scope, entry.name(), true).unwrap_or_default();
        let node = Rc::new(Node { path: scope.path, above: Some(parent.attached.clone()) });
        if scope.is_within || way.is_err() {
            // What cannot be walked is left to those who report it.
            self.find(&node);
            return ControlFlow::Continue(None);
        }
        ControlFlow::Continue(Some(node))
    }

    fn left_out(&mut self, parent: &mut Walked<Rc<Node>>, _: &str, entry: Option<&Entry>) {
        entry.into_iter().for_each(|entry| self.look_at(parent, entry));
    }

    fn problem(&mut self, parent: &mut Walked<Rc<Node>>, _: Problem) -> ControlFlow<()> {
        self.find(&parent.attached);
        ControlFlow::Continue(())
    }

    fn leave(
        &mut self,
        directory: Walked<Rc<Node>>,
        read: Result<Option<Summary>, Error>,
    ) -> ControlFlow<()> {
        if read.is_err() {
            // Whoever walks there is to come by it.
            self.find(&directory.attached);
        }
        ControlFlow::Continue(())
    }
}
