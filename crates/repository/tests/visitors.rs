//! What looks at many snapshots: search, what is gone, history, comparison.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use std::ops::ControlFlow;
use std::slice::from_ref;

use kopia_codec::key::Password;
use kopia_format::directory::EntryKind;
use kopia_repository::compare::{self, Changes, Differing, compare};
use kopia_repository::history::{Track, sightings, versions};
use kopia_repository::search::{self, Pattern, Place, Query, gone, search};
use kopia_repository::select::{self, At};
use kopia_repository::{Entry, Repository, Snapshot};
use kopia_storage::MemoryStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

const LOST: &str = "k00000000000000000000000000000001";

fn entry(name: &str, kind: &str, object: &str, size: usize) -> Value {
    json!({"name": name, "type": kind, "mode": "0640", "mtime": "2020-01-02T03:04:05Z", "obj": object, "size": size})
}

fn file(writer: &mut RepositoryWriter, name: &str, text: &str) -> Value {
    entry(name, "f", &writer.file(text.as_bytes()), text.len())
}

fn directory(writer: &mut RepositoryWriter, name: &str, entries: &[Value]) -> Value {
    entry(name, "d", &writer.directory(entries), 0)
}

/// Writes snapshots of one source with these roots, the oldest first, and opens the repository.
fn repository(write: impl FnOnce(&mut RepositoryWriter) -> Vec<Value>) -> Repository {
    let mut writer = RepositoryWriter::new();
    for root in write(&mut writer) {
        writer.snapshot("u@h:/data", root);
    }
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    Repository::open(store, &Password::from(PASSWORD)).unwrap()
}

fn places(repository: &Repository) -> Vec<Place> {
    Place::newest_first(repository.snapshots().unwrap().iter()).unwrap()
}

/// Gathers events as `place path`, and problems with `!` before that.
fn lines(
    look: impl FnOnce(&mut dyn FnMut(search::Event) -> ControlFlow<()>) -> ControlFlow<()>,
) -> Vec<String> {
    let mut lines = Vec::new();
    let flow = look(&mut |event| {
        lines.push(match event {
            search::Event::Found(found) => format!("{} {}", found.place, found.path),
            search::Event::Problem { place, path, .. } => format!("!{place} {path}"),
        });
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    lines.sort();
    lines
}

fn found(repository: &Repository, query: &Query) -> Vec<String> {
    lines(|visit| search(repository, &places(repository), query, visit))
}

#[test]
fn all_that_a_query_asks_for_has_to_match() {
    let repository = repository(|writer| {
        let large = file(writer, "large", &"x".repeat(2000));
        let mut later = file(writer, "small", "x");
        later["mtime"] = "2020-01-02T03:04:06Z".into();
        let link = entry("link", "s", &writer.file(b"target"), 2000);
        let mut inner = directory(writer, "d", from_ref(&large));
        inner["size"] = 2000.into();
        vec![directory(writer, "data", &[inner, large, link, later])]
    });
    let time = At::Until("2020-01-02T03:04:05Z".parse().unwrap());
    let kinds = |kinds: &[EntryKind]| Query { kinds: kinds.to_vec(), ..Query::default() };
    for (query, expected) in [
        (Query::default(), &["0 d", "0 d/large", "0 large", "0 link", "0 small"][..]),
        (Query { size: 1000..=5000, ..Query::default() }, &["0 d/large", "0 large"]),
        (Query { size: 0..=1, ..Query::default() }, &["0 small"]),
        (kinds(&[EntryKind::Directory]), &["0 d"]),
        (kinds(&[EntryKind::Symlink, EntryKind::Directory]), &["0 d", "0 link"]),
        (Query { size: 1000..=5000, ..kinds(&[EntryKind::Symlink]) }, &[]),
        (Query { modified_after: Some(time), ..Query::default() }, &["0 small"]),
        (Query { modified_until: Some(time), ..kinds(&[EntryKind::File]) }, &["0 d/large", "0 large"]),
        (
            Query { pattern: Some(Pattern::glob("l*", false).unwrap()), ..Query::default() },
            &["0 d/large", "0 large", "0 link"],
        ),
        (
            Query { pattern: Some(Pattern::glob("/l*", false).unwrap()), ..Query::default() },
            &["0 large", "0 link"],
        ),
    ] {
        assert_eq!(found(&repository, &query), expected, "{query:?}");
    }
}

#[test]
fn what_several_places_have_is_found_once() {
    let repository = repository(|writer| {
        let kept = file(writer, "kept", "the same");
        let old = [kept.clone(), file(writer, "changed", "old")];
        let new = [kept, file(writer, "changed", "new")];
        let (old, new) = (directory(writer, "d", &old), directory(writer, "d", &new));
        let same = file(writer, "data", "of a file");
        vec![directory(writer, "data", &[old]), same.clone(), same, directory(writer, "data", &[new])]
    });
    // A file is its own root; of the two the newer one has it.
    assert_eq!(
        found(&repository, &Query::default()),
        ["0 d", "0 d/changed", "0 d/kept", "1 ", "3 d/changed"]
    );
    let folders = Query { kinds: vec![EntryKind::Directory], ..Query::default() };
    assert_eq!(found(&repository, &folders), ["0 d"]);
}

#[test]
fn what_is_gone_is_told_once_from_where_it_was_last() {
    let repository = repository(|writer| {
        let [one, two, three] = ["one", "two", "three"].map(|name| file(writer, name, name));
        let inner = directory(writer, "inner", from_ref(&one));
        let [full, less] = [&[one.clone(), three.clone()][..], from_ref(&three)]
            .map(|entries| directory(writer, "both", entries));
        let oldest = [full.clone(), inner.clone(), one.clone(), two, three.clone()];
        let oldest = directory(writer, "data", &oldest);
        let placed = entry("by/name", "f", &writer.file(b"placed"), 6);
        let unread = directory(writer, "unread", from_ref(&one));
        let older = directory(writer, "data", &[full, inner, one, three.clone(), unread, placed]);
        // The source was a file once.
        let single = file(writer, "data", "of a file");
        let newest = directory(writer, "data", &[less, entry("unread", "d", LOST, 0), three]);
        vec![oldest.clone(), oldest, single, older, newest]
    });
    let gone = |recursive| lines(|visit| gone(&repository, &places(&repository), recursive, visit));
    // What lies in a directory that cannot be read is not called gone.
    let expected = ["!0 unread", "1 both/one", "1 by/name", "1 inner", "1 one", "3 two"];
    assert_eq!(gone(false), expected);
    assert_eq!(gone(true), [&expected[..4], &["1 inner/one"], &expected[4..]].concat());
}

#[test]
fn nothing_is_gone_where_the_root_of_the_newest_cannot_be_read() {
    let repository = repository(|writer| {
        let [one, two] = ["one", "two"].map(|name| file(writer, name, name));
        let oldest = directory(writer, "data", &[one.clone(), two]);
        vec![oldest, directory(writer, "data", &[one]), entry("data", "d", LOST, 0)]
    });
    assert_eq!(lines(|visit| gone(&repository, &places(&repository), true, visit)), ["!0 "]);
}

#[test]
fn what_the_newest_refuses_is_not_gone() {
    let refused = |name: &str| entry(name, "?", LOST, 0);
    let repository = repository(|writer| {
        let [one, two] = ["one", "two"].map(|name| file(writer, name, name));
        let [full, less] = [&[one.clone(), two.clone()][..], from_ref(&two)]
            .map(|entries| ["behind", "before", "refused"].map(|name| directory(writer, name, entries)));
        let [b, c] = ["a/b", "a/c"].map(|name| file(writer, name, name));
        let cut = directory(writer, "cut", &[one.clone(), less[2].clone()]);
        let older = [&full[..], &[one.clone(), two.clone(), b, c, cut]].concat();
        let empty = directory(writer, "refused", &[]);
        let cut = directory(writer, "cut", &[empty, refused(&"n".repeat(300))]);
        let [behind, before, _] = less;
        let newest = [
            refused("behind"),
            behind,
            before,
            refused("before"),
            refused("refused"),
            refused("one"),
            refused("a/b"),
            cut,
        ];
        // What an older one refuses is a problem, and no more.
        let oldest = directory(writer, "data", &[refused("older")]);
        vec![oldest, directory(writer, "data", &older), directory(writer, "data", &newest)]
    });
    let cut = format!("!0 cut/{}", "n".repeat(256));
    let expected = [
        "!0 a/b",
        "!0 before",
        "!0 behind",
        &*cut,
        "!0 one",
        "!0 refused",
        "!2 older",
        "1 a/c",
        "1 before/one",
        "1 behind/one",
        // Any other entry of its folder may be the one whose name is cut.
        "1 cut/refused/two",
        "1 two",
    ];
    for recursive in [false, true] {
        assert_eq!(lines(|visit| gone(&repository, &places(&repository), recursive, visit)), expected);
    }
}

#[test]
fn a_path_that_comes_goes_and_changes_has_versions() {
    let repository = repository(|writer| {
        let [one, two] = ["one", "two"].map(|text| file(writer, "f", text));
        let mut root = |entries: &[Value]| directory(writer, "data", entries);
        vec![
            root(&[]),
            root(from_ref(&one)),
            root(from_ref(&one)),
            root(&[]),
            root(&[]),
            root(&[one]),
            root(&[two]),
        ]
    });
    let snapshots = repository.snapshots().unwrap();
    let tracks = Track::named(&snapshots, "u@h:/data/f", ("", "")).unwrap();
    let spans = versions(&sightings(&repository, snapshots.iter(), &tracks));
    let second = |snapshot: &Snapshot| snapshot.start_time().to_string()[17..19].parse::<u32>().unwrap();
    let spans: Vec<_> = spans
        .iter()
        .map(|span| (span.version, second(&span.first), second(&span.last), span.snapshots))
        .collect();
    assert_eq!(spans, [(Some(1), 1, 2, 2), (None, 3, 4, 2), (Some(2), 5, 5, 1), (Some(3), 6, 6, 1)]);
    let query = select::Query { name: "u@h:/data/f", ..Default::default() };
    for (number, text) in [(1, "one"), (2, "one"), (3, "two")] {
        let selection = repository.select_version(&query, number).unwrap();
        assert_eq!(repository.read_object(selection.entry.object()).unwrap(), text.as_bytes(), "{number}");
    }
    assert_eq!(second(&repository.select_version(&query, 1).unwrap().snapshot.unwrap()), 2);
    let error = repository.select_version(&query, 4).unwrap_err().to_string();
    assert!(error.contains("version 4 of u@h:/data/f"), "{error}");
}

#[test]
fn what_a_snapshot_refuses_is_neither_there_nor_missing() {
    let repository = repository(|writer| {
        let [b, c, f, x] = ["a/b", "a/c", "f", "x"].map(|name| file(writer, name, name));
        let d = directory(writer, "d", from_ref(&x));
        let refused = |name: &str| entry(name, "?", LOST, 0);
        let whole = [d, f, b, c.clone()];
        let refusing = [refused("d"), refused("f"), refused("a/b"), c, refused("e/g/h")];
        let both = [&refusing[..3], &whole[..]].concat();
        [&whole[..], &refusing[..], &both[..]].map(|entries| directory(writer, "data", entries)).to_vec()
    });
    let snapshots = repository.snapshots().unwrap();
    let seen = |path: &str| {
        let tracks = Track::named(&snapshots, &format!("u@h:/data/{path}"), ("", "")).unwrap();
        sightings(&repository, snapshots.iter(), &tracks)
    };
    for (path, expected) in [
        ("f", ["there", "unknown_type", "there"]),
        ("f/none", ["missing", "unknown_type", "missing"]),
        ("d", ["there", "unknown_type", "there"]),
        ("d/x", ["there", "unknown_type", "there"]),
        ("d/none", ["missing", "unknown_type", "missing"]),
        // Where names of other entries lead, and beside that.
        ("a", ["there"; 3]),
        ("a/b", ["there", "unknown_type", "there"]),
        ("a/c", ["there"; 3]),
        ("a/none", ["missing"; 3]),
        ("e", ["missing", "unknown_type", "missing"]),
        ("e/g/h/i", ["missing", "unknown_type", "missing"]),
        ("e/other", ["missing"; 3]),
    ] {
        let seen = seen(path);
        let found = seen.iter().map(|sighting| match &sighting.entry {
            Ok(Some(_)) => "there",
            Ok(None) => "missing",
            Err(defect) => defect.word(),
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{path}");
    }
    // It was not away meanwhile.
    let spans = versions(&seen("f"));
    assert_eq!(spans.iter().map(|span| (span.version, span.snapshots)).collect::<Vec<_>>(), [(Some(1), 2)]);
}

#[test]
fn versions_of_unfinished_snapshots_count_where_these_are_asked_for() {
    let mut writer = RepositoryWriter::new();
    for (second, reason) in [(0, ""), (1, "canceled")] {
        let file = file(&mut writer, "f", &format!("text {second}"));
        let mut root = directory(&mut writer, "data", &[file]);
        root["mode"] = "0755".into();
        let time = format!("2026-01-01T00:00:{second:02}Z");
        writer.manifest(json!({
            "source": {"host": "h", "userName": "u", "path": "/data"},
            "startTime": time, "endTime": time, "incomplete": reason, "rootEntry": root,
        }));
    }
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    let repository = Repository::open(store, &Password::from(PASSWORD)).unwrap();
    let version = |number, incomplete| {
        let query = select::Query { name: "u@h:/data/f", incomplete, ..Default::default() };
        repository.select_version(&query, number).map(|selection| selection.path)
    };
    assert_eq!(version(1, false).unwrap(), "f");
    assert!(version(2, false).is_err());
    assert_eq!(version(2, true).unwrap(), "f");
}

/// Gathers differences as `-path`, `+path` and `path: words`, and problems with `!` before the path.
fn differences(old: &Entry, new: &Entry, recursive: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let flow = compare(old, new, recursive, |event| {
        lines.push(match event {
            compare::Event::Differs(Differing { path, old, new, changes }) => match (old, new) {
                (Some(_), None) => format!("-{path}"),
                (None, Some(_)) => format!("+{path}"),
                _ => format!("{path}: {}", changes.words().collect::<Vec<_>>().join(" ")),
            },
            compare::Event::Problem { path, .. } => format!("!{path}"),
        });
        ControlFlow::Continue(())
    });
    assert!(flow.is_continue());
    lines.sort();
    lines
}

fn both(repository: &Repository) -> [Entry; 2] {
    let roots: Vec<_> =
        repository.snapshots().unwrap().iter().map(|snapshot| snapshot.root().unwrap()).collect();
    roots.try_into().unwrap()
}

#[test]
fn what_is_below_is_told_where_that_is_wanted() {
    let repository = repository(|writer| {
        let [n, q, x, z] = ["n", "q", "x", "z"].map(|name| file(writer, name, name));
        let same = directory(writer, "same", from_ref(&x));
        let mut root = |write: &dyn Fn(&mut RepositoryWriter) -> Vec<Value>| {
            let entries = [vec![same.clone()], write(writer)].concat();
            directory(writer, "data", &entries)
        };
        let old = root(&|writer| {
            let y = directory(writer, "y", from_ref(&z));
            vec![
                directory(writer, "a", &[y, x.clone()]),
                directory(writer, "both", &[n.clone(), q.clone()]),
                directory(writer, "k", from_ref(&q)),
                file(writer, "f", "file"),
                file(writer, "g", "old"),
            ]
        });
        let new = root(&|writer| {
            vec![
                directory(writer, "both", &[q.clone(), x.clone()]),
                directory(writer, "f", from_ref(&n)),
                directory(writer, "new", from_ref(&n)),
                file(writer, "g", "new"),
                file(writer, "k", "file"),
            ]
        });
        vec![old, new]
    });
    let [old, new] = both(&repository);
    let top = ["+both/x", "+new", "-a", "-both/n", "f: kind", "g: content", "k: kind"];
    assert_eq!(differences(&old, &new, false), top);
    let all = [
        "+both/x",
        "+f/n",
        "+new",
        "+new/n",
        "-a",
        "-a/x",
        "-a/y",
        "-a/y/z",
        "-both/n",
        "-k/q",
        "f: kind",
        "g: content",
        "k: kind",
    ];
    assert_eq!(differences(&old, &new, true), all);
    assert!(differences(&new, &new, true).is_empty());
    assert_eq!(Changes::between(&old, &old), Changes::default());
}

#[test]
fn what_cannot_be_read_is_neither_added_nor_removed() {
    let repository = repository(|writer| {
        let x = file(writer, "x", "x");
        let inner = directory(writer, "inner", from_ref(&x));
        let lost = |name: &str| entry(name, "d", LOST, 0);
        let removed = directory(writer, "removed", &[lost("deep"), x.clone()]);
        let full = |writer: &mut _, name: &str| directory(writer, name, &[inner.clone(), x.clone()]);
        let old = [lost("gone"), lost("older"), removed, full(writer, "newer")];
        let new = [full(writer, "older"), lost("added"), lost("newer")];
        vec![directory(writer, "data", &old), directory(writer, "data", &new)]
    });
    let [old, new] = both(&repository);
    assert_eq!(differences(&old, &new, false), ["!newer", "!older", "+added", "-gone", "-removed"]);
    let all = [
        "!added",
        "!gone",
        "!newer",
        "!older",
        "!removed/deep",
        "+added",
        "-gone",
        "-removed",
        "-removed/deep",
        "-removed/x",
    ];
    assert_eq!(differences(&old, &new, true), all);
}

#[test]
fn what_one_of_both_refuses_is_neither_added_nor_removed() {
    let repository = repository(|writer| {
        let [w, x, y, z, quoted] = ["w", "x", "y", "z", "\""].map(|name| file(writer, name, name));
        let refused = |name: &str| entry(name, "?", LOST, 0);
        let (full, empty) = (directory(writer, "twice", from_ref(&x)), directory(writer, "twice", &[]));
        let folder = directory(writer, "folder", from_ref(&x));
        let changed = file(writer, "x", "changed");
        let old = [full.clone(), refused("folder"), quoted.clone(), refused("w"), w, x, refused("y"), z];
        // With a name that JSON escapes, folders come behind all that is refused.
        let new = [empty, full, folder, quoted, refused("x"), changed, y, refused("z")];
        vec![directory(writer, "data", &old), directory(writer, "data", &new)]
    });
    let [old, new] = both(&repository);
    // Of those with one name the first that is sound is compared.
    let expected = ["!folder", "!twice", "!w", "!x", "!y", "!z", "-twice/x", "-w", "x: content"];
    assert_eq!(differences(&old, &new, false), expected);
    assert_eq!(differences(&old, &new, true), expected);
}

#[test]
fn a_folder_is_compared_as_its_sound_entry_has_it_behind_one_that_is_refused() {
    let repository = repository(|writer| {
        let [x, y, z] = ["x", "y", "z"].map(|name| file(writer, name, name));
        let refused = entry("d", "?", LOST, 0);
        let (before, after) =
            (directory(writer, "d", &[x.clone(), y.clone()]), directory(writer, "d", &[y.clone(), z]));
        // In the newer one, a name with `/` has folders come last.
        let new = [refused.clone(), after, entry("e/f", "f", &writer.file(b"f"), 1)];
        vec![directory(writer, "data", &[before, refused]), directory(writer, "data", &new)]
    });
    let [old, new] = both(&repository);
    assert_eq!(differences(&old, &new, false), ["!d", "!d", "+d/z", "+e", "-d/x"]);
    assert_eq!(differences(&new, &old, false), ["!d", "!d", "+d/x", "-d/z", "-e"]);
}

#[test]
fn names_that_are_refused_are_neither_added_nor_removed_wherever_they_lead() {
    let repository = repository(|writer| {
        let [x, y, z] = ["x", "y", "z"].map(|name| file(writer, name, name));
        let [b, c, inner] = ["a/b", "a/c", "d/z"].map(|name| file(writer, name, name));
        let refused = |name: &str| entry(name, "?", LOST, 0);
        let long = "n".repeat(300);
        let named = file(writer, &long, "long");
        let d = directory(writer, "d", from_ref(&y));
        let cut = directory(writer, "cut", &[x.clone(), named, z]);
        let sound = [d.clone(), b, c, inner, cut];
        let cut = directory(writer, "cut", &[x, refused(&long)]);
        let refusing = [d, refused("a/b"), refused("./d//z"), cut];
        vec![directory(writer, "data", &refusing), directory(writer, "data", &sound)]
    });
    let [refusing, sound] = both(&repository);
    let cut = format!("!cut/{}", "n".repeat(256));
    for recursive in [false, true] {
        // The name that is cut may be that of any entry of its folder.
        assert_eq!(differences(&refusing, &sound, recursive), ["!a/b", &*cut, "!d/z", "+a/c"]);
        assert_eq!(differences(&sound, &refusing, recursive), ["!a/b", &*cut, "!d/z", "-a/c"]);
    }
}
