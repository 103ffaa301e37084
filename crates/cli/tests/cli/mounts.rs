//! Mounts and subvolumes: `--delete-extra` deletes nothing in them, and none is a way into the repository.

use std::fs;

use kopia_testkit::damage::copy_repository;
use kopia_testkit::golden;
use serde_json::{Value, json};

use crate::common::{Place, names};
use crate::existing::{in_namespace, repository, restore};

#[test]
fn a_bind_mount_where_the_snapshot_has_a_folder_is_left_alone() {
    let place = Place::new();
    let (repository, target) = (repository(&place), place.path("target"));
    restore(&repository, &target, "").run().exits(0);
    let outside = place.path("outside");
    fs::create_dir_all(outside.join("deep")).expect("made");
    fs::write(outside.join("precious"), b"x").expect("written");
    fs::write(target.join("extra"), b"x").expect("written");
    let script = r#"
        mount --bind "$3" "$2/d"
        for options in "--dry-run --json" "--json"; do
            "$0" restore latest "$2" --delete-extra --repository "$1" $options >"$3.out" || true
            grep -v '^{"action":"[^s]' "$3.out" | tr -d '\n'; echo
        done
    "#;
    let Some(output) = in_namespace(script, &[&repository, &target, &outside]) else { return };
    let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [planned, done] = &lines[..] else { panic!("{out}\n{said}") };
    for sum in [planned, done] {
        assert_eq!((&sum["deleted"], &sum["extrasKept"]), (&json!(0), &json!(1)), "{out}\n{said}");
        let problem = &sum["problems"][0];
        assert_eq!(problem["path"], json!("d"), "{out}");
        let message = problem["message"].as_str().expect("a message");
        assert!(message.starts_with("another file system or volume lies there"), "{message}");
        assert_eq!(problem["reason"], json!("mounted"), "{out}");
    }
    let note = "note: nothing was deleted, because not all of the snapshot is restored; 1 entry that it does not \
                have was left";
    assert!(said.contains(note), "{said}");
    assert_eq!(names(&outside), ["deep", "precious"]);
    assert_eq!(names(&target), ["d", "extra", "large"]);
}

#[test]
fn what_is_mounted_where_an_entry_is_to_be_is_foreseen() {
    let place = Place::new();
    let (repository, target) = (repository(&place), place.path("target"));
    let outside = place.path("outside");
    fs::create_dir_all(outside.join("directory")).expect("made");
    fs::write(outside.join("file"), b"precious").expect("written");
    let script = r#"
        mkdir -p "$2/d"
        # A file where a file is to be, one where a directory is to be, and a directory where a file is to be.
        touch "$2/large" && mount --bind "$3/file" "$2/large"
        for options in "--dry-run --json" "--json"; do
            ended=0
            "$0" restore latest "$2" --repository "$1" $options >"$3.out" || ended=$?
            grep -v '^{"action":"[^s]' "$3.out" | tr -d '\n'; echo; echo "$ended"
        done
        umount "$2/large" && rm -r "$2" && mkdir -p "$2/large" && touch "$2/d"
        mount --bind "$3/file" "$2/d" && mount --bind "$3/directory" "$2/large"
        for options in "--dry-run --json" "--json"; do
            ended=0
            "$0" restore latest "$2" --repository "$1" $options >"$3.out" || ended=$?
            grep -v '^{"action":"[^s]' "$3.out" | tr -d '\n'; echo; echo "$ended"
        done
    "#;
    let Some(output) = in_namespace(script, &[&repository, &target, &outside]) else { return };
    let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = out.lines().collect();
    let told = |sum: &str| -> Vec<(String, String)> {
        let sum: Value = serde_json::from_str(sum).unwrap_or_else(|error| panic!("{error}: {out}\n{said}"));
        let text = |problem: &Value, key: &str| problem[key].as_str().expect("text").to_string();
        let problems = sum["problems"].as_array().expect("problems").iter();
        let mut told: Vec<_> = problems.map(|told| (text(told, "path"), text(told, "message"))).collect();
        told.sort();
        told
    };
    let [planned, "3", done, "3", planned_kinds, "3", done_kinds, "3"] = lines[..] else {
        panic!("{out}\n{said}")
    };
    let busy = "Device or resource busy (os error 16)";
    let busy = |names: &[&str]| names.iter().map(|name| (name.to_string(), busy.into())).collect::<Vec<_>>();
    assert_eq!(told(planned), busy(&["large"]), "{said}");
    assert_eq!(told(done), busy(&["large"]), "{said}");
    assert_eq!(told(planned_kinds), busy(&["d", "large"]), "{said}");
    assert_eq!(told(done_kinds), busy(&["d", "large"]), "{said}");
    assert_eq!(fs::read(outside.join("file")).expect("there"), b"precious");
}

#[test]
fn btrfs_subvolumes_are_left_alone() {
    let place = Place::new();
    let repository = repository(&place);
    let [target, disk] = ["target", "disk"].map(|name| place.path(name));
    fs::create_dir(&target).expect("made");
    // Hardly any of it is written.
    fs::File::create(&disk).and_then(|file| file.set_len(256 << 20)).expect("made");
    let script = r#"
        PATH="$PATH:/usr/sbin:/sbin"
        mkfs.btrfs -q "$3" >/dev/null && mount -o loop "$3" "$2" || { echo none; exit 0; }
        # One that is too much, one in what is too much, an empty one, and one where the snapshot has a directory.
        mkdir -p "$2/t/old" "$2/t/gone/deep"
        for volume in full old/inner empty; do btrfs --quiet subvolume create "$2/t/$volume" >/dev/null; done
        echo x >"$2/t/full/precious"; echo x >"$2/t/old/inner/precious"; echo x >"$2/t/old/gone"
        "$0" restore latest "$2/t" --delete-extra --repository "$1" --dry-run --json | tail -1
        "$0" restore latest "$2/t" --delete-extra --repository "$1" --json | tr -d '\n'; echo
        cat "$2/t/full/precious" "$2/t/old/inner/precious"
        ls "$2/t" "$2/t/old" | tr '\n' ' '; echo
        rm -r "$2/t/d"; btrfs --quiet subvolume create "$2/t/d" >/dev/null; echo x >"$2/t/d/precious"
        "$0" restore latest "$2/t" --delete-extra --repository "$1" || echo "ended $?"
        cat "$2/t/d/precious"
    "#;
    let Some(output) = in_namespace(script, &[&repository, &target, &disk]) else { return };
    if output.stdout.starts_with(b"none") {
        kopia_testkit::facilities::left_out("no Btrfs here");
        return;
    }
    let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = out.lines().collect();
    let [planned, done, x, y, _] = lines[..5] else { panic!("{out}\n{said}") };
    for sum in [planned, done] {
        let sum: Value = serde_json::from_str(sum).expect("JSON");
        assert_eq!(sum["mountsKept"], json!(["empty", "full", "old/inner"]), "{said}");
        assert_eq!(sum["deleted"], json!(1), "gone");
    }
    assert_eq!((x, y), ("x", "x"));
    assert!(!out.contains(" gone "), "{out}");
    assert!(out.ends_with("ended 3\nx\n"), "{out}\n{said}");
}

#[test]
fn a_bind_mount_of_the_repository_is_the_repository() {
    let place = Place::new();
    // Its packs have replicas of the format blob.
    let case = golden::case("era-v0.8.4");
    let copy = copy_repository(&case);
    let (repository, target, mounted) = (copy.path(), place.path("target"), place.path("mounted"));
    fs::create_dir(&mounted).expect("made");
    fs::create_dir(&target).expect("made");
    let before = names(&repository);
    let script = r#"
        mount --bind "$1" "$3"
        export KOPIA_PASSWORD=golden KOPIA_REPOSITORY="$1" DATA_DIR="$2" KOPIA_OVERRIDE_USERNAME=a KOPIA_OVERRIDE_HOSTNAME=b
        "$0" restore latest "$3/target" || echo "$?"
        "$0" restore latest "$2" --report "$3/report" || echo "$?"
        "$0" doctor --save-format-blob "$3/blob" || echo "$?"
        "$0" mover restore --metrics-file "$3/metrics" || echo "$?"
    "#;
    let Some(output) = in_namespace(script, &[&repository, &target, &mounted]) else { return };
    let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out.lines().filter(|line| *line == "1").count(), 4, "{out}\n{said}");
    assert!(said.contains("overlap"), "{said}");
    assert_eq!(said.matches("would lie in the repository").count(), 3, "{said}");
    assert_eq!((names(&repository), names(&target)), (before, Vec::<String>::new()));
}
