//! What is known of the entry under the cursor.

use kopia_diagnosis::text::{count, escape, size, thousands};
use kopia_format::directory::EntryKind;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

use super::paint::{Paint, put};
use crate::Options;
use crate::model::{Model, Place};
use crate::text::head;

/// Shows it beside the list.
pub(super) fn beside(model: &Model, options: &Options, area: Rect, paint: &Paint, buffer: &mut Buffer) {
    let facts = match model.place {
        Place::Sources => source(model, options),
        Place::Times => snapshot(model, options),
        Place::Folder => return file(model, options, area, paint, buffer),
    };
    for (fact, y) in facts.iter().zip(area.top()..area.bottom()) {
        put(buffer, area.x, y, &head(&escape(fact), area.width.into()), area.width.into(), paint.plain);
    }
}

fn source(model: &Model, options: &Options) -> Vec<String> {
    let Some(source) = model.catalogue.sources.get(model.sources.place) else { return Vec::new() };
    let times = &model.catalogue.snapshots[source.snapshots.clone()];
    let time = |taken: Option<&crate::catalogue::Taken>| {
        taken.map_or(String::new(), |taken| (options.time)(taken.time))
    };
    vec![
        source.name.clone(),
        count(times.len() as u64, "snapshot", "snapshots"),
        format!("newest {}", time(times.first())),
        format!("oldest {}", time(times.last())),
    ]
}

fn snapshot(model: &Model, options: &Options) -> Vec<String> {
    let Some(taken) = model.snapshot().and_then(|number| model.catalogue.snapshots.get(number)) else {
        return Vec::new();
    };
    let mut facts = vec![
        (options.time)(taken.time),
        format!("snapshot {}", taken.id),
        format!("{}, {}", size(taken.bytes), count(taken.files, "file", "files")),
    ];
    facts.extend(taken.marks.iter().cloned());
    facts
}

/// Shows the file under the cursor, beside the list or on all of the screen.
pub(super) fn file(model: &Model, options: &Options, area: Rect, paint: &Paint, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let mut rows = area.top()..area.bottom();
    let mut line = |text: &str, style| {
        if let Some(y) = rows.next() {
            put(buffer, area.x, y, &head(text, width), width, style);
        }
    };
    let preview = &model.preview;
    if !preview.is_full {
        let Some(row) = model.row() else { return };
        line(&escape(&row.name), paint.folder);
        let below = match row.kind {
            EntryKind::Directory => format!(" in {}", count(row.files, "file", "files")),
            _ => String::new(),
        };
        line(&format!("{} ({} bytes){below}", size(row.size), thousands(row.size)), paint.plain);
        line(&(options.time)(row.modified), paint.plain);
    }
    match &preview.look {
        None if preview.number != 0 => line("reading", paint.faint),
        None => {}
        Some(Err(why)) => {
            line("It cannot be read:", paint.bad);
            wrapped(&escape(why), width).iter().for_each(|text| line(text, paint.bad));
        }
        Some(Ok(look)) => {
            line(&escape(&look.what), paint.faint);
            for text in look.lines.iter().skip(preview.top).take(usize::from(area.height)) {
                line(text, paint.plain);
            }
        }
    }
}

/// Breaks a text into lines of so many columns.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is one from the start");
        let has_room = crate::text::columns(last) + 1 + crate::text::columns(word) <= width;
        if last.is_empty() {
            last.push_str(word);
        } else if has_room {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
