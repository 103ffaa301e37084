//! What is restored where: several things below one target, and folders without the first names of their paths.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use kopia_rs::choice::Chosen;
use kopia_rs::restore::Options;
use kopia_rs::select::Selection;
use kopia_rs::{Entry, EntryKind, Error};

use crate::args;
use crate::error::Failure;
use crate::session::Session;
use crate::terminal::output::{count, escape};

/// One thing that is restored by itself.
pub(super) struct Part {
    pub(super) selection: Selection,
    pub(super) target: PathBuf,
    /// Its name in TARGET, if there are several.
    pub(super) name: Option<String>,
    pub(super) options: Options,
}

/// Finds out what is restored where.
pub(super) fn parts(
    session: &Session,
    args: &args::Restore,
    selections: Vec<(Selection, Options)>,
) -> Result<Vec<Part>, Failure> {
    let is_one = selections.len() == 1;
    let whats: Vec<String> = args.what.each().map(|what| what.what).collect();
    let (mut parts, mut taken) = (Vec::new(), HashMap::new());
    for ((selection, options), what) in selections.into_iter().zip(&whats) {
        let name = (!is_one).then(|| name_of(&selection, what)).transpose()?;
        if let Some(name) = &name
            && let Some(other) = taken.insert(name.clone(), what)
        {
            return Err(Failure::usage(format!(
                "{} and {} would both become {}",
                escape(other),
                escape(what),
                escape(&args.target.join(name).to_string_lossy())
            ))
            .hint("restore them one by one, each to a folder of its own"));
        }
        let target = name.as_ref().map_or_else(|| args.target.clone(), |name| args.target.join(name));
        let part = Part { selection, target, name, options };
        match args.strip_components {
            Some(depth) => parts.extend(stripped(session, part, depth, what)?),
            None => parts.push(part),
        }
    }
    Ok(parts)
}

/// Returns the last name of the path of something, which it gets below TARGET.
fn name_of(selection: &Selection, what: &str) -> Result<String, Failure> {
    let last = |path: &str, ends: &[char]| path.rsplit(ends).find(|name| !name.is_empty()).map(str::to_owned);
    let source = selection.snapshot.as_ref().map(|snapshot| &*snapshot.source().path);
    let name = last(&selection.path, &['/']).or_else(|| last(source?, &['/', '\\']));
    let usable = |name: &String| Path::new(name).file_name().is_some_and(|last| last == name.as_str());
    name.filter(usable).ok_or_else(|| {
        Failure::usage(format!("{} has no name of its own, which it needs beside others", escape(what)))
            .hint("restore it by itself, to a folder of that name")
    })
}

/// Splits a folder into those so many names below it, all of which go to its target.
fn stripped(session: &Session, part: Part, depth: u32, what: &str) -> Result<Vec<Part>, Failure> {
    let root = part.selection.entry.clone();
    let mut level = vec![(String::new(), root.clone())];
    let mut fallen = u64::from(root.kind() != EntryKind::Directory);
    level.retain(|(_, entry)| entry.kind() == EntryKind::Directory);
    for _ in 0..depth {
        let mut next = Vec::new();
        for (path, entry) in level {
            let (children, refused) = children(&entry)?;
            fallen += refused;
            for child in children {
                let path = if path.is_empty() {
                    child.name().to_owned()
                } else {
                    format!("{path}/{}", child.name())
                };
                let is_directory = child.kind() == EntryKind::Directory;
                match &part.options.chosen {
                    Some(chosen) if !is_taken(chosen, &root, &path, is_directory) => {}
                    _ if is_directory => next.push((path, child)),
                    _ => fallen += 1,
                }
            }
        }
        level = next;
    }
    let words = format!("--strip-components {depth}");
    if fallen > 0 {
        session.note(&format!("{} away by {words}", count(fallen, "entry falls", "entries fall")));
    }
    if level.is_empty() {
        return Err(Failure::failed(format!("{words} leaves nothing of {}", escape(what))));
    }
    distinct(&level, part.options.delete_extra)?;
    let stripped = |(path, entry): (String, Entry)| {
        let mut options = part.options.clone();
        options.root_attributes = false;
        options.chosen = options.chosen.and_then(|chosen| chosen.below(&root, &path));
        let whole =
            if part.selection.path.is_empty() { path } else { format!("{}/{path}", part.selection.path) };
        let selection = Selection { entry, path: whole, ..part.selection.clone() };
        Part { selection, target: part.target.clone(), name: part.name.clone(), options }
    };
    Ok(level.into_iter().map(stripped).collect())
}

fn is_taken(chosen: &Chosen, root: &Entry, path: &str, is_directory: bool) -> bool {
    if is_directory {
        return chosen.below(root, path).is_some();
    }
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    chosen.below(root, above).is_some_and(|above| above.takes_file(root, name))
}

/// Refuses folders that have something by one name: the second would take the place of the first.
fn distinct(level: &[(String, Entry)], delete_extra: bool) -> Result<(), Failure> {
    let [_, _, ..] = level else { return Ok(()) };
    if delete_extra {
        return Err(Failure::usage(
            "--delete-extra would delete what --strip-components puts beside each other",
        ));
    }
    let mut taken: HashMap<String, &str> = HashMap::new();
    for (path, entry) in level {
        for child in children(entry)?.0 {
            if let Some(other) = taken.insert(child.name().to_owned(), path) {
                let name = child.name();
                let both = format!("{other}/{name} and {path}/{name} would both become {name}");
                return Err(Failure::failed(escape(&both).into_owned())
                    .hint("restore them one by one, each to a folder of its own"));
            }
        }
    }
    Ok(())
}

/// Lists a folder, and counts what has no place of its own in it.
fn children(entry: &Entry) -> Result<(Vec<Entry>, u64), Error> {
    let (mut children, mut refused) = (Vec::new(), 0);
    let _ = entry.for_each(|child| {
        match child {
            Ok(child) => children.push(child),
            Err(_) => refused += 1,
        }
        ControlFlow::Continue(())
    })?;
    Ok((children, refused))
}
