use kopia_format::directory::EntryKind;
use ratatui_core::backend::TestBackend;
use ratatui_core::terminal::Terminal;

use super::draw;
use crate::Options;
use crate::key::Key;
use crate::look::Look;
use crate::model::tests::{answer, catalogue, in_root, row};
use crate::model::{Answer, Model, State};

/// Draws on a terminal of this size, and returns its lines.
fn shown(model: &mut Model, columns: u16, rows: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    let options = Options { time: Box::new(|_| "2026-03-02 10:30:00".into()), ..Options::default() };
    let draw = |frame: &mut ratatui_core::terminal::Frame<'_>| {
        model.resize(columns, rows);
        draw(model, &options, 0, frame.buffer_mut());
    };
    terminal.draw(draw).unwrap();
    let buffer = terminal.backend().buffer();
    let line =
        |cells: &[ratatui_core::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
    buffer.content().chunks(columns.into()).map(|cells| line(cells).trim_end().to_owned()).collect()
}

#[test]
fn a_folder_on_a_usual_terminal() {
    let mut model = in_root(&["docs/", "a.txt", "b.txt"]);
    model.press(Key::Char(' '));
    let number = model.take_requests().remove(0).number;
    let lines = vec!["first".into(), "second".into()];
    model.answer(number, Answer::Look(Ok(Look { what: "text".into(), lines })));
    let lines = shown(&mut model, 100, 8);
    let expected = [
        " anna@laptop:/home  2026-03-02 10:30:00  /",
        "*docs/                            12 B  2026-03-02 10:30:00 | a.txt",
        " a.txt                            12 B  2026-03-02 10:30:00 | 12 B (12 bytes)",
        " b.txt                            12 B  2026-03-02 10:30:00 | 2026-03-02 10:30:00",
        "                                                            | text",
        "                                                            | first",
        "3 entries; 1 marked",
        "?=help q=quit Left=older Right=newer Backspace=up /=search Space=mark r=restore e=export",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn small_terminals_show_what_has_room() {
    let mut model = in_root(&["docs/", "a name that is long.txt"]);
    assert_eq!(
        shown(&mut model, 20, 5),
        [" ~03-02 10:30:00  /", " docs/", " a name that is lo~", "2 entries", "?=help q=quit Left=~"]
    );
    assert_eq!(shown(&mut model, 20, 3)[1..], [" docs/", "?=help q=quit Left=~"]);
    assert_eq!(shown(&mut model, 20, 2)[1..], [" docs/"]);
    for (columns, rows) in [(1, 1), (1, 30), (2, 4), (300, 1)] {
        shown(&mut model, columns, rows);
    }
}

#[test]
fn hostile_names_are_escaped_and_wide_ones_cut_where_they_end() {
    let mut model = in_root(&["a\n\u{1b}[31m\u{202e}b", "日本語日本語日本語日本語"]);
    let lines = shown(&mut model, 28, 6);
    assert_eq!(lines[1], " a\\n\\u{1b}[31m\\u{202e}b");
    // What follows a wide letter is a cell without one of its own.
    assert_eq!(lines[2].replace(' ', ""), "日本語日本語日本語日本語");
    assert_eq!(shown(&mut model, 10, 6)[2].replace(' ', ""), "日本語~");
}

#[test]
fn damage_and_absence_are_told_below_the_list() {
    let mut model = in_root(&["docs/"]);
    model.press(Key::Left);
    answer(&mut model, &[], State::Missing);
    assert!(shown(&mut model, 80, 6)[4].starts_with("it does not exist in this snapshot"));
    model.press(Key::Right);
    let number = model.take_requests().remove(0).number;
    model.answer(number, Answer::Rows(vec![row("b", EntryKind::Symlink)]));
    assert!(shown(&mut model, 80, 6)[4].starts_with("| reading: 1 entry so far; Esc stops it"));
    model.answer(number, Answer::End(State::Damaged("pack p1:\nbad".into())));
    let lines = shown(&mut model, 80, 6);
    assert!(lines[1].starts_with(" b@"));
    assert_eq!(lines[4], "1 entry, and damage: pack p1:\\nbad");
    model.press(Key::Enter);
    let number = model.take_requests().remove(0).number;
    model.answer(number, Answer::Look(Err("blob p1 is gone".into())));
    assert_eq!(shown(&mut model, 60, 6)[1..3], ["It cannot be read:", "blob p1 is gone"]);
}

#[test]
fn the_page_of_keys_and_what_is_typed_have_room_anywhere() {
    let mut model = Model::new(catalogue());
    assert!(shown(&mut model, 80, 6)[1].starts_with(" anna@laptop:/home"));
    model.press(Key::Char('?'));
    let lines = shown(&mut model, 80, 24);
    assert!(lines.iter().any(|line| line.starts_with("Space        mark")), "{lines:#?}");
    for _ in 0..200 {
        model.press(Key::Down);
        shown(&mut model, 24, 6);
    }
    let last = shown(&mut model, 24, 6)[1..4].join(" ");
    assert!(last.contains("status"), "the last of it can be scrolled to: {last}");
    let mut model = in_root(&["a"]);
    model.press(Key::Char('r'));
    assert_eq!(shown(&mut model, 60, 4)[3], "restore 1 entry into the folder: restored");
    "/a/long/way/to/go".chars().for_each(|c| drop(model.press(Key::Char(c))));
    assert_eq!(shown(&mut model, 24, 4)[3], "restore 1 entry~~/to/go");
}
