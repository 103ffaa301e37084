//! What is told of a directory without searching it again.

use kopia_format::ObjectId;

use crate::Defect;
use crate::choice::Part;

/// An affected entry below a directory: the first that was found.
#[derive(Debug)]
pub(super) struct Example {
    /// Its path below the directory; of an example of another directory, the path of that.
    pub(super) path: Box<str>,
    pub(super) found: Found,
}

/// What lies at the path.
#[derive(Debug)]
pub(super) enum Found {
    /// The entry: what is wrong with it, and its object.
    Entry(Box<(Defect, Option<ObjectId>)>),
    /// A directory that was searched, and has an example of its own. So each keeps one name only, however deep the
    /// entry lies.
    Below(Part),
}

impl Example {
    /// Makes one of an entry; of the directory itself for an empty name.
    pub(super) fn of_entry(name: &str, reason: &Defect, object: Option<ObjectId>) -> Self {
        Self { path: name.into(), found: Found::Entry(Box::new((reason.clone(), object))) }
    }

    /// Takes that of a directory in the directory.
    pub(super) fn of_directory(name: &str, part: Part) -> Self {
        Self { path: name.into(), found: Found::Below(part) }
    }

    /// Makes it one of the directory that has its directory by this name.
    pub(super) fn within(self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.into() } else { format!("{name}/{}", self.path).into() };
        Self { path, ..self }
    }
}
