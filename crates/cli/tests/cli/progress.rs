//! Progress: for people at a terminal, in lines, and for programs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kopia_testkit::golden;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::{KopiaRs, Place, signalled};
use crate::terminal::Terminal;

/// A restore of 4.3 MB that takes some seconds.
fn slow(place: &Place, arguments: &[&str]) -> Command {
    limited(place, arguments, "1M")
}

/// The same at so many bytes a second.
fn limited(place: &Place, arguments: &[&str], rate: &str) -> Command {
    let case = golden::case("sources");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kopia-rs"));
    command
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("TZ", "UTC")
        .env("KOPIA_PASSWORD", case.password)
        .env("NO_COLOR", "1");
    command.args(["restore", "db@media:/var/lib/db"]).arg(place.path("target")).stdin(Stdio::null());
    command.args(arguments).args(["--limit-download", rate, "--repository"]).arg(case.repository);
    command
}

fn events(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn programs_are_told_as_json() {
    let place = Place::new();
    let output = slow(&place, &["--progress", "json"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let events = events(&said);
    let number = |event: &Value, key: &str| event[key].as_u64().unwrap();
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["phase"]), (&"progress".into(), &"done".into()), "{said}");
    assert_eq!(number(last, "entries"), number(last, "entriesTotal"), "{said}");
    assert_eq!(number(last, "bytes"), number(last, "bytesTotal"), "{said}");
    assert_eq!((number(last, "bytesKept"), number(last, "problems")), (0, 0));
    assert!(events.windows(2).all(|pair| pair[0]["bytes"].as_u64() <= pair[1]["bytes"].as_u64()), "{said}");
    // What is there already counts, too.
    let output = slow(&place, &["--progress", "json"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let last = self::events(&said).pop().unwrap();
    assert_eq!(number(&last, "bytesKept"), number(&last, "bytesTotal"), "{said}");
}

#[test]
fn a_terminal_has_a_bar_of_one_line() {
    let place = Place::new();
    let terminal = Terminal::open();
    terminal.resize(80);
    let mut child = on(&terminal, slow(&place, &[]).env("TERM", "xterm"));
    let shown = terminal.watch();
    assert!(child.wait().unwrap().success());
    let shown = shown.join().unwrap();
    assert!(shown.contains("of   4.3 MB") && shown.contains('░'), "{shown}");
    let bars = shown.split(['\r', '\n']).map(without_sequences).filter(|line| line.contains(" %  "));
    let widths: BTreeSet<_> = bars.map(|bar| bar.trim_end().chars().count()).collect();
    assert!(widths.len() <= 2 && widths.iter().all(|width| *width < 80), "{widths:?}: {shown}");
}

/// Starts a command that writes to a terminal.
fn on(terminal: &Terminal, command: &mut Command) -> Child {
    command.stderr(terminal.inside()).stdout(Stdio::null()).spawn().unwrap()
}

/// Waits until a restore has come so far.
fn wait_until(child: &mut Child, mut is_so_far: impl FnMut() -> bool) {
    while !is_so_far() {
        let ended = child.try_wait().unwrap();
        assert_eq!(ended, None, "it ended before this was seen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Takes out what moves a cursor.
fn without_sequences(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| {
        all + part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest)
    })
}

#[test]
fn lines_come_where_nothing_can_be_drawn_and_when_a_signal_asks() {
    for (arguments, term) in [(&[][..], "dumb"), (&["--progress", "none"], "xterm"), (&["--quiet"], "xterm")]
    {
        let place = Place::new();
        let terminal = Terminal::open();
        let mut child = on(&terminal, slow(&place, arguments).env("TERM", term));
        let shown = terminal.watch();
        wait_until(&mut child, || place.path("target").exists());
        kill_process(Pid::from_child(&child), Signal::USR1).unwrap();
        assert!(child.wait().unwrap().success(), "{arguments:?}");
        let shown = shown.join().unwrap();
        assert!(!shown.contains('░') && !shown.contains('\u{1b}'), "{arguments:?}: {shown}");
        let asked =
            shown.lines().filter(|line| line.contains(" entries, ") || line.contains("reading folders"));
        // Where a line comes every few seconds, there may be more of them.
        let number = asked.count();
        assert!(number == 1 || number > 1 && term == "dumb", "{arguments:?}: {shown}");
        assert_eq!(shown.contains("note: restoring"), arguments != ["--quiet"], "{shown}");
    }
}

#[test]
fn what_the_last_run_wrote_is_said_first() {
    let place = Place::new();
    let target = place.path("target");
    // On a machine that has no time the restore may be over before the signal, or take longer to stop than it
    // may.
    let stopped = (0..8).any(|_| {
        if target.exists() {
            fs::remove_dir_all(&target).unwrap();
        }
        stops_by_itself(&place, &target)
    });
    assert!(stopped, "the restore never stopped by itself");
    let again = slow(&place, &[]).output().unwrap();
    let (text, said) = (String::from_utf8(again.stdout).unwrap(), String::from_utf8(again.stderr).unwrap());
    assert!(again.status.success(), "{said}");
    assert!(said.contains("going on from an interrupted run"), "{said}");
    assert!(text.lines().next().unwrap().ends_with("from the last run kept, checked by hash"), "{text}");
}

/// Signals a restore that has staged something; returns whether it was stopped in the middle, and by itself.
fn stops_by_itself(place: &Place, target: &Path) -> bool {
    // The longest read takes half a second: one that takes longer than a restore may to stop would not be waited
    // for.
    let mut restore = limited(place, &[], "4M");
    let child = restore.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // A signal that comes very early leaves nothing.
    let ended = signalled(child, Signal::INT, || has_staged(target));
    let said = String::from_utf8(ended.stderr).unwrap();
    if ended.status.success() {
        return false;
    }
    assert_eq!(ended.status.code(), Some(130), "{said}");
    let by_itself = said.contains("run the same command again to go on from there");
    assert!(by_itself || said.contains("the same command goes on from there"), "{said}");
    by_itself
}

/// Returns whether a file is there that the folder `many` of [`slow`] is to have.
fn has_staged(target: &Path) -> bool {
    let found = fs::read_dir(target).into_iter().flatten().flatten();
    found
        .map(|entry| entry.path().join("many"))
        .any(|many| fs::read_dir(many).is_ok_and(|mut files| files.next().is_some()))
}

#[test]
fn how_it_is_wanted_is_checked() {
    KopiaRs::golden("sources", "status --progress loud").run().exits(2).says(&["loud", "json", "lines"]);
}
