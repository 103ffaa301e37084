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
                None => return Some(format!("{walked}/{}", folder.like(component, COMPARED)?)),
            }
        }
        None
    }

    /// Returns which of the first `left` names of a directory is most like `name`.
    fn like(&self, name: &str, mut left: usize) -> Option<String> {
        let mut nearest = Nearest::new(name);
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

#[cfg(test)]
mod tests {
    use kopia_testkit::writer::RepositoryWriter;
    use serde_json::json;

    use super::*;
    use crate::testing::open;

    #[test]
    fn no_more_names_are_compared_than_may_be() {
        let mut writer = RepositoryWriter::new();
        let bytes = writer.file(b"");
        let file = |name: &str| json!({"name": name, "type": "f", "obj": bytes});
        let root = writer.directory(&["first", "other", "hello"].map(file));
        let root = Entry::of_directory(&open(writer), root.parse().unwrap());
        for (most, nearest) in [(2, None), (3, Some("hello"))] {
            assert_eq!(root.like("helo", most).as_deref(), nearest);
        }
    }
}
