//! Where a directory lies below a root.

use std::cmp::Ordering;
use std::sync::Arc;
use std::{iter, ptr};

use kopia_format::ObjectId;

use super::DirectorySource;
use super::folding::Merged;

/// The names and objects of a directory and of those that it lies in.
///
/// Directories that lie in the same ones share these, so a directory that waits to be walked takes no more
/// memory than its own name, however deep it lies.
#[derive(Debug, Clone)]
pub struct Trail(Arc<Step>);

#[derive(Debug)]
struct Step {
    above: Option<Arc<Step>>,
    /// Empty for the root.
    name: Box<str>,
    /// Nothing for an implied directory.
    object: Option<ObjectId>,
    /// Objects of the directories that are merged into it.
    merged: Box<[ObjectId]>,
    depth: usize,
}

impl Trail {
    /// Starts at a root.
    pub fn root(object: Option<ObjectId>) -> Self {
        Self(Arc::new(Step { above: None, name: "".into(), object, merged: [].into(), depth: 0 }))
    }

    /// Goes on to a directory in this one.
    pub fn child(&self, name: &str, object: Option<ObjectId>) -> Self {
        self.merged_child(name, object, &[])
    }

    /// As [`Self::child`], with further directories that are merged into it.
    pub(super) fn merged_child(&self, name: &str, object: Option<ObjectId>, merged: &[Merged]) -> Self {
        let (above, depth) = (Some(self.0.clone()), self.0.depth + 1);
        let merged = merged.iter().filter_map(|merged| merged.source.object()).collect();
        Self(Arc::new(Step { above, name: name.into(), object, merged, depth }))
    }

    /// Returns the directory's name, which is empty for the root.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the directory's object, unless nothing but the names of entries says that there is such a
    /// directory.
    pub fn object(&self) -> Option<ObjectId> {
        self.0.object
    }

    /// Returns how many directories it lies in, from the root on.
    pub fn depth(&self) -> usize {
        self.0.depth
    }

    /// Returns whether a directory is this one, or one that this one lies in.
    pub(super) fn contains(&self, source: &DirectorySource) -> bool {
        let has = |step: &Step, object| step.object == Some(object) || step.merged.contains(&object);
        source.object().is_some_and(|object| self.steps().any(|step| has(step, object)))
    }

    /// Returns the path of an entry in the directory, or of the directory itself for an empty name.
    pub fn path_of(&self, name: &str) -> String {
        let mut names: Vec<&str> = self.steps().map(|step| &*step.name).collect();
        names.reverse();
        names.push(name);
        names.retain(|name| !name.is_empty());
        names.join("/")
    }

    /// Compares the paths of two directories as texts, but only where they differ: of what both lie in nothing is
    /// looked at.
    pub fn cmp_path(&self, other: &Self) -> Ordering {
        let (mut one, mut other) = (Some(&*self.0), Some(&*other.0));
        let (mut ones, mut others) = (Vec::new(), Vec::new());
        loop {
            let is_one = match (one, other) {
                (Some(one), Some(other)) if ptr::eq(one, other) => break,
                (None, None) => break,
                (Some(one), Some(other)) => one.depth >= other.depth,
                (one, _) => one.is_some(),
            };
            let (step, steps) = if is_one { (&mut one, &mut ones) } else { (&mut other, &mut others) };
            if let Some(next) = *step {
                steps.push(&*next.name);
                *step = next.above.as_deref();
            }
        }
        bytes_of(&ones).cmp(bytes_of(&others))
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        iter::successors(Some(&*self.0), |step| step.above.as_deref())
    }
}

/// Returns the bytes of a path of such names, innermost first, with a slash before each.
fn bytes_of(names: &[&str]) -> impl Iterator<Item = u8> {
    let names = names.iter().rev().filter(|name| !name.is_empty());
    names.flat_map(|name| iter::once(b'/').chain(name.bytes()))
}

/// Drops in a loop: the innermost of a deep chain would otherwise recurse through all of it.
impl Drop for Step {
    fn drop(&mut self) {
        let mut above = self.above.take();
        while let Some(mut step) = above.and_then(Arc::into_inner) {
            above = step.above.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Scope;

    fn object(text: &str) -> Option<ObjectId> {
        Some(text.parse().unwrap())
    }

    fn source(text: &str) -> DirectorySource {
        text.parse::<ObjectId>().unwrap().into()
    }

    #[test]
    fn paths_and_what_lies_on_them() {
        let root = Trail::root(object("kaa"));
        let inner = root.child("a", object("kbb")).child("b", object("kcc"));
        assert_eq!((root.path_of(""), root.path_of("x")), (String::new(), "x".into()));
        assert_eq!((inner.path_of(""), inner.path_of("x")), ("a/b".into(), "a/b/x".into()));
        assert_eq!((root.depth(), inner.depth(), inner.name()), (0, 2, "b"));
        assert!(inner.contains(&source("kaa")) && inner.contains(&source("kcc")));
        assert!(!inner.contains(&source("kdd")) && !root.contains(&source("kbb")));
        let merged = [Merged { name: "B".into(), source: source("kdd"), scope: Scope::default() }];
        let merged = root.merged_child("b", object("kcc"), &merged).child("x", None);
        assert!(merged.contains(&source("kdd")) && merged.contains(&source("kcc")));
    }

    #[test]
    fn paths_are_compared_as_texts() {
        let root = Trail::root(object("kaa"));
        let at = |path: &[&str]| path.iter().fold(root.clone(), |trail, name| trail.child(name, None));
        let (a, beside) = (root.child("a", None), root.child("a-b", None));
        let trails = [
            root.clone(),
            a.clone(),
            beside.clone(),
            a.child("b", None),
            a.child("b", None).child("c", None),
            beside.child("c", None),
            at(&["a", "b"]),
            at(&["a", "b", "d"]),
            at(&["aa"]),
            Trail::root(None).child("a", None),
        ];
        for one in &trails {
            for other in &trails {
                let (path, of_other) = (one.path_of(""), other.path_of(""));
                assert_eq!(one.cmp_path(other), path.cmp(&of_other), "{path} {of_other}");
            }
        }
    }

    #[test]
    fn a_deep_one_is_dropped_without_recursion() {
        let mut trail = Trail::root(object("kaa"));
        for _ in 0..200_000 {
            trail = trail.child("d", object("kaa"));
        }
        assert_eq!(trail.depth(), 200_000);
    }
}
