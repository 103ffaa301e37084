//! Signals while a restore runs.

use std::path::Path;
use std::process::{Command, Stdio};

use kopia_testkit::writer::PASSWORD;
use rustix::process::Signal;
use serde_json::json;

use crate::common::{Place, names, signalled, written};

/// A snapshot that takes a while: 300 folders of 200 files.
fn repository(place: &Place) -> std::path::PathBuf {
    let path = place.path("repo");
    written(&path, |writer| {
        let folders: Vec<_> = (0..300)
            .map(|folder| {
                let files: Vec<_> = (0..200)
                    .map(|file| {
                        let object = writer.file(format!("{folder} {file}").as_bytes());
                        json!({"name": format!("f{file:03}"), "type": "f", "mode": "0644", "size": 0, "obj": object})
                    })
                    .collect();
                let object = writer.directory(&files);
                json!({"name": format!("d{folder:03}"), "type": "d", "mode": "0755", "obj": object})
            })
            .collect();
        let root = writer.directory(&folders);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    });
    path
}

#[test]
fn a_signal_leaves_nothing_but_the_unfinished_folder() {
    let place = Place::new();
    let repository = repository(&place);
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let target = place.path(&format!("target-{status}"));
        // On a machine that has no time the restore may be over before the signal, or take longer to stop
        // than it may.
        let stopped = (0..8).any(|_| {
            if target.exists() {
                std::fs::remove_dir_all(&target).unwrap();
            }
            stops_by_itself(&repository, &target, signal, status)
        });
        assert!(stopped, "the restore never stopped by itself");
    }
    // The next one removes what was left and restores everything.
    let target = place.path("target-143");
    let ran = crate::common::KopiaRs::written(&repository, "restore latest --quiet").arg(&target).run();
    // Sizes are not true here, which costs a word each.
    assert_eq!(ran.code, Some(3));
    assert_eq!(names(&target).len(), 300);
    assert_eq!(names(&target.join("d299")).len(), 200);
}

/// Signals a restore that has begun; returns whether it was stopped in the middle, and named what it left.
fn stops_by_itself(repository: &Path, target: &Path, signal: Signal, status: i32) -> bool {
    let child = Command::new(env!("CARGO_BIN_EXE_kopia-rs"))
        .args(["restore", "latest", "--quiet", "--parallel", "1", "--repository"])
        .args([repository, target])
        .env("KOPIA_PASSWORD", PASSWORD)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let begun = || target.exists() && names(target).iter().any(|name| name.starts_with(".kopia-rs-restore-"));
    let ended = signalled(child, signal, begun);
    let said = String::from_utf8(ended.stderr).expect("UTF-8");
    // Sizes are not true here, which is 3 at the end.
    if ended.status.code() == Some(3) {
        return false;
    }
    assert_eq!(ended.status.code(), Some(status), "{said}");
    let left = names(target);
    // A signal that comes while folders get their names comes too late.
    if left.len() > 1 {
        return false;
    }
    let [unfinished] = &left[..] else { panic!("{left:?}") };
    let last = said.lines().last().expect("a line");
    assert!(last.starts_with("error: ") && last.contains("SIG"), "{said}");
    let in_time = last.contains(&**unfinished);
    assert!(in_time || last.contains(".kopia-rs-restore-…"), "{said}");
    in_time
}
