//! What is shown above snapshots: folders that no snapshot has.

use std::collections::BTreeMap;
use std::sync::Arc;

use kopia_format::Timestamp;
use kopia_format::directory::EntryKind;
use kopia_repository::{Entry, Snapshot, Snapshots};

/// The link to the newest complete snapshot of a source.
const LATEST: &str = "latest";

/// The longest name that is made of a source, in bytes.
const LONGEST: usize = 200;

/// A folder of whatever is to be shown, by name.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    items: BTreeMap<String, Item>,
    modified: Timestamp,
}

/// Something that is shown under a name.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Item {
    /// A folder that no snapshot has.
    Folder(Arc<Folder>),
    /// A link to another name.
    Link(String),
    /// A folder, file or link of a snapshot.
    Entry(Box<Entry>),
}

impl From<Folder> for Item {
    fn from(folder: Folder) -> Self {
        Self::Folder(Arc::new(folder))
    }
}

impl From<Entry> for Item {
    fn from(entry: Entry) -> Self {
        Self::Entry(Box::new(entry))
    }
}

impl Folder {
    /// Makes a folder of all snapshots: `user@host/PATH/TIME`, and beside the times a link `latest` to the newest
    /// one that is complete.
    ///
    /// `name` says what the folder of a snapshot is called; of several of one name, the others get ` (2)` and so
    /// on. In a path, `_` stands for what separates folders. One that is incomplete has why behind its name.
    pub fn of_snapshots(snapshots: &Snapshots, name: &dyn Fn(&Snapshot) -> String) -> Self {
        let mut sources: BTreeMap<(String, String), Vec<&Snapshot>> = BTreeMap::new();
        for snapshot in snapshots {
            let source = snapshot.source();
            let of = (format!("{}@{}", source.user, source.host), source.path.clone());
            sources.entry(of).or_default().push(snapshot);
        }
        let mut people: BTreeMap<String, Self> = BTreeMap::new();
        for ((person, path), snapshots) in sources {
            people.entry(person).or_default().add(safe(&path), Self::of_source(&snapshots, name));
        }
        let mut all = Self::default();
        people.into_iter().for_each(|(person, folder)| all.add(safe(&person), folder));
        all
    }

    /// Makes a folder of the snapshots of one source.
    fn of_source(snapshots: &[&Snapshot], name: &dyn Fn(&Snapshot) -> String) -> Self {
        let mut folder = Self::default();
        let mut latest = None;
        for snapshot in snapshots {
            let mut named = name(snapshot);
            if let Some(reason) = snapshot.manifest().incomplete() {
                named += &format!(" ({reason})");
            }
            // Of one without a root nothing can be shown; whoever lists snapshots sees it.
            let Ok(root) = snapshot.root() else { continue };
            let item = if root.kind() == EntryKind::Directory {
                root.into()
            } else {
                let mut alone = Self::default();
                alone.add(safe(root.name()), root);
                alone.modified = snapshot.start_time();
                alone.into()
            };
            let named = folder.insert(safe(&named), item);
            folder.modified = folder.modified.max(snapshot.start_time());
            let time = (snapshot.start_time(), snapshot.manifest().end_time());
            if snapshot.is_complete() && latest.as_ref().is_none_or(|(newest, _)| *newest <= time) {
                latest = Some((time, named));
            }
        }
        if let Some((_, named)) = latest {
            folder.insert(LATEST.into(), Item::Link(named));
        }
        folder
    }

    /// Adds something under a name, which is made harmless and changed if it is taken.
    pub fn add(&mut self, name: impl AsRef<str>, item: impl Into<Item>) {
        let item = item.into();
        let time = match &item {
            Item::Folder(folder) => folder.modified,
            Item::Entry(entry) => entry.modified(),
            Item::Link(_) => Timestamp::default(),
        };
        self.modified = self.modified.max(time);
        self.insert(safe(name.as_ref()), item);
    }

    /// Adds something under a name that is harmless, and returns the name that it got.
    fn insert(&mut self, name: String, item: Item) -> String {
        let mut given = name.clone();
        let mut number = 2_u32;
        while self.items.contains_key(&given) {
            given = format!("{name} ({number})");
            number = number.saturating_add(1);
        }
        self.items.insert(given.clone(), item);
        given
    }

    /// Returns whether nothing is shown in it.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns what is shown, by name.
    pub(crate) fn items(&self) -> impl Iterator<Item = (&str, &Item)> {
        self.items.iter().map(|(name, item)| (&**name, item))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Item> {
        self.items.get(name)
    }

    /// Returns when the newest of what is in it was made.
    pub(crate) fn modified(&self) -> Timestamp {
        self.modified
    }
}

/// Makes a text the name of a file: without separators, control characters and blanks around it, and not too
/// long.
fn safe(text: &str) -> String {
    let trimmed = text.trim_start_matches(['/', '\\']).trim_end_matches(['/', '\\']);
    let replaced = trimmed.chars().map(|c| if matches!(c, '/' | '\\') || c.is_control() { '_' } else { c });
    let mut name: String = replaced.collect();
    let end = name.char_indices().map(|(place, _)| place).find(|place| *place > LONGEST);
    name.truncate(end.unwrap_or(name.len()));
    match &*name {
        // The root of a file system.
        "" => "_".into(),
        "." | ".." => name.replace('.', "_"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_harmless() {
        for (text, name) in [
            ("/home/anna/", "home_anna"),
            ("/", "_"),
            ("", "_"),
            ("..", "__"),
            (".", "_"),
            ("C:\\Users\\Bob", "C:_Users_Bob"),
            ("\\\\server\\share", "server_share"),
            ("a\0b\nc", "a_b_c"),
            ("a/../b", "a_.._b"),
        ] {
            assert_eq!(safe(text), name, "{text:?}");
        }
        let long = safe(&"ü".repeat(300));
        assert!(long.len() > 190 && long.len() < 210 && long.chars().all(|c| c == 'ü'), "{}", long.len());
    }

    #[test]
    fn a_name_that_is_taken_is_changed() {
        let mut folder = Folder::default();
        (0..3).for_each(|_| folder.add("a/b", Folder::default()));
        let names: Vec<&str> = folder.items().map(|(name, _)| name).collect();
        assert_eq!(names, ["a_b", "a_b (2)", "a_b (3)"]);
    }
}
