//! Where a restore writes to, and where it does not: the umask, streams, archives, links, and what a dry run
//! says of them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use kopia_testkit::damage::copy_repository;
use kopia_testkit::golden;
use kopia_testkit::writer::PASSWORD;
use serde_json::Value;

use crate::common::{KopiaRs, Place, names};
use crate::existing::{repository, restore};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Runs something below a folder of its own with a umask.
fn run(place: &Place, mask: &str, arguments: &str) {
    KopiaRs::golden("sources", arguments).in_folder(&place.path("")).umask(mask).run().exits(0);
}

#[test]
fn what_the_snapshot_does_not_describe_is_as_the_umask_says() {
    for (mask, folder, file) in [("077", 0o700, 0o600), ("022", 0o755, 0o644), ("000", 0o777, 0o666)] {
        let place = Place::new();
        run(&place, mask, "restore c3bc/hello.txt a/b/c --report report");
        run(&place, mask, "restore c3bc/hello.txt new/sub/");
        run(&place, mask, "restore c3bc skipped/all --skip-permissions");
        run(&place, mask, "restore c3bc rootless --no-root-attributes");
        run(&place, mask, "verify c3bc --report verified");
        for made in ["a", "a/b", "new", "new/sub", "skipped", "skipped/all", "rootless"] {
            assert_eq!(mode(&place.path(made)), folder, "{made} {mask}");
        }
        assert_eq!([mode(&place.path("report")), mode(&place.path("verified"))], [file; 2], "{mask}");
        // The guide: nobody but their owner may read what is restored so.
        let skipped = place.path("skipped/all");
        assert_eq!((mode(&skipped.join("sub")), mode(&skipped.join("hello.txt"))), (0o700, 0o600));
        // What the snapshot describes is as it says, whatever the mask is.
        assert_eq!(mode(&place.path("a/b/c")), 0o600);
        run(&place, mask, "restore c3bc whole");
        let modes = ["whole", "whole/sub", "whole/hello.txt"].map(|name| mode(&place.path(name)));
        assert_eq!(modes, [0o755, 0o755, 0o600], "{mask}");
    }
}

/// What collectors and browsers of other users read is for all, as far as the umask lets it; nobody writes to it.
#[test]
fn all_that_is_written_beside_a_restore_is_as_the_umask_says() {
    for (mask, read, written) in [("077", 0o600, 0o600), ("022", 0o644, 0o644), ("000", 0o644, 0o666)] {
        let place = Place::new();
        run(&place, mask, "verify c3bc --metrics verify.prom --page verify.html");
        run(&place, mask, "restore c3bc whole --metrics restore.prom");
        for name in ["verify.prom", "verify.html", "restore.prom"] {
            assert_eq!(mode(&place.path(name)), read, "{name} {mask}");
        }
        for name in ["x.tar", "x.tar.gz", "x.zip"] {
            run(&place, mask, &format!("export c3bc {name}"));
            assert_eq!(mode(&place.path(name)), written, "{name} {mask}");
        }
    }
}

#[test]
fn modes_that_a_umask_takes_bits_of_are_restored() {
    let place = Place::new();
    KopiaRs::golden("tricky", "restore latest open").in_folder(&place.path("")).umask("000").run().exits(0);
    KopiaRs::golden("tricky", "restore latest closed").in_folder(&place.path("")).umask("077").run().exits(0);
    KopiaRs::golden("tricky", "restore latest usual").in_folder(&place.path("")).umask("022").run().exits(0);
    let tree = |name: &str| kopia_testkit::tree::Tree::scan(place.path(name));
    let settable = kopia_testkit::tree::Compare::settable();
    for other in ["closed", "usual"] {
        let differences = kopia_testkit::tree::compare(&tree("open"), &tree(other), &settable);
        assert!(differences.is_empty(), "{other}: {differences:#?}");
    }
}

#[test]
fn streams_and_archives_are_refused_with_what_to_use_instead() {
    let place = Place::new();
    for target in
        ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/fd", "/proc/self/fd/", "/dev/stderr"]
    {
        for what in ["c3bc", "c3bc/hello.txt", "c3bc/sub/link"] {
            for more in ["", " --dry-run"] {
                // No password is asked for and no repository is opened.
                let ran =
                    KopiaRs::golden("sources", &format!("restore {what} {target}{more}")).without_password();
                ran.in_folder(&place.path("")).run().exits(2).says(&[
                    target,
                    "kopia-rs cat",
                    "kopia-rs export",
                ]);
            }
        }
    }
    for target in ["x.tar", "x.TAR.GZ", "x.tgz", "x.tar.zst", "x.zip"] {
        for more in ["", " --dry-run"] {
            let ran = KopiaRs::golden("sources", &format!("restore c3bc {target}{more}"));
            ran.in_folder(&place.path("")).run().exits(2).says(&[
                "would be a folder",
                &format!("kopia-rs export WHAT {target}"),
                &format!("{target}/"),
            ]);
        }
    }
    assert_eq!(names(&place.path("")), [""; 0]);
    for target in ["x.tar/", "./-"] {
        KopiaRs::golden("sources", &format!("restore c3bc {target}"))
            .in_folder(&place.path(""))
            .run()
            .exits(0);
    }
    KopiaRs::golden("sources", "restore c3bc x.tar").in_folder(&place.path("")).run().exits(0);
    KopiaRs::golden("sources", "restore c3bc/hello.txt y.zip").in_folder(&place.path("")).run().exits(0);
    assert_eq!(names(&place.path("")), ["-", "x.tar", "y.zip"]);
    assert!(place.path("y.zip").is_file());
}

#[test]
fn a_link_to_a_file_stays_and_so_does_the_file() {
    let place = Place::new();
    fs::write(place.path("precious"), "mine").unwrap();
    symlink("precious", place.path("link")).unwrap();
    symlink("nowhere", place.path("broken")).unwrap();
    for (target, more) in [("link", ""), ("link", " --dry-run"), ("broken", ""), ("broken", " --dry-run")] {
        for what in ["c3bc", "c3bc/hello.txt"] {
            let ran = KopiaRs::golden("sources", &format!("restore {what} {target}{more}"));
            let ran = ran.in_folder(&place.path("")).run().exits(1);
            ran.says(&["it is a link to ", "nothing was written", "kopia-rs cat"]);
        }
    }
    assert_eq!(fs::read_to_string(place.path("precious")).unwrap(), "mine");
    assert_eq!(names(&place.path("")), ["broken", "link", "precious"]);
    // A link may replace a link.
    KopiaRs::golden("sources", "restore c3bc/sub/link link").in_folder(&place.path("")).run().exits(0);
    assert_eq!(fs::read_link(place.path("link")).unwrap(), Path::new("../hello.txt"));
}

#[test]
fn a_dry_run_ends_as_the_restore_does() {
    let place = Place::new();
    fs::create_dir(place.path("there")).unwrap();
    fs::write(place.path("there/hello.txt"), "mine").unwrap();
    let options = "--existing error --report report";
    let run = |more: &str| {
        let ran = KopiaRs::golden("sources", &format!("restore c3bc there {options}{more}"));
        let ran = ran.in_folder(&place.path("")).run().exits(3);
        let report = fs::read_to_string(place.path("report")).unwrap();
        let errors: Vec<String> =
            ran.stderr.lines().filter(|line| line.starts_with("error:")).map(Into::into).collect();
        (errors, report)
    };
    let (foreseen, done) = (run(" --dry-run"), run(""));
    assert_eq!(foreseen, done);
    let line: Value = serde_json::from_str(&done.1).unwrap();
    assert_eq!((&line["path"], &line["kind"]), (&"hello.txt".into(), &"exists".into()));
    assert_eq!(done.0[1], "error: 1 entry exists already and was left alone, as --existing error asks for");
    // The first error ends it where that is asked for, and attributes count where that is.
    for more in ["", " --dry-run"] {
        let ran =
            KopiaRs::golden("sources", &format!("restore c3bc there --existing error --fail-fast{more}"));
        ran.in_folder(&place.path("")).run().exits(1).says(&[": it exists already", "--fail-fast"]);
        let ran = KopiaRs::golden("tricky", &format!("restore latest odd-names --strict-attributes{more}"));
        ran.in_folder(&place.path("")).run().exits(3).says(&["--strict-attributes"]);
    }
    let dry = KopiaRs::golden("tricky", "restore latest odd-names --strict-attributes --dry-run");
    let dry = dry.in_folder(&place.path("")).run().exits(3);
    assert!(!dry.stderr.contains("--report"), "it lists no attributes: {}", dry.stderr);
    // Nobody reads the list, and the status is the same.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = KopiaRs::golden("sources", "restore c3bc there --existing error --dry-run");
    ran.in_folder(&place.path("")).stdout(Stdio::from(writer)).run().exits(3);
}

#[test]
fn a_file_is_no_directory_whoever_asks() {
    let place = Place::new();
    fs::write(place.path("file"), "mine").unwrap();
    for more in [" --dry-run", ""] {
        for what in ["c3bc", "c3bc/hello.txt"] {
            let ran = KopiaRs::golden("sources", &format!("restore {what} file/{more}"));
            ran.in_folder(&place.path("")).run().exits(1).says(&["error: file is not a folder"]);
        }
    }
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "mine");
}

#[test]
fn a_dry_run_warns_of_packs_that_are_missing() {
    let damaged = copy_repository(&golden::case("sources"));
    damaged.blobs("p")[0].delete();
    let place = Place::new();
    let command = KopiaRs::new("restore c3bc there --dry-run").repository(&damaged.path());
    let ran = command.env("KOPIA_PASSWORD", "golden").in_folder(&place.path("")).run().exits(0);
    ran.says(&["warning: 1 pack is missing: files that need it cannot be restored"]);
    let ran = KopiaRs::golden("sources", "restore c3bc there --dry-run").in_folder(&place.path("")).run();
    assert!(!ran.exits(0).stderr.contains("warning:"));
}

/// Runs a restore into a target as somebody who is not root, dry and for good, and returns the paths of the
/// problems and the exit status of each.
fn both_as_another(place: &Place, repository: &Path, options: &str) -> [(Vec<String>, Option<i32>); 2] {
    let binary = place.path("kopia-rs");
    kopia_testkit::program::copy(env!("CARGO_BIN_EXE_kopia-rs"), &binary);
    ["--dry-run", ""].map(|more| {
        let mut command = Command::new(&binary);
        command.args(["restore", "latest", "--json"]).arg(place.path("target")).arg("--repository");
        command.arg(repository).args(options.split_whitespace()).args(more.split_whitespace());
        let output =
            command.env_clear().env("KOPIA_PASSWORD", PASSWORD).uid(65534).gid(65534).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let last = if more.is_empty() { &*text } else { text.lines().last().unwrap_or_default() };
        let sum: Value = serde_json::from_str(last)
            .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        let path = |problem: &Value| problem["path"].as_str().unwrap().to_string();
        let mut paths: Vec<_> = sum["problems"].as_array().unwrap().iter().map(path).collect();
        paths.sort();
        (paths, output.status.code())
    })
}

#[test]
fn directories_that_refuse_are_foreseen() {
    if !rustix::process::geteuid().is_root() {
        kopia_testkit::facilities::left_out("only root can be somebody else");
        return;
    }
    let place = Place::new();
    let repository = repository(&place);
    let target = place.path("target");
    let set = |path: &Path, mode: u32, owner: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        chown(path, Some(owner), Some(owner)).unwrap();
    };
    set(&place.path(""), 0o755, 0);
    for (mode, owner, kept, options, problems) in [
        // Of somebody else, who lets nobody in, or nobody write.
        (0o700, 0, false, "", &["d"][..]),
        (0o755, 0, false, "", &["d/small"]),
        (0o755, 0, false, "--delete-extra", &["d/small"]),
        // All is right there but for what is to be deleted.
        (0o755, 0, true, "", &[]),
        (0o755, 0, true, "--delete-extra", &["d/extra"]),
        // The owner opens it up.
        (0o000, 65534, false, "", &[]),
        (0o555, 65534, true, "--delete-extra", &[]),
    ] {
        let _ = fs::remove_dir_all(&target);
        restore(&repository, &target, "--skip-owners").run().exits(0);
        set(&target, 0o755, 65534);
        fs::write(target.join("d/extra"), "x").unwrap();
        if kept {
            chown(target.join("d/small"), Some(65534), Some(65534)).unwrap();
        } else {
            fs::remove_file(target.join("d/small")).unwrap();
        }
        set(&target.join("d"), mode, owner);
        let [dry, done] = both_as_another(&place, &repository, options);
        let what = format!("{mode:o} of {owner} {options}");
        assert_eq!((&dry.0[..], dry.1), (&done.0[..], done.1), "{what}");
        assert_eq!(dry.0, problems, "{what}");
        assert_eq!(dry.1, Some(if problems.is_empty() { 0 } else { 3 }), "{what}");
    }
}

#[test]
fn the_exit_status_does_not_depend_on_the_reader() {
    let damaged = copy_repository(&golden::case("sources"));
    damaged.blobs("p").iter().for_each(|pack| pack.delete());
    for (arguments, status) in [
        ("verify", 3),
        ("verify --json", 3),
        ("verify c3bc", 3),
        ("restore c3bc there", 3),
        ("ls -lR c3bc", 3),
    ] {
        let place = Place::new();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let command = KopiaRs::new(arguments).repository(&damaged.path()).env("KOPIA_PASSWORD", "golden");
        command.in_folder(&place.path("")).stdout(Stdio::from(writer)).run().exits(status);
    }
    for arguments in ["verify", "status", "snapshots", "ls c3bc", "doctor", "cat c3bc/hello.txt"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        KopiaRs::golden("sources", arguments).stdout(Stdio::from(writer)).run().exits(0);
    }
}
