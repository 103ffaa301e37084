//! `browse`, at a terminal.

mod screen;

use std::fs;

use kopia_testkit::damage::copy_repository;
use kopia_testkit::golden;
use rustix::process::Signal;

use crate::common::{KopiaRs, Place};
use crate::terminal::Terminal;
use screen::Session;

/// What terminals send for keys.
const DOWN: &str = "\u{1b}[B";
const LEFT: &str = "\u{1b}[D";
const RIGHT: &str = "\u{1b}[C";
const BACKSPACE: &str = "\u{7f}";
const ENTER: &str = "\r";

fn browse(arguments: &str) -> KopiaRs {
    KopiaRs::golden("sources", &format!("browse {arguments}")).env("TERM", "xterm")
}

#[test]
fn a_file_of_an_older_snapshot_is_found_marked_and_restored() {
    let place = Place::new();
    let mut session = Session::start(browse("").in_folder(&place.path("")), 80, 24);
    session.wait_for(&["all sources", "app-src@media:/data", "db@media:/var/lib/db"]);
    session.press(DOWN, &[]);
    session.press(ENTER, &["app@media:/data: snapshots", "2026-03-02 03:04:05", "env:prod"]);
    session.press(ENTER, &["2026-03-02 03:04:05  /", "added-2.txt", "sub/", "6 entries"]);
    // Into a folder, and back in time with it.
    session.press(ENTER, &["  /sub", "deeper/", "link@", "zeros"]);
    session.press(LEFT, &["2026-02-02 03:04:05  /sub", "deeper/"]);
    session.press(LEFT, &["2026-01-02 03:04:05  /sub", "deeper/"]);
    session.press(LEFT, &["this is the oldest snapshot"]);
    session.press(BACKSPACE, &["2026-01-02 03:04:05  /", "random.bin", "5 entries"]);
    // One file is looked for and marked, and what is marked is restored.
    session.press("/hello", &["1 of 5 entries have \"hello\"", "15 B (15 bytes)"]);
    session.press("\r ", &["*hello.txt"]);
    session.press("r", &["restore 1 entry into the folder: restored"]);
    session.press("here\r", &["press Enter to go on browsing", "restored"]);
    assert!(session.terminal.shows_typing(), "the terminal is given back meanwhile");
    session.press("\n", &["nothing is marked any more", "2026-01-02 03:04:05  /"]);
    session.press("q", &[]);
    let (code, _) = session.end();
    assert_eq!(code, Some(0));
    let older = "cat d10d05992f2f195f9795d75c690b50ef/hello.txt";
    let expected = KopiaRs::golden("sources", older).run().exits(0).stdout;
    assert_eq!(fs::read(place.path("here/hello.txt")).unwrap(), expected);
    assert_eq!(expected.len(), 15, "the newest one has other bytes");
}

#[test]
fn what_is_named_is_where_it_begins_and_archives_are_written() {
    let place = Place::new();
    let begin = browse("a4619bca821361727192a30a1de54e5a/sub/zeros").in_folder(&place.path(""));
    let mut session = Session::start(begin, 80, 24);
    session.wait_for(&["2026-02-02 03:04:05  /sub", "33.3 kB (33,333 bytes)", "no text, the first 4.1 kB"]);
    session.press(ENTER, &["/sub/zeros", "0000  00 00 00"]);
    session.press("\u{1b}", &["/sub", "deeper/"]);
    session.press("e", &["export 1 entry to"]);
    session.press("z.tar\r", &["press Enter"]);
    session.press("\n", &["exported; nothing is marked"]);
    // Of a folder, the folder itself is restored.
    session.press("gr", &["restore 1 entry"]);
    session.press("out\r", &["press Enter"]);
    session.press("\nq", &[]);
    assert_eq!(session.end().0, Some(0));
    let archive = fs::read(place.path("z.tar")).unwrap();
    assert!(archive.len() > 33_333 && archive.windows(6).any(|name| name == b"zeros\0"));
    assert_eq!(fs::read(place.path("out/deeper/mixed")).unwrap().len(), 18_000);
}

#[test]
fn control_c_and_signals_give_the_terminal_back() {
    let mut session = Session::start(browse(""), 80, 24);
    session.wait_for(&["all sources"]);
    assert!(!session.terminal.shows_typing());
    session.press("\u{3}", &[]);
    let (code, written) = session.end();
    assert_eq!(code, Some(130));
    assert!(written.contains("SIGINT: stopped"), "{written}");
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut session = Session::start(browse(""), 80, 24);
        session.wait_for(&["all sources"]);
        session.signal(signal);
        let (ended, written) = session.end();
        assert_eq!(ended, Some(code));
        let last = written.rfind("\u{1b}[?1049l").unwrap();
        assert!(written[last..].contains("stopped by"), "it is told on the usual screen: {written}");
    }
}

#[test]
fn a_stopped_session_goes_on() {
    let mut session = Session::start(browse(""), 80, 24);
    session.wait_for(&["all sources"]);
    let screens = |session: &Session| session.written().matches("\u{1b}[?1049h").count();
    session.press("\u{1a}", &[]);
    // Where no shell waits for it the system lets it go on by itself. A signal that comes too early is lost.
    let mut tries = 0;
    while screens(&session) < 2 {
        assert!(tries < 1200, "it does not come back");
        tries += 1;
        std::thread::sleep(std::time::Duration::from_millis(50));
        session.signal(Signal::CONT);
        session.take();
    }
    session.press("q", &[]);
    assert_eq!(session.end().0, Some(0));
}

#[test]
fn small_terminals_and_other_sizes_do() {
    let mut session = Session::start(browse("app@media:/data").env("NO_COLOR", "1"), 20, 5);
    session.wait_for(&["sub/", "?=help"]);
    let colours = |written: &str| written.contains("\u{1b}[38;") || written.contains("\u{1b}[34m");
    assert!(!colours(&session.written()), "{:?}", session.written());
    session.press(ENTER, &["/sub", "deeper/"]);
    session.press("?", &["any key leaves"]);
    session.press("x", &["deeper/"]);
    session.press(RIGHT, &["this is the newest"]);
    session.resize(100, 30);
    session.wait_for(&["app@media:/data", "older Right=newer Backspace=up", "| deeper"]);
    session.resize(9, 2);
    session.wait_for(&[" deep"]);
    session.press("q", &[]);
    assert_eq!(session.end().0, Some(0));
    let mut session = Session::start(browse("app@media:/data").env("TERM", "linux"), 80, 24);
    session.wait_for(&["sub/"]);
    assert!(colours(&session.written()), "{:?}", session.written());
    session.press("q", &[]);
    assert_eq!(session.end().0, Some(0));
}

#[test]
fn damage_is_shown_where_it_is_met_and_told_at_the_end() {
    let (place, case) = (Place::new(), golden::case("sources"));
    let repository = copy_repository(&case);
    // The contents of files; those of directories are in packs q.
    for blob in repository.blobs("p") {
        fs::remove_file(blob.path).unwrap();
    }
    let command = KopiaRs::new("browse").arg(repository.path()).arg("app@media:/data/hello.txt");
    let command = command.env("KOPIA_PASSWORD", &case.password).env("TERM", "xterm");
    let mut session = Session::start(command.in_folder(&place.path("")), 80, 24);
    session.wait_for(&["hello.txt", "It cannot be read:"]);
    session.press("r", &["restore 1 entry"]);
    session.press(ENTER, &["error:", "press Enter"]);
    session.press("\n", &["not all was restored"]);
    session.press("q", &[]);
    assert_eq!(session.end().0, Some(3));
}

#[test]
fn without_a_terminal_another_command_is_named() {
    let ran = browse("").run().exits(1);
    ran.says(&["standard input is no terminal", "`kopia-rs ls latest`"]);
    let terminal = Terminal::open();
    let child = browse("").env("TERM", "dumb").on(&terminal);
    let shown = terminal.watch();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(1));
    let shown = shown.join().unwrap();
    assert!(shown.contains("TERM is dumb") && shown.contains("`kopia-rs ls latest`"), "{shown}");
    browse("--json").run().exits(2).says(&["--json has no meaning here", "`kopia-rs ls WHAT --json`"]);
    browse("--at 2w").run().exits(2).says(&["--at"]);
}
