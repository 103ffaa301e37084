//! The name that was probably meant where a path leads nowhere.

use std::ops::ControlFlow;

use super::Entry;
use crate::slip::Nearest;

/// How many names of a folder are compared at most: a few tenths of a second.
const COMPARED: usize = 100_000;

impl Entry {
    /// Returns the path below this entry that ends in the name most like the first one of `path` that is not
    /// there; nothing if no name is like it, or the folder cannot be read.
    ///
    /// Only the deepest folder of the path that is there is looked at.
    pub(crate) fn nearest(&self, path: &str) -> Option<String> {
        let (mut folder, mut walked) = (self.clone(), String::new());
        for component in path.split('/').filter(|component| !component.is_empty()) {
            match folder.lookup(component).ok()? {
                Some(entry) => (folder, walked) = (entry, format!("{walked}/{component}")),
                None => return Some(format!("{walked}/{}", folder.like(component)?)),
            }
        }
        None
    }

    fn like(&self, name: &str) -> Option<String> {
        let (mut nearest, mut left) = (Nearest::new(name), COMPARED);
        let looked = self.for_each(|entry| {
            if let Ok(entry) = entry {
                nearest.offer(entry.name());
            }
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        // What was offered before the damage is there all the same.
        drop(looked);
        nearest.into_name()
    }
}
