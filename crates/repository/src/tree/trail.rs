//! Where a directory lies below a root.

use std::sync::Arc;

use kopia_format::ObjectId;

use super::DirectorySource;

/// The most directories that a walk should keep waiting; each takes some 200 bytes and its name.
pub const MAX_WAITING: usize = 2 << 20;

/// The names and objects of a directory and of those that it lies in.
///
/// Directories that lie in the same ones share these, so a directory that waits to be walked takes no more memory than its own
/// name, however deep it lies.
#[derive(Debug, Clone)]
pub struct Trail(Arc<Step>);

#[derive(Debug)]
struct Step {
    above: Option<Arc<Step>>,
    /// Empty for the root.
    name: Box<str>,
    /// Nothing for an implied directory.
    object: Option<ObjectId>,
    depth: usize,
}

impl Trail {
    /// Starts at a root.
    pub fn root(source: &DirectorySource) -> Self {
        Self(Arc::new(Step { above: None, name: "".into(), object: source.object(), depth: 0 }))
    }

    /// Goes on to a directory in this one.
    pub fn child(&self, name: &str, source: &DirectorySource) -> Self {
        let above = Some(self.0.clone());
        Self(Arc::new(Step { above, name: name.into(), object: source.object(), depth: self.0.depth + 1 }))
    }

    /// Returns how many directories it lies in, below the root and with it.
    pub fn depth(&self) -> usize {
        self.0.depth
    }

    /// Returns whether a directory is this one, or one that this one lies in.
    pub fn contains(&self, source: &DirectorySource) -> bool {
        let object = source.object();
        object.is_some() && self.steps().any(|step| step.object == object)
    }

    /// Returns the path of an entry in the directory, or of the directory itself for an empty name.
    pub fn path_of(&self, name: &str) -> String {
        let mut names: Vec<&str> = self.steps().map(|step| &*step.name).collect();
        names.reverse();
        names.push(name);
        names.retain(|name| !name.is_empty());
        names.join("/")
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        std::iter::successors(Some(&*self.0), |step| step.above.as_deref())
    }
}

/// Dropping the innermost of a deep chain would recurse through all of it.
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

    fn source(text: &str) -> DirectorySource {
        text.parse::<ObjectId>().unwrap().into()
    }

    #[test]
    fn paths_and_what_lies_on_them() {
        let root = Trail::root(&source("kaa"));
        let inner = root.child("a", &source("kbb")).child("b", &source("kcc"));
        assert_eq!((root.path_of(""), root.path_of("x")), (String::new(), "x".into()));
        assert_eq!((inner.path_of(""), inner.path_of("x")), ("a/b".into(), "a/b/x".into()));
        assert_eq!((root.depth(), inner.depth()), (0, 2));
        assert!(inner.contains(&source("kaa")) && inner.contains(&source("kcc")));
        assert!(!inner.contains(&source("kdd")) && !root.contains(&source("kbb")));
    }

    #[test]
    fn a_deep_one_is_dropped_without_recursion() {
        let mut trail = Trail::root(&source("kaa"));
        for _ in 0..200_000 {
            trail = trail.child("d", &source("kaa"));
        }
        assert_eq!(trail.depth(), 200_000);
    }
}
