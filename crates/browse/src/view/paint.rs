//! How things are set off, and letters on the screen.

use ratatui_core::buffer::Buffer;
use ratatui_core::style::{Color, Modifier, Style};

/// Styles. Without colours, bold and reversed letters tell the same.
pub(super) struct Paint {
    pub(super) plain: Style,
    pub(super) title: Style,
    pub(super) cursor: Style,
    pub(super) folder: Style,
    pub(super) link: Style,
    pub(super) mark: Style,
    pub(super) faint: Style,
    pub(super) bad: Style,
}

impl Paint {
    pub(super) fn new(has_colour: bool) -> Self {
        let plain = Style::new();
        let coloured = |colour: Color| if has_colour { plain.fg(colour) } else { plain };
        Self {
            plain,
            title: plain.add_modifier(Modifier::REVERSED),
            cursor: plain.add_modifier(Modifier::REVERSED),
            folder: coloured(Color::Blue).add_modifier(Modifier::BOLD),
            link: coloured(Color::Cyan),
            mark: coloured(Color::Yellow).add_modifier(Modifier::BOLD),
            faint: coloured(Color::DarkGray),
            bad: coloured(Color::Red).add_modifier(Modifier::BOLD),
        }
    }
}

/// Puts a text that is safe for a terminal, as far as it has room.
pub(super) fn put(buffer: &mut Buffer, x: u16, y: u16, text: &str, width: usize, style: Style) {
    let area = *buffer.area();
    if y < area.bottom() && x < area.right() {
        buffer.set_stringn(x, y, text, width, style);
    }
}
