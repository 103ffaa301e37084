//! What a comparison keeps in memory.

use kopia_testkit::writer::RepositoryWriter;
use serde_json::{Value, json};

use super::*;
use crate::testing::open;

/// Two snapshots of a folder, of which each file but those of the first ones was changed or has gone.
fn roots() -> Vec<Entry> {
    let mut writer = RepositoryWriter::new();
    let (one, other) = (writer.file(b"one"), writer.file(b"other"));
    let file = |number: usize, object: &str| json!({"name": format!("{number:03}"), "type": "f", "mode": "0644", "obj": object});
    let old: Vec<_> = (0..100).map(|number| file(number, &one)).collect();
    let new: Vec<_> = (0..110).filter(|number| number % 10 > 0).map(|number| file(number, &other)).collect();
    written(writer, [&old, &new])
}

/// Writes two snapshots of folders with these entries, and returns their roots.
fn written(mut writer: RepositoryWriter, both: [&[Value]; 2]) -> Vec<Entry> {
    for entries in both {
        let root = writer.directory(entries);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "obj": root}));
    }
    open(writer).snapshots().unwrap().iter().map(|snapshot| snapshot.root().unwrap()).collect()
}

/// How many paths were changed, added and removed, and what is wrong.
fn compared(max_entries: usize, roots: &[Entry]) -> ([usize; 3], Vec<String>) {
    let (mut counts, mut problems) = ([0; 3], Vec::new());
    let _ = compare_within(max_entries, &roots[0], &roots[1], false, |event| {
        match event {
            Event::Differs(Differing { old: Some(_), new: Some(_), .. }) => counts[0] += 1,
            Event::Differs(Differing { old: None, .. }) => counts[1] += 1,
            Event::Differs(_) => counts[2] += 1,
            Event::Problem { path, defect } => problems.push(format!("{path:?}: {defect}")),
        }
        ControlFlow::Continue(())
    });
    (counts, problems)
}

#[test]
fn a_folder_that_takes_too_much_memory_is_compared_in_part_and_named() {
    let roots = roots();
    assert_eq!(compared(MAX_ENTRIES, &roots), ([90, 9, 10], Vec::new()));
    let each = roots[0].directory().unwrap().entries[0].memory() + 3 + 64;
    assert_eq!(compared(100 * each, &roots), ([90, 9, 10], Vec::new()));
    let limit = 20 * each;
    let why = format!("\"\": the folder has entries that take more than {limit} bytes of memory");
    // Of the others nobody knows whether they are new.
    assert_eq!(compared(limit, &roots), ([18, 0, 2], vec![why]));
}

#[test]
fn entries_that_are_refused_take_memory_as_well() {
    let mut writer = RepositoryWriter::new();
    let file = |name: &str, kind: &str, object: &str| json!({"name": name, "type": kind, "obj": object});
    let object = writer.file(b"one");
    let roots = written(writer, [&[file("bad", "?", &object)], &[file("new", "f", &object)]]);
    let each = size_of::<Refused>() + 2 * 3 + 1024 + 64;
    let (counts, problems) = compared(each, &roots);
    assert_eq!((counts, problems.len()), ([0, 1, 0], 1));
    assert!(problems[0].starts_with("\"bad\": "), "{problems:?}");
    let limit = each - 1;
    let why = format!("\"\": the folder has entries that take more than {limit} bytes of memory");
    assert_eq!(compared(limit, &roots), ([0, 0, 0], vec![why]));
}

#[test]
fn a_directory_that_waits_keeps_no_more_than_the_older_one() {
    type Kept = <Run<fn(Event) -> ControlFlow<()>> as Visitor>::Directory;
    assert_eq!(size_of::<Kept>(), size_of::<Entry>());
}
