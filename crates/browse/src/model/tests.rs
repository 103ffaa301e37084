use super::*;
use crate::catalogue::{Source, Taken};
use crate::key::Key;
use kopia_format::Timestamp;

/// Two sources: one with three snapshots, one with one.
pub(crate) fn catalogue() -> Catalogue {
    let taken = |number: u8| Taken {
        id: format!("{number}").repeat(32),
        time: Timestamp::default(),
        bytes: 1500,
        files: 2,
        marks: Vec::new(),
    };
    let source = |name: &str, snapshots| Source { name: name.into(), snapshots };
    Catalogue {
        sources: vec![source("anna@laptop:/home", 0..3), source("ben@desk:/", 3..4)],
        snapshots: (0..4).map(taken).collect(),
    }
}

pub(crate) fn row(name: &str, kind: EntryKind) -> Row {
    Row { name: name.into(), kind, size: 12, files: 3, modified: Timestamp::default() }
}

fn model() -> Model {
    let mut model = Model::new(catalogue());
    model.resize(80, 24);
    model
}

fn press(model: &mut Model, keys: &[Key]) -> Option<Effect> {
    keys.iter().fold(None, |_, &key| model.press(key))
}

/// Answers the request for a folder, which must be the only one of its kind.
pub(crate) fn answer(model: &mut Model, names: &[&str], state: State) -> Request {
    let requests = model.take_requests();
    let mut folders = requests.into_iter().filter(|request| request.wanted == Wanted::Folder);
    let (Some(request), None) = (folders.next(), folders.next()) else { panic!("one folder is asked for") };
    let kind = |name: &str| if name.ends_with('/') { EntryKind::Directory } else { EntryKind::File };
    let rows = names.iter().map(|name| row(name.trim_end_matches('/'), kind(name))).collect();
    model.answer(request.number, Answer::Rows(rows));
    model.answer(request.number, Answer::End(state));
    request
}

/// In the root of the newest snapshot of the first source.
pub(crate) fn in_root(names: &[&str]) -> Model {
    let mut model = model();
    press(&mut model, &[Key::Enter, Key::Enter]);
    let request = answer(&mut model, names, State::Whole);
    assert_eq!((request.snapshot, &*request.path), (0, ""));
    model
}

fn under(model: &Model) -> &str {
    model.row().map_or("", |row| &row.name)
}

#[test]
fn the_way_leads_from_sources_to_folders_and_back() {
    let mut model = in_root(&["docs/", "a.txt"]);
    press(&mut model, &[Key::Enter]);
    assert_eq!(answer(&mut model, &["old/", "b.txt"], State::Whole).path, "docs");
    press(&mut model, &[Key::Enter]);
    assert_eq!(answer(&mut model, &[], State::Whole).path, "docs/old");
    press(&mut model, &[Key::Backspace]);
    answer(&mut model, &["new/", "old/"], State::Whole);
    assert_eq!(under(&model), "old", "the cursor is where one came from");
    press(&mut model, &[Key::Backspace]);
    answer(&mut model, &["docs/", "a.txt"], State::Whole);
    press(&mut model, &[Key::Backspace]);
    assert_eq!((model.place, model.snapshot()), (Place::Times, Some(0)));
    press(&mut model, &[Key::Backspace]);
    assert_eq!(model.place, Place::Sources);
    assert_eq!(press(&mut model, &[Key::Char('q')]), Some(Effect::Leave(Leave::Quit)));
}

#[test]
fn left_and_right_keep_the_folder_and_the_entry() {
    let mut model = in_root(&["docs/", "a.txt"]);
    press(&mut model, &[Key::Enter]);
    answer(&mut model, &["x", "y"], State::Whole);
    press(&mut model, &[Key::Down, Key::Left]);
    let request = answer(&mut model, &["w", "x", "y"], State::Whole);
    assert_eq!((request.snapshot, &*request.path, under(&model)), (1, "docs", "y"));
    // It is not in the oldest one, and both are there again on the way back.
    press(&mut model, &[Key::Left]);
    assert_eq!(answer(&mut model, &[], State::Missing).snapshot, 2);
    assert_eq!((model.folder.len(), &model.folder.state), (0, &State::Missing));
    press(&mut model, &[Key::Left]);
    assert!(model.message.as_ref().is_some_and(|message| message.text.contains("oldest")));
    press(&mut model, &[Key::Right]);
    answer(&mut model, &["w", "x", "y"], State::Whole);
    assert_eq!((model.folder.snapshot, under(&model)), (1, "y"));
    press(&mut model, &[Key::Right]);
    answer(&mut model, &["x", "y"], State::Whole);
    press(&mut model, &[Key::Right]);
    assert!(model.message.as_ref().is_some_and(|message| message.text.contains("newest")));
}

#[test]
fn reading_can_be_left_and_late_answers_are_nothing() {
    let mut model = in_root(&["docs/", "a.txt"]);
    press(&mut model, &[Key::Enter]);
    let late = model.take_requests().remove(0).number;
    model.answer(late, Answer::Rows(vec![row("half", EntryKind::File)]));
    assert!(model.is_reading() && under(&model) == "half");
    press(&mut model, &[Key::Esc]);
    assert_eq!((&*model.folder.path, under(&model)), ("", "docs"));
    assert!(!model.awaited().contains(&late));
    model.answer(late, Answer::Rows(vec![row("late", EntryKind::File)]));
    model.answer(late, Answer::End(State::Whole));
    assert_eq!(model.folder.len(), 2);
    // Who goes on while something is read comes back to what was whole.
    press(&mut model, &[Key::Left, Key::Left, Key::Esc]);
    assert_eq!((model.folder.snapshot, model.folder.len()), (0, 2));
    assert_eq!(model.snapshot(), Some(0));
}

#[test]
fn damage_is_shown_and_ends_nothing() {
    let mut model = in_root(&["docs/", "a.txt"]);
    press(&mut model, &[Key::Enter]);
    let number = model.take_requests().remove(0).number;
    model.answer(number, Answer::Rows(vec![row("b", EntryKind::File)]));
    model.answer(number, Answer::Note("..: the entry would leave its folder".into()));
    model.answer(number, Answer::End(State::Damaged("pack p1: bad".into())));
    assert_eq!((under(&model), model.folder.left_out), ("b", 1));
    press(&mut model, &[Key::Backspace]);
    answer(&mut model, &["docs/", "a.txt"], State::Whole);
    assert_eq!(under(&model), "docs");
}

#[test]
fn what_is_marked_is_restored_and_exported() {
    let mut model = in_root(&["docs/", "a.txt", "b.txt"]);
    press(&mut model, &[Key::Char(' '), Key::Char(' ')]);
    assert_eq!((model.marks.len(), under(&model)), (2, "b.txt"));
    // Another snapshot's of the same name is another one.
    press(&mut model, &[Key::Left]);
    answer(&mut model, &["a.txt", "b.txt"], State::Whole);
    press(&mut model, &[Key::Char(' '), Key::Char('r'), Key::Char('t'), Key::Char('o')]);
    let effect = press(&mut model, &[Key::Enter]);
    let Some(Effect::Leave(Leave::Restore { picked, target })) = effect else { panic!("{effect:?}") };
    let names: Vec<_> = picked.iter().map(|one| (&one.snapshot[..1], &*one.path, one.is_folder)).collect();
    assert_eq!(names, [("0", "a.txt", false), ("0", "docs", true), ("1", "b.txt", false)]);
    assert_eq!(target, "to", "typing takes the place of what is proposed");
    model.done("not all", false);
    assert_eq!(model.marks.len(), 3);
    model.done("restored", true);
    assert_eq!(model.marks.len(), 0);
    let effect = press(&mut model, &[Key::Char('e'), Key::Backspace, Key::Enter]);
    let Some(Effect::Leave(Leave::Export { picked, file })) = effect else { panic!("{effect:?}") };
    assert_eq!((&*picked[0].path, picked.len()), ("b.txt", 1), "nothing is marked: what is under the cursor");
    assert_eq!(file, "restored.tar.zs");
    // A whole snapshot, and no source.
    let mut model = self::model();
    press(&mut model, &[Key::Char('r')]);
    assert!(model.prompt.is_none() && model.message.is_some());
    let effect = press(&mut model, &[Key::Enter, Key::Down, Key::Char('r'), Key::Enter]);
    let Some(Effect::Leave(Leave::Restore { picked, .. })) = effect else { panic!("{effect:?}") };
    assert_eq!((&picked[0].snapshot[..1], &*picked[0].path), ("1", ""));
}

#[test]
fn a_search_narrows_the_folder_and_is_ended_by_esc() {
    let mut model = in_root(&["docs/", "a.txt", "B.TXT", "c"]);
    press(&mut model, &[Key::Down, Key::Down, Key::Char('/'), Key::Char('t'), Key::Char('x')]);
    assert_eq!((model.folder.len(), under(&model)), (2, "B.TXT"));
    press(&mut model, &[Key::Enter, Key::Char(' ')]);
    assert!(model.marks.has(0, "B.TXT"));
    // Rows that come later are looked through as well, and time keeps the search.
    press(&mut model, &[Key::Left]);
    answer(&mut model, &["docs/", "z.txt", "c"], State::Whole);
    assert_eq!((model.folder.len(), under(&model)), (1, "z.txt"));
    press(&mut model, &[Key::Esc]);
    assert_eq!((model.folder.len(), under(&model)), (3, "z.txt"));
    press(&mut model, &[Key::Char('/'), Key::Char('q'), Key::Char('q')]);
    assert_eq!((model.folder.len(), under(&model)), (0, ""));
    press(&mut model, &[Key::Down, Key::Enter, Key::Enter, Key::Char(' '), Key::Esc]);
    assert_eq!(model.folder.len(), 3);
}

#[test]
fn a_file_is_looked_at_beside_the_list_where_there_is_room_and_on_all_of_the_screen() {
    let mut model = in_root(&["docs/", "a.txt", "b.txt"]);
    assert!(model.take_requests().is_empty(), "a folder needs no look");
    press(&mut model, &[Key::Down]);
    let requests = model.take_requests();
    assert_eq!((requests.len(), &*requests[0].path, requests[0].wanted), (1, "a.txt", Wanted::Look));
    let lines = (0..50).map(|line| line.to_string()).collect();
    model.answer(requests[0].number, Answer::Look(Ok(Look { what: "text".into(), lines })));
    press(&mut model, &[Key::Enter, Key::PageDown]);
    assert_eq!((model.preview.is_full, model.preview.top), (true, 21));
    press(&mut model, &[Key::End]);
    assert_eq!(model.preview.top, 29);
    // The same file in another snapshot, which does not have it.
    press(&mut model, &[Key::Left]);
    answer(&mut model, &["docs/", "b.txt"], State::Whole);
    assert!(model.take_requests().is_empty());
    assert!(matches!(&model.preview.look, Some(Ok(look)) if look.what.contains("not there")));
    press(&mut model, &[Key::Right]);
    answer(&mut model, &["docs/", "a.txt", "b.txt"], State::Whole);
    assert_eq!((model.take_requests().len(), under(&model)), (1, "a.txt"));
    press(&mut model, &[Key::Esc]);
    assert!(!model.preview.is_full);
    // On a small screen nothing is read for a place that is not there.
    model.resize(40, 10);
    press(&mut model, &[Key::Down]);
    assert!(model.take_requests().is_empty());
}

#[test]
fn a_snapshot_of_a_single_file_is_one_row() {
    let mut model = model();
    press(&mut model, &[Key::Enter, Key::Enter]);
    let number = model.take_requests().remove(0).number;
    model.answer(number, Answer::End(State::File));
    model.answer(number, Answer::Rows(vec![row("data.db", EntryKind::File)]));
    assert_eq!(model.take_requests().remove(0).path, "", "its root is the file");
}

#[test]
fn the_terminal_s_own_keys_work_everywhere() {
    for keys in [&[][..], &[Key::Char('?')], &[Key::Enter, Key::Enter, Key::Char('/')]] {
        let mut model = model();
        press(&mut model, keys);
        assert_eq!(model.press(Key::Ctrl('z')), Some(Effect::Suspend));
        assert_eq!(model.press(Key::Ctrl('l')), Some(Effect::Redraw));
        assert_eq!(model.press(Key::Ctrl('c')), Some(Effect::Leave(Leave::Interrupt)));
    }
    let mut model = model();
    press(&mut model, &[Key::Char('?'), Key::Down]);
    assert_eq!(model.help, Some(1));
    assert_eq!(press(&mut model, &[Key::Char('q')]), None);
    assert_eq!(model.help, None);
}

#[test]
fn random_keys_on_random_screens_break_nothing() {
    let keys = [
        Key::Up,
        Key::Down,
        Key::Left,
        Key::Right,
        Key::PageUp,
        Key::PageDown,
        Key::Home,
        Key::End,
        Key::Enter,
        Key::Backspace,
        Key::Esc,
        Key::Char(' '),
        Key::Char('/'),
        Key::Char('a'),
        Key::Char('r'),
        Key::Char('?'),
        Key::Char('c'),
        Key::Char('p'),
        Key::Ctrl('u'),
    ];
    let states = [State::Whole, State::Missing, State::Cut, State::Damaged("x".into()), State::NoFolder];
    let mut random = kopia_testkit::random::Random::new(7);
    let options = crate::Options::default();
    let mut model = model();
    for _ in 0..20_000 {
        let mut below = |limit: usize| random.within(0..limit);
        model.press(keys[below(keys.len())]);
        if below(3) == 0 {
            for request in model.take_requests() {
                let names = 0..below(40);
                let rows = names.map(|name| row(&name.to_string(), EntryKind::Directory)).collect();
                model.answer(request.number, Answer::Rows(rows));
                model.answer(request.number, Answer::End(states[below(states.len())].clone()));
            }
        }
        let (columns, rows) = (below(100) as u16, below(30) as u16);
        model.resize(columns, rows);
        let area = ratatui_core::layout::Rect::new(0, 0, columns, rows);
        crate::view::draw(&mut model, &options, 0, &mut ratatui_core::buffer::Buffer::empty(area));
        let (length, cursor) = model.list();
        assert!(cursor.place < length.max(1));
    }
}
