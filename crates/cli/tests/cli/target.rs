//! Where a restore writes to, and where it does not: the umask, streams, archives, links, and what a dry run says of them.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Stdio;

use kopia_testkit::damage::copy_repository;
use kopia_testkit::golden;
use serde_json::Value;

use crate::common::{KopiaRs, Place, names};

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
        // README: nobody but their owner may read what is restored so.
        let skipped = place.path("skipped/all");
        assert_eq!((mode(&skipped.join("sub")), mode(&skipped.join("hello.txt"))), (0o700, 0o600));
        // What the snapshot describes is as it says, whatever the mask is.
        assert_eq!(mode(&place.path("a/b/c")), 0o600);
        run(&place, mask, "restore c3bc whole");
        let modes = ["whole", "whole/sub", "whole/hello.txt"].map(|name| mode(&place.path(name)));
        assert_eq!(modes, [0o755, 0o755, 0o600], "{mask}");
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
                ran.in_folder(&place.path("")).run().exits(2).says(&[target, "kopia-rs cat"]);
            }
        }
    }
    for target in ["x.tar", "x.TAR.GZ", "x.tgz", "x.tar.zst", "x.zip"] {
        for more in ["", " --dry-run"] {
            let ran = KopiaRs::golden("sources", &format!("restore c3bc {target}{more}"));
            ran.in_folder(&place.path("")).run().exits(2).says(&[
                "would be a folder",
                "tar -C",
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
    // Nobody reads the list, and the status is the same.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = KopiaRs::golden("sources", "restore c3bc there --existing error --dry-run");
    ran.in_folder(&place.path("")).stdout(Stdio::from(writer)).run().exits(3);
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
