//! Names of packs, each with a number that it keeps.
//!
//! A [`ContentLocation`](super::ContentLocation) outlives the table that it was found in: what was planned
//! before indexes were read again is still read by its number. So names are only ever added, and those of
//! before stay where they are.

use std::sync::OnceLock;

use kopia_format::BlobId;

/// All names of packs that indexes ever had, by number. Append-only: one writer at a time, readers take no
/// lock.
#[derive(Debug, Default)]
pub(crate) struct PackNames {
    names: Vec<BlobId>,
    /// Those that came later; a link for each time that some did.
    later: OnceLock<Box<PackNames>>,
}

impl PackNames {
    /// Returns the name with this number.
    pub(crate) fn get(&self, number: u32) -> Option<&BlobId> {
        let mut number = number as usize;
        for part in self.parts() {
            match part.get(number) {
                Some(name) => return Some(name),
                None => number -= part.len(),
            }
        }
        None
    }

    /// Returns all names in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &BlobId> {
        self.parts().flatten()
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.parts().map(Vec::len).sum()
    }

    /// Adds names, which get the next numbers.
    pub(crate) fn add(&self, names: Vec<BlobId>) {
        if names.is_empty() {
            return;
        }
        let mut last = self;
        while let Some(later) = last.later.get() {
            last = later;
        }
        last.later.get_or_init(|| Box::new(Self { names, later: OnceLock::new() }));
    }

    fn parts(&self) -> impl Iterator<Item = &Vec<BlobId>> {
        std::iter::successors(Some(self), |part| part.later.get().map(|later| &**later))
            .map(|part| &part.names)
    }
}

impl From<Vec<BlobId>> for PackNames {
    fn from(names: Vec<BlobId>) -> Self {
        Self { names, later: OnceLock::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers() {
        let list = |names: &[&str]| names.iter().map(|name| BlobId::new(name).unwrap()).collect::<Vec<_>>();
        let names = PackNames::from(list(&["a", "b"]));
        let first = names.get(0).unwrap();
        names.add(Vec::new());
        names.add(list(&["c"]));
        names.add(list(&["d", "e"]));
        assert_eq!(first.as_str(), "a");
        let all: Vec<_> = (0..5).map(|number| names.get(number).unwrap().as_str()).collect();
        assert_eq!(all, ["a", "b", "c", "d", "e"]);
        assert_eq!(names.iter().count(), 5);
        assert_eq!((names.len(), names.get(5)), (5, None));
    }
}
