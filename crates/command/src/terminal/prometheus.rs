//! Text for Prometheus, which collectors read from files.

use std::fmt::{Display, Write};

/// Writes a gauge with its help; `labels` are those that [`labels`] returns, or empty.
pub(crate) fn gauge(text: &mut String, name: &str, help: &str, labels: &str, value: &dyn Display) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{labels} {value}");
}

/// Returns labels, with what would end a value escaped; nothing if there are none.
pub(crate) fn labels(all: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
    let all: Vec<_> = all.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}
