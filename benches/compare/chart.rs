//! The charts: a group of horizontal bars for each set, as long as the wall time. Each set has a scale of its
//! own.

use std::fmt::Write;

use crate::figures::{Column, Figures, Row, SetFigures};
use crate::table::{head, short};

/// All lengths are in pixels.
const WIDTH: f64 = 760.0;
const LABELS: f64 = 230.0;
/// Room for the number behind the longest bar.
const NUMBERS: f64 = 130.0;
const ROW: f64 = 20.0;
const BAR: f64 = 14.0;
const HEAD: f64 = 34.0;

/// No background, and colours that can be read on a light and on a dark one.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#24292f}.head{font-weight:600}.number{fill:#57606a}\
.bar{fill:#afb8c1}.floor{fill:#d8dee4}.kopia-rs{fill:#1a7f37}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.number{fill:#9198a1}.bar{fill:#656c76}.floor{fill:#3d444d}\
.kopia-rs{fill:#3fb950}}";

/// Bars that belong together.
struct Group {
    title: String,
    bars: Vec<Bar>,
}

struct Bar {
    contestant: String,
    label: String,
    wall_s: f64,
    /// How many times as long as kopia-rs it took.
    ratio: Option<f64>,
}

/// Draws all sets.
pub(crate) fn svg(figures: &Figures) -> String {
    let group = |set: &SetFigures| {
        let rows = set.rows.iter().filter_map(|row| Some((row, row.median()?.wall_s)));
        Group::new(head(set), rows, set.reference())
    };
    draw(figures.sets.iter().map(group))
}

/// Draws restores to and from slow file systems.
pub(crate) fn latency(columns: &[Column]) -> String {
    draw(columns.iter().map(|column| {
        let rows = column.rows.iter().filter_map(|row| Some((row, row.best()?.wall_s)));
        let reference = column.row("kopia-rs").and_then(Row::best).map(|taken| taken.wall_s);
        Group::new(format!("{}, {}", column.set, column.away.label()), rows, reference)
    }))
}

impl Group {
    fn new<'a>(title: String, rows: impl Iterator<Item = (&'a Row, f64)>, reference: Option<f64>) -> Self {
        let bars = rows.map(|(row, wall_s)| Bar {
            contestant: row.contestant.clone(),
            // Markdown is none of SVG's.
            label: row.label.replace('`', ""),
            wall_s,
            ratio: reference.filter(|_| row.contestant != "kopia-rs").map(|reference| wall_s / reference),
        });
        Self { title, bars: bars.collect() }
    }
}

fn draw(groups: impl Iterator<Item = Group>) -> String {
    let mut body = String::new();
    let mut y = 0.0;
    for group in groups {
        y = group.draw(&mut body, y);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" \
         role=\"img\" aria-label=\"Seconds that restores take\">\n<style>{STYLE}</style>\n{body}</svg>\n"
    )
}

impl Group {
    /// Draws it below `y`, and returns where it ends.
    fn draw(&self, body: &mut String, mut y: f64) -> f64 {
        let mut add =
            |line: std::fmt::Arguments<'_>| writeln!(body, "{line}").expect("a string takes everything");
        let title = escaped(&format!("{}; seconds", self.title));
        add(format_args!("<text class=\"head\" x=\"0\" y=\"{}\">{title}</text>", y + HEAD - 12.0));
        y += HEAD;
        let longest = self.bars.iter().map(|bar| bar.wall_s).fold(f64::MIN_POSITIVE, f64::max);
        for Bar { contestant, label, wall_s, ratio } in &self.bars {
            let class = match &**contestant {
                "kopia-rs" => "kopia-rs",
                name if name.starts_with("floor") => "floor",
                _ => "bar",
            };
            let length = (wall_s / longest * (WIDTH - LABELS - NUMBERS)).max(1.0);
            let text = y + 11.5;
            add(format_args!(
                "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{}</text>",
                LABELS - 8.0,
                escaped(label)
            ));
            add(format_args!(
                "<rect class=\"{class}\" x=\"{LABELS}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\"/>"
            ));
            let ratio = ratio.map_or(String::new(), |ratio| format!(" (× {})", short(ratio)));
            add(format_args!(
                "<text class=\"number\" x=\"{:.1}\" y=\"{text}\">{}{ratio}</text>",
                LABELS + length + 6.0,
                short(*wall_s)
            ));
            y += ROW;
        }
        y + 8.0
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_become_bars() {
        let svg = svg(&crate::figures::made_up());
        // Four with figures: one contestant failed, another is incomplete.
        assert_eq!(svg.matches("<rect").count(), 5);
        assert_eq!(svg.matches("class=\"kopia-rs\"").count(), 2);
        assert!(svg.contains("viewBox=\"0 0 760 184\""), "{svg}");
        assert!(svg.contains("width=\"400.0\"") && svg.contains(">32 (× 21)</text>"), "{svg}");
        assert!(svg.contains(">kopia-cold &amp; co</text>"), "{svg}");
        assert!(svg.contains("prefers-color-scheme:dark"));
    }

    #[test]
    fn figures_of_slow_file_systems_become_bars() {
        let svg = latency(&crate::figures::made_up_latency());
        assert_eq!(svg.matches("<rect").count(), 5);
        assert!(svg.contains(">latency, target 0.5 ms; seconds</text>"), "{svg}");
        assert!(svg.contains(">40 (× 10)</text>"), "{svg}");
    }

    #[test]
    fn nothing_measured_is_an_empty_chart() {
        let figures = Figures { sets: Vec::new(), ..crate::figures::made_up() };
        assert!(!svg(&figures).contains("<rect"));
    }
}
