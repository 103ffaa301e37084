//! `mount`, with a real mount: what is shown is what the snapshot has, and no mount is left behind.
//!
//! Where there is no /dev/fuse these tests say so and pass.

#![cfg(all(feature = "mount", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kopia_testkit::faults;
use kopia_testkit::golden;
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::writer::{ContentId, PASSWORD, RepositoryWriter};
use kopia_testkit::{damage, random::Random};
use nix::mount::{MntFlags, umount2};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn command(repository: &Path, password: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
    command.arg("mount").arg("--repository").arg(repository).env_clear().env("KOPIA_PASSWORD", password);
    // The helper of ordinary users is looked for.
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TZ", "UTC");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Something that is mounted at a folder of its own.
struct Mounted {
    place: tempfile::TempDir,
    child: Option<Child>,
}

impl Mounted {
    /// Mounts what arguments name; nothing where the system has no FUSE.
    fn start(repository: &Path, password: &str, arguments: &[&str]) -> Option<Self> {
        if !Path::new("/dev/fuse").exists() {
            kopia_testkit::facilities::left_out("there is no /dev/fuse");
            return None;
        }
        let place = tempfile::tempdir().unwrap();
        let mut child = command(repository, password).args(arguments).arg(place.path()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if !line.starts_with("mounted at ") {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("{:?}: {said}", child.wait());
        }
        assert!(line.contains("unmount with ^C or `"), "{line}");
        Some(Self { place, child: Some(child) })
    }

    fn point(&self) -> &Path {
        self.place.path()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.point().join(below)
    }

    fn is_mounted(&self) -> bool {
        fs::metadata(self.point()).unwrap().dev()
            != fs::metadata(self.point().parent().unwrap()).unwrap().dev()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// Waits until it has ended by itself.
    fn ended(mut self) -> (Option<i32>, String) {
        let Output { status, stderr, .. } = self.child.take().unwrap().wait_with_output().unwrap();
        assert!(!self.is_mounted(), "it is still mounted");
        (status.code(), String::from_utf8(stderr).unwrap())
    }

    fn end(self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        self.ended()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // A test has failed; nothing of it stays.
        let _ = umount2(self.point(), MntFlags::MNT_DETACH);
        let _ = Command::new("fusermount3").args(["-u", "-z", "-q"]).arg(self.point()).status();
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn entry(name: &str, kind: &str, object: &str, size: usize) -> Value {
    let mode = if kind == "d" { "0755" } else { "0644" };
    json!({"name": name, "type": kind, "mode": mode, "size": size, "obj": object})
}

/// Writes a repository with one snapshot, of `a@b:/c`.
fn written(path: &Path, piece: usize, root: impl FnOnce(&mut RepositoryWriter) -> String) {
    let mut writer = RepositoryWriter::new().piece_size(piece);
    let root = root(&mut writer);
    writer.snapshot("a@b:/c", entry("c", "d", &root, 0));
    writer.finish_in(path).unwrap();
}

#[test]
fn every_snapshot_is_shown_exactly() {
    let mut all = Vec::new();
    for case in golden::cases() {
        let pairs = case.pairs();
        let ids: Vec<&str> = pairs.iter().map(|(listed, _)| &*listed.id).collect();
        let Some(mounted) = Mounted::start(&case.repository, &case.password, &ids) else { return };
        for (listed, expected) in &pairs {
            // One alone fills the folder.
            let root = if pairs.len() > 1 { mounted.path(&listed.id) } else { mounted.point().into() };
            let found = match &expected.file {
                Some(_) if pairs.len() > 1 => Tree::scan_file(root),
                Some(file) => Tree::scan_file(root.join(Path::new(file).file_name().unwrap())),
                None => Tree::scan(root),
            };
            // Nobody needs the right to set owners here.
            let differences = compare(&expected.load(), &found, &Compare::default());
            all.extend(differences.iter().map(|line| format!("{} {}: {line}", case.name, listed.id)));
        }
        let (code, said) = mounted.end();
        assert_eq!(code, Some(0), "{}: {said}", case.name);
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn all_snapshots_are_folders_by_source_and_time() {
    let case = golden::case("sources");
    let Some(mounted) = Mounted::start(&case.repository, &case.password, &[]) else { return };
    let mut sources: Vec<_> = case
        .listed
        .iter()
        .map(|listed| format!("{}@{}", listed.source.user_name, listed.source.host))
        .collect();
    sources.sort();
    sources.dedup();
    assert_eq!(names(mounted.point()), sources);
    let data = mounted.path("app@media/data");
    let times = names(&data);
    assert_eq!(times.last().unwrap(), "latest");
    let newest = &times[times.len() - 2];
    assert_eq!(fs::read_link(data.join("latest")).unwrap(), Path::new(newest));
    let (date, time) = newest.split_once('-').unwrap();
    assert!((date.len(), time.len()) == (8, 6) && newest.bytes().all(|b| b == b'-' || b.is_ascii_digit()));
    let through = Tree::scan(data.join("latest"));
    let (listed, expected) = case
        .pairs()
        .into_iter()
        .filter(|(listed, _)| listed.source.to_string() == "app@media:/data" && listed.incomplete.is_none())
        .max_by(|(a, _), (b, _)| a.start_time.cmp(&b.start_time))
        .unwrap();
    assert_eq!(compare(&expected.load(), &through, &Compare::default()), [""; 0], "{}", listed.id);
    assert_eq!(mounted.end().0, Some(0));
    // And only some of them.
    let filter = ["--source-path", "/data"];
    let Some(mounted) = Mounted::start(&case.repository, &case.password, &filter) else { return };
    assert!(names(mounted.point()).iter().all(|name| !names(&mounted.path(name)).is_empty()));
    assert!(mounted.path("app@media/data/latest").exists());
    assert_eq!(mounted.end().0, Some(0));
}

#[test]
fn many_readers_at_odd_places_read_what_is_there() {
    let place = tempfile::tempdir().unwrap();
    let bytes = Random::new(7).bytes(5_000_003);
    written(&place.path().join("repo"), 70_001, |writer| {
        let file = writer.file(&bytes);
        let empty = writer.file(&[]);
        writer.directory(&[entry("empty", "f", &empty, 0), entry("large", "f", &file, bytes.len())])
    });
    let Some(mounted) = Mounted::start(&place.path().join("repo"), PASSWORD, &["latest"]) else { return };
    assert_eq!(fs::read(mounted.path("empty")).unwrap(), b"");
    let path = mounted.path("large");
    thread::scope(|scope| {
        for seed in 0..8 {
            let (path, bytes) = (&path, &bytes);
            scope.spawn(move || {
                let (file, mut random) = (File::open(path).unwrap(), Random::new(seed));
                for _ in 0..300 {
                    let start = random.within(0..bytes.len() + 10);
                    let mut buffer = vec![1; random.within(0..200_001)];
                    let count = file.read_at(&mut buffer, start as u64).unwrap();
                    let expected = bytes.get(start..).unwrap_or_default();
                    assert_eq!(count, buffer.len().min(expected.len()), "{start}");
                    assert!(buffer[..count] == expected[..count], "{start} {count}");
                }
            });
            scope.spawn(move || assert!(fs::read(path).unwrap() == *bytes));
        }
    });
    assert_eq!(mounted.end().0, Some(0));
}

/// A file of a number, of which some are empty and some have many pieces.
fn numbered(number: usize) -> Vec<u8> {
    Random::new(number as u64).bytes(number * 37 % 4000)
}

/// Writes folders of so many files each, of all numbers.
fn written_in_folders(path: &Path, folders: usize, files: usize) {
    written(path, 1500, |writer| {
        let mut folder = |folder: usize| {
            let file = |number: usize| {
                let bytes = numbered(folder * files + number);
                entry(&format!("{number}"), "f", &writer.file(&bytes), bytes.len())
            };
            let entries: Vec<_> = (0..files).map(file).collect();
            entry(&format!("{folder}"), "d", &writer.directory(&entries), 0)
        };
        let entries: Vec<_> = (0..folders).map(&mut folder).collect();
        writer.directory(&entries)
    });
}

#[test]
fn files_that_are_read_one_after_the_other_are_what_they_are() {
    let place = tempfile::tempdir().unwrap();
    let (folders, files) = (6, 300);
    written_in_folders(&place.path().join("repo"), folders, files);
    let Some(mounted) = Mounted::start(&place.path().join("repo"), PASSWORD, &["latest"]) else { return };
    let read = |folder: usize, order: &mut dyn Iterator<Item = usize>| {
        for number in order {
            let bytes = fs::read(mounted.path(&format!("{folder}/{number}"))).unwrap();
            assert!(bytes == numbered(folder * files + number), "{folder}/{number}");
        }
    };
    let by_inode = |folder: usize| {
        let number =
            |number: &usize| fs::metadata(mounted.path(&format!("{folder}/{number}"))).unwrap().ino();
        let mut numbers: Vec<_> = (0..files).collect();
        numbers.sort_by_key(number);
        numbers
    };
    read(0, &mut (0..files));
    read(1, &mut by_inode(1).into_iter());
    read(2, &mut (0..files).rev());
    read(3, &mut (0..files).step_by(5).chain(0..files));
    thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                read(4, &mut (part..files).step_by(4));
                read(5, &mut (0..files));
            });
        }
    });
    assert_eq!(mounted.end().0, Some(0));
}

#[test]
fn files_are_there_before_they_are_asked_for_where_those_before_them_were_read() {
    let place = tempfile::tempdir().unwrap();
    let (folders, files) = (30, 12);
    written_in_folders(&place.path().join("repo"), folders, files);
    let Some(mounted) = Mounted::start(&place.path().join("repo"), PASSWORD, &["latest"]) else { return };
    let asked = || {
        let counts =
            fs::read_to_string(format!("/proc/{}/io", mounted.child.as_ref().unwrap().id())).unwrap();
        let line = counts.lines().find_map(|line| line.strip_prefix("syscr: ")).unwrap();
        line.parse::<u64>().unwrap()
    };
    // How long it takes is not known, so there are some tries.
    let is_there = (0..folders).any(|folder| {
        let path = |number: usize| mounted.path(&format!("{folder}/{number}"));
        let present: Vec<_> =
            (0..files).filter(|number| fs::metadata(path(*number)).unwrap().len() > 0).collect();
        for number in &present[..3] {
            fs::read(path(*number)).unwrap();
        }
        thread::sleep(Duration::from_millis(20 << folder.min(6)));
        let before = asked();
        fs::read(path(present[3])).unwrap();
        asked() == before
    });
    assert!(is_there);
    assert_eq!(mounted.end().0, Some(0));
}

#[test]
fn a_signal_unmounts_it_also_while_it_is_in_use() {
    let case = golden::case("sources");
    for (signal, name) in [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP")] {
        let Some(mounted) = Mounted::start(&case.repository, &case.password, &["c3bc"]) else { return };
        assert!(mounted.is_mounted());
        mounted.signal(signal);
        let (code, said) = mounted.ended();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("note: {name}: unmounted")), "{said}");
    }
    let Some(mounted) = Mounted::start(&case.repository, &case.password, &["c3bc"]) else { return };
    let open = File::open(mounted.point()).unwrap();
    mounted.signal(Signal::INT);
    let (code, said) = mounted.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("still in use"), "{said}");
    drop(open);
}

#[test]
fn whoever_unmounts_it_ends_it() {
    let case = golden::case("sources");
    let Some(mounted) = Mounted::start(&case.repository, &case.password, &["c3bc"]) else { return };
    if umount2(mounted.point(), MntFlags::empty()).is_err() {
        assert!(Command::new("fusermount3").arg("-u").arg(mounted.point()).status().unwrap().success());
    }
    let (code, said) = mounted.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("note: unmounted"), "{said}");
}

#[test]
fn it_unmounts_when_idle_but_not_while_a_file_is_open() {
    let case = golden::case("sources");
    let arguments = ["c3bc", "--idle", "5s"];
    let Some(mounted) = Mounted::start(&case.repository, &case.password, &arguments) else { return };
    let open = File::open(mounted.path("hello.txt")).unwrap();
    thread::sleep(Duration::from_millis(7500));
    assert!(mounted.is_mounted());
    drop(open);
    let (code, said) = mounted.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("nothing was read for a while"), "{said}");
}

#[test]
fn nothing_can_be_written() {
    let case = golden::case("sources");
    let Some(mounted) = Mounted::start(&case.repository, &case.password, &["c3bc"]) else { return };
    let path = mounted.path("hello.txt");
    let refused: [io::Result<()>; 6] = [
        File::create(mounted.path("new")).map(drop),
        File::options().append(true).open(&path).map(drop),
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)),
        fs::remove_file(&path),
        fs::rename(&path, mounted.path("other")),
        fs::create_dir(mounted.path("folder")),
    ];
    for refused in refused {
        assert_eq!(errno(&refused.unwrap_err()), Some(Errno::ROFS));
    }
    assert_eq!(mounted.end().0, Some(0));
}

#[test]
fn damage_costs_what_is_damaged_and_is_told_once() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("repo");
    written(&repository, 1000, |writer| {
        let a = writer.file(&[[1; 1000], [2; 1000], [3; 1000]].concat());
        let b = writer.file(&[4; 1000]);
        let below = writer.directory(&[entry("x", "f", &b, 1000)]);
        // An object that no pack has.
        let lost = b.replace(|c: char| c.is_ascii_digit(), "0");
        let gone = format!("k{lost}");
        writer.directory(&[
            entry("below", "d", &below, 0),
            entry("gone", "d", &gone, 0),
            entry("a", "f", &a, 3000),
            entry("b", "f", &b, 1000),
            entry("lost", "f", &lost, 1000),
            entry("short", "f", &b, 999),
        ])
    });
    damage::blobs(&repository, "p")[0].flip_bit(32 + 1028 + 100, 0);
    let Some(mounted) = Mounted::start(&repository, PASSWORD, &["latest"]) else { return };
    for _ in 0..2 {
        for name in ["a", "lost", "short"] {
            let error = fs::read(mounted.path(name)).unwrap_err();
            assert_eq!(errno(&error), Some(Errno::IO), "{name}");
        }
        let listed: io::Result<Vec<_>> =
            fs::read_dir(mounted.path("gone")).and_then(|entries| entries.collect());
        assert_eq!(errno(&listed.unwrap_err()), Some(Errno::IO));
        assert_eq!(errno(&fs::metadata(mounted.path("gone/x")).unwrap_err()), Some(Errno::IO));
        assert_eq!(fs::read(mounted.path("b")).unwrap(), [4; 1000]);
        assert_eq!(fs::read(mounted.path("below/x")).unwrap(), [4; 1000]);
    }
    let (code, said) = mounted.end();
    assert_eq!(code, Some(3), "{said}");
    for name in ["a", "lost", "short", "gone"] {
        let lines = said.lines().filter(|line| line.starts_with(&format!("error: {name}: "))).count();
        assert_eq!(lines, 1, "{name}: {said}");
    }
    assert!(said.contains("error: 4 entries could not be shown or read"), "{said}");
}

#[test]
fn names_that_cannot_be_are_left_out_and_told() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("repo");
    let long = "n".repeat(256);
    let longest = "m".repeat(255);
    written(&repository, 1000, |writer| {
        let file = writer.file(b"x");
        let mut entries: Vec<Value> =
            ["..", ".", "", "a\0b", "../up", &long, "fine", "fine", &longest, "v/w/z"]
                .iter()
                .map(|name| entry(name, "f", &file, 1))
                .collect();
        entries.push(entry("device", "c", &file, 1));
        let empty = writer.file(b"");
        entries.push(entry("nowhere", "s", &empty, 0));
        writer.directory(&entries)
    });
    let Some(mounted) = Mounted::start(&repository, PASSWORD, &["latest"]) else { return };
    assert_eq!(names(mounted.point()), ["fine", &longest, "nowhere", "v"]);
    assert_eq!(fs::read(mounted.path("v/w/z")).unwrap(), b"x");
    assert_eq!(fs::read(mounted.path(&longest)).unwrap(), b"x");
    assert_eq!(errno(&fs::read_link(mounted.path("nowhere")).unwrap_err()), Some(Errno::IO));
    let (code, said) = mounted.end();
    assert_eq!(code, Some(3), "{said}");
    for text in [
        "error: ..: would leave its folder",
        "error: .: would leave its folder",
        "NUL in its name",
        "error: ../up: would leave its folder",
        "nnn…: the name has more than 255 bytes",
        "error: fine: another entry of the folder has this name",
        "error: device: has the unknown type \"c\"",
        "error: nowhere: the link has no target",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(!said.contains('\0'), "{said:?}");
}

#[test]
fn a_folder_that_contains_itself_is_shown_once() {
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("repo");
    written(&repository, 1000, |writer| {
        // Its id is no hash of what it has: only who has the keys can write such.
        let id = ContentId::new(Some('k'), &[7; 16]).unwrap();
        let again = entry("again", "d", &id.to_string(), 0);
        let json = json!({"stream": "kopia:directory", "entries": [again], "summary": null});
        writer.forge(id, json.to_string().as_bytes());
        writer.directory(&[entry("endless", "d", &id.to_string(), 0)])
    });
    let Some(mounted) = Mounted::start(&repository, PASSWORD, &["latest"]) else { return };
    assert_eq!(names(&mounted.path("endless")), [""; 0]);
    assert_eq!(errno(&fs::metadata(mounted.path("endless/again")).unwrap_err()), Some(Errno::NOENT));
    let (code, said) = mounted.end();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("error: endless/again: the folder lies in itself"), "{said}");
}

/// Runs a mount that is refused.
fn refused(mut command: Command) -> (Option<i32>, String) {
    let start = Instant::now();
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(stdout.is_empty() && start.elapsed() < Duration::from_secs(60));
    let said = String::from_utf8(stderr).unwrap();
    assert!(said.starts_with("error: "), "{said}");
    (status.code(), said)
}

#[test]
fn names_that_are_paths_are_folders() {
    for (source, path, bytes) in [
        ("app@media:/stdin-absolute", "var/lib/db/base.tar", "bytes of the dump\n"),
        ("default@default:/legacy-block", "dev/nvme1n1", "bytes of it"),
    ] {
        let repository = faults::repository("names-slash");
        let Some(mounted) = Mounted::start(&repository, faults::PASSWORD, &[source]) else { return };
        let first = path.split('/').next().unwrap();
        assert_eq!(names(mounted.point()), [first]);
        assert_eq!(fs::read_to_string(mounted.path(path)).unwrap(), bytes);
        assert_eq!(mounted.end().0, Some(0));
    }
}

#[test]
fn a_place_where_nothing_can_be_mounted_is_refused() {
    if !Path::new("/dev/fuse").exists() {
        kopia_testkit::facilities::left_out("there is no /dev/fuse");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("above/repo");
    fs::create_dir_all(&repository).unwrap();
    written(&repository, 1000, |writer| writer.directory(&[]));
    fs::write(place.path().join("file"), "").unwrap();
    fs::create_dir(place.path().join("free")).unwrap();
    for (below, code, text) in [
        ("none", 1, "hint: make the folder first"),
        ("file", 1, "file is no folder"),
        ("above", 1, "the repository lies in"),
        ("above/repo", 1, "lies in the repository"),
        ("above/repo/p", 1, "above/repo/p"),
    ] {
        let mut command = command(&repository, PASSWORD);
        command.arg("latest").arg(place.path().join(below));
        let (found, said) = refused(command);
        assert!(found == Some(code) && said.contains(text), "{below}: {found:?} {said}");
    }
    let mut cached = command(&repository, PASSWORD);
    cached.arg(place.path().join("free")).arg("--cache").arg(place.path().join("free/cache"));
    assert_eq!(refused(cached).0, Some(2));
    let mut unknown = command(&repository, PASSWORD);
    unknown.arg("none@there:/x").arg(place.path().join("free"));
    assert_eq!(refused(unknown).0, Some(1));
    let mut aimless = command(&repository, PASSWORD);
    aimless.args(["--at", "2026"]).arg(place.path().join("free"));
    assert_eq!(refused(aimless).0, Some(2));
}

#[test]
fn who_may_not_mount_is_told_what_else_there_is() {
    if !rustix::process::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
        return;
    }
    let case = golden::case("sources");
    // Where nobody may look, the binary cannot be started by nobody.
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let binary = place.path().join("kopia-rs");
    kopia_testkit::program::copy(env!("CARGO_BIN_EXE_kopia-rs"), &binary);
    let mut command = Command::new(binary);
    command.arg("mount").arg("--repository").arg(&case.repository).arg(place.path());
    command
        .env_clear()
        .env("PATH", "/nonexistent")
        .env("KOPIA_PASSWORD", &case.password)
        .uid(65534)
        .gid(65534);
    let (code, said) = refused(command);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/dev/fuse cannot be opened") || said.contains("no fusermount3"), "{said}");
    assert!(said.contains("hint: ") && said.contains("`restore`"), "{said}");
}
