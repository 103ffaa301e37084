//! What cannot be done: one clear error, the right exit status, and nothing written.

use std::fs;

use kopia_testkit::damage::copy_repository;
use kopia_testkit::golden;

use crate::common::{KopiaRs, Place, names};

#[test]
fn wrong_usage() {
    for arguments in ["nonsense", "ls", "restore latest", "status --nonsense", "status --io fast"] {
        KopiaRs::golden("sources", arguments).run().exits(2);
    }
    let place = Place::new();
    for arguments in
        ["--parallel 0", "--parallel x", "--sync all", "--at someday", "--at 2026-13", "--password x"]
    {
        KopiaRs::golden("sources", &format!("restore c3bc {arguments}")).arg(place.path("t")).run().exits(2);
    }
    assert!(!place.path("t").exists());
    KopiaRs::new("status")
        .env("KOPIA_PASSWORD", "golden")
        .run()
        .exits(2)
        .says(&["no repository is given", "KOPIA_REPOSITORY"]);
    KopiaRs::golden("sources", "snapshots app@nowhere").run().exits(1);
}

#[test]
fn words_of_other_programs_are_answered() {
    for (arguments, answer) in [
        ("snapshot create /etc", "use `kopia snapshot create PATH`"),
        ("search name", "hint: `kopia-rs find PATTERN`"),
        ("backup /etc", "hint: kopia-rs never writes to a repository: use `kopia snapshot create PATH`"),
    ] {
        let ran = KopiaRs::golden("sources", arguments).run().exits(2).says(&[answer]);
        assert!(!ran.stderr.contains("tip:"), "{}", ran.stderr);
    }
}

#[test]
fn where_the_repository_is() {
    let repository = golden::case("sources").repository;
    let status = |place: String| {
        KopiaRs::new("status").env("KOPIA_REPOSITORY", place).env("KOPIA_PASSWORD", "golden").run()
    };
    status(format!("filesystem://{}", repository.canonicalize().unwrap().display())).exits(0);
    status(repository.display().to_string()).exits(0);
    status("filesystem://relative".into()).exits(2).says(&["filesystem://relative"]);
    status(format!("file://{}", repository.canonicalize().unwrap().display())).exits(0);
    status("s3://bucket?endpiont=x".into()).exits(2).says(&["option endpiont: it means nothing to S3"]);
    status("new://me:hush@bucket".into()).exits(1).says(&["error: new:// is no storage that kopia knows"]);
    status("/nonexistent".into()).exits(1).says(&["/nonexistent", "No such file", "hint:"]);
    status(golden::root().display().to_string()).exits(1).says(&["holds no Kopia repository"]);
    // What is given now counts more than what is set.
    let both = KopiaRs::golden("sources", "status").env("KOPIA_REPOSITORY", "/nonexistent");
    both.run().exits(0);
}

#[test]
fn nothing_is_written_before_everything_is_known() {
    let place = Place::new();
    let target = place.path("a/target");
    let run = |arguments: &str, password: &str, code: i32| {
        let command =
            KopiaRs::golden("sources", &format!("restore {arguments}")).env("KOPIA_PASSWORD", password);
        command.arg(&target).run().exits(code);
        assert!(!place.path("a").exists(), "{arguments}");
    };
    run("c3bc", "wrong", 1);
    run("latest", "golden", 1);
    run("c3bc/nope", "golden", 1);
    run("c3bc --at 2026", "golden", 2);
    run("c3bc --report /nonexistent/report", "golden", 1);
}

#[test]
fn the_repository_is_never_the_target() {
    let place = Place::new();
    let copy = copy_repository(&golden::case("sources"));
    let before = names(&copy.path());
    std::os::unix::fs::symlink(copy.path(), place.path("link")).unwrap();
    let inside = ["", "new/folder", "p", "q/.."].map(|name| copy.path().join(name));
    let others = [place.path("link"), place.path("link/new"), copy.path().parent().unwrap().into()];
    for target in inside.iter().chain(&others) {
        let command = KopiaRs::new("restore c3bc").repository(&copy.path()).env("KOPIA_PASSWORD", "golden");
        command.arg(target).run().exits(1).says(&["overlap", "nothing was written"]);
        assert_eq!(names(&copy.path()), before);
    }
    let command = KopiaRs::new("restore c3bc").repository(&copy.path()).env("KOPIA_PASSWORD", "golden");
    let report = command.arg(place.path("t")).arg("--report").arg(copy.path().join("report"));
    report.run().exits(1).says(&["would lie in the repository"]);
    assert_eq!(names(&copy.path()), before);
}

#[test]
fn a_folder_does_not_become_a_file() {
    let place = Place::new();
    fs::write(place.path("file"), "mine").unwrap();
    KopiaRs::golden("sources", "restore c3bc")
        .arg(place.path("file"))
        .run()
        .exits(1)
        .says(&["is not a folder"]);
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "mine");
}

#[test]
fn a_damaged_repository_names_the_blob() {
    let place = Place::new();
    for blob in ["kopia.repository", "x"] {
        for damage in ["flip", "truncate", "delete"] {
            let copy = copy_repository(&golden::case("sources"));
            let Some(victim) = copy.blobs(blob).into_iter().find(|blob| !blob.read().is_empty()) else {
                panic!("no {blob}")
            };
            match damage {
                "flip" => victim.flip_bit(victim.read().len() / 2, 0),
                "truncate" => victim.truncate(victim.read().len() / 2),
                _ if blob == "x" => continue,
                _ => victim.delete(),
            }
            let command =
                KopiaRs::new("restore c3bc").repository(&copy.path()).env("KOPIA_PASSWORD", "golden");
            let ran = command.arg(place.path("t")).run().exits(1);
            ran.says(&[if blob == "x" { "blob x" } else { "kopia.repository" }, "hint:"]);
            assert!(!place.path("t").exists(), "{blob} {damage}");
        }
    }
}
