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
    look(root.clone(), String::new(), 0, &mut found)?;
    Ok(match found.len() {
        0 => FilesFound::None,
        1 => found.pop().map_or(FilesFound::None, |(path, file)| FilesFound::One(path, file.into())),
        _ => FilesFound::Several(found.into_iter().map(|(path, _)| path).collect()),
    })
}

/// Adds the files of an entry, until there are enough to name some.
fn look(entry: Entry, path: String, depth: usize, found: &mut Vec<(String, Entry)>) -> Result<()> {
    match entry.kind() {
        EntryKind::File => found.push((path, entry)),
        EntryKind::Directory if depth < DEPTH => {
            let mut below = Ok(());
            // However many empty ones come before it, a file may lie in the last of its directories.
            let _ = entry.for_each(|child| {
                let Ok(child) = child else { return ControlFlow::Continue(()) };
                let name = child.name();
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                below = look(child, path, depth + 1, found);
                let ends = below.is_err() || found.len() >= NAMED;
                if ends { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            return below;
        }
        EntryKind::Directory | EntryKind::Symlink => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kopia_testkit::writer::RepositoryWriter;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::root_of;

    fn entry(name: &str, kind: &str, object: &str) -> Value {
        json!({"name": name, "type": kind, "size": 1, "obj": object})
    }

    /// Makes a directory of what is written as `file`, `link@` or `folder/`, some of which are given.
    fn folder(writer: &mut RepositoryWriter, name: &str, names: &[&str], given: Vec<Value>) -> Value {
        let mut entries = given;
        for name in names {
            entries.push(match (name.strip_suffix('/'), name.strip_suffix('@')) {
                (Some(name), _) => folder(writer, name, &[], Vec::new()),
                (_, Some(name)) => entry(name, "s", &writer.file(b"target")),
                _ => entry(name, "f", &writer.file(b"x")),
            });
        }
        entry(name, "d", &writer.directory(&entries))
    }

    /// Nests directories in each other, so many with the outermost, and puts a file into the last.
    fn nested(writer: &mut RepositoryWriter, name: &str, depth: usize) -> Value {
        let innermost = folder(writer, "d", &["file"], Vec::new());
        let outer = (2..depth).fold(innermost, |inner, _| folder(writer, "d", &[], vec![inner]));
        folder(writer, name, &[], vec![outer])
    }

    #[test]
    fn the_only_file_is_found_and_several_are_named() {
        let mut writer = RepositoryWriter::new();
        let writer = &mut writer;
        let disk = folder(writer, "mapper", &["disk"], Vec::new());
        let dev = folder(writer, "dev", &["a/", "b@"], vec![disk]);
        let below = folder(writer, "below", &["file"], Vec::new());
        let many: Vec<String> = (0..30).map(|number| format!("f{number}")).collect();
        let names: Vec<&str> = many.iter().map(String::as_str).collect();
        let mut late: Vec<_> = names.iter().map(|name| folder(writer, name, &[], Vec::new())).collect();
        late.extend(["z1", "z2"].map(|name| folder(writer, name, &["file"], Vec::new())));
        let cases = vec![
            folder(writer, "one", &["empty/", "link@"], vec![dev]),
            folder(writer, "none", &["empty/", "link@"], Vec::new()),
            folder(writer, "two", &["file"], vec![below]),
            folder(writer, "beside", &["a", "b"], Vec::new()),
            folder(writer, "many", &names, Vec::new()),
            folder(writer, "late", &[], late),
            nested(writer, "deep", DEPTH),
            nested(writer, "deeper", DEPTH + 1),
        ];
        let root = root_of(std::mem::take(writer), &cases);
        let found = |path: &str| match only_file(&root.at(path).unwrap()).unwrap() {
            FilesFound::One(path, file) => vec![format!("{path}={}", file.name())],
            FilesFound::Several(paths) => paths,
            FilesFound::None => Vec::new(),
        };
        assert_eq!(found("one"), ["dev/mapper/disk=disk"]);
        assert_eq!(found("one/dev/mapper/disk"), ["=disk"]);
        assert_eq!(found("none"), [""; 0]);
        assert_eq!(found("two"), ["below/file", "file"]);
        assert_eq!(found("beside"), ["a", "b"]);
        assert_eq!(found("many"), many[..NAMED]);
        assert_eq!(found("late"), ["z1/file", "z2/file"]);
        let deep = format!("{}file=file", "d/".repeat(DEPTH - 1));
        assert_eq!((found("deep"), found("deeper")), (vec![deep], Vec::new()));
    }
}
