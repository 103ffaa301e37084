//! Completions and manual pages.

use std::process::Command;

use kopia_testkit::golden;

use crate::common::{KopiaRs, Place, names};

/// What the last of some words may become, without what is said of it.
fn candidates(words: &[&str]) -> Vec<String> {
    let all = completed(words);
    all.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

fn completed(words: &[&str]) -> String {
    let ran = words.iter().fold(asked(), |command, word| command.arg(word)).run().exits(0);
    assert_eq!(ran.stderr, "");
    ran.text().to_owned()
}

/// What a shell asks, up to the words after the name of the command.
fn asked() -> KopiaRs {
    let golden = golden::case("sources");
    let asked = KopiaRs::new("completions -- kopia-rs").env("KOPIA_REPOSITORY", &golden.repository);
    // However slow the machine is.
    asked.env("KOPIA_PASSWORD", &golden.password).env("KOPIA_RS_COMPLETION_SECONDS", "600")
}

#[test]
fn sources_snapshots_and_paths_are_completed() {
    let sources = completed(&["ls", "app@"]);
    assert_eq!(
        sources,
        "app@media:/data\t3 snapshots, newest 2026-03-02 03:04\n\
         app@media:/data/hello.txt\t1 snapshot, newest 2026-11-22 23:32\n\
         app@other:/data\t1 snapshot, newest 2026-11-22 23:32\n"
    );
    assert_eq!(completed(&["restore", "c3b"]), "c3bc3213\tapp@media:/data, 2026-03-02 03:04\n");
    assert_eq!(candidates(&["log", "old"]), ["oldest"]);
    let paths = completed(&["cat", "app@other:/data/h"]);
    assert_eq!(paths, "app@other:/data/hello.txt\t14 B\n");
    let below = candidates(&["restore", "c3bc/sub/"]);
    assert_eq!(below, ["c3bc/sub/deeper/", "c3bc/sub/link", "c3bc/sub/zeros"]);
    // Of the snapshot that is meant.
    assert_eq!(candidates(&["ls", "--at", "2026-01", "app@media:/data/ra"]), ["app@media:/data/random.bin"]);
    assert!(candidates(&["ls", "app@media:/data/ra"]).is_empty());
    // A second one, too.
    assert_eq!(candidates(&["diff", "d10d", "c3b"]), ["c3bc3213"]);
}

#[test]
fn commands_options_and_files_are_completed() {
    assert_eq!(candidates(&["stat"]), ["status", "stats"]);
    assert_eq!(candidates(&["restore", "--dry"]), ["--dry-run"]);
    assert_eq!(candidates(&["ls", "--sort", "s"]), ["size"]);
    // Some forty options would hide what is looked for.
    let all = candidates(&["restore", ""]);
    assert!(all.iter().all(|word| !word.starts_with('-')) && all.len() >= 7, "{all:?}");
    assert!(candidates(&["restore", "-"]).len() > 30);
    let place = Place::new();
    std::fs::create_dir(place.path("target")).unwrap();
    let start = place.path("tar").display().to_string();
    assert_eq!(candidates(&["restore", "latest", &start]), [format!("{}/", place.path("target").display())]);
}

/// Nobody is asked for a password, and nothing is said, while a line is typed.
#[test]
fn what_does_not_open_has_no_candidates() {
    let ran = asked().arg("ls").arg("app").without_password().run().exits(0);
    assert_eq!((ran.text(), &*ran.stderr), ("", ""));
    let place = Place::new();
    let run_it = format!("touch {}", place.path("ran").display());
    let words = ["--password-command", &run_it, "ls", "app"];
    let ran = words.iter().fold(asked().without_password(), |command, word| command.arg(word)).run().exits(0);
    assert_eq!((ran.text(), &*ran.stderr), ("", ""));
    assert!(!place.path("ran").exists());
    KopiaRs::new("completions -- kopia-rs ls app").run().exits(0);
    KopiaRs::new("completions -- kopia-rs --nonsense x y z").run().exits(0);
    KopiaRs::new("completions --").run().exits(2);
    KopiaRs::new("completions").env("SHELL", "/bin/tcsh").run().exits(2).says(&["bash, zsh or fish"]);
}

/// What a shell makes of it, if it is there: words after the first, the last of which is completed.
fn in_bash(line: &str) -> Option<String> {
    let script = KopiaRs::new("completions bash").run().exits(0).text().to_owned();
    // As readline splits a line, and what it takes for the piece that is completed.
    let call = r#"
        read -r -a COMP_WORDS < <(sed 's/\([:@=]\)/ \1 /g' <<< "$LINE"); [[ $LINE == *' ' ]] && COMP_WORDS+=("")
        COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        piece=${COMP_WORDS[COMP_CWORD]}; [[ $piece == [:@=] ]] && piece=
        _kopia_rs kopia-rs "$piece" ""; printf '%s\n' "${COMPREPLY[@]}""#;
    let golden = golden::case("sources");
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &format!("{script}\n{call}")]).env_clear().env("LINE", line).env("TZ", "UTC");
    bash.env("PATH", std::env::var_os("PATH")?).env("HOME", "/nonexistent");
    bash.env("KOPIA_RS_COMPLETION_SECONDS", "600")
        .env("KOPIA_REPOSITORY", &golden.repository)
        .env("KOPIA_PASSWORD", &golden.password);
    let ran = bash.output().ok()?;
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "", "{line}");
    Some(String::from_utf8(ran.stdout).unwrap())
}

#[test]
fn bash_replaces_only_the_piece_that_it_knows() {
    if Command::new("bash").arg("--version").output().is_err() {
        return;
    }
    for (line, replies) in [
        ("kopia-rs stat", "status\nstats\n"),
        (
            "kopia-rs ls ap",
            "app-src@media:/data\napp@media:/data\napp@media:/data/hello.txt\napp@other:/data\n",
        ),
        // Bash has `app`, `@` and `o` here, and puts the reply in place of `o`.
        ("kopia-rs ls app@o", "other:/data\n"),
        ("kopia-rs ls app@other:", "/data\n"),
        ("kopia-rs ls app@other:/data/s", "/data/sub/\n"),
        ("kopia-rs restore app@other:/data/sub/ --dry", "--dry-run\n"),
        ("kopia-rs ls nonsense", "\n"),
    ] {
        assert_eq!(in_bash(line).as_deref(), Some(replies), "{line}");
    }
}

#[test]
fn shells_take_the_scripts() {
    let place = Place::new();
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = KopiaRs::new(&format!("completions {shell}")).run().exits(0);
        assert!(script.text().contains(env!("CARGO_BIN_EXE_kopia-rs")) && !script.text().contains("PROGRAM"));
        let by_variable =
            KopiaRs::new("completions").env("SHELL", format!("/usr/bin/{shell}")).run().exits(0);
        assert_eq!(by_variable.text(), script.text());
        let file = place.path(shell);
        std::fs::write(&file, script.text()).unwrap();
        if let Ok(checked) = Command::new(shell).arg(check).arg(&file).output() {
            assert!(checked.status.success(), "{shell}: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let place = Place::new();
    let pages = place.path("share/man1");
    KopiaRs::new("man").arg(&pages).run().exits(0);
    let help = KopiaRs::new("--help").run().exits(0);
    let (_, commands) = help.text().split_once("Commands:\n").unwrap();
    let named = commands.lines().take_while(|line| line.starts_with(' '));
    let named = named.filter_map(|line| {
        line.strip_prefix("  ")?.split_whitespace().next().filter(|_| !line.starts_with("   "))
    });
    let mut expected: Vec<_> =
        named.filter(|name| *name != "help").map(|name| format!("kopia-rs-{name}.1")).collect();
    expected.push("kopia-rs.1".into());
    expected.sort();
    assert!(expected.len() > 15, "{expected:?}");
    assert_eq!(names(&pages), expected);
    let page = std::fs::read_to_string(pages.join("kopia-rs-restore.1")).unwrap();
    assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{page}");
    assert!(page.contains(r"\-\-dry\-run") && page.contains(r"\-\-repository"), "{page}");
    let alone = KopiaRs::new("man").run().exits(0);
    assert_eq!(alone.text(), std::fs::read_to_string(pages.join("kopia-rs.1")).unwrap());
}
