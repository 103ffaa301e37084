//! Text for Prometheus, which collectors read from files.

use std::fmt::{Display, Write};

/// Writes a gauge with its help; `labels` are those that [`label`] returns, or empty.
pub(crate) fn gauge(text: &mut String, name: &str, help: &str, labels: &str, value: &dyn Display) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{labels} {value}");
}

/// Returns a label, with what would end its value escaped.
pub(crate) fn label(name: &str, value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
    format!("{{{name}=\"{escaped}\"}}")
}
