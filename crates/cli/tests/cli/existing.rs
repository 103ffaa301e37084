//! Restoring into folders that have something already.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

use crate::common::{KopiaRs, Place, names};

pub(crate) fn large() -> Vec<u8> {
    (0..10_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

fn entry(kind: &str, name: &str, object: &str, size: usize) -> Value {
    let mode = if kind == "d" { "0755" } else { "0644" };
    json!({"name": name, "type": kind, "mode": mode, "size": size, "obj": object,
        "mtime": "2020-01-02T03:04:05.000000006Z"})
}

/// `d/small` and `large`, which has ten pieces.
pub(crate) fn repository(place: &Place) -> PathBuf {
    let path = place.path("repo");
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let (small, bytes) = (writer.file(b"hello"), writer.file(&large()));
    let inner = writer.directory(&[entry("f", "small", &small, 5)]);
    let root = writer.directory(&[entry("d", "d", &inner, 0), entry("f", "large", &bytes, 40_000)]);
    writer.snapshot("app@host:/data", entry("d", "data", &root, 0));
    writer.finish_in(&path).expect("a repository");
    path
}

pub(crate) fn restore(repository: &Path, target: &Path, options: &str) -> KopiaRs {
    KopiaRs::written(repository, &format!("restore latest {options}")).arg(target)
}

#[test]
fn a_dry_run_says_everything_and_does_nothing() {
    let place = Place::new();
    let (repository, target) = (repository(&place), place.path("target"));
    let ran = restore(&repository, &target, "--dry-run").run().exits(0);
    assert_eq!(
        ran.text().lines().take(3).collect::<Vec<_>>(),
        ["write   d/", "write   large", "write   d/small"]
    );
    assert!(ran.text().contains("would write 2 files and links (40.0 kB) and make 1 folder in "));
    assert!(!target.exists());

    restore(&repository, &target, "").run().exits(0);
    fs::write(target.join("extra"), b"x").expect("written");
    fs::write(target.join("large"), b"x").expect("written");
    let ran = restore(&repository, &target, "--dry-run --delete-extra --json").run().exits(0);
    let lines: Vec<Value> =
        ran.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let did = |line: &Value| format!("{} {}", line["action"], line["path"]).replace('"', "");
    let mut told: Vec<_> = lines.iter().map(did).collect();
    told.sort();
    assert_eq!(told, ["delete extra", "keep d/small", "replace large", "sum null"]);
    assert_eq!(
        (&lines[3]["written"], &lines[3]["kept"], &lines[3]["deleted"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(names(&target), ["d", "extra", "large"]);

    let ran = restore(&repository, &target, "--delete-extra --json").run().exits(0).json();
    assert_eq!((&ran["files"], &ran["kept"], &ran["deleted"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(names(&target), ["d", "large"]);
}

#[test]
fn what_exists_is_kept_skipped_replaced_or_refused() {
    let place = Place::new();
    let (repository, target) = (repository(&place), place.path("target"));
    let ran = |options: &str| restore(&repository, &target, options).run();
    ran("").exits(0);
    for (options, files, kept) in [("", 0, 2), ("--existing skip", 0, 2), ("--existing overwrite", 2, 0)] {
        let json = ran(&format!("{options} --json")).exits(0).json();
        assert_eq!((&json["files"], &json["kept"]), (&json!(files), &json!(kept)), "{options}");
    }
    assert!(ran("").exits(0).text().contains(", kept 2 that were right in "));
    let file = KopiaRs::written(&repository, "restore latest/large").arg(target.join("large")).run().exits(0);
    assert!(file.text().ends_with("large is right already: nothing was written\n"), "{}", file.text());
    let refused = ran("--existing error --json").exits(3);
    let json = refused.says(&["error: d/small: it exists already", "large: it exists already"]).json();
    assert_eq!(json["problems"][1]["reason"], json!("exists"));
    ran("--existing error --fail-fast")
        .exits(1)
        .says(&["it exists already; what was done lies in ", "hint: "]);
    ran("--existing maybe").exits(2);
    ran("--keep-lost-found").exits(2);
    let inode = || fs::metadata(target.join("large")).expect("there").ino();
    let before = inode();
    let file = fs::OpenOptions::new().write(true).open(target.join("large")).expect("open");
    std::os::unix::fs::FileExt::write_all_at(&file, b"other", 5000).expect("written");
    ran("--in-place").exits(0);
    assert!(fs::read(target.join("large")).expect("read") == large());
    assert_eq!(inode(), before);
}

#[test]
fn pieces_that_are_lost_are_named_and_the_rest_is_saved() {
    let place = Place::new();
    let (repository, target) = (repository(&place), place.path("target"));
    // Contents lie back to back after 32 bytes, 28 longer than what is in them; the small file comes first.
    kopia_testkit::damage::blobs(&repository, "p")[0].flip_bit(32 + 33 + 2 * 4028 + 100, 0);
    let report = place.path("report");
    let ran = KopiaRs::written(&repository, "restore latest --salvage")
        .arg("--report")
        .arg(&report)
        .arg(&target)
        .run()
        .exits(3);
    ran.says(&[
        "error: large: content ",
        "the rest is in \"large.partial\", with 4000 bytes of zeros at 8000..12000",
    ]);
    let line: Value =
        serde_json::from_str(&fs::read_to_string(&report).expect("a report")).expect("one line");
    assert_eq!(line["salvaged"], json!({"path": "large.partial", "lost": [[8000, 12_000]]}));
    let offset = 32 + 33 + 2 * 4028;
    assert_eq!((&line["reason"], &line["offset"]), (&json!("corrupt_content"), &json!(offset)));
    assert!(
        line["content"].is_string() && line["blob"].as_str().is_some_and(|blob| blob.starts_with('p')),
        "{line}"
    );
    assert_eq!((&line["operation"], &line["errno"]), (&Value::Null, &Value::Null));
    let mut expected = large();
    expected[8000..12_000].fill(0);
    assert!(fs::read(target.join("large.partial")).expect("saved") == expected);
    assert_eq!(names(&target), ["d", "large.partial"]);
}

#[test]
fn shards_and_their_end() {
    let place = Place::new();
    let (repository, target) = (repository(&place), place.path("target"));
    let ran = |options: &str| restore(&repository, &target, options).run();
    ran("--finish 2").exits(1).says(&["none of 2 shards has finished\n", "hint: "]);
    let first = ran("--shard 0/2").exits(0);
    assert!(first.text().contains("restored shard 0 of 2, "), "{}", first.text());
    ran("--finish 2").exits(1).says(&["shard 1 of 2 has not finished"]);
    ran("--finish 3").exits(1).says(&["shards 0, 1 and 2 of 3 have not", "did you mean --finish 2?"]);
    ran("--shard 1/2").exits(0);
    ran("--finish 2").exits(0);
    assert_eq!(names(&target), ["d", "large"]);
    assert!(fs::read(target.join("large")).expect("read") == large());
    for wrong in ["--shard 2/2", "--shard 1/0", "--shard x", "--finish 0", "--shard 0/2 --finish 2"] {
        ran(wrong).exits(2);
    }
}

/// Runs a script in a mount namespace of its own; says whether this machine lets us.
pub(crate) fn in_namespace(script: &str, arguments: &[&Path]) -> Option<std::process::Output> {
    let may = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|ran| ran.status.success());
    if !may {
        kopia_testkit::facilities::left_out("no mount namespaces here");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", script, env!("CARGO_BIN_EXE_kopia-rs")]).args(arguments);
    Some(command.env("KOPIA_PASSWORD", PASSWORD).output().expect("it runs"))
}

#[test]
fn what_is_mounted_in_the_target_is_neither_deleted_nor_gone_into() {
    let place = Place::new();
    let (repository, target) = (repository(&place), place.path("target"));
    restore(&repository, &target, "").run().exits(0);
    let outside = place.path("outside");
    fs::create_dir_all(outside.join("deep")).expect("made");
    fs::write(outside.join("deep/precious"), b"x").expect("written");
    fs::create_dir_all(target.join("extra/mounted")).expect("made");
    fs::create_dir_all(target.join("tmpfs")).expect("made");
    fs::write(target.join("extra/gone"), b"x").expect("written");
    fs::write(target.join("file"), b"x").expect("written");
    // A mount of the same file system, one of another, and a file that is a mount.
    let script = r#"
        mount --bind "$3" "$2/extra/mounted"
        mount -t tmpfs tmpfs "$2/tmpfs"
        touch "$2/tmpfs/precious"
        mount --bind "$3/deep/precious" "$2/file"
        "$0" restore latest "$2" --delete-extra --repository "$1" --json
        test -e "$2/tmpfs/precious"
    "#;
    let Some(output) = in_namespace(script, &[&repository, &target, &outside]) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["mountsKept"], json!(["extra/mounted", "file", "tmpfs"]), "{said}");
    assert_eq!((&json["deleted"], &json["problemCount"]), (&json!(0), &json!(0)));
    assert!(
        said.contains("note: tmpfs was not deleted: something is mounted there, or it is a subvolume"),
        "{said}"
    );
    assert_eq!(names(&outside.join("deep")), ["precious"]);
    assert_eq!(names(&target.join("extra")), ["mounted"]);
}

#[test]
fn a_replacement_shares_what_is_right_where_the_file_system_can() {
    let place = Place::new();
    let repository = repository(&place);
    let [target, disk, result] = ["target", "disk", "result"].map(|name| place.path(name));
    fs::create_dir(&target).expect("made");
    // The least that XFS takes; hardly any of it is written.
    fs::File::create(&disk).and_then(|file| file.set_len(320 << 20)).expect("made");
    let script = r#"
        PATH="$PATH:/usr/sbin:/sbin"
        mkfs.xfs -q "$3" && mount -o loop "$3" "$2" || { echo none; exit 0; }
        "$0" restore latest "$2/there" --repository "$1"
        printf x | dd of="$2/there/large" bs=1 seek=17001 conv=notrunc status=none
        # What is open stays, and shares.
        exec 3<"$2/there/large"
        "$0" restore latest "$2/there" --repository "$1"
        sync --file-system "$2"
        filefrag -v "$2/there/large" | grep -c shared
        cp "$2/there/large" "$4"
    "#;
    let Some(output) = in_namespace(script, &[&repository, &target, &disk, &result]) else { return };
    if output.stdout.starts_with(b"none") {
        kopia_testkit::facilities::left_out("no XFS here");
        return;
    }
    // One extent on each side of the piece that was wrong.
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().last(), Some("2"));
    assert_eq!(fs::read(result).expect("copied"), large());
}

#[test]
fn what_another_user_may_not_change_is_replaced_or_said() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let (repository, target) = (repository(&place), place.path("target"));
    restore(&repository, &target, "").run().exits(0);
    // A volume that root filled, restored once more by somebody else who may write in its folders.
    for path in [&target, &target.join("d")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("root may");
    }
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("root may");
    let Some(output) = restore_as_another_user(&repository, &target, "--json") else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    // Mode and time were right, only the owner cannot be: nothing is gained by writing the bytes again.
    assert_eq!(json["problemCount"], json!(0), "{said}");
    assert!(fs::read(target.join("large")).expect("read") == large());
}

/// The user and group of [`restore_as_another_user`].
const ANOTHER: u32 = 65_532;

/// Restores as a user without rights; says whether this machine lets us.
fn restore_as_another_user(repository: &Path, target: &Path, options: &str) -> Option<std::process::Output> {
    let id = ANOTHER.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", env!("CARGO_BIN_EXE_kopia-rs")]);
    command.args(["restore", "latest", "--repository"]).arg(repository).arg(target);
    command.args(options.split_whitespace());
    let output = command.env("KOPIA_PASSWORD", PASSWORD).output().expect("setpriv is there");
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && said.contains("Permission denied") && said.contains("setpriv") {
        kopia_testkit::facilities::left_out("the binary lies where nobody else may run it");
        return None;
    }
    Some(output)
}

#[test]
fn a_closed_target_that_shards_opened_is_closed_by_the_finish() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let (repository, target) = (repository(&place), place.path("target"));
    fs::create_dir(&target).expect("made");
    std::os::unix::fs::chown(&target, Some(ANOTHER), Some(ANOTHER)).expect("root may");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o555)).expect("root may");
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("root may");
    // The second run of number 0 finds it open, and takes back the mark that knows its mode.
    for part in ["--shard 0/2", "--shard 1/2", "--shard 0/2", "--finish 2"] {
        let options = format!("{part} --no-root-attributes");
        let Some(output) = restore_as_another_user(&repository, &target, &options) else { return };
        assert!(output.status.success(), "{part}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(names(&target), ["d", "large"]);
    assert_eq!(fs::metadata(&target).expect("there").permissions().mode() & 0o7777, 0o555);
}

#[test]
fn a_second_finish_does_not_say_that_shards_are_missing() {
    let place = Place::new();
    let (repository, target) = (repository(&place), place.path("target"));
    kopia_testkit::damage::blobs(&repository, "p")[0].flip_bit(32 + 33 + 2 * 4028 + 100, 0);
    let ran = |options: &str| restore(&repository, &target, options).run();
    let first = [ran("--shard 0/2"), ran("--shard 1/2")].map(|ran| ran.code);
    assert!(first.contains(&Some(3)) && first.iter().all(|code| matches!(code, Some(0 | 3))), "{first:?}");
    ran("--finish 2").exits(3).says(&["error: large: content "]);
    let again = ran("--finish 2").exits(1);
    again.says(&["or a finish has taken up what they left", "a restore without --finish puts it right"]);
}
