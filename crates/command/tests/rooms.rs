//! Which rooms of the command may import which, so that no circle closes: the table in `lib.rs`, and the
//! mover's own.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and the rooms that it may import beside itself.
const ROOMS: [(&str, &[&str]); 11] = [
    ("wording", &[]),
    ("process", &[]),
    ("terminal", &["wording"]),
    ("args", &["terminal"]),
    ("error", &["terminal", "wording"]),
    ("session", &["args", "error", "terminal", "wording"]),
    ("commands", &["args", "error", "process", "session", "terminal", "wording"]),
    ("mover/account", &["terminal", "wording"]),
    ("mover/contract", &["args", "mover/account", "process", "session", "terminal"]),
    ("mover/job", &["error", "mover/account", "mover/contract", "process", "session", "terminal", "wording"]),
    ("kopia", &["args", "commands", "error", "process", "session", "terminal", "wording"]),
];

/// Returns all files of a room: `ROOM.rs` and what lies in `ROOM/`.
fn files(source: &Path, room: &str) -> Vec<PathBuf> {
    let mut files = vec![source.join(format!("{room}.rs"))];
    let mut directories = vec![source.join(room)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.expect("an entry of a room").path();
            if path.is_dir() { directories.push(path) } else { files.push(path) }
        }
    }
    files
}

/// Returns the rooms that a text names by `crate::`, but for those that `lib.rs` is made of.
fn named(text: &str) -> impl Iterator<Item = String> {
    text.split("crate::").skip(1).filter_map(|rest| {
        let mut words =
            rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').filter(|word| !word.is_empty());
        let first = words.next()?;
        let room = if first == "mover" { format!("mover/{}", words.next()?) } else { first.to_owned() };
        ROOMS.iter().any(|(known, _)| *known == room).then_some(room)
    })
}

#[test]
fn rooms_import_only_what_lies_below_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (room, allowed) in ROOMS {
        let files = files(&source, room);
        assert!(files[0].is_file(), "{room} is no room any more");
        for file in files {
            for other in named(&fs::read_to_string(&file).unwrap()) {
                assert!(other == room || allowed.contains(&&*other), "{} imports {other}", file.display());
            }
        }
    }
    // A room may import only rooms that stand above it in the list, so that the list itself has no circle.
    for (place, (room, allowed)) in ROOMS.iter().enumerate() {
        let above = &ROOMS[..place];
        assert!(allowed.iter().all(|other| above.iter().any(|(known, _)| known == other)), "{room}");
    }
}
