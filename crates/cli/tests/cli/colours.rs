//! Colours, and what is said of names that are nearly right.

use crate::common::KopiaRs;
use crate::terminal::Terminal;

/// What a command shows on a terminal, as so many lines.
fn shown(arguments: &str, variables: &[(&str, &str)], lines: usize) -> Vec<String> {
    let mut terminal = Terminal::open();
    let command = KopiaRs::golden("sources", arguments).env("TERM", "xterm").stdout(terminal.inside());
    variables.iter().fold(command, |command, (name, value)| command.env(name, value)).run().exits(0);
    terminal.shown(lines)
}

#[test]
fn colours_are_for_terminals_that_are_not_told_otherwise() {
    let diff = shown("diff d10d c3bc", &[], 5);
    assert!(diff[0].starts_with("\u{1b}[32m+ added-1.txt\u{1b}[0m"), "{diff:?}");
    assert!(diff.iter().any(|line| line.starts_with("\u{1b}[31m- random.bin\u{1b}[0m")), "{diff:?}");
    let heading = shown("snapshots app@other:/data", &[], 2);
    assert_eq!(heading[0], "\u{1b}[1mapp@other:/data\u{1b}[0m");
    for variables in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
        let plain = shown("diff d10d c3bc", &variables, 5);
        assert!(plain.iter().all(|line| !line.contains('\u{1b}')), "{plain:?}");
    }
    // Empty is as unset.
    assert!(shown("diff d10d c3bc", &[("NO_COLOR", "")], 5)[0].contains('\u{1b}'));
    assert!(!KopiaRs::golden("sources", "diff d10d c3bc").run().exits(0).text().contains('\u{1b}'));
}

#[test]
fn labels_are_set_off_on_a_terminal() {
    for (variables, begins) in [(&[][..], "\u{1b}[31merror:\u{1b}[0m "), (&[("NO_COLOR", "1")], "error: ")] {
        let mut terminal = Terminal::open();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
        command.args(["status", "--repository", "/nonexistent"]).env_clear().env("KOPIA_PASSWORD", "x");
        command.envs(variables.iter().copied()).stderr(terminal.inside());
        assert_eq!(command.output().unwrap().status.code(), Some(1));
        let shown = terminal.shown(2);
        assert!(shown[0].starts_with(begins), "{shown:?}");
    }
}

#[test]
fn who_slips_is_told_what_was_probably_meant() {
    for (arguments, meant) in [
        ("ls aap@media:/data", "app@media:/data"),
        ("snapshots aap@media:/data", "app@media:/data"),
        ("snapshots db@medai:/var/lib/db", "db@media:/var/lib/db"),
        // Paths and parts of sources.
        ("ls /var/libs/db", "db@media:/var/lib/db"),
        ("snapshots othr", "app@other:/data"),
        ("ls medai/x", "media"),
        ("ls app-scr/hello.txt", "app-src@media:/data"),
    ] {
        let said = format!("did you mean {meant}?");
        KopiaRs::golden("sources", arguments).run().exits(1).says(&[&said]);
    }
    for (what, meant) in [
        ("app@media:/data/helo.txt", "app@media:/data/hello.txt"),
        ("c3bc/subb/deeper", "c3bc/sub"),
        ("app@media:/data/sub/depeer/x/y", "app@media:/data/sub/deeper"),
        ("app@other:/data/HELLO.TXT", "app@other:/data/hello.txt"),
    ] {
        let place = crate::common::Place::new();
        let said = format!("did you mean {meant}?");
        for command in ["ls", "cat", "verify", "du"] {
            KopiaRs::golden("sources", command).arg(what).run().exits(1).says(&["path /", &said]);
        }
        KopiaRs::golden("sources", "find *").arg(what).run().exits(1).says(&[&said]);
        for (command, target) in [("restore", "restored"), ("export", "x.zip")] {
            let command = KopiaRs::golden("sources", command).arg(what).arg(place.path(target));
            command.run().exits(1).says(&[&said]);
        }
    }
    let ran = KopiaRs::golden("sources", "ls app@media:/data/nothing-like-it").run().exits(1);
    assert!(!ran.stderr.contains("did you mean"), "{}", ran.stderr);
    for arguments in ["ls nothing", "ls zz", "snapshots /home"] {
        let ran = KopiaRs::golden("sources", arguments).run().exits(1);
        assert!(!ran.stderr.contains("did you mean"), "{}", ran.stderr);
    }
}

#[test]
fn short_help_is_short() {
    let lines = |arguments: &str| KopiaRs::new(arguments).run().exits(0).text().lines().count();
    for command in ["", "ls", "snapshots", "restore", "verify", "export"] {
        let (short, long) = (lines(&format!("{command} -h")), lines(&format!("{command} --help")));
        assert!(short < 100 && short * 2 < long, "{command}: {short} of {long} lines");
    }
    let restore = KopiaRs::new("restore -h").run().exits(0);
    assert!(restore.text().contains("--dry-run") && restore.text().contains("--repository"));
    assert!(!restore.text().contains("--format-blob"));
    assert!(restore.text().lines().all(|line| line.chars().count() <= 100), "{}", restore.text());
}
