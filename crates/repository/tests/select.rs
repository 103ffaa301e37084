//! From names that people type to the snapshots and entries that are meant.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use kopia_codec::key::Password;
use kopia_repository::select::{Filter, Pick, Query, Selection, Tag};
use kopia_repository::{Error, OpenOptions, Repository, Result};
use kopia_storage::MemoryStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter, gzip};
use serde_json::json;

/// Adds a snapshot with one file, named as its source is, and returns its id.
fn add(writer: &mut RepositoryWriter, source: &str, file: &str) -> String {
    let object = writer.file(source.as_bytes());
    let entry = json!({"name": file, "type": "f", "mode": "0644", "size": source.len(), "obj": object});
    let root = writer.directory(&[entry]);
    writer.snapshot(source, json!({"name": "root", "type": "d", "mode": "0755", "obj": root}))
}

fn written(sources: &[&str]) -> Repository {
    let mut writer = RepositoryWriter::new();
    for source in sources {
        add(&mut writer, source, "f");
    }
    open(writer)
}

fn open(writer: RepositoryWriter) -> Repository {
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    Repository::open(store, &Password::from(PASSWORD)).unwrap()
}

/// Selects by a name that a user types on a machine; returns the source, and the path below it.
fn select(repository: &Repository, name: &str, here: (&str, &str)) -> Result<(String, String)> {
    let Selection { snapshot, path, .. } = repository.select(&Query { name, here, ..Query::default() })?;
    Ok((snapshot.unwrap().source().to_string(), path))
}

fn candidates(result: Result<(String, String)>) -> Vec<String> {
    match result.unwrap_err() {
        Error::NotFound { candidates, .. } | Error::Ambiguous { candidates, .. } => candidates,
        error => panic!("{error}"),
    }
}

#[test]
fn latest_and_oldest_are_of_the_only_source() {
    let repository = written(&["u@h:/a", "u@h:/a", "u@h:/a"]);
    let second = |name: &str, pick: Pick| {
        let selection = repository.select(&Query { name, pick, ..Query::default() }).unwrap();
        selection.snapshot.unwrap().start_time().to_string()
    };
    for (name, pick, expected) in [
        ("latest", Pick::default(), "2026-01-01T00:00:02Z"),
        ("latest", Pick::Newest(1), "2026-01-01T00:00:01Z"),
        ("latest", Pick::Oldest, "2026-01-01T00:00:00Z"),
        ("latest~1/", Pick::default(), "2026-01-01T00:00:01Z"),
        ("latest~0/f", Pick::default(), "2026-01-01T00:00:02Z"),
        ("oldest", Pick::default(), "2026-01-01T00:00:00Z"),
    ] {
        assert_eq!(second(name, pick), expected, "{name} {pick:?}");
    }
    let repository = written(&["u@h:/a", "u@h:/b"]);
    for name in ["latest", "latest~1", "oldest/f"] {
        assert_eq!(candidates(select(&repository, name, ("", ""))), ["u@h:/a", "u@h:/b"], "{name}");
    }
}

#[test]
fn a_path_is_of_this_user_then_of_this_machine_then_of_any() {
    let sources = ["anna@server:/home", "anna@laptop:/home/anna", "bob@laptop:/home/anna/docs"];
    let mut writer = RepositoryWriter::new();
    add(&mut writer, sources[0], "anna");
    add(&mut writer, sources[1], "docs");
    add(&mut writer, sources[2], "f");
    let repository = open(writer);
    for (name, here, source, path) in [
        ("/home/anna", ("anna", "laptop"), 1, ""),
        ("/home/anna", ("Anna", "SERVER"), 0, "anna"),
        ("/home/anna", ("bob", "laptop"), 1, ""),
        ("/home/anna/docs/", ("bob", "Laptop"), 2, ""),
        ("/home/anna", ("eve", "tower"), 1, ""),
        ("/home/anna/docs", ("anna", "tower"), 2, ""),
        ("SERVER:/home/anna", ("anna", "laptop"), 0, "anna"),
        ("laptop:/home/anna/docs", ("anna", "server"), 1, "docs"),
    ] {
        let expected = (sources[source].to_owned(), path.to_owned());
        assert_eq!(select(&repository, name, here).unwrap(), expected, "{name} {here:?}");
    }
}

#[test]
fn sources_of_a_path_that_is_several_come_first() {
    let repository = written(&["root@one:/etc", "bob@two:/etc", "root@two:/etc", "bob@two:/srv"]);
    let names = |name: &str| candidates(select(&repository, name, ("", "")));
    assert_eq!(names("two:/etc"), ["bob@two:/etc", "root@two:/etc", "root@one:/etc", "bob@two:/srv"]);
    assert_eq!(names("/etc"), ["bob@two:/etc", "root@one:/etc", "root@two:/etc", "bob@two:/srv"]);
    assert_eq!(select(&repository, "one:/etc", ("", "")).unwrap().0, "root@one:/etc");
    // A part of a source, where one alone has it.
    assert_eq!(names("etc"), ["bob@two:/etc", "root@one:/etc", "root@two:/etc"]);
    assert_eq!(select(&repository, "SRV/f", ("", "")).unwrap(), ("bob@two:/srv".into(), "f".into()));
    assert_eq!(names("nothing").len(), 4);
}

#[test]
fn sources_are_named_whole_and_in_part() {
    let sources = ["anna@laptop.example:/home/anna", "root@laptop.example:/etc", "root@server:/etc"];
    let repository = written(&sources);
    let snapshots = repository.snapshots().unwrap();
    for (name, expected) in [
        ("Anna", &[0][..]),
        ("laptop", &[0, 1]),
        ("LAPTOP.example", &[0, 1]),
        ("etc", &[1, 2]),
        ("/etc", &[1, 2]),
        ("server:/etc", &[2]),
        ("root@server", &[2]),
        ("root@server:/etc/", &[2]),
        ("/home", &[]),
        ("/etc/ssl", &[]),
        ("", &[]),
    ] {
        let named: Vec<_> = snapshots.sources_named(name).iter().map(ToString::to_string).collect();
        let expected: Vec<_> = expected.iter().map(|&number| sources[number]).collect();
        assert_eq!(named, expected, "{name}");
    }
}

#[test]
fn a_filter_admits_what_has_all_of_it() {
    let mut writer = RepositoryWriter::new();
    let root = writer.directory(&[]);
    writer.manifest(json!({
        "source": {"host": "laptop", "userName": "anna", "path": "/home/anna"},
        "startTime": "2026-01-01T00:00:00Z",
        "endTime": "2026-01-01T00:00:00Z",
        "rootEntry": {"name": "root", "type": "d", "mode": "0755", "obj": root},
        "tags": {"tag:env": "prod", "plain": "x"},
    }));
    let repository = open(writer);
    let snapshots = repository.snapshots().unwrap();
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let hosts = |hosts: &[&str]| Filter { hosts: names(hosts), ..Filter::default() };
    let users = |users: &[&str]| Filter { users: names(users), ..Filter::default() };
    let paths = |paths: &[&str]| Filter { paths: names(paths), ..Filter::default() };
    let tags = |tags: &[&str]| Filter {
        tags: tags.iter().map(|tag| tag.parse::<Tag>().unwrap()).collect(),
        ..Filter::default()
    };
    for (filter, expected) in [
        (Filter::default(), true),
        (hosts(&["other", "LAPTOP"]), true),
        (hosts(&["other"]), false),
        (users(&["Anna"]), true),
        (users(&["bob"]), false),
        (Filter { users: names(&["bob"]), ..hosts(&["laptop"]) }, false),
        (paths(&["/srv", "/home/"]), true),
        (paths(&["/srv"]), false),
        (Filter { paths: names(&["/srv"]), ..users(&["anna"]) }, false),
        (tags(&["env"]), true),
        (tags(&["env=prod", "plain=x"]), true),
        (tags(&["env=test"]), false),
        (tags(&["env", "none"]), false),
        (Filter { tags: tags(&["none"]).tags, ..hosts(&["laptop"]) }, false),
    ] {
        let snapshot = snapshots.iter().next().unwrap();
        assert_eq!(filter.admits(snapshot), expected, "{filter:?}");
        assert_eq!(snapshots.admitted(&filter).iter().count(), usize::from(expected), "{filter:?}");
    }
}

#[test]
fn what_an_id_names_cannot_be_narrowed() {
    let mut writer = RepositoryWriter::new();
    let file = writer.file(b"hello");
    let root = writer.directory(&[]);
    let snapshot = add(&mut writer, "u@h:/a", "f");
    let repository = open(writer);
    for name in [&*snapshot, &file, &root] {
        let query = Query { name, ..Query::default() };
        let filter = Filter { hosts: vec!["h".into()], ..Filter::default() };
        assert!(repository.select(&query).is_ok(), "{name}");
        for query in [
            Query { pick: Pick::Oldest, ..query.clone() },
            Query { filter, ..query.clone() },
            Query { incomplete: true, ..query.clone() },
        ] {
            let error = repository.select(&query).unwrap_err();
            assert!(matches!(error, Error::NothingToChoose { .. }), "{query:?}: {error}");
        }
    }
}

/// The id of a file may be that of a snapshot as well.
#[test]
fn objects_that_can_be_nothing_else_are_found_though_no_snapshot_can_be_listed() {
    let mut writer = RepositoryWriter::new();
    let bytes = writer.file(b"hello");
    let directory = writer.directory(&[]);
    let list = json!({"stream": "kopia:indirect", "entries": [{"s": 0, "l": 5, "o": bytes}]}).to_string();
    let list = format!("I{}", writer.object(Some('x'), list.as_bytes()));
    let headed = [&0x1000_u32.to_be_bytes()[..], &gzip(b"hello")].concat();
    let compressed = format!("Z{}", writer.file(&headed));
    writer.content(Some('m'), b"no list of manifests");
    let repository = open(writer);
    assert!(repository.snapshots().is_err());
    for (name, size) in [(&directory, 0), (&list, 5), (&compressed, 5)] {
        let selection = repository.select(&Query { name, ..Query::default() }).unwrap();
        assert_eq!((selection.entry.size(), selection.snapshot.is_none()), (size, true), "{name}");
    }
    assert!(repository.select(&Query { name: &bytes, ..Query::default() }).is_err());
}

/// Of the sources that a path lies in, one that has deleted snapshots alone comes after all others.
#[test]
fn what_is_there_counts_before_what_was_deleted() {
    let mut writer = RepositoryWriter::new();
    add(&mut writer, "u@h:/a", "b");
    let deleted = add(&mut writer, "u@h:/a/b", "f");
    let blobs = writer.finish_changed(|living| living.delete_snapshot(&deleted)).into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    let mut options = OpenOptions::default();
    options.deleted = true;
    let repository = Repository::open_with(store, &Password::from(PASSWORD), &options).unwrap();
    let selection = repository.select(&Query { name: "u@h:/a/b", ..Query::default() }).unwrap();
    assert_eq!(selection.snapshot.unwrap().source().to_string(), "u@h:/a");
    assert_eq!((selection.entry.name(), &*selection.path), ("b", "b"));
    assert_eq!(selection.passed_over.unwrap().id(), deleted);
}

/// Of the sources that a path lies in, the longest comes first unless another has a newer snapshot.
#[test]
fn of_snapshots_of_the_same_time_that_of_the_longest_source_counts() {
    let mut writer = RepositoryWriter::new();
    let inner = writer.directory(&[]);
    let outer = writer.directory(&[json!({"name": "b", "type": "d", "mode": "0755", "obj": inner})]);
    for (path, root) in [("/a", &outer), ("/a/b", &inner)] {
        writer.manifest(json!({
            "source": {"host": "h", "userName": "u", "path": path},
            "startTime": "2026-01-01T00:00:00Z",
            "endTime": "2026-01-01T00:00:00Z",
            "rootEntry": {"name": "root", "type": "d", "mode": "0755", "obj": root},
        }));
    }
    let repository = open(writer);
    let selection = repository.select(&Query { name: "u@h:/a/b", ..Query::default() }).unwrap();
    assert_eq!(selection.snapshot.unwrap().source().to_string(), "u@h:/a/b");
    assert!(selection.passed_over.is_none());
}

/// As restic writes them; names may have colons all the same.
#[test]
fn a_colon_may_stand_before_the_path_after_latest_and_ids() {
    let mut writer = RepositoryWriter::new();
    let bytes = writer.file(b"bytes");
    let long = format!("{}:b", "a".repeat(40));
    let files = ["f", "a:b", &long]
        .map(|name| json!({"name": name, "type": "f", "mode": "0644", "size": 5, "obj": bytes}));
    let root = writer.directory(&files);
    let snapshot =
        writer.snapshot("u@h:/home", json!({"name": "root", "type": "d", "mode": "0755", "obj": root}));
    let repository = open(writer);
    for head in ["latest", "latest~0", "oldest", &snapshot, &snapshot[..4], &root] {
        for before in ["/", ":/", ":"] {
            for path in ["f", "a:b", &long] {
                let name = format!("{head}{before}{path}");
                let query = Query { name: &name, ..Query::default() };
                let selection = repository.select(&query).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(selection.entry.name(), path, "{name}");
            }
        }
    }
}

#[test]
fn of_a_path_that_leads_nowhere_the_one_that_is_most_like_it_is_told() {
    let mut writer = RepositoryWriter::new();
    let bytes = writer.file(b"bytes");
    let file = |name: &str| json!({"name": name, "type": "f", "mode": "0644", "size": 5, "obj": bytes});
    let sub = writer.directory(&["other", "deeper"].map(file));
    let sub = json!({"name": "sub", "type": "d", "mode": "0755", "obj": sub});
    let root = writer.directory(&[sub, file("notes.txt"), file("hello.txt")]);
    writer.snapshot("u@h:/a", json!({"name": "root", "type": "d", "mode": "0755", "obj": root}));
    let repository = open(writer);
    let nearest = |name: &str| candidates(select(&repository, name, ("", "")));
    assert_eq!(nearest("latest/helo.txt"), ["/hello.txt"]);
    assert_eq!(nearest("u@h:/a//sub/depeer/x"), ["/sub/deeper"]);
    assert_eq!(nearest(&format!("{root}/sub/depeer")), ["/sub/deeper"]);
    assert!(nearest("latest/nothing-like-it").is_empty());
}
