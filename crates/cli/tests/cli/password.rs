//! The password: from a file, from the environment, and typed.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kopia_testkit::golden;
use kopia_testkit::writer::RepositoryWriter;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

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
    set("golde n").says(&["the password does not open", "hint:"]);
    let none = KopiaRs::golden("sources", "status").without_password().run().exits(1);
    none.says(&["no password is given", "KOPIA_PASSWORD", "--password-file"]);
    let missing = KopiaRs::golden("sources", "status").arg("--password-file").arg(place.path("missing"));
    missing.run().exits(1).says(&["missing"]);
}

fn asking(terminal: &Terminal) -> Child {
    asking_for(terminal, "status", &golden::case("sources").repository)
}

fn asking_for(terminal: &Terminal, command: &str, repository: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kopia-rs"))
        .args([command, "--repository"])
        .arg(repository)
        .env_clear()
        .stdin(terminal.inside())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn typed() {
    const AGAIN: &str = "That password does not open the repository; try again.\n";
    for (passwords, code, says) in [
        (&["golden"][..], 0, ""),
        (&["Golden", "golden"], 0, ""),
        (&["Golden", "", "gold"], 1, "error: the password does not open"),
    ] {
        let mut terminal = Terminal::open();
        let mut child = asking(&terminal);
        for (number, password) in passwords.iter().enumerate() {
            if number > 0 {
                terminal.wait_for(&mut child, AGAIN);
            }
            terminal.answer(&mut child, password);
        }
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
fn nobody_is_asked_for_the_password_of_what_is_not_there() {
    let place = Place::new();
    for command in ["status", "doctor"] {
        let terminal = Terminal::open();
        let ended = asking_for(&terminal, command, &place.path("")).wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.starts_with("error: ") && !said.contains("Password"), "{said}");
    }
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

/// What Windows editors write, and what is wrong with a password, is said of where it came from.
#[test]
fn advice_names_where_the_password_came_from() {
    let place = Place::new();
    let file = place.path("secret.txt");
    let utf16 = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(order).collect()
    };
    let name = file.display().to_string();
    for (bytes, advice) in [
        (b"\"golden\"\n".to_vec(), format!("take the quotes out of {name}")),
        (b" golden\n".to_vec(), format!("take the blanks out of {name}")),
        (b"golden\n\n".to_vec(), format!("take the line break out of {name}")),
        (b"\xef\xbb\xbfgolden\r\n".to_vec(), format!("save {name} as UTF-8 without a byte order mark")),
        (utf16("golden\r\n", u16::to_le_bytes), format!("save {name} as UTF-8; it is UTF-16")),
        (utf16("golden", u16::to_be_bytes), format!("save {name} as UTF-8; it is UTF-16")),
        (Vec::new(), format!("the password file {name} is empty")),
        (b"wrong".to_vec(), format!("one line break at the end of {name} was cut")),
    ] {
        fs::write(&file, &bytes).unwrap();
        let ran = KopiaRs::golden("sources", "status")
            .without_password()
            .arg("--password-file")
            .arg(&file)
            .run()
            .exits(1);
        assert!(ran.stderr.contains(&advice), "{bytes:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("KOPIA_PASSWORD"), "{bytes:?}: {}", ran.stderr);
    }
    for (password, advice) in [
        ("\"golden\"", "take the quotes out of KOPIA_PASSWORD"),
        ("wrong", "KOPIA_PASSWORD is tried as it is and, as kopia takes it, without"),
        ("", "KOPIA_PASSWORD is empty"),
    ] {
        KopiaRs::golden("sources", "status").env("KOPIA_PASSWORD", password).run().exits(1).says(&[advice]);
    }
}

/// Kopia takes white space from the ends of what the variable says, and of a token's password, and none from
/// what is typed: a password may have some.
#[test]
fn white_space_around_a_variable_is_no_matter() {
    for password in ["golden\n", " golden", "\u{a0}golden\r\n\t"] {
        for command in ["status", "doctor"] {
            KopiaRs::golden("sources", command).env("KOPIA_PASSWORD", password).run().exits(0);
        }
    }
    KopiaRs::golden("sources", "status").env("KOPIA_PASSWORD", "gold en").run().exits(1);
    // Damage is told as damage, whatever the password needed.
    let place = Place::new();
    let repository = place.path("repository");
    let mut writer = RepositoryWriter::new().password(" spaced ");
    let file = writer.file(b"text");
    writer.snapshot("a@b:/c", json!({"name": "c", "type": "f", "mode": "0644", "size": 4, "obj": file}));
    writer.finish_in(&repository).unwrap();
    let status =
        |password: &str| KopiaRs::new("status").repository(&repository).env("KOPIA_PASSWORD", password).run();
    status(" spaced ").exits(0);
    status("spaced").exits(1);
    status(" spaced").exits(1).says(&["the password does not open"]);
}

#[test]
fn a_command_may_print_it() {
    let with = |command: &str| {
        KopiaRs::golden("sources", "status").without_password().arg("--password-command").arg(command)
    };
    for command in ["echo golden", "printf golden", "printf 'golden\\r\\n'", "x=gold; echo \"$x\"en"] {
        with(command).run().exits(0);
        with(command).env("KOPIA_PASSWORD", "wrong").run().exits(0);
    }
    with("echo wrong").run().exits(1).says(&["the password does not open", "what the command printed"]);
    with("true").run().exits(1).says(&["the password command printed nothing"]);
    // The command is not shown: there are people who write passwords into it.
    let failed = with("echo golden; exit 3 # hidden")
        .run()
        .exits(1)
        .says(&["the password command failed: exit status: 3"]);
    assert!(!failed.stderr.contains("hidden"), "{}", failed.stderr);
    with("cat /dev/zero").run().exits(1).says(&["more than 65536 bytes"]);
    with("echo golden").arg("--password-file").arg("/dev/null").run().exits(2);
    let doctor = KopiaRs::golden("sources", "doctor").without_password();
    doctor.arg("--password-command").arg("echo golden").run().exits(0);
    // It may ask somebody something, so it does not run for what is not there.
    let place = Place::new();
    let ran = place.path("ran");
    for command in ["status", "doctor"] {
        let nothing = KopiaRs::new(command).repository(&place.path("")).arg("--password-command");
        nothing.arg(format!("touch {}", ran.display())).run().exits(1);
        assert!(!ran.exists(), "{command}");
    }
}
