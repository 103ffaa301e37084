//! The line above the last: what is under way, what is wrong, what is marked.

use kopia_diagnosis::text::{count, escape, thousands};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

use super::paint::{Paint, put};
use crate::model::{Model, Place, State};
use crate::text::head;

/// Turns while something is read.
const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

pub(super) fn draw(model: &Model, tick: usize, area: Rect, paint: &Paint, buffer: &mut Buffer) {
    let (text, is_bad) = text(model, tick);
    let style = if is_bad { paint.bad } else { paint.faint };
    let width = usize::from(area.width);
    put(buffer, area.x, area.y, &head(&escape(&text), width), width, style);
}

/// Returns what is told, and whether it is something bad.
fn text(model: &Model, tick: usize) -> (String, bool) {
    if let Some(message) = &model.message {
        return (message.text.clone(), message.is_bad);
    }
    let marked = match model.marks.len() {
        0 => String::new(),
        number => format!("; {} marked", thousands(number as u64)),
    };
    if model.place != Place::Folder {
        return (marked.trim_start_matches("; ").to_owned(), false);
    }
    let folder = &model.folder;
    let entries = count(folder.rows.len() as u64, "entry", "entries");
    let spinner = SPINNER[tick % SPINNER.len()];
    let (state, is_bad) = match &folder.state {
        State::Reading => (format!("{spinner} reading: {entries} so far; Esc stops it"), false),
        State::Whole if !folder.search.is_empty() => {
            (format!("{} of {entries} have {:?}", thousands(folder.len() as u64), folder.search), false)
        }
        State::Whole | State::File => (entries, false),
        State::Left => (format!("{entries}, and more that were not read"), false),
        State::Cut => (format!("the first {entries} are shown; `kopia-rs ls` and `find` show all"), true),
        State::Missing => {
            ("it does not exist in this snapshot; Left and Right go on through time".into(), true)
        }
        State::NoFolder => ("it is no folder in this snapshot".into(), true),
        State::Damaged(why) => (format!("{entries}, and damage: {why}"), true),
    };
    let (left_out, is_worse) = match folder.notes.first() {
        Some(note) => (format!("; {} left out: {note}", thousands(folder.left_out)), true),
        None => (String::new(), false),
    };
    (format!("{state}{left_out}{marked}"), is_bad || is_worse)
}
