//! Looks for what is taken below roots, before anything is done with it.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use kopia_format::directory::{EntryKind, Summary};

use super::rules::Rules;
use super::scope::{Chosen, Inner};
use crate::tree::{Problem, Visitor, Walk, Walked, may_be_directory};
use crate::{Defect, Entry, Error, Result, Trail};

/// The most entries of directories that are remembered because something is taken below them, or may be, each in
/// some 60 bytes. Where there are more, all directories are taken in which patterns may match something.
const MAX_REMEMBERED: usize = 6 << 20;

/// Finds the directories in which something is taken.
pub(super) fn run(rules: Arc<Rules>, roots: &[&Entry]) -> Chosen {
    let hasher = RandomState::new();
    let chosen = |on_the_way, unmatched, is_nothing| {
        let (rules, hasher) = (rules.clone(), hasher.clone());
        Chosen::new(Inner { rules, hasher, on_the_way, unmatched, is_nothing })
    };
    let directories: Vec<_> = roots.iter().filter(|root| root.kind() == EntryKind::Directory).collect();
    let (false, Some(first)) = (rules.takes_all(), directories.first()) else {
        return chosen(Some(HashMap::new()), Vec::new(), false);
    };
    let searched = chosen(None, Vec::new(), false);
    let met = vec![false; rules.includes().len()];
    let any = directories.len() < roots.len();
    let mut survey = Survey {
        searched: &searched,
        rules: &rules,
        hasher: &hasher,
        on_the_way: HashMap::new(),
        found: HashSet::new(),
        waiting: HashMap::new(),
        waiting_count: 0,
        fits: true,
        visited: HashMap::new(),
        has_below: false,
        met,
        any,
    };
    let node = |root: &Entry| {
        let place = searched.root(root).place;
        Rc::new(Node { place, way: place, above: None })
    };
    let walked: Vec<_> = directories.iter().map(|root| (**root, node(root))).collect();
    let _ = Walk::new(first.repository()).choosing(&searched).run(walked, &mut survey);
    let Survey { on_the_way, fits, met, any, .. } = survey;
    let unmatched = rules.includes().iter().zip(met).filter(|(rule, met)| !met && !rule.negated);
    let unmatched = unmatched.map(|(rule, _)| rule.text().to_owned()).collect();
    chosen(fits.then_some(on_the_way), unmatched, !any)
}

/// Visits each directory once for each state in which patterns get to it, however many places it lies in.
struct Survey<'r> {
    searched: &'r Chosen,
    rules: &'r Rules,
    hasher: &'r RandomState,
    /// As [`Inner`] has it.
    on_the_way: HashMap<u64, u64>,
    /// The places of directories in which something is taken.
    found: HashSet<u64>,
    /// By places in which nothing has been found yet: further nodes of them.
    waiting: HashMap<u64, Vec<Rc<Node>>>,
    waiting_count: usize,
    /// Whether all of this can be remembered. Otherwise only what patterns match is still looked for.
    fits: bool,
    /// The places of directories that were visited, with whether something may still be found in them.
    visited: HashMap<u64, bool>,
    /// Whether directories wait to be visited that lie in the one that is being visited.
    has_below: bool,
    /// Which patterns of what is taken match something, or may do so where nobody looked.
    met: Vec<bool>,
    /// Whether anything is taken.
    any: bool,
}

/// A directory and those that it lies in.
struct Node {
    /// What stands for it, and for all others of which the same is taken.
    place: u64,
    /// What stands for its name in the directory that it lies in.
    way: u64,
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
    /// Notes that something in a directory is taken.
    fn find(&mut self, node: &Rc<Node>) {
        self.any = true;
        let (mut next, mut rest) = (Some(node.clone()), Vec::new());
        while let Some(node) = next.filter(|_| self.fits) {
            if self.on_the_way.insert(node.way, node.place) != Some(node.place) {
                rest.extend(node.above.clone());
                if self.found.insert(node.place) {
                    let others = self.waiting.remove(&node.place).unwrap_or_default();
                    self.waiting_count -= others.len();
                    rest.extend(others);
                }
                self.check_room();
            }
            next = rest.pop();
        }
    }

    /// Returns what stands for a name in a directory.
    fn way(&self, directory: &Node, name: &str) -> u64 {
        self.hasher.hash_one((directory.place, name))
    }

    /// Forgets what was found, so that all directories count as on the way, if it is too much.
    fn check_room(&mut self) {
        if self.on_the_way.len() + self.waiting_count >= MAX_REMEMBERED {
            self.fits = false;
            self.on_the_way = HashMap::new();
            self.found = HashSet::new();
            self.waiting = HashMap::new();
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
        let node = &directory.attached;
        let Some(&may_have) = self.visited.get(&node.place).filter(|_| directory.is_whole) else {
            return false;
        };
        if self.found.contains(&node.place) {
            self.find(node);
        } else if may_have && self.fits {
            self.waiting.entry(node.place).or_default().push(node.clone());
            self.waiting_count += 1;
            self.check_room();
        }
        true
    }

    fn enter(&mut self, directory: &mut Walked<Rc<Node>>) -> ControlFlow<()> {
        self.visited.insert(directory.attached.place, true);
        self.has_below = false;
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
        trail: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Rc<Node>>> {
        self.look_at(parent, entry);
        let scope = self.searched.take(&parent.scope, entry.name(), true).unwrap_or_default();
        let way = self.way(&parent.attached, entry.name());
        // Where names put entries into it, it is not the same wherever its object lies.
        let place = match entry.is_whole() {
            true => self.hasher.hash_one((entry.object(), scope.state())),
            false => way,
        };
        let node = Rc::new(Node { place, way, above: Some(parent.attached.clone()) });
        if scope.is_within || trail.is_err() {
            // What cannot be walked is left to those who report it.
            self.find(&node);
            return ControlFlow::Continue(None);
        }
        self.has_below = true;
        ControlFlow::Continue(Some(node))
    }

    fn left_out(&mut self, parent: &mut Walked<Rc<Node>>, _: &str, entry: Option<&Entry>) {
        entry.into_iter().for_each(|entry| self.look_at(parent, entry));
    }

    fn problem(&mut self, parent: &mut Walked<Rc<Node>>, problem: Problem) -> ControlFlow<()> {
        self.find(&parent.attached);
        // In a directory something may be taken; a file that is refused is taken by its name or not at all.
        if let Some(refused) = problem.refused().filter(|refused| self.fits && may_be_directory(refused)) {
            let way = self.way(&parent.attached, &refused.name);
            self.on_the_way.entry(way).or_insert(way);
            self.check_room();
        }
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
        if !self.has_below {
            self.visited.insert(directory.attached.place, false);
        }
        ControlFlow::Continue(())
    }
}
