//! Several things that go into one place, and folders without the first names of their paths.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
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

/// How many bytes of memory folders take whose contents come together, some 200,000 of them.
const MAX_FOLDERS: usize = 256 << 20;

/// How many bytes a folder takes beside its entry and its path: each gets options of its own.
const FOLDER: usize = 1 << 10;

/// How many names are compared that come together, 8 bytes each.
const MAX_NAMES: usize = 32 << 20;

/// How many names that seem to be doubled are looked at: one is named, and the others are not even counted.
const SEEN: usize = 16;

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
    let words = format!("--strip-components {depth}");
    let Some(Level { folders, fallen }) = folders(&root, part.chosen.as_ref(), depth, MAX_FOLDERS)? else {
        let text = format!(
            "{words}: so many folders of {} take more than {MAX_FOLDERS} bytes of memory",
            escape(what)
        );
        return Err(Failure::failed(text).with_class(Class::Unsupported).hint(ONE_BY_ONE));
    };
    if fallen > 0 {
        session.note(&format!("{} away by {words}", count(fallen, "entry falls", "entries fall")));
    }
    if folders.is_empty() {
        return Err(
            Failure::failed(format!("{words} leaves nothing of {}", escape(what))).with_class(Class::Usage)
        );
    }
    let mut parts = Vec::new();
    for (path, entry) in folders {
        let chosen = part.chosen.as_ref().and_then(|chosen| chosen.below(&root, &path));
        let selection = Selection {
            entry,
            path: joined(&part.selection.path, &path).into_owned(),
            ..part.selection.clone()
        };
        let (name, place) = (part.name.clone(), part.place);
        parts.push(Part { selection, name, chosen, is_stripped: true, place });
    }
    distinct(&parts, MAX_NAMES)?;
    Ok(parts)
}

/// Folders with so many names below another one.
struct Level {
    /// By their paths.
    folders: Vec<(String, Entry)>,
    /// How many entries have fewer names.
    fallen: u64,
}

/// Finds the folders so many names below a root that are chosen; nothing if they would take more memory than they
/// may. Files are counted only.
fn folders(root: &Entry, chosen: Option<&Chosen>, depth: u32, most: usize) -> Result<Option<Level>, Error> {
    if root.kind() != EntryKind::Directory {
        return Ok(Some(Level { folders: Vec::new(), fallen: 1 }));
    }
    let (mut level, mut fallen) = (vec![(String::new(), root.clone())], 0);
    for _ in 0..depth {
        let (mut next, mut bytes) = (Vec::new(), 0);
        for (above, entry) in level {
            let read = entry.for_each(|child| {
                let Ok(child) = child else {
                    fallen += 1;
                    return ControlFlow::Continue(());
                };
                let path = joined(&above, child.name());
                let is_directory = child.kind() == EntryKind::Directory;
                if chosen.is_some_and(|chosen| !is_taken(chosen, root, &path, is_directory)) {
                    return ControlFlow::Continue(());
                }
                if !is_directory {
                    fallen += 1;
                    return ControlFlow::Continue(());
                }
                bytes += FOLDER + child.memory() + path.len();
                if bytes > most {
                    return ControlFlow::Break(());
                }
                next.push((path.into_owned(), child));
                ControlFlow::Continue(())
            })?;
            if read.is_break() {
                return Ok(None);
            }
        }
        level = next;
    }
    Ok(Some(Level { folders: level, fallen }))
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
/// first. Hashes of names are compared first, as names of large folders would take gigabytes.
fn distinct(parts: &[Part], most: usize) -> Result<(), Failure> {
    let [_, _, ..] = parts else { return Ok(()) };
    let (hasher, mut hashes) = (RandomState::new(), Vec::new());
    for part in parts {
        let read = each_name(part, |name| {
            if hashes.len() == most {
                return ControlFlow::Break(());
            }
            hashes.push(hasher.hash_one(name));
            ControlFlow::Continue(())
        })?;
        if read.is_break() {
            let text = format!("folders have more than {most} entries whose names would come together");
            return Err(Failure::failed(text).with_class(Class::Unsupported).hint(ONE_BY_ONE));
        }
    }
    hashes.sort_unstable();
    let doubled = hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    let doubled: HashSet<u64> = doubled.take(SEEN).collect();
    drop(hashes);
    if doubled.is_empty() {
        return Ok(());
    }
    let mut taken: HashMap<String, &str> = HashMap::new();
    for part in parts {
        let (path, mut both) = (&*part.selection.path, None);
        let _ = each_name(part, |name| {
            if doubled.contains(&hasher.hash_one(name))
                && let Some(other) = taken.insert(name.to_owned(), path)
            {
                both = Some(format!("{other}/{name} and {path}/{name} would both become {name}"));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        if let Some(both) = both {
            return Err(Failure::failed(escape(&both).into_owned())
                .with_class(Class::Usage)
                .hint(ONE_BY_ONE));
        }
    }
    Ok(())
}

/// Calls `visit` with the name of each entry that is taken of a folder; what has no place of its own has none.
fn each_name(part: &Part, mut visit: impl FnMut(&str) -> ControlFlow<()>) -> Result<ControlFlow<()>, Error> {
    let (entry, chosen) = (&part.selection.entry, part.chosen.as_ref());
    let read = entry.for_each(|child| match child {
        Ok(child)
            if chosen.is_none_or(|chosen| {
                is_taken(chosen, entry, child.name(), child.kind() == EntryKind::Directory)
            }) =>
        {
            visit(child.name())
        }
        _ => ControlFlow::Continue(()),
    })?;
    Ok(read.map_continue(drop))
}

#[cfg(test)]
mod tests;
