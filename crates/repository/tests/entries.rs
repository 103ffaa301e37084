//! What is in a directory: names that lead into directories, and which of several entries of one name counts.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::io::Read;
use std::ops::ControlFlow;

use kopia_codec::key::Password;
use kopia_format::directory::EntryKind;
use kopia_repository::{Entry, Error, Repository};
use kopia_storage::MemoryStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

fn entry(name: &str, kind: &str, object: &str, size: usize) -> Value {
    json!({"name": name, "type": kind, "mode": "0640", "mtime": "2020-01-02T03:04:05Z", "obj": object, "size": size})
}

fn open(writer: RepositoryWriter) -> Repository {
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    Repository::open(store, &Password::from(PASSWORD)).unwrap()
}

/// Writes a repository whose root has the given entries, and opens the root.
fn root(write: impl FnOnce(&mut RepositoryWriter) -> Vec<Value>) -> Entry {
    let mut writer = RepositoryWriter::new();
    let entries = write(&mut writer);
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", entry("data", "d", &root, 0));
    let repository = open(writer);
    let snapshots = repository.snapshots().unwrap();
    snapshots.iter().next().unwrap().root().unwrap()
}

/// Lists everything below a directory, files with their bytes, and what is refused with the reason.
fn tree(entry: &Entry, path: &str, lines: &mut Vec<String>) {
    let directory = entry.directory().unwrap();
    for refused in directory.refused {
        lines.push(format!("{path}{} refused: {}", refused.name, refused.why));
    }
    for child in directory.entries {
        let name = child.name();
        assert!(!name.contains('/'), "{name}");
        if child.kind() == EntryKind::Directory {
            lines.push(format!("{path}{name}/{}", if child.is_implied() { " implied" } else { "" }));
            tree(&child, &format!("{path}{name}/"), lines);
        } else {
            let mut text = String::new();
            child.open().unwrap().read_to_string(&mut text).unwrap();
            lines.push(format!("{path}{name} {text}"));
            // What is listed is found by its path.
            assert_eq!(child.mode(), 0o640);
        }
    }
}

fn listed(root: &Entry) -> Vec<String> {
    let mut lines = Vec::new();
    tree(root, "", &mut lines);
    lines
}

#[test]
fn names_lead_into_directories() {
    let root = root(|writer| {
        let (one, two) = (writer.file(b"one"), writer.file(b"two"));
        let deep = writer.directory(&[]);
        let inner = writer.directory(&[entry("own", "f", &one, 3), entry("deep", "d", &deep, 0)]);
        vec![
            entry("dev", "d", &inner, 0),
            entry("more/inner", "d", &inner, 0),
            entry("/dev/nvme1n1", "f", &two, 3),
            entry("dev/deep//x", "f", &two, 3),
            entry("plain", "f", &one, 3),
            entry("var/lib/db.tar", "f", &one, 3),
            entry("./var/lib/log/", "f", &two, 3),
        ]
    });
    assert_eq!(
        listed(&root),
        [
            "plain one",
            "dev/",
            "dev/own one",
            "dev/nvme1n1 two",
            "dev/deep/",
            "dev/deep/x two",
            "more/ implied",
            "more/inner/",
            "more/inner/own one",
            "more/inner/deep/",
            "var/ implied",
            "var/lib/ implied",
            "var/lib/db.tar one",
            "var/lib/log two",
        ]
    );
    for (path, size) in [("var/lib/db.tar", 3), ("/dev/nvme1n1", 3), ("more/inner/own", 3)] {
        let found = root.at(path).unwrap();
        assert_eq!((found.size(), found.name()), (size, path.rsplit('/').next().unwrap()), "{path}");
    }
    let lib = root.at("var/lib").unwrap();
    assert!(lib.is_implied() && lib.mode() == 0o755, "{lib:?}");
    assert_eq!(lib.modified(), root.at("var/lib/log").unwrap().modified());
    assert!(root.at("var/lib/nothing").is_err());
}

#[test]
fn what_the_directory_has_itself_comes_first() {
    let root = root(|writer| {
        let (one, two) = (writer.file(b"one"), writer.file(b"two"));
        let inner = writer.directory(&[entry("own", "f", &one, 3)]);
        vec![
            entry("d", "d", &inner, 0),
            entry("/d/own", "f", &two, 3),
            entry("/f", "f", &two, 3),
            entry("/f/below", "f", &two, 3),
            entry("a/b", "f", &one, 3),
            entry("a/b", "f", &two, 3),
            entry("a/b/c", "f", &two, 3),
            entry("d/own/x", "f", &two, 3),
            entry("d/../up", "f", &two, 3),
        ]
    });
    let doubled = "refused: another entry of the folder has this name; only one of them is restored";
    let no_folder = |name: &str| format!("refused: its name leads through {name:?}, which is no folder");
    let expected = [
        "d/../up refused: would leave its folder".to_string(),
        format!("f/below {}", no_folder("f")),
        "f two".into(),
        "d/".into(),
        format!("d/own {doubled}"),
        format!("d/own/x {}", no_folder("own")),
        "d/own one".into(),
        "a/ implied".into(),
        format!("a/b {doubled}"),
        format!("a/b/c {}", no_folder("b")),
        "a/b one".into(),
    ];
    assert_eq!(listed(&root), expected);
}

#[test]
fn long_directories_know_such_names_too() {
    let root = root(|writer| {
        let one = writer.file(b"one");
        let inner = writer.directory(&[entry("own", "f", &one, 3)]);
        let mut entries = vec![entry("d", "d", &inner, 0)];
        // More than 16 MiB, which are parsed as a stream.
        let long = "n".repeat(200);
        entries.extend((0..60_000).map(|number| entry(&format!("{long}{number}"), "f", &one, 3)));
        entries.push(entry("d/x", "f", &one, 3));
        entries.push(entry("z\\u{2028}/\"x\\\"", "f", &one, 3));
        entries
    });
    let (mut names, mut directories) = (0, Vec::new());
    let _ = root
        .for_each(|entry| {
            let entry = entry.unwrap();
            names += 1;
            if entry.kind() == EntryKind::Directory {
                directories.push(entry);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(names, 60_002);
    assert_eq!(listed(&directories[0]), ["own one", "x one"]);
    assert!(directories[1].is_implied());
    assert_eq!(listed(&directories[1]), ["\"x\\\" one"]);
}

/// Two directories have one object, and names put something more into one of them.
#[test]
fn names_lead_into_a_directory_whose_own_entries_are_kept() {
    let root = root(|writer| {
        let one = writer.file(b"one");
        let inner = writer.directory(&[entry("own", "f", &one, 3)]);
        vec![entry("d", "d", &inner, 0), entry("e", "d", &inner, 0), entry("d/x", "f", &one, 3)]
    });
    for _ in 0..3 {
        for path in ["e/own", "d/own", "d/x"] {
            assert_eq!(root.at(path).unwrap().size(), 3, "{path}");
        }
        assert!(root.lookup("e/x").unwrap().is_none());
        assert_eq!(listed(&root), ["d/", "d/own one", "d/x one", "e/", "e/own one"]);
    }
}

/// Every order of entries that is not kopia's: of those of one name the first counts.
#[test]
fn of_entries_of_one_name_the_first_counts_wherever_the_others_stand() {
    let doubled = |name: &str| {
        format!("{name} refused: another entry of the folder has this name; only one of them is restored")
    };
    for slashed in [false, true] {
        let root = root(|writer| {
            let [one, two] = [writer.file(b"one"), writer.file(b"two")];
            let inner = writer.directory(&[]);
            let before = ["w/x", "w/y"].map(|name| entry(name, "f", &one, 3));
            let mut entries = if slashed { before.to_vec() } else { Vec::new() };
            entries.extend([
                // Sorted as kopia does it, with the name of a directory for a file.
                entry("a", "d", &inner, 0),
                entry("a", "f", &one, 3),
                entry("b", "f", &one, 3),
                entry("c", "f", &one, 3),
                // Not sorted from here on.
                entry("b", "f", &two, 3),
                entry("d", "f", &one, 3),
                entry("e", "d", &inner, 0),
                entry("d", "f", &two, 3),
                entry("a", "d", &inner, 0),
            ]);
            entries.extend(slashed.then(|| entry("x/y", "f", &one, 3)));
            entries
        });
        let mut lines = listed(&root);
        lines.sort();
        let mut expected = ["a/", "b one", "c one", "d one", "e/"].map(String::from).to_vec();
        expected.extend(["a", "a", "b", "d"].map(doubled));
        let placed =
            if slashed { &["w/ implied", "w/x one", "w/y one", "x/ implied", "x/y one"][..] } else { &[] };
        expected.extend(placed.iter().map(|&line| line.into()));
        expected.sort();
        assert_eq!(lines, expected, "{slashed}");
    }
}

#[test]
fn a_visitor_of_entries_stops_where_it_wants() {
    for slashed in [false, true] {
        let root = root(|writer| {
            let one = writer.file(b"one");
            let mut entries: Vec<_> = ["a", "b", "c"].iter().map(|name| entry(name, "f", &one, 3)).collect();
            entries.extend(slashed.then(|| entry("d/e", "f", &one, 3)));
            entries
        });
        for last in ["b", "d"] {
            let mut seen = Vec::new();
            let read = root.for_each(|entry| {
                let name = entry.unwrap().name().to_owned();
                let is_last = name == last;
                seen.push(name);
                if is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let is_there = slashed || last == "b";
            assert_eq!(read.unwrap().is_break(), is_there, "{last}");
            let expected: &[&str] = match (last, slashed) {
                ("b", _) => &["a", "b"],
                (_, true) => &["a", "b", "c", "d"],
                (_, false) => &["a", "b", "c"],
            };
            assert_eq!(seen, expected);
        }
    }
}

/// A directory that is damaged at its end has what stands before that.
#[test]
fn a_path_is_found_before_a_directory_breaks_off() {
    let root = root(|writer| {
        let one = writer.file(b"one");
        let entry = |name: &str| entry(name, "f", &one, 3).to_string();
        let json = format!(r#"{{"stream":"kopia:directory","entries":[{},{},"#, entry("a"), entry("b"));
        let broken = writer.object(Some('k'), json.as_bytes()).to_string();
        vec![self::entry("d", "d", &broken, 0)]
    });
    assert_eq!(root.at("d/a").unwrap().name(), "a");
    assert!(root.at("d/c").unwrap_err().to_string().contains("EOF"), "{:?}", root.at("d/c"));
}

#[test]
fn a_path_that_leads_through_a_file_is_told_as_far_as_that() {
    let root = root(|writer| {
        let one = writer.file(b"one");
        let inner = writer.directory(&[entry("file", "f", &one, 3)]);
        vec![entry("dir", "d", &inner, 0)]
    });
    let error = root.at("/dir//file/x/y").unwrap_err();
    assert!(
        matches!(&error, Error::WrongKind { path, wanted: "folder" } if path == "/dir/file"),
        "{error:?}"
    );
}

/// A few kilobytes of a repository make a directory of any length: contents may be named again and again.
#[test]
fn a_directory_of_more_bytes_than_any_real_one_is_refused_unread() {
    let root = root(|writer| {
        let empty = writer.directory(&[]);
        let list = |length: u64| {
            let pieces = [json!({"l": length, "o": empty})];
            json!({"stream": "kopia:indirect", "entries": pieces}).to_string()
        };
        [32 << 30, (32 << 30) + 1]
            .map(|length| format!("I{}", writer.content(Some('x'), list(length).as_bytes())))
            .iter()
            .zip(["most", "more"])
            .map(|(object, name)| entry(name, "d", object, 0))
            .collect()
    });
    let why = |name: &str| root.at(name).unwrap().directory().unwrap_err().to_string();
    assert!(
        why("more").contains("its folder has 34359738369 bytes, more than 34359738368"),
        "{}",
        why("more")
    );
    // What it is, is only known once it is read.
    assert!(why("most").contains("its list says 34359738368"), "{}", why("most"));
}

#[test]
fn names_lead_into_so_many_directories_at_most() {
    let root = root(|writer| {
        let one = writer.file(b"one");
        let below = "a/".repeat(2_000);
        (0..600).map(|number| entry(&format!("{number}/{below}f"), "f", &one, 3)).collect()
    });
    let directory = root.directory().unwrap();
    let taken = (1 << 20) / 2_002;
    assert_eq!((directory.entries.len(), directory.refused.len()), (taken, 600 - taken));
    let why = "its folder has names that lead into more than 1048576 folders";
    assert!(directory.refused.iter().all(|refused| refused.why.to_string() == why));
}

#[test]
fn escaped_slashes_are_slashes() {
    let root = root(|writer| {
        let one = writer.file(b"one");
        let json = |name: &str| {
            format!(
                r#"{{"stream":"kopia:directory","entries":[{{"name":"{name}","type":"f","mode":"0640","size":3,"obj":"{one}"}}]}}"#
            )
        };
        let escapes = [r"a\/b", r"a\u002fb", r"a\u002Fb"].map(json);
        let objects = escapes.map(|json| writer.object(Some('k'), json.as_bytes()).to_string());
        objects
            .iter()
            .enumerate()
            .map(|(number, object)| entry(&format!("d{number}"), "d", object, 0))
            .collect()
    });
    for number in 0..3 {
        assert_eq!(listed(&root.at(&format!("d{number}")).unwrap()), ["a/ implied", "a/b one"], "{number}");
    }
}

#[test]
fn a_root_without_a_name_has_that_of_its_source() {
    let mut writer = RepositoryWriter::new();
    let one = writer.file(b"one");
    let mut root = entry("", "f", &one, 3);
    root.as_object_mut().unwrap().remove("name");
    writer.snapshot("app@host:/srv/disk.img", root.clone());
    writer.snapshot("app@host:/", root);
    let repository = open(writer);
    let snapshots = repository.snapshots().unwrap();
    let names: Vec<_> =
        snapshots.iter().map(|snapshot| snapshot.root().unwrap().name().to_string()).collect();
    assert_eq!(names, ["", "disk.img"]);
}

#[test]
fn an_entry_says_what_it_is_and_what_lies_below_it() {
    let root = root(|writer| {
        let (one, target) = (writer.file(b"one"), writer.file(b"../\xff"));
        let mut inner = entry("d", "d", &writer.directory(&[]), 0);
        inner["summ"] = json!({"size": 30, "files": 3, "symlinks": 2, "dirs": 4, "numFailed": 0});
        let mut none = entry("empty", "d", &writer.directory(&[]), 0);
        none["summ"] = json!({"files": -1});
        vec![inner, none, entry("f", "f", &one, 3), entry("link", "s", &target, 4)]
    });
    let [inner, empty, file, link] = ["d", "empty", "f", "link"].map(|name| root.at(name).unwrap());
    assert_eq!(inner.summary().map(|summary| (summary.size, summary.dirs)), Some((30, 4)));
    assert_eq!((inner.entries_below(), empty.entries_below(), file.entries_below()), (8, 0, 0));
    assert!(file.summary().is_none());
    assert_eq!(link.target().unwrap(), b"../\xff");
    for entry in [&inner, &file] {
        assert!(matches!(entry.target(), Err(Error::WrongKind { wanted: "link", .. })));
    }
    assert!(matches!(inner.open(), Err(Error::WrongKind { wanted: "file", .. })));
    assert!(matches!(file.directory(), Err(Error::WrongKind { wanted: "folder", .. })));
}
