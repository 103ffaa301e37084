//! Finds the one file of a snapshot of a device.

use std::ops::ControlFlow;

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;

use crate::Result;

/// How many files are named where there are several.
const NAMED: usize = 20;

/// How deep it is looked: `dev/mapper/name`, and some more.
const DEPTH: usize = 32;

/// The files of a snapshot of which one is to be restored to a device.
#[derive(Debug)]
#[non_exhaustive]
pub enum FilesFound {
    /// There is one, at this path below the root; the path is empty if it is the root.
    One(String, Box<Entry>),
    /// There are several; some of their paths.
    Several(Vec<String>),
    /// There is none.
    None,
}

/// Finds the file of a snapshot that has only one.
///
/// Velero names the file by the path of the device, so that it may lie in folders that exist in its name only.
/// Links and empty folders count for nothing. Ends as soon as it has found more than a message would name.
///
/// # Errors
/// [`Error::Repository`](crate::Error::Repository) if a directory cannot be read.
pub fn only_file(root: &Entry) -> Result<FilesFound> {
    let mut found = Vec::new();
    look(root, String::new(), 0, &mut found)?;
    Ok(match found.len() {
        0 => FilesFound::None,
        1 => found.pop().map_or(FilesFound::None, |(path, file)| FilesFound::One(path, file.into())),
        _ => FilesFound::Several(found.into_iter().map(|(path, _)| path).collect()),
    })
}

fn look(entry: &Entry, path: String, depth: usize, found: &mut Vec<(String, Entry)>) -> Result<()> {
    match entry.kind() {
        EntryKind::Symlink => return Ok(()),
        EntryKind::File => {
            found.push((path, entry.clone()));
            return Ok(());
        }
        EntryKind::Directory if depth >= DEPTH => return Ok(()),
        EntryKind::Directory => {}
    }
    let mut directories = Vec::new();
    let _ = entry.for_each(|child| {
        let Ok(child) = child else { return ControlFlow::Continue(()) };
        let below =
            if path.is_empty() { child.name().to_owned() } else { format!("{path}/{}", child.name()) };
        match child.kind() {
            EntryKind::File => found.push((below, child)),
            // Whatever is in them, there are enough to name some.
            EntryKind::Directory if directories.len() <= NAMED => directories.push((below, child)),
            EntryKind::Directory | EntryKind::Symlink => {}
        }
        if found.len() >= NAMED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    for (below, directory) in directories {
        if found.len() >= NAMED {
            break;
        }
        look(&directory, below, depth + 1, found)?;
    }
    Ok(())
}
