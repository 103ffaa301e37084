//! The file system with a delay, mounted. Where that cannot be, these tests say so and pass.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

mod folding;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant, SystemTime};

use kopia_rs_benches::operations::{Counts, Operation};

/// A folder `source` that is mounted at `point`.
struct Mounted {
    place: tempfile::TempDir,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Mounted {
    /// Mounts a folder; none where the system does not let us.
    fn start(args: &[&str]) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        for name in ["source", "point"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_delayed-fs"))
            .args(args)
            .args([place.path().join("source"), place.path().join("point")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut error = String::new();
            child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
            child.wait().unwrap();
            assert!(error.contains("cannot be mounted"), "{error}");
            kopia_testkit::facilities::left_out(error.trim_end());
            return None;
        }
        Some(Self { place, child, input, output })
    }

    fn source(&self) -> PathBuf {
        self.place.path().join("source")
    }

    fn point(&self) -> PathBuf {
        self.place.path().join("point")
    }

    fn is_mounted(&self) -> bool {
        let device = |path: &Path| fs::metadata(path).unwrap().dev();
        device(&self.point()) != device(self.place.path())
    }

    /// Waits until so many requests of a kind were counted. Some are sent by the kernel when it gets to it, and
    /// never once it is unmounted.
    fn wait_for(&mut self, kind: Operation, count: u64) {
        let start = Instant::now();
        loop {
            self.input.as_mut().unwrap().write_all(b"\n").unwrap();
            let mut line = String::new();
            self.output.read_line(&mut line).unwrap();
            let counts: Counts = serde_json::from_str(&line).unwrap();
            if counts.of(kind) >= count {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{kind} of {counts:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends it, and returns what it printed.
    fn end(mut self) -> String {
        drop(self.input.take());
        let mut output = String::new();
        self.output.read_to_string(&mut output).unwrap();
        assert!(self.child.wait().unwrap().success());
        assert!(!self.is_mounted());
        output
    }

    fn counts(self) -> Counts {
        serde_json::from_str(&self.end()).unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.child.wait());
    }
}

/// Whatever a restore writes: kinds, modes, owners where they can be set, times, names.
fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    for number in 0..300 {
        fs::write(root.join("a/b").join(format!("file-{number}")), vec![number as u8; number * 7]).unwrap();
    }
    fs::write(root.join("large"), (0..3_000_000).map(|n| (n % 251) as u8).collect::<Vec<_>>()).unwrap();
    fs::write(root.join("a/näme \n"), "").unwrap();
    symlink("b/file-1", root.join("a/link")).unwrap();
    symlink("/nowhere", root.join("a/b/c/lost")).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(root.join("a/b/file-3"), Some(1000), Some(1001)).unwrap();
        chown(root.join("a/b/c"), Some(5), Some(6)).unwrap();
        std::os::unix::fs::lchown(root.join("a/link"), Some(7), Some(8)).unwrap();
    }
    for (name, mode) in [("a/b/file-1", 0o4755), ("a/b/file-2", 0o000), ("a/b/c", 0o2771), ("a", 0o1777)] {
        fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
    }
    let half = Duration::from_millis(500);
    let long_ago = SystemTime::UNIX_EPOCH - Duration::from_secs(9) + half;
    File::open(root.join("a/b/file-4")).unwrap().set_modified(long_ago).unwrap();
    File::open(root.join("a/b")).unwrap().set_modified(SystemTime::UNIX_EPOCH + half).unwrap();
}

/// Describes all that lies in a folder.
fn describe(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let found = fs::symlink_metadata(&path).unwrap();
            let mut line = format!("{:?} {:o}", path.strip_prefix(root).unwrap(), found.mode());
            line += &format!(" {} {} {} {}", found.uid(), found.gid(), found.mtime(), found.mtime_nsec());
            if found.is_symlink() {
                line += &format!(" {:?}", fs::read_link(&path).unwrap());
            } else if found.is_dir() {
                ahead.push(path);
            } else {
                let readable = rustix::process::geteuid().is_root() || found.mode() & 0o400 != 0;
                let bytes = if readable { fs::read(&path).unwrap() } else { Vec::new() };
                let sum = bytes.iter().fold(0u64, |sum, &byte| sum.wrapping_mul(31) + u64::from(byte));
                line += &format!(" {} {sum}", found.len());
            }
            lines.push(line);
        }
    }
    lines.sort();
    lines
}

#[test]
fn trees_come_through_as_they_are() {
    let Some(mounted) = Mounted::start(&["--attached", "--delay-ms", "0.2"]) else { return };
    let tree = mounted.place.path().join("tree");
    make_tree(&tree);
    let copy = |from: &Path, to: &Path| {
        // As root, `file-2` can be read though nobody may.
        let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
        assert!(copied.success() || !rustix::process::geteuid().is_root());
    };
    copy(&tree, &mounted.point().join("in"));
    let expected = describe(&tree);
    assert_eq!(describe(&mounted.source().join("in")), expected);
    assert_eq!(describe(&mounted.point().join("in")), expected);
    copy(&mounted.point().join("in"), &mounted.place.path().join("out"));
    assert_eq!(describe(&mounted.place.path().join("out")), expected);
    // What is read-only is deleted as well, names are found in hundreds, and folders are empty in the end.
    fs::remove_dir_all(mounted.point().join("in")).unwrap();
    assert_eq!(fs::read_dir(mounted.source()).unwrap().count(), 0);
    drop(mounted.counts());
}

#[test]
fn files_are_changed_renamed_linked_and_used_after_they_were_deleted() {
    let Some(mounted) = Mounted::start(&["--attached", "--delay-ms", "0"]) else { return };
    let (point, source) = (mounted.point(), mounted.source());
    let open = |name: &str| {
        OpenOptions::new().read(true).write(true).create_new(true).open(point.join(name)).unwrap()
    };
    let mut file = open("a");
    file.write_all(b"0123456789").unwrap();
    file.write_all_at(b"xy", 4).unwrap();
    file.set_len(8).unwrap();
    OpenOptions::new().append(true).open(point.join("a")).unwrap().write_all(b"end").unwrap();
    assert_eq!(fs::read(source.join("a")).unwrap(), b"0123xy67end");
    file.seek(SeekFrom::Start(9)).unwrap();
    file.write_all(b"ND").unwrap();
    file.sync_all().unwrap();
    assert_eq!(fs::read(point.join("a")).unwrap(), b"0123xy67eND");

    fs::hard_link(point.join("a"), point.join("b")).unwrap();
    assert_eq!(fs::metadata(point.join("b")).unwrap().ino(), fs::metadata(point.join("a")).unwrap().ino());
    drop(open("c"));
    fs::rename(point.join("a"), point.join("c")).unwrap();
    fs::remove_file(point.join("b")).unwrap();
    assert_eq!(fs::read(source.join("c")).unwrap(), b"0123xy67eND");
    fs::remove_file(point.join("c")).unwrap();
    file.write_all_at(b"still", 0).unwrap();
    let mut bytes = [0; 6];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!((&bytes, file.metadata().unwrap().nlink()), (b"stilly", 0));
    drop(file);

    let again = OpenOptions::new().write(true).create_new(true).open(point.join("d"));
    drop(again.unwrap());
    let again = OpenOptions::new().write(true).create_new(true).open(point.join("d"));
    assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    fs::write(point.join("d"), "long").unwrap();
    fs::write(point.join("d"), "s").unwrap();
    assert_eq!(fs::read(source.join("d")).unwrap(), b"s");
    fs::create_dir(point.join("e")).unwrap();
    fs::rename(point.join("d"), point.join("e/f")).unwrap();
    assert!(fs::remove_dir(point.join("e")).is_err());
    fs::remove_file(point.join("e/f")).unwrap();
    fs::remove_dir(point.join("e")).unwrap();
    // It is of a network's kind, which mounts tell.
    let stat = rustix::fs::statfs(&point).unwrap();
    assert!(stat.f_type == 0x6573_5546 && stat.f_blocks > 0);
    assert_eq!(fs::read_dir(source).unwrap().count(), 0);
}

#[test]
fn requests_are_counted_by_kind() {
    let Some(mut mounted) = Mounted::start(&["--attached", "--delay-ms", "1", "--max-write", "128"]) else {
        return;
    };
    let mut file = File::create_new(mounted.point().join("a")).unwrap();
    file.write_all(&vec![1; 300 << 10]).unwrap();
    file.set_permissions(Permissions::from_mode(0o600)).unwrap();
    drop(file);
    mounted.wait_for(Operation::Release, 1);
    let counts = mounted.counts();
    for (kind, count) in [
        (Operation::Lookup, 1),
        (Operation::Create, 1),
        (Operation::Write, 3),
        (Operation::Setattr, 1),
        (Operation::Flush, 1),
        (Operation::Release, 1),
        (Operation::Unlink, 0),
    ] {
        assert_eq!(counts.of(kind), count, "{kind} of {counts:?}");
    }
    let waited = counts.operations.iter().filter(|(kind, _)| !Operation::UNWAITED.contains(kind));
    assert_eq!(counts.round_trips, waited.map(|(_, count)| count).sum::<u64>());
    assert_eq!(counts.bytes_written, 300 << 10);
}

#[test]
fn any_number_of_requests_waits_side_by_side() {
    const REQUESTS: usize = 200;
    let Some(mounted) = Mounted::start(&["--attached", "--delay-ms", "2000", "--threads", "2"]) else {
        return;
    };
    // In folders of their own, as the kernel lets one name of a folder be changed at a time.
    let folders: Vec<_> = (0..REQUESTS).map(|number| mounted.point().join(number.to_string())).collect();
    let start = Barrier::new(REQUESTS);
    std::thread::scope(|scope| {
        for folder in &folders {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                assert!(fs::metadata(folder).is_err());
            });
        }
    });
    let most = mounted.counts().most_at_once;
    // All but those that the machine was slow to send: within two seconds.
    assert!(most > REQUESTS as u64 / 2, "{most}");
}

#[test]
fn a_signal_unmounts_it_and_there_is_a_table() {
    let Some(mut mounted) = Mounted::start(&["--delay-ms", "0.5"]) else { return };
    fs::write(mounted.point().join("a"), "abc").unwrap();
    // An open file does not keep it.
    let open = File::open(mounted.point().join("a")).unwrap();
    let id = rustix::process::Pid::from_child(&mounted.child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    while mounted.is_mounted() {
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(open);
    let mut error = String::new();
    mounted.child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(mounted.child.wait().unwrap().success(), "{error}");
    let mut table = String::new();
    mounted.output.read_to_string(&mut table).unwrap();
    assert!(table.contains("| CREATE | 1 | 1.00 |") && table.contains("1 files created"), "{table}");
}

#[test]
fn what_cannot_be_mounted_is_said() {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_delayed-fs"))
        .args([place.path().join("none"), place.path().to_owned()])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("error: ") && error.contains("none: No such file"), "{error}");
}
