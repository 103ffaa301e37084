//! Targets with too little room, or none: one clear error, the unfinished folder stays, and a second run with
//! room ends well. And memory for less than one file.

use std::path::Path;
use std::process::Output;

use kopia_testkit::random::Random;
use kopia_testkit::writer::RepositoryWriter;
use serde_json::Value;

use crate::common::{NEW, Place, UNFINISHED, assert_same, entry, in_namespace};

/// Restores with too little room, says how that ended, makes room, restores again and copies what came out.
const TWICE: &str = r#"
    ended=0
    timeout 300 "$0" restore app@host:/new "$2" --repository "$1" || ended=$?
    echo "ended $ended"
    ls -A "$2"
    echo "that is all"
    mount -o remount,size=64m,nr_inodes=10000 "$2"
    "$0" restore app@host:/new "$2" --delete-extra --repository "$1"
    cp -a "$2" "$3"
"#;

fn twice(mount: &str, fill: bool, why: &str) {
    let place = Place::new();
    let new = place.fresh(NEW);
    let [target, result] = ["target", "result"].map(|name| place.path(name));
    std::fs::create_dir(&target).unwrap();
    let old = r#""$0" restore app@host:/old "$2" --repository "$1" --quiet"#;
    let before = if fill { old } else { "" };
    let script = format!("mount -t tmpfs -o {mount} tmpfs \"$2\"\n{before}\n{TWICE}");
    let Some(output) = in_namespace(&script, &[&place.repository(), &target, &result]) else { return };
    let left = stopped(&output, &target, why);
    assert_eq!(left.iter().filter(|name| name.starts_with(UNFINISHED)).count(), 1, "{left:?}");
    assert!(fill || left.len() == 1, "{left:?}");
    assert_same(&new, &result, mount);
}

/// Returns whether a line comes after the names of what is left.
fn ends_the_list(line: &str) -> bool {
    line == "that is all" || line.starts_with("restored")
}

/// Asserts that the first restore stopped with one error and the second ended well; returns what the first
/// left.
#[track_caller]
fn stopped(output: &Output, target: &Path, why: &str) -> Vec<String> {
    let [said, told] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let all = format!("{said}\n{told}");
    assert!(output.status.success(), "{all}");
    let mut left = said.lines().skip_while(|line| *line != "ended 1");
    assert!(left.next().is_some(), "{all}");
    let errors: Vec<_> = told.lines().filter(|line| line.starts_with("error:")).collect();
    let [error] = &errors[..] else { panic!("{all}") };
    assert!(error.contains(&*target.to_string_lossy()) && error.contains(why), "{all}");
    assert!(told.contains("hint:"), "{all}");
    let names: Vec<_> = left.take_while(|line| !ends_the_list(line)).map(str::to_owned).collect();
    for name in names.iter().filter(|name| name.starts_with(UNFINISHED)) {
        assert!(told.contains(&**name), "the unfinished folder is not named: {all}");
    }
    names
}

#[test]
fn a_full_disk() {
    twice("size=400k", false, "No space left on device");
}

#[test]
fn a_full_disk_has_a_class_in_json_and_in_the_metrics() {
    let place = Place::new();
    place.fresh(NEW);
    let [target, metrics] = ["target", "restore.prom"].map(|name| place.path(name));
    std::fs::create_dir(&target).unwrap();
    let script = r#"
        mount -t tmpfs -o size=400k tmpfs "$2"
        ! "$0" restore app@host:/new "$2" --json --metrics "$3" --repository "$1"
    "#;
    let Some(output) = in_namespace(script, &[&place.repository(), &target, &metrics]) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["error"]["class"], &json["error"]["exitStatus"]),
        (&"Full".into(), &1.into()),
        "{json}"
    );
    let text = std::fs::read_to_string(&metrics).unwrap();
    let class = "\nkopia_rs_restore_error{identity=\"app@host:/new\",class=\"Full\"} 1\n";
    assert!(text.contains(class) && text.contains("progress_phase"), "{text}");
}

#[test]
fn a_disk_that_is_full_of_the_older_tree() {
    // It has no room for a folder that is new, and what is deleted for it goes last.
    twice("size=2480k", true, "No space left on device");
}

#[test]
fn no_inodes_left() {
    twice("size=64m,nr_inodes=100", false, "No space left on device");
}

#[test]
fn a_dry_run_foresees_that_there_are_too_few_inodes() {
    let place = Place::new();
    let target = place.path("target");
    std::fs::create_dir(&target).unwrap();
    // Few enough for neither, and then more until all have one: both must end alike wherever that is.
    let script = r#"
        for inodes in 100 $(seq 540 1 620) 1000; do
            mount -t tmpfs -o size=64m,nr_inodes=$inodes tmpfs "$2"
            dry=0 done=0
            "$0" restore app@host:/new "$2" --repository "$1" --dry-run >/dev/null 2>"$2.dry" || dry=$?
            "$0" restore app@host:/new "$2" --repository "$1" --quiet >/dev/null 2>&1 || done=$?
            umount "$2"
            echo "$inodes $dry $done $(grep -c 'more inode.* needed' "$2.dry")"
        done
    "#;
    let Some(output) = in_namespace(script, &[&place.repository(), &target]) else { return };
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with("100 1 1 1\n") && said.ends_with("\n1000 0 0 0\n"), "{said}{told}");
    for line in said.lines() {
        let [_, dry, done, _] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(dry, done, "{said}{told}");
    }
}

#[test]
fn a_read_only_target() {
    let place = Place::new();
    let target = place.path("target");
    std::fs::create_dir(&target).unwrap();
    let script = r#"
        mount -t tmpfs tmpfs "$2"
        mount -o remount,ro "$2"
        ended=0
        "$0" restore app@host:/new "$2" --repository "$1" || ended=$?
        echo "ended $ended"
        ls -A "$2"
    "#;
    let Some(output) = in_namespace(script, &[&place.repository(), &target]) else { return };
    assert_eq!(stopped(&output, &target, "Read-only file system"), [""; 0]);
}

#[test]
fn a_quota_that_is_used_up() {
    let place = Place::new();
    let new = place.fresh(NEW);
    let [mount, disk, result] = ["mount", "disk", "result"].map(|name| place.path(name));
    std::fs::create_dir(&mount).unwrap();
    // Hardly any of it is written.
    std::fs::File::create(&disk).and_then(|file| file.set_len(256 << 20)).unwrap();
    // Quotas of Btrfs bind root as well.
    let script = r#"
        PATH="$PATH:/usr/sbin:/sbin"
        mkfs.btrfs -q "$3" && mount -o loop "$3" "$2" || { echo none; exit 0; }
        btrfs --quiet subvolume create "$2/target"
        btrfs quota enable "$2"
        btrfs qgroup limit 400K "$2/target"
        ended=0
        "$0" restore app@host:/new "$2/target" --repository "$1" || ended=$?
        echo "ended $ended"
        ls -A "$2/target"
        btrfs qgroup limit none "$2/target"
        "$0" restore app@host:/new "$2/target" --repository "$1"
        cp -a "$2/target" "$4"
    "#;
    let Some(output) = in_namespace(script, &[&place.repository(), &mount, &disk, &result]) else { return };
    if output.stdout.starts_with(b"none") {
        kopia_testkit::facilities::left_out("no Btrfs here");
        return;
    }
    stopped(&output, &mount, "Disk quota exceeded");
    assert_same(&new, &result, "quota");
}

/// A file larger than the memory that there will be, and a folder with many.
fn much(writer: &mut RepositoryWriter, version: u64) -> Value {
    let piece = Random::new(version).bytes(4000);
    let bytes = piece.repeat(MEMORY / piece.len() + 1000);
    let large = entry("f", "large", "0644", &writer.file(&bytes), bytes.len());
    let small = writer.file(b"small");
    let many = (0..20_000).map(|number| entry("f", &format!("f{number:05}"), "0644", &small, 5));
    let many = writer.directory(&many.collect::<Vec<_>>());
    let root = writer.directory(&[large, entry("d", "many", "0755", &many, 0)]);
    entry("d", "data", "0755", &root, 0)
}

/// What a mover of VolSync should do with, in bytes.
const MEMORY: usize = 256 << 20;

#[test]
fn memory_for_less_than_one_file() {
    let place = Place::of(much);
    let target = place.path("target");
    // What it reads and writes, as far as the kernel keeps it, counts as well.
    let script = r#"
        group=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
        [ -d "$group" ] || { group=/sys/fs/cgroup limit=memory.max; }
        group=$group/kopia-rs-$$
        mkdir "$group" 2>/dev/null && echo 268435456 2>/dev/null >"$group/$limit" || { echo none; exit 0; }
        ended=0
        sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' - "$group" \
            "$0" restore app@host:/new "$2" --repository "$1" || ended=$?
        rmdir "$group"
        echo "ended $ended"
        stat -c %s "$2/large"
        ls "$2/many" | wc -l
    "#;
    let Some(output) = in_namespace(script, &[&place.repository(), &target]) else { return };
    if output.stdout.starts_with(b"none") {
        kopia_testkit::facilities::left_out("memory cannot be limited here");
        return;
    }
    let [said, told] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let size = MEMORY / 4000 * 4000 + 4_000_000;
    assert!(said.ends_with(&format!("ended 0\n{size}\n20000\n")), "{said}\n{told}");
}

#[test]
fn a_disk_that_takes_less_than_it_says() {
    let place = Place::of(much);
    let [pool, target] = ["pool", "target"].map(|name| place.path(name));
    for folder in [&pool, &target] {
        std::fs::create_dir(folder).unwrap();
    }
    // Thin storage: the file system has room, what lies under it has not, and that comes out when it is
    // written back.
    let script = r#"
        PATH="$PATH:/usr/sbin:/sbin"
        mount -t tmpfs -o size=64m tmpfs "$2"
        truncate -s 1G "$2/disk"
        mkfs.ext4 -qF -E nodiscard "$2/disk" && mount -o loop "$2/disk" "$3" || { echo none; exit 0; }
        ended=0
        "$0" restore app@host:/new "$3" --repository "$1" --sync filesystem || ended=$?
        echo "ended $ended"
    "#;
    let Some(output) = in_namespace(script, &[&place.repository(), &pool, &target]) else { return };
    if output.stdout.starts_with(b"none") {
        kopia_testkit::facilities::left_out("no loop devices here");
        return;
    }
    let [said, told] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(said.ends_with("ended 1\n") && told.contains("error: "), "{said}\n{told}");
}
