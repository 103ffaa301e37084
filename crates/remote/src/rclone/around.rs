//! What lies around a repository on its remote, and which other remotes there are.

use std::io;
use std::sync::{Mutex, PoisonError};

use kopia_connection::Limits;
use kopia_connection::storage::Rclone;
use kopia_storage::{Near, Shape, Surroundings};

use super::{Tree, process, remote};
use crate::connect::Options;
use crate::directories;

/// A remote, to be looked at outside of the path, too. Rclone is run when something is looked at.
#[derive(Debug)]
pub(crate) struct Around {
    place: Rclone,
    limits: Limits,
    options: Options,
    /// All of the remote.
    tree: Mutex<Option<Tree>>,
}

impl Around {
    pub(super) fn new(place: &Rclone, limits: &Limits, options: &Options) -> Self {
        let (limits, options) = (*limits, options.clone());
        Self { place: place.clone(), limits, options, tree: Mutex::default() }
    }
}

impl Surroundings for Around {
    fn root(&self) -> String {
        remote::path(&self.place.remote_path).into()
    }

    fn shape(&self) -> Shape {
        Shape::Directories { has_home: false }
    }

    fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
        let mut tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        if tree.is_none() {
            let path = remote::path(&self.place.remote_path);
            let base = self.place.remote_path.strip_suffix(path).unwrap_or_default();
            let slash = if path.starts_with('/') { "/" } else { "" };
            if base.is_empty() && slash.is_empty() {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let mut whole = self.place.clone();
            whole.remote_path = format!("{base}{slash}");
            *tree = Some(Tree::start(&whole, &self.limits, &self.options)?);
        }
        tree.as_ref().map_or(Ok(Vec::new()), |tree| directories::look(tree, prefix))
    }

    fn containers(&self) -> io::Result<Vec<String>> {
        process::remotes(&self.place, &self.options).map_err(io::Error::from)
    }
}
