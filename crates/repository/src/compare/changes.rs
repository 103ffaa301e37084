//! In what two entries of one path differ.

use kopia_format::directory::EntryKind;

use crate::Entry;

/// What changed from one entry to another. By default nothing has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Changes {
    /// A file has become a directory, for example.
    pub kind: bool,
    /// The bytes of a file, the target of a link, or something below a directory.
    pub content: bool,
    /// Permission bits.
    pub mode: bool,
    /// The number of owner or group.
    pub owner: bool,
    /// The modification time of a file or link. That of a directory follows from what is in it.
    pub time: bool,
}

impl Changes {
    /// Compares an entry with a newer one. Nothing is read: equal bytes have equal objects.
    pub fn between(old: &Entry, new: &Entry) -> Self {
        let kind = old.kind() != new.kind();
        let is_directory = old.kind() == EntryKind::Directory && !kind;
        let is_same = old.object() == new.object() && old.is_whole() == new.is_whole();
        Self {
            kind,
            content: kind || !is_same || !is_directory && old.size() != new.size(),
            mode: old.mode() != new.mode(),
            owner: old.owner() != new.owner(),
            time: !is_directory && old.modified() != new.modified(),
        }
    }

    /// Returns whether nothing changed.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// Returns a word for each thing that changed.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.kind, "kind"),
            (self.content && !self.kind, "content"),
            (self.mode, "mode"),
            (self.owner, "owner"),
            (self.time, "time"),
        ];
        all.into_iter().filter_map(|(changed, word)| changed.then_some(word))
    }
}
