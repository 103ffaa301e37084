//! The last line, and the page of keys.

use kopia_diagnosis::text::escape;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Position, Rect};

use super::paint::{Paint, put};
use crate::model::{Asked, Model, Place};
use crate::text::{columns, head, tail};

/// All keys, and what they do.
const KEYS: [(&str, &str); 17] = [
    ("Up Down k j", "one line up or down; PgUp, PgDn, Home (g), End (G) go farther"),
    ("Enter", "open a source, snapshot, folder or file"),
    ("Backspace u", "go up: to the folder above, to the snapshots, to the sources"),
    ("Left", "the same folder in the snapshot before"),
    ("Right", "the same folder in the snapshot after"),
    ("/", "look for letters in the names here; Enter keeps what is found, Esc ends it"),
    ("Space", "mark, or mark no more; marks stay in other folders and snapshots"),
    ("c", "mark nothing any more"),
    ("r", "restore what is marked, or is under the cursor, into a folder"),
    ("e", "write it to an archive: tar, tar.zst, tar.gz or zip"),
    ("p", "show files beside the list, or not; it takes 72 columns"),
    ("Esc", "stop reading a folder, close a file, end a search"),
    ("^L", "draw everything again"),
    ("^Z", "back to the shell; `fg` comes back"),
    ("?", "this page; any key but Up and Down leaves it"),
    ("q", "leave"),
    ("^C", "leave at once, with exit status 130"),
];

/// Columns for the names of keys.
const NAMES: usize = 13;

/// Draws the page of keys.
pub(super) fn page(model: &mut Model, area: Rect, paint: &Paint, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let lines: Vec<_> = KEYS
        .iter()
        .flat_map(|(key, what)| {
            let what = super::pane::wrapped(what, width.saturating_sub(NAMES).max(1));
            let names = std::iter::once(*key).chain(std::iter::repeat(""));
            names.zip(what).collect::<Vec<_>>()
        })
        .collect();
    let last = lines.len().saturating_sub(area.height.into());
    let top = model.help.unwrap_or(0).min(last);
    model.help = Some(top);
    for ((key, what), y) in lines.iter().skip(top).zip(area.top()..area.bottom()) {
        put(buffer, area.x, y, key, NAMES - 1, paint.folder);
        let x = area.x.saturating_add(NAMES as u16);
        put(buffer, x, y, what, width.saturating_sub(NAMES), paint.plain);
    }
}

/// Draws the last line: what is typed, or the keys that matter most. Returns where the cursor is.
pub(super) fn line(model: &Model, area: Rect, paint: &Paint, buffer: &mut Buffer) -> Option<Position> {
    let width = usize::from(area.width);
    if let Some(prompt) = &model.prompt {
        // What is typed is more than what it is for.
        let label = head(&prompt.label(), if prompt.asked == Asked::Search { 1 } else { width * 2 / 3 });
        put(buffer, area.x, area.y, &label, width, paint.folder);
        let room = width.saturating_sub(columns(&label) + 1);
        let typed = tail(&escape(&prompt.text), room);
        let x = area.x + columns(&label) as u16;
        put(buffer, x, area.y, &typed, room, paint.plain);
        let x = (x + columns(&typed) as u16).min(area.right().saturating_sub(1));
        return Some(Position { x, y: area.y });
    }
    let keys = match model.place {
        _ if model.help.is_some() => "any key leaves this page",
        _ if model.preview.is_full => "?=help q=quit Esc=back Left=older Right=newer r=restore e=export",
        Place::Sources => "?=help q=quit Enter=open",
        Place::Times => "?=help q=quit Enter=open Backspace=up Space=mark r=restore e=export",
        Place::Folder => {
            "?=help q=quit Left=older Right=newer Backspace=up /=search Space=mark r=restore e=export"
        }
    };
    put(buffer, area.x, area.y, &head(keys, width), width, paint.faint);
    None
}
