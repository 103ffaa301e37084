//! The password: from a file, from the environment, and typed.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use kopia_testkit::golden;
use rustix::process::{Pid, Signal, kill_process};

use crate::common::{KopiaRs, Place};
use crate::terminal::Terminal;

#[test]
fn from_file_or_environment() {
    let place = Place::new();
    let file = place.path("password");
    let with_file = |text: &str| {
        fs::write(&file, text).unwrap();
        KopiaRs::golden("sources", "status").arg("--password-file").arg(&file)
    };
    // The file counts more than the environment, and loses one line break.
    for text in ["golden", "golden\n", "golden\r\n"] {
        with_file(text).env("KOPIA_PASSWORD", "wrong").run().exits(0);
        with_file(text).without_password().run().exits(0);
    }
    for text in ["golden\n\n", "golden ", "", "Golden"] {
        with_file(text).run().exits(1).says(&["password"]);
    }
    with_file(&"x".repeat(1 << 16)).run().exits(1).says(&["the password does not open"]);
    with_file(&"x".repeat((1 << 16) + 1)).run().exits(1).says(&["has more than 65536 bytes"]);
    let endless = KopiaRs::golden("sources", "status --password-file /dev/zero");
    endless.run().exits(1).says(&["has more than 65536 bytes"]);
    let changed = KopiaRs::golden("password-changed", "status");
    changed.run().exits(0);
    // An empty password is one, and is tried.
    let set =
        |password: &str| KopiaRs::golden("sources", "status").env("KOPIA_PASSWORD", password).run().exits(1);
    set("").says(&["the password does not open"]);
    set("golden\n").says(&["the password does not open", "hint:"]);
    let none = KopiaRs::golden("sources", "status").without_password().run().exits(1);
    none.says(&["no password is given", "KOPIA_PASSWORD", "--password-file"]);
    let missing = KopiaRs::golden("sources", "status").arg("--password-file").arg(place.path("missing"));
    missing.run().exits(1).says(&["missing"]);
}

fn asking(terminal: &Terminal) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kopia-rs"))
        .args(["status", "--repository"])
        .arg(golden::case("sources").repository)
        .env_clear()
        .stdin(terminal.inside())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn typed() {
    for (password, code, says) in [("golden", 0, ""), ("Golden", 1, "error: the password does not open")] {
        let mut terminal = Terminal::open();
        let mut child = asking(&terminal);
        terminal.answer(&mut child, password);
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.starts_with(says), "{said}");
        assert!(terminal.shows_typing());
    }
}

#[test]
fn a_terminal_shows_typing_again_after_a_signal() {
    let terminal = Terminal::open();
    let mut child = asking(&terminal);
    terminal.wait_for_question(&mut child);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{said}");
    assert_eq!(said, "\nerror: stopped by SIGTERM\n");
    assert!(terminal.shows_typing());
}

#[test]
fn typed_nothing() {
    let mut terminal = Terminal::open();
    let mut child = asking(&terminal);
    terminal.wait_for_question(&mut child);
    terminal.end_input();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8(ended.stderr).unwrap().contains("error: no password was typed"));
    assert!(terminal.shows_typing());
}
