//! One way to lay out blobs.

use kopia_format::BlobId;

use super::shards::{EXTENSION, FILE_NAME};

/// A way to lay out blobs: which directories an id is cut into, and whether its file has the extension `.f`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    /// The lengths of the directory names, cut one after the other from the front of an id.
    pub(super) lengths: Vec<usize>,
    /// Files have no extension in a copy of an object store.
    pub(super) extension: bool,
}

impl Form {
    /// Returns the forms that are tried even before anything was listed: that of an object store, and those
    /// that kopia uses, with and without the extension.
    pub(super) fn usual() -> Vec<Self> {
        let forms: [(&[usize], bool); 6] =
            [(&[], false), (&[], true), (&[1, 3], true), (&[3, 3], true), (&[1, 3], false), (&[3, 3], false)];
        forms.map(|(lengths, extension)| Self { lengths: lengths.into(), extension }).into()
    }

    /// Returns the path of a blob's file; `None` if the id is too short for so many directories, or no file
    /// can have it.
    pub(super) fn file(&self, id: &BlobId) -> Option<Vec<u8>> {
        let cut: usize = self.lengths.iter().sum();
        if id.as_str().len() <= cut {
            return None;
        }
        path(id, &self.lengths, self.extension)
    }
}

/// Returns the path of a blob's file, such as `p/1a0/0d….f`. Cutting stops before nothing would be left; a
/// length of zero stands for no directory.
pub(crate) fn path(id: &BlobId, lengths: &[usize], extension: bool) -> Option<Vec<u8>> {
    let mut rest = id.as_str().as_bytes();
    let mut path = Vec::with_capacity(rest.len() + 8);
    for &length in lengths {
        if rest.len() <= length {
            break;
        }
        let (directory, after) = rest.split_at(length);
        // An id from a hostile index must not lead out of the repository.
        if matches!(directory, b"." | b"..") {
            return None;
        }
        if !directory.is_empty() {
            path.extend_from_slice(directory);
            path.push(b'/');
        }
        rest = after;
    }
    path.extend_from_slice(rest);
    if extension {
        path.extend_from_slice(EXTENSION);
    } else if matches!(rest, b"." | b"..") {
        return None;
    }
    // What says where blobs lie is none, whatever an index calls one.
    (path != FILE_NAME.as_bytes()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_cut_completely_or_not_at_all() {
        let form = |lengths: &[usize], extension| Form { lengths: lengths.into(), extension };
        let file = |form: Form, id: &str| {
            let path = form.file(&BlobId::new(id).unwrap());
            path.map(|path| String::from_utf8(path).unwrap())
        };
        assert_eq!(file(form(&[1, 3], true), "p1234567").as_deref(), Some("p/123/4567.f"));
        assert_eq!(file(form(&[1, 3], false), "p1234567").as_deref(), Some("p/123/4567"));
        assert_eq!(file(form(&[], false), "xe7").as_deref(), Some("xe7"));
        assert_eq!(file(form(&[1, 3], true), "xe7"), None);
        assert_eq!(file(form(&[1, 3], true), "p123"), None, "the file would have no name");
        assert_eq!(file(form(&[1], false), "p.."), None);
        assert_eq!(file(form(&[2], true), "..etc"), None);
        assert_eq!(file(form(&[], false), ".shards"), None);
        assert_eq!(file(form(&[], true), ".shards").as_deref(), Some(".shards.f"));
    }
}
