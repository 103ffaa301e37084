//! Signals while a restore runs.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kopia_testkit::writer::PASSWORD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::common::{Place, names, written};

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
        let child = Command::new(env!("CARGO_BIN_EXE_kopia-rs"))
            .args(["restore", "latest", "--quiet", "--parallel", "1", "--repository"])
            .args([&repository])
            .arg(&target)
            .env("KOPIA_PASSWORD", PASSWORD)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let start = Instant::now();
        let begun =
            || target.exists() && names(&target).iter().any(|name| name.starts_with(".kopia-rs-restore-"));
        while !begun() {
            assert!(start.elapsed() < Duration::from_secs(60), "the restore does not begin");
            std::thread::sleep(Duration::from_millis(1));
        }
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        let ended = child.wait_with_output().expect("it ends");
        let said = String::from_utf8(ended.stderr).expect("UTF-8");
        assert_eq!(ended.status.code(), Some(status), "{said}");
        let left = names(&target);
        let [unfinished] = &left[..] else { panic!("{left:?}") };
        let last = said.lines().last().expect("a line");
        assert!(last.starts_with("error: SIG") && last.contains(&**unfinished), "{said}");
    }
    // The next one removes what was left and restores everything.
    let target = place.path("target-143");
    let ran = crate::common::KopiaRs::written(&repository, "restore latest --quiet").arg(&target).run();
    // Sizes are not true here, which costs a word each.
    assert_eq!(ran.code, Some(3));
    assert_eq!(names(&target).len(), 300);
    assert_eq!(names(&target.join("d299")).len(), 200);
}
