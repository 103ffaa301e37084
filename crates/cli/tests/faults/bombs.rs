//! Repositories that are small and unfold without end: every command ends, within memory that is bounded by
//! the system.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use kopia_testkit::writer::{ContentId, RepositoryWriter, gzip};
use serde_json::{Value, json};

use crate::common::{NEW, Place, clean, entry};

/// KiB of address space: a thread takes 2 MiB for its stack, and up to 64 MiB for what it allocates.
const MEMORY: u32 = 1 << 20;

/// What hangs is ended after this time.
const WATCHDOG: Duration = Duration::from_secs(100);

/// Returns the first two cores that this process may use. Commands have a thread for each core, which takes memory
/// of its own: the bounds here are those of a machine with two, wherever the tests run.
fn cores() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let cores = list.trim().split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse::<u32>().unwrap()..=last.parse::<u32>().unwrap()
    });
    cores.take(2).map(|core| core.to_string()).collect::<Vec<_>>().join(",")
}

/// Runs a command within bounded memory.
#[track_caller]
fn bounded(command: &Command) -> Output {
    let mut bounded = Command::new("sh");
    bounded.args(["-c", &format!("ulimit -v {MEMORY}; exec taskset -c {} \"$@\"", cores()), "sh"]);
    bounded.arg(command.get_program()).args(command.get_args());
    clean(&mut bounded);
    let start = Instant::now();
    let mut child = bounded.stderr(tempfile::tempfile().unwrap()).stdout(Stdio::null()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > WATCHDOG {
            child.kill().unwrap();
            panic!("it does not end: {command:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// Runs every command that walks folders, and asserts how each ends.
fn walk(place: &Place, damage: i32) {
    let target = place.path("target");
    let mut ls = place.command("ls");
    ls.args(["-R", NEW]);
    let mut doctor = place.command("doctor");
    doctor.arg(NEW);
    let commands = [
        (place.restore(NEW, &target, "--quiet --parallel 2 --dry-run"), 3),
        (place.restore(NEW, &target, "--quiet --parallel 2 --max-depth 2000"), 3),
        (place.command("verify"), damage),
        (ls, 3),
        // It looks at what stands in the way of opening and finding, not at every folder.
        (doctor, 0),
    ];
    for (command, code) in commands {
        let ended = bounded(&command).status.code();
        assert_eq!(ended, Some(code), "{command:?}");
    }
    // Deeper than a path may be.
    assert!(Command::new("rm").arg("-rf").arg(&target).status().unwrap().success());
}

#[test]
fn a_folder_that_contains_itself() {
    let place = Place::of(|writer, version| {
        let id: ContentId = format!("k0011223344556677{version:016x}").parse().unwrap();
        let again = entry("d", "again", "0755", &id.to_string(), 0);
        let folder = json!({"stream": "kopia:directory", "entries": [again]});
        writer.forge(id, folder.to_string().as_bytes());
        entry("d", "data", "0755", &id.to_string(), 0)
    });
    walk(&place, 3);
}

#[test]
fn folders_in_folders_in_folders() {
    walk(&Place::of(chain), 0);
}

/// Three times as many levels as any command goes down.
fn chain(writer: &mut RepositoryWriter, _: u64) -> Value {
    let mut inner = writer.directory(&[]);
    for _ in 0..30_000 {
        inner = writer.directory(&[entry("d", "d", "0755", &inner, 0)]);
    }
    entry("d", "data", "0755", &inner, 0)
}

#[test]
fn folders_that_are_the_same_a_million_million_times() {
    let place = Place::of(|writer, _| {
        let mut inner = writer.directory(&[]);
        for _ in 0..40 {
            inner =
                writer.directory(&[entry("d", "a", "0755", &inner, 0), entry("d", "b", "0755", &inner, 0)]);
        }
        entry("d", "data", "0755", &inner, 0)
    });
    // Each object is looked at once, wherever it lies.
    assert_eq!(bounded(&place.command("verify")).status.code(), Some(0));
}

#[test]
fn what_is_wrong_a_million_million_times() {
    let place = Place::of(|writer, _| {
        let mut inner = writer.directory(&[entry("f", "..", "0644", &"f".repeat(32), 1)]);
        for _ in 0..40 {
            inner =
                writer.directory(&[entry("d", "a", "0755", &inner, 0), entry("d", "b", "0755", &inner, 0)]);
        }
        entry("d", "data", "0755", &inner, 0)
    });
    // The first paths are named, and the others counted.
    let mut verify = place.command("verify");
    assert_eq!(bounded(verify.arg("--json")).status.code(), Some(3));
    clean(&mut verify);
    let json: Value =
        serde_json::from_slice(&verify.stdout(Stdio::piped()).output().unwrap().stdout).unwrap();
    let (named, untold) = (json["lossCount"].as_u64(), json["untoldLossCount"].as_u64());
    assert!(named > Some(0) && untold > Some(1 << 39), "{named:?}, {untold:?}");
}

/// KiB of what a process may allocate and write, with some threads' stacks.
const DATA: u32 = 200 << 10;

#[test]
fn long_paths_take_no_memory_for_each_folder_that_waits() {
    let place = Place::of(|writer, _| {
        let empty = writer.directory(&[]);
        let folders: Vec<_> = (0..4000).map(|n| entry("d", &format!("f{n:04}"), "0755", &empty, 0)).collect();
        let mut inner = writer.directory(&folders);
        for _ in 0..40 {
            inner = writer.directory(&[entry("d", &"n".repeat(4000), "0755", &inner, 0)]);
        }
        entry("d", "data", "0755", &inner, 0)
    });
    let mut ls = place.command("ls");
    ls.args(["-R", NEW]);
    let export = |format: &str| {
        let mut export = place.command("export");
        export.args([NEW, "--format", format]);
        export
    };
    // 640 MB of paths. No file system here takes such names, which the dry run foresees, and no zip archive.
    let dry_run = place.restore(NEW, &place.path("target"), "--quiet --dry-run");
    let mut du = place.command("du");
    du.args(["--depth", "200", NEW]);
    let verify = place.command("verify");
    let commands = [(dry_run, 3), (ls, 0), (du, 0), (verify, 0), (export("tar"), 0), (export("zip"), 3)];
    for (command, code) in commands {
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -d {DATA}; exec \"$@\""), "sh"]);
        limited.arg(command.get_program()).args(command.get_args());
        assert_eq!(bounded(&limited).status.code(), Some(code), "{command:?}");
    }
}

/// KiB for a few manifests of each core.
const FEW_MANIFESTS: u32 = 300 << 10;

#[test]
fn manifests_that_unfold_take_the_memory_of_few() {
    const LENGTH: usize = 8 << 20;
    // Some hundred kilobytes that unfold to 400 MB; nobody wants one of them.
    let place = Place::of(|writer, version| {
        let root = entry("d", "data", "0755", &writer.directory(&[]), 0);
        for number in 0..48 * version {
            let source = r#"{"host":"h","userName":"u","path":"/p"}"#;
            let time = "2026-01-01T00:00:00Z";
            let data = format!(
                r#"{{"source":{source},"startTime":"{time}","endTime":"{time}","rootEntry":{root},"description":"{}"}}"#,
                "A".repeat(LENGTH)
            );
            let list = format!(
                r#"{{"entries":[{{"id":"{number:032x}","labels":{{"type":"snapshot"}},"modified":"{time}","data":{data}}}]}}"#
            );
            writer.content(Some('m'), &gzip(list.as_bytes()));
        }
        root
    });
    for (options, code) in [(&[][..], 1), (&["--degraded"], 3)] {
        let mut snapshots = place.command("snapshots");
        snapshots.args(options);
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -d {FEW_MANIFESTS}; exec \"$@\""), "sh"]);
        limited.arg(snapshots.get_program()).args(snapshots.get_args());
        assert_eq!(bounded(&limited).status.code(), Some(code), "{options:?}");
    }
}

#[test]
fn contents_as_large_as_the_format_allows_take_the_memory_of_one() {
    // Some kilobytes that unfold to 900 MB, each to what is more than a thread's share of the memory.
    const LENGTH: usize = 225 << 20;
    let place = Place::of(|writer, version| {
        let mut files = Vec::new();
        for number in 0..4 * version as u8 {
            let id: ContentId = format!("{number:032x}").parse().unwrap();
            let mut bytes = vec![0; LENGTH];
            bytes[0] = number;
            writer.forge_gzip(id, &bytes);
            files.push(entry("f", &format!("f{number}"), "0644", &id.to_string(), LENGTH));
        }
        let root = writer.directory(&files);
        entry("d", "data", "0755", &root, 0)
    });
    let target = place.path("target");
    let restore = place.restore(NEW, &target, "--quiet --parallel 4 --sparse");
    assert_eq!(bounded(&restore).status.code(), Some(0));
    for number in 0..4 {
        let metadata = std::fs::metadata(target.join(format!("f{number}"))).unwrap();
        assert_eq!(metadata.len(), LENGTH as u64);
    }
}
