//! What lies around the directory of a repository.

use std::io;

use kopia_storage::{Near, Shape, Surroundings};

use super::Tree;
use crate::directories;

/// A server, to be looked at outside of the directory, too.
#[derive(Debug)]
pub(crate) struct Around {
    /// All that the server shows.
    pub(super) tree: Tree,
    pub(super) root: String,
}

impl Surroundings for Around {
    fn root(&self) -> String {
        self.root.clone()
    }

    fn shape(&self) -> Shape {
        Shape::Directories { has_home: false }
    }

    fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
        directories::look(&self.tree, prefix)
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.tree.clock_ahead()
    }
}
