//! Targets in which upper and lower case are one.

use std::fs;
use std::path::{Path, PathBuf};

use kopia_testkit::writer::RepositoryWriter;
use serde_json::{Value, json};

use crate::common::{Place, names};
use crate::existing::in_namespace;

fn entry(kind: &str, name: &str, object: &str, size: usize) -> Value {
    let mode = if kind == "d" { "0755" } else { "0644" };
    json!({"name": name, "type": kind, "mode": mode, "size": size, "obj": object,
        "mtime": "2020-01-02T03:04:05Z"})
}

/// `File` and `file`, `Sub/{same,x}` and `sub/{Same,y}`, and `FILE/` with two entries below.
fn repository(place: &Place) -> PathBuf {
    let path = place.path("repo");
    let mut writer = RepositoryWriter::new();
    let mut file = |name: &str, text: &str| entry("f", name, &writer.file(text.as_bytes()), text.len());
    let upper = [file("same", "upper"), file("x", "x")];
    let lower = [file("Same", "lower"), file("y", "y")];
    let (first, second) = (file("File", "first"), file("file", "second"));
    let [upper, lower] = [&upper, &lower].map(|entries| writer.directory(entries));
    let mut lost = entry("d", "filE", &lower, 0);
    lost["summ"] =
        json!({"size": 6, "files": 2, "symlinks": 0, "dirs": 1, "maxTime": "2020-01-02T03:04:05Z"});
    let entries = [first, entry("d", "Sub", &upper, 0), lost, second, entry("d", "sub", &lower, 0)];
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", entry("d", "data", &root, 0));
    writer.finish_in(&path).expect("a repository");
    path
}

#[test]
fn directories_are_merged_files_that_clash_are_named_and_a_second_run_is_at_rest() {
    let place = Place::new();
    let repository = repository(&place);
    let [target, disk, result] = ["target", "disk", "result"].map(|name| place.path(name));
    fs::create_dir(&target).expect("made");
    fs::File::create(&disk).and_then(|file| file.set_len(64 << 20)).expect("made");
    // Of the same build, where the whole workspace is tested; its own tests have more of such file systems.
    let delayed = Path::new(env!("CARGO_BIN_EXE_kopia-rs")).with_file_name("delayed-fs");
    let script = r#"
        PATH="$PATH:/usr/sbin:/sbin"
        mounted() {
            [ -x "$1" ] && [ -e /dev/fuse ] && mkdir "$2" || return 1
            "$1" --delay-ms 0 --cached-ms 0 --folds case "$2" "$3" >/dev/null 2>&1 &
            for try in $(seq 200); do
                ! mountpoint -q "$3" || return 0
                sleep 0.05
            done
            return 1
        }
        if mkfs.ext4 -qF -O casefold -E encoding=utf8 "$3" 2>/dev/null && mount -o loop "$3" "$2" 2>/dev/null; then
            mkdir "$2/t" && chattr +F "$2/t" || { echo none; exit 0; }
        elif mkntfs -qF "$3" >/dev/null 2>&1 && loop=$(losetup -f --show "$3") &&
            lowntfs-3g "$loop" "$2" -o ignore_case,permissions 2>/dev/null; then
            mkdir "$2/t"
        elif mounted "$5" "$4.source" "$2"; then
            mkdir "$2/t"
        else
            echo none; exit 0
        fi
        run() { ended=0; "$0" restore latest "$2/t" --repository "$1" $3 >"$4" 2>"$4.err" || ended=$?; echo $ended; }
        run "$1" "$2" "--dry-run --json" "$4.0"
        for number in 1 2 3; do run "$1" "$2" --json "$4.$number"; done
        echo x >"$2/t/extra"
        run "$1" "$2" "--delete-extra --json" "$4.4"
        (cd "$2/t"; for file in $(find . -type f | sort); do echo "$file=$(cat "$file")"; done)
        umount "$2"; [ -z "$loop" ] || losetup -d "$loop"
        wait
    "#;
    let Some(output) = in_namespace(script, &[&repository, &target, &disk, &result, &delayed]) else {
        return;
    };
    if output.stdout.starts_with(b"none") {
        kopia_testkit::facilities::left_out("no file system here in which case is one");
        return;
    }
    let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..5], ["3"; 5], "{out}\n{said}");
    // Not every such file system lists names as they were given.
    let mut found: Vec<_> = lines[5..].iter().map(|line| line.to_lowercase()).collect();
    found.sort();
    let expected = ["./extra=x", "./file=first", "./sub/same=upper", "./sub/x=x", "./sub/y=y"];
    assert_eq!(found, expected, "{out}\n{said}");
    let read = |number: &str| fs::read_to_string(suffixed(&result, number)).expect("read");
    let planned: Value = serde_json::from_str(read("0").lines().last().expect("a sum")).expect("JSON");
    let runs: Vec<Value> =
        ["1", "2", "3", "4"].map(|run| serde_json::from_str(&read(run)).expect("JSON")).into();
    let path = |problem: &Value| problem["path"].as_str().expect("a path").to_owned();
    for sum in runs.iter().chain([&planned]) {
        let mut paths: Vec<_> = sum["problems"].as_array().expect("a list").iter().map(path).collect();
        paths.sort();
        assert_eq!(paths, ["filE", "file", "sub/Same"], "{sum}");
    }
    // A directory that is lost counts what is in it.
    assert!(runs.iter().all(|run| run["problemCount"] == json!(5)), "{runs:?}");
    assert_eq!((&runs[0]["files"], &runs[0]["kept"]), (&json!(4), &json!(0)));
    for run in &runs[1..] {
        assert_eq!((&run["files"], &run["kept"]), (&json!(0), &json!(4)), "{run}");
    }
    assert_eq!((&planned["written"], &planned["folders"]), (&json!(4), &json!(1)));
    assert_eq!((&runs[3]["deleted"], &runs[3]["extrasKept"]), (&json!(0), &json!(1)));
    let told = read("1.err");
    let why =
        "file: the target's file system takes its name for that of \"File\", which is restored in its stead";
    assert!(told.contains(why) && told.contains("hint: nothing of what the target's"), "{told}");
    assert_eq!(names(&target), [""; 0]);
}

fn suffixed(path: &Path, number: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(format!(".{number}"));
    path.into()
}
