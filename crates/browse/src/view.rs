//! Draws the model.
//!
//! Everything that comes from a repository passes through [`escape`]: no name moves the cursor.

mod help;
mod list;
mod paint;
mod pane;
mod status;
#[cfg(test)]
mod tests;

use kopia_diagnosis::text::escape;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Position, Rect};

use crate::Options;
use crate::model::{Model, Place};
use crate::text::{columns, tail};
use paint::{Paint, put};

/// Draws everything; returns where something is typed, if it is.
pub(crate) fn draw(
    model: &mut Model,
    options: &Options,
    tick: usize,
    buffer: &mut Buffer,
) -> Option<Position> {
    let area = *buffer.area();
    let paint = Paint::new(options.colour);
    if area.is_empty() {
        return None;
    }
    let (first, height) = (area.y, model.height() as u16);
    title(model, options, Rect { height: 1, ..area }, &paint, buffer);
    let body = Rect { y: first + 1, height, ..area };
    if model.help.is_some() {
        help::page(model, body, &paint, buffer);
    } else if model.preview.is_full {
        pane::file(model, options, body, &paint, buffer);
    } else if model.has_pane() {
        let width = area.width * 3 / 5;
        list::draw(model, options, Rect { width: width - 1, ..body }, &paint, buffer);
        for y in body.top()..body.bottom() {
            put(buffer, body.x + width, y, "|", 1, paint.faint);
        }
        let pane = Rect { x: body.x + width + 2, width: body.width.saturating_sub(width + 2), ..body };
        pane::beside(model, options, pane, &paint, buffer);
    } else {
        list::draw(model, options, body, &paint, buffer);
    }
    let rest = area.height.saturating_sub(height + 1);
    if rest > 1 {
        status::draw(model, tick, Rect { y: body.bottom(), height: 1, ..area }, &paint, buffer);
    }
    if rest == 0 {
        return None;
    }
    help::line(model, Rect { y: area.bottom() - 1, height: 1, ..area }, &paint, buffer)
}

/// Draws where one is.
fn title(model: &Model, options: &Options, area: Rect, paint: &Paint, buffer: &mut Buffer) {
    let source = model.catalogue.sources.get(model.source).map_or("", |source| &*source.name);
    let text = match model.place {
        Place::Sources => "kopia-rs: all sources".to_owned(),
        Place::Times => format!("{}: snapshots", escape(source)),
        Place::Folder => {
            let taken = &model.catalogue.snapshots[model.folder.snapshot];
            let path = match (model.preview.is_full, model.row()) {
                (true, Some(row)) => model.folder.path_of(row),
                _ => model.folder.path.clone(),
            };
            format!("{}  {}  /{}", escape(source), (options.time)(taken.time), escape(&path))
        }
    };
    let width = usize::from(area.width);
    buffer.set_style(area, paint.title);
    let text = tail(&text, width.saturating_sub(2));
    put(buffer, area.x + u16::from(columns(&text) + 2 <= width), area.y, &text, width, paint.title);
}
