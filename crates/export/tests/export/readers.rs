//! One tree of everything that is odd, read by many programs.

use std::fs;
use std::path::Path;

use kopia_export::{Format, Root};
use kopia_repository::Entry;
use kopia_testkit::tree::{Compare, Entry as Line, Kind, Tree, compare};
use kopia_testkit::writer::RepositoryWriter;
use serde_json::{Value, json};

use crate::common::{Place, QUIET, assert_same, exported, file, folder, options, read_by, untar};

/// Writes what Python's tarfile and zipfile read, as the lines of golden trees.
const PYTHON: &str = include_str!("readers.py");

/// How large the largest file is: more than a zip's entry that waits for its chunks.
const LARGE: usize = (9 << 20) + 7;

/// An entry with these fields instead of the usual ones.
fn entry(name: &str, fields: Value) -> Value {
    let mut entry = json!({"name": name, "type": "f", "mode": "0644", "uid": 7, "gid": 8, "size": 0,
        "mtime": "2020-01-02T03:04:05.000000006Z"});
    fields.as_object().unwrap().iter().for_each(|(key, value)| entry[key] = value.clone());
    entry
}

/// Writes a mode as Go does, which has bits of its own for setuid, setgid and sticky.
fn go(mode: u32) -> String {
    let special = [(0o4000, 23), (0o2000, 22), (0o1000, 20)];
    let special = special.iter().filter(|(bit, _)| mode & bit != 0).map(|(_, place)| 1 << place);
    format!("0{:o}", mode & 0o777 | special.sum::<u32>())
}

/// A tree of names, times, modes, owners, sizes and links that archives have trouble with.
pub(crate) fn odd(place: &Place) -> Entry {
    place.root(RepositoryWriter::new().piece_size(1 << 20), |writer| {
        let (empty, text) = (writer.file(b""), writer.file(b"text"));
        let mut files = Vec::new();
        let names = [
            "-rf".into(),
            " blank ".into(),
            "line\nbreak".into(),
            "ä and 日本".into(),
            "back\\slash".into(),
            "a".repeat(99),
            "b".repeat(100),
            "c".repeat(255),
            // One of them would be cut within a character.
            format!("{}ä", "d".repeat(96)),
            "ü".repeat(127),
            "lost\u{fffd}byte".into(),
        ];
        for name in &names {
            files.push(entry(name, json!({"size": 4, "obj": text})));
        }
        let times = [
            "1969-12-31T23:59:58Z",
            "1970-01-01T00:00:00Z",
            "2038-01-19T03:14:08.5Z",
            "2255-01-01T00:00:00.123456789Z",
        ];
        for (number, time) in times.iter().enumerate() {
            files.push(entry(&format!("time {number}"), json!({"mtime": time, "size": 4, "obj": text})));
        }
        for mode in [0, 0o400, 0o4755, 0o2755, 0o1777, 0o7777] {
            files.push(entry(&format!("mode {mode:o}"), json!({"mode": go(mode), "size": 4, "obj": text})));
        }
        files
            .push(entry("owner", json!({"uid": 3_000_000, "gid": 4_294_967_294u32, "size": 4, "obj": text})));
        files.push(entry("empty", json!({"obj": empty})));
        for size in [1, 63, 64, 65, 511, 512, 513, 1 << 20, LARGE] {
            let bytes: Vec<u8> = (0..size).map(|place| (place >> 6) as u8).collect();
            files.push(entry(&format!("size {size}"), json!({"size": size, "obj": writer.file(&bytes)})));
        }
        let noise = kopia_testkit::random::Random::of("noise").bytes(100_000);
        files.push(entry("noise", json!({"size": noise.len(), "obj": writer.file(&noise)})));
        let targets: [&[u8]; 7] = [
            b"text",
            b"/absolute/../path",
            "nach Zürich".as_bytes(),
            &[b'x'; 100],
            &[b'y'; 101],
            &[b'z'; 4000],
            b"not \xff UTF-8",
        ];
        for (number, target) in targets.iter().enumerate() {
            let fields =
                json!({"type": "s", "mode": "0777", "size": target.len(), "obj": writer.file(target)});
            files.push(entry(&format!("link {number}"), fields));
        }
        let long = [b"\xfe".repeat(150), b"/x".to_vec()].concat();
        let fields = json!({"type": "s", "mode": "0777", "size": long.len(), "obj": writer.file(&long)});
        files.push(entry("link long", fields));
        let nothing = writer.directory(&[]);
        let directory = |name: &str, mode: &str, object: &str| {
            entry(name, json!({"type": "d", "mode": mode, "obj": object}))
        };
        // A name that leads into folders that the snapshot does not have; a restore gives these to who runs
        // it.
        let ours = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        files.push(entry("implied/deep/file", json!({"size": 4, "uid": ours, "gid": group, "obj": text})));
        let mut deep = writer.directory(&[entry("f", json!({"size": 4, "obj": text}))]);
        for level in 0..12 {
            deep = writer.directory(&[directory(&format!("{level}{}", "n".repeat(60)), "0755", &deep)]);
        }
        let closed = writer.directory(&[entry("inside", json!({"size": 4, "obj": text}))]);
        let mut all = vec![
            directory("closed", "0500", &closed),
            directory("deep", "0755", &deep),
            directory("nothing", &go(0o3777), &nothing),
        ];
        all.extend(files);
        directory("data", "0750", &writer.directory(&all))
    })
}

/// Writes an archive and has a program unpack it; `None` where there is no such program.
fn unpacked(place: &Place, root: &Entry, format: Format, by: &[&str]) -> Option<Tree> {
    let (archive, outcome) = exported(root, &options(format));
    assert_eq!(outcome.problem_count, 0, "{outcome:?}");
    let name = format!("{format:?}-{}", by[0]);
    let (file, folder) = (place.path(&format!("{name}.archive")), place.folder(&name));
    fs::write(&file, archive).unwrap();
    let path = file.to_str().unwrap();
    let arguments: Vec<&str> = by[1..].iter().map(|word| if *word == "FILE" { path } else { word }).collect();
    read_by(&file, by[0], &arguments, &folder)?;
    Some(Tree::scan(&folder))
}

#[test]
fn gnu_tar_unpacks_what_a_restore_restores() {
    let place = Place::new();
    let root = odd(&place);
    let expected = Tree::scan(place.restored(&root, "restored"));
    for (format, flag) in [(Format::Tar, "-xpf"), (Format::TarZst, "-xp --zstd -f"), (Format::TarGz, "-xpzf")]
    {
        let mut by = vec!["tar"];
        by.extend(flag.split(' '));
        by.extend(["-", "--numeric-owner", QUIET]);
        let found = unpacked(&place, &root, format, &by).expect("there is a tar");
        assert_same(&expected, &found, &format!("{format:?}"));
    }
}

#[test]
fn what_does_not_fit_into_the_window_is_the_same() {
    let place = Place::new();
    let root = odd(&place);
    for format in [Format::Tar, Format::Zip] {
        let (expected, outcome) = exported(&root, &options(format));
        assert_eq!(outcome.checked, 0);
        let mut options = options(format);
        options.window = 3 << 20;
        let (found, outcome) = exported(&root, &options);
        assert!(found == expected, "{format:?}");
        assert_eq!(outcome.checked, LARGE as u64);
    }
}

#[test]
fn bsdtar_unpacks_what_a_restore_restores() {
    let place = Place::new();
    let root = odd(&place);
    let expected = Tree::scan(place.restored(&root, "restored"));
    for format in [Format::Tar, Format::TarGz] {
        let by = ["bsdtar", "-xpf", "-", "--numeric-owner"];
        if let Some(found) = unpacked(&place, &root, format, &by) {
            // It never sets the time of `.`, not even from archives that it made itself.
            let what = Compare { root: false, ..Compare::settable() };
            assert_eq!(compare(&expected, &found, &what), [""; 0], "{format:?}");
        }
    }
}

/// Reads an archive by Python.
fn by_python(place: &Place, root: &Entry, format: Format) -> Option<Tree> {
    let (archive, _) = exported(root, &options(format));
    let path = place.path(&format!("{format:?}.archive"));
    fs::write(&path, archive).unwrap();
    let lines = read_by(&path, "python3", &["-c", PYTHON, path.to_str().unwrap()], Path::new("/"))?;
    Some(Tree::from_lines(std::str::from_utf8(&lines).unwrap()).unwrap())
}

#[test]
fn python_reads_what_a_restore_restores() {
    let place = Place::new();
    let root = odd(&place);
    let expected = Tree::scan(place.restored(&root, "restored"));
    for format in [Format::Tar, Format::TarGz] {
        if let Some(found) = by_python(&place, &root, format) {
            assert_same(&expected, &found, &format!("{format:?}"));
        }
    }
    let Some(found) = by_python(&place, &root, Format::Zip) else { return };
    assert_same(&as_in_zip(&expected, true), &found, "zip");
}

/// What of a tree a zip keeps: no root, times in seconds until 2038.
fn as_in_zip(tree: &Tree, links: bool) -> Tree {
    let last = i128::from(i32::MAX);
    let line = |entry: &Line| Line {
        mtime_ns: match entry.mtime_ns.div_euclid(1_000_000_000) {
            seconds if seconds > last || entry.kind == Kind::Symlink && !links => 0,
            seconds => seconds * 1_000_000_000,
        },
        ..entry.clone()
    };
    Tree::new(tree.entries().iter().filter(|entry| !entry.path.is_empty()).map(line).collect())
}

#[test]
fn unzip_unpacks_names_bytes_modes_and_links() {
    let place = Place::new();
    let root = odd(&place);
    let expected = Tree::scan(place.restored(&root, "restored"));
    // -K keeps setuid, -X owners.
    let by = ["unzip", "-q", "-K", "-X", "FILE"];
    let Some(found) = unpacked(&place, &root, Format::Zip, &by) else { return };
    let without_times = |tree: &Tree| {
        let line = |entry: &Line| {
            let late = entry.mtime_ns.div_euclid(1_000_000_000) > i128::from(i32::MAX);
            // It sets neither time nor owner of a link, no time before 1980, and times of folders by its own
            // lights.
            let timeless = late || entry.path.starts_with("time") || entry.kind != Kind::File;
            let mtime_ns = if timeless { 0 } else { entry.mtime_ns / 1_000_000_000 * 1_000_000_000 };
            let owner = if entry.kind == Kind::Symlink { (0, 0) } else { (entry.uid, entry.gid) };
            Line { mtime_ns, uid: owner.0, gid: owner.1, ..entry.clone() }
        };
        // It makes another name of one with a line break.
        let is_kept = |entry: &&Line| !entry.path.is_empty() && !entry.path.starts_with("line");
        Tree::new(tree.entries().iter().filter(is_kept).map(line).collect())
    };
    assert_same(&without_times(&expected), &without_times(&found), "zip");
}

#[test]
fn what_would_lead_out_of_a_folder_on_windows_is_in_no_zip_and_named() {
    let place = Place::new();
    let root = place.root(RepositoryWriter::new(), |writer| {
        let text = writer.file(b"text");
        let file = |name: &str| file(name, &text, 4);
        let inner = writer.directory(&[file("..\\..\\x"), file("a:b"), file("in\\side"), file("plain")]);
        let outer = writer.directory(&[file("y")]);
        let drive = folder("C:", &outer);
        let entries = [file("C:\\x"), file("C:x"), folder("..\\d", &outer), drive, folder("d", &inner)];
        folder("data", &writer.directory(&entries))
    });
    let (archive, outcome) = exported(&root, &options(Format::Zip));
    let mut left_out: Vec<_> = outcome.problems.iter().map(|problem| &*problem.path).collect();
    left_out.sort_unstable();
    assert_eq!(left_out, ["..\\d", "..\\d/y", "C:", "C:/y", "C:\\x", "C:x", "d/..\\..\\x"]);
    assert!(outcome.problems.iter().all(|problem| problem.defect.word() == "leads_out"));
    assert_eq!((outcome.files, outcome.problem_count, outcome.foreign_names), (3, 7, 2));
    assert!(!archive.windows(3).any(|bytes| bytes == b"..\\"));
    // That is known before anything is written.
    let zip = options(Format::Zip);
    let found = kopia_export::refused(&Root::new(&root, &zip), &zip);
    let mut foreseen: Vec<_> = found.problems.iter().map(|problem| &*problem.path).collect();
    foreseen.sort_unstable();
    assert_eq!(foreseen, left_out);
    assert_eq!((found.files, found.directories, found.bytes, found.problem_count), (5, 2, 20, 7));
    let (_, outcome) = exported(&root, &options(Format::Tar));
    assert_eq!((outcome.files, outcome.problem_count, outcome.foreign_names), (8, 0, 0));
}

#[test]
fn what_has_no_place_in_a_zip_and_is_lost_as_well_is_told_once() {
    let place = Place::new();
    let root = place.root(RepositoryWriter::new(), |writer| {
        let (text, gone) = (writer.file(b"text"), "0123456789abcdef0123456789abcdef");
        let pieces = json!([{"s": 0, "l": 4, "o": text}, {"s": 4, "l": 4, "o": gone}]);
        let list = json!({"stream": "kopia:indirect", "entries": pieces}).to_string();
        let half = format!("I{}", writer.object(Some('x'), list.as_bytes()));
        let lost = [file("C:gone", gone, 4), file("C:half", &half, 8), file("half", &half, 8)];
        let here = [file("C:empty", &writer.file(b""), 0), file("C:here", &text, 4)];
        let link = entry("C:link", json!({"type": "s", "size": 4, "obj": text}));
        let torn = entry("C:torn", json!({"type": "s", "size": 8, "obj": half}));
        folder("data", &writer.directory(&[&lost[..], &here, &[link, torn]].concat()))
    });
    let mut zip = options(Format::Zip);
    for (salvage, files, bytes) in [(false, 0, 0), (true, 1, 8)] {
        zip.salvage = salvage;
        let found = kopia_export::refused(&Root::new(&root, &zip), &zip);
        let mut foreseen: Vec<_> = found.problems.iter().map(|problem| &*problem.path).collect();
        foreseen.sort_unstable();
        assert_eq!(foreseen, ["C:empty", "C:here", "C:link"]);
        // What would be salvaged at another path is no file here, and its problem is that it is damaged.
        assert_eq!((found.files, found.symlinks), (2 + files, 1));
        assert_eq!((found.bytes, found.problem_count), (4 + bytes, 3));
        let (_, outcome) = exported(&root, &zip);
        let told = outcome.problems.iter().map(|problem| (&*problem.path, problem.defect.word()));
        let (refused, mut lost): (Vec<_>, Vec<_>) = told.partition(|(_, word)| *word == "leads_out");
        assert_eq!(refused.len(), 3);
        lost.sort_unstable();
        let lost: Vec<_> = lost.into_iter().map(|(path, _)| path).collect();
        assert_eq!(lost, ["C:gone", "C:half", "C:torn", "half"]);
        assert_eq!((outcome.files, outcome.bytes, outcome.symlinks), (files, bytes, 0));
    }
}

#[test]
fn a_single_file_or_link_is_an_archive_of_one() {
    let place = Place::new();
    let root = odd(&place);
    for (name, format) in [("size 513", Format::Tar), ("link 3", Format::Tar)] {
        let (archive, outcome) = exported(&root.at(name).unwrap(), &options(format));
        assert_eq!(outcome.files + outcome.symlinks, 1);
        let folder = untar(&place, &archive, name);
        let expected = Tree::scan_file(place.restored(&root, "restored").join(name));
        assert_same(&expected, &Tree::scan_file(folder.join(name)), name);
    }
}
