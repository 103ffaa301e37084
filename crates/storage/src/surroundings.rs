//! What lies around a place where a repository should be.
//!
//! For whoever explains why none is there: a prefix may be off by a level, or lack its `/`. A store itself
//! never looks outside of its place, so this is a second view of the same bucket or directory tree, with the
//! same credentials.

use std::fmt::Debug;
use std::io;
use std::time::SystemTime;

/// How many names servers put on a page at most.
const FULL_PAGE: usize = 1000;

/// Looks around a place, a page or a directory at a time.
pub trait Surroundings: Send + Sync + Debug {
    /// Returns where the repository should be: the prefix of its keys, or the path of its directory.
    fn root(&self) -> String;

    /// Returns what places look like.
    fn shape(&self) -> Shape;

    /// Lists what begins with `prefix` up to the next `/`: one page of keys, or one directory.
    ///
    /// A directory's `prefix` ends with `/`, or is empty for the one that paths without a leading `/` begin
    /// in.
    ///
    /// # Errors
    /// What the server said, as in the errors of stores.
    fn look(&self, prefix: &str) -> io::Result<Vec<Near>>;

    /// As [`Self::look`], page after page until `enough` names are there; returns whether these are all.
    ///
    /// Unless a store says more, it is one page: a full one, of 1,000 names, may not be all.
    ///
    /// # Errors
    /// As for [`Self::look`].
    fn look_through(&self, prefix: &str, enough: usize) -> io::Result<(Vec<Near>, bool)> {
        let _ = enough;
        let level = self.look(prefix)?;
        let is_all = level.len() < FULL_PAGE;
        Ok((level, is_all))
    }

    /// Lists the buckets, containers or remotes that there are for these credentials.
    ///
    /// # Errors
    /// What the server said; [`Unsupported`](io::ErrorKind::Unsupported) if there is no such list.
    fn containers(&self) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns how many seconds the clock of this machine is ahead of the server's, if the server told its
    /// time.
    fn clock_ahead(&self) -> Option<i64> {
        None
    }
}

/// What places look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// A place is the beginning of keys, byte for byte, with or without `/` at its end.
    Keys,
    /// A place is a directory by its path.
    Directories {
        /// Whether paths without a leading `/` begin in a directory of the user's own.
        has_home: bool,
    },
}

/// One thing that a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Near {
    /// The whole key or path; the one of a directory, or of what keys have in common, ends with `/`.
    pub name: String,
    /// When it was written, if that is known.
    pub modified: Option<SystemTime>,
}

impl Near {
    /// Names something.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), modified: None }
    }

    /// Adds when it was written.
    #[must_use]
    pub fn with_modified(self, modified: Option<SystemTime>) -> Self {
        Self { modified, ..self }
    }

    /// Returns whether more may lie below it.
    pub fn is_directory(&self) -> bool {
        self.name.ends_with('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that tells nothing but what it has to.
    #[derive(Debug)]
    struct Bare;

    impl Surroundings for Bare {
        fn root(&self) -> String {
            "a/".into()
        }

        fn shape(&self) -> Shape {
            Shape::Keys
        }

        fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
            Ok(vec![Near::new(prefix)])
        }
    }

    #[test]
    fn what_a_server_does_not_tell_is_not_known() {
        assert_eq!(Bare.containers().unwrap_err().kind(), io::ErrorKind::Unsupported);
        assert_eq!(Bare.clock_ahead(), None);
    }

    #[test]
    fn directories_end_with_a_slash() {
        assert!(Near::new("a/b/").is_directory());
        assert!(!Near::new("a/b").is_directory());
    }
}
