//! What lies around the directory of a repository.

use std::io;
use std::sync::Arc;

use kopia_storage::sharded::EntryKind;
use kopia_storage::{Near, Shape, Surroundings};

use super::line::Line;
use crate::directories::{MOST, named};

/// A server, to be looked at outside of the directory, too.
#[derive(Debug)]
pub(crate) struct Around(pub(super) Line);

impl Surroundings for Around {
    fn root(&self) -> String {
        self.0.place().root().into()
    }

    fn shape(&self) -> Shape {
        Shape::Directories { has_home: true }
    }

    fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
        let path = match prefix.trim_end_matches('/') {
            "" if prefix.is_empty() => ".",
            "" => "/",
            path => path,
        };
        let path: Arc<[u8]> = path.as_bytes().into();
        let names = self.0.run(|link| {
            let path = Arc::clone(&path);
            async move { link.session().list(&path).await }
        })?;
        let kind = |mode: Option<u32>| match mode {
            Some(0o040_000) => EntryKind::Directory,
            _ => EntryKind::Unknown,
        };
        Ok(names
            .iter()
            .take(MOST)
            .map(|name| named(prefix, &name.name, kind(name.attributes.kind())))
            .collect())
    }
}
