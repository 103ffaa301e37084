//! The list: sources, snapshots or entries.

use kopia_diagnosis::text::{count, escape, size};
use kopia_format::directory::EntryKind;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::Style;

use super::paint::{Paint, put};
use crate::Options;
use crate::model::{Model, Place};
use crate::text::{columns, head};

/// From how many columns on there are sizes.
const SIZES: usize = 30;

/// From how many columns on there are times.
const TIMES: usize = 54;

/// What a line shows: a name, and behind it what has room.
struct Line {
    is_marked: bool,
    name: String,
    size: String,
    time: String,
    style: Style,
}

pub(super) fn draw(model: &mut Model, options: &Options, area: Rect, paint: &Paint, buffer: &mut Buffer) {
    let rows = usize::from(area.height);
    let (length, cursor) = model.list();
    cursor.fit(length, rows);
    let cursor = *cursor;
    for (place, y) in (cursor.top..length).zip(area.top()..area.bottom()) {
        let Some(line) = line(model, options, paint, place) else { continue };
        let area = Rect { y, height: 1, ..area };
        draw_line(&line, area, paint, buffer);
        if place == cursor.place {
            buffer.set_style(area, paint.cursor);
        }
    }
}

fn line(model: &Model, options: &Options, paint: &Paint, place: usize) -> Option<Line> {
    let catalogue = &model.catalogue;
    Some(match model.place {
        Place::Sources => {
            let source = catalogue.sources.get(place)?;
            let newest = catalogue.snapshots.get(source.snapshots.start)?;
            Line {
                is_marked: false,
                name: escape(&source.name).into_owned(),
                size: count(source.snapshots.len() as u64, "snap", "snaps"),
                time: (options.time)(newest.time),
                style: paint.folder,
            }
        }
        Place::Times => {
            let snapshot = catalogue.snapshots_of(model.source).nth(place)?;
            let taken = &catalogue.snapshots[snapshot];
            let marks =
                if taken.marks.is_empty() { String::new() } else { format!("  {}", taken.marks.join(", ")) };
            Line {
                is_marked: model.marks.has(snapshot, ""),
                name: format!("{}{}", (options.time)(taken.time), escape(&marks)),
                size: size(taken.bytes),
                time: count(taken.files, "file", "files"),
                style: paint.plain,
            }
        }
        Place::Folder => {
            let row = model.folder.shown(place)?;
            let (end, style) = match row.kind {
                EntryKind::Directory => ("/", paint.folder),
                EntryKind::Symlink => ("@", paint.link),
                EntryKind::File => ("", paint.plain),
            };
            Line {
                is_marked: model.marks.has(model.folder.snapshot, &model.folder.path_of(row)),
                name: format!("{}{end}", escape(&row.name)),
                size: size(row.size),
                time: (options.time)(row.modified),
                style,
            }
        }
    })
}

fn draw_line(line: &Line, area: Rect, paint: &Paint, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    put(buffer, area.x, area.y, if line.is_marked { "*" } else { " " }, 1, paint.mark);
    let mut behind = String::new();
    if width >= SIZES {
        behind = format!(" {:>9}", line.size);
    }
    if width >= TIMES {
        behind = format!("{behind}  {:<19}", line.time);
    }
    let room = width.saturating_sub(2 + columns(&behind));
    let style = if line.is_marked { paint.mark } else { line.style };
    put(buffer, area.x + 1, area.y, &head(&line.name, room), room, style);
    let start = area.right().saturating_sub(columns(&behind) as u16);
    put(buffer, start, area.y, &behind, columns(&behind), paint.plain);
}
