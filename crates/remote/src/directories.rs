//! What lies around a directory of a server.

use std::io;

use kopia_storage::Near;
use kopia_storage::sharded::{DirectoryTree, EntryKind};

/// The most entries of a directory that are looked at.
pub(crate) const MOST: usize = 10_000;

/// Lists a directory of a tree whose root is all that the server shows. `prefix` is its path, with `/` at its
/// end.
pub(crate) fn look(tree: &impl DirectoryTree, prefix: &str) -> io::Result<Vec<Near>> {
    let directory = prefix.trim_matches('/');
    let mut near = Vec::new();
    tree.list(directory.as_bytes(), &mut |entry| {
        if near.len() < MOST {
            near.push(named(prefix, entry.name(), entry.kind()));
        }
        Ok(())
    })?;
    Ok(near)
}

/// Names an entry of a directory.
pub(crate) fn named(prefix: &str, name: &[u8], kind: EntryKind) -> Near {
    let end = if kind == EntryKind::Directory { "/" } else { "" };
    Near::new(format!("{prefix}{}{end}", String::from_utf8_lossy(name)))
}
