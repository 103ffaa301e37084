//! What kopia shows above snapshots: `user@host/PATH/TIME`. Authority: Kopia's `snapshot/snapshotfs`,
//! `all_sources.go`, `source_directories.go` and `source_snapshots.go`.

use std::collections::BTreeMap;

use kopia_rs::mount::Folder;
use kopia_rs::{EntryKind, Snapshot, Snapshots};

use crate::terminal::time;

/// Makes the folder of all snapshots.
pub(super) fn all(snapshots: &Snapshots) -> Folder {
    let mut people: BTreeMap<String, BTreeMap<String, Vec<&Snapshot>>> = BTreeMap::new();
    for snapshot in snapshots {
        let source = snapshot.source();
        let person = people.entry(format!("{}@{}", source.user, source.host)).or_default();
        person.entry(source.path.clone()).or_default().push(snapshot);
    }
    let mut all = Folder::default();
    for ((_, sources), name) in people.iter().zip(named(people.keys())) {
        let mut person = Folder::default();
        for (snapshots, name) in sources.values().zip(named(sources.keys())) {
            person.add(name, of_source(snapshots));
        }
        all.add(name, person);
    }
    all
}

/// Makes the folder of a source. Of a snapshot without a root nothing can be shown; one of a single file is a folder
/// that holds the file.
fn of_source(snapshots: &[&Snapshot]) -> Folder {
    let mut folder = Folder::default();
    for snapshot in snapshots {
        let Ok(root) = snapshot.root() else { continue };
        let mut name = time::in_zone(snapshot.start_time(), "UTC", "%Y%m%d-%H%M%S");
        if let Some(reason) = snapshot.manifest().incomplete() {
            name += &format!(" ({reason})");
        }
        if root.kind() == EntryKind::Directory {
            folder.add(name, root);
        } else {
            let mut alone = Folder::default();
            alone.add(root.name(), root.clone());
            folder.add(name, alone);
        }
    }
    folder
}

/// Returns names for folders, one for each text, in its order: of several that only differ in case or in what stands
/// between folders, the others get ` (2)` and so on.
fn named<'t>(texts: impl Iterator<Item = &'t String>) -> Vec<String> {
    let mut names: Vec<String> = texts.map(|text| safe(text)).collect();
    loop {
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (place, name) in names.iter().enumerate() {
            by_name.entry(name.to_lowercase()).or_default().push(place);
        }
        if by_name.values().all(|places| places.len() == 1) {
            return names;
        }
        for places in by_name.values() {
            for (number, place) in places.iter().enumerate().skip(1) {
                names[*place] += &format!(" ({})", number + 1);
            }
        }
    }
}

fn safe(text: &str) -> String {
    if text == "/" {
        return "__root".into();
    }
    let text = text.replace(":/", "_").replace(":\\", "_");
    let text = text.trim_start_matches('/').replace(['/', '\\'], "_");
    text.trim_end_matches('_').trim_end_matches(':').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_kopia_makes_them() {
        for (text, name) in [
            ("/", "__root"),
            ("/home/anna/", "home_anna"),
            ("C:\\Users\\anna", "C_Users_anna"),
            ("D:/", "D"),
            ("user@host", "user@host"),
        ] {
            assert_eq!(safe(text), name);
        }
        let texts = ["/A_b", "/a/b", "/a_b", "/c"].map(String::from);
        assert_eq!(named(texts.iter()), ["A_b", "a_b (2)", "a_b (3)", "c"]);
    }
}
