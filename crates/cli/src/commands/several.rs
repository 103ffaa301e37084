//! Several things that go into one place, and folders without the first names of their paths.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use kopia_rs::choice::Chosen;
use kopia_rs::diagnosis::Class;
use kopia_rs::select::Selection;
use kopia_rs::{Entry, EntryKind, Error};

use crate::args::{Patterns, What};
use crate::error::Failure;
use crate::session::Session;
use crate::terminal::output::{count, escape};

/// What a hint says where one thing would take the place of another.
const ONE_BY_ONE: &str = "take them one by one, each to a place of its own";

/// One thing that goes somewhere by itself.
pub(super) struct Part {
    pub(super) selection: Selection,
    /// Its name there, if there are several.
    pub(super) name: Option<String>,
    /// What is taken of it; everything if nothing.
    pub(super) chosen: Option<Chosen>,
    /// Whether it is a folder below the one that was named, of which only what lies in it is taken.
    pub(super) is_stripped: bool,
    /// The place in the list of what was named.
    pub(super) place: usize,
}

/// Finds what is named, each as it is in its own snapshot.
pub(super) fn select(session: &Session, whats: &[What]) -> Result<Vec<Selection>, Failure> {
    whats.iter().map(|what| session.select(what)).collect()
}

/// Finds out what goes where; `strip` names are left out at the beginning of all paths below WHAT.
///
/// # Errors
/// That two would have one place, or that nothing is left.
pub(super) fn parts(
    session: &Session,
    (whats, selections): (&[What], Vec<Selection>),
    patterns: &Patterns,
    strip: Option<u32>,
) -> Result<Vec<Part>, Failure> {
    let names = names(whats, &selections)?;
    let roots: Vec<_> = selections.iter().map(|selection| &selection.entry).collect();
    let chosen = session.chosen(patterns, &roots)?;
    let mut parts = Vec::new();
    for (place, (selection, name)) in selections.into_iter().zip(names).enumerate() {
        let part = Part { selection, name, chosen: chosen.clone(), is_stripped: false, place };
        match strip {
            Some(depth) => parts.extend(stripped(session, part, depth, &whats[place].what)?),
            None => parts.push(part),
        }
    }
    Ok(parts)
}

/// Returns the names that several things get beside each other; one thing needs none.
///
/// # Errors
/// That two have the same, or one has none.
pub(super) fn names(whats: &[What], selections: &[Selection]) -> Result<Vec<Option<String>>, Failure> {
    if selections.len() == 1 {
        return Ok(vec![None]);
    }
    let mut taken: HashMap<String, &str> = HashMap::new();
    let mut names = Vec::new();
    for (selection, What { what, .. }) in selections.iter().zip(whats) {
        let name = name_of(selection, what)?;
        if let Some(other) = taken.insert(name.clone(), what) {
            let both = format!("{} and {} would both become {}", escape(other), escape(what), escape(&name));
            return Err(Failure::usage(both).hint(ONE_BY_ONE));
        }
        names.push(Some(name));
    }
    Ok(names)
}

/// Returns the last name of the path of something, which it gets beside others.
fn name_of(selection: &Selection, what: &str) -> Result<String, Failure> {
    let last = |path: &str, ends: &[char]| path.rsplit(ends).find(|name| !name.is_empty()).map(str::to_owned);
    let source = selection.snapshot.as_ref().map(|snapshot| &*snapshot.source().path);
    let name = last(&selection.path, &['/']).or_else(|| last(source?, &['/', '\\']));
    let usable = |name: &String| Path::new(name).file_name().is_some_and(|last| last == name.as_str());
    name.filter(usable).ok_or_else(|| {
        Failure::usage(format!("{} has no name of its own, which it needs beside others", escape(what)))
            .hint("take it by itself, to a place of that name")
    })
}

/// Splits a folder into those so many names below it, of which only what lies in them is taken.
fn stripped(session: &Session, part: Part, depth: u32, what: &str) -> Result<Vec<Part>, Failure> {
    let root = part.selection.entry.clone();
    let mut level = vec![(String::new(), root.clone())];
    let mut fallen = u64::from(root.kind() != EntryKind::Directory);
    level.retain(|(_, entry)| entry.kind() == EntryKind::Directory);
    for _ in 0..depth {
        let mut next = Vec::new();
        for (above, entry) in level {
            let (children, refused) = children(&entry)?;
            fallen += refused;
            for child in children {
                let path = joined(&above, child.name()).into_owned();
                let is_directory = child.kind() == EntryKind::Directory;
                match &part.chosen {
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
        return Err(
            Failure::failed(format!("{words} leaves nothing of {}", escape(what))).with_class(Class::Usage)
        );
    }
    let mut parts = Vec::new();
    for (path, entry) in level {
        let chosen = part.chosen.as_ref().and_then(|chosen| chosen.below(&root, &path));
        let selection = Selection {
            entry,
            path: joined(&part.selection.path, &path).into_owned(),
            ..part.selection.clone()
        };
        let (name, place) = (part.name.clone(), part.place);
        parts.push(Part { selection, name, chosen, is_stripped: true, place });
    }
    distinct(&parts)?;
    Ok(parts)
}

/// Joins paths that may be empty.
pub(super) fn joined<'p>(above: &'p str, below: &'p str) -> Cow<'p, str> {
    match (above, below) {
        ("", path) | (path, "") => path.into(),
        (above, below) if above.ends_with('/') => format!("{above}{below}").into(),
        (above, below) => format!("{above}/{below}").into(),
    }
}

/// Returns whether what lies at a path below a folder is chosen, or may have something in it that is.
pub(super) fn is_taken(chosen: &Chosen, root: &Entry, path: &str, is_directory: bool) -> bool {
    if is_directory {
        return chosen.below(root, path).is_some();
    }
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    chosen.below(root, above).is_some_and(|above| above.takes_file(root, name))
}

/// Refuses folders that have something by one name, of what is taken: the second would take the place of the
/// first.
fn distinct(parts: &[Part]) -> Result<(), Failure> {
    let [_, _, ..] = parts else { return Ok(()) };
    let mut taken: HashMap<String, &str> = HashMap::new();
    for Part { selection, chosen, .. } in parts {
        let (entry, path) = (&selection.entry, &*selection.path);
        for child in children(entry)?.0 {
            let is_directory = child.kind() == EntryKind::Directory;
            if chosen.as_ref().is_some_and(|chosen| !is_taken(chosen, entry, child.name(), is_directory)) {
                continue;
            }
            if let Some(other) = taken.insert(child.name().to_owned(), path) {
                let name = child.name();
                let both = format!("{other}/{name} and {path}/{name} would both become {name}");
                return Err(Failure::failed(escape(&both).into_owned())
                    .with_class(Class::Usage)
                    .hint(ONE_BY_ONE));
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
