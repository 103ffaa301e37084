//! `restore --device`: files to block devices, which are loop devices here.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kopia_testkit::damage;
use kopia_testkit::loop_device::LoopDevice;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place};

const MIB: u64 = 1 << 20;

/// How long the pieces of the disk are.
const PIECE: usize = 200_003;

/// A disk of 12 MiB: data, zeros, and data again.
fn disk() -> Vec<u8> {
    let data = |length: usize, seed: usize| (0..length).map(move |at| ((at * 31 + seed) % 251 + 1) as u8);
    let mut bytes: Vec<u8> = data(3 << 20, 1).collect();
    bytes.resize(8 << 20, 0);
    bytes.extend(data(4 << 20, 2));
    bytes
}

/// A repository with a snapshot of a disk as Velero makes one of a block volume: one file that is named by the
/// path of the device.
struct Lab {
    place: Place,
    disk: Vec<u8>,
}

impl Lab {
    fn new() -> Self {
        let lab = Self { place: Place::new(), disk: disk() };
        let mut writer = RepositoryWriter::new().piece_size(PIECE).pack_size(1);
        let object = writer.file(&lab.disk);
        let file = json!({"name": "/dev/vdb", "type": "f", "size": lab.disk.len(), "obj": object});
        let root = writer.directory(&[file]);
        writer.snapshot("default@default:kopia/ns/disk", json!({"name": "vdb", "type": "d", "obj": root}));
        writer.finish_in(&lab.path("repo")).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    fn device(&self, bytes: u64, options: &[&str]) -> Option<LoopDevice> {
        LoopDevice::attach(&self.path("backing"), bytes, options)
    }

    fn restore(&self, device: &Path, options: &str) -> KopiaRs {
        KopiaRs::written(&self.path("repo"), "restore latest --device").arg(device).options(options)
    }

    /// What a device has where the disk belongs.
    fn read(&self, device: &Path) -> Vec<u8> {
        let mut bytes = vec![0; self.disk.len()];
        File::open(device).unwrap().read_exact(&mut bytes).unwrap();
        bytes
    }
}

fn overwrite(device: &Path, at: u64, bytes: &[u8]) {
    let mut file = File::options().write(true).open(device).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
}

#[test]
fn a_disk_is_restored_compared_and_put_right() {
    let lab = Lab::new();
    let Some(device) = lab.device(16 * MIB, &[]) else { return };
    let path = device.path();
    overwrite(path, 0, &vec![0xee; 16 << 20]);
    let size = lab.disk.len() as u64;

    let json: Value = lab.restore(path, "--verify --json").run().exits(0).json();
    assert!(lab.read(path) == lab.disk);
    assert_eq!((&json["deviceSize"], &json["size"]), (&json!(16 * MIB), &json!(size)), "{json}");
    assert_eq!((&json["bytesVerified"], &json["held"]), (&json!(size), &json!("unknown")), "{json}");
    let sum =
        |json: &Value| ["bytesWritten", "bytesZeroed", "bytesKept"].map(|key| json[key].as_u64().unwrap());
    assert_eq!(sum(&json).iter().sum::<u64>(), size, "{json}");
    assert_eq!(json["path"], "dev/vdb");
    let mut rest = vec![0; 4 << 20];
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::Start(size)).unwrap();
    file.read_exact(&mut rest).unwrap();
    assert!(rest.iter().all(|byte| *byte == 0xee), "what lies beyond the disk stays");

    overwrite(path, 5 * MIB + 3, b"other");
    let json = lab.restore(path, "--only-differences --verify --json").run().exits(0).json();
    assert!(lab.read(path) == lab.disk);
    let [written, zeroed, kept] = sum(&json);
    assert_eq!((written, zeroed, kept), (4096, 0, size - 4096), "{json}");
    lab.restore(path, "--only-differences")
        .run()
        .exits(0)
        .says(&["has 16.8 MB and holds data of an unknown kind"]);
}

#[test]
fn a_restore_that_is_killed_goes_on() {
    let lab = Lab::new();
    let Some(device) = lab.device(16 * MIB, &[]) else { return };
    let path = device.path();
    // In the middle, as far as that can be met: what is there then is compared in any case.
    let mut child = lab.restore(path, "--parallel 1").start();
    let until = Instant::now() + Duration::from_secs(20);
    while lab.read(path).iter().all(|byte| *byte == 0) && Instant::now() < until {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let json = lab.restore(path, "--only-differences --verify --json").run().exits(0).json();
    assert!(lab.read(path) == lab.disk);
    assert!(json["bytesKept"].as_u64().unwrap() > 0, "{json}");
}

/// Its last words are those of a device also where it does not stop by itself: nothing lies in a folder.
#[test]
fn a_signal_says_how_to_go_on_whoever_ends_the_command() {
    let lab = Lab::new();
    let Some(device) = lab.device(16 * MIB, &[]) else { return };
    let path = device.path();
    // It waits for somebody to read what it says at its end.
    let (reader, pipe) = rustix::pipe::pipe().unwrap();
    let mut pipe = File::from(pipe);
    pipe.write_all(&vec![0; rustix::pipe::fcntl_getpipe_size(&reader).unwrap()]).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
    command.args(["restore", "latest", "--repository"]).arg(lab.path("repo")).arg("--device").arg(path);
    command.env_clear().env("HOME", "/nonexistent").env("KOPIA_PASSWORD", PASSWORD);
    command.stdin(Stdio::null()).stdout(pipe).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let start = Instant::now();
    while lab.read(path) != lab.disk {
        assert!(start.elapsed() < Duration::from_secs(60), "the disk is not restored");
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let ended = child.wait_with_output().unwrap();
    drop(reader);
    let said = String::from_utf8(ended.stderr).unwrap();
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(ended.status.code(), Some(143), "{said}");
    assert!(last.starts_with("error: ") && last.contains("SIGTERM"), "{said}");
    assert!(last.ends_with("; the same command with --only-differences goes on from there"), "{said}");
    assert!(!said.contains(".kopia-rs-restore"), "{said}");
}

#[test]
fn what_cannot_be_written_is_refused_before_the_first_write() {
    let lab = Lab::new();
    let folder = lab.path("mounted");
    lab.restore(&lab.path("repo"), "").run().exits(1).says(&["is no block device", "--image FILE"]);
    lab.restore(&lab.path("none"), "").run().exits(1).says(&["none: cannot be opened"]);
    let Some(device) = lab.device(8 * MIB, &[]) else { return };
    let path = device.path().to_owned();
    let ran = lab.restore(&path, "").run().exits(1);
    ran.says(&["has 8388608 bytes, and 12582912 are to be restored to it", "nothing was written"]);
    assert!(fs::read(lab.path("backing")).unwrap().iter().all(|byte| *byte == 0));
    // The place of a TARGET is no way to it.
    let target = KopiaRs::written(&lab.path("repo"), "restore latest/dev/vdb").arg(&path);
    target.run().exits(1).says(&["it is a device", "`--device DEVICE` in place of TARGET"]);

    fs::create_dir(&folder).unwrap();
    let made = |command: &mut Command| command.output().is_ok_and(|ran| ran.status.success());
    if !made(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&path)) {
        kopia_testkit::facilities::left_out("no mkfs.ext4 here");
        return;
    }
    let dry = lab.restore(&path, "--dry-run --json").run().exits(1);
    dry.says(&["are to be restored to it"]);
    if !made(Command::new("mount").arg(&path).arg(&folder)) {
        kopia_testkit::facilities::left_out("nothing can be mounted here");
        return;
    }
    let refused = lab.restore(&path, "").run();
    let unmounted = made(Command::new("umount").arg(&folder));
    let words = format!("is in use: mounted at {}", folder.display());
    refused.exits(1).says(&[&words, "nothing was written; unmount"]);
    assert!(unmounted);
    drop(device);
    let Some(read_only) = lab.device(16 * MIB, &["--read-only"]) else { return };
    let ran = lab.restore(read_only.path(), "").run().exits(1);
    ran.says(&["cannot be"]);
}

#[test]
fn what_it_holds_is_named_before_it_is_lost() {
    let lab = Lab::new();
    let Some(device) = lab.device(16 * MIB, &[]) else { return };
    let path = device.path();
    overwrite(path, 0x438, b"\x53\xef");
    let before = lab.read(path);
    let ran = lab.restore(path, "--dry-run --json").run().exits(0);
    assert_eq!(ran.json()["held"], "an ext2, ext3 or ext4 file system");
    assert!(ran.json().get("bytesWritten").is_none());
    ran.says(&[
        "holds an ext2, ext3 or ext4 file system: its first 12.6 MB are overwritten, the last 4.2 MB stay",
    ]);
    assert!(lab.read(path) == before);
    // Nobody is asked where nobody could answer.
    lab.restore(path, "").run().exits(0);
    assert!(lab.read(path) == lab.disk);
}

#[test]
fn damage_is_named_by_its_range() {
    let lab = Lab::new();
    let Some(device) = lab.device(12 * MIB, &[]) else { return };
    let path = device.path();
    overwrite(path, 0, &vec![0xee; lab.disk.len()]);
    damage::blobs(&lab.path("repo"), "p")[1].flip_bit(100, 0);
    let lost = PIECE..2 * PIECE;
    let ran = lab.restore(path, "--json --verify").run().exits(3);
    let json = ran.json();
    assert_eq!((&json["lost"][0]["start"], &json["lost"][0]["end"]), (&json!(lost.start), &json!(lost.end)));
    assert_eq!(json["bytesLost"], lost.len());
    let words = format!("bytes {} to {} of the device are what they were before", lost.start, lost.end);
    ran.says(&[&words, "--salvage makes zeros"]);
    assert!(lab.read(path)[lost.clone()].iter().all(|byte| *byte == 0xee));
    let report = lab.path("report");
    let ran = lab.restore(path, "--salvage --report").arg(&report).run().exits(3);
    ran.says(&["are zeros now"]);
    assert!(fs::read_to_string(&report).unwrap().contains("\"kind\":\"repository\""));
    let after = lab.read(path);
    assert!(after[lost.clone()].iter().all(|byte| *byte == 0));
    assert!(after[..lost.start] == lab.disk[..lost.start] && after[lost.end..] == lab.disk[lost.end..]);
}

#[test]
fn an_image_has_holes_and_the_true_size() {
    let lab = Lab::new();
    let image = lab.path("disk.img");
    let repository = lab.path("repo");
    KopiaRs::written(&repository, "restore latest --image").arg(&image).run().exits(0);
    assert!(fs::read(&image).unwrap() == lab.disk);
    KopiaRs::written(&repository, "restore latest --image")
        .arg(&repository)
        .run()
        .exits(2)
        .says(&["is a folder"]);
    // Padded as Velero's block data mover does.
    let padded = lab.path("padded");
    let mut writer = RepositoryWriter::new().piece_size(PIECE);
    let mut bytes = disk();
    let size = bytes.len() - 700;
    bytes[size..].fill(0);
    let object = writer.file(&bytes);
    let other = writer.file(b"other");
    writer.manifest(json!({
        "source": {"host": "default", "userName": "default", "path": "kopia/ns/disk"},
        "startTime": "2026-01-01T00:00:00Z",
        "endTime": "2026-01-01T00:00:00Z",
        "tags": {"bdev-source-size": size.to_string()},
        "rootEntry": {"name": "disk", "type": "f", "size": bytes.len(), "obj": object,
            "mtime": "2020-01-02T03:04:05.000000006Z"},
    }));
    let file = |name: &str| json!({"name": name, "type": "f", "size": 5, "obj": other});
    let several = writer.directory(&[file("a"), file("b")]);
    writer.snapshot("u@h:/several", json!({"name": "several", "type": "d", "obj": several}));
    writer.finish_in(&padded).unwrap();
    let restore = || KopiaRs::written(&padded, "restore default@default:kopia/ns/disk --image").arg(&image);
    let modified = || fs::metadata(&image).map(|image| (image.mtime(), image.mtime_nsec())).unwrap();
    for _ in 0..2 {
        restore().run().exits(0);
        assert!(fs::read(&image).unwrap() == bytes[..size]);
        assert_eq!(modified(), (1_577_934_245, 6));
    }
    fs::remove_file(&image).unwrap();
    restore().options("--skip-times").run().exits(0);
    assert!(fs::read(&image).unwrap() == bytes[..size] && modified().0 > 1_750_000_000);
    let several = KopiaRs::written(&padded, "restore u@h:/several --image").arg(&image);
    several.run().exits(1).says(&["several files", "add the path of one to WHAT: a, b"]);
    let two = KopiaRs::written(&padded, "restore u@h:/several latest --device /dev/none").run();
    two.exits(2).says(&["--device takes one WHAT"]);
}
